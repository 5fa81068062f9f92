"""Request bodies: both framings, streaming, back-pressure, 100-continue."""
import contextlib
import hashlib
import os
import threading

import pytest

H = b"Host: a\r\n"
HELLO = b"GET /hello HTTP/1.1\r\n" + H + b"\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
BIG = {"limits": {"max_body": "64m"}}


def chunked(data, size):
    parts = [data[i:i + size] for i in range(0, len(data), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in parts) + b"0\r\n\r\n"


@pytest.mark.parametrize("size", [0, 1, 2, 100, 4095, 16384, 16385, 100_000, 1_000_000])
@pytest.mark.parametrize("coding", ["length", "chunks of 1000", "chunks of 20000"])
def test_echo(shared, size, coding):
    body = os.urandom(size)
    if coding == "length":
        data = b"POST /echo HTTP/1.1\r\n" + H + b"Content-Length: %d\r\n\r\n" % size + body
    else:
        data = b"POST /echo HTTP/1.1\r\n" + H + CHUNKED + chunked(body, int(coding.split()[-1]))
    with shared(**BIG).connect() as c:
        sender = threading.Thread(target=c.send, args=(data,))
        sender.start()
        r = c.response()
        sender.join()
        assert r.status == 200
        if size:
            assert hashlib.sha256(r.body).digest() == hashlib.sha256(body).digest()
        assert c.send(HELLO).response().status == 200


def test_echo_byte_by_byte(shared):
    with shared().connect() as c:
        for byte in b"POST /echo HTTP/1.1\r\n" + H + CHUNKED + chunked(b"hello world", 3):
            c.send(bytes([byte]))
        assert c.response().body == b"hello world"


def test_chunk_extensions_and_trailers_are_dropped(shared):
    data = b"POST /echo HTTP/1.1\r\n" + H + CHUNKED + b'3;a=b;c="d e"\r\nabc\r\n0;x\r\nX-Trailer: 1\r\nY: 2\r\n\r\n'
    with shared().connect() as c:
        r = c.send(data).response()
        assert r.body == b"abc"
        assert r["x-trailer"] is None
        assert c.send(HELLO).response().status == 200


def test_a_client_that_does_not_read_stops_the_reading(shared):
    """Echo with a client that only writes: the server must stop reading rather than keep it all."""
    body = os.urandom(40_000_000)
    with shared(**BIG).connect() as c:
        c.send(b"POST /echo HTTP/1.1\r\n" + H + b"Content-Length: %d\r\n\r\n" % len(body))
        c.sock.settimeout(1)
        sent = 0
        with contextlib.suppress(TimeoutError):
            while sent < len(body):
                sent += c.sock.send(body[sent:sent + 65536])
        assert sent < 30_000_000
        c.sock.settimeout(60)
        sender = threading.Thread(target=lambda: c.sock.sendall(body[sent:]))
        sender.start()
        r = c.response()
        sender.join()
        assert r.body == body


def test_expect_continue(shared):
    with shared().connect() as c:
        c.send(b"POST /echo HTTP/1.1\r\n" + H + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        assert c.response().status == 100
        assert c.send(b"abc").response().body == b"abc"


def test_expect_continue_with_the_body_already_there(shared):
    with shared().connect() as c:
        c.send(b"POST /echo HTTP/1.1\r\n" + H + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\nabc")
        r = c.response()
        if r.status == 100:
            r = c.response()
        assert r.body == b"abc"


def test_expect_continue_refused(shared):
    """No handler wants that body: an answer without 100, and the end of the connection or the body read."""
    with shared().connect() as c:
        c.send(b"POST /nothing HTTP/1.1\r\n" + H + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        r = c.response()
        assert r.status == 404 and r["connection"] == "close"


def test_body_for_a_handler_that_wants_the_whole(shared):
    """hello collects, and answers when it is all there."""
    with shared().connect() as c:
        c.send(b"POST /hello HTTP/1.1\r\n" + H + b"Content-Length: 6\r\n\r\nabc")
        assert c.is_silent(0.1)
        assert c.send(b"def").response().status == 200
        assert c.send(HELLO).response().status == 200


@pytest.mark.parametrize("path", [b"/hello", b"/echo"])
def test_limit_by_length(shared, path):
    r = shared().exchange(b"POST " + path + b" HTTP/1.1\r\n" + H + b"Content-Length: 1048577\r\n\r\n")
    assert r.status == 413 and r["connection"] == "close"


def test_limit_of_a_chunked_body(shared):
    with shared().connect() as c:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            c.send(b"POST /hello HTTP/1.1\r\n" + H + CHUNKED + chunked(b"x" * 1_100_000, 60000))
        assert c.response().status == 413


def test_the_rest_of_a_small_body_does_not_end_the_connection(shared):
    """A 404 before the body has come: it is read and dropped, and the connection goes on."""
    with shared().connect() as c:
        c.send(b"POST /nothing HTTP/1.1\r\n" + H + b"Content-Length: 1000\r\n\r\n" + b"x" * 1000)
        assert c.response().status == 404
        assert c.send(HELLO).response().status == 200


def test_client_goes_away_in_the_middle(shared):
    s = shared()
    for _ in range(20):
        with s.connect() as c:
            c.send(b"POST /echo HTTP/1.1\r\n" + H + b"Content-Length: 100\r\n\r\nabc")
    assert s.get("/hello").status == 200
