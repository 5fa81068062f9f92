"""recycle_after: workers that have had their share of requests give way to fresh ones, and nobody notices."""
import os
import re
import signal
import threading
import time

import pytest
from lib.server import OURSELVES, build_module, is_alive, process_table, wait_for

CONF = """
[module:hello]
[module:status]
[module:slow]
[route:hello]
match = = /hello
handler = hello
[route:status]
match = = /status.json
handler = status
[route:slow]
match = /slow
handler = slow
"""
# At the start of a worker: it dies, or takes its time, when there is such a file.
FRAIL = """
    #include <cserver/cserver.h>
    #include <time.h>
    #include <unistd.h>
    typedef struct { cs_str dies, waits; } settings;
    static const cs_directive directives[] = {
        CS_STRING(settings, dies, "", 0, 200, 0, "Die at the start when this file exists."),
        CS_STRING(settings, waits, "", 0, 200, 0, "Start slowly when this file exists."), CS_END};
    static int on_start(cs_proc *p)
    {
        const settings *s = cs_module_conf(p);
        struct timespec t = {2, 0};
        if (access(s->dies.p, F_OK) == 0) _exit(7);
        if (access(s->waits.p, F_OK) == 0) nanosleep(&t, 0);
        return CS_OK;
    }
    static int handler(cs_req *r) { return cs_text(r, 200, "frail"); }
    CS_MODULE(.name = "frail", .version = "1.0", .help = "Starts badly.", .directives = directives,
              .conf_size = sizeof(settings), .worker_start = on_start, .handler = handler);
"""


def document(s):
    return s.get("/status.json").json


def recycled(s):
    return document(s)["totals"]["workers_recycled"]


def hello(s, n=1):
    for _ in range(n):
        assert s.get("/hello").status == 200


