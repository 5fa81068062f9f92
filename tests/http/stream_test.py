"""Streams: answers that go on without their request, alone and in groups (tests/lib/modules/streams.c)."""
import contextlib
import os
import re
import shutil
import signal
import socket
import tempfile
import threading

import pytest
from lib.figures import scrape
from lib.server import LIMIT, SOURCE, Connection, Server, build_module, title, wait_for

CONF = """
    [module:streams]
    file = {0}/streams.so
    end = {1}
    [module:hello]
    [module:metrics]
    [route:streams]
    match = /s
    handler = streams, hello
    [route:hello]
    match = /hello
    handler = hello
    [route:metrics]
    match = /metrics
    handler = metrics
"""


@pytest.fixture(scope="module")
def module():
    folder = tempfile.mkdtemp(prefix="cs-")
    with open(f"{SOURCE}/tests/lib/modules/streams.c", encoding="utf-8") as f:
        build_module(folder, "streams", f.read())
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def begin(serve, module):
    """begin(**options) starts a server of one worker."""
    def start(end="off", server=None, **options):
        return serve(CONF.format(module, end), server={"workers": 1, **(server or {})}, **options)
    return start


@pytest.fixture(scope="module")
def shared(module):
    server = Server(CONF.format(module, "off"), server={"workers": 1})
    server.start()
    yield server
    assert facts(server)["wrong"] == 0, server.log()
    faults = server.end()
    assert not faults, "\n".join(faults)


@pytest.fixture
def one(shared):
    """The server of this file, with no stream open at the beginning."""
    wait_for(lambda: facts(shared)["detached"] == facts(shared)["closed"], LIMIT, "streams are left over")
    return shared


def facts(server):
    return {name: int(value) for name, value in re.findall(r"(\w+) (\d+)", server.get("/s/facts").text)}


def metric(server, name):
    return scrape(server).sum(name)


def ask(c, path, method="GET", version="1.1"):
    """Sends a request, reads the head of its answer only."""
    c.send(f"{method} {path} HTTP/{version}\r\nHost: a\r\n\r\n".encode())
    return c.until(b"\r\n\r\n").decode()


def subscribe(server, path, hello=True):
    c = server.connect()
    head = ask(c, path)
    assert head.startswith("HTTP/1.1 200 "), head
    if hello:
        assert c.until(b"\n") == b"hello\n"
    return c


