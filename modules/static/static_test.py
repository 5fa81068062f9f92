"""static: the right file with the right facts, nothing from outside the root, and never a length that lies."""
import email.parser
import email.policy
import email.utils
import hashlib
import os
import random
import re
import socket
import threading
import time

import pytest
from lib.server import LIMIT, Server, wait_for

NOISE = random.Random(11).randbytes(1 << 20)
BIG = NOISE * 20
TEN = b"0123456789"
PAST = 1_600_000_000
PAST_DATE = email.utils.formatdate(PAST, usegmt=True)
SECRET = b"nobody may see this"

WWW = {
    "index.html": "<p>front</p>",
    "sub/index.html": "sub index",
    "sub/page.html": "page",
    "second/main.htm": "second index",
    "noindex/file.txt": "x",
    "with blank/index.html": "blank",
    "evil.example/index.html": "not there",
    "ten.txt": TEN,
    "empty.txt": b"",
    "big.bin": BIG,
    "with blank.txt": "blank",
    "grüße.txt": "hallo",
    "a+b&c;d=e.txt": "signs",
    "100%.txt": "percent",
    "back\\slash.txt": "backslash",
    "literal%2Fslash.txt": "literal",
    ".env": "hidden",
    ".git/config": "hidden",
    "sub/.hidden/x.txt": "hidden",
    ".well-known/acme": "known",
    ".well-known/.deep": "hidden",
    "unreadable.txt": "no",
    **{f"type.{e}": "x" for e in ("css", "js", "mjs", "wasm", "avif", "webp", "woff2", "json", "svg", "PNG", "unknown",
                                  "jsonl", "pdf", "mp4")},
    "type": "x",
}

CONF = """
    [module:static]
    [module:hello]
    [module:status]

    [site:default]
    root = @DIR@/www
    cache_control = max-age=60

    [route:status]
    match = = /status.json
    handler = status

    [route:second]
    match = /second/
    handler = static
    index = index.html, main.htm

    [route:dots]
    match = /.git/
    handler = static
    dotfiles = on

    [route:app]
    match = /app/
    handler = static
    try_files = /app.html, /sub/page.html
    cache_control = ""

    [route:gone]
    match = /gone/
    handler = static
    try_files = /nowhere, =410

    [route:chain]
    match = /chain/
    handler = static, hello
"""


def make_links(s):
    www = s.path("www")
    s.write("secret.txt", SECRET)
    s.write("outside/secret.txt", SECRET)
    for name, target in [("link-in.txt", "ten.txt"), ("dir-in", "sub"), ("link-out", "../secret.txt"),
                         ("link-absolute", s.path("secret.txt")), ("link-etc", "/etc/passwd"),
                         ("dir-out", "../outside"), ("dir-root", "/"), ("link-loop", "link-loop"),
                         ("sub/link-up", "../ten.txt"), ("sub/link-up-out", "../../secret.txt"),
                         ("link-dangling", "missing.txt")]:
        os.symlink(target, os.path.join(www, name))
    os.mkfifo(os.path.join(www, "fifo"))
    os.makedirs(os.path.join(www, "chain"))
    os.chmod(os.path.join(www, "unreadable.txt"), 0)
    for name in ("ten.txt", "big.bin", "empty.txt"):
        os.utime(os.path.join(www, name), (PAST, PAST))


@pytest.fixture(scope="module")
def server():
    s = Server(CONF, files={"www/" + n: c for n, c in WWW.items()})
    make_links(s)
    s.start()
    yield s
    faults = s.end()
    assert not faults, "\n".join(faults)


def ask(s, target, method="GET", **fields):
    """One request with the target as it is: no client library gets a chance to tidy it up."""
    head = "".join(f"{n.replace('_', '-')}: {v}\r\n" for n, v in fields.items())
    text = f"{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{head}\r\n"
    return s.exchange(text.encode("latin-1"), method)


