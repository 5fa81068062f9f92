"""Keep-alive, pipelining, versions, HEAD, targets: what goes over the wire, byte by byte."""
import pytest

H = b"Host: a\r\n"
HELLO = b"GET /hello HTTP/1.1\r\n" + H + b"\r\n"
HELLO_ONLY = "[module:hello]\n[route:hello]\nmatch = /\nhandler = hello\n"


def test_keep_alive_by_default(shared):
    with shared().connect() as c:
        for _ in range(5):
            r = c.send(HELLO).response()
            assert (r.status, r["connection"]) == (200, None)


def test_close_when_asked(shared):
    with shared().connect() as c:
        r = c.send(b"GET /hello HTTP/1.1\r\n" + H + b"Connection: close\r\n\r\n").response()
        assert r["connection"] == "close"
        assert c.eof()


@pytest.mark.parametrize("value", [b"Close", b"foo, close", b"close, foo", b" close "])
def test_spellings_of_close(shared, value):
    with shared().connect() as c:
        assert c.send(b"GET /hello HTTP/1.1\r\n" + H + b"Connection:" + value + b"\r\n\r\n").response().status == 200
        assert c.eof()


def test_http_1_0_closes(shared):
    with shared().connect() as c:
        r = c.send(b"GET /hello HTTP/1.0\r\n\r\n").response()
        assert r.version == "HTTP/1.1"
        assert r["connection"] == "close"
        assert c.eof()


def test_http_1_0_keep_alive(shared):
    with shared().connect() as c:
        for _ in range(3):
            r = c.send(b"GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").response()
            assert r["connection"] == "keep-alive"


def test_date_and_length_always(shared):
    for path in ("/hello", "/nothing", "/status"):
        r = shared().get(path)
        assert r["date"].endswith(" GMT") and len(r["date"]) == 29
        assert int(r["content-length"]) == len(r.body)


def test_pipeline_keeps_the_order(shared):
    with shared().connect() as c:
        c.send(b"".join(b"GET /echo?n=%d. HTTP/1.1\r\n" % i + H + b"\r\n" for i in range(200)))
        for i in range(200):
            assert f"n={i}." in c.response().text


def test_pipeline_waits_for_a_slow_one(shared):
    with shared().connect() as c:
        c.send(b"GET /slow?ms=200 HTTP/1.1\r\n" + H + b"\r\n" + HELLO * 3)
        assert "200 ms" in c.response().text
        for _ in range(3):
            assert c.response().text.startswith("Hello")


def test_pipeline_with_bodies(shared):
    post = b"POST /echo HTTP/1.1\r\n" + H + b"Content-Length: 5\r\n\r\n12345"
    chunked = b"POST /echo HTTP/1.1\r\n" + H + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    with shared().connect() as c:
        c.send((post + chunked) * 20)
        for _ in range(20):
            assert c.response().body == b"12345"
            assert c.response().body == b"abcde"


def test_pipeline_behind_a_close_is_dropped(shared):
    with shared().connect() as c:
        c.send(b"GET /hello HTTP/1.1\r\n" + H + b"Connection: close\r\n\r\n" + HELLO)
        assert c.response().status == 200
        assert c.eof()


def test_a_batch_leaves_in_few_packets(shared):
    """16 requests in one packet are answered together: far fewer reads than answers."""
    with shared().connect() as c:
        c.send(HELLO * 16)
        reads = 0
        while c.buffer.count(b"Hello") < 16:
            assert c.fill()
            reads += 1
        assert reads <= 4


def test_requests_byte_by_byte(shared):
    with shared().connect() as c:
        for byte in HELLO * 3:
            c.send(bytes([byte]))
        for _ in range(3):
            assert c.response().status == 200


def test_empty_lines_before_a_request(shared):
    assert shared().exchange(b"\r\n" + HELLO).status == 200


def test_half_close_still_gets_answers(shared):
    with shared().connect() as c:
        c.send(b"GET /slow?ms=100 HTTP/1.1\r\n" + H + b"\r\n" + HELLO).half_close()
        assert "100 ms" in c.response().text
        assert c.response().status == 200
        assert c.eof()


def test_head_has_the_length_and_no_body(shared):
    with shared().connect() as c:
        full = c.send(HELLO).response()
        r = c.send(b"HEAD /hello HTTP/1.1\r\n" + H + b"\r\n").response("HEAD")
        assert r["content-length"] == str(len(full.body))
        assert c.send(HELLO).response().body == full.body


def test_head_of_an_error(shared):
    with shared().connect() as c:
        r = c.send(b"HEAD /nothing HTTP/1.1\r\n" + H + b"\r\n").response("HEAD")
        assert r.status == 404 and int(r["content-length"]) > 0
        assert c.send(HELLO).response().status == 200


def test_options_asterisk(shared):
    r = shared().exchange(b"OPTIONS * HTTP/1.1\r\n" + H + b"\r\n")
    assert r.status == 200 and "GET" in r["allow"] and r["content-length"] == "0"


@pytest.mark.parametrize("target,host", [(b"http://b/echo?x=1", "b"), (b"http://B:81/echo", "b"), (b"HTTP://b/echo", "b")])
def test_absolute_form(shared, target, host):
    r = shared().exchange(b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n")
    assert r.status == 200
    assert f"{host}\n" in r.text


@pytest.mark.parametrize("target", [b"/a/../hello", b"//hello", b"/./hello", b"/%68ello", b"/hello?a=/../b",
                                    b"/x/%2e%2e/hello"])
def test_paths_are_normalised_before_routing(shared, target):
    assert shared().exchange(b"GET " + target + b" HTTP/1.1\r\n" + H + b"\r\n").text.startswith("Hello")


@pytest.mark.parametrize("target", [b"/x%2f..%2fhello", b"/hell", b"/Hello", b"/hello%2f"])
def test_paths_that_are_not_that_route(shared, target):
    assert shared().exchange(b"GET " + target + b" HTTP/1.1\r\n" + H + b"\r\n").status == 404


def test_many_connections_at_once(shared):
    s = shared()
    conns = [s.connect() for _ in range(300)]
    for c in conns:
        c.send(HELLO)
    assert all(c.response().status == 200 for c in conns)
    for c in conns:
        c.close()


def test_ipv6_and_unix_listeners(serve):
    s = serve("[listen:main]\naddress = 127.0.0.1:@PORT@, [::1]:@PORT@, unix:@DIR@/http.sock\n" + HELLO_ONLY)
    for address in (None, ("::1", s.port), s.path("http.sock")):
        assert s.exchange(HELLO, address=address).status == 200


def test_both_families_by_port(serve):
    s = serve("[listen:main]\naddress = :@PORT@\n" + HELLO_ONLY)
    for address in (None, ("::1", s.port)):
        assert s.exchange(HELLO, address=address).status == 200