def slow_client(server, path):
    """Its window is small, so that little is taken before it reads."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.settimeout(LIMIT)
    sock.connect(("127.0.0.1", server.port))
    c = Connection(sock)
    assert "200 OK" in ask(c, path)
    return c


def publish(server, group, n=1, size=0):
    assert server.post(f"/s/{group}?n={n}&size={size}").status == 204


def numbers(c, group, n):
    """The numbers of the next n messages."""
    found = []
    for _ in range(n):
        line = c.until(b"\n")
        m = re.fullmatch(rb"%s (\d+) x*\n" % group.encode(), line)
        assert m, line[:80]
        found.append(int(m[1]))
    return found


def answers(server):
    with contextlib.suppress(OSError, EOFError):
        return server.exchange(b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n").status == 200
    return False


def gone(server, name="size"):
    wait_for(lambda: facts(server)[name] == 0, LIMIT, f"{name} is not 0")
    wait_for(lambda: facts(server)["detached"] == facts(server)["closed"], LIMIT, "on_close has not come")


# ---- The answer ----

def test_head_says_that_the_end_is_the_end(one):
    with one.connect() as c:
        head = ask(c, "/s/all")
        lines = head.lower().split("\r\n")
        assert lines[0] == "http/1.1 200 ok"
        assert {"content-type: text/event-stream", "x-mine: yes", "connection: close"} <= set(lines)
        assert "content-length" not in head.lower() and "transfer-encoding" not in head.lower()
        assert c.until(b"\n") == b"hello\n"
        assert c.is_silent(0.1)
        assert facts(one)["size"] == 1
    gone(one)


def test_http_1_0(one):
    with one.connect() as c:
        head = ask(c, "/s/all", version="1.0")
        assert "200 OK" in head and "Connection: close" in head
        publish(one, "all", 3)
        assert c.until(b"\n") == b"hello\n" and len(numbers(c, "all", 3)) == 3
    gone(one)


@pytest.mark.parametrize("path, method, status", [("/s/all", "HEAD", 200), ("/s/empty", "GET", 204), ("/s/finite", "HEAD", 200)])
def test_answers_without_a_body_have_no_stream(one, path, method, status):
    with one.connect() as c:
        head = ask(c, path, method)
        assert f" {status} " in head and "chunked" not in head
        assert c.eof()
    gone(one)


def test_a_stream_that_ends_at_once(one):
    r = one.get("/s/finite")
    assert (r.status, r.text, r["x-late"]) == (200, "one two three\n", "yes")
    gone(one)


def test_from_one_group_to_another(one):
    assert one.get("/s/moved").text == "in all\nalone\nagain\nin few\n"
    gone(one, "few")


@pytest.mark.parametrize("method, path, body", [("GET", "later", None), ("POST", "body", b"x" * 100000), ("POST", "body", b"")])
def test_from_callbacks(one, method, path, body):
    with one.connect() as c:
        length = f"Content-Length: {len(body)}\r\n" if body is not None else ""
        c.send(f"{method} /s/{path} HTTP/1.1\r\nHost: a\r\n{length}\r\n".encode() + (body or b""))
        assert "200 OK" in c.until(b"\r\n\r\n").decode()
        assert c.until(b"\n") == b"later\n"
        publish(one, "all", 2)
        assert len(numbers(c, "all", 2)) == 2
    gone(one)


def test_a_burst_before_the_head_has_left(one):
    """More than the high-water mark in the turn of the loop in which the stream is made: nobody has been slow."""
    with one.connect() as c:
        assert "200 OK" in ask(c, "/s/later?burst=10")
        assert c.until(b"\n") == b"later\n"
        assert [int(c.until(b"\n")[-9:]) for _ in range(10)] == list(range(10))
    gone(one)


def test_a_history_of_more_than_a_turn(one):
    """The turn of the stream is over when its group comes to it: that makes nobody slow. Only the socket may say so, which
    depends on how fast it is emptied."""
    def has_joined():
        with one.connect() as c, contextlib.suppress(EOFError, ConnectionError):
            assert "200 OK" in ask(c, "/s/history")
            return c.until(b"joined\n") == b"h" * 2000000 + b"joined\n"
        return False
    assert any(has_joined() for _ in range(20))
    gone(one, "closing")


def test_chunked_body_then_stream(one):
    with one.connect() as c:
        c.send(b"POST /s/body HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n")
        c.send(b"0\r\n\r\n")
        assert "200 OK" in c.until(b"\r\n\r\n").decode()
        assert c.until(b"\n") == b"later\n"
    gone(one)


def test_pending_is_no_other_result(one):
    """As with any answer that is made before a handler returns CS_PENDING."""
    with one.connect() as c:
        assert "200 OK" in ask(c, "/s/pending")
        assert c.until(b"\n") == b"hello\n"
        assert c.is_silent(0.1)
    gone(one)


def test_not_before_the_body_is_over(one):
    assert one.post("/s/unread", b"x" * 10).status == 413


# ---- Answers in pieces that are cut ----

def has_reset(c):
    """How the connection ends."""
    try:
        while c.sock.recv(65536):
            pass
    except ConnectionResetError:
        return True
    return False


@pytest.mark.parametrize("version, query, reset", [("1.0", "", True), ("1.0", "len=4", False), ("1.1", "", False)])
def test_a_cut_answer_does_not_look_complete(one, version, query, reset):
    """Where neither chunks nor a length tell the end, it is a reset that says that it was none."""
    with one.connect() as c:
        c.send(f"GET /s/torn?{query} HTTP/{version}\r\nHost: a\r\n\r\n".encode())
        assert has_reset(c) == reset


def test_an_answer_that_the_end_of_the_worker_cuts(begin):
    s = begin(server={"shutdown_timeout": "1s"})
    with s.connect() as c:
        assert "200 OK" in ask(c, "/s/torn?wait=1", version="1.0")
        assert c.until(b"one") == b"one"
        s.signal(signal.SIGTERM)
        assert has_reset(c)
    assert s.wait() == 0


# ---- Taking back ----

@pytest.mark.parametrize("path, status, text", [
    ("taken", 404, None), ("replied", 200, "whole\n"), ("failed", 500, None), ("declined", 200, "Hello, world!\n"),
    ("not_allowed", 204, None), ("answered", 200, "ok")])
def test_another_result_is_the_answer(one, path, status, text):
    """Twice on one connection: it stays as it was."""
    before = facts(one)["detached"]
    with one.connect() as c:
        for _ in range(2):
            c.send(f"GET /s/{path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            r = c.response()
            assert r.status == status and r["connection"] is None
            assert text is None or r.text == text
            assert "hello\n" not in r.text
    gone(one)
    assert facts(one)["detached"] == before + (2 if path != "answered" else 0)


def test_a_full_group(one):
    with subscribe(one, "/s/few"), subscribe(one, "/s/few") as second:
        with one.connect() as c:
            c.send(b"GET /s/few HTTP/1.1\r\nHost: a\r\n\r\n")
            assert c.response().status == 503
            second.close()
            wait_for(lambda: facts(one)["few"] == 1)
            assert "200 OK" in ask(c, "/s/few")
            assert c.until(b"\n") == b"hello\n"
    gone(one, "few")
    assert facts(one)["refused"] == 1


# ---- Filters ----

HEADS = """
    #include <cserver/cserver.h>
    static int header_filter(cs_req *r)
    {
        cs_set_header(r, "X-Body", cs_filter_body(r, -1) == CS_OK ? "filtered" : "as it is");
        return cs_info(r)->query.n > 2 && !memcmp(cs_info(r)->query.p, "bad", 3) ? CS_ERROR : CS_OK;
    }
    static int body_filter(cs_req *r, cs_str data, int last)
    {
        return cs_send(r, data.n ? CS_S("xxx") : data, last);
    }
    CS_MODULE(.name = "heads", .version = "1.0", .help = "Filters.", .header_filter = header_filter,
              .body_filter = body_filter);
