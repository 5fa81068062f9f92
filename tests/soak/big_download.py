#!/usr/bin/env python3
"""A file of 1 GiB arrives whole and right: in one go, by a client that pauses, in three at once, cut off and resumed by
curl. The workers do not grow with it."""
import hashlib
import os
import re
import subprocess
import threading
import time

from soak import Run

SIZE = 1 << 30
BLOCK = 1 << 20
CUT = 400_000_001


def make_file(path):
    """Each block begins with its number, so that none can stand for another; returns the sha256."""
    digest = hashlib.sha256()
    noise = os.urandom(BLOCK - 8)
    with open(path, "wb") as f:
        for i in range(SIZE // BLOCK):
            block = i.to_bytes(8, "big") + noise
            digest.update(block)
            f.write(block)
    return digest.hexdigest()


def download(server, pause=0):
    """Reads the whole answer, `pause` seconds after its head: (status, length, sha256)."""
    digest, length = hashlib.sha256(), 0
    with server.connect() as c:
        c.send(b"GET /big.bin HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        head = c.until(b"\r\n\r\n")
        time.sleep(pause)
        data = c.buffer
        if not data:
            data = c.sock.recv(BLOCK)
        while data:
            digest.update(data)
            length += len(data)
            data = c.sock.recv(BLOCK)
    return int(head.split()[1]), length, digest.hexdigest()


def sha256(path):
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def curl(run, server, path, *options):
    return subprocess.run([run.need("curl"), "-sS", "-o", path, *options, f"http://127.0.0.1:{server.port}/big.bin"],
                          capture_output=True, text=True, check=False)


def resident(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as f:
        return int(re.search(r"RssAnon:\s+(\d+)", f.read())[1])


with Run() as run:
    server = run.serve(www={})
    expected = make_file(server.path("www/big.bin"))
    good = (200, SIZE, expected)

    run.check("1 GiB, one connection: the same sha256", download(server) == good)
    run.check("1 GiB, a client that pauses for 2 s: the same sha256", download(server, pause=2) == good)

    results = []
    threads = [threading.Thread(target=lambda: results.append(download(server))) for _ in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    run.check("1 GiB, three at once: the same sha256", results == [good] * 3, results)

    path = os.path.join(run.folder, "part")
    first = curl(run, server, path, "-r", f"0-{CUT - 1}")
    run.check("curl gets the first part", first.returncode == 0 and os.path.getsize(path) == CUT, first.stderr)
    rest = curl(run, server, path, "-C", "-")
    run.check("curl resumes it: the same sha256", rest.returncode == 0 and sha256(path) == expected, rest.stderr)

    os.unlink(path)
    cut = curl(run, server, path, "--limit-rate", "200M", "--max-time", "1")
    length = os.path.getsize(path)
    rest = curl(run, server, path, "-C", "-")
    run.check(f"curl cut off at {length} bytes resumes it: the same sha256",
              cut.returncode == 28 and 0 < length < SIZE and rest.returncode == 0 and sha256(path) == expected,
              cut.stderr + rest.stderr)

    grown = max(resident(pid) for pid in server.workers())
    run.check(f"no worker has grown with it ({grown} KiB)", grown < 32 * 1024)
