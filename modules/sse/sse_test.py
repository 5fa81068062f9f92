"""sse: everybody hears everything, in one order, whichever worker has said it; who comes back hears what it has missed."""
import contextlib
import os
import shutil
import signal
import subprocess

import pytest
from lib.server import LIMIT, wait_for

CONF = """
    [module:sse]
    max_clients = {1}
    ping = {2}
    [route:chat]
    match = = /chat
    handler = sse
"""


@pytest.fixture
def chat(serve):
    def start(workers=3, max_clients=1000, ping="1h", **options):
        return serve(CONF.format("", max_clients, ping), server={"workers": workers}, **options)
    return start


class Listener:
    """A subscriber; event() is the next one: (id, name, data)."""

    def __init__(self, server, last=None):
        self.c = server.connect()
        more = f"Last-Event-ID: {last}\r\n" if last is not None else ""
        self.c.send(f"GET /chat HTTP/1.1\r\nHost: a\r\n{more}\r\n".encode())
        self.head = self.c.until(b"\r\n\r\n").decode()

    def event(self):
        text = self.c.until(b"\n\n").decode()
        if text.startswith(":"):
            return None, "comment", text[1:].strip()
        fields = dict(line.split(":", 1) for line in text.splitlines() if line)
        number = fields.get("id")
        return int(number) if number else None, fields.get("event", " message").strip(), fields["data"][1:]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.c.close()


def say(server, text):
    assert server.post("/chat", text.encode()).status == 204


def test_head(chat):
    s = chat()
    with Listener(s) as a:
        lines = a.head.lower().split("\r\n")
        assert lines[0] == "http/1.1 200 ok"
        assert {"content-type: text/event-stream", "cache-control: no-store", "connection: close"} <= set(lines)
    r = s.head("/chat")
    assert (r.status, r["content-type"], r.body) == (200, "text/event-stream", b"")


def test_all_hear_all_in_one_order(chat):
    s = chat()
    listeners = [Listener(s) for _ in range(30)]
    for i in range(200):
        say(s, f"line {i}")
    for a in listeners:
        assert [a.event() for _ in range(200)] == [(i + 1, "message", f"line {i}") for i in range(200)]
        a.c.close()


@pytest.mark.parametrize("body, status", [
    (b"", 400), (b"a\nb", 400), (b"a\n\nevent: mine\n", 400), (b"a\r", 400), (b"a\0b", 400), (b"\0", 400), (b"x" * 4096, 204), (b"x" * 4097, 413)])
def test_what_is_refused(chat, body, status):
    s = chat(workers=1)
    with Listener(s) as a:
        assert s.post("/chat", body).status == status
        say(s, "end")
        events = [a.event()]
        while events[-1][2] != "end":
            events.append(a.event())
        assert len(events) == (2 if status == 204 else 1)


def test_other_methods(chat):
    r = chat(workers=1).request("DELETE", "/chat")
    assert (r.status, r["allow"]) == (405, "GET, HEAD, POST")


def test_no_more_than_max_clients(chat):
    s = chat(workers=1, max_clients=2)
    with Listener(s), Listener(s):
        assert s.get("/chat").status == 503
    with_room = []
    wait_for(lambda: (with_room.append(Listener(s)), " 200 " in with_room[-1].head)[1])
    for a in with_room:
        a.c.close()


def test_pings(chat):
    s = chat(ping="20ms")
    with Listener(s) as a:
        assert [a.event() for _ in range(3)] == [(None, "comment", "ping")] * 3


def test_who_comes_back_hears_what_it_has_missed(chat):
    s = chat()
    with Listener(s) as a:
        for i in range(10):
            say(s, f"line {i}")
        assert [a.event()[0] for _ in range(4)] == [1, 2, 3, 4]
    wait_for(lambda: hears(s, 4, 6))
    with Listener(s, last=4) as a:
        say(s, "new")
        assert [a.event() for _ in range(7)] == [*((i + 1, "message", f"line {i}") for i in range(4, 10)),
                                                 (11, "message", "new")]