# ---- Names -------------------------------------------------------------------------------------

@pytest.mark.parametrize("target, status, body", [
    ("/", 200, b"<p>front</p>"),
    ("/index.html", 200, b"<p>front</p>"),
    ("/?x=1", 200, b"<p>front</p>"),
    ("/sub/", 200, b"sub index"),
    ("/second/", 200, b"second index"),
    ("//sub///page.html", 200, b"page"),
    ("/sub/./../ten.txt", 200, TEN),
    ("/ten.txt?x=/../y", 200, TEN),
    ("/empty.txt", 200, b""),
    ("/with%20blank.txt", 200, b"blank"),
    ("/gr%C3%BC%C3%9Fe.txt", 200, b"hallo"),
    ("/a+b&c;d=e.txt", 200, b"signs"),
    ("/%61%2bb%26c%3bd%3de.txt", 200, b"signs"),
    ("/100%25.txt", 200, b"percent"),
    ("/back%5Cslash.txt", 200, b"backslash"),
    ("/literal%2Fslash.txt", 200, b"literal"),
    ("/link-in.txt", 200, TEN),
    ("/dir-in/page.html", 200, b"page"),
    ("/sub/link-up", 200, TEN),
    ("/.well-known/acme", 200, b"known"),
    ("/.git/config", 200, b"hidden"),
    ("/app/users/7", 200, b"page"),
    ("/missing.txt", 404, None),
    ("/missing/", 404, None),
    ("/ten.txt/", 404, None),
    ("/ten.txt/x", 404, None),
    ("/TEN.txt", 404, None),
    ("/link-dangling", 404, None),
    ("/link-loop", 404, None),
    ("/" + "x" * 300, 404, None),
    ("/" + "x/" * 2500, 404, None),
    ("/.env", 404, None),
    ("/%2eenv", 404, None),
    ("/sub/.hidden/x.txt", 404, None),
    ("/.well-known/.deep", 404, None),
    ("/.well-knownx", 404, None),
    ("/gone/x", 410, None),
    ("/noindex/", 403, None),
    ("/unreadable.txt", 403, None),
    ("/fifo", 403, None),
])
def test_name(server, target, status, body):
    r = ask(server, target)
    assert r.status == status
    if body is not None:
        assert r.body == body and r["content-length"] == str(len(body))


@pytest.mark.parametrize("target", [
    "/../secret.txt", "/sub/../../secret.txt", "/%2e%2e/secret.txt", "/.%2e/secret.txt", "/%2e%2e%2fsecret.txt",
    "/..%2fsecret.txt", "/sub/..%2f..%2fsecret.txt", "/..%5csecret.txt", "/..\\secret.txt", "/..%c0%afsecret.txt",
    "/%c0%ae%c0%ae/secret.txt", "/%252e%252e/secret.txt", "/....//secret.txt", "/..;/secret.txt", "/%00/../secret.txt",
    "/secret.txt%00.html", "//../secret.txt", "/./../secret.txt", "/ten.txt/../../secret.txt", "/link-out",
    "/link-absolute", "/link-etc", "/dir-out/secret.txt", "/dir-out/", "/dir-root/etc/passwd", "/sub/link-up-out",
    "/dir-in/../../secret.txt", "http://x/../secret.txt",
])
def test_no_way_out(server, target):
    r = ask(server, target)
    assert r.status in (400, 404)
    assert SECRET not in r.body and b"root:" not in r.body


@pytest.mark.parametrize("target, location", [
    ("/sub", "/sub/"),
    ("/sub?x=1&y=%20", "/sub/?x=1&y=%20"),
    ("/noindex", "/noindex/"),
    ("/with%20blank", "/with%20blank/"),
    ("/dir-in", "/dir-in/"),
    ("//evil.example", "/evil.example/"),
    ("//evil.example/..//evil.example", "/evil.example/"),
])
def test_folder_without_its_slash(server, target, location):
    r = ask(server, target)
    assert (r.status, r["location"]) == (301, location)


