#!/usr/bin/env python3
"""A hundred SIGKILLs under load: in every look at the status page no counter is lower than before, none of what the
clients have counted is missing, and the number of open connections returns to the truth."""
import os
import random
import signal

from soak import Prober, Run, pids, status, wait_for

WORKERS = 3
KILLS = 100
CONNECTIONS = 40  # of the clients: a worker that dies may take that many answers with it uncounted

with Run() as run:
    server = run.serve(server={"workers": WORKERS})
    prober = Prober(server)
    clients = [run.client(server, "/hello", "-c", CONNECTIONS - 8), run.client(server, "/hello", "-c", 8, "-1")]
    killed = set()  # a second signal to one that is dying is no second death
    while len(killed) < KILLS:
        workers = wait_for(server.workers, 10, "there is no worker")
        seen = prober.monotone.looks
        try:
            victim = random.choice(workers)
            os.kill(victim, signal.SIGKILL)
            killed.add(victim)
        except ProcessLookupError:
            continue
        wait_for(lambda: prober.monotone.looks >= seen + 3 or prober.error, 15, "the status page is not answered")
    results = [run.finish(c) for c in clients]
    prober.stop()

    run.check(f"no counter went back in {prober.monotone.looks} looks, {KILLS} kills", not prober.monotone.backwards,
              "\n".join(prober.monotone.backwards))
    wait_for(lambda: len(pids(status(server))) == WORKERS, 15, "not all workers have come back")

    def connections():
        return status(server)["totals"]["connections"]

    try:
        wait_for(lambda: connections() == 1, 5)
        good = True
    except AssertionError:
        good = False
    run.check("when the load has gone only the connection that asks is open", good, f"connections: {connections()}")

    totals = status(server)["totals"]
    answered = sum(r.answered for r in results) + prober.monotone.looks
    counted = totals["responses_2xx"]
    run.check(f"the server has counted what it has answered: {counted} for {answered}",
              answered - KILLS * CONNECTIONS <= counted, "\n".join(map(str, results)))
    run.check(f"{totals['worker_crashes']} crashes are counted", totals["worker_crashes"] >= KILLS, totals)
