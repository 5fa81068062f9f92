"""Requests that are nearly right, in every way that servers have been known to read differently: whole ones put
together from odd parts or grown from a grammar (tree.py), then bytes changed. The same seed gives the same inputs."""
import random

import tree

END = b"GET /end HTTP/1.1\r\nHost: end\r\nConnection: close\r\n\r\n"  # who reads this as a request has kept in step

METHODS = [b"GET", b"GET", b"GET", b"POST", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"HEAD", b"PATCH", b"BREW", b"get", b"TRACE",
           b"CONNECT", b"G=T", b"GET\t", b"", b"GE(T", b"M-SEARCH", b"PURGE"]
TARGETS = [b"/", b"/a", b"/a?b=c", b"/a/b/c", b"*", b"/%41", b"/a%20b", b"//a", b"/a//b", b"/a/./b", b"/a/../b", b"/a;b=c",
           b"http://b/a", b"http://b:80/a?x", b"HTTP://B/a", b"https://b/a", b"http://b", b"http://", b"http://b?x", b"ftp://b/",
           b"http:/a", b"a", b"b:80", b"/a#b", b"/\x80", b"/a\x7f", b"/a\tb", b"/a b", b"/../a", b"/%2e%2e/a", b"/%00", b"/%zz",
           b"/%", b"/%2f", b"/\\a", b"/a\"b", b"/<a>", b"/{a}|^`", b"?a", b"http://u@b/a", b"http://b c/a", b"http://[::1]/a", b"/?"]
VERSIONS = [b"HTTP/1.1"] * 12 + [b"HTTP/1.0"] * 3 + [
    b"HTTP/1.2", b"HTTP/1.9", b"HTTP/2.0", b"HTTP/0.9", b"HTTP/1.01", b"HTTP/01.1", b"HTTP/1", b"HTTP/1.", b"HTTP/1,1", b"http/1.1",
    b"HTTP/1.1 ", b" HTTP/1.1", b"HTTP /1.1", b"HTTP/1.1x", b"HTTP/3.0", b"HTP/1.1", b"", b"HTTP/11.1", b"HTTP/+1.1", b"RTSP/1.0",
    b"HTTP/1.1\t", b"HTTPS/1.1", b"HTTP/1.10", b"ICE/1.0"]
HOSTS = [b"a"] * 12 + [b"b", b"A", b"a:80", b"a:", b"", b"a b", b"a/b", b"a,b", b"a@b", b"a?b", b"a#b", b"[::1]", b"[::1]:80", b"[::1",
                       b"[x]", b"a:x", b"a:99999", b"a:-1", b"a\\b", b"a%41", b"a%", b"\xc3\xa4", b"a\tb", b"a:80:80", b"_a", b"a..b", b"127.0.0.1",
                       b"a\x00b", b"\"a\"", b"<a>", b"a.", b".a", b"-a", b"[2001:DB8:0:0::1]", b"[::FFFF:1.2.3.4]", b"[0::1.2.3.4]:80", b"a:0"]
LENGTHS = [b"%d"] * 6 + [b"+%d", b"-%d", b"0%d", b"%d ", b" %d", b"%d,%d", b"%d, %d", b"%d,", b",%d", b"%d %d", b"0x%d", b"%d.0", b"%de0",
                         b"%d;", b"'%d'", b"\"%d\"", b"", b"\x0b%d", b"%d\x0c", b"%d\x00", b"\xa0%d", b"18446744073709551616", b"18446744073709551621",
                         b"9223372036854775808", b"4294967301", b"99999999", b"4294967296", b"99999999999999999999999999999999", b"%d_0", b"\t%d\t", b"%d\t", b"%d, 7", b"abc",
                         b"--%d", b"\xef\xbc\x95", b"%d\\r", b"0000000000000000000000000000000%d"]
