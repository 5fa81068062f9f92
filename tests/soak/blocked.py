#!/usr/bin/env python3
"""A worker that is held up for 200 ms by a handler, again and again, holds up nobody else: 99 of 100 new connections
have their answer within 10 ms. On an idle server they have it within 2 ms.

Judged from connect to the first byte: the client never waits for the server before it connects, so what it is late by
is its own."""
from soak import Run, options

BLOCK_MS = 200
RATE = 500
LIMIT_MS = 10.0
IDLE_MS = 2.0

args = options(__doc__, seconds=8, policy="turn")


def idle(run, server):
    end = run.calmly(lambda: run.arrivals(server, "/who", "-p", "-r", 50, "-n", 50 * args.seconds).result(), IDLE_MS)
    run.check(f"idle, 50 a second: from connect to the first byte {end.summary('service')}",
              end.service_us["p99"] <= IDLE_MS * 1000 and end.failed == 0, end)


def blocked(run, server, blockers, judged):
    def attempt():
        busy = [run.arrivals(server, f"/who?block={BLOCK_MS}", "-p", "-c", 1, "-d", args.seconds + 1)
                for _ in range(blockers)]
        end = run.arrivals(server, "/who", "-p", "-r", RATE, "-n", RATE * args.seconds).result()
        return end, [b.result() for b in busy]

    end, blocks = run.calmly(attempt, LIMIT_MS, 3 if judged else 1)
    times = sum(b.answered for b in blocks)
    text = (f"{blockers} of 4 workers held up {times} times: from connect to the first byte {end.summary('service')}; "
            f"since it was due {end.summary()}")
    good = end.service_us["p99"] < LIMIT_MS * 1000 and end.failed == 0 and all(b.failed == 0 for b in blocks)
    if judged:
        run.check(text, good and times >= blockers * args.seconds * 3, end)
    else:
        run.note(text)


with Run() as run:
    server = run.serve(run.who(f"policy = {args.policy}"), server={"workers": 4})
    idle(run, server)
    blocked(run, server, 1, True)
    blocked(run, server, 2, False)
