#!/usr/bin/env python3
"""Nobody is woken for nothing: of 10,000 connections at low load over 8 workers at most 1 % of the accepts find
nothing, in each policy; and on an idle server no worker wakes up but perhaps the one whose turn it is.

--idle: seconds without load (60 is what is promised). What wakes a worker is counted from outside, by the times that
the kernel has switched to it, since to ask the server would wake somebody."""
import re
import time

from soak import Run, grown, options, status

RATE = 500
WORKERS = 8
EMPTY = 0.01

args = options(__doc__, connections=10_000, idle=20)


def switches(pid):
    """Voluntary ones and others: each time it was woken it has gone to sleep again."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as f:
        return sum(map(int, re.findall(r"voluntary_ctxt_switches:\s+(\d+)", f.read())))


def low_load(run, policy):
    server = run.serve(run.who(f"policy = {policy}"), server={"workers": WORKERS})
    before = status(server)
    n = args.connections if policy == "turn" else args.connections // 5
    end = run.arrivals(server, "/who", "-p", "-r", RATE, "-n", n).result()
    change = grown(before, status(server))
    accepts, empty = change["accepts"], change["accept_empty"]
    run.check(f"{policy}: {empty} of {accepts} accepts found nothing ({100 * empty / max(1, accepts):.2f} %)",
              end.failed == 0 and accepts >= n and empty <= EMPTY * accepts, end)
    causes = {name.partition(".")[2]: value for name, value in change.items() if name.startswith("wakeups_by_cause.")}
    run.check(f"{policy}: {change['wakeups'] / accepts:.2f} wake-ups for each accept: "
              + ", ".join(f"{cause} {value / accepts:.3f}" for cause, value in causes.items()),
              sum(causes.values()) == change["wakeups"])
    run.note(f"{policy}: for each accept {change['turn_kicks_sent'] / accepts:.2f} kicks sent, "
             f"{change['turn_kicks_futile'] / accepts:.3f} of them in vain")
    return server


def idle(run, server, policy):
    """All have been at work; then nothing happens for a while. Once a second the master looks, and must wake nobody."""
    holder = run.holder(server)
    time.sleep(2)  # the last connections end, timers of theirs run out
    workers = server.workers()
    owner = holder.pid()
    before = {pid: switches(pid) for pid in workers}
    time.sleep(args.idle)
    woken = {pid: switches(pid) - before[pid] for pid in workers}
    others = sum(n for pid, n in woken.items() if pid != owner)
    if policy == "turn":
        run.check("idle: somebody has the turn, and the same at the end", owner in workers and owner == holder.pid())
    run.check(f"{policy}: idle for {args.idle} s: {others} wake-ups of those who do not have the turn, "
              f"{woken.get(owner, 0)} of the one who has it", others == 0, woken)


with Run() as run:
    for name in ("turn", "exclusive", "reuseport"):
        server = low_load(run, name)
        if name == "turn":
            idle(run, server, name)
        server.stop()
