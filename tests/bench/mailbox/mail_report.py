"""The measured part of docs/mailbox.md: tables, and figures in the text of the page."""

import os

import accept_report
import report
from accept_report import middle
from ways import FLOODS, NODE, PACED, RECEIVERS, SIZES, WAYS
from tutorial import SERVERS

DOCS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "docs")
DOCUMENT, PICTURE = os.path.join(DOCS, "mailbox.md"), os.path.join(DOCS, "mailbox.svg")
BEGIN, END = "<!-- measured -->", "<!-- /measured -->"
ASLEEP, BUSY = (cell.name() for cell in PACED)
FLOODED = {key: way.title for key, way in WAYS.items() if key != "bare"}
SERVER = "server 64 8"
FREE = 1.8  # CPUs, one for the sender and one for the receiver: with less, much of it is the scheduler's doing

HOW = """\
This part is written by `make bench-mailbox BENCH=--write`, which takes about three minutes; nothing else should run on the
machine meanwhile, and two CPUs should be free.

    make bench-mailbox                             prints what is below
    make bench-mailbox BENCH='--write'             and puts tables and plot into this page
    make bench-mailbox BENCH='--check'             and judges it; ends with 1 unless all is as it should be
    make bench-mailbox BENCH='--quick'             a smoke test of half a minute, not a measurement
    make bench-mailbox BENCH='--save mail.json'    keeps all figures of all rounds; --load mail.json takes them from there
    make bench-mailbox BENCH='--rounds 9 --seconds 1'

Each round measures all ways one after the other, and each begins with another one; the figures are medians of the rounds,
comparisons are made of pairs. One process sends to 1, 3 or 8 others (*to primary*: a worker sends to Node's primary). Each
message has a number, in C at both of its ends; one that is missing, out of order or torn is an error, and the benchmark
fails.

- *Messages a second*: the sender sends as fast as it can and waits where there is no room. The clock stops when the last
  receiver has the last message. The figure is per receiver: with three of them, three times as many are delivered.
- *CPU*: user and system time of all processes involved, per message and receiver.
- *Calls*: system calls made to get the message across (bells of the mailbox, those for room too; `sendmsg`, `write`), per
  message and receiver. *Sleeps*: voluntary context switches of all processes, the same way.
- *Asleep*: about a thousand messages of 64 bytes a second, between which everybody sleeps. *Busy*: the same, but the
  receiver computes for 50 µs in each turn of its loop and never sleeps. Both from before the message is sent until it is
  in the hands of the receiver.
- *Socket channels*: a pair of unix sockets for each pair of processes and a struct of 32 bytes by `sendmsg`, as nginx has
  them, but with a payload behind it, and waiting where nginx drops the message. *A pipe each*: one sender, so large
  messages stay whole. *Bare eventfd*: the least it takes to wake a process. The code is in `tests/bench/mailbox/`.
- *Node*: `process.send` of its cluster, JSON (an object with a text) or buffers with `serialization: 'advanced'`.
- *The tutorial's server*: `modules/counter`, `modules/counter_shared` and the same handler without counting; on Node
  `tests/bench/mailbox/tutorial.js`, with and without `process.send`. All under the same load (wrk, one thread, 32
  keep-alive connections, on the same CPUs). CPU is that of all processes of the server. What a server has counted must be
  what it has answered, or the benchmark fails."""


def count(value):
    return accept_report.number(value, "{:,.0f}")


def fine(value):
    """Three digits or more."""
    if value is None or value < 0:
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def shown(figures, cell, way, field):
    value = middle(figures, cell, way, field)
    return count(value) if field == "rate" else fine(value)


def lines(figures, titles, columns):
    """A row for each that was asked for: figures, or that it is missing. titles: {key: its name}, columns: cells and
    fields."""
    out = []
    for key, title in titles.items():
        if key in figures["versions"]:
            out.append([title] + [shown(figures, cell, key, field) for cell, field in columns])
        elif key in figures["asked"]:
            out.append([title, "missing"] + ["–"] * (len(columns) - 1))
    return out


