"""The tables of docs/accept.md, and the figures in its text."""

import os
import re
import statistics

import report
from contenders import ALL

LOADS = {"idle": "Idle", "half": "Half load", "full": "Full load"}


def machine():
    cpus = len(os.sched_getaffinity(0))
    return f"{report.processor()}, {cpus} CPU" + ("s" if cpus > 1 else "") + " for servers and load together"


def middle(figures, cell, server, field):
    """The median over the rounds, None where there is nothing."""
    runs = [run[field] for run in figures["cells"].get(f"{cell} {server}", [])]
    return statistics.median(runs) if runs and None not in runs else None


def time_text(us):
    if us is None or us < 0:
        return "–"
    return f"{us:.0f} µs" if us < 999.5 else f"{us / 1000:.1f} ms" if us < 99950 else f"{us / 1000:.0f} ms"


def number(value, form):
    return "–" if value is None else form.format(value)


def shown(figures, cell, server, field):
    """One figure as the tables and the text have it."""
    value = middle(figures, cell, server, field)
    if field in ("first50", "first99", "later50", "later99"):
        return time_text(value)
    return number(value, "{:,.0f}" if field == "rate" else "{:.2f}")


def error_text(figures, cell, server):
    total = {}
    for run in figures["cells"].get(f"{cell} {server}", []):
        for kind, n in run["errors"].items():
            total[kind] = total.get(kind, 0) + n
    return ", ".join(f"{kind} {n}" for kind, n in total.items()) or "0"


COLUMNS = {"jain": "Jain", "first50": "p50", "first99": "p99", "later50": "later p50", "later99": "later p99",
           "rate": "requests/s", "empty": "empty accepts", "wakeups": "wake-ups", "sleeps": "sleeps"}


def cell_table(figures, cell, kind):
    fields = [f for f in COLUMNS if kind == "long" or not f.startswith("later")]
    lines = []
    for server in figures["servers"]:
        if server in figures["versions"]:
            if f"{cell} {server}" not in figures["cells"]:
                continue
            lines.append([ALL[server].title] + [shown(figures, cell, server, f) for f in fields]
                         + [error_text(figures, cell, server)])
        else:
            lines.append([ALL[server].title, "missing"] + ["–"] * len(fields))
    return report.table(["server"] + [COLUMNS[f] for f in fields] + ["errors"], lines)


def has(figures, cell):
    return any(key.startswith(cell + " ") and key[len(cell) + 1:] in ALL for key in figures["cells"])


def details(figures):
    out = []
    for kind, kind_title in (("short", "short connections"), ("long", "long-lived connections")):
        for block, block_title in (("", ""), (" block", ", 5 % of handlers block 20 ms")):
            for load, title in LOADS.items():
                cell = f"4 {load} {kind}{block}"
                if has(figures, cell):
                    out += ["", f"### {title}, {kind_title}{block_title}", ""] + cell_table(figures, cell, kind)
    for load in ("idle", "full"):
        for workers in (1, 2, 8):
            cell = f"{workers} {load} short"
            if has(figures, cell):
                title = f"{workers} worker" + ("s" if workers > 1 else "")
                out += ["", f"### {LOADS[load]}, short connections, {title}", ""] + cell_table(figures, cell, "short")
    return out


SUMMARY = (("Jain, idle", "4 idle short", "jain"), ("Jain, full", "4 full short", "jain"),
           ("p50, idle", "4 idle short", "first50"), ("p99, idle", "4 idle short", "first99"),
           ("p50, some block", "4 half short block", "first50"), ("p99, some block", "4 half short block", "first99"),
           ("sleeps, idle", "4 idle short", "sleeps"), ("connections/s, full", "4 full short", "rate"))


def summary(figures):
    lines = [[ALL[s].title] + [shown(figures, cell, s, field) for _, cell, field in SUMMARY]
             for s in figures["servers"]]
    return report.table(["4 workers, short connections"] + [title for title, _, _ in SUMMARY], lines)


def head(figures):
    versions = dict.fromkeys(figures["versions"].values())
    out = [f"Machine: {figures['machine']}.", "", "Servers: " + "; ".join(versions) + ".", "",
           f"Medians of {figures['rounds']} rounds of {figures['seconds']:g} s; errors are those of all rounds."]
    missing = [ALL[s].title for s in figures["servers"] if s not in figures["versions"]]
    if missing:
        out += ["", f"Missing: {', '.join(missing)}."]
    if figures["bare"]:
        out += ["", "Measured without the counting library."]
    if figures["wrong"]:
        out += ["", "cserver's own counters disagree: " + "; ".join(figures["wrong"]) + "."]
    return out


def text(figures):
    out = head(figures)
    if has(figures, "4 idle short"):
        out += [""] + summary(figures)
    return "\n".join(out + details(figures))


def errors(figures):
    return sum(sum(run["errors"].values()) for runs in figures["cells"].values() for run in runs)


# A figure within the text of the page: <!--= 4 idle short: turn jain -->0.99<!--/-->
FIGURE = re.compile(r"(<!--= ([^:>]+): (\S+) (\S+) -->)[^<]*(<!--/-->)")


def fill_in(page, figures, show=shown):
    return FIGURE.sub(lambda m: m[1] + show(figures, m[2], m[3], m[4]) + m[5], page)


def write_part(path, name, part):
    report.edit(path, lambda page: report.between(page, name, part))


def write(path, figures):
    write_part(path, "bench", text(figures))
    report.edit(path, lambda page: fill_in(page, figures))
