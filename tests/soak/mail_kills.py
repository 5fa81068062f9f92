#!/usr/bin/env python3
"""Workers and the primary are killed at random while all of them publish to all as fast as that goes: 1,000 kills under
10 million messages. No gap that is not reported, no message torn, none out of order.

--messages, --kills: both are reached. --seconds: no longer than that, with as many kills in proportion."""
import os
import random
import signal
import time

from soak import Run, options
from storm import Storm

WORKERS = 3

args = options(__doc__, messages=10_000_000, kills=1_000, seconds=80)


def storm_of_kills(storm):
    """Kills are spread evenly over the messages, and over the time, whichever is further."""
    start, killed, messages = time.monotonic(), set(), 0
    while messages < args.messages or len(killed) < args.kills:
        passed = time.monotonic() - start
        if passed > args.seconds:
            break
        if len(killed) < args.kills * max(messages / args.messages, passed / args.seconds):
            alive = [p for p in storm.pids() if p not in killed]
            if alive:
                victim = random.choice(alive)
                try:
                    os.kill(victim, signal.SIGKILL)
                    killed.add(victim)
                except ProcessLookupError:
                    pass
        else:
            time.sleep(0.002)
            messages = storm.last()
    return len(killed), time.monotonic() - start


with Run() as run:
    storm = Storm(run, WORKERS, window=1000)
    kills, seconds = storm_of_kills(storm)
    ends = storm.quiet()
    messages = ends[0].last
    run.check(f"{messages} messages and {kills} kills in {seconds:.0f} s, of {args.messages} and {args.kills}",
              messages >= args.messages and kills >= args.kills)
    run.check("all that live have had the last message", len({r.last for r in ends}) == 1 and len(ends) == WORKERS + 1)
    records = storm.judge("in all")
    storm.judge_primary(records)
    lost = sum(r.lost for r in records)
    run.check(f"{lost} reported as lost: only to primaries, at most one a death",
              all(r.lost == 0 for r in records if r.slot) and lost <= kills)
    run.check("the master is the same", storm.server.process.poll() is None)
