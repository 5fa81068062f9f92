#!/usr/bin/env python3
"""SIGTERM with 500 requests of one second in flight: 500 answers, and the server is gone soon after the last."""
import signal
import time

from soak import Run, status, wait_for

CONNECTIONS = 500
LIMIT = 10  # seconds from the signal to the end of the server; the answers need one


def one_round(run, how, *options):
    server = run.serve(server={"workers": 2})
    client = run.client(server, "/slow?ms=1000", "-c", CONNECTIONS, "-n", CONNECTIONS, "-d", 30, *options)

    def all_in_flight():
        return status(server)["totals"]["connections"] >= CONNECTIONS + 1

    wait_for(all_in_flight, 5, f"there are never {CONNECTIONS} requests in flight")
    early = client.poll()
    start = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    result = run.finish(client, stop=False)
    code = server.wait(30)
    took = time.monotonic() - start
    run.check(f"{how}: TERM with {CONNECTIONS} requests in flight: {result.answered} answers, {result.failed} failed",
              early is None and result.answered == result.requests == CONNECTIONS and result.failed == 0, result)
    run.check(f"{how}: the server ends with 0 in {took:.1f} s", code == 0 and took < LIMIT, server.log()[-2000:])
    if not options:
        run.check(f"{how}: each answer announces the end of its connection", result.announced == CONNECTIONS, result)


with Run() as run:
    one_round(run, "keep-alive")
    one_round(run, "close", "-1")
