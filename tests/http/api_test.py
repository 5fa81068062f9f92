"""The interface of modules, used in every way that is allowed and in many that are not: tests/lib/modules/nasty.c."""
import os
import re
import shutil
import socket
import tempfile
import threading
import time
from signal import SIGTERM

import pytest
from lib.server import SOURCE, Server, build_module, wait_for

H = b"Host: a\r\n"
CONF = """
    [module:hello]
    [module:nasty]
    file = {0}/nasty.so
    [module:whole]
    file = {0}/whole.so
    [route:nasty]
    match = /nasty
    handler = nasty, whole
    [module:not_mine]
    file = {0}/not_mine.so
    [route:whole]
    match = /whole
    handler = whole
    [route:behind]
    match = /behind
    handler = not_mine, nasty
    [route:hello]
    match = /hello
    handler = hello
"""
NOT_MINE = """
    #include <cserver/cserver.h>
    static int handler(cs_req *r) { (void)r; return CS_DECLINED; }
    CS_MODULE(.name = "not_mine", .version = "1.0", .help = "Wants the whole body, for nothing.", .handler = handler);
"""


@pytest.fixture(scope="module")
def modules():
    folder = tempfile.mkdtemp(prefix="cs-")
    for name in ("nasty", "whole"):
        with open(f"{SOURCE}/tests/lib/modules/{name}.c", encoding="utf-8") as f:
            build_module(folder, name, f.read())
    build_module(folder, "not_mine", NOT_MINE)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def nasty(modules):
    """One worker, so that /nasty/facts is asked of whoever ran the case."""
    server = Server(CONF.format(modules), server={"workers": 1, "block_kill": "0"}, limits={"handler_timeout": "10s"})
    server.start()
    yield server
    faults = server.end()
    assert not faults, "\n".join(faults)


@pytest.fixture
def facts(nasty):
    """facts() is what the module has seen since the test began."""
    nasty.get("/nasty/forget")

    def ask():
        return {name: int(value) for name, value in re.findall(r"(\w+) (-?\d+)", nasty.get("/nasty/facts").text)}

    return ask


def get(path):
    return b"GET /nasty/" + path.encode() + b" HTTP/1.1\r\n" + H + b"\r\n"


def post(path, body=b"", more=b""):
    return b"POST /nasty/" + path.encode() + b" HTTP/1.1\r\n" + H + more + b"Content-Length: %d\r\n\r\n" % len(body) + body


HELLO = b"GET /hello HTTP/1.1\r\n" + H + b"\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"


def then_hello(c):
    assert c.send(HELLO).response().text.startswith("Hello")


def quick(c, seconds=5):
    """From here on reading fails early: what does not come soon will not come at all."""
    c.sock.settimeout(seconds)
    return c


# ---- What a handler returns --------------------------------------------------------------------

@pytest.mark.parametrize("status", [200, 204, 205, 299, 304, 404, 429, 500, 599])
def test_a_returned_status(nasty, status):
    with nasty.connect() as c:
        r = quick(c).send(get(f"status?{status}")).response()
        assert r.status == status
        then_hello(c)


@pytest.mark.parametrize("status", [100, 101, 199])
def test_a_returned_status_that_is_not_final(nasty, status):
    with nasty.connect() as c:
        assert quick(c).send(get(f"status?{status}")).response().status == 500
        then_hello(c)


@pytest.mark.parametrize("value", [2, 3, 99, 600, 100000, -2, -99])
def test_a_returned_number_that_means_nothing(nasty, value):
    """2 is CS_DECLINED: the next handler answers."""
    with nasty.connect() as c:
        assert quick(c).send(get(f"status?{value}")).response().status == (200 if value == 2 else 500)
        then_hello(c)


