#!/usr/bin/env python3
"""A hundred SIGKILLs under load: in every look at the status page and at /metrics no counter is lower than before, none
of what the clients have counted is missing, and the number of open connections returns to the truth."""
import os
import random
import signal
import threading
import traceback

from soak import MODULES, Prober, Run, pids, status, wait_for

from lib.exposition import OPEN, PLAIN, Exposition

WORKERS = 3
KILLS = 100
CONNECTIONS = 40  # of the clients: a worker that dies may take that many answers with it uncounted

METRICS = """
    [module:metrics]

    [route:metrics]
    match = = /metrics
    handler = metrics
"""


class Scraper(threading.Thread):
    """Asks for /metrics again and again, in turns of both formats; every series of each scrape is compared."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.seen, self.backwards = server, {}, []
        self.scrapes, self.done, self.error = 0, False, None
        self.start()

    def run(self):
        try:
            while not self.done:
                self.scrape()
        except Exception:
            self.error = traceback.format_exc()

    def scrape(self):
        try:
            with self.server.connect() as c:
                c.sock.settimeout(2)
                accept = (OPEN if self.scrapes % 2 else PLAIN).encode()
                c.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: " + accept + b"\r\nConnection: close\r\n\r\n")
                r = c.response()
        except (OSError, EOFError):
            return  # its worker was the victim
        assert r.status == 200
        now = dict(Exposition(r).grows())
        self.backwards += [f"{key}: {value} then {now.get(key)}" for key, value in self.seen.items()
                           if now.get(key, -1) < value]
        self.seen = now
        self.scrapes += 1

    def stop(self):
        self.done = True
        self.join(10)
        if self.error:
            raise AssertionError(f"the scraper stopped:\n{self.error}")


with Run() as run:
    server = run.serve(MODULES + METRICS, server={"workers": WORKERS})
    prober, scraper = Prober(server), Scraper(server)
    clients = [run.client(server, "/hello", "-c", CONNECTIONS - 8), run.client(server, "/hello", "-c", 8, "-1")]
    killed = set()  # a second signal to one that is dying is no second death
    while len(killed) < KILLS:
        workers = wait_for(server.workers, 10, "there is no worker")
        seen, scrapes = prober.monotone.looks, scraper.scrapes
        try:
            victim = random.choice(workers)
            os.kill(victim, signal.SIGKILL)
            killed.add(victim)
        except ProcessLookupError:
            continue
        wait_for(lambda: prober.monotone.looks >= seen + 3 or prober.error, 15, "the status page is not answered")
        wait_for(lambda: scraper.scrapes >= scrapes + 2 or scraper.error, 15, "/metrics is not answered")
    results = [run.finish(c) for c in clients]
    prober.stop()
    scraper.stop()

    run.check(f"no counter went back in {prober.monotone.looks} looks, {KILLS} kills", not prober.monotone.backwards,
              "\n".join(prober.monotone.backwards))
    run.check(f"no series of /metrics went back or vanished in {scraper.scrapes} scrapes", not scraper.backwards,
              "\n".join(scraper.backwards))
    wait_for(lambda: len(pids(status(server))) == WORKERS, 15, "not all workers have come back")

    def connections():
        return status(server)["totals"]["connections"]

    try:
        wait_for(lambda: connections() == 1, 5)
        good = True
    except AssertionError:
        good = False
    run.check("when the load has gone only the connection that asks is open", good, f"connections: {connections()}")

    def look():
        return Exposition(server.get("/metrics"))

    try:
        wait_for(lambda: look().sum("cserver_connections") == 1, 5)
        good = True
    except AssertionError:
        good = False
    m = look()
    run.check("/metrics says the same", good, f"connections: {m.sum('cserver_connections')}")
    run.check("as many workers live as there should be", m.sum("cserver_worker_up") == WORKERS)

    totals = status(server)["totals"]
    answered = sum(r.answered for r in results) + prober.monotone.looks + scraper.scrapes
    counted = totals["responses_2xx"]
    run.check(f"the server has counted what it has answered: {counted} for {answered}",
              answered - KILLS * CONNECTIONS <= counted, "\n".join(map(str, results)))
    run.check(f"{totals['worker_crashes']} crashes are counted", totals["worker_crashes"] >= KILLS, totals)