CODINGS = [b"chunked"] * 6 + [b"Chunked", b"CHUNKED", b" chunked ", b"\tchunked", b"\x0bchunked", b"chunked\x0c", b"chunked,", b",chunked",
                              b"chunked, chunked", b"chunked,identity", b"identity,chunked", b"identity", b"gzip, chunked", b"gzip",
                              b"chunked, gzip", b"xchunked", b"chunkedx", b"chunk", b"\"chunked\"", b"'chunked'", b"chunked;q=1", b"chunked;a=b",
                              b"chunked ;", b"", b"chunked\x00", b"chu nked", b"chunked chunked", b"\xa0chunked", b"x chunked", b"chunked;",
                              b"deflate", b"x-chunked", b"chunked\x85", b"chun\xc5\xbfed", b"{chunked}", b"chunked/", b"cow, chunked", b", ,chunked"]
NAMES = [b"X", b"X-Y", b"x_y", b"X.Y", b"X Y", b"X ", b" X", b"X\t", b"\tX", b"", b"X\x00", b"X\x7f", b"X\x80", b"X(Y)", b"X/Y", b"X@Y", b"X=Y", b"X\"",
         b"X,Y", b"X;Y", b"!#$%&'*+-.^_`|~", b"X\x0b", b"X[Y]", b"{X}", b"X?", b"X\\Y", b"X\xc3\xa4", b"\xef\xbb\xbfX", b"X\r", b"X\n", b"<X>"]
VALUES = [b"1", b"a b", b"", b" ", b"a\tb", b"a\x00b", b"a\x01b", b"a\x7fb", b"a\x80b", b"a\rb", b"a\nb", b"a\r\n b", b"a\r\n\tb", b"\r\n b",
          b"a\r\r\nb", b"a\x0bb", b"a\x0cb", b"a:b", b"\"a", b"(a", b"a\x1bb", b"\xff\xfe", b"a" * 300, b"a\n\nGET /x HTTP/1.1\nHost: a\n\n",
          b"a\rContent-Length: 3", b"a\nContent-Length: 3"]
FIELDS = [b"Connection: close", b"Connection: keep-alive", b"Connection: Host", b"Connection: Content-Length", b"Connection: transfer-encoding",
          b"Connection: close, keep-alive", b"Connection: upgrade\r\nUpgrade: websocket", b"Upgrade: h2c", b"Upgrade: TLS/1.0\r\nConnection: Upgrade",
          b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__", b"Expect: 100-continue", b"Expect: 200-ok",
          b"Expect: 100-Continue", b"Expect: 100-continue, x", b"Expect:", b"Trailer: X", b"Trailer: Content-Length", b"TE: trailers", b"TE: chunked",
          b"Keep-Alive: 5", b"Proxy-Connection: close", b"Content-Type: text/plain", b"Content-Encoding: gzip", b"Range: bytes=0-1",
          b"X-HTTP-Method-Override: PUT", b"Content_Length: 3", b"Transfer_Encoding: chunked", b"Transfer Encoding: chunked", b"Content-Length_: 3",
          b"Content-Length : 3", b"Transfer-Encoding : chunked", b"Transfer-Encoding\t: chunked", b"Content-Length\t: 3", b" Content-Length: 3",
          b" Transfer-Encoding: chunked", b"X: 1\r\n Transfer-Encoding: chunked", b"Transfer-Encoding:\r\n chunked", b"Content-Length:\r\n 3",
          b"Host : b", b" Host: b", b"X: 1\nTransfer-Encoding: chunked", b"X: 1\rTransfer-Encoding: chunked", b"X: 1\nContent-Length: 3",
          b"X\x00: 1", b"Transfer-Encoding\x00: chunked", b"\x0bTransfer-Encoding: chunked", b"Transfer-Encoding\x0b: chunked", b"nonsense", b": 1",
          b"X-\xe4: 1", b"Content-Length\xa0: 3", b"Cookie: a=b; c=d", b"Accept: */*", b"Authorization: Basic YTpi", b"Date: now", b"Via: 1.0 x",
          b"Max-Forwards: 0", b"If-Match: *", b"Content-Length: 0", b"Transfer-Encoding: chunked", b"Host: b", b"Host: a"]