@pytest.mark.parametrize("how", ["fail", "fail_later"])
@pytest.mark.parametrize("status,seen", [(400, 400), (503, 503), (0, 500), (42, 500), (100, 500), (600, 500), (-1, 500)])
def test_fail_with_any_number(nasty, how, status, seen):
    with nasty.connect() as c:
        assert quick(c).send(get(f"{how}?{status}")).response().status == seen
        then_hello(c)


def test_two_answers(nasty, facts):
    with nasty.connect() as c:
        assert quick(c).send(get("twice")).response().text == "first"
        then_hello(c)
    assert facts()["rc"] == -2


def test_ok_without_an_answer(nasty):
    assert nasty.exchange(get("ok_without_answer")).status == 500


def test_answers_from_a_timer_keep_their_place(nasty):
    with nasty.connect() as c:
        c.send(get("later?40") + HELLO + get("later?1") + get("later?0"))
        assert c.response().text == "later"
        assert c.response().text.startswith("Hello")
        assert c.response().text == "later"
        assert c.response().text == "later"


def test_a_timer_ends_with_its_request(nasty, facts):
    with nasty.connect() as c:
        assert c.send(get("answer_and_timer")).response().text == "at once"
        assert c.is_silent(0.1)
        assert facts()["ticked"] == 0


def test_never_answered(serve, modules):
    s = serve(CONF.format(modules), limits={"handler_timeout": "300ms"}, server={"workers": 1})
    with s.connect() as c:
        c.send(get("never") + HELLO)
        assert c.response().status == 504
        assert c.response().status == 200
    wait_for(lambda: "closed 1" in s.get("/nasty/facts").text)


# ---- Trouble after the start of an answer ------------------------------------------------------

@pytest.mark.parametrize("path", ["start_then_return?500", "start_then_return?404", "start_then_return?2",
                                  "start_then_return?-2", "start_then_return?-3", "start_then_fail",
                                  "start_then_fail_later?500"])
def test_trouble_in_the_middle_cuts_the_answer(nasty, path):
    """The client must see that something is missing: the connection ends without the last chunk."""
    with nasty.connect() as c:
        data = quick(c).send(get(path)).rest()
        assert data.endswith(b"\r\n3\r\nabc\r\n")


@pytest.mark.parametrize("body", [b"xyz", b"x" * 300_000])
def test_error_of_on_data_before_the_answer(nasty, body):
    with nasty.connect() as c:
        assert quick(c).send(post("start_then_data_error?0", body)).response().status == 500


def test_error_of_on_data_in_the_middle(nasty):
    with nasty.connect() as c:
        assert quick(c).send(post("start_then_data_error?1", b"xyz")).rest().endswith(b"\r\n3\r\nabc\r\n")


def test_more_than_promised(nasty, facts):
    with nasty.connect() as c:
        assert quick(c).send(get("too_much")).rest().endswith(b"Content-Length: 3\r\n\r\n")
    assert facts()["rc"] == -2


def test_less_than_promised(nasty):
    with nasty.connect() as c:
        assert quick(c).send(get("too_little")).rest().endswith(b"Content-Length: 10\r\n\r\n123")


def test_who_has_sent_too_little_is_told(nasty, facts):
    with nasty.connect() as c:
        assert quick(c).send(get("too_little_rc")).rest().endswith(b"Content-Length: 10\r\n\r\n123")
    assert facts()["rc"] == -2


# ---- Pieces ------------------------------------------------------------------------------------

@pytest.mark.parametrize("length", [-1, 5])
def test_pieces(nasty, length):
    with nasty.connect() as c:
        assert c.send(get(f"pieces?{length}")).response().body == b"12345"
        r = c.send(get(f"pieces?{length}").replace(b"GET", b"HEAD")).response("HEAD")
        assert (r["content-length"], r["transfer-encoding"]) == (("5", None) if length == 5 else (None, "chunked"))
        then_hello(c)


