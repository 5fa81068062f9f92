"""echo: every byte comes back once and in order, at the pace of the slower side."""
import hashlib
import random
import socket
import threading

import pytest
from lib.server import LIMIT, Server

CONF = """
    [module:echo]
    [route:echo]
    match = /echo
    handler = echo
"""
NOISE = random.Random(7).randbytes(3 << 20)


@pytest.fixture(scope="module")
def server():
    s = Server(CONF, limits={"max_body": "256m"}).start()
    yield s
    faults = s.end()
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "GET", "OPTIONS"])
@pytest.mark.parametrize("size", [1, 1000, 70000])
def test_body_comes_back(server, method, size):
    r = server.request(method, "/echo", body=NOISE[:size])
    assert r.status == 200 and r.body == NOISE[:size]
    assert r["content-length"] == str(size)


@pytest.mark.parametrize("given, sent", [
    ("text/plain", "text/plain"),
    ("application/json; charset=utf-8", "application/json; charset=utf-8"),
    (None, "application/octet-stream"),
])
def test_content_type(server, given, sent):
    r = server.post("/echo", b"x", {"Content-Type": given} if given else {})
    assert r["content-type"] == sent and r["x-content-type-options"] == "nosniff"


def test_an_empty_body(server):
    r = server.post("/echo", b"")
    assert (r.status, r.body, r["content-length"]) == (200, b"", "0")


@pytest.mark.parametrize("sizes", [[0], [1], [5, 0], [100, 1, 70000, 3], [65536] * 20],
                         ids=["nothing", "one byte", "one piece", "mixed", "many"])
def test_chunked(server, sizes):
    body = NOISE[:sum(sizes)]
    with server.connect() as c:
        c.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        at = 0
        for n in sizes:
            if n:
                c.send(b"%x\r\n" % n + body[at:at + n] + b"\r\n")
            at += n
        c.send(b"0\r\n\r\n")
        r = c.response()
        assert r["transfer-encoding"] == "chunked" and r.body == body
        c.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nok")
        assert c.response().body == b"ok", "the connection goes on"


def test_a_piece_comes_back_before_the_next_is_sent(server):
    with server.connect() as c:
        c.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n")
        for i in range(10):
            piece = b"%05d" % i
            c.send(piece)
            if i == 0:
                assert b" 200 " in c.until(b"\r\n\r\n").split(b"\r\n")[0]
            assert c.take(5) == piece


def test_expect_continue(server):
    with server.connect() as c:
        c.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        assert c.response().status == 100
        c.send(b"later")
        r = c.response()
        assert (r.status, r.body) == (200, b"later")


def large_answer(c, rest):
    """Sends `rest` and reads an answer meanwhile: its body."""
    sender = threading.Thread(target=c.send, args=(rest,))
    sender.start()
    answer = c.response()
    assert answer.status == 200
    sender.join()
    return answer.body


def test_large_body_of_a_client_that_reads(server):
    body = NOISE * 20
    with server.connect() as c:
        c.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body))
        answer = large_answer(c, body)
    assert hashlib.sha256(answer).digest() == hashlib.sha256(body).digest()


def memory(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as f:
        return int(f.read().split()[1]) * 4096


def test_a_client_that_does_not_read_stops_the_flow_and_loses_nothing(server):
    body = NOISE * 40
    head = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
    before = max(memory(p) for p in server.workers())
    with server.connect() as c:
        c.send(head)
        c.sock.settimeout(1)
        sent = 0
        with pytest.raises(TimeoutError):
            while sent < len(body):
                sent += c.sock.send(body[sent:sent + 65536])
        assert sent < len(body), "the server took it all though nobody reads"
        assert max(memory(p) for p in server.workers()) - before < 16 << 20, "it is kept in memory"
        c.sock.settimeout(LIMIT)
        answer = large_answer(c, body[sent:])
    assert hashlib.sha256(answer).digest() == hashlib.sha256(body).digest()


def test_two_behind_each_other(server):
    with server.connect() as c:
        c.send(b"".join(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n%03d" % i for i in range(20)))
        assert [c.response().body for _ in range(20)] == [b"%03d" % i for i in range(20)]


def test_a_get_shows_the_request(server):
    r = server.exchange(b"GET /echo/a%20b?x=%31 HTTP/1.1\r\nHost: Example.COM:80\r\nConnection: close\r\n\r\n")
    facts = dict(line.split(None, 1) for line in r.text.splitlines())
    assert r.status == 200 and r["content-type"].startswith("text/plain")
    assert facts["method"] == "GET" and facts["target"] == "/echo/a%20b?x=%31"
    assert facts["path"] == "/echo/a b" and facts["query"] == "x=%31"
    assert facts["host"] == "example.com" and facts["client"] == "127.0.0.1"
    assert facts["route"] == "echo" and facts["http"] == "1.1" and len(facts["id"]) == 16


def test_head_is_like_get_without_a_body(server):
    r = server.exchange(b"HEAD /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HEAD")
    assert r.status == 200 and int(r["content-length"]) > 50


def test_a_broken_chunk_in_the_middle_ends_the_connection(server):
    with server.connect() as c:
        c.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        c.until(b"abc\r\n")
        c.send(b"oops\r\n")
        assert not c.rest().endswith(b"0\r\n\r\n"), "it must not look complete"


def test_too_large_a_body_is_refused_before_it_comes(serve):
    s = serve(CONF, limits={"max_body": "1k"})
    r = s.exchange(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1025\r\n\r\n")
    assert r.status == 413


def test_a_client_that_vanishes_harms_nobody(server):
    for i in range(20):
        with server.connect() as c:
            c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            c.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + b"x" * (i * 5000))
    assert server.post("/echo", b"still here").body == b"still here"