def test_a_chain_goes_on_where_there_is_no_file(server):
    assert ask(server, "/chain/x").text == "Hello, world!\n"
    server.write("www/chain/file.txt", "a file")
    assert ask(server, "/chain/file.txt").text == "a file"


# ---- Facts about a file ------------------------------------------------------------------------

@pytest.mark.parametrize("name, kind", [
    ("index.html", "text/html; charset=utf-8"),
    ("ten.txt", "text/plain; charset=utf-8"),
    ("type.css", "text/css; charset=utf-8"),
    ("type.js", "text/javascript; charset=utf-8"),
    ("type.mjs", "text/javascript; charset=utf-8"),
    ("type.wasm", "application/wasm"),
    ("type.avif", "image/avif"),
    ("type.webp", "image/webp"),
    ("type.woff2", "font/woff2"),
    ("type.json", "application/json"),
    ("type.svg", "image/svg+xml"),
    ("type.PNG", "image/png"),
    ("type.pdf", "application/pdf"),
    ("type.mp4", "video/mp4"),
    ("type.unknown", "application/octet-stream"),
    ("type", "application/octet-stream"),
])
def test_type(server, name, kind):
    assert ask(server, "/" + name)["content-type"] == kind


@pytest.mark.parametrize("name", ["ten.txt", "big.bin", "empty.txt"])
def test_head_says_what_get_says(server, name):
    get, head = ask(server, "/" + name), ask(server, "/" + name, "HEAD")
    assert head.status == 200 and head.body == b""

    def fields(r):
        return [(n, v) for n, v in r.headers if n.lower() != "date"]

    assert fields(get) == fields(head)
    assert get["last-modified"] == PAST_DATE and get["accept-ranges"] == "bytes"
    assert re.fullmatch('"[0-9a-f]+-[0-9a-f]+-[0-9a-f]+"', get["etag"])


def test_cache_control(server):
    assert ask(server, "/ten.txt")["cache-control"] == "max-age=60"
    assert ask(server, "/app/x")["cache-control"] is None


@pytest.mark.parametrize("method, target, status, allow", [
    ("POST", "/ten.txt", 405, True), ("PUT", "/ten.txt", 405, True), ("DELETE", "/big.bin", 405, True),
    ("PATCH", "/", 405, True), ("POST", "/sub", 405, True), ("POST", "/app/x", 405, True),
    ("OPTIONS", "/ten.txt", 204, True), ("OPTIONS", "/missing", 404, False), ("POST", "/missing", 404, False),
    ("BREW", "/ten.txt", 501, False),
])
def test_method(server, method, target, status, allow):
    r = ask(server, target, method, Content_Length=0)
    assert r.status == status
    assert r["allow"] == ("GET, HEAD, OPTIONS" if allow else None)


def test_a_body_is_refused_before_it_comes(server):
    with server.connect() as c:
        c.send(b"POST /ten.txt HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\nExpect: 100-continue\r\n\r\n")
        assert c.response().status == 405


# ---- Conditions --------------------------------------------------------------------------------

OTHER = '"1-2-3"'
LATER = email.utils.formatdate(PAST + 100, usegmt=True)
EARLIER = email.utils.formatdate(PAST - 100, usegmt=True)