def until(s, condition, seconds=30, what="requests did not bring it about"):
    """Requests until something holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what}\n{s.log()[-3000:]}"
        hello(s)
        time.sleep(0.005)


def settled(s, n):
    """n workers are there, all of them ready."""
    def there():
        workers = document(s)["workers"]
        return len(workers) == n and all(w["state"] == "ready" for w in workers) and len(s.workers()) == n
    wait_for(there, 20)


def test_a_fresh_worker(serve):
    s = serve(CONF, server={"workers": 1, "recycle_after": 50})
    old = s.workers()
    hello(s, 35)
    assert s.workers() == old, "jitter is about a tenth: not yet"
    until(s, lambda: recycled(s) == 1)
    wait_for(lambda: not is_alive(old[0]), 10)
    settled(s, 1)
    words = re.search(r"info .*worker 1 \(pid (\d+)\) has had its share of requests: worker (\d+) \(pid (\d+)\) takes its "
                      r"place", s.log())
    assert words and words[1] == str(old[0]) and words[3] == str(s.workers()[0])
    t = document(s)["totals"]
    assert (t["worker_crashes"], t["worker_spawns"]) == (0, 2)


def test_never(serve):
    s = serve(CONF, server={"workers": 1})
    old = s.workers()
    hello(s, 300)
    assert s.workers() == old and recycled(s) == 0


def test_several_want_one(serve):
    s = serve(CONF, server={"workers": 3, "recycle_after": 10})
    old = s.workers()
    until(s, lambda: recycled(s) >= 9, 60)
    settled(s, 3)
    assert not set(old) & set(s.workers())
    lines = re.findall(r"worker (\d+) \(pid (\d+)\) has had its share of requests: worker \d+ \(pid (\d+)\)", s.log())
    assert len(lines) == recycled(s)
    assert len({pid for _, pid, _ in lines}) == len(lines), "each gives way once"
    assert {new for _, _, new in lines} - {pid for _, pid, _ in lines} <= set(map(str, s.workers()))


def test_open_connections_are_kept(serve):
    """The old one drains: a request in flight ends, an idle connection gets one more answer."""
    s = serve(CONF, server={"workers": 1, "recycle_after": 20, "drain_timeout": "20s"})
    old = s.workers()[0]
    with s.connect() as idle, s.connect() as busy:
        idle.send(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n").response()
        busy.send(b"GET /slow?ms=4000 HTTP/1.1\r\nHost: x\r\n\r\n")
        until(s, lambda: recycled(s) == 1)
        answer = idle.send(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n").response()
        assert answer.status == 200 and answer["connection"] == "close"
        hello(s, 50)
        assert recycled(s) == 1 and is_alive(old), "one at a time: the old one still drains"
        answer = busy.response()
        assert answer.status == 200 and answer["connection"] == "close"
    wait_for(lambda: not is_alive(old), 10)
    until(s, lambda: recycled(s) >= 2)


def test_drain_timeout(serve):
    s = serve(CONF, server={"workers": 1, "recycle_after": 10, "drain_timeout": "1s"})
    old = s.workers()[0]
    with s.connect() as idle:
        idle.send(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n").response()
        until(s, lambda: recycled(s) >= 1)
        assert idle.eof()
    wait_for(lambda: not is_alive(old), 10)


def test_max_workers_reached(serve):
    s = serve(CONF, server={"workers": 2, "max_workers": 2, "recycle_after": 10})
    until(s, lambda: recycled(s) >= 6, 60)
    settled(s, 2)
    assert s.ctl("reload").returncode == 0
    until(s, lambda: recycled(s) >= 9, 60)
    settled(s, 2)


def load(s, over, faults):
    """Connections of one request and of several; every fault is kept."""
    n = 0
    while not over.is_set():
        try:
            with s.connect() as c:
                for i in range(1 + n % 4):
                    close = i == n % 4
                    c.send(b"GET /hello HTTP/1.1\r\nHost: x\r\n" + (b"Connection: close\r\n" if close else b"") + b"\r\n")
                    answer = c.response()
                    if answer.status != 200:
                        faults.append(answer)
                    if answer["connection"] == "close":
                        break
            n += 1
        except (OSError, EOFError) as e:
            faults.append(repr(e))


@pytest.mark.parametrize("policy", ["turn", "exclusive", "reuseport"])
def test_under_load(serve, policy):
    s = serve(CONF + f"[accept]\npolicy = {policy}\n", server={"workers": 2, "recycle_after": 200})
    faults, over = [], threading.Event()
    clients = [threading.Thread(target=load, args=(s, over, faults)) for _ in range(6)]
    for c in clients:
        c.start()
    try:
        wait_for(lambda: faults or recycled(s) >= 6)
    finally:
        over.set()
        for c in clients:
            c.join(60)
    assert not faults, faults[:5]
    assert recycled(s) >= 6

    def all_have_come():
        """The last successor may be on its way yet."""
        settled(s, 2)
        t = document(s)["totals"]
        return t if t["worker_spawns"] == 2 + t["workers_recycled"] else None
    t = wait_for(all_have_come)
    assert t["worker_crashes"] == 0 and t["stall_kills"] == 0


# ---- What comes in between -----------------------------------------------------------------------

@pytest.fixture
def frail(serve, tmp_path):
    """Two workers; a new one dies while there is a file s.dies, and takes 2 s to start while there is s.waits."""
    so = build_module(str(tmp_path), "frail", FRAIL)
    s = serve(CONF + f"[module:frail]\nfile = {so}\ndies = {tmp_path}/dies\nwaits = {tmp_path}/waits\n"
              "[route:frail]\nmatch = /frail\nhandler = frail\n",
              server={"workers": 2, "recycle_after": 20, **OURSELVES})  # who may look into the folder
    s.dies, s.waits = tmp_path / "dies", tmp_path / "waits"
    s.old = s.workers()
    return s


def test_successor_dies_at_its_start(frail):
    """There are never fewer workers, and another is tried later."""
    s = frail
    s.dies.write_text("")
    until(s, lambda: "the successor of worker" in s.log())
    assert "exited with status 7" in s.log()
    hello(s, 60)
    assert s.workers() == s.old and recycled(s) == 0
    settled(s, 2)
    assert s.log().count("the successor of worker") == 1, "tried again only after a while"
    s.dies.unlink()
    until(s, lambda: recycled(s) >= 2, 40)
    settled(s, 2)
    assert not set(s.old) & set(s.workers())


@pytest.fixture
def coming(frail):
    """A successor, s.new, is on its way; later ones start at once."""
    s = frail
    s.waits.write_text("")
    until(s, lambda: len(s.workers()) == 3)
    s.new = next(p for p in s.workers() if p not in s.old)
    s.waits.unlink()
    return s


def test_one_at_a_time(frail):
    """Both want a successor, and it takes its time."""
    s = frail
    s.waits.write_text("")
    seen = set()
    until(s, lambda: seen.add(len(s.workers())) or recycled(s) >= 2, 60)
    assert seen == {2, 3}


def test_old_one_dies_before_its_successor_is_ready(coming):
    s = coming
    for p in s.old:
        s.signal(signal.SIGKILL, p)
    wait_for(lambda: not any(is_alive(p) for p in s.old), 10)
    settled(s, 2)
    assert s.new in s.workers()
    assert document(s)["totals"]["worker_crashes"] == 2
    hello(s, 5)


def test_successor_is_killed(coming):
    s = coming
    s.signal(signal.SIGKILL, s.new)
    wait_for(lambda: not is_alive(s.new), 10)
    s.log_has("the successor of worker", 10)
    assert sorted(s.workers()) == sorted(s.old)
    settled(s, 2)


def test_one_worker_less_meanwhile(coming):
    s = coming
    s.signal(signal.SIGTTOU)
    s.log_has("one worker less: 1", 10)
    wait_for(lambda: len(s.workers()) == 1, 20)
    time.sleep(3)  # the successor would have come by now
    settled(s, 1)
    assert s.new not in s.workers()
    hello(s, 3)


def test_one_worker_more_meanwhile(coming):
    s = coming
    s.signal(signal.SIGTTIN)
    s.log_has("one worker more: 3", 10)
    until(s, lambda: recycled(s) >= 1)
    settled(s, 3)
    assert s.new in s.workers()


def test_reload_meanwhile(coming):
    s = coming
    done = s.ctl("reload")
    assert done.returncode == 0, done.stderr
    settled(s, 2)
    assert not set(s.workers()) & {*s.old, s.new}
    assert all(w["generation"] == 2 for w in document(s)["workers"])
    until(s, lambda: recycled(s) >= 1)


def test_pause_meanwhile(coming):
    s = coming
    s.signal(signal.SIGWINCH)
    wait_for(lambda: not s.workers(), 20)
    s.signal(signal.SIGHUP)
    wait_for(lambda: len(s.workers()) == 2, 20)
    settled(s, 2)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop_meanwhile(coming, number):
    s = coming
    assert s.stop(number, 20) == 0
    assert "the successor of worker" not in s.log()


def test_position_is_kept(serve):
    """With a CPU for each position: the successor stays on the CPU of whom it follows."""
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        pytest.skip("one CPU")
    s = serve(CONF, server={"workers": 2, "recycle_after": 20, "cpu": f"{cpus[0]}, {cpus[1]}"})
    until(s, lambda: recycled(s) >= 3, 60)
    settled(s, 2)
    places = [frozenset(os.sched_getaffinity(p)) for p in s.workers()]
    assert sorted(map(sorted, places)) == [[cpus[0]], [cpus[1]]]
    assert all(process_table()[p][1] in "SR" for p in s.workers())
