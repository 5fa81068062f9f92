#!/usr/bin/env python3
"""Thirty upgrades under load with keep-alive connections and with new ones, at least 100,000 requests, none may fail;
before each third one a program that is broken, or settings that are, which must change nothing. Afterwards there are as
many processes and descriptors as at the start."""
import json
import os
import shutil
import time

from soak import BUILD, Run, status, wait_for

UPGRADES = 30
REQUESTS = 100_000
LIMIT = 120  # seconds for all of it
GOOD = """
[accept]
policy = {policy}
[module:hello]
[module:slow]
[module:status]
[route:hello]
match = = /hello
handler = hello
greeting = round {number:02d}
[route:slow]
match = = /slow
handler = slow
delay = 300ms
[route:status]
match = = /status.json
handler = status
"""
BODY = len("round 00\n")
BROKEN = [
    ("a program that ends", "#!/bin/sh\nexit 1\n", 70),
    ("a program that crashes", "#!/bin/sh\nkill -SEGV $$\n", 70),
    ("a text", "no program\n", 1),
    ("a program that does nothing", "#!/bin/sh\nexec sleep 1000\n", 70),
    ("one that knows nothing of it", "#!/bin/sh\nunset CSERVER_UPGRADE\nexec '" + os.path.join(BUILD, "cserver") + '\' "$@"\n', 70),
]
POLICIES = ["turn", "exclusive", "reuseport"]


def put(program, content=None):
    with open(program + ".new", "wb") as f:
        if content is None:
            with open(os.path.join(BUILD, "cserver"), "rb") as source:
                shutil.copyfileobj(source, f)
        else:
            f.write(content.encode())
    os.chmod(program + ".new", 0o755)
    os.rename(program + ".new", program)


def settings(number):
    return GOOD.format(number=number, policy=POLICIES[number // 5 % len(POLICIES)])


def upgrade(run, server, program, number):
    put(program)
    server.configure(settings(number))
    done = server.ctl("upgrade")
    if done.returncode != 0:
        run.note(f"upgrade {number}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
        return False
    server.follow()
    texts = {server.get("/hello").text for _ in range(5)}
    if texts != {f"round {number:02d}\n"}:
        run.note(f"upgrade {number}: answers {texts}")
    return texts == {f"round {number:02d}\n"}


def fails(run, server, program, number):
    what, content, code = BROKEN[number // 3 % len(BROKEN)]
    pid = server.pid
    put(program, content)
    done = server.ctl("upgrade")
    now = json.loads(server.ctl("status", "--json").stdout)["pid"]
    if done.returncode == code and now == pid:
        return True
    run.note(f"{what}: exit code {done.returncode}, pid {now}\n{done.stdout}{done.stderr}")
    return False


def refused(run, server, program):
    put(program)
    server.configure("[broken]\n" + settings(0))
    done = server.ctl("upgrade")
    if done.returncode == 78:
        return True
    run.note(f"broken settings: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return False


def footprint(server):
    """Processes of the server, and open descriptors of its master and of all its workers."""
    fds = [len(os.listdir(f"/proc/{p}/fd")) for p in (server.pid, *server.workers())]
    return len(server.ours()), fds[0], sum(fds[1:])


def clients_of(run, server):
    return [run.client(server, "/hello", "-c", 32, "-w", 5, "-b", BODY),
            run.client(server, "/hello", "-c", 16, "-w", 700, "-b", BODY),
            run.client(server, "/hello", "-c", 8, "-1", "-w", 2, "-b", BODY),
            run.client(server, "/slow", "-c", 16),
            run.client(server, "/1m.bin", "-c", 4, "-w", 20, "-b", 1 << 20)]


def judge(run, clients):
    total = 0
    for result in map(run.finish, clients):
        total += result.requests
        run.check(f"{result.what}: {result.requests} requests, {result.failed} failed, longest {result.longest_ms} ms",
                  result.failed == 0 and result.ended_idle == 0, result)
    return total


with Run() as run:
    program = os.path.join(run.folder, "cserver")
    put(program)
    server = run.serve(settings(0), www={"1m.bin": os.urandom(1 << 20)}, program=program,
                       server={"workers": 2, "max_workers": 4, "drain_timeout": "10s", "upgrade_timeout": "2s",
                               "modules": os.path.join(BUILD, "modules")})
    upgrade(run, server, program, 0)
    wait_for(lambda: footprint(server)[0] == 3, 60, "the first one does not end")
    before = footprint(server)
    clients = clients_of(run, server)
    began = time.monotonic()
    good = bad = bad_ones = 0
    for number in range(1, UPGRADES + 1):
        if number % 3 == 0:
            bad += fails(run, server, program, number) + refused(run, server, program)
            bad_ones += 2
        good += upgrade(run, server, program, number)
        wait_for(lambda: status(server)["totals"]["requests"] > 2000, LIMIT, "too few requests")
    run.check(f"{good} of {UPGRADES} upgrades went live ({time.monotonic() - began:.0f} s)", good == UPGRADES)
    run.check(f"{bad} of {bad_ones} broken ones changed nothing", bad == bad_ones)
    wait_for(lambda: status(server)["totals"]["requests"] > REQUESTS, LIMIT, "too few requests")
    total = judge(run, clients)
    run.check(f"{total} requests over {UPGRADES} upgrades", total >= REQUESTS)
    server.configure(settings(0))
    run.check("one more, without load", upgrade(run, server, program, 0))
    wait_for(lambda: footprint(server)[0] == 3, 60, "old servers have not ended")
    # Sockets of reuseport that listen stay until a restart: two for each, of one address.
    after = footprint(server)
    run.check(f"processes and descriptors before {before}, afterwards {after}", after[0] == before[0])
    run.check("descriptors have not grown with the upgrades", after[1] - before[1] <= 8 and after[2] - before[2] <= 16)
