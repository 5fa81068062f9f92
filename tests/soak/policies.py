#!/usr/bin/env python3
"""Reloads under load, 100 in each policy and 100 that change it each time: no connection is refused or reset, no
request fails, also on connections that were there before; each change is live when the command returns.

--reloads: of each kind."""
import itertools
import random
import time

from soak import Run, options, status, wait_for

POLICIES = ("turn", "exclusive", "reuseport")
WORKERS = 3
PAUSE = 0.05  # at most, in seconds: some reloads come when the last is not over yet

args = options(__doc__, reloads=100)


def settings(run, policy, number):
    text = run.who(f"policy = {policy}")
    return text.replace("handler = hello", f"handler = hello\n    greeting = {greeting(policy, number)}")


def greeting(policy, number):
    return f"{policy:.>9} {number:04d}"


def clients(run, server):
    """New connections at their own times, new ones back to back, some that stay and ask often, some that idle."""
    return ([run.arrivals(server, "/who", "-p", "-r", 200), run.arrivals(server, "/who", "-p", "-c", 4)],
            [run.client(server, "/hello", "-c", 16, "-w", 10), run.client(server, "/hello", "-c", 8, "-w", 400),
             run.client(server, "/slow?ms=200", "-c", 8)])


def reload(run, server, policy, number):
    server.configure(settings(run, policy, number))
    done = server.ctl("reload")
    text = server.get("/hello").text
    if done.returncode == 0 and text == greeting(policy, number) + "\n":
        return True
    run.note(f"{policy} {number}: exit code {done.returncode}, the answer is {text!r}\n{done.stdout}{done.stderr}")
    return False


def rounds(run, server, what, policies):
    start = time.monotonic()
    new, kept = clients(run, server)
    good = 0
    for n, policy in enumerate(itertools.islice(policies, args.reloads)):
        good += reload(run, server, policy, n)
        time.sleep(random.uniform(0, PAUSE))
    seconds = time.monotonic() - start
    run.check(f"{what}: {good} of {args.reloads} reloads went live in {seconds:.0f} s", good == args.reloads)
    for end in [c.stop() for c in new]:
        run.check(f"{what}: {end.what}: {end.begun} connections, {end.answered} answered, {end.failed} failed, wait "
                  f"{end.summary()}", end.failed == 0 and end.answered == end.begun and end.begun > 100, end)
    for end in [run.finish(c) for c in kept]:
        run.check(f"{what}: {end.what}: {end.requests} requests, {end.failed} failed, {end.ended_idle} ended idle",
                  end.failed == 0 and end.ended_idle == 0 and end.requests > 8, end)


with Run() as run:
    server = run.serve(settings(run, POLICIES[0], 0), server={"workers": WORKERS})
    master = server.pid
    for policy in POLICIES:
        rounds(run, server, policy, itertools.repeat(policy))
    rounds(run, server, "each time another", itertools.cycle(POLICIES[1:] + POLICIES[:1]))
    totals = status(server)["totals"]
    run.check(f"{totals['reloads']} reloads are counted, {totals['reloads_failed']} refused",
              (totals["reloads"], totals["reloads_failed"]) == (4 * args.reloads, 0))
    wait_for(lambda: len(server.workers()) == WORKERS, 35, "old workers have not ended")
    run.check("the old workers have ended, the master is the same",
              server.process.poll() is None and server.pid == master)
