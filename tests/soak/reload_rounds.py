#!/usr/bin/env python3
"""Thirty reloads under load with keep-alive connections and with new ones, at least 100,000 requests, none may fail;
then fifty reloads, bad and good ones in turn, each judged right."""
import os
import time

from broken import all_broken, good
from soak import Run, status, wait_for

RELOADS = 30
REQUESTS = 100_000
PAIRS = 25
LIMIT = 120  # seconds for all of it
BODY = len("round 00\n")


def greeting(number):
    return f"round {number:02d}"


def start_clients(run, server):
    """Steady, idle for a while, new each time, slow answers, large answers."""
    return [run.client(server, "/hello", "-c", 32, "-w", 5, "-b", BODY),
            run.client(server, "/hello", "-c", 16, "-w", 700, "-b", BODY),
            run.client(server, "/hello", "-c", 8, "-1", "-w", 2, "-b", BODY),
            run.client(server, "/slow?ms=300", "-c", 16),
            run.client(server, "/1m.bin", "-c", 4, "-w", 20, "-b", 1 << 20)]


def reload(run, server, number):
    """One good reload: 0, and everybody who comes now gets the new settings."""
    server.configure(good(greeting(number)))
    done = server.ctl("reload")
    texts = {server.get("/hello").text for _ in range(5)}
    if done.returncode == 0 and texts == {greeting(number) + "\n"}:
        return True
    run.note(f"reload {number}: exit code {done.returncode}, answers {texts}\n{done.stdout}{done.stderr}")
    return False


def refused(run, server, broken, number):
    broken.write(server, "bad and longer than all others")
    done = server.ctl("reload")
    if done.returncode == 78 and broken.word in done.stdout + done.stderr:
        return True
    run.note(f"{broken.name} after reload {number}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return False


def judge(run, clients, what):
    """Ends the clients; returns how many requests they have made."""
    total = 0
    for result in map(run.finish, clients):
        total += result.requests
        run.check(f"{what}: {result.what}: {result.requests} requests, {result.failed} failed, "
                  f"longest {result.longest_ms} ms", result.failed == 0 and result.ended_idle == 0, result)
    return total


def thirty_reloads(run, server):
    began = time.monotonic()
    start = status(server)["totals"]["requests"]
    clients = start_clients(run, server)
    good_ones = sum(reload(run, server, n) for n in range(1, RELOADS + 1))
    run.check(f"{good_ones} of {RELOADS} reloads went live ({time.monotonic() - began:.0f} s)", good_ones == RELOADS)
    wait_for(lambda: status(server)["totals"]["requests"] > start + REQUESTS * 1.02, LIMIT, "too few requests")
    total = judge(run, clients, "reloads")
    run.check(f"{total} requests over {RELOADS} reloads", total >= REQUESTS)


def bad_and_good(run, server):
    clients = start_clients(run, server)
    bad_ones = all_broken(run, server)
    right = 0
    for n in range(PAIRS):
        right += refused(run, server, bad_ones[n % len(bad_ones)], n)
        right += reload(run, server, RELOADS + 1 + n)
    run.check(f"{right} of {2 * PAIRS} reloads, bad and good in turn, judged right", right == 2 * PAIRS)
    judge(run, clients, "bad and good")


with Run() as run:
    server = run.serve(good(greeting(0)), www={"1m.bin": os.urandom(1 << 20)})
    master = server.pid
    thirty_reloads(run, server)
    bad_and_good(run, server)

    totals = status(server)["totals"]
    counts = totals["reloads"], totals["reloads_failed"]
    run.check(f"the server has counted {counts[0]} reloads and {counts[1]} refused", counts == (RELOADS + PAIRS, PAIRS))
    wait_for(lambda: len(server.workers()) == server.keys["workers"], 35, "old workers have not ended")
    run.check("the old workers have ended, the master is the same",
              server.process.poll() is None and server.pid == master)
