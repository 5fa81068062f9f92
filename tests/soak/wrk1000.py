#!/usr/bin/env python3
"""A thousand connections for ten seconds: wrk must see no socket error and no answer but 2xx."""
import os
import re

from soak import Run, status

ROWS = (
    ("a file, keep-alive", "/1k.txt", 10, ()),
    ("a handler, keep-alive", "/hello", 5, ()),
    ("a file, close per request", "/1k.txt", 5, ("-H", "Connection: close")),
    ("1 MiB, keep-alive", "/1m.bin", 5, ("--timeout", "30s")),  # a gigabyte in flight: 2 s may be too short
)

with Run() as run:
    server = run.serve(www={"1k.txt": os.urandom(1024), "1m.bin": os.urandom(1 << 20)})
    for what, path, seconds, options in ROWS:
        out, _ = run.wrk(server, path, 1000, seconds, *options).communicate(timeout=seconds + 60)
        done = re.search(r"(\d+) requests in", out)
        requests = int(done[1]) if done else 0
        clean = "Socket errors" not in out and "Non-2xx" not in out
        run.check(f"1000 connections, {what}: {requests} requests, no error", clean and requests > 1000, out)
    run.check("both workers have taken part", all(w["requests"] for w in status(server)["workers"]), status(server))
