"""What public test suites ask about that no other test had. They were read for the clause that a case shows; the rows are our own. docs/differ.md
has a table of how many cases were looked at, and where we and a suite disagree."""
import os
import random
import re

import pytest
from lib.odd import CHUNKS, CL, DONE, FIVE, H, NEXT, REFUSED, TAKEN, TE, chunk, coding, first, host, judge, last, length, name, post
from lib.server import SOURCE

GET = b"GET /hello HTTP/1.1\r\n"
UPGRADE = (b"Connection: Upgrade\r\n", b"Upgrade: websocket\r\n")
NO_TRAILER = [b"Authorization", b"Cache-Control", b"Connection", b"Content-Encoding", b"Content-Length", b"Content-Range", b"Content-Type", b"Cookie",
              b"Expect", b"Host", b"If-Match", b"If-Modified-Since", b"If-None-Match", b"If-Range", b"If-Unmodified-Since", b"Max-Forwards", b"Pragma",
              b"Proxy-Authenticate", b"Proxy-Authorization", b"Range", b"Set-Cookie", b"TE", b"Trailer", b"Transfer-Encoding", b"WWW-Authenticate"]


def body(text, want=REFUSED):
    return f"body {text[:60]!r}", post(TE, body=text), want


def field(line, want=REFUSED):
    return f"field {line[:60]!r}", post(line + b"\r\n"), want


def target(text, want=REFUSED):
    return host(H, target=text, status=want)


