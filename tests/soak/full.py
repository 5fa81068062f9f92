#!/usr/bin/env python3
"""More clients than there is room for: 200 of them at 64 places (16 for each of 4 workers). Nobody hangs and nobody is
reset: who comes later makes those leave that idle, and gets 503 with Retry-After where all are busy. The same when the
workers are out of descriptors. Afterwards the counters add up.

--policy: of [accept]."""
import re
import time

from soak import Run, deadline, grown, options, status, wait_for

WORKERS = 4
EACH = 16
PLACES = WORKERS * EACH
CLIENTS = 200
SLOW_MS = 2000

args = options(__doc__, policy="turn")


def alone(server):
    """Only the one who asks is connected; also where the gauge takes a moment."""
    try:
        wait_for(lambda: status(server)["totals"]["connections"] == 1, 5)
        return True
    except AssertionError:
        return False


def idle_ones_leave(run, server, what):
    """Each comes, is answered, and stays: the 65th makes the first one leave."""
    before = status(server)
    client = run.arrivals(server, "/who", "-p", "-k", "-n", CLIENTS, "-c", 4)
    there = client.held()
    open_now = status(server)["totals"]["connections"]
    end = client.stop()
    run.check(f"{what}: {end.answered} of {CLIENTS} answered, {end.busy} got 503, {end.failed} failed, {end.shed} "
              f"left while idle, {there.held} stayed; longest wait {end.ms('wait', 'max'):.0f} ms",
              end.answered == CLIENTS and end.busy == 0 and end.failed == 0 and end.wait_us["max"] < 1_000_000, end)
    return before, end, open_now, there.held


def idle(run, server):
    before, end, open_now, held = idle_ones_leave(run, server, "all idle")
    run.check(f"all idle: {held} stayed at {PLACES} places, the server says {open_now}",
              PLACES - WORKERS <= held <= PLACES and held <= open_now <= PLACES)
    run.check("all idle: the connections end", alone(server))
    change = grown(before, status(server))
    # To ask for the numbers took places too, each of which an idle one may have had to leave.
    asked = change["accepts"] - CLIENTS
    run.check(f"all idle: {change['accepts']} accepts, {asked} of them by this script; {change['limit_connections']} "
              f"times the limit is counted, {end.shed} have left", 0 <= asked <= 60 and
              end.shed <= change["limit_connections"] <= end.shed + asked, change)


def busy(run, server):
    """Each has a request in the works: those without a place are told to come again."""
    before = status(server)
    client = run.arrivals(server, f"/slow?ms={SLOW_MS}", "-n", CLIENTS, "-c", CLIENTS, "-t", 3 * SLOW_MS)
    time.sleep(SLOW_MS / 2000)
    end = client.result()
    run.check(f"all busy: {end.answered} answered, {end.busy} got 503 with Retry-After, {end.failed} failed",
              end.answered + end.busy == CLIENTS and end.answered == PLACES and end.failed == 0, end)
    run.check("all busy: the connections end", alone(server))
    change = grown(before, status(server))
    refused = change["limit_connections"]
    run.check(f"all busy: {change['accepts']} accepts are counted, {refused} times the limit",
              change["accepts"] >= CLIENTS and refused == end.busy, change)


def mixed(run, server):
    """Some idle, some busy, some come and go; for a while."""
    before = status(server)
    kept = run.arrivals(server, "/who", "-p", "-k", "-n", CLIENTS, "-c", 8, "-t", 8000)
    slow = run.arrivals(server, "/slow?ms=300", "-c", PLACES // 2, "-d", 4, "-t", 8000)
    short = run.arrivals(server, "/who", "-p", "-r", 300, "-d", 4, "-t", 8000)
    ends = [c.result() if c is not kept else c.stop() for c in (slow, short, kept)]
    for name, end in zip(("slow", "short", "kept"), ends):
        run.check(f"mixed, {name}: {end.begun} begun, {end.answered} answered, {end.busy} got 503, {end.shed} left, "
                  f"{end.failed} failed, longest wait {end.ms('wait', 'max'):.0f} ms",
                  end.answered + end.busy == end.begun and end.failed == 0 and end.answered > 0, end)
    run.check("mixed: the connections end", alone(server))
    change = grown(before, status(server))
    begun = sum(e.begun for e in ends)
    left, turned_away = sum(e.shed for e in ends), sum(e.busy for e in ends)
    asked = change["accepts"] - begun
    run.check(f"mixed: {begun} connections, {change['accepts']} accepts; limit counted {change['limit_connections']} "
              f"times, {turned_away} got 503, {left} left", 0 <= asked <= 60 and
              left + turned_away <= change["limit_connections"] <= left + turned_away + asked, change)


def out_of_descriptors(run):
    """No limit in the settings, but each worker may have only some more descriptors than it has."""
    server = run.serve(run.who(f"policy = {args.policy}"), server={"workers": WORKERS})
    idle_ones_leave(run, server, "room for all")
    wait_for(lambda: alone(server), 5)
    short = set()
    for _ in deadline(10, "not each worker has been reached"):
        short.add(int(server.get(f"/who?leave={EACH}").text.split()[1]))
        if len(short) == WORKERS:
            break
    before, end, open_now, held = idle_ones_leave(run, server, "out of descriptors")
    run.check(f"out of descriptors: {held} stayed, the server says {open_now}",
              PLACES // 2 <= held <= PLACES + WORKERS)
    client = run.arrivals(server, f"/slow?ms={SLOW_MS}", "-n", CLIENTS, "-c", CLIENTS, "-t", 15000)
    late = client.result()
    run.check(f"out of descriptors, all busy: {late.answered} answered, {late.busy} got 503, {late.failed} failed, "
              f"longest wait {late.ms('wait', 'max'):.0f} ms",
              late.answered + late.busy == CLIENTS and late.failed == 0, late)
    run.check("out of descriptors: the connections end", alone(server))
    change = grown(before, status(server))
    run.check(f"out of descriptors: {change['accepts']} accepts, {change['accept_full']} pauses are counted",
              change["accepts"] >= 2 * CLIENTS and change["accept_full"] > 0, change)
    told = len(re.findall(r"not accepting|descriptors", server.log()))
    run.check(f"out of descriptors: the log tells of it, {told} times", 1 <= told <= WORKERS * 4, server.log()[-2000:])
    again = run.arrivals(server, "/who", "-p", "-n", 200, "-c", 4).result()
    run.check(f"out of descriptors: afterwards {again.answered} of 200 are answered", again.answered == 200, again)


with Run() as run:
    server = run.serve(run.who(f"policy = {args.policy}"), server={"workers": WORKERS},
                       limits={"max_connections": EACH})
    idle(run, server)
    busy(run, server)
    mixed(run, server)
    server.stop()
    out_of_descriptors(run)
