"""Clients that mean harm: stalls, busy loops, cut heads, urgent data. The server pays little and stays."""
import os
import select
import socket
import threading
import time

import pytest
from lib.server import wait_for

H = b"Host: a\r\n"
HELLO = b"GET /hello HTTP/1.1\r\n" + H + b"\r\n"
BIG = 20_000_000


def slow(ms):
    return b"GET /slow?ms=%d HTTP/1.1\r\n" % ms + H + b"\r\n"


def cpu_seconds(server):
    total = 0
    for pid in server.workers():
        with open(f"/proc/{pid}/stat", "rb") as f:
            fields = f.read().rsplit(b")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def is_calm(server, seconds=1.0):
    """The workers hardly run while nothing is to be done. A pause that is part of the measurement."""
    before = cpu_seconds(server)
    time.sleep(seconds)
    return cpu_seconds(server) - before < seconds / 4


# ---- Busy loops --------------------------------------------------------------------------------

@pytest.mark.parametrize("rest", [b"", b"x" * 100, b"x" * 40_000])
@pytest.mark.parametrize("harm", ["nothing", "half close", "urgent", "urgent and half close"])
def test_calm_while_a_handler_takes_its_time(shared, rest, harm):
    s = shared()
    with s.connect() as c:
        c.sock.setblocking(False)
        c.sock.send(slow(1500) + rest)
        time.sleep(0.1)
        if "urgent" in harm:
            c.sock.send(b"!", socket.MSG_OOB)
        if "half" in harm:
            c.sock.shutdown(socket.SHUT_WR)
        assert is_calm(s)
        c.sock.settimeout(10)
        assert c.response().status == 200


@pytest.mark.parametrize("harm", ["nothing", "half close", "urgent"])
def test_calm_while_a_client_does_not_read(shared, harm):
    s = shared(limits={"max_body": "64m"})
    with s.connect() as c:
        c.send(b"POST /echo HTTP/1.1\r\n" + H + b"Content-Length: 60000000\r\n\r\n")
        c.sock.setblocking(False)
        while select.select([], [c.sock], [], 0.3)[1]:
            c.sock.send(b"x" * 65536)
        if harm == "urgent":
            c.sock.send(b"!", socket.MSG_OOB)
        if harm == "half close":
            c.sock.shutdown(socket.SHUT_WR)
        assert is_calm(s)


def test_calm_with_urgent_data_everywhere(shared):
    s = shared()
    conns = [s.connect() for _ in range(20)]
    for i, c in enumerate(conns):
        if i % 2:
            c.send(b"GET /hel")
        c.sock.send(b"!", socket.MSG_OOB)
    assert is_calm(s)
    for c in conns:
        c.close()


def test_calm_while_lingering(shared):
    s = shared()
    with s.connect() as c:
        c.send(b"GET /hello HTTP/1.1\r\n" + H + b"Connection: close\r\n\r\n" + b"x" * 1000)
        c.response()
        c.sock.send(b"!", socket.MSG_OOB)
        assert is_calm(s)


# ---- Time limits -------------------------------------------------------------------------------

@pytest.mark.parametrize("start", [b"G", b"GET", b"GET ", b"GET /", b"GET /hello", b"GET /hello ", b"GET /hello HTTP/1.1",
                                   b"GET /hello HTTP/1.1\r\n", b"GET /hello HTTP/1.1\r\nHost: a", b"\r\n", b"\r"])
@pytest.mark.parametrize("form", ["combined", "json"])
def test_a_head_that_stops_anywhere(shared, start, form):
    s = shared(limits={"head_timeout": "200ms"}, server={"access_format": form, "workers": 1})
    workers = s.workers()
    with s.connect() as c:
        assert c.send(start).response().status == 408
        assert c.eof()
    assert s.workers() == workers
    line = wait_for(lambda: s.read("access.log").splitlines())[-1]
    assert "408" in line and "hello" not in line


def test_pipelined_heads_that_are_cut_have_time_each(shared):
    """The limit is for one head, not for a connection whose batches happen to end within a head."""
    s = shared(limits={"head_timeout": "600ms"})
    with s.connect() as c:
        cut = 10
        c.send(HELLO[:cut])
        end = time.monotonic() + 2
        while time.monotonic() < end:
            c.send(HELLO[cut:] + HELLO[:cut])
            assert c.response().status == 200
            time.sleep(0.05)
        assert c.send(HELLO[cut:]).response().status == 200


def test_a_pipelined_head_that_stops(shared):
    s = shared(limits={"head_timeout": "300ms"})
    with s.connect() as c:
        c.send(HELLO + HELLO[:10])
        assert c.response().status == 200
        start = time.monotonic()
        assert c.response().status == 408
        assert 0.2 < time.monotonic() - start < 2


def test_a_stalled_download_ends(serve):
    s = serve("", www={"big": b"x" * BIG}, limits={"write_timeout": "500ms"})
    with s.connect() as c:
        c.send(b"GET /big HTTP/1.1\r\n" + H + b"\r\n")
        wait_for(lambda: not s.read("access.log") == "", 10)


def test_a_slow_download_goes_on(serve):
    """Somebody takes a little again and again: the limit is for silence. The socket's buffer is large, so the
    server may see it empty only seldom."""
    s = serve("", www={"big": b"x" * BIG}, limits={"write_timeout": "700ms"})
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    sock.settimeout(10)
    sock.connect(("127.0.0.1", s.port))
    sock.sendall(b"GET /big HTTP/1.1\r\n" + H + b"\r\n")
    got = 0
    end = time.monotonic() + 4
    while time.monotonic() < end:
        got += len(sock.recv(16384))
        time.sleep(0.05)
    while data := sock.recv(1 << 20):
        got += len(data)
        if got > BIG:
            break
    sock.close()
    assert got > BIG


@pytest.mark.parametrize("path", [b"/hello", b"/nothing"])
def test_a_client_that_sends_all_before_it_reads(shared, path):
    """The answer to a body that is too large waits for it, for longer than a moment."""
    s = shared()
    with s.connect() as c:
        c.send(b"POST " + path + b" HTTP/1.1\r\n" + H + b"Content-Length: 100000000\r\n\r\n")
        for _ in range(30):
            c.send(b"x" * 100_000)
            time.sleep(0.1)  # the client's pace
        assert c.response().status == 413


# ---- Half-closed -------------------------------------------------------------------------------

@pytest.mark.parametrize("tail", [b"", b"\r\n", b"GET /x", b"GET /big HTTP/1.1\r\nHost"])
@pytest.mark.parametrize("times", [1, 3])
def test_what_was_asked_is_answered_to_a_half_closed_client(serve, tail, times):
    s = serve("", www={"big": b"x" * BIG})
    with s.connect() as c:
        c.send((b"GET /big HTTP/1.1\r\n" + H + b"\r\n") * times + tail).half_close()
        time.sleep(0.2)
        for _ in range(times):
            assert len(c.response().body) == BIG
        assert c.eof()


def test_a_streamed_body_that_was_sent_is_used(serve):
    """The whole body is here, the client is slow to read and has half-closed."""
    s = serve("[module:echo]\n[route:echo]\nmatch = /\nhandler = echo\n", limits={"max_body": "64m"})
    body = os.urandom(8_000_000)
    with s.connect() as c:
        def send():
            c.send(b"POST /echo HTTP/1.1\r\n" + H + b"Content-Length: %d\r\n\r\n" % len(body) + body).half_close()

        sender = threading.Thread(target=send)
        sender.start()
        time.sleep(0.3)
        r = c.response()
        sender.join()
        assert r.body == body


# ---- Counting ----------------------------------------------------------------------------------

def test_every_request_is_logged_once(serve):
    s = serve("[module:hello]\n[module:slow]\n[route:h]\nmatch = /hello\nhandler = hello\n"
              "[route:s]\nmatch = /slow\nhandler = slow\n", www={"big": b"x" * BIG})
    with s.connect() as c:
        c.send(HELLO * 30 + b"GET /nothing HTTP/1.1\r\n" + H + b"\r\n" + b"BAD\r\n\r\n")
        c.rest()
    with s.connect() as c:
        c.send(slow(5000))
        assert c.is_silent(0.1)
        c.reset()
    with s.connect() as c:
        c.send(b"GET /big HTTP/1.1\r\n" + H + b"\r\n")
        c.until(b"\r\n\r\n")
        c.take(1000)
        c.reset()
    wait_for(lambda: len(s.read("access.log").splitlines()) >= 34, 10)
    lines = s.read("access.log").splitlines()
    status = [line.split('" ')[1].split()[0] for line in lines]
    assert sorted(status) == ["200"] * 31 + ["400", "404", "499"]
    assert 0 < int(next(line for line in lines if "/big" in line).split('" ')[1].split()[1]) < BIG
