#!/usr/bin/env python3
"""Long-lived connections spread: 2,000 that stay, while some workers are busier than others; and again after a worker has
died and its successor has begun with none: newcomers fill the gap. Most by least at most 1.5 each time.

--policy: of [accept]."""
import os
import signal
import time

from soak import Run, options, pids, shares, spread, status, wait_for

WORKERS = 8
RATIO = 1.5
RATE = 500

args = options(__doc__, connections=2000, policy="turn")


def open_ones(server):
    return [w["connections"] for w in status(server)["workers"]]


def judge(run, server, what, counts):
    run.check(f"{what}: max/min {spread(counts):.2f} of {counts}", spread(counts) <= RATIO)


def busy_workers(run, server):
    """Three long-lived connections whose workers have always something to do, and a stream of costly short ones."""
    return [run.arrivals(server, "/who?spin=2000", "-p", "-k", "-n", 3, "-c", 1, "-w", 2),
            run.arrivals(server, "/who?block=20", "-p", "-c", 2)]


def come(run, server, n, *more):
    client = run.arrivals(server, "/who", "-p", "-k", "-n", n, "-r", RATE, "-w", 5000, *more)
    there = client.held(120)
    run.check(f"{there.held} of {n} are there", there.held == n, there)
    return client, there


with Run() as run:
    server = run.serve(run.who(f"policy = {args.policy}"), server={"workers": WORKERS})
    busy = busy_workers(run, server)
    wait_for(lambda: status(server)["totals"]["requests"] > 200, 10, "nobody is busy")
    first, there = come(run, server, args.connections)
    judge(run, server, f"{args.connections} while some workers are busier", shares(server, there.by_pid))

    victim = server.workers()[2]
    os.kill(victim, signal.SIGKILL)
    lost = there.by_pid.get(victim, 0)
    wait_for(lambda: len(pids(status(server))) == WORKERS and victim not in pids(status(server)), 15, "no successor")
    second, there = come(run, server, args.connections)
    judge(run, server, f"{args.connections} more after a worker has died with {lost}", open_ones(server))

    ends = [first.stop(), second.stop()]
    run.check(f"only those of the dead worker have failed: {ends[0].failed} of {lost}, and {ends[1].failed}",
              ends[0].failed + ends[0].shed <= lost + 1 and ends[1].failed == 0, "\n".join(map(str, ends)))
    for client in busy:
        end = client.stop()
        run.note(f"the busy ones: {end.answered} connections, {end.again} more requests, {end.failed} failed")
    time.sleep(0.2)
