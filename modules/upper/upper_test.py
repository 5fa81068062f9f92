"""upper: texts, of whatever length and from whomever, and nothing else."""
import random

import pytest
from lib.server import Server

CONF = """
    [module:hello]
    greeting = Grüße, [a-z]!
    [module:echo]
    [module:upper]
    [site:default]
    host = *
    root = @DIR@/www
    use = upper

    [route:hello]
    match = = /hello
    handler = hello

    [route:echo]
    match = = /echo
    handler = echo
"""
LONG = "".join(random.Random(3).choices("abcXYZ 0189äß\n", k=300000)).encode()


def upper(data):
    return bytes(b - 32 if 97 <= b <= 122 else b for b in data)


@pytest.fixture(scope="module")
def server():
    s = Server(CONF, files={"www/long.txt": LONG, "www/long.bin": LONG, "www/empty.txt": ""}).start()
    yield s
    faults = s.end()
    assert not faults, "\n".join(faults)


def test_a_short_text(server):
    assert server.get("/hello").text == "GRüßE, [A-Z]!\n"


def test_a_file(server):
    r = server.get("/long.txt")
    assert r.status == 200 and r.body == upper(LONG) and r["transfer-encoding"] == "chunked"


def test_an_empty_file(server):
    r = server.get("/empty.txt")
    assert (r.status, r.body) == (200, b"")


def test_no_text_stays(server):
    r = server.get("/long.bin")
    assert r.body == LONG and r["content-length"] == str(len(LONG))


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 4097, 8192, 100000, 300000])
def test_in_pieces(server, size):
    r = server.post("/echo", LONG[:size], {"Content-Type": "text/plain"})
    assert r.status == 200 and r.body == upper(LONG[:size])


def test_pages_of_the_server(server):
    r = server.get("/nowhere")
    assert r.status == 404 and r["content-type"].startswith("text/html") and b"<HTML" in r.body


def test_no_ranges_of_what_has_changed(server):
    r = server.get("/long.txt", {"Range": "bytes=0-9"})
    assert r.status == 200 and r.body == upper(LONG)
    assert server.get("/long.bin", {"Range": "bytes=0-9"}).body == LONG[:10]


def test_head_and_304(server):
    r = server.head("/long.txt")
    assert r.status == 200 and r.body == b""
    etag = server.get("/long.txt")["etag"]
    assert server.get("/long.txt", {"If-None-Match": etag}).status == 304


def test_pipelined(server):
    with server.connect() as c:
        c.send(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n" * 5 + b"GET /long.txt HTTP/1.1\r\nHost: x\r\n\r\n" * 2)
        assert [c.response().body for _ in range(5)] == ["GRüßE, [A-Z]!\n".encode()] * 5
        assert [c.response().body for _ in range(2)] == [upper(LONG)] * 2


def test_http_1_0(server):
    with server.connect() as c:
        c.send(b"GET /long.txt HTTP/1.0\r\nHost: x\r\n\r\n")
        assert c.response().body == upper(LONG)

