"""Workers die; the server goes on."""
import contextlib
import os
import signal
import time

import pytest
from lib.server import is_alive, process_table, title, wait_for

HELLO = """
[module:hello]
[route:hello]
match = /hello
handler = hello
"""
CRASH_ON_REQUEST = """
    #include <cserver/cserver.h>
    #include <signal.h>
    static int handler(cs_req *r) { (void)r; { signal(SIGSEGV, SIG_DFL); raise(SIGSEGV); } return CS_OK; }
    CS_MODULE(.name = "bang", .version = "1.0", .help = "Crashes.", .handler = handler);
"""


def replaced(s, gone, n):
    """There are n workers, and this one is not among them."""
    now = s.workers()
    return len(now) == n and gone not in now


def all_new(s, old):
    def there():
        now = s.workers()
        return now if len(now) == len(old) and not set(now) & set(old) else None
    return there


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGQUIT, signal.SIGINT, signal.SIGABRT])
def test_one_worker_ends(serve, number):
    s = serve(HELLO)
    old = s.workers()
    os.kill(old[0], number)
    wait_for(lambda: replaced(s, old[0], 2), 5)
    assert s.get("/hello").status == 200
    assert [title(p) for p in s.workers()] == ["cserver: worker 1", "cserver: worker 2"]


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP, signal.SIGWINCH, signal.SIGPIPE])
def test_signals_that_mean_nothing_to_a_worker(serve, number):
    s = serve(HELLO)
    old = s.workers()
    for _ in range(20):
        for p in old:
            os.kill(p, number)
    for _ in range(10):
        assert s.get("/hello").status == 200
    assert s.workers() == old


def test_all_workers_are_killed_again_and_again(serve, status):
    s = serve(HELLO, server={"workers": 3})
    requests = 0
    for _ in range(15):
        old = s.workers()
        for p in old:
            os.kill(p, signal.SIGKILL)
        start = time.monotonic()
        assert s.get("/hello").status == 200
        assert time.monotonic() - start < 1
        wait_for(all_new(s, old), 5)
        now = status(s)
        assert now["requests"] >= requests, "counters went backwards"
        requests = now["requests"]
    assert status(s)["state"] == "running"
    assert status(s)["crashes"] == 45


def test_killed_before_they_are_ready(serve, status):
    s = serve(HELLO)
    end = time.monotonic() + 3
    while time.monotonic() < end:
        for p in s.workers():
            with contextlib.suppress(ProcessLookupError):
                os.kill(p, signal.SIGKILL)
    start = time.monotonic()
    wait_for(lambda: len(s.workers()) == 2 and s.get("/hello").status == 200, 5)
    assert time.monotonic() - start < 2
    assert s.stop() == 0


# ---- P27 ----------------------------------------------------------------------------------------

@pytest.mark.parametrize("mode,word", [("crash", "SIGSEGV"), ("fail", "status 1")])
def test_all_crash_at_their_start(serve, status, bad_start, mode, word):
    s = serve(bad_start(mode), ready=False, server={"workers": 2, "quarantine": 0})
    wait_for(s.has_control, 10)
    wait_for(lambda: status(s)["state"] == "degraded", 10)
    time.sleep(4)  # the window in which spawns and lines are counted
    now = status(s)
    assert now["state"] == "degraded" and now["ready"] == 0
    assert 4 <= now["spawns"] <= 9, now["spawns"]  # 2, then after 0.1, 0.2, 0.4, 0.8, 1.6 and 3.2 s
    log = s.log()
    assert len(log.splitlines()) < 30, log
    assert word in log and "degraded" in log
    assert not os.path.exists(s.pid_file)
    assert s.stop() == 0


def test_crashes_soon_after_their_start(serve, status, tmp_path):
    from lib.server import build_module
    so = build_module(str(tmp_path), "bang", CRASH_ON_REQUEST)
    s = serve(f"[module:bang]\nfile = {so}\n[route:bang]\nmatch = /\nhandler = bang\n", server={"workers": 1, "quarantine": 0})
    for _ in range(4):
        wait_for(lambda: status(s)["ready"] == 1, 10)
        assert s.raw(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n") == b""
    wait_for(lambda: status(s)["state"] == "degraded", 10)
    assert status(s)["crashes"] == 4


def test_give_up(serve, bad_start):
    s = serve(bad_start("crash"), server={"give_up": 4, "quarantine": 0}, ready=False)
    assert s.wait(20) == 1
    assert "giving up" in s.log()


def test_good_settings_heal_a_degraded_server(serve, status, bad_start):
    s = serve(bad_start("crash"), server={"quarantine": 0}, ready=False)
    wait_for(s.has_control, 10)
    wait_for(lambda: status(s)["state"] == "degraded", 10)
    s.configure(HELLO)
    assert s.ctl("reload").returncode == 0
    assert s.get("/hello").status == 200
    assert status(s)["state"] == "running"
    assert int(s.read("cserver.pid")) == s.pid


def test_stop_of_a_degraded_server(serve, status, bad_start):
    s = serve(bad_start("hang"), ready=False)
    wait_for(s.has_control, 10)
    wait_for(lambda: len(s.workers()) == 2, 10)
    assert status(s)["state"] == "starting"
    assert s.stop(signal.SIGINT) == 0


# ---- P37 ----------------------------------------------------------------------------------------

def test_workers_of_a_killed_master_go(serve):
    s = serve(HELLO)
    workers = s.workers()
    with s.connect() as c:
        c.send(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n").response()
        s.signal(signal.SIGKILL)
        s.wait()
        s.start()  # at once, on the same address, with what the dead one has left behind
        assert s.get("/hello").status == 200
        c.send(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n")
        r = c.response()
        assert r.status == 200 and r["connection"] == "close"
    wait_for(lambda: not [p for p in workers if is_alive(p)], 10, "orphans live on")
    assert int(s.read("cserver.pid")) == s.pid
    assert s.ctl("status").returncode == 0
    assert s.stop() == 0


def test_orphans_finish_their_requests(serve):
    s = serve("[module:slow]\n[route:slow]\nmatch = /slow\nhandler = slow\n", server={"shutdown_timeout": "5s"})
    workers = s.workers()
    with s.connect() as c, s.connect() as long:
        c.send(b"GET /slow?ms=1000 HTTP/1.1\r\nHost: x\r\n\r\n")
        long.send(b"GET /slow?ms=60000 HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(0.2)
        s.signal(signal.SIGKILL)
        s.wait()
        assert c.response().status == 200
        assert b"200" not in long.rest()
    wait_for(lambda: not [p for p in workers if is_alive(p)], 10, "orphans live on")


def test_no_process_is_left(serve):
    s = serve(HELLO)
    ours = {s.pid, *s.workers()}
    assert s.stop() == 0
    assert not ours & {p for p, entry in process_table().items() if entry[1] not in "ZX"}
