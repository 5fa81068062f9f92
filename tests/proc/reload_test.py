"""-s reload and HUP: good settings go live, bad ones do not, nobody notices."""
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time

import pytest
import refused
from lib.server import PROGRAM, is_alive, wait_for

HELLO = refused.GOOD
SLOW = HELLO + """
[module:slow]
[route:slow]
match = /slow
handler = slow
"""


def replaced(s, gone, n):
    """There are n workers, and this one is not among them."""
    now = s.workers()
    return len(now) == n and gone not in now


def greet(text, more=""):
    return HELLO.replace("handler = hello", f"handler = hello\ngreeting = {text}") + more


class Load:
    """Requests all the time, on new connections and on one that is kept; `failed` says what went wrong."""

    def __init__(self, s, path="/hello"):
        self.s, self.path, self.failed, self.done, self.over = s, path, [], 0, False
        self.threads = [threading.Thread(target=f) for f in (self.fresh, self.kept, self.kept)]

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *_):
        self.over = True
        for t in self.threads:
            t.join()

    def fresh(self):
        while not self.over:
            self.note(lambda: self.s.get(self.path).status)

    def kept(self):
        request = f"GET {self.path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        while not self.over:
            with self.s.connect() as c:
                more = True
                while more and not self.over:
                    more = self.note(lambda: self.one(c, request))

    def one(self, c, request):
        r = c.send(request).response()
        self.closing = r["connection"] == "close"
        return r.status

    def note(self, act):
        self.closing = False
        try:
            status = act()
        except OSError as e:
            status = repr(e)
        except EOFError as e:
            status = repr(e)
        self.done += 1
        if status != 200:
            self.failed.append(status)
        return status == 200 and not self.closing


def test_good_settings_go_live(serve, status, new_workers):
    s = serve(greet("one"))
    assert "one" in s.get("/hello").text
    old = s.workers()
    s.configure(greet("two"), workers=3)
    done = s.ctl("reload")
    assert done.returncode == 0, done.stderr
    assert "generation 2 is live with 3 workers" in done.stdout
    assert "two" in s.get("/hello").text
    assert len(new_workers(s, old, 3)) == 3
    now = status(s)
    assert now["generation"] == 2 and now["reloads"] == 1 and now["last_reload"]["ok"]


def test_hangup_signal(serve, status):
    s = serve(greet("one"))
    s.configure(greet("two"))
    s.signal(signal.SIGHUP)
    wait_for(lambda: status(s)["reloads"] == 1, 15)  # the old workers accept no more; "generation" is 2 before that
    assert "two" in s.get("/hello").text


def test_hangup_with_bad_settings(serve, status):
    s = serve(greet("one"))
    s.configure("[limits]\nmax_bodi = 1\n")
    s.signal(signal.SIGHUP)
    s.log_has("reload refused")
    s.log_has("max_body")
    assert status(s)["generation"] == 1
    assert "one" in s.get("/hello").text


@pytest.mark.parametrize("row", refused.ROWS, ids=refused.NAMES)
def test_refused(serve, status, busy, row):
    s = serve(HELLO)
    workers = s.workers()
    before = status(s)
    refused.write(s, row, busy)
    with Load(s) as load:
        done = s.ctl("reload")
    assert done.returncode == 78, done.stdout + done.stderr
    refused.check(row, done.stderr)
    assert not load.failed and load.done
    now = status(s)
    assert now["generation"] == before["generation"] and now["pid"] == before["pid"]
    assert now["reloads_failed"] == 1 and not now["last_reload"]["ok"]
    assert s.workers() == workers
    s.configure(greet("better"))
    assert s.ctl("reload").returncode == 0
    assert "better" in s.get("/hello").text


def test_unreadable_root_as_plain_user(serve, as_root):
    s = serve(HELLO, start=False)
    os.makedirs(s.path("secret"), 0o700)
    os.chmod(s.folder, 0o777)
    s.configure(HELLO + f"[site:default]\nroot = {s.path('secret')}\n")
    user = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
    done = subprocess.run([*user, PROGRAM, "-c", s.conf], text=True, capture_output=True, timeout=30)
    assert done.returncode == 78
    assert "secret" in done.stderr and "Permission denied" in done.stderr


def test_nobody_notices(serve, status):
    s = serve(greet("0"))
    with Load(s) as load:
        for i in range(10):
            s.configure(greet(f"number {i}."))
            assert s.ctl("reload").returncode == 0
    assert not load.failed
    assert load.done > 50
    wait_for(lambda: status(s)["draining"] == 0, 15)


