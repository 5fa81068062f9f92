"""mailbox: who may publish, what subscribers of all workers get, and what they get who come again."""
import contextlib
import http.client
import os
import random
import signal
import threading

import pytest
from lib.server import Server, wait_for

CONF = """
    [module:auth]
    users = alice:a, bob:b, carol:c
    [module:mailbox]
    ping = 1s
    [route:events]
    match = = /events
    handler = mailbox
    [route:publish]
    match = = /publish
    use = auth
    handler = mailbox
    publishers = alice, bob
    [route:anybody]
    match = = /anybody
    handler = mailbox
    publishers = alice
"""
ALICE = {"Authorization": "Basic YWxpY2U6YQ=="}
BOB = {"Authorization": "Basic Ym9iOmI="}
CAROL = {"Authorization": "Basic Y2Fyb2w6Yw=="}


class Subscriber:
    """A client of /events; next() is one event as a dict, without comments and what is for the client itself."""

    def __init__(self, server, last=None, path="/events"):
        self.c = server.connect()
        field = f"Last-Event-ID: {last}\r\n" if last is not None else ""
        self.c.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n{field}\r\n".encode())
        self.head = self.c.until(b"\r\n\r\n").decode()
        assert self.head.startswith("HTTP/1.1 200 "), self.head
        self.last = last

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.c.close()

    def block(self):
        lines = self.c.until(b"\n\n").decode()[:-2].split("\n")
        return [tuple(line.split(": ", 1)) for line in lines if not line.startswith(":")]

    def next(self):
        while True:
            fields = self.block()
            data = [v for n, v in fields if n == "data"]
            if not data:
                continue
            e = {n: v for n, v in fields if n != "data"}
            e["data"] = "\n".join(data)
            self.last = e.get("id", self.last)
            return e

    def take(self, n):
        return [self.next()["data"] for _ in range(n)]


def say(server, text, headers=None):
    """Until there is room in the ring."""
    data = text if isinstance(text, bytes) else text.encode()
    assert wait_for(lambda: server.post("/publish", data, headers or ALICE).status in (204,))


@pytest.fixture(scope="module")
def server():
    s = Server(CONF).start()
    yield s
    faults = s.end()
    assert not faults, "\n".join(faults)


# ---- Who may ----

@pytest.mark.parametrize("path, headers, status", [
    ("/events", {}, 405), ("/events", ALICE, 405), ("/publish", {}, 401), ("/publish", CAROL, 403),
    ("/publish", ALICE, 204), ("/publish", BOB, 204), ("/anybody", {}, 403), ("/anybody", ALICE, 403),
])
def test_who_may_publish(server, path, headers, status):
    assert server.post(path, b"x", headers).status == status


@pytest.mark.parametrize("method, path, allow", [
    ("DELETE", "/events", "GET, HEAD"), ("PUT", "/anybody", "GET, HEAD, POST"),
])
def test_methods(server, method, path, allow):
    with server.connect() as c:
        c.send(f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode())
        r = c.response(method)
        assert (r.status, r["allow"]) == (405, allow)


def test_head(server):
    r = server.head("/events", {"Last-Event-ID": "1-1"})
    assert (r.status, r["content-type"], r.body) == (200, "text/event-stream", b"")


def test_too_long(server):
    assert server.post("/publish", b"x" * 8193, ALICE).status == 413


# ---- Events ----

def test_all_subscribers_of_all_workers(serve):
    s = serve(CONF, server={"workers": 4})
    subscribers = [Subscriber(s) for _ in range(24)]
    texts = [f"text {i}" for i in range(50)]
    for t in texts:
        say(s, t)
    for one in subscribers:
        assert one.take(50) == texts
    assert len({one.last for one in subscribers}) == 1
    for one in subscribers:
        one.c.close()


def test_the_head(server):
    with Subscriber(server) as one:
        assert "\r\nContent-Type: text/event-stream\r\n" in one.head
        assert "\r\nCache-Control: no-store\r\n" in one.head
        assert one.block() == [("retry", "3000")]


def test_silent_connections_are_kept_alive(server):
    with Subscriber(server) as one:
        assert b": ping\n\n" in one.c.until(b": ping\n\n")


@pytest.mark.parametrize("text, lines", [
    ("", [""]), ("one", ["one"]), ("a\nb", ["a", "b"]), ("a\r\nb\rc\n", ["a", "b", "c", ""]), ("\n\n", ["", "", ""]),
    ("x\n\nid: 7\nevent: lost\ndata: y\n\n", ["x", "", "id: 7", "event: lost", "data: y", "", ""]),
    ("Grüße", ["Grüße"]), ("\n" * 8192, [""] * 8193), ("y" * 8192, ["y" * 8192]), ("\r\n" * 10, [""] * 11),
], ids=range(10))
def test_texts(server, text, lines):
    with Subscriber(server) as one:
        say(server, text)
        e = one.next()
        assert e["data"].split("\n") == lines and set(e) == {"id", "data"}


def test_what_the_command_line_says(server):
    with Subscriber(server) as one:
        done = server.run("-c", server.conf, "msg", "send", "mailbox", "from below", "--to", "all", "--wait=applied")
        assert done.returncode == 0, done.stderr
        assert one.next()["data"] == "from below"
    assert server.primary()


# ---- Those who come again ----

def test_what_was_missed(serve):
    s = serve(CONF)
    with Subscriber(s) as one:
        say(s, "1")
        assert one.take(1) == ["1"]
    for i in range(2, 40):
        say(s, str(i))
    with Subscriber(s, one.last) as again:
        say(s, "40")
        assert again.take(39) == [str(i) for i in range(2, 41)]