@pytest.mark.parametrize("length", [-1, 5])
def test_pieces_for_http_1_0(nasty, length):
    with nasty.connect() as c:
        c.send(b"GET /nasty/pieces?%d HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" % length)
        r = c.response()
        assert r.body == b"12345" and r["transfer-encoding"] is None
        if length == 5:
            assert r["connection"] == "keep-alive"
            then_hello(c)
        else:
            assert r["connection"] == "close"


@pytest.mark.parametrize("status", [204, 304])
def test_pieces_where_there_is_no_body(nasty, status):
    with nasty.connect() as c:
        r = c.send(get(f"bodiless?{status}")).response()
        assert (r.status, r["content-length"], r["transfer-encoding"]) == (status, None, None)
        then_hello(c)


def test_on_drain_when_all_has_left(nasty):
    with nasty.connect() as c:
        assert quick(c).send(get("drain_idle")).response().body == b"abcdrained"
        then_hello(c)


def test_on_drain_asked_again_and_again(nasty):
    with nasty.connect() as c:
        assert quick(c).send(get("drain_again")).response().body == b"abcenough"
        then_hello(c)


def test_a_flood_at_the_clients_pace(nasty):
    with nasty.connect() as c:
        assert len(c.send(get("flood?300")).response().body) == 300 * 65536
        then_hello(c)


def test_a_flood_leaves_room_for_others(nasty):
    """One client that takes all it can get does not keep the only worker from the others."""
    with nasty.connect() as greedy:
        greedy.send(get("flood?200000"))
        seen = []

        def drink():
            while data := greedy.sock.recv(1 << 20):
                seen.append(len(data))

        drinker = threading.Thread(target=drink)
        drinker.start()
        wait_for(lambda: sum(seen) > 10_000_000)
        start = time.monotonic()
        for _ in range(5):
            assert nasty.get("/hello").status == 200
        took = time.monotonic() - start
        greedy.sock.shutdown(socket.SHUT_RDWR)
        drinker.join()
    assert took < 5


# ---- Bodies ------------------------------------------------------------------------------------

@pytest.mark.parametrize("size", [0, 1, 1000, 200_000])
@pytest.mark.parametrize("case", ["stream_late", "stream_slowly", "stream_twice"])
def test_streams(nasty, case, size):
    with nasty.connect() as c:
        quick(c).send(post(case, b"x" * size))
        assert c.response().text == f"{size} bytes"
        then_hello(c)


def test_streams_in_chunks(nasty):
    body = b"".join(b"%x\r\n%s\r\n" % (n, b"x" * n) for n in (1, 5000, 20000)) + b"0\r\n\r\n"
    for case in ("stream_late", "stream_slowly"):
        with nasty.connect() as c:
            quick(c).send(b"POST /nasty/" + case.encode() + b" HTTP/1.1\r\n" + H + CHUNKED + body)
            assert c.response().text == "25001 bytes"
            then_hello(c)


def test_an_upload_may_take_longer_than_a_handler(serve, modules):
    s = serve(CONF.format(modules), limits={"handler_timeout": "300ms"}, server={"workers": 1})
    with s.connect() as c:
        c.send(post("stream_late", b"x" * 10).replace(b"Length: 10", b"Length: 15"))
        for _ in range(5):
            time.sleep(0.2)  # the client's pace
            c.send(b"x")
        assert c.response().text == "15 bytes"


@pytest.mark.parametrize("size", [10, 200_000])
def test_too_late_for_the_body(nasty, size):
    """The head has said what becomes of the body: it cannot be asked for any more, and nobody is told it is empty."""
    with nasty.connect() as c:
        assert quick(c).send(post("stream_after_start", b"x" * size)).response().text == "rc -2, 0 calls"


def test_too_late_for_no_body(nasty):
    with nasty.connect() as c:
        assert quick(c).send(get("stream_after_start")).response().text == "rc -2, 0 calls"
        then_hello(c)


def test_late_error_of_on_data_without_a_body(nasty, facts):
    with nasty.connect() as c:
        assert quick(c).send(get("stream_late_error")).response().status == 500
        then_hello(c)
    assert facts()["rc"] == -2


