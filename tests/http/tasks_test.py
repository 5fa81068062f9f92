"""The examples of docs/tasks.md, each written both ways: both do what the page says, and the same."""
import os
import re
import threading

import pytest
from lib.origin import Origin, ok
from lib.server import SOURCE, build_module, free_port

SETTINGS = """
[module:{name}]
file = {so}
{keys}
[module:metrics]
[route:metrics]
match = = /metrics
handler = metrics
[route:all]
match = /
handler = {name}
"""


def read():
    with open(os.path.join(SOURCE, "docs/tasks.md"), encoding="utf-8") as f:
        return f.read()


EXAMPLES = {re.search(r'\.name = "(\w+)"', code).group(1): code
            for code in re.findall(r"^```c\n(.*?)^```$", read(), re.M | re.S) if "CS_MODULE" in code}
BOTH = ["", "_cb"]


def test_every_example_is_there_both_ways():
    for name in ("fanout", "login", "proxy", "upload"):
        assert "CS_TASK" in EXAMPLES[name] and "CS_TASK" not in EXAMPLES[name + "_cb"]
        assert "await" not in EXAMPLES[name + "_cb"]
    lines = [line for line in EXAMPLES["proxy"].splitlines() if line.strip()]
    assert len(lines) <= 32 and max(map(len, lines)) <= 120  # "in 30 lines", its #include and CS_MODULE beside them


@pytest.fixture
def example(serve, folder):
    """A server with that example for all paths; the proxy's upstream is the origin's."""
    def start(name, keys="", origin=None):
        code = EXAMPLES[name]
        if origin:
            code = code.replace("http://127.0.0.1:8081", origin.url)
        so = build_module(folder, name, code, "-g")
        return serve(SETTINGS.format(name=name, so=so, keys=keys), server={"workers": 1}, limits={"max_body": "100m"})
    return start


@pytest.mark.parametrize("way", BOTH)
def test_fanout(example, way):
    hold = threading.Event()
    with Origin(lambda a, c: ok(b"one")) as one, Origin(lambda a, c: ok(b"two")) as two, \
            Origin(lambda a, c: hold.wait(60) and None) as late:
        nobody = f"http://127.0.0.1:{free_port()}"
        s = example("fanout" + way, f"upstreams = {one.url}, {two.url}/x, {late.url}, {nobody}")
        lines = s.get("/").text.splitlines()
        assert lines[:3] == ["1: one", "2: two", "3: too late"] and "refused" in lines[3], lines
        s = example("fanout" + way, f"upstreams = {one.url}, {two.url}")
        assert s.get("/").text == "1: one\n2: two\n"
        hold.set()


@pytest.mark.parametrize("way", BOTH)
def test_login(example, way):
    s = example("login" + way)
    answer = s.get("/?name=ada&password=countess")
    assert (answer.status, answer.text) == (200, "Welcome, ada.\n")
    assert s.get("/?name=ada&password=duchess").status == 403
    assert s.get("/").status == 403


@pytest.mark.parametrize("way", BOTH)
def test_upload(example, way):
    s = example("upload" + way)
    for body in (b"", b"x", b"words " * 50000):
        answer = s.post("/", body)
        assert (answer.status, answer.text) == (201, f"{len(body)} bytes\n")
    with s.connect() as c:
        c.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        for piece in (b"slow", b"and", b"slowly"):
            c.send(b"%x\r\n%s\r\n" % (len(piece), piece))
            assert c.is_silent(0.05)
        c.send(b"0\r\n\r\n")
        assert c.response().text == "13 bytes\n"


@pytest.mark.parametrize("way", BOTH)
def test_proxy(example, way):
    body = os.urandom(3_000_000)

    def answer(asked, c):
        if asked.target == "/chunked":
            return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
        if asked.target == "/cut":
            c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
            return None
        if asked.target == "/gone":
            return None
        if asked.method == "HEAD":
            return b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n"
        return ok(asked.body or b"hello", "201 Created", "Server: other\r\nX-Mark: a\r\nX-Mark: b\r\nContent-Type: text/x\r\nConnection: X-Hop\r\nX-Hop: 1\r\n")
    with Origin(answer) as o:
        s = example("proxy" + way, origin=o)
        got = s.get("/path?query=1", headers={"Cookie": "c=d", "TE": "trailers"})
        assert (got.status, got.text, got["Content-Type"], got["X-Hop"]) == (201, "hello", "text/x", None)
        assert got.all("X-Mark") == ["a", "b"] and got.all("Server") == ["cserver"]
        first = o.asked[0]
        assert first.line == "GET /path?query=1 HTTP/1.1" and first.field("cookie") == "c=d" and not first.field("te")
        assert s.post("/", body).body == body
        assert o.asked[1].field("content-length") == str(len(body))
        with s.connect() as c:
            c.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n")
            assert c.response().body == b"abcde"
        assert o.asked[2].field("transfer-encoding") == "chunked"
        head = s.head("/")
        assert (head.status, head["Content-Length"]) == (200, "7")
        with s.connect() as c:  # the target names the host, and the path
            c.send(b"GET http://x/a%20b?c=d HTTP/1.1\r\nHost: x\r\n\r\n")
            assert c.response().status == 201
        assert o.asked[-1].target == "/a%20b?c=d"
        assert s.get("/chunked").text == "abc"
        assert s.get("/gone").status == 502
        with s.connect() as c:
            c.send(b"GET /cut HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"Content-Length: 9" in c.until(b"\r\n\r\n")
            assert c.rest() == b"abc"  # and the end of the connection: the client sees that something is missing
    s = example("proxy" + way)
    assert s.get("/").status == 502


@pytest.mark.parametrize("way", BOTH)
def test_the_proxy_takes_no_more_than_its_client(example, way):
    """The client reads nothing: the origin cannot send much more than what sockets and one piece hold."""
    sent = [0]
    piece = b"x" * 65536

    def answer(_, c):
        c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n")
        for _ in range(1600):
            c.send(piece)
            sent[0] += len(piece)
    with Origin(answer) as o:
        s = example("proxy" + way, origin=o)
        with s.connect() as c:
            c.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            c.until(b"\r\n\r\n")
            seen = -1
            while seen != sent[0]:  # until it stands still
                seen = sent[0]
                threading.Event().wait(0.3)
            assert sent[0] < 30_000_000
            assert len(c.take(104857600)) == 104857600



def test_who_may_pass(serve, folder):
    """The access hook as a task, before the handler of another module."""
    def answer(asked, _):
        if asked.field("authorization") == "Bearer ada":
            return ok(fields="X-User: ada\r\n")
        if asked.field("authorization"):
            return ok(status="418 No")
        return ok(status="401 Who", fields="WWW-Authenticate: Bearer\r\n")
    with Origin(answer) as o:
        so = build_module(folder, "ask", EXAMPLES["ask"], "-g")
        conf = f"""
            [module:ask]
            file = {so}
            service = {o.url}/auth
            [module:hello]
            [route:all]
            match = /
            use = ask
            handler = hello
            """
        s = serve(conf, server={"workers": 1})
        nobody = s.get("/?x=1")
        assert (nobody.status, nobody["WWW-Authenticate"]) == (401, "Bearer")
        assert o.asked[0].field("x-path") == "/?x=1"
        assert s.get("/", headers={"Authorization": "Bearer eve"}).status == 403
        assert s.get("/", headers={"Authorization": "Bearer ada"}).status == 200
    assert s.get("/", headers={"Authorization": "Bearer ada"}).status == 502
    s.log_has("refused")
