#!/usr/bin/env python3
"""Rotations and reloads under full load: each request has its line, and a file that was rotated away gets none once
reopen has returned. Then the master is killed again and again under load: a new start at once succeeds, and nobody of
the old one is left."""
import os

from soak import Run, wait_for

WORKERS = 4
ROTATIONS = 20
SILENT = 3  # of them without a word: the server has to notice
KILLS = 20
CONF = """
    [module:hello]
    [module:counter_shared]

    [route:hello]
    match = = /hello
    handler = hello

    [route:count]
    match = = /count
    handler = counter_shared
"""


def lines(path):
    with open(path, "rb") as f:
        return sum(block.count(b"\n") for block in iter(lambda: f.read(1 << 20), b""))


def rotate(server, number):
    """Moves the log away and has it opened anew; its path and its size when reopen has returned."""
    old = f"{server.access_log}.{number}"
    os.rename(server.access_log, old)
    if number % (ROTATIONS // SILENT) == 1:
        wait_for(lambda: os.path.exists(server.access_log), 30, "the rotation was not noticed")
        wait_for(lambda: server.ctl("reopen").returncode == 0)  # all have it now: its size is the last one
    else:
        done = server.ctl("reopen")
        assert done.returncode == 0, done.stderr
    return old, os.stat(old).st_size


def rotations(run):
    server = run.serve(CONF, server={"workers": WORKERS, "access_log": "@DIR@/access.log"})
    clients = [run.client(server, "/hello", "-c", 32), run.client(server, "/hello", "-c", 8, "-1", "-w", 1)]
    sizes = {}
    for i in range(ROTATIONS):
        wait_for(lambda: os.path.exists(server.access_log) and os.stat(server.access_log).st_size > 1 << 20)
        if i % 5 == 2:
            run.check(f"reload before rotation {i}", server.ctl("reload").returncode == 0)
        old, size = rotate(server, i)
        sizes[old] = size
    results = [run.finish(c) for c in clients]
    run.check("it ends with 0", server.stop() == 0)
    answered, failed = sum(r.answered for r in results), sum(r.failed for r in results)
    total = sum(map(lines, [*sizes, server.access_log]))
    run.note(f"{ROTATIONS} rotations: {answered} requests answered, {failed} failed, {total} lines in {len(sizes) + 1} files")
    run.check("nobody failed", failed == 0, [str(r) for r in results])
    # The harness asks now and then whether the server accepts, which is no request.
    run.check("as many lines as requests", total == answered, f"{total} lines, {answered} answers")
    changed = [old for old, size in sizes.items() if os.stat(old).st_size != size]
    run.check("nothing was written to a file after reopen had returned", not changed, changed)


def kills(run):
    server = run.serve(CONF, server={"workers": WORKERS, "shutdown_timeout": "5s"})
    for i in range(KILLS):
        wait_for(server.primary)
        client = run.client(server, "/hello", "-c", 32)
        old = server.ours()
        server.process.kill()
        server.process.wait()
        server.start()
        run.finish(client)
        left = [p for p in old if p in server.ours()]
        wait_for(lambda gone=left: not set(gone) & set(server.ours()), 30, f"orphans of kill {i}")
    run.check(f"the master killed {KILLS} times, a new start each time", server.get("/hello").status == 200)
    run.check("it ends with 0", server.stop() == 0)


with Run() as run:
    rotations(run)
    kills(run)