@pytest.mark.parametrize("size", [0, 1, 1000, 200_000])
@pytest.mark.parametrize("case", ["stream_late", "stream_slowly", "stream_twice"])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_somebody_else_has_collected(nasty, chunked, case, size):
    """The first handler of the route wants the whole body, and then leaves it to one that takes it in pieces."""
    with nasty.connect() as c:
        head = b"POST /behind/" + case.encode() + b" HTTP/1.1\r\n" + H
        body = b"x" * size
        if chunked:
            chunk = b"%x\r\n%s\r\n" % (size, body) if size else b""
            quick(c).send(head + CHUNKED + chunk + b"0\r\n\r\n")
        else:
            quick(c).send(head + b"Content-Length: %d\r\n\r\n" % size + body)
        assert c.response().text == f"{size} bytes"
        then_hello(c)


def test_declined_after_asking_for_the_body(nasty):
    with nasty.connect() as c:
        assert quick(c).send(post("stream_then_decline", b"12345")).response().text == "5 bytes, room"
        then_hello(c)


@pytest.mark.parametrize("size", [1, 60_000])
def test_answered_and_not_taken(nasty, size):
    with nasty.connect() as c:
        assert quick(c).send(post("stream_answer_again", b"x" * size)).response().text == "enough"
        then_hello(c)


@pytest.mark.parametrize("body", [b"Content-Length: 2\r\n\r\nab", CHUNKED + b"2\r\nab\r\n0\r\n\r\n"])
def test_what_is_said_on_the_way_leaves_at_once(nasty, body):
    with nasty.connect() as c:
        start = time.monotonic()
        quick(c).send(b"POST /nasty/stream_on_the_way HTTP/1.1\r\n" + H + body)
        c.until(b"1\r\n2\r\n")
        assert time.monotonic() - start < 2.5
        c.until(b"3\r\nend\r\n0\r\n\r\n")
        then_hello(c)


@pytest.mark.parametrize("path", [b"/whole", b"/nasty/nothing"])
def test_a_length_that_nobody_can_hold(serve, modules, path):
    """The announced length is no reason to take the memory before the bytes are there."""
    s = serve(CONF.format(modules), limits={"max_body": "1024g"}, server={"workers": 1})
    worker = s.workers()
    with s.connect() as c:
        c.send(b"POST " + path + b" HTTP/1.1\r\n" + H + b"Content-Length: 1000000000000\r\n\r\nx")
        assert c.is_silent(0.3)
    assert s.get("/hello").status == 200
    assert s.workers() == worker


def test_memory_beside_a_large_body(serve, modules):
    s = serve(CONF.format(modules), limits={"max_body": "64m"})
    body = b"x" * 20_000_000
    chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    for data in (b"Content-Length: %d\r\n\r\n" % len(body) + body, CHUNKED + chunked):
        with s.connect() as c:
            sender = threading.Thread(target=c.send, args=(b"POST /whole HTTP/1.1\r\n" + H + data,))
            sender.start()
            assert c.response().text == "20000000 bytes, room"
            sender.join()


# ---- What is given back ------------------------------------------------------------------------

@pytest.mark.parametrize("kind", ["ref", "file"])
@pytest.mark.parametrize("size", [0, 10, 50_000])
@pytest.mark.parametrize("method,fields,status", [
    ("GET", "", 200), ("HEAD", "", 200), ("GET", 'If-None-Match: "v1"', 304), ("GET", 'If-Match: "v2"', 412),
    ("GET", "Range: bytes=2-3", 206), ("GET", "Range: bytes=0-1,5-6,8-8", 206), ("GET", "Range: bytes=999999-", 416),
    ("GET", 'Range: bytes=0-0\r\nIf-Range: "v2"', 200), ("GET", 'Range: bytes=0-0\r\nIf-None-Match: "v1"', 304),
    ("POST", "Content-Length: 0", 200)])
