"""A disk that hangs holds up who asks for what is on it, and nobody else: tests/lib/fuse.py is the disk."""
import gzip
import hashlib
import random

import pytest
from lib import fuse
from lib.server import Server

WHY_NOT = fuse.available()
pytestmark = pytest.mark.skipif(bool(WHY_NOT), reason=f"no file system of our own: {WHY_NOT}")

BIG = random.Random(8).randbytes(1_500_000)
FILES = {"/big.bin": BIG, "/small.txt": b"small", "/other.bin": BIG[::-1], "/text.css": b"a{}\n" * 50_000,
         "/sub/index.html": b"index"}
CONF = """
    [module:hello]
    [module:status]
    [module:metrics]
    [module:compress]
    [module:static]
    cache_valid = 0
    [site:default]
    root = @DIR@/www
    [site:slow]
    host = slow.example
    root = {0}
    [route:hello]
    site = default
    match = /hello
    handler = hello
    [route:status]
    site = default
    match = /status
    handler = status
    [route:metrics]
    site = default
    match = /metrics
    handler = metrics
    [route:packed]
    site = slow
    match = /text.css
    use = compress
"""
WWW = {"quick.txt": "quick", "quick.bin": BIG}


def ask(path, fields=""):
    return f"GET {path} HTTP/1.1\r\nHost: slow.example\r\n{fields}\r\n".encode()


def begin(server, path, fields=""):
    return server.connect().send(ask(path, fields))


def others_are_served(server, n=100):
    """On one connection and on new ones: files in memory, files that are not, answers of modules."""
    with server.connect() as c:
        for i in range(n):
            path = ("/hello", "/quick.txt", "/quick.bin", "/missing")[i % 4]
            c.send(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            assert c.response().status == (404 if path == "/missing" else 200)
    assert server.get("/quick.bin").body == BIG


def total(server, name):
    return sum(int(float(line.split()[-1])) for line in server.get("/metrics").text.splitlines()
               if line.startswith(f"cserver_{name}_total{{"))


def digest(data):
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def disk():
    with fuse.SlowDisk(FILES) as d:
        yield d


@pytest.fixture
def slow(disk, serve):
    def start(**server):
        return serve(CONF.format(disk.folder), server={"workers": 1, **server}, www=WWW)
    return start


@pytest.fixture(scope="module")
def both():
    """One disk and one server for the tests that leave both as they found them."""
    with fuse.SlowDisk(FILES) as d:
        server = Server(CONF.format(d.folder), server={"workers": 1}, www=WWW)
        server.start()
        yield d, server
        d.go_on()
        faults = server.end()
        assert not faults, "\n".join(faults)


# ---- Answers that are being sent ----

def test_others_are_served_while_a_read_hangs(both):
    disk, server = both
    before = total(server, "disk_reads")
    disk.hold("read", "/big.bin")
    with begin(server, "/big.bin") as c:
        disk.wait_held(what="read")
        others_are_served(server)
        disk.go_on()
        answer = c.response()
        assert (answer.status, digest(answer.body)) == (200, digest(BIG))
    assert total(server, "disk_reads") > before


@pytest.mark.parametrize("field, parts", [("bytes=100-199", [(100, 200)]), ("bytes=-5", [(len(BIG) - 5, len(BIG))]),
                                          ("bytes=0-9,300000-900000,1499990-", [(0, 10), (300000, 900001), (1499990, 1500000)])])
def test_ranges(both, field, parts):
    _, server = both
    with begin(server, "/big.bin", f"Range: {field}\r\n") as c:
        body = c.response().body
    for first, end in parts:
        assert BIG[first:end] in body


def test_a_filter_waits_without_holding_up_others(both):
    disk, server = both
    disk.hold("read", "/text.css")
    with begin(server, "/text.css", "Accept-Encoding: gzip\r\n") as c:
        disk.wait_held(what="read")
        others_are_served(server)
        disk.go_on()
        answer = c.response()
    assert answer["content-encoding"] == "gzip"
    assert gzip.decompress(answer.body) == FILES["/text.css"]