def test_requests_in_flight_are_answered_by_the_old_ones(serve, status):
    s = serve(SLOW)
    with s.connect() as c:
        c.send(b"GET /slow?ms=3000 HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_for(lambda: status(s)["connections"] == 1, 10)
        assert s.ctl("reload").returncode == 0
        wait_for(lambda: status(s)["draining"] == 1, 10, "the idle one of the old workers does not end")
        r = c.response()
        assert r.status == 200 and r["connection"] == "close"
        assert c.eof()
    wait_for(lambda: status(s)["draining"] == 0, 10)


def test_drain_timeout(serve, status):
    s = serve(SLOW, server={"drain_timeout": "300ms"})
    with s.connect() as c:
        c.send(b"GET /slow?ms=60000 HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_for(lambda: status(s)["connections"] == 1, 10)
        assert s.ctl("reload").returncode == 0
        assert b"200" not in c.rest()
    wait_for(lambda: status(s)["draining"] == 0, 10)


def test_two_generations_drain_at_most(serve, status):
    s = serve(SLOW, server={"shutdown_timeout": "300ms"})
    held, told = [], []
    for _ in range(4):
        c = s.connect()
        c.send(b"GET /slow?ms=60000 HTTP/1.1\r\nHost: x\r\n\r\n")
        held.append(c)
        generation = status(s)["generation"]
        wait_for(lambda g=generation: sum(w["connections"] for w in status(s)["workers"] if w["generation"] == g), 10)
        done = s.ctl("reload")
        assert done.returncode == 0
        told.append("1 connection got 1000 ms" in done.stdout)
        assert len({w["generation"] for w in status(s)["workers"]}) <= 3
    assert held[0].eof() and held[1].eof()
    assert told == [False, False, True, True]
    assert s.log().count("warn master") == 2 and "its 1 connection has 1000 ms" in s.log()
    wait_for(lambda: s.log().count("closing 1 connections") == 2, 5)
    for c in held:
        c.close()


@pytest.mark.parametrize("mode,word", [("crash", "SIGSEGV"), ("fail", "status 1"), ("exit", "status 5")])
def test_rolled_back(serve, status, bad_start, mode, word):
    s = serve(greet("one"))
    workers = s.workers()
    s.configure(greet("two") + bad_start(mode))
    with Load(s) as load:
        done = s.ctl("reload")
    assert done.returncode == 70, done.stdout + done.stderr
    assert word in done.stderr and "old settings" in done.stderr
    assert not load.failed
    wait_for(lambda: s.workers() == workers, 10, "the new workers are still there")
    assert status(s)["generation"] == 1
    assert "one" in s.get("/hello").text
    s.configure(greet("three"))
    assert s.ctl("reload").returncode == 0
    assert "three" in s.get("/hello").text


def test_worker_that_hangs_at_its_start(serve, status, bad_start):
    s = serve(greet("one"))
    s.configure(greet("two") + bad_start("hang"))
    done = s.ctl("reload", "--timeout", "1s")
    assert done.returncode == 75, done.stderr
    assert "no answer" in done.stderr
    assert status(s)["generation"] == 1 and "one" in s.get("/hello").text
    assert s.ctl("stop").returncode == 0  # the stop does not wait for the hanging one


def test_two_at_once(serve, status):
    s = serve(greet("one"))
    s.configure(greet("two"))
    asked = [subprocess.Popen([PROGRAM, "-c", s.conf, "-s", "reload"], stdout=subprocess.PIPE, text=True)
             for _ in range(4)]
    for p in asked:
        out, _ = p.communicate(timeout=30)
        assert p.returncode == 0, out
        assert re.search(r"generation \d+ is live", out)
    assert "two" in s.get("/hello").text


def test_other_addresses(serve, status):
    s = serve(HELLO + "[listen:main]\naddress = 127.0.0.1:@PORT@\n[listen:u]\naddress = unix:@DIR@/a.sock\n")
    assert os.path.exists(s.path("a.sock"))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    s.configure(HELLO + f"[listen:main]\naddress = 127.0.0.1:{port}\n[listen:u]\naddress = unix:@DIR@/b.sock\n")
    assert s.ctl("reload").returncode == 0
    hello = b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"
    assert s.exchange(hello, address=("127.0.0.1", port)).status == 200
    assert s.exchange(hello, address=s.path("b.sock")).status == 200
    assert not os.path.exists(s.path("a.sock"))
    wait_for(lambda: status(s)["draining"] == 0, 10)
    with pytest.raises(ConnectionRefusedError):
        s.connect()


def test_refused_reload_lets_go_of_new_addresses(serve, bad_start):
    s = serve(HELLO)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    s.configure(HELLO + f"[listen:main]\naddress = 127.0.0.1:@PORT@, 127.0.0.1:{port}, unix:@DIR@/n.sock\n"
                + bad_start("fail"))
    done = s.ctl("reload")
    assert done.returncode == 70, done.stderr
    wait_for(lambda: can_bind(port), 10, "the address is still taken")
    assert not os.path.exists(s.path("n.sock"))


def can_bind(port):
    try:
        with socket.create_server(("127.0.0.1", port)):
            return True
    except OSError:
        return False


def test_overlapping_address_is_explained(serve):
    s = serve(HELLO)
    s.configure(HELLO + "[listen:main]\naddress = :@PORT@\n")
    done = s.ctl("reload")
    assert done.returncode == 78
    assert "overlaps" in done.stderr and "restart" in done.stderr


def test_max_workers_needs_a_restart(serve, status):
    s = serve(HELLO, server={"max_workers": 4})
    s.configure(HELLO, max_workers=8)
    done = s.ctl("reload")
    assert done.returncode == 0
    assert "max_workers takes effect after a restart" in done.stderr
    s.configure(HELLO, workers=6)
    done = s.ctl("reload")
    assert done.returncode == 78
    assert "a restart makes room" in done.stderr


def test_module_file_may_be_replaced(serve):
    s = serve(HELLO, start=False)
    source = """
        #include <cserver/cserver.h>
        static int handler(cs_req *r) {{ return cs_text(r, 200, "{}"); }}
        CS_MODULE(.name = "swap", .version = "1.0", .help = "Is replaced.", .handler = handler);
    """
    conf = refused.module(s, "swap", source.format("first")) + "[route:swap]\nmatch = /swap\nhandler = swap\n"
    s.configure(conf)
    s.start()
    assert s.get("/swap").text == "first"
    refused.build_module(s.folder, "swap", source.format("second"))  # written over the file in place
    assert s.get("/swap").text == "first"
    old = s.workers()
    os.kill(old[0], signal.SIGKILL)
    wait_for(lambda: replaced(s, old[0], 2), 10)
    assert {s.get("/swap").text for _ in range(20)} == {"first"}
    assert s.ctl("reload").returncode == 0
    assert s.get("/swap").text == "second"


def test_descriptors_and_memory_do_not_grow(serve, status):
    s = serve(greet("0"), www={"index.html": "x"})

    def held():
        links = []
        for fd in os.listdir(f"/proc/{s.pid}/fd"):
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile: whoever asked something has gone
                links.append(os.readlink(f"/proc/{s.pid}/fd/{fd}").split(":")[0])
        return sorted(links)

    def reload():
        assert s.ctl("reload").returncode == 0
        wait_for(lambda: status(s)["draining"] == 0, 10)
    reload()
    before = wait_for(lambda: held(), 5)
    for _ in range(10):
        reload()
    s.configure("[limits]\nmax_bodi = 1\n")
    for _ in range(5):
        assert s.ctl("reload").returncode == 78
    wait_for(lambda: len(held()) <= len(before), 5, f"more descriptors: {before} {held()}")


def test_cut_short_by_a_stop(serve, bad_start):
    s = serve(greet("one"))
    s.configure(greet("two") + bad_start("hang"))
    asked = subprocess.Popen([PROGRAM, "-c", s.conf, "-s", "reload"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: len(s.workers()) == 3, 10)  # the first of the new ones
    start = time.monotonic()
    assert s.stop() == 0
    assert time.monotonic() - start < 10
    _, err = asked.communicate(timeout=10)
    assert asked.returncode in (1, 70), err
    assert "stopping" in err


def test_answers_carry_pid_and_generation(serve, control):
    s = serve(HELLO)
    c = control(s)
    c.send(b"reload\n")
    lines = []
    while not lines or "progress" in lines[-1]:
        lines.append(json.loads(c.until(b"\n")))
    assert len(lines) >= 2
    assert lines[-1]["ok"] and lines[-1]["pid"] == s.pid and lines[-1]["generation"] == 2
    assert is_alive(s.pid)


def test_settings_from_a_pipe(serve):
    """They can be read once. A reload says so; it does not wait for somebody to write into the pipe again."""
    s = serve(HELLO, start=False)
    with open(s.conf, "rb") as f:
        text = f.read()
    p = subprocess.Popen([PROGRAM, "-c", "/dev/stdin"], cwd=s.folder, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                         stderr=subprocess.PIPE)
    try:
        p.stdin.write(text)
        p.stdin.close()
        wait_for(lambda: os.path.exists(s.pid_file))
        assert s.get("/hello").status == 200
        done = s.ctl("reload")
        assert done.returncode == 78 and "cannot be read again" in done.stderr, done
        done = s.ctl("upgrade")
        assert done.returncode == 1 and "are not a file" in done.stderr, done
        assert s.run("diff", "-c", s.conf).returncode == 78
        assert s.get("/hello").status == 200
    finally:
        p.terminate()
        assert p.wait(60) == 0