SIZES = [b"%x"] * 8 + [b"%X", b"0%x", b"000000%x", b"0x%x", b"+%x", b"-%x", b" %x", b"%x ", b"\t%x", b"%x\t", b"%xg", b"%x;", b"%x;a", b"%x;a=b",
                       b"%x; a=b", b"%x ;a=b", b"%x;a=\"b\"", b"%x;a=\"b\r\nc\"", b"%x;a=\"b", b"%x;=b", b"%x;a=", b"%x;a\x00", b"%x;a\n", b"%x;a\rb",
                       b"%x;\xff", b"%x,1", b"%x.0", b"00000000000000000%x", b"10000000000000000%x", b"fffffffffffffff%x", b"1000000%x", b"", b"%x_",
                       b"%x\x0b", b"%x\x0c", b"%x\xa0", b"'%x'", b"%x;a;b=c;d", b"%x;" + b"a" * 200, b"%x\\r", b"%x \x0b;a"]
CHUNK_ENDS = [b"\r\n"] * 12 + [b"\n", b"\r", b"", b"\r\r\n", b"\n\r", b"xx", b" \r\n", b"x\r\n", b"\r\n\r\n", b"\x00\x00"]
LAST = [b"0\r\n\r\n"] * 10 + [b"0\r\n", b"0\n\n", b"0\r\n\n", b"0\n\r\n", b"00\r\n\r\n", b"0;a\r\n\r\n", b"0\r\nX: 1\r\n\r\n", b"0\r\nContent-Length: 3\r\n\r\n",
                             b"0\r\nX : 1\r\n\r\n", b"0\r\nX: 1\n\r\n", b"0\r\n X: 1\r\n\r\n", b"0\r\nnonsense\r\n\r\n", b"0\r\n: 1\r\n\r\n", b"0\r\nX: \x001\r\n\r\n",
                             b"0 \r\n\r\n", b"0x0\r\n\r\n", b"-0\r\n\r\n", b"0\r\n\r", b"0\r\n\rX", b"0\r\r\n\r\n", b"0000000000000000000\r\n\r\n",
                             b"0\r\nX: 1\r\n y\r\n\r\n", b"0\r\nTransfer-Encoding: chunked\r\n\r\n", b"", b"0\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n", b"0\r\nX:\r\n\r\n"]
LINE_ENDS = [b"\r\n"] * 30 + [b"\n", b"\n", b"\r", b"\r\r\n", b"\n\r", b"\x0b\r\n", b" \r\n", b"\x00\r\n"]
BYTES = [bytes([c]) for c in b"\x00\t\n\x0b\x0c\r \"#%'(),-/0:;<=>?@[\\]_{}~\x7f\x80\x85\xa0\xff"] + [b"\r\n", b"\r\n\r\n", b"\n\n", b"\r\n ", b"0"]
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: s\r\n\r\n"


