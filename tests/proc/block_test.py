"""A module that does not come back: who it is, and the end of it."""
import json
import os
import re
import signal
import time

import pytest
from lib import crash
from lib.server import deadline, is_alive, wait_for


@pytest.fixture(scope="session")
def so(tmp_path_factory):
    return crash.build(str(tmp_path_factory.mktemp("crash")))


@pytest.fixture
def blocking(serve, so):
    def start(**server):
        return serve(crash.SETTINGS.format(so=so), server=server, env=crash.QUIET)
    return start


def send(s, path):
    c = s.connect()
    return c.send(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())


def module(s):
    return next(m for m in json.loads(s.ctl("status", "--json").stdout)["modules"] if m["name"] == "crash")


def switches(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return int(re.search(r"^voluntary_ctxt_switches:\s*(\d+)", f.read(), re.M)[1])


def state(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
        return f.read().rsplit(")", 1)[1].split()[0]


def test_told_once(blocking):
    s = blocking()
    with send(s, "/crash/here?short") as c:
        assert c.response().status == 200
    told = wait_for(lambda: crash.lines(s, "was in module"))
    assert len(told) == 1
    assert re.search(r'warn worker \d\[\d+\]: was in module "crash" 1\.7, hook handler, for \d+ ms'
                     r": all else waited request_id=[0-9a-f]{16} route=crash path=/crash/here$", told[0]), told[0]
    assert 880 <= int(re.search(r"for (\d+) ms", told[0])[1])
    assert len(crash.lines(s, "has been in module")) <= 1
    assert module(s)["stalls"] == 1 and module(s)["crashes"] == 0


def test_told_while_it_lasts(blocking):
    s = blocking()
    with send(s, "/crash/here?block"):
        told = wait_for(lambda: crash.lines(s, "has been in module"))
        assert re.search(r'warn master\[\d+\]: worker \d \(pid \d+\) has been in module "crash" 1\.7, hook handler, for \d+ ms'
                         r": all else waits request_id=[0-9a-f]{16} route=crash path=/crash/here$", told[0]), told[0]
        assert 250 <= int(re.search(r"for (\d+) ms", told[0])[1])
        assert module(s)["stalls"] == 0, "it counts them itself"
        os.kill(int(re.search(r"pid (\d+)", told[0])[1]), signal.SIGKILL)


def test_many_short_ones(blocking):
    """Of one connection, one after the other, in the same turn of the loop: none of them is long."""
    s = blocking(workers=1, block_warn="400ms")
    with s.connect() as c:
        c.send(b"GET /crash?brief HTTP/1.1\r\nHost: x\r\n\r\n" * 60)
        for _ in range(60):
            assert c.response().status == 200
    assert not crash.lines(s, "was in module|has been in module") and module(s)["stalls"] == 0


def test_who_waits_for_a_zone_is_not_to_blame(blocking):
    """The one that holds its lock stands still, and so do those that want it: nobody is ended, and a successor starts."""
    s = blocking(workers=3, block_warn="100ms", block_kill="800ms")
    with send(s, "/crash/stopped?lockstop"):
        def stopped():
            return [pid for pid in s.workers() if state(pid) == "T"]
        holder = wait_for(stopped)[0]
        waiting = send(s, "/crash/waits?lock")
        told = wait_for(lambda: crash.lines(s, "has been in module.*path=/crash/waits"))
        assert re.search(rf"for \d+ ms, waiting for the lock of a zone that process {holder} holds: all else waits", told[0])
        looks = switches(s.pid)
        for _ in deadline(60, "the master does not look any more"):
            if switches(s.pid) > looks + 20:
                break
        waiter = int(re.search(r"\(pid (\d+)\)", told[0])[1])
        third = next(pid for pid in s.workers() if pid not in (holder, waiter))
        os.kill(third, signal.SIGKILL)
        wait_for(lambda: len([p for p in s.workers() if p not in (holder, waiter, third)]) == 1 and
                 s.get("/hello").status == 200)
        assert is_alive(waiter) and is_alive(holder) and "SIGABRT" not in s.log()
        os.kill(holder, signal.SIGCONT)
        with waiting:
            assert waiting.response().status == 200
    own = wait_for(lambda: crash.lines(s, "was in module.*path=/crash/waits"))
    assert re.search(r"for \d+ ms, \d+ ms of them waiting for the lock of a zone: all else waited", own[0])
    assert module(s)["crashes"] == 0


def test_in_the_primary(blocking):
    s = blocking()
    assert b" 200 " in crash.hit(s, "/crash/primary?short")
    told = wait_for(lambda: crash.lines(s, "was in module"))
    assert re.search(r'warn primary\[\d+\]: was in module "crash" 1\.7, hook on_message, .* topic=crash\.do', told[0])


def test_ended_and_says_where(blocking):
    s = blocking(block_kill="600ms")
    assert crash.hit(s, "/crash/here?block") == b""
    wait_for(lambda: crash.lines(s, r"was killed by SIGABRT"))
    assert re.search(r'error master\[\d+\]: worker \d \(pid \d+\) has been in module "crash" 1\.7, hook handler, for \d+ ms: '
                     r"ending it with SIGABRT, so that it says where \(block_kill = 600 ms\)", s.log())
    own = crash.lines(s, r"worker \d\[\d+\]: SIGABRT")[0]
    assert f"SIGABRT, sent by process {s.pid}, in module" in own and "path=/crash/here" in own
    assert "crash.so+0x" in crash.lines(s, "backtrace of the SIGABRT")[0]
    assert module(s)["crashes"] == 1
    wait_for(lambda: len(s.workers()) == 2)
    assert s.get("/hello").status == 200


def test_who_does_not_hear_is_killed(blocking):
    s = blocking(block_kill="400ms")
    assert crash.hit(s, "/crash?deaf") == b""
    wait_for(lambda: crash.lines(s, "was killed by SIGKILL in module"))
    assert "did not end of SIGABRT: killing it" in s.log()
    wait_for(lambda: len(s.workers()) == 2)


def test_quarantined_for_it(blocking):
    s = blocking(block_kill="400ms", quarantine=2)
    for _ in range(2):
        assert crash.hit(s, "/crash?block") == b""
    wait_for(lambda: crash.hit(s, "/crash").startswith(b"HTTP/1.1 503 "))
    assert "in quarantine after 2 crashes" in s.log()


def test_who_is_stopped_is_left_alone(blocking, status):
    """By SIGSTOP, in a module's code, for longer than block_kill: that is not the module's fault."""
    s = blocking(block_kill="2s", block_warn="100ms", workers=1)
    pid = s.workers()[0]
    with send(s, "/crash/here?lockstop") as c:
        wait_for(lambda: state(pid) == "T")
        time.sleep(1.1)  # the patrol has seen it
        looks = switches(s.pid)
        for _ in deadline(60, "the master does not look any more"):
            if switches(s.pid) > looks + 40:  # each at least 100 ms after the one before
                break
        assert is_alive(pid)
        os.kill(pid, signal.SIGCONT)
        assert c.response().status == 200
    assert "SIGABRT" not in s.log() and s.workers() == [pid]


def test_off(blocking):
    s = blocking(block_warn=0, block_kill=0)
    with send(s, "/crash/here?short") as c:
        assert c.response().status == 200
    assert not crash.lines(s, "was in module|has been in module") and module(s)["stalls"] == 0


def test_kill_without_warning(blocking):
    s = blocking(block_warn=0, block_kill="500ms")
    assert crash.hit(s, "/crash?block") == b""
    wait_for(lambda: crash.lines(s, r"was killed by SIGABRT"))


def test_switched_on_by_a_reload(blocking, so):
    s = blocking(block_warn=0, block_kill=0)
    s.configure(crash.SETTINGS.format(so=so), block_warn="100ms")
    assert s.ctl("reload").returncode == 0
    wait_for(lambda: crash.hit(s, "/crash/here?short") and crash.lines(s, "was in module"))


def test_an_idle_server_is_not_watched(blocking):
    """The master wakes no more often than for its rounds."""
    s = blocking(block_warn="100ms")
    for _ in range(20):
        assert s.get("/hello").status == 200
    for _ in deadline(60, "the master wakes again and again"):
        before = switches(s.pid)
        time.sleep(2.5)  # the time in which they are counted: once a second, and some more
        if switches(s.pid) - before <= 8:
            break


def test_a_busy_server_is_watched_seldom(blocking):
    """However many requests come meanwhile: they are no reason to wake the master."""
    s = blocking()
    before, began = switches(s.pid), time.monotonic()
    with s.connect() as c:
        for _ in range(1000):
            c.send(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n")
            assert c.response().status == 200
    looks = (time.monotonic() - began) / 0.125 + 1
    assert switches(s.pid) - before <= 20 + 4 * looks
