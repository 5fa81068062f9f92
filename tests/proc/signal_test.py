"""Signals at the master, and log rotation."""
import os
import signal
import threading

from lib.server import wait_for

HELLO = """
[module:hello]
[route:hello]
match = /hello
handler = hello
[module:slow]
[route:slow]
match = /slow
handler = slow
"""


def test_one_more_and_one_less(serve, status):
    s = serve(HELLO)
    s.signal(signal.SIGTTIN)
    wait_for(lambda: len(s.workers()) == 3, 10)
    s.log_has("one worker more: 3")
    wait_for(lambda: status(s)["ready"] == 3, 10)
    for n in (2, 1):
        s.signal(signal.SIGTTOU)
        wait_for(lambda n=n: len(s.workers()) == n, 10)
        assert s.get("/hello").status == 200
    s.signal(signal.SIGTTOU)
    s.log_has("one worker less would be none")
    assert len(s.workers()) == 1
    assert s.ctl("reload").returncode == 0
    wait_for(lambda: len(s.workers()) == 2, 10)


def test_no_more_than_max_workers(serve, status):
    s = serve(HELLO, server={"max_workers": 3})
    s.signal(signal.SIGTTIN)
    wait_for(lambda: status(s)["ready"] == 3, 10)
    s.signal(signal.SIGTTIN)
    s.log_has("no room for another worker")
    assert len(s.workers()) == 3


def test_window_change_stops_the_workers_only(serve, status):
    s = serve(HELLO)
    with s.connect() as c:
        c.send(b"GET /slow?ms=500 HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_for(lambda: status(s)["connections"] == 1, 10)
        s.signal(signal.SIGWINCH)
        assert c.response().status == 200
    wait_for(lambda: not s.workers(), 10)
    assert status(s)["state"] == "paused"
    with s.connect() as waiting:  # the master still has the address
        waiting.send(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n")
        assert waiting.is_silent(0.3)
        s.signal(signal.SIGHUP)
        assert waiting.response().status == 200
    wait_for(lambda: status(s)["state"] == "running", 10)


def test_window_change_and_one_more(serve, status):
    s = serve(HELLO)
    s.signal(signal.SIGWINCH)
    wait_for(lambda: not s.workers(), 10)
    s.signal(signal.SIGTTIN)
    wait_for(lambda: status(s)["ready"] == 1, 10)
    assert s.get("/hello").status == 200


def test_stop_without_workers(serve):
    s = serve(HELLO)
    s.signal(signal.SIGWINCH)
    wait_for(lambda: not s.workers(), 10)
    assert s.stop() == 0


def test_storm_of_signals(serve, status):
    s = serve(HELLO)
    for _ in range(30):
        for number in (signal.SIGUSR1, signal.SIGTTIN, signal.SIGTTOU, signal.SIGHUP, signal.SIGCHLD):
            s.signal(number)
    wait_for(lambda: status(s)["draining"] == 0 and status(s)["ready"] == status(s)["wanted"], 20)
    assert s.get("/hello").status == 200
    assert s.stop() == 0


# ---- Rotation -----------------------------------------------------------------------------------

def lines(s, *names):
    return sum(len(s.read(n).splitlines()) for n in names)


def test_reopen_loses_no_line(serve, status):
    s = serve(HELLO, server={"error_log": "error.log"})
    done, over = [0], threading.Event()

    def ask():
        while not over.is_set():
            assert s.get("/hello").status == 200
            done[0] += 1
    t = threading.Thread(target=ask)
    t.start()
    names = ["access.log"]
    try:
        for i in range(10):
            os.rename(s.path("access.log"), s.path(f"access.{i}"))
            os.rename(s.path("error.log"), s.path(f"error.{i}"))
            names.append(f"access.{i}")
            if i % 2:
                s.signal(signal.SIGUSR1)
                wait_for(lambda: "opened again" in s.read("error.log"), 10)
            else:
                r = s.ctl("reopen")
                assert r.returncode == 0, r.stderr
            size = os.path.getsize(s.path(f"access.{i}"))
            s.get("/hello")
            done[0] += 1
            assert os.path.getsize(s.path(f"access.{i}")) == size, "a line went to the old file"
    finally:
        over.set()
        t.join()
    wait_for(lambda: lines(s, *names) == done[0], 10, "lines are missing")


def test_reopen_reaches_draining_workers(serve, status):
    s = serve(HELLO)
    with s.connect() as c:
        c.send(b"GET /slow?ms=1500 HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_for(lambda: status(s)["connections"] == 1, 10)
        assert s.ctl("reload").returncode == 0
        os.rename(s.path("access.log"), s.path("access.old"))
        assert s.ctl("reopen").returncode == 0
        assert c.response().status == 200
    wait_for(lambda: "/slow" in s.read("access.log"), 10)
    assert "/slow" not in s.read("access.old")


def test_reopen_that_fails_keeps_the_old_log(serve):
    s = serve(HELLO)
    os.rename(s.path("access.log"), s.path("access.old"))
    os.mkdir(s.path("access.log"))
    done = s.ctl("reopen")
    assert done.returncode == 1
    assert "access.log" in done.stderr
    assert s.get("/hello").status == 200
    wait_for(lambda: "/hello" in s.read("access.old"), 10)
    os.rmdir(s.path("access.log"))
    assert s.ctl("reopen").returncode == 0
    s.get("/hello")
    wait_for(lambda: "/hello" in s.read("access.log"), 10)


def test_worker_that_does_not_take_the_log(serve):
    s = serve(HELLO + "[accept]\nstall_kill = 0\n")
    stuck = s.workers()[0]
    os.kill(stuck, signal.SIGSTOP)
    try:
        done = s.ctl("reopen", "--timeout", "20s")
        assert done.returncode == 75, done.stderr
        assert "1 process has not taken" in done.stderr
    finally:
        os.kill(stuck, signal.SIGCONT)


def test_new_workers_write_to_the_new_log(serve, new_workers):
    s = serve(HELLO)
    os.rename(s.path("access.log"), s.path("access.old"))
    assert s.ctl("reopen").returncode == 0
    old = s.workers()
    for p in old:
        os.kill(p, signal.SIGKILL)
    new_workers(s, old, 2)
    s.get("/hello")
    wait_for(lambda: "/hello" in s.read("access.log"), 10)
    assert "/hello" not in s.read("access.old")