SUITES = {
    "llhttp": [
        first(b"GET /hello ICE/1.0\r\n"), first(b"SOURCE /hello ICE/1.0\r\n"), first(b"GET /hello IHTTP/1.0\r\n"), first(b"OPTIONS /hello RTSP/1.0\r\n"),
        first(b"GET /hello HTTP/5.6\r\n", 505), first(b"PRI * HTTP/1.1\r\n"), first(b"M-SEARCH * HTTP/1.1\r\n"), first(b"MKCOLA /hello HTTP/1.1\r\n", TAKEN),
        first(b"QUERY /hello HTTP/1.1\r\n", TAKEN), first(b"ANNOUNCE /hello HTTP/1.1\r\n", TAKEN),
        ("CONNECT in HTTP/1.0, bytes behind it", b"CONNECT b_0.example:443 HTTP/1.0\r\n\r\nsome data", 501),
        ("LF for every line end", post(TE, b"Trailer: X\r\n", body=CHUNKS).replace(b"\r\n", b"\n"), REFUSED),
        field(b"Connection: close\t", DONE), field(b"Connection: close, token, upgrade, token, keep-alive", DONE), field(b"Connection: keep\ralive"),
        field(b"Connection\r\x1b5eep-Alive"), field(b"Content\rLength: 003"), field(b"X:", TAKEN),
        field(b"X: hello\x0cworld"), field(b"X: D\xc3\xbcsseldorf", TAKEN), field(b"X: \xffvalue", TAKEN), field(b"aaaaaaaaaaaaa:++++++++++", TAKEN),
        ("a length and empty codings", post(CL, b"Transfer-Encoding:\r\n" * 3, body=FIVE), REFUSED),
        ("an empty line behind a body", post(CL, body=FIVE + b"\r\n"), TAKEN),
        ("an upgrade, and bytes that are no request", post(*UPGRADE, CL, body=FIVE + b"Hot diggity "), [200, 400]),
        ("an upgrade, and a request", post(*UPGRADE, CL, body=FIVE), TAKEN),
        coding(b" chunkedchunked"), coding(b" pigeons"), coding(b" chunked\r\n  abc"),
        ("deflate and chunked in two fields", post(b"Transfer-Encoding: deflate\r\n", TE, body=CHUNKS), REFUSED),
        chunk(b"5 abc\r\n"), chunk(b"5 \n  \r\n"), chunk(b"5\r\r;ABCD\r\n"), chunk(b'5;a="I \\"love\\"; \\\\x\\\\";b="c";d;e=f\r\n', TAKEN),
        chunk(b'5;a="b";c="d; e\r\n'), last(b"0 abc\r\n\r\n"), last(b"000\r\n\r\n", TAKEN), last(b"\r\n"), body(b"5\r\nhello0\r\n\r\n"),
        target(b"/hello?a=b?c", TAKEN), target(b'/hello?a="b"|', TAKEN), target(b"http://b?c=d", 404), target(b"http://b:1234?c=d", 404),
        target(b"http://[2001:0:0:0:0:0:1.9.1.1]/hello", TAKEN), target(b"http://[fe80::a%25eth0]/hello"), target(b"http://[fe80::a%eth0]/hello"),
        target(b"http://a:b@@c/hello"), target(b"http://a%20:b@c/hello"), target(b"http://a!;-_!=+$@c/hello"), target(b"schema:/hello"),
        host(b"Host: 0.0.0.0=5000\r\n", status=TAKEN),
    ],
    "picohttpparser": [
        first(b"G\tT /hello HTTP/1.1\r\n"), first(b"G\x00T /hello HTTP/1.1\r\n"), first(b":GET /hello HTTP/1.1\r\n"), first(b"GET   /hello   HTTP/1.1\r\n"),
        first(b"GET /hello\xa0 HTTP/1.1\r\n"), name(b"/"), name(b"{"), name(b"|~", TAKEN), name(b"a\x1bb"), field(b"X: c\x1b"), field(b"X: c\xa2y", TAKEN),
        field(b"X: a \t ", TAKEN), field(b"X: \xe3\x81\xb2\xe3/1.0", TAKEN), chunk(b"5x\r\n"), chunk(b"z\r\n"), chunk(b"5\rX\n"),
        body(b"5 ; comment\r\nhello\r\n0\r\n\r\n", TAKEN), body(b"1\r\nx\r\n" * 10_000 + b"0\r\n\r\n", TAKEN),
        body(b"a;tiny=1\r\n0123456789\r\n" * 2000 + b"0\r\n\r\n", TAKEN),
        body((b"a;large=" + b"a" * 45 + b"\r\n0123456789\r\n") * 2000 + b"0\r\n\r\n", 431),
    ],
    "h11": [
        length(b" 0 , 0"), length(b" 1 , 1,2"), length(b" 111111111111111111111"), length(b" asdf"), length(b" 5x"),
        ("three lengths", post(b"Content-Length: 1\r\n" * 2, b"Content-Length: 2\r\n", body=FIVE), REFUSED),
        ("two lengths of 0", post(b"Content-Length: 0\r\n" * 2), REFUSED),
        coding(b" cHuNkEd", TAKEN), ("chunked, then gzip, in two fields", post(TE, b"Transfer-Encoding: gzip\r\n", body=CHUNKS), REFUSED),
        body(b"aA\r\n" + b"x" * 0xaa + b"\r\n0\r\n\r\n", TAKEN), body(b"9" * 100 + b"\r\nxxx"), body(b"10\x00\r\nxxx"),
        body(b'5; hello=there\r\nxxxxx\r\n0; random="junk"; some=more; canbe=lonnnnngg\r\n\r\n', TAKEN), body(b"5   \t \r\nhello\r\n0\r\n\r\n"),
        body(b"3\r\nxxx__1a\r\n"), body(b"3\r\nxxx\r_1a\r\n"), body(b"3\r\nxxx_\n1a\r\n"),
        field(b"Set-Cookie: a=kUd\x01UpAt; path=/"), field(b"foo  : line"), field(b"Foo: \t \t ", TAKEN), field(b"Foo: a a a a a ", TAKEN),
        field(b"Connection: a, b, cLOse, foo", DONE), field(b"Connection: fOo,, , BAR", TAKEN), first(b"HEAD /hello HTTP/1.1 xxxxxx\r\n"),
    ],
    "Cowboy": [
        ("an answer", b"HTTP/1.1 200 OK\r\n\r\n", REFUSED), ("an empty line behind the request line", GET + b"\r\n" + H + b"\r\n", REFUSED),
        ("an empty line between fields", GET + b"User-Agent: x\r\n\r\n" + H + b"\r\n", REFUSED),
        ("an empty line between fields of HTTP/1.0", b"GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + H + b"\r\n", [200, 400]),
        *[target(v) for v in (b"ht\x00tp://a/hello", b"http:/\x00/a/hello", b"http://a\x00b/hello", b"http://a:80\x0080/hello", b"http://a/hello\x00",
                              b"http://a/hello?\x00", b"/hello?a=\x00", b"\x00", b"bad://a/hello", b"http://a#b", b"http://a/hello?b#c",
                              b"http://a:65536/hello")],
        first(b"OPTIONS *\x00 HTTP/1.1\r\n"), target(b"http://a:0/hello", TAKEN), host(b"Host: a:0\r\n", status=TAKEN), target(b"HttP://LoCaL/hello", TAKEN),
        target(b"http://127.0.0.1:8080/hello", TAKEN), host(b"Host: " + b"a" * 8000 + b"\r\n", status=TAKEN), target(b"http://" + b"a" * 9000 + b"/hello", 414),
        first(b"GET /hello HTTP/1.00\r\n"), first(b"GET /hello HTTP/1.11\r\n"), first(b"GET /hello HTTP/2\r\n"), first(b"GET /hello \r\n"),
        name(b"X-\x00Bad"), field(b"Host\r\n : b"), field(b"Content-Encoding\r\nX: hello"), field(b"Host b"), field(b"X: a\r\n\x00\x00"),
        field(b"a" * 5000 + b": b", TAKEN), field(b"Connection: jndi{ldap127", TAKEN), field(b"Content-Type: purposely bad", TAKEN),
        ("a strange Connection of HTTP/1.0", post(b"Connection: jndi{ldap127\r\n", version=b"HTTP/1.0"), DONE),
        ("a length behind blanks", post(b"Content-Length:      \t     5     \t     \r\n", body=FIVE), TAKEN),
        ("NUL behind a request", post() + b"\x00\x00", [200, 400]), ("no Host in HTTP/1.0", b"GET /hello HTTP/1.0\r\n\r\n", DONE),
        *[field(b"TE: " + v, TAKEN) for v in (b"chunked", b"chunked;q=0", b"trailers", b"")],
        last(b"0\r\n" + b"".join(n + b": 1\r\n" for n in NO_TRAILER) + b"\r\n", TAKEN), ("zeros", bytes(10_000), REFUSED),
        last(b"0\r\nX: " + b"a" * 70_000 + b"\r\n\r\n", 431),
    ],
    "http-garden": [
        first(b'G=":<>(e),[T];?" /hello HTTP/1.1\r\n'), target(b"!"), first(b"GET /hello\nHTTP/1.1\r\n"), first(b"GET /hello HTTP/1.32\r\n"),
        first(b"GET /hello HTTP/4294967295.255\r\n"), first(b"GET /hello HTTP/\r\r1.1\r\n"), first(b"\x00 / HTTP/............0596.7407.\r\n"),
        name(b"\xefoo"), name(b"Content-Length\x85"), name(b'\x01\x02 "(),/;<=>?@[/]{}'), ("no name before Host", GET + b": x\r\n" + H + b"\r\n", REFUSED),
        ("a colon before Host", GET + b":\r\n" + H + b"\r\n", REFUSED), ("a name over two lines", post(b"Transfer-\r\nEncoding: chunked\r\n", CL, body=FIVE), REFUSED),
        ("LF in a name", post(b"Te\nst: 1\r\n"), REFUSED), field(b"Content-Length 10"), field(b"X:\n\nGET /x HTTP/1.1"), field(b"c\x00"),
        field(b"User: \x85admin\xa0", TAKEN), field(b"X: evil\x00"), host(b"Host: \xffa\xff\r\n"), host(b"Host: a\x00.example\r\n"),
        length(b" +1_0"), length(b" 1Z"), length(b" -48"),
        ("no octal length", post(b"Content-Length: 010\r\n", body=b"0123456789"), TAKEN),
        ("an empty length, then another", post(b"Content-Length: \r\n", b"Content-Length: %d\r\n" % len(NEXT)), REFUSED),
        ("length 0, then another request", post(b"Content-Length: 0\r\n", b"Connection: keep-alive\r\n") + post(CL, body=FIVE), [200, 200, 200]),
        coding(b" \x85chunked"), coding(b" blegh"), coding(b" \xffchunked\xff"),
        ("a comma before chunked, and a length", post(b"Transfer-Encoding: ,chunked\r\n", CL, body=FIVE), REFUSED),
        body(b"0_2e\r\n\r\n" + NEXT), body(b"1these-bytes\r\nZ\r\n0\r\n\r\n"), body(b"-0x0\r\n\r\n"), body(b"           0\r\n\r\n"), body(b"\r\n\r\n"),
        body(b"INVALID!!!\r\n" + NEXT), body(b"2\r\r;a\r\n02\r\n0\r\n\r\n"), body(b"5;a=b\r\rhello\r\n0\r\n\r\n"), body(b"a\r\n0123456789\n0\r\n\r\n"),
        body(b"5\r\nhello\r\n\r\n\r\n0\r\n\r\n"), body(b"0\r\nX:POST / HTTP/1.1\r\n\r\n", TAKEN), body(b"0\r\nXXX"), body(b"0\r\n\r\n\x00", [200, 400]),
        ("close, and bytes that are no request", post(b"Connection: close\r\n") + b"Invalid\r\n\r\n", DONE),
    ],
    "uNetworking/h1spec": [
        first(b"Extra lineGET /hello HTTP/1.1\r\n"), name(b"X-Invalid[]"), field(b"X: test\x07"), length(b" -123456789123456789123456789"), length(b" abc"),
        ("odd but right", b"GET /hello HTTP/1.1\r\nhoSt:\ta\r\nempty:\r\n\r\n", TAKEN), ("CR before a field", post(b"\rX: 1\r\n"), REFUSED),
        ("names in mixed case", post(b"content-LengtH: 5\r\n", b"TransFer-Encoding: chunked\r\n", body=CHUNKS), REFUSED),
    ],
}
ROWS = [(f"{suite}: {label}", data, want) for suite, rows in SUITES.items() for label, data, want in rows]


@pytest.mark.parametrize("label, data, want", ROWS, ids=[r[0][:70] for r in ROWS])
def test_suites(shared, label, data, want):
    judge(shared(), label, data, want)


def fields(raw):
    head = raw.split(b"\r\n\r\n")[0]
    return [line for line in head.split(b"\r\n") if not line.startswith(b"Date")]


def test_head_of_chunks(shared):
    """HEAD says what GET says, chunks or not; nobody can turn chunks off by TE."""
    s = shared()
    answers = [s.raw(m + b" /echo HTTP/1.1\r\n" + H + more + b"Connection: close\r\n" + TE + b"\r\n1\r\nx\r\n0\r\n\r\n")
               for m, more in ((b"GET", b""), (b"HEAD", b""), (b"GET", b"TE: chunked;q=0\r\n"))]
    assert fields(answers[0]) == fields(answers[1]) == fields(answers[2]) and b"Transfer-Encoding: chunked" in fields(answers[0])
    assert answers[1].endswith(b"\r\n\r\n") and answers[0].endswith(b"\r\n\r\n1\r\nx\r\n0\r\n\r\n")


def test_100_is_bare(shared):
    with shared().connect() as c:
        c.send(b"POST /echo HTTP/1.1\r\n" + H + b"Connection: close\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n")
        assert c.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert c.send(b"x").response().body == b"x"


def test_garbage(shared):
    """Whatever comes: the server refuses, closes, and goes on."""
    s, r = shared(), random.Random(1)
    for _ in range(100):
        with s.connect() as c:
            raw = c.send(r.randbytes(r.randint(1, 5000))).half_close().rest()
        assert raw[:12] in (b"", b"HTTP/1.1 400") and raw.count(b"HTTP/1.1 ") <= 1
    assert s.get("/hello").status == 200


def test_the_page_has_the_suites():
    with open(os.path.join(SOURCE, "docs/differ.md"), encoding="utf-8") as f:
        rows = re.findall(r"^\| ([\w/-]+)[^|]*\| \d+ \| \d+ \| (\d+) \| .* \|$", f.read(), re.M)
    assert {suite: len(cases) for suite, cases in SUITES.items()} == {suite: int(made) for suite, made in rows if suite in SUITES}
