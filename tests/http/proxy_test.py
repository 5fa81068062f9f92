"""Listeners behind a balancer that speaks the PROXY protocol."""
import pytest

from lib.balancer import SIGNATURE, v2, v4, v6
from lib.server import wait_for

CONF = """
    [listen:main]
    address = 127.0.0.1:@PORT@
    proxy_protocol = on
    [listen:plain]
    address = unix:@DIR@/plain.sock
    [module:hello]
    [module:metrics]
    [route:hello]
    match = /
    handler = hello
    [route:metrics]
    match = = /metrics
    handler = metrics
"""
GOOD = [
    ("v1, IPv4", b"PROXY TCP4 192.0.2.7 10.0.0.9 50000 80\r\n", "192.0.2.7"),
    ("v1, IPv6", b"PROXY TCP6 2001:DB8::7 ::9 50000 80\r\n", "2001:db8::7"),
    ("v1, mapped", b"PROXY TCP6 ::ffff:192.0.2.8 ::9 50000 80\r\n", "192.0.2.8"),
    ("v1, nothing is known", b"PROXY UNKNOWN\r\n", "127.0.0.1"),
    ("v1, unknown with words", b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", "127.0.0.1"),
    ("v2, IPv4", v2(1, 0x11, v4("192.0.2.9")), "192.0.2.9"),
    ("v2, IPv6", v2(1, 0x21, v6("2001:db8::9")), "2001:db8::9"),
    ("v2, the balancer's own", v2(0, 0x00, b""), "127.0.0.1"),
    ("v2, a unix socket", v2(1, 0x31, b"\0" * 216), "127.0.0.1"),
    ("v2, with extensions", v2(1, 0x11, v4("192.0.2.10") + b"\x04\x00\x03abc"), "192.0.2.10"),
]
BAD = [
    ("none", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "does not begin with a PROXY header"),
    ("another word", b"PROXIES TCP4 192.0.2.7 10.0.0.9 50000 80\r\n", "does not begin"),
    ("a bad address", b"PROXY TCP4 192.0.2.777 10.0.0.9 50000 80\r\n", "is malformed"),
    ("the wrong family", b"PROXY TCP4 2001:db8::7 ::9 50000 80\r\n", "is malformed"),
    ("a bare LF", b"PROXY TCP4 192.0.2.7 10.0.0.9 50000 80\n", "CR LF"),
    ("too long", b"PROXY UNKNOWN " + b"x" * 200, "within 107 bytes"),
    ("version 3", SIGNATURE + b"\x31\x11\x00\x00", "unknown version"),
    ("v2, too short", v2(1, 0x11, b"\0" * 4), "too short"),
    ("v2, too long", SIGNATURE + b"\x21\x11\xff\xff", "too long"),
]


def ask(s, header, at_once=True):
    before = s.read("access.log").count("\n")
    with s.connect() as c:
        if at_once:
            c.send(header + b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n")
        else:
            for byte in header:
                c.send(bytes([byte]))
            c.send(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n")
        assert c.response().status == 200
        c.send(b"GET /y HTTP/1.1\r\nHost: x\r\n\r\n")
        assert c.response().status == 200
    wait_for(lambda: s.read("access.log").count("\n") == before + 2, what="two lines")
    clients = [line.split()[0] for line in s.read("access.log").splitlines()[before:]]
    assert clients[0] == clients[1]
    return clients[0]


def refused(s):
    text = s.raw(b"GET /metrics HTTP/1.0\r\n\r\n", address=s.path("plain.sock")).decode()
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("cserver_bad_proxy_total"))


@pytest.mark.parametrize("label,header,client", GOOD, ids=[row[0] for row in GOOD])
def test_good(shared, label, header, client):
    s = shared(CONF)
    assert ask(s, header) == client


def test_byte_by_byte(shared):
    s = shared(CONF)
    assert ask(s, GOOD[1][1], at_once=False) == GOOD[1][2]
    assert ask(s, GOOD[6][1], at_once=False) == GOOD[6][2]


def test_bad(shared):
    """No answer, a sentence in the log, and counted."""
    s = shared(CONF)
    before = refused(s)
    for label, header, why in BAD:
        said = s.log().count("connection closed: ")
        with s.connect() as c:
            assert c.send(header).rest() == b"", label
        wait_for(lambda: s.log().count("connection closed: ") == said + 1, what=label)
        last = [line for line in s.log().splitlines() if "connection closed: " in line][-1]
        assert why in last and "[listen:main]" in last and "127.0.0.1" in last, label
    assert refused(s) == before + len(BAD)


def test_an_end_within_it(shared):
    s = shared(CONF)
    before = refused(s)
    with s.connect() as c:
        assert c.send(b"PROXY TCP4 1.2").half_close().rest() == b""
    with s.connect() as c:
        assert c.half_close().rest() == b""  # a balancer looks whether somebody is there: no fault
    assert refused(s) == before + 1


def test_head_timeout_counts_from_the_first_byte_on(serve):
    s = serve(CONF, limits={"head_timeout": "300ms"})
    with s.connect() as c:
        assert c.send(b"PROXY TCP4 192.0.2.7").rest() == b""
    with s.connect() as c:
        c.send(GOOD[0][1])
        assert c.rest() == b""


def test_the_canary_needs_none(serve):
    s = serve(CONF + "    [reload]\n    probe = GET /x 200\n")
    assert s.ctl("reload").returncode == 0
