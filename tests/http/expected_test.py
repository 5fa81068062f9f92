"""What operators expect of a server for HTTP (RFC 9110, 9112), one row or test for each: docs/http.md, "Statuses", has the same list."""
import contextlib
import os
import re

import pytest
from lib.server import SOURCE, Server

H = b"Host: a\r\n"
DATE = re.compile(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT")
SAID = (411, 415, 421, 426, 502)  # never by the server itself; by a module they are what it says
CONF = r"""
    [module:static]
    [module:hello]
    [module:echo]
    [module:slow]
    [module:return]
    [module:access]
    [module:ratelimit]
    requests = 1
    per = 1d
    [route:hello]
    match = /hello
    handler = hello
    [route:echo]
    match = /echo
    handler = echo
    [route:slow]
    match = /slow
    handler = slow
    [route:get]
    match = = /get
    methods = GET
    handler = hello
    [route:once]
    match = = /once
    use = ratelimit
    handler = hello
    [route:private]
    match = /private
    use = access
    deny = all
    handler = hello
    [route:loop]
    match = /loop
    rewrite = /loop/x
""" + "".join(f"\n    [route:{s}]\n    match = = /{s}\n    handler = return\n    status = {s}\n" for s in SAID)


@pytest.fixture(scope="module")
def server():
    s = Server(CONF, www={"ten.txt": b"0123456789"},
               limits={"max_body": "1k", "head_timeout": "1s", "body_timeout": "1s", "handler_timeout": "1s"})
    s.start()
    yield s
    faults = s.end()
    assert not faults, "\n".join(faults)


def get(target=b"/hello", *lines, method=b"GET", version=b"1.1", body=b""):
    return method + b" " + target + b" HTTP/" + version + b"\r\n" + H + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body


def post(*lines, body=b""):
    return get(b"/echo", *lines, method=b"POST", body=body)


CHUNKED = b"Transfer-Encoding: chunked"
OPEN, CLOSED = None, "close"
ROWS = [
    # what, bytes, status, Connection, fields that it must have
    ("200", get(), 200, OPEN, {"content-length": r"\d+", "content-type": ".+"}),
    ("HEAD", get(method=b"HEAD"), 200, OPEN, {"content-length": r"[1-9]\d*", "content-type": ".+"}),
    ("206", get(b"/ten.txt", b"Range: bytes=2-3"), 206, OPEN, {"content-range": "bytes 2-3/10"}),
    ("304 with a validator", get(b"/ten.txt", b"If-Modified-Since: Fri, 31 Dec 2100 23:59:59 GMT"), 304, OPEN, {"etag": '".+"'}),
    ("304 for any", get(b"/ten.txt", b"If-None-Match: *"), 304, OPEN, {"etag": '".+"'}),
    ("304 without a validator", get(b"/hello", b"If-None-Match: *", b"If-Modified-Since: Fri, 31 Dec 2100 23:59:59 GMT"), 200, OPEN, {}),
    ("400 obs-fold", get(b"/hello", b"X: 1", b" 2"), 400, CLOSED, {}),
    ("400 blank before the colon", get(b"/hello", b"X : 1"), 400, CLOSED, {}),
    ("400 length and coding", post(b"Content-Length: 5", CHUNKED, body=b"0\r\n\r\n"), 400, CLOSED, {}),
    ("400 differing lengths", post(b"Content-Length: 5", b"Content-Length: 6", body=b"12345"), 400, CLOSED, {}),
    ("400 chunk size", post(CHUNKED, body=b"0x5\r\nhello\r\n0\r\n\r\n"), 400, CLOSED, {}),
    ("400 no Host", b"GET /hello HTTP/1.1\r\n\r\n", 400, CLOSED, {}),
    ("400 two Hosts", get(b"/hello", b"Host: a"), 400, CLOSED, {}),
    ("403", get(b"/private"), 403, OPEN, {}),
    ("404", get(b"/nothing"), 404, OPEN, {}),
    ("405 by a route", get(b"/get", method=b"PUT"), 405, OPEN, {"allow": "GET, HEAD"}),
    ("405 by a handler", get(b"/ten.txt", method=b"DELETE"), 405, OPEN, {"allow": ".*GET.*"}),
    ("408 head", b"GET /hello HTTP/1.1\r\nHo", 408, CLOSED, {}),
    ("408 body", get(b"/hello", b"Content-Length: 5", method=b"POST", body=b"123"), 408, CLOSED, {}),
    ("411 is not needed", post(), 200, OPEN, {"content-length": "0"}),
    ("412", get(b"/ten.txt", b'If-Match: "x"'), 412, OPEN, {}),
    ("413 announced", post(b"Content-Length: 1025", body=b"x" * 1025), 413, CLOSED, {}),
    ("413 in chunks", get(b"/hello", CHUNKED, method=b"POST", body=b"401\r\n" + b"x" * 1025 + b"\r\n0\r\n\r\n"), 413, CLOSED, {}),
    ("414", get(b"/" + b"a" * 9000), 414, CLOSED, {}),
    ("416", get(b"/ten.txt", b"Range: bytes=10-"), 416, OPEN, {"content-range": r"bytes \*/10"}),
    ("417", get(b"/hello", b"Expect: tea"), 417, CLOSED, {}),
    ("421 is not said without TLS", b"GET /hello HTTP/1.1\r\nHost: of.somebody.else\r\n\r\n", 200, OPEN, {}),
    ("426 is not said", get(b"/hello", b"Connection: Upgrade", b"Upgrade: h2c"), 200, OPEN, {}),
    ("431 long", get(b"/hello", b"X: " + b"a" * 17000), 431, CLOSED, {}),
    ("431 many", get(b"/hello", *[b"X: 1"] * 120), 431, CLOSED, {}),
    ("500", get(b"/loop"), 500, OPEN, {}),
    ("501 method", get(b"/nothing", method=b"BREW"), 501, OPEN, {}),
    ("501 coding", post(b"Transfer-Encoding: gzip, chunked"), 501, CLOSED, {}),
    ("501 CONNECT", get(b"a:443", method=b"CONNECT"), 501, CLOSED, {}),
    ("504", get(b"/slow?ms=60000"), 504, OPEN, {}),
    ("505", get(version=b"2.0"), 505, CLOSED, {}),
    ("TRACE", get(method=b"TRACE"), 405, OPEN, {"allow": "(?!.*TRACE).*"}),
    ("the body of a refused request", get(b"/private", b"Content-Length: 5", method=b"POST", body=b"hello"), 403, OPEN, {}),
    ("a path before its rule", get(b"/x/..//%70rivate"), 403, OPEN, {}),
    ("a path before its route", get(b"/x/%2e%2e/./hello"), 200, OPEN, {}),
    *[(f"{status} said by a module", get(b"/%d" % status), status, OPEN, {}) for status in SAID],
]


@pytest.mark.parametrize("what, data, status, connection, fields", ROWS, ids=[r[0] for r in ROWS])
def test_expected(server, what, data, status, connection, fields):
    head = data.startswith(b"HEAD")
    with server.connect() as c:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            c.send(data)
        r = c.response("HEAD" if head else "GET")
        assert (r.status, r["connection"]) == (status, connection)
        assert r.version == "HTTP/1.1" and r.reason and DATE.fullmatch(r["date"])
        for name, value in fields.items():
            assert re.fullmatch(value, r[name] or ""), name
        if head or status == 304:
            assert not r.body
        if connection == CLOSED:
            assert c.eof()
        else:
            assert c.send(get()).response().status == 200


def test_429(server):
    assert server.get("/once").status == 200
    r = server.get("/once")
    assert r.status == 429 and int(r["retry-after"]) > 0 and DATE.fullmatch(r["date"])


def test_expect_is_honoured(server):
    with server.connect() as c:
        c.send(post(b"Expect: 100-continue", b"Content-Length: 5"))
        assert c.response().status == 100
        assert c.send(b"hello").response().body == b"hello"
    with server.connect() as c:
        r = c.send(post(b"Expect: 100-continue", b"Content-Length: 5000")).response()
        assert (r.status, r["connection"]) == (413, "close") and c.eof()


def test_an_answer_to_an_unread_body_arrives(server):
    """More than sockets hold, sent without a look at the answer: it is not lost to a reset."""
    for target in (b"/private", b"/echo", b"/nothing", b"/get"):
        with server.connect() as c:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                c.send(get(target, b"Content-Length: 2000000", method=b"POST", body=b"x" * 2_000_000))
            r = c.response()
            assert r.status >= 400 and r["connection"] == "close" and r.body


# ---- The page ----------------------------------------------------------------------------------

with open(os.path.join(SOURCE, "docs/http.md"), encoding="utf-8") as page:
    STATUSES = re.findall(r"^\| (\d{3}) \| .* \| (.*) \|$", page.read().split("## Statuses")[1].split("\n## ")[0], re.M)


def test_the_page_has_all_that_is_expected():
    assert {int(s) for s, _ in STATUSES} >= {304, 400, 405, 408, 411, 413, 414, 415, 416, 417, 421, 426, 429, 431, 500, 501, 502, 503, 504, 505}
    assert {status for _, _, status, _, _ in ROWS} <= {int(s) for s, _ in STATUSES}


@pytest.mark.parametrize("cell", sorted({c for _, cell in STATUSES for c in re.findall("`([^`]+)`", cell)}))
def test_the_page_names_rows_that_exist(cell):
    path, test, label = re.fullmatch(r"([\w/.]+)::(\w+)(?:\[(.*)\])?", cell).groups()
    with open(os.path.join(SOURCE, "tests", path), encoding="utf-8") as f:
        assert f"def {test}(" in f.read()
    assert not label or path != "http/expected_test.py" or label in [r[0] for r in ROWS]
