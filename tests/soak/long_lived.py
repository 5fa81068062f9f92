#!/usr/bin/env python3
"""Long-lived connections spread. 2,000 that stay, while some workers are busier than others: most by least at most 1.5.
After a worker has died and its successor has begun with none, 2,000 more: nobody has clearly more than the mean (what a
worker may have with pick = ring); with pick = least the newcomers have filled the gap, again most by least.

--policy: of [accept]."""
import os
import signal

from soak import Run, options, pids, shares, spread, status, wait_for

WORKERS = 8
RATIO = 1.5
HEAVY = 1.25 + 0.05  # times the mean: from there on a worker does not want the turn
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


def two_thousand(run, pick):
    server = run.serve(run.who(f"policy = {args.policy}\npick = {pick}"), server={"workers": WORKERS})
    busy = busy_workers(run, server)
    wait_for(lambda: status(server)["totals"]["requests"] > 200, 10, "nobody is busy")
    first, there = come(run, server, args.connections)
    judge(run, server, f"{pick}: {args.connections} while some workers are busier", shares(server, there.by_pid))
    for client in busy:
        end = client.stop()
        run.check(f"{pick}: the busy ones: {end.answered} connections, {end.again} more requests, {end.failed} failed",
                  end.failed == 0 and end.answered > 0, end)
    lost = lose_one(server, there)
    second, _ = come(run, server, args.connections)
    what = f"{pick}: {args.connections} more after a worker has died with {lost}"
    if pick == "least":
        judge(run, server, what, open_ones(server))
    else:
        judge_heaviest(run, what, open_ones(server))
    ends = [first.stop(), second.stop()]
    run.check(f"{pick}: only those of the dead worker have ended: {ends[0].failed + ends[0].shed} of {lost}, "
              f"{ends[1].failed} of the others",
              ends[0].failed + ends[0].shed <= lost + 1 and ends[1].failed + ends[1].shed == 0,
              "\n".join(map(str, ends)))
    server.stop()


def lose_one(server, there):
    """Kills a worker, waits for its successor; returns how many of ours it had."""
    victim = server.workers()[2]
    os.kill(victim, signal.SIGKILL)
    wait_for(lambda: len(pids(status(server))) == WORKERS and victim not in pids(status(server)), 15, "no successor")
    return there.by_pid.get(victim, 0)


def judge_heaviest(run, what, counts):
    mean = sum(counts) / len(counts)
    run.check(f"{what}: the most is {max(counts) / mean:.2f} of the mean, of {counts}", max(counts) <= HEAVY * mean)


with Run() as run:
    two_thousand(run, "ring")
    two_thousand(run, "least")
