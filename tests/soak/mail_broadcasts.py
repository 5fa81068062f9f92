#!/usr/bin/env python3
"""50,000 broadcasts while workers are killed and the server is reloaded at random: the log of each incarnation is a run
of numbers without a gap, except where it has logged that something is lost.

--messages: so many broadcasts"""
import contextlib
import http.client
import os
import random
import signal
import threading
import time

from soak import Run, options, wait_for

from lib.mail import Mail, build

WORKERS = 4
AT_ONCE = 50

args = options(__doc__, messages=50_000)


class Publisher(threading.Thread):
    """Asks whichever worker takes the connection to publish some more."""

    def __init__(self, server, messages):
        super().__init__(daemon=True)
        self.server, self.messages, self.taken, self.error = server, messages, 0, None
        self.start()

    def run(self):
        while self.taken < self.messages:
            with contextlib.suppress(OSError, http.client.HTTPException, EOFError):
                r = self.server.post("/mail", f"flood a all {AT_ONCE} 100".encode())
                if r.status != 200:
                    self.error = str(r)
                    return
                self.taken += int(r.text.split()[0])
            time.sleep(0.01)


def disturb(server, publisher):
    """Kills and reloads until all is published."""
    kills = reloads = failed = 0
    next_reload = time.monotonic() + 1
    while publisher.is_alive():
        time.sleep(random.uniform(0.01, 0.1))
        workers = server.workers()
        if workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(random.choice(workers), signal.SIGKILL)
                kills += 1
        if time.monotonic() > next_reload:
            failed += server.ctl("reload").returncode != 0
            reloads += 1
            next_reload = time.monotonic() + random.uniform(0.5, 2)
    return kills, reloads, failed


def judge(events):
    """(faults, messages, lost, last number) of one incarnation's log."""
    faults, n, lost, due = [], 0, 0, None
    for e in events:
        if e.what != "msg" or e.topic != "a":
            continue
        lost += e.lost
        if e.lost and not e.len:
            due = due + e.lost if due else None
            continue
        if due and e.number != due:
            faults.append(f"{due} was due: {e}")
        if e.data.startswith("torn"):
            faults.append(f"torn: {e}")
        due, n = e.number + 1, n + 1
    return faults, n, lost, due - 1 if due else 0


def live(mail):
    """(slot, incarnation) of all that live and do not drain."""
    there = set(mail.server.workers()) | {mail.server.primary()}
    return [(slot, n) for slot in mail.slots() for n in mail.incarnations(slot)[-1:]
            if any(e.what == "start" and e.pid in there for e in mail.events(slot, n))]


with Run() as run:
    mail = Mail(run.serve, {"mail": build(run.folder)}, workers=WORKERS, server={"drain_timeout": "2s"})
    server = mail.server
    publisher = Publisher(server, args.messages)
    kills, reloads, failed = disturb(server, publisher)
    run.check(f"{publisher.taken} broadcasts, {kills} kills, {reloads} reloads, {failed} of them failed",
              publisher.taken >= args.messages and not publisher.error and kills >= args.messages // 1000 and reloads > 0
              and not failed, publisher.error)
    wait_for(lambda: len(live(mail)) == WORKERS + 1 and len(server.workers()) == WORKERS, 30, "not all have come back")
    wait_for(lambda: server.post("/mail", b"pub a all the end").text == "0", 20)
    ends = {}
    for slot, n in live(mail):
        wait_for(lambda slot=slot, n=n: "the end" in mail.data(slot, "a", incarnation=n), 30,
                 f"{slot}.{n} has not had the last one")
    faults, messages, lost, incarnations = [], 0, 0, 0
    for slot in mail.slots():
        for n in mail.incarnations(slot):
            bad, count, missed, ends[slot, n] = judge(mail.events(slot, n))
            faults += [f"{slot}.{n}: {text}" for text in bad]
            messages, lost, incarnations = messages + count, lost + missed, incarnations + 1
    run.check(f"{messages} deliveries to {incarnations} incarnations: {len(faults)} gaps or torn ones, {lost} reported "
              "as lost", messages > args.messages and not faults, "\n".join(faults[:30]))
    lasts = {ends[at] for at in live(mail)}
    run.check(f"all that live have had the last one, which has a number up to what was taken: {lasts}",
              len(lasts) == 1 and 0 < lasts.pop() <= publisher.taken + AT_ONCE * kills + 1)
    mail.end()