def rates(figures):
    out = []
    for size in SIZES:
        names = [cell.name() for cell in FLOODS if cell.size == size]
        columns = [(n, field) for field in ("rate", "cpu") for n in names]
        head = [f"{size:,} bytes"] + [f"messages/s, {n}" for n in RECEIVERS] + [f"CPU µs, {n}" for n in RECEIVERS]
        out += ["", *report.table(head, lines(figures, FLOODED, columns))]
    return out


def wakes(figures):
    columns = [(f"flood 64 {n}", field) for field in ("calls", "sleeps") for n in RECEIVERS]
    head = (["as fast as it can, 64 bytes"] + [f"calls, {n}" for n in RECEIVERS]
            + [f"sleeps, {n}" for n in RECEIVERS])
    return report.table(head, lines(figures, FLOODED, columns))


def latencies(figures):
    columns = [(ASLEEP, f) for f in ("p50", "p99", "calls", "sleeps", "cpu")] + [(BUSY, f) for f in ("p50", "p99", "calls")]
    head = ["64 bytes, 1 receiver", "asleep p50 µs", "p99 µs", "calls", "sleeps", "CPU µs", "busy p50 µs", "p99 µs",
            "calls"]
    return report.table(head, lines(figures, {key: way.title for key, way in WAYS.items()}, columns))


def tutorial(figures):
    titles = {key: server.title for key, server in SERVERS.items()}
    head = ["2 workers, 32 connections", "requests/s", "CPU µs/request"]
    return report.table(head, lines(figures, titles, [("tutorial", "rate"), ("tutorial", "cpu")]))


def in_server(figures):
    if middle(figures, SERVER, "pace", "p50") is None:
        return ["Missing: the messages in a whole server."]
    rate, p50, p99, most = (shown(figures, SERVER, "pace", f) for f in ("rate", "p50", "p99", "most"))
    return [f"8 workers, one of which publishes {rate} messages a second to all of them. From publishing to the callback:"
            f" p50 {p50} µs, p99 {p99} µs, at most {most} µs (medians of the rounds)."]


def head(figures):
    versions = dict.fromkeys(figures["versions"].values())
    out = [f"Machine: {figures['machine']}. {'; '.join(versions)}. Medians of {figures['rounds']} rounds;"
           f" {figures['seconds']:g} s at full speed, {figures['paced']:g} s for latencies, {figures['web']} s for"
           " requests."]
    free = middle(figures, ASLEEP, "mail", "free")
    if free is not None:
        out[0] += f" CPUs that nobody else used meanwhile: {free:.1f}."
        if free < FREE:
            out += ["", "**The machine was busy with other work: this is a smoke test and no measurement.**"]
    if any(key not in figures["versions"] for key in NODE if key in figures["asked"]):
        out += ["", "Missing: Node."]
    if figures["wrong"]:
        out += ["", "**Wrong:** " + "; ".join(figures["wrong"]) + "."]
    return out


def text(figures):
    out = head(figures)
    if any(key in figures["asked"] for key in WAYS):
        out += ["", "### Messages a second, to each receiver", *rates(figures)]
        out += ["", "### System calls and sleeps", "", *wakes(figures)]
        out += ["", "### Latency", "", *latencies(figures)]
    if "pace" in figures["asked"]:
        out += ["", "### In a whole server", "", *in_server(figures)]
    if any(key in figures["asked"] for key in SERVERS):
        out += ["", "### The tutorial's server", "", *tutorial(figures)]
    return "\n".join(out)


def errors(figures):
    return sum(run["errors"] for runs in figures["cells"].values() for run in runs)


def page(old, measured, figures):
    """The page with its measured part, and the figures elsewhere in it: <!--= flood 64 1: mail rate -->1<!--/-->."""
    new = report.between_marks(old, BEGIN, END, measured)
    return accept_report.fill_in(new, figures, shown)


def write(figures, verdict):
    parts = [HOW, "![Messages a second, CPU and latency](mailbox.svg)", text(figures)]
    if verdict:
        parts += ["### As it should be", verdict]
    measured = "\n" + "\n\n".join(parts) + "\n"
    report.edit(DOCUMENT, lambda old: page(old, measured, figures))
