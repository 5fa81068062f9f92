#!/usr/bin/env python3
"""Hundreds of reloads under load, bad ones of all kinds and good ones in turn: each is judged right, and no request fails.

--rounds: how many, half of them bad."""
import os

from soak import Run, Server, options, wait_for

from lib.verdicts import BAD, Rounds

args = options(__doc__, rounds=400)
BODY = len("no trick")


def descriptors(server):
    return len(os.listdir(f"/proc/{server.pid}/fd"))


with Run() as run:
    server = Server()
    run.servers.append(server)
    rounds = Rounds(server, run.folder)
    server.start()
    held = descriptors(server)
    clients = [run.client(server, "/tricks", "-c", 8, "-w", 20, "-b", BODY),
               run.client(server, "/tricks", "-c", 4, "-1", "-w", 20, "-b", BODY)]
    for begin in range(0, args.rounds, 2 * len(BAD)):
        n = min(2 * len(BAD), args.rounds - begin)
        rounds.faults = []
        faults = rounds.go(n)
        run.check(f"{n} reloads from {begin + 1} on: {len(faults)} judged wrong", not faults, "\n".join(faults[:10]))
    for result in map(run.finish, clients):
        run.check(f"{result.what}: {result.requests} requests, {result.failed} failed", result.failed == 0, result)
    wait_for(lambda: len(server.workers()) == 2, 60, "old workers have not ended")
    run.check("no process is left over", not [p for p in server.ours() if p not in server.workers() and p != server.pid])
    run.check(f"the master had {held} descriptors and has {descriptors(server)}", descriptors(server) <= held)