class Maker:
    def __init__(self, seed):
        self.r = random.Random(seed)

    def odd(self, usual, others, chance):
        return self.r.choice(others) if self.r.random() < chance else usual

    def number(self, form, n):
        return form % ((n,) * form.count(b"%d")) if b"%d" in form else form

    def chunks(self, body, p):
        out, at = b"", 0
        while at < len(body):
            n = self.r.randint(1, len(body) - at)
            form = self.odd(b"%x", SIZES, p)
            size = form.replace(b"%x", b"%x" % n).replace(b"%X", b"%X" % n)
            out += size + self.odd(b"\r\n", LINE_ENDS, p / 4) + body[at:at + n] + self.odd(b"\r\n", CHUNK_ENDS, p)
            at += n
        return out + self.odd(b"0\r\n\r\n", LAST, p)

    def body(self):
        return self.r.choice([b"", b"x", b"hello", b"0\r\n\r\n", b"a=b&c=d", SMUGGLED, b"0\r\n\r\n" + SMUGGLED, b"\r\n", b"x" * 40])

    def request(self):
        r = self.r
        p = r.choice([0, 0.03, 0.1, 0.25])
        method = self.odd(r.choice([b"GET", b"POST", b"PUT"]), METHODS, p)
        version = self.odd(b"HTTP/1.1", VERSIONS, p)
        fields = [b"Host: " + self.odd(b"a", HOSTS, p)]
        if r.random() < p / 2:
            fields = r.choice([[], fields * 2, [b"Host: b", *fields], [b"hOST:a"]])
        body, tail = b"", b""
        kind = r.choice(["none", "length", "chunked", "both"]) if r.random() < 0.9 else "all"
        if kind == "both" and r.random() < 0.8:
            kind = r.choice(["none", "length", "chunked"])
        if kind != "none":
            body = tail = self.body()
            if kind != "length":
                tail = self.chunks(body, p)
            for name, forms in ((b"Content-Length", LENGTHS), (b"Transfer-Encoding", CODINGS)):
                if kind in ("both", "all") or (kind == "length") == (name[:1] == b"C"):
                    for _ in range(2 if r.random() < p / 3 else 1):
                        form = self.odd(forms[0], forms, p)
                        n = len(tail) if kind == "both" and r.random() < 0.5 else len(body)
                        fields.append(name + self.odd(b": ", [b":", b" :", b"\t:", b":\t", b" : ", b":\r\n ", b"::", b""], p / 3)
                                      + self.number(form, n))
        for _ in range(r.choice([0, 0, 0, 1, 2])):
            fields.append(r.choice(FIELDS) if r.random() < p * 3 else
                          self.odd(b"X", NAMES, p) + b": " + self.odd(b"1", VALUES, p))
        r.shuffle(fields)
        between = self.odd(b" ", [b"  ", b"\t", b"\x0b", b"", b" \t"], p / 4)
        usual = [b"b:80"] if method == b"CONNECT" else [b"/", b"/a", b"/a?b=c"]
        first = method + between + self.odd(r.choice(usual), TARGETS, p) + b" " + version
        ends = [self.odd(b"\r\n", LINE_ENDS, p / 2) for _ in range(len(fields) + 2)]
        head = b"".join(line + end for line, end in zip([first, *fields, b""], ends))
        return self.odd(b"", [b"\r\n", b"\n", b"\r\n\r\n", b"\r\n\r\n\r\n", b" ", b"\r", b"\x00", b"\xef\xbb\xbf"], p / 5) + head + tail

    def mutate(self, data):
        r, data = self.r, bytearray(data)
        for _ in range(r.choice([1, 1, 1, 2, 3])):
            at = r.randrange(len(data))
            way = r.randrange(6)
            if way == 0:
                data[at:at + 1] = r.choice(BYTES)
            elif way == 1:
                data[at:at] = r.choice(BYTES)
            elif way == 2:
                del data[at:at + r.choice([1, 1, 1, 2, 5])]
            elif way == 3:
                data[at] ^= 1 << r.randrange(8)
            elif way == 4:
                end = min(len(data), at + r.randint(1, 20))
                data[at:at] = data[at:end]
            else:
                other = r.randrange(len(data))
                data[at], data[other] = data[other], data[at]
            if not data:
                return b"x"
        return bytes(data)

    def input(self):
        data = b"".join(tree.request(self.r) if self.r.random() < 0.2 else self.request() for _ in range(self.r.choice([1, 1, 1, 2, 3])))
        if self.r.random() < 0.3:
            data = self.mutate(data)
        return data + END


def inputs(seed, number):
    maker = Maker(seed)
    return [maker.input() for _ in range(number)]
