#!/usr/bin/env python3
"""The load is even: 2,000 connections over 8 workers, kept or short, coming slowly or as fast as they can, max/min at
most 1.5; and Jain's index of what 4 workers accept at 1 %, 50 % and 100 % of what they can do is at least 0.97.

--full: 10,000 connections everywhere; --policy: of [accept]."""
from soak import Run, jain, options, shares, spread, status

RATIO = 1.5
JAIN = 0.97
CLIENTS = 64  # at once, where they come as fast as they can

args = options(__doc__, full=False, policy="turn")


def one_spread(run, server, what, n, *how):
    """A row with a share for each worker; -k: they stay."""
    before = status(server)["totals"]["accepts"]
    client = run.arrivals(server, "/who", "-p", "-n", n, *how)
    if "-k" in how:
        held = client.held().held
        open_ones = [w["connections"] for w in status(server)["workers"]]
        run.check(f"{what}: {held} of {n} are there, the workers say {sum(open_ones)}",
                  held == n and n <= sum(open_ones) <= n + 1)
        end = client.stop()
    else:
        end = client.result()
    accepts = status(server)["totals"]["accepts"] - before
    counts = shares(server, end.by_pid)
    run.check(f"{what}: max/min {spread(counts):.2f} of {counts}", spread(counts) <= RATIO)
    run.check(f"{what}: {end.answered} of {n} answered, {end.failed} failed, {accepts} accepts are counted",
              end.answered == n and end.failed == 0 and n <= accepts <= n + 3, end)


def eight_workers(run):
    server = run.serve(run.who(f"policy = {args.policy}"), server={"workers": 8})
    short = 10_000 if args.full else 2_000
    one_spread(run, server, "kept, 250 a second", 2_000, "-k", "-r", 250)
    one_spread(run, server, "kept, at full rate", 2_000, "-k", "-c", CLIENTS)
    one_spread(run, server, f"short, {short // 8} a second", short, "-r", short // 8)
    one_spread(run, server, "short, at full rate", short, "-c", CLIENTS)
    server.stop()


def four_workers(run):
    """Equal requests; 100 % is a closed loop, the other loads are parts of the rate that came out of it."""
    server = run.serve(run.who(f"policy = {args.policy}"), server={"workers": 4})
    full_rate = None
    for percent in (100, 50, 1):
        n = 10_000 if args.full or percent > 1 else 1_500
        if full_rate is None:
            how, name = ("-c", CLIENTS), "100 %"
        else:
            how = ("-r", max(1, int(full_rate * percent / 100)))
            name = f"{percent} %, {how[1]} a second"
        end = run.arrivals(server, "/who", "-p", "-n", n, *how).result(600)
        full_rate = full_rate or end.answered / end.seconds
        counts = shares(server, end.by_pid)
        run.check(f"{name}: Jain {jain(counts):.4f} of {counts}, {end.failed} failed, wait {end.summary()}",
                  jain(counts) >= JAIN and end.answered == n and end.failed == 0, end)
    server.stop()


with Run() as run:
    eight_workers(run)
    four_workers(run)
