"""make bench: what was measured beside what is asked for."""

import statistics

from rows import BEST, CALLS, IDLE_BYTES, PEERS, ROWS
from verdict import Verdict

QUIET = 0.15  # CPUs that others may take while a row is measured


def runs(figures, row, server):
    return figures["rows"].get(f"{row.key} {server}", [])


def cost(figures, row, server):
    """Median CPU microseconds per request, or None."""
    found = runs(figures, row, server)
    return statistics.median(r["cpu"] for r in found) if found else None


def best_peer(figures, row):
    """The one whose requests cost least, or None."""
    costs = {p: cost(figures, row, p) for p in PEERS if row.takes(p) and cost(figures, row, p)}
    return min(costs, key=costs.get, default=None)


def pairs(figures, row, target):
    """The shares, one for each round."""
    of = best_peer(figures, row) if target.of == BEST else target.of
    ours, theirs = runs(figures, row, target.who), runs(figures, row, of)
    return [a["cpu"] / b["cpu"] for a, b in zip(ours, theirs) if b["cpu"]]


def neighbours(figures, row):
    """CPUs that others took meanwhile, the median of all runs; None: not known."""
    found = [r["others"] for key, rounds in figures["rows"].items() if key.split()[0] == row.key for r in rounds]
    known = [n for n in found if n is not None]
    return statistics.median(known) if known else None


def doubt(figures, row, target):
    """Why the figures say nothing about this target; None: they do."""
    if row.key in figures["skipped"]:
        return figures["skipped"][row.key]
    asked = [target.who, *(PEERS if target.of == BEST else [target.of])]
    lost = [s for s in asked if not runs(figures, row, s)]
    if lost:
        return "without " + ", ".join(lost)
    failed = [s for s in asked if any(r["errors"] for r in runs(figures, row, s))]
    if failed:
        return "errors of " + ", ".join(failed)
    if figures["quick"]:
        return "a quick run"
    if (neighbours(figures, row) or 0) > QUIET:
        return f"other programs took {neighbours(figures, row):.2f} CPUs"
    return None


class Judge(Verdict):
    def __init__(self, figures):
        super().__init__()
        self.figures = figures

    def share(self, row, target):
        who = "" if target.who == "cserver" else f", {target.who}"
        title, required = f"{row.title}{who}: CPU time / {target.of}", f"≤ {target.most:.2f}"
        self.one(title, pairs(self.figures, row, target), "{:.2f}".format, required, lambda v: v <= target.most,
                 doubt(self.figures, row, target))

    def one(self, title, values, form, required, fulfilled, why):
        if why:
            self.unknown(title, values, form, required, why)
        else:
            self.row(title, values, form, required, fulfilled)

    def rows(self):
        for row in ROWS:
            for target in row.targets if row.key in self.figures["wanted"] else ():
                self.share(row, target)

    def memory(self):
        idle = self.figures.get("idle")
        if idle:
            ours = idle["servers"].get("cserver")
            self.one("bytes per idle keep-alive connection, all told", [ours["told"]] if ours else [], "{:,.0f}".format,
                     f"≤ {IDLE_BYTES}", lambda v: v <= IDLE_BYTES, None if ours else "without cserver")

    def calls(self):
        calls = self.figures.get("calls")
        if calls:
            ours = calls.get("cserver")
            self.one("system calls per keep-alive request", [sum(ours.values())] if ours else [], "{:.2f}".format,
                     f"≤ {CALLS:.2f}", lambda v: v <= CALLS, None if ours else "not counted")

    def instructions(self):
        counted = self.figures.get("instructions")
        for kind, said in counted["kinds"].items() if counted else ():
            budget = said["budget"]
            self.one(f"user-space instructions, {said['title']}", [said["total"]] if said["total"] else [],
                     "{:,.0f}".format, f"≤ {budget:,}" if budget else "–", lambda v, most=budget: v <= most,
                     counted["why"] or (None if budget else f"no budget for {kind}"))


def verdict(figures):
    """(lines of a table, has everything been reached?, how many were judged and failed?)"""
    j = Judge(figures)
    j.rows()
    j.memory()
    j.calls()
    j.instructions()
    failed = sum("FAIL" in line[-1] for line in j.lines)
    return (j.table() if j.lines else []), j.good, failed