def test_released_exactly_once(nasty, facts, kind, size, method, fields, status):
    request = f"{method} /nasty/{kind}?{size} HTTP/1.1\r\nHost: a\r\n{fields}{fields and chr(13) + chr(10)}\r\n"
    if size == 0 and status == 206:
        status = 416
    with nasty.connect() as c:
        assert quick(c).send(request.encode()).response(method).status == status
        then_hello(c)
    assert facts()["released"] == 1


def test_odd_parts_of_files(nasty, facts):
    before = len(os.listdir(f"/proc/{nasty.workers()[0]}/fd"))
    assert nasty.get("/nasty/odd_ranges").text == "10 refused"
    assert facts()["released"] == 4
    assert len(os.listdir(f"/proc/{nasty.workers()[0]}/fd")) <= before + 1


@pytest.mark.parametrize("size, text, rc", [(1000, "1000", 0), (16_000_000, "16000000", 0), (17_000_000, "none", -3),
                                            (200_000_000, "none", -3)])
def test_memory_of_formatted_texts(nasty, facts, size, text, rc):
    assert nasty.get(f"/nasty/formatted?{size}").text == text
    assert facts()["rc"] == rc


def test_released_when_refused(nasty, facts):
    assert nasty.exchange(get("ref_after_answer")).text == "first"
    assert facts()["released"] == 2


@pytest.mark.parametrize("kind", ["ref", "file"])
def test_released_when_the_client_has_gone(nasty, facts, kind):
    for _ in range(5):
        with nasty.connect() as c:
            c.send(get(f"{kind}?99999") * 20)
            c.reset()
    wait_for(lambda: facts()["released"] >= 5)


def test_a_dying_request_has_no_token(nasty, facts):
    with nasty.connect() as c:
        c.send(get("never"))
        assert c.is_silent(0.05)
        c.reset()
    wait_for(lambda: facts()["closed"] == 1)
    assert facts()["alive"] == 0


# ---- Others ------------------------------------------------------------------------------------

@pytest.mark.parametrize("what", ["type", "etag", "header"])
def test_no_field_can_be_smuggled_into_an_answer(nasty, what):
    with nasty.connect() as c:
        assert quick(c).send(get(f"inject_{what}")).response()["x-bad"] is None
        then_hello(c)


@pytest.mark.parametrize("request_line,fields,status", [
    ("encoded?0", 'If-Match: "v2"\r\n', 412), ("encoded?500", "", 500), ("encoded?404", "", 404)])
def test_pages_of_our_own_are_not_described_by_the_module(nasty, request_line, fields, status):
    r = nasty.exchange(f"GET /nasty/{request_line} HTTP/1.1\r\nHost: a\r\n{fields}\r\n".encode())
    assert (r.status, r["content-encoding"]) == (status, None)
    assert r.text.startswith("<!doctype html>")


def test_a_million_timers_cost_the_memory_of_a_few(nasty):
    with nasty.connect() as c:
        assert c.send(get("ticks")).response().text == "room"


def test_requests_in_flight_when_draining_say_close(serve, modules):
    s = serve(CONF.format(modules), server={"workers": 1})
    with s.connect() as c:
        c.send(get("later?400"))
        time.sleep(0.1)
        s.process.send_signal(SIGTERM)
        r = c.response()
        assert (r.text, r["connection"]) == ("later", "close")
        assert c.eof()
    assert s.wait(15) == 0


def test_many_large_answers_are_not_made_ahead(nasty):
    """A client that asks for 60 copies of 10 MB and does not read costs the memory of a few."""
    def resident():
        with open(f"/proc/{nasty.workers()[0]}/statm", encoding="ascii") as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    before = resident()
    with nasty.connect() as c:
        c.send(get("big?7000000") * 60)
        c.until(b"\r\n\r\n")
        most = 0
        for _ in range(20):
            time.sleep(0.05)
            most = max(most, resident())
    assert most - before < 120_000_000
