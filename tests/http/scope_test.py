"""Limits of sites and routes: which one holds, and that the log says whose it is."""
import pytest

from lib.exposition import Exposition
from lib.server import wait_for

CONF = """
    [site:tight]
    host = tight.test
    max_body = 100
    [site:rest]
    [module:echo]
    [module:hello]
    [module:slow]
    max_delay = 1h
    delay = 10m
    [module:static]
    [route:tight]
    site = tight
    match = /
    handler = echo
    [route:wide]
    site = tight
    match = /wide
    handler = echo
    max_body = 10k
    [route:free]
    site = tight
    match = /free
    handler = echo
    max_body = 0
    [route:plain]
    site = rest
    match = /
    handler = echo
    [route:slow]
    site = rest
    match = /slow
    handler = slow
    handler_timeout = 100ms
    [route:drip]
    site = rest
    match = /drip
    handler = hello
    body_timeout = 100ms
    [route:big]
    site = rest
    match = /big
    handler = static
    root = @DIR@/www
    write_timeout = 200ms
"""
LIMITS = {"max_body": "1k"}
ROWS = [  # host, path, bytes, status, what the log says
    ("rest.test", "/", 1024, 200, None),
    ("rest.test", "/", 1025, 413, "max_body of [limits] is 1k"),
    ("tight.test", "/", 100, 200, None),
    ("tight.test", "/", 101, 413, "max_body of [site:tight] is 100"),
    ("tight.test", "/wide", 10240, 200, None),
    ("tight.test", "/wide", 10241, 413, "max_body of [route:wide] is 10k"),
    ("tight.test", "/free", 200000, 200, None),
]


def send(s, host, path, n, chunked):
    head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\n".encode()
    if chunked:
        return head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % n + b"x" * n + b"\r\n0\r\n\r\n"
    return head + b"Content-Length: %d\r\n\r\n" % n + b"x" * n


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_max_body(shared, chunked):
    s = shared(CONF, limits=LIMITS, www={"big/file": b"x"})
    for host, path, n, status, said in ROWS:
        before = s.log().count("refused: ")
        with s.connect() as c:
            assert c.send(send(s, host, path, n, chunked)).response().status == status, (host, path, n)
        if said:
            wait_for(lambda: s.log().count("refused: ") > before, what=said)
            last = [line for line in s.log().splitlines() if "refused: " in line][-1]
            assert said in last and "cserver.ini:" in last, last


def test_max_body_with_expect(shared):
    """The client that asks first need not send it."""
    s = shared(CONF, limits=LIMITS, www={"big/file": b"x"})
    head = b"POST / HTTP/1.1\r\nHost: tight.test\r\nContent-Length: 101\r\nExpect: 100-continue\r\n\r\n"
    with s.connect() as c:
        assert c.send(head).response().status == 413


def test_timeouts(serve):
    s = serve(CONF + "    [module:metrics]\n    [route:metrics]\n    site = rest\n    match = = /metrics\n"
              "    handler = metrics\n", limits=LIMITS, www={"big/file": b"x" * (32 << 20)})
    with s.connect() as c:
        assert c.send(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").response().status == 504
    with s.connect() as c:
        assert c.send(b"POST /drip HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx").response().status == 408
    with s.connect() as c:
        c.send(b"GET /big/file HTTP/1.1\r\nHost: x\r\n\r\n")
        s.log_has("the client takes nothing of its answer: write_timeout of [route:big] is 200ms")
    s.log_has("no answer in time: handler_timeout of [route:slow] is 100ms")
    s.log_has("the rest of the body does not come: body_timeout of [route:drip] is 100ms")
    figures = Exposition(s.get("/metrics"))
    for name in ("handler", "body", "write"):
        assert figures.sum(f"cserver_timeout_{name}_total") == 1, name


def test_effective_settings(serve):
    s = serve(CONF, limits=LIMITS, www={"big/file": b"x"}, start=False)
    done = s.run("-c", s.conf, "-T")
    assert done.returncode == 0, done.stderr
    assert "max_body = 10k ; " in done.stdout and "write_timeout = 200ms ; " in done.stdout
    assert "max_body = ; default" in done.stdout
    s.write("conf/again.ini", done.stdout)
    assert s.run("-c", s.path("conf/again.ini"), "-T").returncode == 0
