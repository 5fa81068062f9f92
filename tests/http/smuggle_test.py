"""The families of request smuggling: what two servers could read in two ways. Each row is refused with its status and the end of the
connection, so that no byte behind it is ever read as a request; or taken, and then the request behind it is the next one."""
import pytest
from lib.odd import CHUNKS, CL, DONE, FIVE, H, NEXT, REFUSED, TAKEN, TE, chunk, coding, first, host, judge, last, length, name, post

FAMILIES = {
    "length and coding": [
        ("length first", post(CL, TE, body=CHUNKS), REFUSED),
        ("coding first", post(TE, CL, body=CHUNKS), REFUSED),
        ("a field between", post(CL, b"X: 1\r\n", TE, body=CHUNKS), REFUSED),
        ("length 0", post(b"Content-Length: 0\r\n", TE, body=CHUNKS), REFUSED),
        ("names in capitals", post(b"CONTENT-LENGTH: 5\r\n", b"TRANSFER-ENCODING: chunked\r\n", body=CHUNKS), REFUSED),
        ("coding that is none", post(CL, b"Transfer-Encoding: identity\r\n", body=FIVE), REFUSED),
        ("empty coding", post(CL, b"Transfer-Encoding:\r\n", body=FIVE), REFUSED),
        ("coding with a blank before the colon", post(CL, b"Transfer-Encoding : chunked\r\n", body=FIVE), REFUSED),
        ("coding with a tab before the colon", post(CL, b"Transfer-Encoding\t: chunked\r\n", body=FIVE), REFUSED),
        ("coding in a folded line", post(CL, b"X: 1\r\n Transfer-Encoding: chunked\r\n", body=FIVE), REFUSED),
        ("coding behind a bare LF", post(CL, b"X: 1\nTransfer-Encoding: chunked\r\n", body=FIVE), REFUSED),
        ("coding behind a bare CR", post(CL, b"X: 1\rTransfer-Encoding: chunked\r\n", body=FIVE), REFUSED),
        ("coding behind a NUL", post(CL, b"X: 1\x00Transfer-Encoding: chunked\r\n", body=FIVE), REFUSED),
        ("coding in HTTP/1.0", post(TE, body=CHUNKS, version=b"HTTP/1.0"), REFUSED),
        ("both in HTTP/1.0", post(CL, TE, body=CHUNKS, version=b"HTTP/1.0"), REFUSED),
        ("another name with an underscore", post(CL, b"Transfer_Encoding: chunked\r\n", body=FIVE), TAKEN),
        ("another name with an X", post(CL, b"X-Transfer-Encoding: chunked\r\n", body=FIVE), TAKEN),
    ],
    "codings": [
        *[coding(v) for v in (b" identity", b" gzip", b" chunked, gzip", b" chunked, identity", b" chunked, chunked", b" xchunked", b" chunkedx",
                              b" chunke", b' "chunked"', b" 'chunked'", b" chunked;q=1", b" chunked; a=b", b" chunked chunked", b" chun ked",
                              b" x chunked", b"", b" ", b" ,", b" chunked;", b" \xa0chunked", b" chunked\xa0", b" \xef\xbb\xbfchunked",
                              b" chun\xc5\xbfed", b" {chunked}", b" chunked/1", b"\x0bchunked", b" chunked\x0c", b" chunked\x00", b"\r\n chunked",
                              b" chunked\r\n ", b"\nchunked", b" \x08chunked", b" chunked\x7f", b" chunked,", b" , chunked", b" ,chunked")],
        *[coding(v, 501) for v in (b" gzip, chunked", b" identity, chunked", b" cow, chunked", b" x-chunked, chunked", b" gzip, deflate, chunked")],
        *[coding(v, TAKEN) for v in (b" chunked", b"chunked", b"\tchunked", b" chunked ", b" \t chunked\t", b" Chunked", b" CHUNKED")],
        ("two fields", post(TE, TE, body=CHUNKS), REFUSED),
        ("two fields, the second another", post(TE, b"Transfer-Encoding: identity\r\n", body=CHUNKS), REFUSED),
        ("two fields, the first another", post(b"Transfer-Encoding: identity\r\n", TE, body=CHUNKS), REFUSED),
        ("two fields, one empty", post(TE, b"Transfer-Encoding:\r\n", body=CHUNKS), REFUSED),
    ],
    "lengths": [
        *[length(v) for v in (b" +5", b" -5", b" -0", b" 5,", b" ,5", b" 5,5", b" 5, 5", b" 5, 6", b" 5 5", b" 0x5", b" 5.0", b" 5e0", b" 5;", b' "5"', b" '5'",
                              b"", b" ", b" \x0b5", b" 5\x0c", b" 5\x00", b" \xa05", b" 5_0", b" five", b" \xef\xbc\x95", b" 9223372036854775808",
                              b" 18446744073709551616", b" 18446744073709551621", b" 99999999999999999999999999999999999999999",
                              b"\r\n 5", b" 5\r\n ", b"\n5", b" 5\n", b" 5\r", b" \x005")],
        *[length(v, TAKEN) for v in (b" 5", b"5", b"\t5", b" 5 ", b" 5\t", b" 05", b" 0000000000000000000000000000000000000005")],
        length(b" 9223372036854775807", 413), length(b" 4294967301", 413),
        ("two equal fields", post(CL, CL, body=FIVE), REFUSED),
        ("two fields", post(CL, b"Content-Length: 6\r\n", body=FIVE), REFUSED),
        ("two fields, a sum", post(b"Content-Length: 2\r\n", b"Content-Length: 3\r\n", body=FIVE), REFUSED),
        ("two fields, one empty", post(CL, b"Content-Length:\r\n", body=FIVE), REFUSED),
        ("two fields in HTTP/1.0", post(CL, b"Content-Length: 0\r\n", body=FIVE, version=b"HTTP/1.0"), REFUSED),
        ("blank before the colon", post(b"Content-Length : 5\r\n", body=FIVE), REFUSED),
        ("GET with a body", b"GET /hello HTTP/1.1\r\n" + H + CL + b"\r\n" + FIVE, TAKEN),
        ("HEAD with a body", b"HEAD /hello HTTP/1.1\r\n" + H + CL + b"\r\n" + FIVE, TAKEN),
        ("DELETE with chunks", b"DELETE /hello HTTP/1.1\r\n" + H + TE + b"\r\n" + CHUNKS, TAKEN),
        ("a request as the body", post(b"Content-Length: %d\r\n" % len(NEXT), body=NEXT), TAKEN),
    ],
    "chunks": [
        *[chunk(v) for v in (b"+5\r\n", b"-5\r\n", b" 5\r\n", b"\t5\r\n", b"5 \r\n", b"5\t\r\n", b"0x5\r\n", b"5h\r\n", b"5.0\r\n", b"5,0\r\n", b"'5'\r\n", b"\r\n", b"5_\r\n",
                             b"5\x0b\r\n", b"5\x0c\r\n", b"5\xa0\r\n", b"5\x00\r\n", b"00000000000000005\r\n", b"10000000000000005\r\n",
                             b"8000000000000000\r\n", b"fffffffffffffffb\r\n", b"5\n", b"5\r", b"5\r\r\n", b"5\n\r\n", b"5\\r\\n", b"5 5\r\n",
                             b"5;\r\n", b"5;=b\r\n", b"5;a=\r\n", b"5;a\n\r\n", b"5;a=\"b\r\n", b"5;a=\"b\"c\r\n", b"5;a\rb\r\n", b"5;a\x00\r\n", b"5;\xff\r\n",
                             b"5;a b\r\n", b"5;;\r\n", b"5;a=\"\n\"\r\n", b"5;a\n", b"5,a\r\n")],
        ("an extension that does not end", post(TE, body=b"5;" + b"a" * 5000), 431),
        *[chunk(v, TAKEN) for v in (b"5\r\n", b"05\r\n", b"0000000000000005\r\n", b"5;a\r\n", b"5;a=b\r\n", b'5;a="b"\r\n', b"5 ; a = b\r\n", b'5;a="\\""\r\n',
                                    b"5;a;b;c=d\r\n", b'5;a="0\t;"\r\n')],
        *[chunk(b"5\r\n", end=e) for e in (b"", b"\n", b"\r", b"\n\r", b"\r\r\n", b" \r\n", b"x\r\n", b"\x00\x00", b"xx", b"\n\n")],
    ],
    "the last chunk and trailers": [
        *[last(v) for v in (b"0\n\n", b"0\r\n\n", b"0\n\r\n", b"0\r\n\rX", b"0 \r\n\r\n", b"0x0\r\n\r\n", b"-0\r\n\r\n", b"00000000000000000\r\n\r\n", b"0\r\nX : 1\r\n\r\n",
                            b"0\r\n X: 1\r\n\r\n", b"0\r\nX: 1\r\n y\r\n\r\n", b"0\r\nX: 1\n\r\n", b"0\r\nX: \x00\r\n\r\n", b"0\r\n: 1\r\n\r\n", b"0\r\nX\r\n\r\n",
                            b"0\r\n" + NEXT)],
        *[last(v, TAKEN) for v in (b"0\r\n\r\n", b"00\r\n\r\n", b"0;a=b\r\n\r\n", b"0\r\nX: 1\r\n\r\n", b"0\r\nContent-Length: 99\r\n\r\n",
                                   b"0\r\nTransfer-Encoding: chunked\r\nHost: b\r\n\r\n")],
        ("trailers that do not end", post(TE, body=b"0\r\n" + b"X: 1\r\n" * 4000), (400, 431)),
        ("Trailer announces what does not come", post(TE, b"Trailer: X\r\n", body=CHUNKS), TAKEN),
        ("Trailer announces a length", post(TE, b"Trailer: Content-Length\r\n", body=CHUNKS), TAKEN),
    ],
    "line ends": [
        first(b"GET /hello HTTP/1.1\n"), first(b"GET /hello HTTP/1.1\r"), first(b"GET /hello HTTP/1.1\r\r\n"), first(b"GET /hello HTTP/1.1\n\r"),
        ("LF behind a field", post(b"X: 1\n"), REFUSED), ("CR behind a field", post(b"X: 1\r"), REFUSED),
        ("CR CR LF behind a field", post(b"X: 1\r\r\n"), REFUSED), ("LF for the last line", b"GET /hello HTTP/1.1\r\n" + H + b"\n", REFUSED),
        ("CR for the last line", b"GET /hello HTTP/1.1\r\n" + H + b"\rX", REFUSED),
        ("LF in a value", post(b"X: a\nb\r\n"), REFUSED), ("CR in a value", post(b"X: a\rb\r\n"), REFUSED),
        ("a request behind LFs in a value", post(b"X: a\n\n" + NEXT + b"\r\n"), REFUSED),
        ("folded with a blank", post(b"X: 1\r\n 2\r\n"), REFUSED), ("folded with a tab", post(b"X: 1\r\n\t2\r\n"), REFUSED),
        ("folded with nothing", post(b"X: 1\r\n \r\n"), REFUSED), ("folded before the first field", b"GET /hello HTTP/1.1\r\n " + H + b"\r\n", REFUSED),
        ("folded behind an empty value", post(b"X:\r\n 1\r\n"), REFUSED),
        ("LF before the request", b"\n" + post(), REFUSED), ("CR before the request", b"\r" + post(), REFUSED),
        ("blank before the request", b" " + post(), REFUSED), ("NUL before the request", b"\0" + post(), REFUSED),
        ("two empty lines before the request", b"\r\n\r\n" + post(), TAKEN), ("three empty lines", b"\r\n" * 3 + post(), REFUSED),
    ],
    "names": [
        *[name(v) for v in (b"X ", b"X\t", b" X", b"\tX", b"X Y", b"", b"X\x00", b"X\x0b", b"X\x7f", b"X\x80", b"X\xa0", b"X(Y)", b"X/Y", b"X@Y", b"X=Y", b'X"', b"X,Y", b"X;Y",
                            b"X[Y]", b"{X}", b"X?", b"X\\Y", b"<X>", b"\xef\xbb\xbfX", b"X\r", b"X\n", b"Content-Length\x00", b"Content-Length\x0b",
                            b"\x00Content-Length", b"Content-Length\xc2\xa0", b"Content Length")],
        *[name(v, TAKEN) for v in (b"X", b"!#$%&'*+-.^_`|~", b"Content_Length", b"ContentLength", b"Content-Length-", b"123")],
        ("no colon", post(b"nonsense\r\n"), REFUSED), ("only a colon", post(b":\r\n"), REFUSED),
        ("a request line for a field", post(b"GET /x HTTP/1.1\r\n"), REFUSED),
    ],
    "hosts": [
        host(), host(H, H), host(H, b"Host: b\r\n"), host(b"Host : a\r\n"), host(b" Host: a\r\n", H), host(H, b" Host: b\r\n"), host(b"Host: a, b\r\n"),
        host(b"Host: a b\r\n"), host(b"Host: a/b\r\n"), host(b"Host: a?b\r\n"), host(b"Host: a#b\r\n"), host(b"Host: u@a\r\n"), host(b"Host: a:x\r\n"), host(b"Host: a:99999\r\n"),
        host(b"Host: a:-1\r\n"), host(b"Host: [::1\r\n"), host(b"Host: [x]\r\n"), host(b"Host: [::1]x\r\n"), host(b"Host: a\\b\r\n"), host(b"Host: a\x00\r\n"),
        host(b"Host: \xc3\xa4\r\n"), host(b"Host: a%\r\n"), host(b"Host: ::1\r\n"), host(b"Host: http://a\r\n"), host(b"Host: :80\r\n"), host(b"Host: :\r\n"), host(b"host: a\r\n", b"HOST: a\r\n"),
        host(b"Host:\r\n", status=TAKEN), host(b"Host:a\r\n", status=TAKEN), host(b"Host: a:\r\n", status=TAKEN), host(b"Host: [::1]:80\r\n", status=TAKEN),
        host(b"X-Host: b\r\n", H, status=TAKEN),
        host(H, status=TAKEN, target=b"http://b/hello"), host(target=b"http://b/hello"), host(H, H, target=b"http://b/hello"),
        host(b"Host: a/b\r\n", target=b"http://b/hello"), host(H, target=b"http:///hello"), host(H, target=b"http://u@b/hello"),
        host(H, target=b"http://b c/hello"), host(H, target=b"http://b:x/hello"), host(H, target=b"http://[::1/hello"), host(H, target=b"//b\\hello", status=404),
        host(H, target=b"ftp://b/hello"), host(H, target=b"http:/hello"), host(H, target=b"b:80"), host(H, target=b"http://b\\@c/hello"),
    ],
    "request lines": [
        first(b"GET  /hello HTTP/1.1\r\n"), first(b"GET /hello  HTTP/1.1\r\n"), first(b"GET\t/hello HTTP/1.1\r\n"), first(b"GET /hello\tHTTP/1.1\r\n"),
        first(b"GET /hello HTTP/1.1 \r\n"), first(b"GET\x0b/hello HTTP/1.1\r\n"), first(b" GET /hello HTTP/1.1\r\n"), first(b"GET /hello HTTP/1.1 HTTP/1.1\r\n"),
        first(b"GET /he llo HTTP/1.1\r\n"), first(b"GET /hello\r\n"), first(b"GET\r\n"), first(b"GET /hello HTTP/1.1, HTTP/1.0\r\n"), first(b"/hello HTTP/1.1\r\n"),
        first(b"GET  HTTP/1.1\r\n"), first(b"G(T /hello HTTP/1.1\r\n"), first(b"GET\x00 /hello HTTP/1.1\r\n"), first(b"\x80ET /hello HTTP/1.1\r\n"),
        first(b"GET /hello#x HTTP/1.1\r\n"), first(b"GET /hel\x80o HTTP/1.1\r\n"), first(b"GET /hel\x00o HTTP/1.1\r\n"), first(b"GET /hel\x7fo HTTP/1.1\r\n"),
        first(b"GET * HTTP/1.1\r\n"), first(b"GET hello HTTP/1.1\r\n"),
    ],
    "versions": [
        *[first(b"GET /hello " + v + b"\r\n") for v in (b"http/1.1", b"HTTP/1", b"HTTP/1.", b"HTTP/.1", b"HTTP/1.10", b"HTTP/1.01", b"HTTP/01.1", b"HTTP/11.1", b"HTTP/1,1",
                                                       b"HTTP/1.1x", b"HTTP /1.1", b"HTTP/ 1.1", b"HTTP/+1.1", b"HTTP/1.-1", b"HTTPS/1.1", b"RTSP/1.0",
                                                       b"HTTP/1.x", b"HTTP\\1.1", b"HTTP/1.1\x00")],
        *[first(b"GET /hello " + v + b"\r\n", 505) for v in (b"HTTP/0.9", b"HTTP/2.0", b"HTTP/3.0", b"HTTP/9.9", b"HTTP/0.0")],
        first(b"GET /hello HTTP/1.2\r\n", TAKEN), first(b"GET /hello HTTP/1.9\r\n", TAKEN), first(b"GET /hello HTTP/1.0\r\n", DONE),
        ("HTTP/0.9, and nothing behind it", b"GET /hello\r\n", REFUSED),
    ],
    "Expect": [
        ("another", post(b"Expect: 200-ok\r\n", CL, body=FIVE), 417), ("two", post(b"Expect: 100-continue, x\r\n", CL, body=FIVE), 417),
        ("with a parameter", post(b"Expect: 100-continue;a=b\r\n", CL, body=FIVE), 417),
        ("nothing", post(b"Expect:\r\n", CL, body=FIVE), TAKEN), ("a comma", post(b"Expect: ,\r\n", CL, body=FIVE), TAKEN),
        ("without a body", post(b"Expect: 100-continue\r\n"), TAKEN), ("with length 0", post(b"Expect: 100-continue\r\n", b"Content-Length: 0\r\n"), TAKEN),
        ("in HTTP/1.0", post(b"Expect: 200-ok\r\n", CL, body=FIVE, version=b"HTTP/1.0"), DONE),
        ("with a body that is there", post(b"Expect: 100-continue\r\n", CL, body=FIVE), TAKEN),
        ("with both framings", post(b"Expect: 100-continue\r\n", CL, TE, body=CHUNKS), REFUSED),
    ],
    "Connection and Upgrade": [
        ("names the length", post(b"Connection: Content-Length\r\n", CL, body=FIVE), TAKEN),
        ("names the coding", post(b"Connection: Transfer-Encoding\r\n", TE, body=CHUNKS), TAKEN),
        ("names Host", post(b"Connection: Host\r\n", CL, body=FIVE), TAKEN),
        ("names close and the length", post(b"Connection: close, Content-Length\r\n", CL, body=FIVE), DONE),
        ("close before keep-alive", post(b"Connection: close, keep-alive\r\n"), DONE),
        ("close behind keep-alive", post(b"Connection: keep-alive\r\n", b"Connection: close\r\n"), DONE),
        ("close in another field", post(b"Connection: close\r\n", b"Connection: keep-alive\r\n"), DONE),
        ("closed", post(b"Connection: closed\r\n"), TAKEN), ("close in quotes", post(b'Connection: "close"\r\n'), TAKEN), ("close behind a quote", post(b'Connection: "x,close\r\n'), DONE),
        ("Upgrade to h2c", post(b"Connection: Upgrade, HTTP2-Settings\r\n", b"Upgrade: h2c\r\n", b"HTTP2-Settings: AAMAAABkAAQAAP__\r\n"), TAKEN),
        ("Upgrade to websocket", post(b"Connection: Upgrade\r\n", b"Upgrade: websocket\r\n", b"Sec-WebSocket-Key: AAAA\r\n", CL, body=FIVE), TAKEN),
        ("Upgrade to TLS", post(b"Connection: Upgrade\r\n", b"Upgrade: TLS/1.2\r\n"), TAKEN),
        ("Proxy-Connection", post(b"Proxy-Connection: close\r\n"), TAKEN),
        ("CONNECT", b"CONNECT a:80 HTTP/1.1\r\n" + H + b"\r\n", 501),
        ("CONNECT with a body", b"CONNECT a:80 HTTP/1.1\r\n" + H + CL + b"\r\n" + FIVE, 501),
        ("CONNECT of a path", b"CONNECT /hello HTTP/1.1\r\n" + H + b"\r\n", REFUSED),
        ("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        ("the method of an override", post(b"X-HTTP-Method-Override: DELETE\r\n"), TAKEN),
        ("another path", post(b"X-Original-URL: /echo\r\n", b"X-Rewrite-URL: /echo\r\n"), TAKEN),
    ],
}
ROWS = [(f"{family}: {label}", data, want) for family, rows in FAMILIES.items() for label, data, want in rows]


@pytest.mark.parametrize("label, data, want", ROWS, ids=[r[0][:70] for r in ROWS])
def test_smuggling(shared, label, data, want):
    judge(shared(), label, data, want)


def test_absolute_form_names_the_site(serve):
    """The host of the target decides, not the field: two sites can never be mixed up."""
    s = serve("[module:return]\n[site:a]\nhost = a\n[site:b]\nhost = b\n[route:a]\nsite = a\nmatch = /\nhandler = return\ntext = site a\n"
              "[route:b]\nsite = b\nmatch = /\nhandler = return\ntext = site b\n")
    for target, field, site in ((b"http://b/", b"a", "b"), (b"http://a/", b"b", "a"), (b"http://B:80/", b"a", "b"), (b"/", b"a", "a")):
        r = s.exchange(b"GET " + target + b" HTTP/1.1\r\nHost: " + field + b"\r\nConnection: close\r\n\r\n")
        assert r.text == f"site {site}"