def test_much_that_was_missed_comes_in_parts(chat):
    """The stream ends behind each but the last, so nobody has more than some 128 KiB wait for him."""
    s = chat(workers=1)
    with Listener(s) as a:
        for i in range(100):
            say(s, f"{i}:" + "x" * 4000)
        for _ in range(100):
            a.event()
    heard, parts = [], 0
    while len(heard) < 100:
        with Listener(s, last=len(heard)) as a:
            before = len(heard)
            with contextlib.suppress(EOFError):
                while len(heard) < 100:
                    number, _, data = a.event()
                    heard.append((number, int(data.split(":")[0])))
            assert before < len(heard) <= before + 36
        parts += 1
    assert heard == [(i + 1, i) for i in range(100)] and parts > 2


def test_what_is_lost_is_told_before_the_first_part(chat):
    s = chat(workers=1)
    with Listener(s) as a:
        for _ in range(300):
            say(s, "x" * 4096)
        for _ in range(300):
            a.event()
    with Listener(s, last=1) as a:
        assert a.event()[1] == "lost"
        first = a.event()[0]
        assert first > 2
        with contextlib.suppress(EOFError):
            while True:
                a.event()
    with Listener(s, last=299) as a:
        assert a.event()[0] == 300


def hears(s, last, n):
    """A worker has been given what it is asked for."""
    with Listener(s, last=last) as a:
        return not a.c.is_silent(0.2) and len([a.event() for _ in range(n)]) == n


@pytest.mark.parametrize("last", ["99", "18446744073709551615", "nonsense", "-1"])
def test_a_number_that_was_never_given(chat, last):
    s = chat(workers=1)
    say(s, "first")
    with Listener(s) as a:
        say(s, "second")
        while a.event()[2] != "second":
            pass
    with Listener(s, last=last) as a:
        assert a.event()[1] == "lost"
        say(s, "third")
        assert a.event() == (3, "message", "third")


def test_a_message_from_the_command_line(chat):
    """It goes to the primary too, where nobody subscribes."""
    s = chat(workers=2)
    with Listener(s) as a:
        for text in ("one", "two"):
            assert s.run("-c", s.conf, "msg", "send", "sse.news", text, "--wait=applied").returncode == 0
        assert [a.event()[2] for _ in range(2)] == ["one", "two"]
    assert "SIG" not in s.log()


PAGE = """<!doctype html><title>chat</title><script>
const heard = [];
new EventSource("/chat").onmessage = event => {
    heard.push(event.lastEventId + event.data);
    fetch("/heard-" + heard.join("-"));
};
</script>"""


@pytest.mark.skipif(not shutil.which("chromium"), reason="chromium is not installed")
def test_a_browser_listens(chat, folder):
    """It tells what it has heard by what it asks for. A worker is killed meanwhile: it comes back by itself."""
    s = chat(workers=1, www={"index.html": PAGE})
    browser = subprocess.Popen(
        ["chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}",
         "--remote-debugging-port=0", f"http://127.0.0.1:{s.port}/"], start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: "GET /chat" in s.read("access.log"), LIMIT, "the browser does not subscribe")
        for word in ("one", "two"):
            say(s, word)
        wait_for(lambda: "GET /heard-1one-2two " in s.read("access.log"), LIMIT, s.read("access.log"))
        os.kill(s.workers()[0], signal.SIGKILL)
        wait_for(lambda: s.read("access.log").count("GET /chat HTTP/1.1\" 200") == 2, LIMIT, "it does not come back")
        say(s, "three")
        wait_for(lambda: "GET /heard-1one-2two-3three " in s.read("access.log"), LIMIT, s.read("access.log"))
    finally:
        os.killpg(browser.pid, signal.SIGKILL)
        browser.wait()
