"""What a stop does not wait for: clients that have nothing under way. The time limits are so long that waiting for them
would be seen."""
import os
import signal

import pytest
from lib.server import is_alive, process_table, wait_for

CONF = """
[module:hello]
[route:hello]
match = /hello
handler = hello
[module:slow]
[route:slow]
match = /slow
handler = slow
[module:sse]
[route:sse]
match = /chat
handler = sse
[limits]
keepalive_timeout = 10m
head_timeout = 10m
[listen:main]
address = 127.0.0.1:@PORT@
deferred = off
"""
LONG = {"shutdown_timeout": "10m", "drain_timeout": "10m"}


def ask(s, path):
    return s.connect().send(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())


def idle_ones(s):
    """Some that have had an answer, and some that have never asked."""
    kept = [ask(s, "/hello") for _ in range(6)]
    assert all(c.response().status == 200 for c in kept)
    return kept + [s.connect() for _ in range(3)]


@pytest.mark.parametrize("word", ["stop", "quit"])
def test_idle_connections(serve, status, word):
    s = serve(CONF, server=LONG)
    kept = idle_ones(s)
    wait_for(lambda: status(s)["connections"] == len(kept))
    busy = ask(s, "/slow?ms=3000")
    wait_for(lambda: status(s)["connections"] == len(kept) + 1)
    done = s.ctl(word, timeout=60)
    assert done.returncode == 0, done.stderr
    assert busy.response().status == 200  # it took longer than the others had
    assert all(c.eof() for c in kept)


def test_streams_at_a_stop(serve, status):
    s = serve(CONF, server=LONG)
    streams = [ask(s, "/chat") for _ in range(20)]
    wait_for(lambda: status(s)["streams"] == 20)
    assert s.ctl("stop", timeout=60).returncode == 0
    del streams


def test_idle_connections_of_orphans(serve, status):
    s = serve(CONF, server=LONG)
    kept = idle_ones(s)
    wait_for(lambda: status(s)["connections"] == len(kept))
    old = s.workers()
    s.process.kill()
    s.process.wait()
    wait_for(lambda: not any(is_alive(p) for p in old), 60)
    assert all(c.eof() for c in kept)


def test_a_reload_still_waits_for_them(serve, status):
    """Their next request is answered by the old worker: no client meets a closed connection."""
    s = serve(CONF, server=LONG)
    kept = idle_ones(s)
    wait_for(lambda: status(s)["connections"] == len(kept))
    assert s.ctl("reload").returncode == 0
    assert not any(c.eof() for c in kept if not c.is_silent(2 / len(kept)))
    for c in kept:
        r = c.send(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n").response()
        assert r.status == 200 and r["connection"] == "close" and c.eof()


def test_a_master_that_is_a_zombie(serve):
    """Its parent may never ask how it ended; the pid file is left over all the same."""
    s = serve(CONF)
    dead = s.process
    s.signal(signal.SIGKILL)
    wait_for(lambda: process_table()[dead.pid][1] == "Z")
    s.start()
    assert process_table()[dead.pid][1] == "Z" and s.pid != dead.pid
    assert s.get("/hello").status == 200
    assert os.waitid(os.P_PID, dead.pid, os.WEXITED | os.WNOWAIT).si_status == signal.SIGKILL
    dead.wait()
