"""Hostile clients of the control socket: whatever they do, the master answers others, keeps its memory and its descriptors,
and serves."""
import contextlib
import json
import os
import random
import socket
import threading

import pytest
from lib.server import LIMIT, wait_for

SLOW = """
[module:slow]
[route:slow]
match = /slow
handler = slow
"""


def descriptors(s):
    return len(os.listdir(f"/proc/{s.pid}/fd"))


def memory(s):
    """KiB that are the master's own."""
    with open(f"/proc/{s.pid}/smaps_rollup", encoding="ascii") as f:
        return sum(int(line.split()[1]) for line in f if line.startswith("Private_"))


def works(s):
    done = s.ctl("status", "--json")
    assert done.returncode == 0, done
    assert json.loads(done.stdout)["ok"] and s.get("/slow?ms=0").status == 200


def test_a_thousand_connections(serve):
    """They come faster than they can be answered, and stay."""
    s = serve(SLOW)
    before = descriptors(s)
    with contextlib.ExitStack() as stack:
        for _ in range(1000):
            c = stack.enter_context(socket.socket(socket.AF_UNIX))
            c.settimeout(LIMIT)
            c.connect(s.control)
        works(s)
        assert descriptors(s) < before + 40
    wait_for(lambda: descriptors(s) <= before)
    works(s)


def test_a_thousand_that_ask_and_go(serve):
    s = serve(SLOW)
    before, size = descriptors(s), memory(s)
    words = [b"status\n", b"status", b"tail {\"topic\":\"cserver.members\"}\n", b"topics\n", b"\n",
             b"send {\"topic\":\"none\",\"data\":\"x\",\"wait\":\"applied\"}\n", b"listeners\n"]
    for n in range(1000):
        with socket.socket(socket.AF_UNIX) as c:
            c.connect(s.control)
            with contextlib.suppress(BrokenPipeError):
                c.sendall(words[n % len(words)])
    wait_for(lambda: descriptors(s) <= before)
    works(s)
    assert memory(s) < size + 20000


@pytest.mark.parametrize("seed", range(3))
def test_garbage(serve, seed):
    """Bytes of any kind, words with objects of any kind: an answer to each line, or the end of the connection."""
    rng = random.Random(seed)
    words = [b"status", b"listeners", b"topics", b"send", b"tail", b"reload", b"statu", b""]
    pieces = [b"{", b"}", b'"', b'"topic":', b'"wait":"', b'"data":', b"\\u0000", b"[", b"]", b",", b"null", b"\x00", b"\xff",
              b'{"base64":"', b"9" * 30, b"-", b" " * 50, b"a" * 300, b'"to":"worker:99999999999"', b'"timeout_ms":']
    s = serve(SLOW)

    def line():
        if rng.random() < 0.3:
            return bytes(rng.randrange(256) for _ in range(rng.randrange(200))).replace(b"\n", b"")
        word = rng.choice(words[:5]) if rng.random() < 0.9 else rng.choice(words)
        return word + b" {" + b"".join(rng.choice(pieces) for _ in range(rng.randrange(12)))

    for _ in range(300):
        with s.connect(s.control) as c:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                c.send(line() + b"\n").half_close()
            answer = c.rest()
            assert all(json.loads(x) for x in answer.splitlines())
    works(s)


def test_huge_lines_at_once(serve):
    """Up to the limit it is kept, beyond it nobody listens any longer."""
    s = serve(SLOW)
    size = memory(s)
    with contextlib.ExitStack() as stack:
        for _ in range(15):
            c = stack.enter_context(s.connect(s.control))
            with contextlib.suppress(OSError):
                c.send(b"x" * 98000)
        works(s)
        assert memory(s) < size + 20000
    works(s)


def test_one_byte_at_a_time(serve):
    """A whole request has 10 s; who is slow is cut off, and others are not kept waiting."""
    s = serve(SLOW)
    stop = threading.Event()

    def drip(c):
        with contextlib.suppress(OSError):
            while not stop.wait(0.2):
                c.send(b"s")
    slow = [s.connect(s.control) for _ in range(8)]
    threads = [threading.Thread(target=drip, args=[c]) for c in slow]
    for t in threads:
        t.start()
    try:
        works(s)
        assert all(c.eof() for c in slow)
    finally:
        stop.set()
        for t in threads:
            t.join()
        for c in slow:
            c.close()
    works(s)


def test_who_asks_for_reloads_and_goes(serve, status):
    """Closed, or half closed, in the middle of each step of a reload and of the wait for old workers."""
    s = serve(SLOW)
    before = descriptors(s)
    with s.connect() as held:
        held.send(b"GET /slow?ms=60000 HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_for(lambda: status(s)["connections"] == 1)
        for lines in range(4):
            with s.connect(s.control) as c:
                c.send(b'reload {"wait":"drained"}\n')
                if lines % 2:
                    c.half_close()
                for _ in range(lines):
                    c.until(b"\n")
        wait_for(lambda: not status(s)["reloading"])
        works(s)
        held.reset()
    wait_for(lambda: status(s)["draining"] == 0)
    wait_for(lambda: descriptors(s) <= before + 2)
    assert s.ctl("reload", "--wait=drained").returncode == 0


def test_many_ask_for_reloads_at_once(serve, status):
    """They share what they can: one that is under way, and one that comes next."""
    s = serve(SLOW)
    clients = [s.connect(s.control).send(b"reload\n") for _ in range(12)]
    answers = []
    for c in clients:
        line = {"progress": ""}
        while "progress" in line:
            line = json.loads(c.until(b"\n"))
        answers.append(line)
        c.close()
    assert all(a["ok"] for a in answers)
    assert {a["generation"] for a in answers} <= {2, 3}
    works(s)


def test_who_never_reads_its_reload(serve, status):
    s = serve(SLOW)
    with s.connect(s.control) as c:
        c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        with contextlib.suppress(OSError):
            c.sock.settimeout(1)
            c.send(b"status\n" * 3000 + b"reload\n")
        works(s)
        assert s.ctl("reload").returncode == 0
