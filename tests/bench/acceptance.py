"""make bench-accept BENCH=--check: what the turn has to fulfil beside the other policies and nginx. Each comparison is
one of pairs: in each round both are measured one after the other, and the median of the rounds' differences or ratios
counts."""

from grid import Cell
from verdict import Verdict

IDLE, HALF, FULL = (Cell(4, load) for load in ("idle", "half", "full"))
BLOCKED = Cell(4, "half", block=True)
MANY = Cell(8, "idle")


def steps(seconds):
    """At idle 9 rounds of 6 seconds are over 10,000 connections."""
    return [[(FULL, seconds, ["turn", "exclusive", "reuseport"]),
             (HALF, seconds, ["turn"]),
             (IDLE, 2 * seconds, ["turn", "exclusive"]),
             (BLOCKED, seconds, ["turn", "exclusive", "nginx-mutex"])],
            [(MANY, 2 * seconds, ["turn"])]]


class Rows(Verdict):
    """The lines of the verdict."""

    def __init__(self, figures):
        super().__init__()
        self.cells = figures["cells"]

    def values(self, cell, server, field):
        return [run[field] for run in self.cells.get(f"{cell.name()} {server}", [])]

    def jain(self, title, cell):
        self.row(f"Jain index, {title}", self.values(cell, "turn", "jain"), "{:.3f}".format, "≥ 0.97",
                 lambda v: v >= 0.97)

    def slower(self, field, name, most):
        pairs = zip(self.values(IDLE, "turn", field), self.values(IDLE, "exclusive", field))
        self.row(f"idle, {name}: turn − exclusive", [a - b for a, b in pairs], "{:+.0f} µs".format, f"≤ +{most} µs",
                 lambda v: v <= most)

    def ratio(self, title, cell, field, other, required, fulfilled):
        pairs = zip(self.values(cell, "turn", field), self.values(cell, other, field))
        self.row(title, [a / b for a, b in pairs if b > 0], "{:.3f}".format, required, fulfilled)

    def empty(self, title, cell):
        self.row(f"empty accepts per accept, {title}", self.values(cell, "turn", "empty"), "{:.4f}".format, "≤ 0.01",
                 lambda v: v <= 0.01)

    def sleeps(self, title, cell):
        """Two processes wake for a connection: who accepts it, and who has the next turn."""
        self.row(f"sleeps per accept, {title}", self.values(cell, "turn", "sleeps"), "{:.2f}".format, "≤ 2.50",
                 lambda v: v <= 2.5)

    def errors(self):
        bad = [sum(run["errors"].values()) for runs in self.cells.values() for run in runs]
        self.row("errors, all servers", [sum(bad)] if bad else [], "{:.0f}".format, "0", lambda v: v == 0)


def verdict(figures):
    """(text, has it all been fulfilled?)"""
    rows = Rows(figures)
    for title, cell in (("idle", IDLE), ("half load", HALF), ("full load", FULL)):
        rows.jain(title, cell)
    rows.slower("first50", "p50", 20)
    rows.slower("first99", "p99", 50)
    blocked = "p50 with 5 % of handlers blocking: turn / "
    rows.ratio(blocked + "exclusive", BLOCKED, "first50", "exclusive", "≤ 1.30", lambda v: v <= 1.3)
    rows.ratio(blocked + "nginx accept_mutex on", BLOCKED, "first50", "nginx-mutex", "≤ 0.05", lambda v: v <= 0.05)
    for title, cell in (("idle", IDLE), ("half load", HALF), ("full load", FULL), ("idle, 8 workers", MANY)):
        rows.empty(title, cell)
    for title, cell in (("idle", IDLE), ("idle, 8 workers", MANY)):
        rows.sleeps(title, cell)
    for other, least in (("exclusive", 0.95), ("reuseport", 0.85)):
        rows.ratio(f"short connections per second at full load: turn / {other}", FULL, "rate", other,
                   f"≥ {least:.2f}", lambda v, least=least: v >= least)
    rows.errors()
    head = [f"Machine: {figures['machine']}. Medians of {figures['rounds']} rounds of {figures['seconds']:g} s"
            " (idle: twice that); 4 workers unless it says otherwise.", ""]
    if figures["wrong"]:
        head += ["The server's counters disagree with the tally: " + "; ".join(figures["wrong"]) + ".", ""]
    return "\n".join(head + rows.table()), rows.good and not figures["wrong"]