"""
BODIES = """
    #include <cserver/cserver.h>
    static int body_filter(cs_req *r, cs_str data, int last)
    {
        return cs_send(r, data, last);
    }
    CS_MODULE(.name = "bodies", .version = "1.0", .help = "Filters.", .body_filter = body_filter);
"""


def test_filters(serve, module, folder):
    build_module(folder, "heads", HEADS)
    build_module(folder, "bodies", BODIES)
    s = serve(CONF.format(module, "off") + f"""
    [module:heads]
    file = {folder}/heads.so
    [module:bodies]
    file = {folder}/bodies.so
    [route:heads]
    match = /heads
    use = heads
    handler = streams
    [route:bodies]
    match = /bodies
    use = bodies
    handler = streams
    """, server={"workers": 1})
    assert (s.get("/heads/facts")["x-body"], s.get("/heads/facts").text) == ("filtered", "xxx")
    with s.connect() as c:
        assert "X-Body: as it is\r\n" in ask(c, "/heads/all")
        assert c.until(b"\n") == b"hello\n"
    assert s.get("/heads/replied")["x-body"] == "filtered"
    r = s.get("/heads/all?bad=1")
    assert r.status == 500 and "hello" not in r.text
    assert s.get("/bodies/all").status == 500
    gone(s)


# ---- Order ----

@pytest.mark.parametrize("clients, messages, size", [(1, 5000, 0), (5, 2000, 100)])
def test_all_in_order(one, clients, messages, size):
    with contextlib.ExitStack() as stack:
        streams = [stack.enter_context(subscribe(one, "/s/all")) for _ in range(clients)]
        for _ in range(messages // 10):
            publish(one, "all", 10, size)
        for c in streams:
            got = numbers(c, "all", messages)
            assert got == list(range(got[0], got[0] + messages))
    gone(one)


def test_large_messages(one):
    """More than a socket takes at once, and with another one behind. Who is behind by 256 KiB would be out."""
    with subscribe(one, "/s/all") as a, subscribe(one, "/s/all") as b:
        seen = []
        for _ in range(20):
            publish(one, "all", 1, 1000000)
            publish(one, "all", 1)
            seen += numbers(a, "all", 2)
            assert numbers(b, "all", 2) == seen[-2:]
        assert seen == list(range(seen[0], seen[0] + 40))
    gone(one)


def test_more_than_a_slice_and_who_comes_and_goes(one):
    """600 streams in three slices. Some leave and some come while messages are on their way."""
    with contextlib.ExitStack() as stack:
        streams = [stack.enter_context(subscribe(one, "/s/all")) for _ in range(600)]
        assert facts(one)["size"] == 600 and metric(one, "cserver_streams") == 600
        publish(one, "all", 20, 1000)
        for c in streams[::7]:
            c.close()
        publish(one, "all", 1)
        late = stack.enter_context(subscribe(one, "/s/all"))
        publish(one, "all", 5)
        first = None
        for i, c in enumerate(streams):
            if i % 7:
                got = numbers(c, "all", 26)
                first = got[0] if first is None else first
                assert got == list(range(first, first + 26))
        assert numbers(late, "all", 5) == list(range(first + 21, first + 26))
    gone(one)
    assert metric(one, "cserver_streams") == 0


def test_who_goes_tells_the_others(one):
    """on_close sends to the group while the group is at work."""
    with subscribe(one, "/s/all") as last:
        others = [subscribe(one, "/s/all?bye=1") for _ in range(50)]
        publish(one, "all", 1)
        for c in others:
            c.close()
        assert len(numbers(last, "all", 1)) == 1
        for _ in range(50):
            assert last.until(b"\n") == b"bye\n"
        assert last.is_silent(0.05)
    gone(one)


def test_the_end_of_the_request_comes_before_the_stream_goes_on(one):
    with one.connect() as c:
        assert "200 OK" in ask(c, "/s/all?note=1")
        assert c.until(b"\n") + c.until(b"\n") == b"hello\nrequest over\n"
    gone(one)


def test_the_end_of_a_group_is_behind_what_it_has_been_sent(one):
    with contextlib.ExitStack() as stack:
        streams = [stack.enter_context(subscribe(one, "/s/all")) for _ in range(300)]
        publish(one, "all", 50)
        assert one.request("DELETE", "/s/all").status == 204
        for c in streams:
            numbers(c, "all", 50)
            assert c.eof()
    gone(one)


# ---- Slow clients ----

def test_a_slow_reader_gets_all_that_it_is_sent_alone(one):
    """CS_AGAIN and on_drain: 30 MB to a client that takes its time."""
    size = 30_000_000
    with slow_client(one, f"/s/flood?n={size}") as c:
        assert one.get("/hello").status == 200
        got = 0
        while c.fill():
            got += len(c.buffer)
            assert c.buffer.count(b"f") == len(c.buffer)
            c.buffer.clear()
        assert got == size
    gone(one)


def test_a_slow_member_is_closed(one):
    before = metric(one, "cserver_streams_slow_total")
    with slow_client(one, "/s/closing") as slow, subscribe(one, "/s/closing") as quick:
        seen = []
        for _ in range(300):
            publish(one, "closing", 1, 50000)
            seen += numbers(quick, "closing", 1)
        assert seen == list(range(seen[0], seen[0] + 300))
        assert metric(one, "cserver_streams_slow_total") == before + 1 and facts(one)["closing"] == 1
        assert len(slow.rest()) < 300 * 50000
    gone(one, "closing")


@pytest.mark.parametrize("how", ["send", "close", "join"])
def test_a_slow_member_is_spoken_to(one, how):
    with slow_client(one, "/s/closing") as c:
        assert one.post(f"/s/nudge?n=300&size=50000&{how}=1").status == 204
        gone(one, "closing")
        assert len(c.rest()) < 300 * 50000


def test_a_slow_member_skips_whole_messages(one):
    before = metric(one, "cserver_stream_skipped_total")
    with slow_client(one, "/s/skipping") as slow, subscribe(one, "/s/skipping") as quick:
        seen = []
        for _ in range(300):
            publish(one, "skipping", 1, 50000)
            seen += numbers(quick, "skipping", 1)
        assert seen == list(range(seen[0], seen[0] + 300))
        skipped = metric(one, "cserver_stream_skipped_total") - before
        assert 0 < skipped < 300
        assert slow.until(b"\n") == b"hello\n"
        got = numbers(slow, "skipping", 300 - int(skipped))
        assert got == sorted(set(got)) and got[0] == seen[0]
        publish(one, "skipping", 1)
        assert numbers(slow, "skipping", 1) == [seen[-1] + 1]
    gone(one, "skipping")


def test_write_timeout(begin):
    s = begin(limits={"write_timeout": "1s"})
    with slow_client(s, "/s/flood?n=100000000"):
        gone(s)
        assert metric(s, "cserver_timeout_write_total") == 1
    with subscribe(s, "/s/all") as idle:
        assert idle.is_silent(2)


# ---- Clients that go, or talk ----

def test_a_client_that_goes_is_noticed_at_once(one):
    for end in ("close", "reset", "half"):
        c = subscribe(one, "/s/all")
        if end == "half":
            c.half_close()
        if end == "reset":
            c.reset()
        if end != "half":
            c.close()
        gone(one)
        if end == "half":
            assert c.eof()
            c.close()


def test_a_client_that_is_gone_before_the_head(one):
    for _ in range(20):
        with one.connect() as c:
            c.send(b"GET /s/later HTTP/1.1\r\nHost: a\r\n\r\n")
    wait_for(lambda: metric(one, "cserver_connections") == 1)
    gone(one)


@pytest.mark.parametrize("when", ["at once", "later"])
def test_a_client_that_has_said_all_gets_what_a_closed_stream_was_given(one, when):
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.settimeout(LIMIT)
    sock.connect(("127.0.0.1", one.port))
    with Connection(sock) as c:
        c.send(b"GET /s/last_words HTTP/1.1\r\nHost: a\r\n\r\n")
        if when == "at once":
            c.half_close()
        assert "200 OK" in c.until(b"\r\n\r\n").decode()
        if when == "later":
            c.half_close()
        assert c.rest() == b"w" * (4 << 20)
    gone(one)


def test_a_client_that_goes_does_not_get_what_a_closed_stream_was_given(one):
    for end in (True, False):
        with slow_client(one, "/s/last_words") as c:
            if end:
                c.half_close()
            c.reset()
        gone(one)


def test_what_the_client_says_is_dropped(one):
    with subscribe(one, "/s/all") as c:
        c.send(b"x" * 1000)
        c.send(b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
        publish(one, "all", 1)
        numbers(c, "all", 1)
        assert c.is_silent(0.05)
        for _ in range(100):
            c.send(b"x" * 100000)
        publish(one, "all", 1)
        numbers(c, "all", 1)
        assert c.is_silent(0.05)
    gone(one)


def test_clients_that_talk_without_end(one):
    """The others are served, and so are they."""
    def talk(c):
        with contextlib.suppress(OSError):
            while True:
                c.send(b"x" * 100000)
    with contextlib.ExitStack() as stack:
        streams = [stack.enter_context(subscribe(one, "/s/all")) for _ in range(4)]
        talkers = [threading.Thread(target=talk, args=(c,)) for c in streams]
        for t in talkers:
            t.start()
        try:
            for _ in range(20):
                publish(one, "all", 1)
                for c in streams:
                    numbers(c, "all", 1)
        finally:
            for c in streams:
                c.sock.shutdown(socket.SHUT_RDWR)
            for t in talkers:
                t.join()
    gone(one)


def test_pipelined_requests(one):
    """What is before the stream is answered in order, what is behind it is not read."""
    with one.connect() as c:
        hello = b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"
        c.send(hello + hello + b"GET /s/all HTTP/1.1\r\nHost: a\r\n\r\n" + hello)
        assert [c.response().status for _ in range(2)] == [200, 200]
        assert "X-Mine: yes" in c.until(b"\r\n\r\n").decode()
        assert c.until(b"\n") == b"hello\n"
        publish(one, "all", 1)
        numbers(c, "all", 1)
        assert c.is_silent(0.05)
    gone(one)


# ---- The worker ----

def test_access_log_and_request_end_at_the_beginning(begin):
    s = begin()
    with subscribe(s, "/s/all"):
        wait_for(lambda: "GET /s/all" in s.read("access.log"))
        assert metric(s, "cserver_streams") == 1


def test_streams_count_as_active_and_are_not_shed(begin):
    s = begin(limits={"max_connections": 5})
    with contextlib.ExitStack() as stack:
        streams = [stack.enter_context(subscribe(s, "/s/all")) for _ in range(4)]
        for _ in range(5):
            assert s.get("/hello").status == 200
        streams.append(stack.enter_context(subscribe(s, "/s/all")))
        with s.connect() as c:
            assert c.response().status == 503
        streams[0].close()
        wait_for(lambda: answers(s))
        publish(s, "all", 1)
        for c in streams[1:]:
            numbers(c, "all", 1)


def test_a_reload_keeps_them_until_the_deadline(begin):
    s = begin(server={"drain_timeout": "600s", "shutdown_timeout": "1s"})
    with subscribe(s, "/s/all") as c:
        assert s.ctl("reload").returncode == 0
        wait_for(lambda: any("draining" in title(p) for p in s.workers()))
        assert c.is_silent(0.2)
        s.signal(signal.SIGTERM)
        assert c.eof()
    assert s.wait() == 0


def test_the_drain_deadline_cuts_them(begin):
    s = begin(server={"drain_timeout": "1s"})
    with subscribe(s, "/s/all") as c:
        assert s.ctl("reload").returncode == 0
        assert c.eof()
    wait_for(lambda: len(s.workers()) == 1)


def test_worker_stop_may_end_them(begin):
    s = begin(end="on", server={"drain_timeout": "600s"})
    with subscribe(s, "/s/all") as c:
        publish(s, "all", 3)
        assert s.ctl("reload").returncode == 0
        numbers(c, "all", 3)
        assert c.eof()
    wait_for(lambda: len(s.workers()) == 1)


def test_a_worker_that_dies_takes_its_streams_with_it(begin):
    s = begin()
    old = s.workers()[0]
    with subscribe(s, "/s/all") as c:
        assert metric(s, "cserver_streams") == 1
        os.kill(old, signal.SIGKILL)
        assert c.eof()
    wait_for(lambda: s.workers() and s.workers()[0] != old)
    wait_for(lambda: answers(s))
    assert metric(s, "cserver_streams") == 0
    with subscribe(s, "/s/all") as c:
        publish(s, "all", 1)
        numbers(c, "all", 1)


PEERS = """
    #include <cserver/cserver.h>
    static cs_group *group;
    static cs_stream *peer;
    static int worker_start(cs_proc *p)
    {
        group = cs_group_new(p, .high_water = 1000);
        return group ? CS_OK : CS_ERROR;
    }
    static void on_close(cs_stream *s, void *arg)
    {
        (void)arg;
        peer = s == peer ? NULL : peer;
    }
    static void bye(void *arg)
    {
        static const char words[2000];
        (void)arg;
        if (!peer)
            return;
        cs_stream_send(peer, ((cs_str){words, sizeof words}));
        cs_group_send(group, "bye\\n");
        cs_stream_close(peer);
    }
    static int handler(cs_req *r)
    {
        if (cs_info(r)->query.n) {
            cs_on_close(r, bye, NULL);
            cs_start(r, 200, NULL, -1);
            cs_send(r, CS_S("one\\n"), 0);
            return CS_PENDING;
        }
        peer = cs_detach(r, 200);
        cs_stream_on_close(peer, on_close, NULL);
        cs_stream_send(peer, "two\\n");
        return cs_group_join(group, peer);
    }
    CS_MODULE(.name = "peers", .version = "1.0", .help = "Two that know each other.",
              .worker_start = worker_start, .handler = handler);
"""


def test_the_end_of_one_ends_the_next(serve, folder):
    """All are cut in one go. The first one's last words find that the second has been reset meanwhile."""
    build_module(folder, "peers", PEERS)
    s = serve(f"[module:peers]\nfile = {folder}/peers.so\n[route:peers]\nmatch = /\nhandler = peers\n", server={"workers": 1})
    old = s.workers()[0]
    with s.connect() as one, s.connect() as two:
        ask(one, "/?first")
        one.until(b"one\n")
        ask(two, "/")
        two.until(b"two\n")
        os.kill(old, signal.SIGSTOP)
        os.kill(old, signal.SIGINT)
        two.reset()
        os.kill(old, signal.SIGCONT)
        wait_for(lambda: old not in s.workers(), LIMIT, "the worker has not ended")
