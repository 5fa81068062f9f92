#!/usr/bin/env python3
"""numReqs under full load while workers and the primary are killed and the settings reloaded: it never goes back, it is the
sum of what the workers have counted (with messages: or were reported lost), and it differs from what the clients got by
no more than the requests that were under way when somebody was killed."""
import os
import random
import re
import signal
import time

from soak import Run, options, wait_for

WORKERS = 4
CONNECTIONS = 64
CONF = """
    [module:@NAME@]
    interval = 20ms
    [module:metrics]

    [route:count]
    match = = /count
    handler = @NAME@

    [route:metrics]
    match = = /metrics
    handler = metrics
"""


def said(server):
    return [int(n) for n in re.findall(r"numReqs = (\d+)", server.log())]


def metric(server, name):
    return sum(int(float(v)) for v in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", server.get("/metrics").text, re.M))


def at_rest(server):
    """numReqs when ten lines in a row say the same."""
    def rest():
        last = said(server)[-10:]
        return last[-1] if len(last) == 10 and len(set(last)) == 1 else None

    start = len(said(server))
    wait_for(lambda: len(said(server)) >= start + 10, 30, "the primary is silent")
    return wait_for(rest, 30, "numReqs does not come to rest")


def kill_at_random(server, seconds):
    """Kills a worker or the primary about ten times a second, reloads now and then."""
    workers = primaries = reloads = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        primary, others = server.primary(), server.workers()
        victim = primary if primary and random.random() < 0.3 else random.choice(others or [0])
        if victim:
            os.kill(victim, signal.SIGKILL)
            primaries += victim == primary
            workers += victim != primary
        if random.random() < 0.03:
            server.ctl("reload")  # it may be rolled back: a new worker has just been killed
            reloads += 1
        time.sleep(random.uniform(0.02, 0.15))
    return workers, primaries, reloads


def judge(run, server, name, result, killed):
    workers, primaries, reloads = killed
    answered, failed = result.answered, result.failed
    total = at_rest(server)
    lost = metric(server, "counter_lost_total") if name == "counter" else 0
    counted = metric(server, f"{name}_requests_total")
    run.note(f"{name}: {workers} workers and {primaries} primaries killed, {reloads} reloads; {answered} answered, "
             f"{failed} failed, numReqs {total} ({total - answered:+}), lost {lost}")
    run.check(f"{name}: the load was one", answered > 10000 and workers > 10 and primaries > 3, result)
    run.check(f"{name}: it never went back", said(server) == sorted(said(server)))
    run.check(f"{name}: it is the sum of its parts", total == counted + lost, f"{counted} + {lost}")
    if name == "counter_shared":
        run.check(f"{name}: nobody was forgotten, and nobody counted who was not under way",
                  answered <= total <= answered + failed)
        return
    topic = '{topic="notifyRequest"}'
    handled = metric(server, f"cserver_topic_delivered_total{re.escape(topic)}") + lost
    run.check(f"{name}: it is what the mailbox has delivered or lost, but for one message for each primary killed",
              abs(total - handled) <= primaries, handled)
    run.check(f"{name}: it differs by no more than was under way at the kills",
              -CONNECTIONS * workers <= total - answered <= failed + primaries)


args = options(__doc__, seconds=10)
with Run() as run:
    for name in ("counter_shared", "counter"):
        server = run.serve(CONF.replace("@NAME@", name), server={"workers": WORKERS, "log_level": "info"})
        client = run.client(server, "/count", "-c", CONNECTIONS)
        wait_for(lambda: said(server) and said(server)[-1] > 1000)
        killed = kill_at_random(server, args.seconds)
        judge(run, server, name, run.finish(client), killed)