@pytest.mark.parametrize("name", ["ten.txt", "big.bin"])
@pytest.mark.parametrize("fields, status", [
    ({"If_None_Match": "ETAG"}, 304),
    ({"If_None_Match": "W/ETAG"}, 304),
    ({"If_None_Match": f"{OTHER}, ETAG"}, 304),
    ({"If_None_Match": "*"}, 304),
    ({"If_None_Match": OTHER}, 200),
    ({"If_None_Match": OTHER, "If_Modified_Since": LATER}, 200),
    ({"If_Modified_Since": PAST_DATE}, 304),
    ({"If_Modified_Since": LATER}, 304),
    ({"If_Modified_Since": EARLIER}, 200),
    ({"If_Modified_Since": "yesterday"}, 200),
    ({"If_Match": "ETAG"}, 200),
    ({"If_Match": "*"}, 200),
    ({"If_Match": OTHER}, 412),
    ({"If_Match": "W/ETAG"}, 412),
    ({"If_Unmodified_Since": PAST_DATE}, 200),
    ({"If_Unmodified_Since": EARLIER}, 412),
], ids=lambda v: " ".join(f"{k}={x}" for k, x in v.items()) if isinstance(v, dict) else None)
def test_condition(server, name, fields, status):
    etag = ask(server, "/" + name, "HEAD")["etag"]
    r = ask(server, "/" + name, **{n: v.replace("ETAG", etag) for n, v in fields.items()})
    assert r.status == status
    if status == 304:
        assert r.body == b"" and r["etag"] == etag and r["cache-control"] == "max-age=60"


# ---- Ranges ------------------------------------------------------------------------------------

@pytest.mark.parametrize("value, status, body, place", [
    ("bytes=0-0", 206, b"0", "bytes 0-0/10"),
    ("bytes=2-4", 206, b"234", "bytes 2-4/10"),
    ("bytes=5-", 206, b"56789", "bytes 5-9/10"),
    ("bytes=-3", 206, b"789", "bytes 7-9/10"),
    ("bytes=8-999", 206, b"89", "bytes 8-9/10"),
    ("bytes=-999", 206, TEN, "bytes 0-9/10"),
    ("bytes=9-9, 50-60", 206, b"9", "bytes 9-9/10"),
    ("bytes=0-4,3-6", 206, b"0123456", "bytes 0-6/10"),
    ("bytes=10-", 416, None, "bytes */10"),
    ("bytes=-0", 416, None, "bytes */10"),
    ("bytes=20-30, 40-50", 416, None, "bytes */10"),
    ("bytes=5-2", 200, TEN, None),
    ("bytes=", 200, TEN, None),
    ("bytes=a-b", 200, TEN, None),
    ("lines=0-1", 200, TEN, None),
    ("bytes=0-9,0-9,0-9", 206, TEN, "bytes 0-9/10"),
])
def test_range(server, value, status, body, place):
    r = ask(server, "/ten.txt", Range=value)
    if value == "bytes=0-9,0-9,0-9" and r.status == 200:
        place = None  # asking for everything three times may be taken for asking for all
        status = 200
    assert (r.status, r["content-range"]) == (status, place)
    if body is not None:
        assert r.body == body


@pytest.mark.parametrize("name, content", [("ten.txt", TEN), ("big.bin", BIG)])
@pytest.mark.parametrize("ranges", [[(0, 1), (4, 5)], [(8, 9), (0, 0), (3, 3)], [(1, 1), (3, 3), (5, 5), (7, 7)]])
def test_many_ranges(server, name, content, ranges):
    r = ask(server, "/" + name, Range="bytes=" + ",".join(f"{a}-{b}" for a, b in ranges))
    assert r.status == 206 and r["content-type"].startswith("multipart/byteranges; boundary=")
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(
        b"Content-Type: " + r["content-type"].encode() + b"\r\n\r\n" + r.body)
    parts = message.get_payload()
    assert [p["content-range"] for p in parts] == [f"bytes {a}-{b}/{len(content)}" for a, b in ranges]
    boundary = r["content-type"].split("=", 1)[1].encode()
    raw = [p.split(b"\r\n\r\n", 1)[1] for p in r.body.split(b"\r\n--" + boundary)[1:-1]]
    assert raw == [content[a:b + 1] for a, b in ranges]


@pytest.mark.parametrize("first, last", [(0, 99), (1 << 20, (1 << 20) + 70000), (len(BIG) - 5, len(BIG) - 1)])
def test_range_of_a_large_file(server, first, last):
    r = ask(server, "/big.bin", Range=f"bytes={first}-{last}")
    assert r.status == 206 and same(r.body, BIG[first:last + 1])


