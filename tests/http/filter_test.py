"""Filters of heads and bodies: tests/lib/modules/filt.c does what the field X-filt or the key `mode` says; tests/lib/modules/app.c
answers in every way there is."""
import re
import shutil
import socket
import tempfile

import pytest
from lib.server import SOURCE, Connection, Server, build_module, wait_for

CONF = """
    [module:app]
    file = {0}/app.so
    [module:filt]
    file = {0}/filt.so
    [module:inner]
    file = {0}/inner.so
    [module:always]
    file = {0}/always.so
    [site:a]
    root = @DIR@/www
    [route:app]
    match = /app
    handler = app
    use = filt, inner
    [route:files]
    match = /files/
    use = filt
    [route:always]
    match = /always
    handler = app
    use = always
    mode = upper
    [route:both]
    match = /both
    handler = app
    use = filt, always
    [module:nasty]
    file = {0}/nasty.so
    [route:nasty]
    match = /nasty
    handler = nasty
    use = filt, inner
    [route:facts]
    match = /facts
    handler = nasty
"""
BIG = 3_000_000


@pytest.fixture(scope="module")
def modules():
    folder = tempfile.mkdtemp(prefix="cs-")
    for name, source, flags in (("app", "app", ""), ("nasty", "nasty", ""), ("filt", "filt", ""), ("inner", "filt", ""),
                                ("always", "filt", "-DBODY_ONLY")):
        with open(f"{SOURCE}/tests/lib/modules/{source}.c", encoding="utf-8") as f:
            build_module(folder, name, f.read(), f'-DNAME="{name}" {flags}')
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def server(modules):
    s = Server(CONF.format(modules), server={"workers": 1}, www={"files/a.txt": "a file\n", "files/big": pattern(BIG),
                                                                "files/empty": ""})
    s.start()
    yield s
    faults = s.end()
    assert not faults, "\n".join(faults)


