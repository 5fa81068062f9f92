#!/usr/bin/env python3
"""200 SIGKILLs of the worker that has the accept turn, under 2,000 connections a second: nobody else's connection is
refused, reset or unanswered, nobody waits for 10 ms because of it (from connect to the first byte), and the turn is
recovered exactly as often as a holder died. Then several at once: the holder with others, and with all others.

Who has the turn is read from the lock itself while its owner is stopped, and so are the connections that die with him
(holder.c)."""
import time

from soak import Kills, Run, options, pids, status, wait_for

WORKERS = 4
LIMIT_MS = 10.0

args = options(__doc__, kills=200, rate=2000, every=0.1)


def recovered(server):
    return status(server)["totals"]["turn_recovered"]


def all_back(server):
    wait_for(lambda: len(pids(status(server))) == WORKERS, 15, "not all workers have come back")


def judge(run, what, kills, end, before, server, limit_ms):
    all_back(server)
    strangers = kills.strangers(end.failures)
    stood = max(k["stopped_us"] for k in kills.all) / 1000
    worst = kills.worst_wait_ms(end)
    run.check(f"{what}: {end.begun} connections, {end.answered} answered, {end.failed} failed, {len(strangers)} of "
              f"them not the victims'", not strangers and end.answered + end.failed == end.begun,
              f"{strangers[:20]}\n{end}")
    run.note(f"{what}: from connect to the first byte {end.summary('service')}; since it was due {end.summary()}; "
             f"the client itself was late by {end.summary('late')}")
    text = f"{what}: worst wait {worst:.2f} ms, apart from the time that a victim stood before its death ({stood:.2f})"
    if limit_ms and worst >= limit_ms:
        blame(run, text, kills, end, limit_ms)
    elif limit_ms:
        run.check(text, True)
    else:
        run.note(text)
    kills.judge(run, what, recovered(server) - before)


def blame(run, text, kills, end, limit_ms):
    """Somebody waited too long: for a dead holder, or for a CPU? What a death causes comes at the deaths; the machine's
    own pauses come in the middle between two of them just as often. One in a hundred more is chance."""
    at_deaths, between = kills.disturbed(end, limit_ms), kills.disturbed(end, limit_ms, after=args.every / 2)
    run.note(f"{text}; CPU time taken from this machine meanwhile: {end.stolen_ms} ms")
    run.check(f"waits of {limit_ms:.0f} ms and more: at {at_deaths} of {len(kills.all)} deaths, and {between} times in the "
              "middle between two", at_deaths <= between + len(kills.all) / 100, end)


def one_at_a_time(run, server, holder):
    def attempt():
        before, kills = recovered(server), Kills()
        client = run.arrivals(server, "/who", "-p", "-r", args.rate)
        wait_for(lambda: status(server)["totals"]["connections"] > 0, 10, "there is no load")
        for _ in range(args.kills):
            time.sleep(args.every)
            kills.add([holder.kill_holder()])
        time.sleep(args.every)
        return client.stop(), kills, before

    end, kills, before = run.calmly(attempt, LIMIT_MS, quantile="max")
    judge(run, f"{args.kills} holders", kills, end, before, server, LIMIT_MS)


def several(run, server, holder, what, choose, times):
    """The holder and others, stopped and killed together."""
    before, kills = recovered(server), Kills()
    client = run.arrivals(server, "/who", "-p", "-r", args.rate / 4)
    for _ in range(times):
        all_back(server)
        stopped = holder.stop_holder()["pid"]
        kills.add(holder.kill(stopped, *choose([p for p in server.workers() if p != stopped])))
        time.sleep(args.every)
    judge(run, what, kills, client.stop(), before, server, None)


with Run() as run:
    server = run.serve(run.who(), server={"workers": WORKERS})
    master = server.pid
    holder = run.holder(server)
    one_at_a_time(run, server, holder)
    several(run, server, holder, "the holder and one more, 20 times", lambda others: others[:1], 20)
    several(run, server, holder, "all at once, 10 times", lambda others: others, 10)
    run.check("the master is the same", server.process.poll() is None and server.pid == master)