@pytest.mark.parametrize("value, status", [
    ("ETAG", 206), ("W/ETAG", 200), (OTHER, 200), (PAST_DATE, 206), (LATER, 200), (EARLIER, 200),
])
def test_if_range(server, value, status):
    etag = ask(server, "/ten.txt")["etag"]
    r = ask(server, "/ten.txt", Range="bytes=1-2", If_Range=value.replace("ETAG", etag))
    assert (r.status, r.body) == (status, b"12" if status == 206 else TEN)


def test_head_has_no_ranges(server):
    r = ask(server, "/ten.txt", "HEAD", Range="bytes=1-2")
    assert (r.status, r["content-length"], r["content-range"]) == (200, "10", None)


def test_an_unmet_condition_comes_before_the_range(server):
    etag = ask(server, "/ten.txt")["etag"]
    assert ask(server, "/ten.txt", Range="bytes=99-", If_None_Match=etag).status == 304


# ---- Sending -----------------------------------------------------------------------------------

def same(a, b):
    """A comparison whose failure does not take a minute to explain."""
    return a == b


def test_a_large_file_arrives_whole(server):
    r = server.get("/big.bin")
    assert hashlib.sha256(r.body).digest() == hashlib.sha256(BIG).digest()


def test_ten_at_once_of_one_descriptor(server):
    bodies = []
    threads = [threading.Thread(target=lambda: bodies.append(server.get("/big.bin").body)) for _ in range(10)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(bodies) == 10 and all(same(b, BIG) for b in bodies)


def slow_reader(s, target):
    """A connection that has read the head only, so that most of the file cannot have been sent; the length promised."""
    c = s.connect()
    c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 256 << 10)
    c.send(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    head = c.until(b"\r\n\r\n").decode()
    return c, int(re.search(r"Content-Length: (\d+)", head).group(1))


def read_at_most(c, n):
    """n bytes, or as many as come until the server closes."""
    parts = [c.take(min(n, len(c.buffer)))]
    n -= len(parts[0])
    while n:
        data = c.sock.recv(min(n, 1 << 20))
        if not data:
            break
        parts.append(data)
        n -= len(data)
    return b"".join(parts)


def test_a_file_that_shrinks_while_it_is_sent_ends_the_connection(server):
    path = server.write("www/shrinks.bin", BIG)
    c, promised = slow_reader(server, "/shrinks.bin")
    os.truncate(path, 1000)
    got = read_at_most(c, promised)
    c.close()
    assert promised == len(BIG) and len(got) < promised
    # What the kernel has queued are pages of the file, so those may have become zeros.
    assert same(len(got), sum(a in (b, 0) for a, b in zip(got, BIG)))


def test_a_file_that_grows_while_it_is_sent_keeps_its_length(server):
    path = server.write("www/grows.bin", BIG)
    c, promised = slow_reader(server, "/grows.bin")
    with open(path, "ab") as f:
        f.write(b"more" * 1000)
    body = read_at_most(c, promised)
    assert promised == len(BIG) and same(body, BIG)
    c.send(b"GET /ten.txt HTTP/1.1\r\nHost: x\r\n\r\n")
    assert c.response().body == TEN, "and the connection goes on"
    c.close()
    # Each worker has a cache of its own: one may know before the other.
    wait_for(lambda: same(server.get("/grows.bin").body, BIG + b"more" * 1000), 10)


def test_a_file_that_is_replaced_while_it_is_sent(server):
    server.write("www/replaced.bin", BIG)
    c, promised = slow_reader(server, "/replaced.bin")
    os.replace(server.write("new.bin", b"new"), server.path("www/replaced.bin"))
    assert same(read_at_most(c, promised), BIG)
    c.close()
    wait_for(lambda: ask(server, "/replaced.bin").body == b"new", 10)


# ---- The cache ---------------------------------------------------------------------------------

CACHE = """
    [module:static]
    cache_valid = {valid}
    cache_files = {files}
    cache_small = {small}
    [module:status]
    [site:default]
    root = @DIR@/www
    [route:status]
    match = = /status.json
    handler = status
"""


def loads(s):
    return s.get("/status.json").json["modules"]["static"]["loads"]


def test_a_file_is_read_once_while_it_is_valid(serve):
    s = serve(CACHE.format(valid="1h", files=100, small="64k"), server={"workers": 1},
              files={"www/a.txt": "a", "www/index.html": "front"})
    for _ in range(50):
        assert s.get("/a.txt").text == "a" and s.get("/").text == "front"
    assert loads(s) == 2


def test_without_a_cache_each_request_reads(serve):
    s = serve(CACHE.format(valid="1h", files=0, small="64k"), server={"workers": 1}, files={"www/a.txt": "a"})
    for _ in range(5):
        assert s.get("/a.txt").text == "a"
    assert loads(s) == 5


def test_an_old_file_is_looked_at_but_not_read_again(serve):
    s = serve(CACHE.format(valid="0", files=10, small="64k"), server={"workers": 1}, start=False,
              files={"www/a.txt": "a"})
    time.sleep(2.1)  # what was written a moment ago is not trusted to be at rest
    s.start()
    for _ in range(5):
        assert s.get("/a.txt").text == "a"
    assert loads(s) == 1


@pytest.mark.parametrize("small", ["64k", "0"], ids=["in memory", "as descriptor"])
def test_changes_are_seen_at_once_when_nothing_is_trusted(serve, small):
    s = serve(CACHE.format(valid="0", files=10, small=small), files={"www/a.txt": "first"})
    for i in range(100):
        text = f"version {i % 10}"  # of one length, and within one tick of the file system's clock
        if i % 2:
            s.write("www/a.txt", text)
        else:
            os.replace(s.write("new.txt", text), s.path("www/a.txt"))
        assert s.get("/a.txt").text == text
    os.unlink(s.path("www/a.txt"))
    assert s.get("/a.txt").status == 404
    os.mkdir(s.path("www/a.txt"))
    assert s.get("/a.txt").status == 301


@pytest.mark.parametrize("small", ["64k", "0"], ids=["in memory", "as descriptor"])
def test_a_change_that_keeps_size_and_time_is_seen(serve, small):
    s = serve(CACHE.format(valid="0", files=10, small=small), files={"www/a.txt": "first"}, start=False)
    path = s.path("www/a.txt")
    os.utime(path, (PAST, PAST))
    time.sleep(2.1)  # see above
    s.start()
    first = s.get("/a.txt")
    new = s.write("new.txt", "other")
    os.utime(new, (PAST, PAST))
    os.replace(new, path)
    second = s.get("/a.txt")
    assert (first.text, second.text) == ("first", "other") and first["etag"] != second["etag"]
    s.write("www/a.txt", "third")
    os.utime(path, (PAST, PAST))
    assert s.get("/a.txt").text == "third"


def replace_until(stop, s, name, versions):
    n = 0
    while not stop.is_set():
        os.replace(s.write("new", versions[n % len(versions)]), s.path("www/" + name))
        n += 1


def rewrite_until(stop, s, name, versions):
    n = 0
    while not stop.is_set():
        s.write("www/" + name, versions[n % len(versions)])
        n += 1


@pytest.mark.parametrize("sizes", [(100, 5000), (40000, 90000), (200000, 300001)],
                         ids=["small", "both sides of cache_small", "large"])
def test_replaced_under_load_every_answer_is_one_version(serve, sizes):
    versions = [b"a" * sizes[0], b"b" * sizes[1]]
    s = serve(CACHE.format(valid="1ms", files=10, small="64k"), files={"www/x": versions[0]})
    stop = threading.Event()
    writer = threading.Thread(target=replace_until, args=(stop, s, "x", versions))
    writer.start()
    seen = {}
    try:
        with s.connect() as c:
            until, n = time.monotonic() + LIMIT, 0
            while n < 500 or (len(set(seen.values())) < 2 and time.monotonic() < until):
                n += 1
                c.send(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n")
                r = c.response()
                assert r.status == 200 and r.body in versions
                assert seen.setdefault(r["etag"], r.body) == r.body, "one tag, two contents"
    finally:
        stop.set()
        writer.join()
    assert len(set(seen.values())) == 2, "both versions were seen"


def test_written_in_place_under_load_no_length_lies(serve):
    versions = [b"a" * 30000, b"b" * 100, b"c" * 50000]
    s = serve(CACHE.format(valid="0", files=10, small="64k"), files={"www/x": versions[0]})
    stop = threading.Event()
    writer = threading.Thread(target=rewrite_until, args=(stop, s, "x", versions))
    writer.start()
    try:
        with s.connect() as c:
            for _ in range(500):
                c.send(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n")
                r = c.response()
                assert r.status == 200 and len(r.body) == int(r["content-length"])
                assert set(r.body) <= set(b"abc\0")
    finally:
        stop.set()
        writer.join()
    last = s.get("/x").body
    assert last == open(s.path("www/x"), "rb").read()


def open_files(s, pid):
    found = 0
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            found += os.readlink(f"/proc/{pid}/fd/{fd}").startswith(s.path("www/"))
        except FileNotFoundError:
            pass
    return found


@pytest.mark.parametrize("small", ["64k", "0"], ids=["in memory", "as descriptor"])
def test_more_files_than_the_cache_holds(serve, small):
    files = {f"www/d{i % 7}/file-{i}.txt": f"content of {i}" for i in range(1000)}
    s = serve(CACHE.format(valid="1h", files=50, small=small), files=files)
    chance = random.Random(3)
    with s.connect() as c:
        for i in list(range(1000)) + [min(999, int(chance.expovariate(0.02))) for _ in range(3000)]:
            c.send(f"GET /d{i % 7}/file-{i}.txt HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert c.response().text == f"content of {i}"
    for pid in s.workers():
        assert open_files(s, pid) <= (50 if small == "0" else 0)


def test_an_application_with_its_own_addresses(serve):
    s = serve("""
        [site:default]
        root = @DIR@/www
        try_files = /index.html
    """, files={"www/index.html": "app", "www/app.js": "code", "www/.env": "hidden"})
    assert [s.get(p).text for p in ("/", "/users/7", "/deep/er/x.html?y", "/app.js")] == ["app", "app", "app", "code"]
    assert s.get("/users/7")["content-type"].startswith("text/html")
    assert s.get("/.env").status == 404


def test_without_a_root_there_is_nothing(serve):
    s = serve("""
        [module:static]
        [route:all]
        match = /
        handler = static
    """)
    assert s.get("/").status == 404


@pytest.mark.parametrize("keys, word", [
    ("try_files = index.html", "try_files"),
    ("try_files = =404, /x", "last"),
    ("try_files = $uri $uri/ /index.html", "commas"),
    ("try_files = /a.html =404", "commas"),
    ("index = index.html index.htm", "commas"),
    ("try_files = =999", "try_files"),
    ("index = sub/index.html", "index"),
    ("cache_valid = 5", "cache_valid"),
    ("cache_files = 10", "cache_files"),
    ("dotfile = on", "dotfiles"),
])
def test_settings_refused(serve, keys, word):
    s = serve(f"[module:static]\n[site:default]\nroot = @DIR@/www\n{keys}\n", files={"www/x": "x"}, start=False)
    done = s.run("-c", s.conf, "-t")
    assert done.returncode == 78 and word in done.stderr, done.stderr
