"""What must be refused, and that the refusal reaches the client whole."""
import contextlib

import pytest

H = b"Host: a\r\n"


def get(*lines, version=b"1.1", target=b"/hello"):
    return b"GET " + target + b" HTTP/" + version + b"\r\n" + b"".join(lines) + b"\r\n"


def post(*lines, body=b""):
    return b"POST /hello HTTP/1.1\r\n" + H + b"".join(lines) + b"\r\n" + body


CHUNKED = b"Transfer-Encoding: chunked\r\n"
ROWS = [
    # label, bytes, status
    ("no host", get(), 400),
    ("two hosts", get(H, H), 400),
    ("two different hosts", get(H, b"Host: b\r\n"), 400),
    ("bad host", get(b"Host: a b\r\n"), 400),
    ("host with a path", get(b"Host: a/b\r\n"), 400),
    ("blank before the colon", get(H, b"X : 1\r\n"), 400),
    ("obs-fold", get(H, b"X: 1\r\n 2\r\n"), 400),
    ("name with a blank", get(H, b"X Y: 1\r\n"), 400),
    ("empty name", get(H, b": 1\r\n"), 400),
    ("no colon", get(H, b"nonsense\r\n"), 400),
    ("NUL in a value", get(H, b"X: a\x00b\r\n"), 400),
    ("bare CR in a value", get(H, b"X: a\rb\r\n"), 400),
    ("bare LF", b"GET /hello HTTP/1.1\nHost: a\n\n", 400),
    ("blank in front of the first field", get(b" X: 1\r\n", H), 400),
    ("two blanks in the request line", b"GET  /hello HTTP/1.1\r\n" + H + b"\r\n", 400),
    ("lower-case version", b"GET /hello http/1.1\r\n" + H + b"\r\n", 400),
    ("no version", b"GET /hello\r\n" + H + b"\r\n", 400),
    ("target without slash", get(H, target=b"hello"), 400),
    ("TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(40), 400),
    ("HTTP/2.0", get(H, version=b"2.0"), 505),
    ("HTTP/0.9", get(H, version=b"0.9"), 505),
    ("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    ("length and chunked", post(b"Content-Length: 3\r\n", CHUNKED, body=b"0\r\n\r\n"), 400),
    ("two lengths", post(b"Content-Length: 3\r\n", b"Content-Length: 4\r\n", body=b"abcd"), 400),
    ("list of lengths", post(b"Content-Length: 3, 3\r\n", body=b"abc"), 400),
    ("signed length", post(b"Content-Length: +3\r\n", body=b"abc"), 400),
    ("hex length", post(b"Content-Length: 0x3\r\n", body=b"abc"), 400),
    ("length with a blank inside", post(b"Content-Length: 1 0\r\n", body=b"abc"), 400),
    ("huge length", post(b"Content-Length: 99999999999999999999\r\n"), 400),
    ("negative length", post(b"Content-Length: -1\r\n"), 400),
    ("empty length", post(b"Content-Length: \r\n"), 400),
    ("unknown coding", post(b"Transfer-Encoding: gzip\r\n"), 400),
    ("unknown coding before chunked", post(b"Transfer-Encoding: gzip, chunked\r\n"), 501),
    ("coding spelled oddly", post(b"Transfer-Encoding: xchunked\r\n"), 400),
    ("chunked twice", post(b"Transfer-Encoding: chunked, chunked\r\n", body=b"0\r\n\r\n"), (400, 501)),
    ("chunked behind identity", post(b"Transfer-Encoding: identity, chunked\r\n", body=b"0\r\n\r\n"), 501),
    ("chunked in HTTP/1.0", b"POST /echo HTTP/1.0\r\n" + CHUNKED + b"\r\n0\r\n\r\n", 400),
    ("unknown expectation", post(b"Expect: tea\r\n", b"Content-Length: 1\r\n", body=b"x"), 417),
    ("chunk size with sign", post(CHUNKED, body=b"+3\r\nabc\r\n0\r\n\r\n"), 400),
    ("chunk size too long", post(CHUNKED, body=b"00000000000000003\r\nabc\r\n0\r\n\r\n"), 400),
    ("chunk without CRLF behind it", post(CHUNKED, body=b"3\r\nabcd\r\n0\r\n\r\n"), 400),
    ("chunk line with bare LF", post(CHUNKED, body=b"3\nabc\r\n0\r\n\r\n"), 400),
    ("path above the root", get(H, target=b"/../x"), 400),
    ("encoded path above the root", get(H, target=b"/a/%2e%2e/%2e%2e/x"), 400),
    ("encoded NUL", get(H, target=b"/a%00b"), 400),
    ("half an escape", get(H, target=b"/a%4"), 400),
    ("not UTF-8", get(H, target=b"/%ff"), 400),
    ("overlong slash", get(H, target=b"/%c0%af"), 400),
    ("CONNECT", b"CONNECT a:80 HTTP/1.1\r\n" + H + b"\r\n", 501),
    ("TRACE", b"TRACE /hello HTTP/1.1\r\n" + H + b"\r\n", 405),
    ("unknown method nobody takes", b"BREW /nothing HTTP/1.1\r\n" + H + b"\r\n", 501),
    ("long target", get(H, target=b"/" + b"a" * 9000), 414),
    ("long head", get(H, b"X: " + b"a" * 17000 + b"\r\n"), 431),
    ("many fields", get(H, *[b"X: 1\r\n"] * 120), 431),
]


@pytest.mark.parametrize("label,data,status", ROWS, ids=[r[0] for r in ROWS])
def test_refused(shared, label, data, status):
    with shared().connect() as c:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            c.send(data)
        assert c.response().status in (status if isinstance(status, tuple) else (status,)), label


SPLIT = [r for r in ROWS if r[2] == 400 and len(r[1]) < 120][::4]


@pytest.mark.parametrize("label,data,status", SPLIT, ids=[r[0] for r in SPLIT])
def test_refused_byte_by_byte(shared, label, data, status):
    with shared().connect() as c:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for byte in data:
                c.send(bytes([byte]))
        assert c.response().status == status


def test_the_answer_survives_an_unread_body(shared):
    """A body that nobody reads must not reset the connection before the client has its answer."""
    s = shared()
    body = b"x" * 3_000_000
    for _ in range(20):
        with s.connect() as c:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                c.send(b"POST /echo HTTP/1.1\r\n" + H + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            r = c.response()
            assert r.status == 413
            assert r["connection"] == "close"
            assert r.body