def pattern(n):
    return b"".join(b"%07d " % i for i in range(n // 8 + 1))[:n]


def request(path, method="GET", version="1.1", more="", **fields):
    head = f"{method} {path} HTTP/{version}\r\nHost: a\r\n" + "".join(f"X-{n}: {v}\r\n" for n, v in fields.items())
    return (head + more + "\r\n").encode()


def ask(server, path, method="GET", **fields):
    """One answer, and the connection serves again unless it says otherwise."""
    with server.connect() as c:
        r = c.send(request(path, method, **fields)).response(method)
        if r["connection"] != "close":
            assert c.send(request("/app/text")).response().text == "Hello, app"
        return r


def cut_short(server, path, **fields):
    """The body as far as it has come; the connection ended before its end."""
    with server.connect() as c:
        c.send(request(path, **fields))
        head = c.until(b"\r\n\r\n").decode()
        rest = c.rest()
        assert not rest.endswith(b"\r\n0\r\n\r\n") and rest != b"0\r\n\r\n"
        return head, rest


# ---- Heads ----

@pytest.mark.parametrize("path, status, seen", [
    ("/app/text", 200, "200 text/plain; charset=utf-8"),
    ("/app/status?s=404", 404, "404 text/html; charset=utf-8"),
    ("/app/status?s=500", 500, "500 text/html; charset=utf-8"),
    ("/app/status?s=204", 204, "204"),
    ("/app/status?s=302", 302, "302 text/html; charset=utf-8"),
    ("/app/file?n=100000", 200, "200 text/plain"),
    ("/app/pieces?n=100", 200, "200 text/plain"),
    ("/app/nothing", 404, "404 text/html; charset=utf-8"),
    ("/files/a.txt", 200, "200 text/plain; charset=utf-8"),
    ("/files/none", 404, "404 text/html; charset=utf-8"),
])
def test_every_head_is_seen(server, path, status, seen):
    for method in ("GET", "HEAD"):
        r = ask(server, path, method)
        assert r.status == status
        assert [x.strip() for x in r.all("X-Seen")][0] == "filt " + seen
        assert len(r.all("X-Seen")) == (2 if path.startswith("/app") else 1)


def test_redirect_of_files_is_seen(server):
    r = ask(server, "/files")
    assert r.status in (301, 308, 404)
    r = ask(server, "/app/status?s=301")
    assert r["x-seen"].startswith("filt 301")


def test_unmodified_is_seen(server):
    r = ask(server, "/app/tagged", more='If-None-Match: "v1"\r\n')
    assert r.status == 304 and r["etag"] == '"v1"' and r["x-seen"] == "filt 304 text/plain"  # as a 200 would be
    r = ask(server, "/app/tagged", more='If-Match: "v2"\r\n')
    assert r.status == 412 and r["x-seen"].startswith("filt 412")


def test_ranges_without_a_body_filter(server):
    """The filter sees the whole, the client gets its part."""
    r = ask(server, "/app/ref?n=100", more="Range: bytes=8-15\r\n")
    assert r.status == 206 and r.body == b"0000001 " and r["x-seen"] == "filt 200 text/plain"
    r = ask(server, "/app/ref?n=100", more="Range: bytes=200-\r\n")
    assert r.status == 416 and r.all("X-Seen") == ["filt 200 text/plain", "inner 200 text/plain"]


def test_head_can_be_changed(server):
    r = ask(server, "/app/text", filt="type")
    assert r["content-type"] == "text/html" and r.all("X-Seen")[1] == "inner 200 text/html"


@pytest.mark.parametrize("path", ["/app/text", "/app/pieces?n=100000", "/app/file?n=100000", "/app/encoded", "/files/a.txt",
                                  "/app/status?s=204", "/app/status?s=404"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("mode, status", [("fail", 500), ("fail_with", 502)])
def test_failed_head_makes_a_page_once(server, path, method, mode, status):
    r = ask(server, path, method, filt=mode)
    assert r.status == status and r["content-encoding"] is None
    assert len(r.all("X-Seen")) == 1 and r["x-seen"].startswith("filt ")
    assert method == "HEAD" or str(status) in r.text


def test_failed_head_lets_the_body_go(server):
    before = server.log().count("released")
    assert ask(server, "/app/ref?n=100000", filt="fail").status == 500
    wait_for(lambda: server.log().count("released") == before + 1)


def test_filter_cannot_answer(server):
    r = ask(server, "/app/text", filt="reply")
    assert r.text == "Hello, app" and r["x-reply"] == "-2 -2 -2 0"


# ---- Bodies ----

BODIES = [("/app/text", b"Hello, app"), ("/app/ref?n=5000", 5000), ("/app/ref?n=200000", 200000),
          ("/app/file?n=5000", 5000), ("/app/file?n=200000", 200000),
          ("/app/pieces?n=5000", 5000), ("/app/pieces?n=200000&size=60000", 200000),
          ("/app/pieces?n=5000&len=5000", 5000), ("/app/ref?n=0", 0), ("/app/file?n=0", 0),
          ("/app/pieces?n=0", 0), ("/files/a.txt", b"a file\n"), ("/files/empty", b"")]


def whole(body):
    return pattern(body) if isinstance(body, int) else body


@pytest.mark.parametrize("path, body", BODIES)
def test_body_goes_through(server, path, body):
    body = whole(body)
    r = ask(server, path, filt="wrap")
    assert r.body == b"<" + body + b">"
    assert r["transfer-encoding"] == "chunked" and r["content-length"] is None and r["accept-ranges"] is None
    assert r["x-filter-filt"] == "0"
    assert ask(server, path, filt="same").body == body
    assert ask(server, path, filt="upper").body == body.upper()
    assert ask(server, path, filt="hold").body == body
    assert ask(server, path, filt="count").text.startswith(f"{len(body)} bytes")


@pytest.mark.parametrize("path, body", BODIES)
def test_two_filters(server, path, body):
    body = whole(body)
    if path.startswith("/app"):
        assert ask(server, path, filt="wrap", inner="wrap").body == b"<<" + body + b">>"
        assert ask(server, path, filt="hold", inner="wrap").body == b"<" + body + b">"
        assert ask(server, path, filt="add", inner="wrap").body == b"<" + body + b">"
        assert ask(server, path, filt="swallow", inner="wrap").body == b"<>"
        assert ask(server, path, filt="no_last", inner="no_last").body == body


@pytest.mark.parametrize("path, body", [("/always/text", b"Hello, app"), ("/always/ref?n=200000", 200000),
                                        ("/always/pieces?n=3000", 3000), ("/always/ref?n=0", 0)])
def test_without_a_header_filter(server, path, body):
    r = ask(server, path)
    assert r.body == whole(body).upper() and r["transfer-encoding"] == "chunked"


def test_standard_pages_go_through(server):
    assert "<H1>404 NOT FOUND</H1>" in ask(server, "/always/nothing").text
    assert "<H1>500 INTERNAL" in ask(server, "/always/status?s=500").text


@pytest.mark.parametrize("mode, body", [("swallow", 0), ("no_last", 500), ("same", 500)])
@pytest.mark.parametrize("how", ["ref", "file", "pieces"])
def test_server_ends_what_a_filter_leaves_open(server, mode, body, how):
    assert ask(server, f"/app/{how}?n=500", filt=mode).body == pattern(body)


@pytest.mark.parametrize("path", ["/app/text", "/app/file?n=5000", "/app/pieces?n=5000"])
def test_head_requests(server, path):
    """No body, so nothing to filter; the head is that of GET."""
    r = ask(server, path, "HEAD", filt="wrap")
    assert r["x-filter-filt"] == "2" and r["content-length"] is None
    assert ask(server, path, "HEAD", filt="same", Len=77)["content-length"] == "77"
    assert ask(server, path.replace("/app", "/always"), "HEAD").status == 200


def test_no_body_to_filter(server):
    r = ask(server, "/app/status?s=204", filt="wrap")
    assert r.status == 204 and r["x-filter-filt"] == "2" and r["transfer-encoding"] is None
    r = ask(server, "/app/tagged", filt="wrap", more='If-None-Match: "v1"\r\n')
    assert r.status == 304 and r["etag"] == 'W/"v1"'


def test_etag_becomes_weak(server):
    r = ask(server, "/app/tagged", filt="wrap")
    assert r["etag"] == 'W/"v1"'
    assert ask(server, "/app/tagged", filt="wrap", more='If-None-Match: W/"v1"\r\n').status == 304
    assert ask(server, "/app/tagged")["etag"] == '"v1"'
    assert ask(server, "/app/own_tag", filt="wrap").all("ETag") == ['W/"own"']
    assert ask(server, "/app/own_tag").all("ETag") == ['"own"']


@pytest.mark.parametrize("wanted", ["bytes=0-3", "bytes=5-", "bytes=0-1,4-5", "bytes=9999999-"])
def test_no_ranges(server, wanted):
    r = ask(server, "/app/ref?n=1000", filt="wrap", more=f"Range: {wanted}\r\n")
    assert r.status == 200 and r.body == b"<" + pattern(1000) + b">"
    r = ask(server, "/always/ref?n=1000", more=f"Range: {wanted}\r\n")
    assert r.status == 200 and r.body == pattern(1000)


# ---- Lengths ----

@pytest.mark.parametrize("path", ["/app/ref?n=500", "/app/file?n=500", "/app/pieces?n=500"])
def test_length_that_is_kept(server, path):
    r = ask(server, path, filt="wrap", Len=502)
    assert r["content-length"] == "502" and r.body == b"<" + pattern(500) + b">"


def test_length_is_that_of_the_last_filter(server):
    with server.connect() as c:
        c.send(request("/app/ref?n=500", filt="wrap", inner="wrap", Len=504))
        head = c.until(b"\r\n\r\n")
        assert b"Content-Length: 504" in head
        c.rest()
    server.log_has("sent less than it had announced")  # the first filter has said 504 too
    assert ask(server, "/app/ref?n=500", filt="wrap", inner="add").body == b"<" + pattern(500) + b">"


@pytest.mark.parametrize("path", ["/app/ref?n=500", "/app/file?n=500", "/app/pieces?n=500"])
@pytest.mark.parametrize("length, words", [(501, "more than it had announced"), (600, "less than it had announced"),
                                          (0, "more than it had announced")])
def test_length_that_is_not_kept(server, path, length, words):
    with server.connect() as c:
        c.send(request(path, filt="wrap", Len=length))
        assert f"Content-Length: {length}\r\n".encode() in c.until(b"\r\n\r\n")
        assert len(c.rest()) <= length
    server.log_has(words)


def test_sender_that_breaks_its_word(server):
    """Its filter is not told of an end that is none."""
    cut_short(server, "/app/pieces?n=500&len=600", filt="wrap")
    server.log_has("less body than the 600 bytes announced")
    cut_short(server, "/app/pieces?n=5000&size=1000&len=1500", filt="wrap")
    server.log_has("more body than the 1500 bytes announced")
    server.log_has("send said -2")


# ---- Filters that fail ----

@pytest.mark.parametrize("path", ["/app/ref?n=200000", "/app/file?n=200000", "/app/pieces?n=200000&size=30000"])
@pytest.mark.parametrize("mode", ["cut", "cut_with"])
def test_failed_body_is_cut(server, path, mode):
    before = server.log().count("released")
    head, rest = cut_short(server, path, filt=mode)
    assert "200 OK" in head and len(rest) < 150000
    server.log_has("enough" if mode == "cut_with" else "the body filter failed (-2)")
    if "ref" in path:
        wait_for(lambda: server.log().count("released") == before + 1)


@pytest.mark.parametrize("path", ["/app/ref?n=200000", "/app/pieces?n=2000"])
def test_last_piece_too_early(server, path):
    cut_short(server, path, filt="early")
    server.log_has("sent a last piece before it was given one")


@pytest.mark.parametrize("inner", ["cut", "early"])
def test_inner_filter_fails(server, inner):
    cut_short(server, "/app/pieces?n=200000&size=30000", filt="same", inner=inner)


def test_sending_behind_the_end(server):
    assert ask(server, "/app/ref?n=100", filt="twice").body == pattern(100)
    server.log_has("sent 0, then -2")


def test_odd_result_cuts(server):
    cut_short(server, "/app/text", filt="odd")


def test_file_that_becomes_shorter(server):
    cut_short(server, "/app/file?n=100000&short=100000", filt="same")
    server.log_has("became shorter")


# ---- Slow clients, clients that go, other versions ----

@pytest.mark.parametrize("path", ["/app/ref?n=3000000", "/app/file?n=3000000", "/app/pieces?n=3000000&size=50000",
                                  "/files/big"])
def test_slow_client(server, path):
    """It gets all of it, and the server does not keep it all in memory meanwhile."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    sock.connect(("127.0.0.1", server.port))
    sock.sendall(request(path, filt="upper"))
    assert ask(server, "/app/text").text == "Hello, app"
    body, chunk = bytearray(), 1
    sock.settimeout(60)
    while not body.endswith(b"0\r\n\r\n"):
        data = sock.recv(chunk)
        assert data
        body += data
        chunk = min(chunk * 2, 100000)
    sock.close()
    text = bytes(body).split(b"\r\n\r\n", 1)[1]
    out = b""
    while True:
        size, text = text.split(b"\r\n", 1)
        n = int(size, 16)
        if not n:
            break
        out, text = out + text[:n], text[n + 2:]
    assert out == pattern(BIG)
    if "pieces" in path:
        waits = re.findall(r"pieces sent, (\d+) waits", server.log_has("pieces sent") and server.log())
        assert int(waits[-1]) > 0


@pytest.mark.parametrize("path", ["/app/ref?n=30000000", "/app/file?n=30000000", "/app/pieces?n=30000000&size=50000"])
def test_client_that_goes(server, path):
    before = server.log().count("released")
    with server.connect() as c:
        c.send(request(path, filt="wrap"))
        c.take(100000)
    if "ref" in path:
        wait_for(lambda: server.log().count("released") == before + 1)
    assert ask(server, "/app/text").text == "Hello, app"


def test_filter_that_passes_nothing_lets_others_work(server):
    """A large body vanishes in it; meanwhile others get their answers."""
    with server.connect() as c, server.connect() as other:
        c.send(request("/app/file?n=30000000", filt="count"))
        for _ in range(20):
            assert other.send(request("/app/text")).response().text == "Hello, app"
        assert c.response().text == "30000000 bytes, pieces"


@pytest.mark.parametrize("path", ["/app/text", "/app/ref?n=100000", "/app/pieces?n=5000"])
def test_http_1_0(server, path):
    """Without chunks the end of the connection is the end; with a length it need not be."""
    with server.connect() as c:
        r = c.send(request(path, version="1.0", more="Connection: keep-alive\r\n", filt="upper")).response()
        assert r["transfer-encoding"] is None and r["connection"] == "close" and r.body
    n = {"/app/text": 10, "/app/ref?n=100000": 100000, "/app/pieces?n=5000": 5000}[path]
    with server.connect() as c:
        for _ in range(2):
            r = c.send(request(path, version="1.0", more="Connection: keep-alive\r\n", filt="upper", Len=n)).response()
            assert r["connection"] == "keep-alive" and len(r.body) == n


def test_pipelined(server):
    wanted = ["/app/text", "/app/file?n=300000", "/app/ref?n=10", "/app/pieces?n=400000&size=60000", "/app/status?s=404"]
    with server.connect() as c:
        c.send(b"".join(request(path, filt=mode) for path in wanted for mode in ("upper", "add", "wrap")))
        for path in wanted:
            up, plain, wrapped = (c.response().body for _ in range(3))
            assert up == plain.upper() and wrapped == b"<" + plain + b">"


def test_posted(server):
    """A body on the way in, a filtered one on the way out, then the next."""
    with server.connect() as c:
        for _ in range(3):
            c.send(b"POST /always/text HTTP/1.1\r\nHost: a\r\nContent-Length: 50000\r\n\r\n" + b"x" * 50000)
            assert c.response().body == b"HELLO, APP"


# ---- Behind an answer ----

def test_nothing_changes_an_answer_that_filters_are_still_at(server):
    """on_data has answered: it is not called any more, however long the answer takes to leave, and cannot fail."""
    server.get("/facts/forget")
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    sock.connect(("127.0.0.1", server.port))
    with Connection(sock) as c:
        c.send(request("/nasty/reply_then_fail?7000000", "POST", more="Content-Length: 1000\r\n", filt="same") + b"x" * 10)
        c.fill()
        c.send(b"x" * 990)
        assert c.response().body == bytes(7_000_000)
        facts = c.send(request("/facts/facts")).response().text
    assert "rc -2\n" in facts and "late 0\n" in facts


def test_a_large_body_behind_an_answer(server):
    """The head says that nobody will read it."""
    with server.connect() as c:
        c.send(request("/nasty/reply_then_fail?1000", "POST", more="Content-Length: 900000\r\n", filt="same") + b"x" * 10)
        r = c.response()
        assert r.body == bytes(1000) and r["connection"] == "close"
        assert c.eof()


def test_the_last_piece_that_a_filter_cuts(server):
    before = server.log().count("send said -2")
    cut_short(server, "/app/pieces?n=2000&size=1000", filt="cut")
    wait_for(lambda: server.log().count("send said -2") == before + 1)


@pytest.mark.parametrize("path", ["/app/ref?n=1000000", "/app/pieces?n=3000000&size=50000"])
def test_on_drain_is_not_for_filters(server, path):
    assert ask(server, path, filt="drain").body == ask(server, path).body


# ---- Streams ----

def test_no_stream_behind_a_body_filter(server):
    assert ask(server, "/always/detach").text == "NO STREAM"
    assert ask(server, "/both/detach", filt="add").text == "NO STREAM"


# ---- The log ----

def test_access_log_counts_what_was_sent(server):
    ask(server, "/app/ref?n=1000&mark", filt="count")
    line = wait_for(lambda: [x for x in server.read("access.log").split("\n") if "n=1000&mark" in x])[0]
    assert ' 200 15 "' in line
