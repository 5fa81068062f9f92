"""Many commands at once, workers that do not move, and what hundreds of reloads leave behind."""
import os
import signal
import time

import pytest
from lib.server import is_alive, wait_for

HELLO = """
[module:hello]
[route:hello]
match = /hello
handler = hello
"""


def descriptors(pid):
    """number -> what it is."""
    found = {}
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            found[int(name)] = os.readlink(f"/proc/{pid}/fd/{name}")
        except OSError:
            pass
    return found


def anonymous(pid):
    """KiB of memory of its own."""
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("RssAnon"))


def test_a_thousand_hups(serve):
    s = serve(HELLO)
    for _ in range(1000):
        s.signal(signal.SIGHUP)
        time.sleep(0.0005)
    assert s.ctl("reload", timeout=60).returncode == 0
    assert s.get("/hello").status == 200
    assert len(s.workers()) >= 2
    assert s.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_stopped_before_it_is_ready(serve, number):
    for wait in (0, 0.002, 0.004, 0.006, 0.01, 0.015):
        s = serve(HELLO, ready=False)
        time.sleep(wait)
        code = s.stop(number, 20)
        assert code in (0, -number), f"after {wait} s: {code}"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_stopped_while_it_reloads(serve, number):
    for wait in (0, 0.003, 0.006, 0.009, 0.015):
        s = serve(HELLO)
        s.signal(signal.SIGHUP)
        time.sleep(wait)
        assert s.stop(number, 20) == 0, f"after {wait} s"


def test_reload_with_a_stopped_worker(serve):
    """It cannot hear that it is to drain: the reload does not wait for it, and drain_timeout ends it."""
    s = serve(HELLO, server={"drain_timeout": "1s"})
    worker = s.workers()[0]
    s.signal(signal.SIGSTOP, worker)
    began = time.monotonic()
    done = s.ctl("reload", timeout=30)
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - began < 8
    assert s.get("/hello").status == 200
    wait_for(lambda: not is_alive(worker), 20, "the stopped worker stays")


def test_stop_with_a_stopped_worker(serve):
    s = serve(HELLO, server={"shutdown_timeout": "1s"})
    s.signal(signal.SIGSTOP, s.workers()[0])
    began = time.monotonic()
    assert s.ctl("stop", timeout=30).returncode == 0
    assert time.monotonic() - began < 15
    assert s.wait(5) == 0


@pytest.mark.limit(120)
def test_reloads_leave_nothing_behind(serve):
    s = serve(HELLO, server={"drain_timeout": "1s", "workers": 1})

    def reload(times):
        for _ in range(times):
            assert s.ctl("reload").returncode == 0
        wait_for(lambda: len(s.workers()) == 1, 20)
        wait_for(lambda: '"draining":0' in s.ctl("status", "--json").stdout, 20)
    reload(50)
    fds, memory = descriptors(s.pid), anonymous(s.pid)
    reload(250)
    later = descriptors(s.pid)
    assert abs(len(later) - len(fds)) <= 1, f"{fds}\n{later}"  # one: who has just asked for the status
    if "sanitizers" not in s.run("-V").stdout:  # they keep what has been freed
        assert anonymous(s.pid) - memory < 300


def test_what_a_worker_inherits(serve):
    """Nothing of the master's: not its control socket, not the other workers' pairs, no epoll or signals."""
    s = serve(HELLO, server={"workers": 3})
    assert s.ctl("reload").returncode == 0
    wait_for(lambda: len(s.workers()) == 3, 20)
    master = descriptors(s.pid)
    for worker in s.workers():
        own = descriptors(worker)
        sockets = {v for v in own.values() if v.startswith("socket:")}
        shared = sockets & {v for v in master.values() if v.startswith("socket:")}
        assert len(shared) == 1, f"{shared} of {master}"
