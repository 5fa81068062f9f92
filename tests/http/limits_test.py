"""Time limits, connection limits, and that each has its counter."""
import contextlib
import time

from lib.server import wait_for

H = b"Host: a\r\n"
HELLO = b"GET /hello HTTP/1.1\r\n" + H + b"\r\n"
SHORT = {"server": {"workers": 1},
         "limits": {"head_timeout": "300ms", "body_timeout": "300ms", "keepalive_timeout": "300ms",
                    "write_timeout": "300ms", "handler_timeout": "300ms"}}


def counted(s, word):
    """Waits until a counter with that word in its name is above 0."""
    def grown():
        return sum(v for k, v in s.get("/status?json").json["totals"].items() if word in k) > 0
    wait_for(grown, what=f"no counter with {word!r} grew")


def test_slow_head(shared):
    s = shared(**SHORT)
    with s.connect() as c:
        r = c.send(b"GET /hello HTTP/1.1\r\nHo").response()
        assert r.status == 408
        assert c.eof()
    counted(s, "timeout_head")


def test_head_that_drips_is_not_given_more_time(shared):
    s = shared(**SHORT)
    start = time.monotonic()
    with s.connect() as c, contextlib.suppress(BrokenPipeError, ConnectionResetError):
        for byte in b"GET /hello HTTP/1.1\r\n" + b"X: y\r\n" * 150:
            c.send(bytes([byte]))
            time.sleep(0.01)
        raise AssertionError(f"it read on for {time.monotonic() - start} s")


def test_slow_body(shared):
    s = shared(**SHORT)
    with s.connect() as c:
        r = c.send(b"POST /hello HTTP/1.1\r\n" + H + b"Content-Length: 10\r\n\r\nabc").response()
        assert r.status == 408
        assert c.eof()
    counted(s, "timeout_body")


def test_idle_keep_alive_ends(shared):
    s = shared(**SHORT)
    with s.connect() as c:
        assert c.send(HELLO).response().status == 200
        assert c.eof()
    counted(s, "timeout_idle")


def test_handler_that_never_answers(shared):
    s = shared(**SHORT)
    with s.connect() as c:
        assert c.send(b"GET /slow?ms=5000 HTTP/1.1\r\n" + H + b"\r\n").response().status == 504
        assert c.send(HELLO).response().status == 200
    counted(s, "timeout_handler")
    s.log_has("handler_timeout")


def test_client_that_does_not_read(serve):
    s = serve("[module:status]\n[route:s]\nmatch = /status\nhandler = status\n", www={"big": b"x" * 40_000_000},
              server={"workers": 1}, limits={"write_timeout": "300ms"})
    with s.connect() as c:
        c.send(b"GET /big HTTP/1.1\r\n" + H + b"\r\n")
        counted(s, "timeout_write")
        assert len(c.rest()) < 40_000_000


def test_keepalive_requests(serve):
    s = serve("[module:hello]\n[route:h]\nmatch = /\nhandler = hello\n", limits={"keepalive_requests": 3})
    with s.connect() as c:
        assert [c.send(HELLO).response()["connection"] for _ in range(3)] == [None, None, "close"]
        assert c.eof()


def test_full_worker_drops_the_idle_and_then_says_503(serve):
    s = serve("[module:slow]\n[route:s]\nmatch = /\nhandler = slow\ndelay = 3s\n", server={"workers": 1},
              limits={"max_connections": 4})
    idle = s.connect()
    assert idle.send(b"GET /?ms=1 HTTP/1.1\r\n" + H + b"\r\n").response().status == 200
    busy = [s.connect().send(b"GET / HTTP/1.1\r\n" + H + b"\r\n") for _ in range(4)]
    assert idle.eof()
    with s.connect() as c:
        r = c.send(HELLO).response()
        assert r.status == 503 and r["retry-after"]
    assert all(c.response().status == 200 for c in busy)
