#!/usr/bin/env python3
"""Workers are killed with SIGKILL under load: at random, the one whose turn it is, all at once. The server must
answer again within a second each time and never wrong, only connections of those who were killed may fail, the turn is
recovered as often as one died with it, counters never go back, no worker stays stuck or missing."""
import random
import time

from soak import Kills, Prober, Run, pids, status, wait_for

WORKERS = 4
SECONDS = 20      # of killing at random
EVERY = 0.05
OWNERS = 20       # kills of the worker whose turn it is, under load and again without
ALL = 10          # times all at once
LIMIT = 1.0       # seconds until somebody answers
BACK = 15         # seconds until all workers are there; the delay between starts may have grown to 5


def all_back(server, victims=()):
    """Waits until the victims are gone and all workers are there and ready again."""
    def complete():
        there = server.workers()
        return not set(victims) & set(there) and len(there) == WORKERS and pids(status(server)) == set(there)

    start = time.monotonic()
    wait_for(complete, BACK, "not all workers have come back")
    return time.monotonic() - start


def killed_at_random(run, server, prober, holder, kills):
    prober.reset()
    start, before = time.monotonic(), len(kills.all)
    for turn in range(int(SECONDS / EVERY)):
        time.sleep(max(0.0, start + turn * EVERY - time.monotonic()))
        workers = server.workers()
        if workers:
            kills.add(holder.kill(random.choice(workers)))
    silence, done = prober.silence(), len(kills.all) - before
    run.check(f"{done} workers killed in {SECONDS} s: answering again within {LIMIT} s each time "
              f"(longest silence {silence:.3f} s)", done > SECONDS / EVERY / 2 and silence < LIMIT)
    run.check(f"all {WORKERS} workers are back", all_back(server) < BACK)


def killed_in_their_turn(run, server, prober, holder, kills, when):
    worst = 0.0
    for _ in range(OWNERS):
        prober.reset()
        killed = holder.kill_holder()
        kills.add([killed])
        all_back(server, [killed["pid"]])
        worst = max(worst, prober.silence())
    run.check(f"the worker whose turn it is killed {OWNERS} times {when} (longest silence {worst:.3f} s)",
              worst < LIMIT)


def all_killed_at_once(run, server, prober, holder, kills):
    worst = 0.0
    for _ in range(ALL):
        prober.reset()
        victims = server.workers()
        kills.add(holder.kill(*victims))
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


def end_load(run, load, kills):
    """No wrong answer, and nobody has failed but by the death of a worker that had accepted him."""
    end = load.stop()
    strangers = kills.strangers(end.failures)
    run.check(f"{end.answered} connections answered, {end.failed} failed, {len(strangers)} of them not the victims', "
              f"{end.faults.get('wrong answer', 0)} answers wrong",
              end.answered > 1000 and not strangers and "wrong answer" not in end.faults, f"{strangers[:20]}\n{end}")


with Run() as run:
    server = run.serve(run.who(), server={"workers": WORKERS})
    master = server.pid
    prober, holder, kills = Prober(server), run.holder(server), Kills()
    load = run.arrivals(server, "/who", "-p", "-c", 64)
    killed_at_random(run, server, prober, holder, kills)
    killed_in_their_turn(run, server, prober, holder, kills, "under load")
    all_killed_at_once(run, server, prober, holder, kills)
    end_load(run, load, kills)
    killed_in_their_turn(run, server, prober, holder, kills, "without load")
    everybody_accepts(run, server)
    prober.stop()
    run.check(f"no counter went back in {prober.monotone.looks} looks", not prober.monotone.backwards,
              "\n".join(prober.monotone.backwards))
    kills.judge(run, "in all", status(server)["totals"]["turn_recovered"])
    run.check("the master is the same", server.process.poll() is None and server.pid == master)