def test_nothing_was_missed(serve):
    s = serve(CONF)
    with Subscriber(s) as one:
        say(s, "1")
        one.take(1)
    with Subscriber(s, one.last) as again:
        say(s, "2")
        assert again.take(1) == ["2"]


def test_who_is_new_begins_now(serve):
    s = serve(CONF, server={"workers": 1})
    with Subscriber(s) as one:
        say(s, "old")
        assert one.take(1) == ["old"]
    with Subscriber(s) as another:
        say(s, "new")
        assert another.take(1) == ["new"]


@pytest.mark.parametrize("last", ["", "7", "x", "0-0", "1-2-3", "ffffffffffffffff-1", "-", "99999999999999999999-1"])
def test_ids_of_another_life(serve, last):
    """Of a server before this one: all that there is, and word that there was more."""
    s = serve(CONF)
    for i in range(5):
        say(s, str(i))
    with Subscriber(s, last) as one:
        say(s, "now")
        if last:
            assert one.next() == {"event": "lost", "data": "?"}
            assert one.take(6) == [*"01234", "now"]
        else:
            assert one.next()["data"] in [*"01234", "now"]


def test_an_id_that_was_never_given(serve):
    s = serve(CONF)
    with Subscriber(s) as one:
        say(s, "1")
        one.take(1)
    with Subscriber(s, one.last[:-1] + "1000") as again:
        assert again.next() == {"event": "lost", "data": "?"}
        say(s, "2")
        assert again.take(1) == ["2"]


def test_more_than_the_ring_holds(serve):
    """The oldest have gone: that is told before the others come."""
    s = serve(CONF)
    with Subscriber(s) as one:
        say(s, "first")
        one.take(1)
    for i in range(300):
        say(s, f"{i}:" + "x" * 8000)
    said, parts = [], 0
    say(s, "last")
    while said[-1:] != ["last"]:
        with Subscriber(s, one.last) as again, contextlib.suppress(EOFError):
            assert parts or again.next() == {"event": "lost", "data": "?"}
            before = len(said)
            while said[-1:] != ["last"]:
                said.append(again.next()["data"])
                one.last = again.last
        assert len(said) <= before + 20
        parts += 1
    numbers = [int(text.split(":")[0]) for text in said[:-1]]
    assert numbers == list(range(numbers[0], 300)) and 100 < len(numbers) < 300


def test_workers_that_come_later_know_what_was(serve):
    s = serve(CONF)
    with Subscriber(s) as one:
        say(s, "0")
        one.take(1)
    for i in range(1, 20):
        say(s, str(i))
    for pid in s.workers():
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: len(s.workers()) == 2)
    assert s.ctl("reload").returncode == 0
    with Subscriber(s, one.last) as again:
        say(s, "20")
        assert again.take(20) == [str(i) for i in range(1, 21)]


def test_a_restart_is_noticed(serve):
    s = serve(CONF)
    with Subscriber(s) as one:
        for i in range(3):
            say(s, str(i))
        one.take(3)
    assert s.stop() == 0
    s.start()
    for i in range(10, 20):
        say(s, str(i))
    with Subscriber(s, one.last) as again:
        assert again.next() == {"event": "lost", "data": "?"}
        say(s, "20")
        assert again.take(11) == [str(i) for i in range(10, 21)]


def test_a_client_that_always_comes_again(serve):
    """Workers die, connections break: with Last-Event-ID no number is missed. What a slower worker had yet to hear may come
    twice; what a publisher says to a worker that is killed at that moment may get two numbers, or none."""
    s = serve(CONF, server={"workers": 4})
    chance, total, got, heard = random.Random(5), 400, [], threading.Event()
    over = threading.Event()

    def publish(text):
        with contextlib.suppress(OSError, EOFError, http.client.HTTPException):
            return s.post("/publish", text.encode(), ALICE).status == 204

    def publish_all():
        while not heard.is_set():
            publish("-1")
        for i in range(total):
            wait_for(lambda i=i: publish(str(i)))
        while not over.is_set():
            publish(str(total))

    publisher = threading.Thread(target=publish_all)
    publisher.start()
    last = None
    while not over.is_set():
        with contextlib.suppress(OSError, EOFError), Subscriber(s, last) as one:
            for _ in range(chance.randrange(1, 30)):
                e = one.next()
                assert "event" not in e, e
                heard.set()
                last = one.last
                got.append((int(last.split("-")[1]), int(e["data"])))
                if got[-1][1] == total:
                    over.set()
                    break
        if chance.random() < 0.2 and s.workers():
            os.kill(chance.choice(s.workers()), signal.SIGKILL)
    publisher.join()
    numbers = list(dict.fromkeys(n for n, _ in got))
    assert numbers == list(range(numbers[0], numbers[-1] + 1)), "in order, none missing"
    said = [text for _, text in sorted(set(got))]
    assert said == sorted(said) and len(set(said)) > total / 2


@pytest.mark.parametrize("line", ["ping = 0", "retry = 1ms", "max_clients = 0"])
def test_settings_that_are_refused(serve, line):
    s = serve(CONF.replace("ping = 1s", line), start=False)
    done = s.run("-c", s.conf, "-t")
    assert done.returncode == 78 and line.split()[0] in done.stderr


def test_full(serve):
    s = serve(CONF.replace("ping = 1s", "max_clients = 2"), server={"workers": 1})
    with Subscriber(s), Subscriber(s):
        assert s.get("/events").status == 503

    def has_room():
        with s.connect() as c:
            c.send(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
            return c.until(b"\r\n").split()[1] == b"200"

    wait_for(has_room)
