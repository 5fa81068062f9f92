#!/usr/bin/env python3
"""Workers are killed with SIGKILL under load: at random, the one whose turn it is, all at once. The server must
answer again within a second each time, its counters never go back, no worker stays stuck or missing."""
import os
import random
import signal
import time

from soak import Prober, Run, pids, status, wait_for

WORKERS = 4
SECONDS = 20      # of killing at random
EVERY = 0.05
OWNERS = 20       # kills of the worker whose turn it is, under load and again without
ALL = 10          # times all at once
LIMIT = 1.0       # seconds until somebody answers
BACK = 15         # seconds until all workers are there; the delay between starts may have grown to 5


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
        return True
    except ProcessLookupError:
        return False


def all_back(server, victims=()):
    """Waits until the victims are gone and all workers are there and ready again."""
    def complete():
        there = server.workers()
        return not set(victims) & set(there) and len(there) == WORKERS and pids(status(server)) == set(there)

    start = time.monotonic()
    wait_for(complete, BACK, "not all workers have come back")
    return time.monotonic() - start


def killed_at_random(run, server, prober):
    prober.reset()
    start, kills = time.monotonic(), 0
    for turn in range(int(SECONDS / EVERY)):
        time.sleep(max(0.0, start + turn * EVERY - time.monotonic()))
        workers = server.workers()
        if workers:
            kills += kill(random.choice(workers))
    silence = prober.silence()
    run.check(f"{kills} workers killed in {SECONDS} s: answering again within {LIMIT} s each time "
              f"(longest silence {silence:.3f} s)", kills > SECONDS / EVERY / 2 and silence < LIMIT)
    run.check(f"all {WORKERS} workers are back", all_back(server) < BACK)


def owner(numbers):
    """The pid of the worker whose turn it is, None while the turn is between two."""
    holder = numbers["turn_owner"]
    return next((w["pid"] for w in numbers["workers"] if w["worker"] == holder), None)


def killed_in_their_turn(run, server, prober, when):
    worst, killed = 0.0, 0
    for _ in range(OWNERS * 10):
        victim = owner(status(server))
        prober.reset()
        if victim and kill(victim):
            killed += 1
            all_back(server, [victim])
            worst = max(worst, prober.silence())
        if killed == OWNERS:
            break
    run.check(f"the worker whose turn it is killed {killed} times {when} (longest silence {worst:.3f} s)",
              killed == OWNERS and worst < LIMIT)


def all_killed_at_once(run, server, prober):
    worst = 0.0
    for _ in range(ALL):
        prober.reset()
        victims = server.workers()
        for pid in victims:
            kill(pid)
        all_back(server, victims)
        worst = max(worst, prober.silence())
    run.check(f"all workers killed at once {ALL} times (longest silence {worst:.3f} s)", worst < LIMIT)


def everybody_accepts(run, server):
    """None is stuck: with connections held open, each worker takes some."""
    before = {w["worker"]: w["accepts"] for w in status(server)["workers"]}
    held = []

    def all_have_accepted():
        held.extend(server.connect() for _ in range(20))
        after = {w["worker"]: w["accepts"] for w in status(server)["workers"]}
        return after.keys() == before.keys() and all(after[w] > before[w] for w in before)

    try:
        wait_for(all_have_accepted, 10)
        good = True
    except AssertionError:
        good = False
    for c in held:
        c.close()
    run.check("each worker accepts connections afterwards", good, status(server))


with Run() as run:
    server = run.serve(server={"workers": WORKERS})
    master = server.pid
    prober = Prober(server)
    load = run.wrk(server, "/hello", 64, 600)
    killed_at_random(run, server, prober)
    killed_in_their_turn(run, server, prober, "under load")
    all_killed_at_once(run, server, prober)
    load.kill()
    killed_in_their_turn(run, server, prober, "without load")
    everybody_accepts(run, server)
    prober.stop()
    run.check(f"no counter went back in {prober.monotone.looks} looks", not prober.monotone.backwards,
              "\n".join(prober.monotone.backwards))
    recovered = status(server)["totals"]["turn_recovered"]
    run.check(f"the turn of dead workers was taken over ({recovered} times)", recovered > 0)
    run.check("the master is the same", server.process.poll() is None and server.pid == master)
