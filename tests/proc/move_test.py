"""Streams go to other workers when theirs drains: nobody is disconnected, nothing is missed, nothing comes twice. What
cannot go ends one by one (tests/lib/modules/mover.c; the full sizes are in tests/soak/streams_move.py)."""
import contextlib
import http.client
import json
import os
import re
import select
import shutil
import signal
import socket
import tempfile
import threading
import time

import pytest
from lib.figures import scrape
from lib.server import LIMIT, SOURCE, Connection, build_module, is_alive, wait_for

SSE = """
    [module:sse]
    max_clients = 100000
    ping = 1h
    [module:metrics]
    [route:sse]
    match = = /s
    handler = sse
    [route:metrics]
    match = /metrics
    handler = metrics
"""
MAILBOX = """
    [module:basic]
    file = {0}/basic.so
    [module:mailbox]
    [module:metrics]
    [route:mailbox]
    match = = /s
    use = basic
    handler = mailbox
    publishers = anybody
    [route:metrics]
    match = /metrics
    handler = metrics
"""
MOVER = """
    [module:mover]
    file = {0}/mover.so
    then = {1}
    at = {2}
    room = {3}
    marker = @DIR@/open/marker
    [module:metrics]
    [route:{4}]
    match = = /s
    handler = mover
    [route:metrics]
    match = /metrics
    handler = metrics
"""
BASIC = """
    #include <cserver/cserver.h>
    static int access_hook(cs_req *r) { cs_set_user(r, "anybody"); return CS_DECLINED; }
    CS_MODULE(.name = "basic", .version = "1.0", .help = "Everybody is somebody.", .access = access_hook);
"""


@pytest.fixture(scope="module")
def modules():
    folder = tempfile.mkdtemp(prefix="cs-")
    with open(f"{SOURCE}/tests/lib/modules/mover.c", encoding="utf-8") as f:
        build_module(folder, "mover", f.read())
    build_module(folder, "basic", BASIC)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(autouse=True)
def hang_up(serve):
    """A server that is stopped waits for its streams."""
    yield
    while opened:
        opened.pop().close()


@pytest.fixture
def mover(serve, modules):
    """mover(workers, ...) starts a server whose streams move; .then(...) writes other settings for it."""
    def start(workers=1, drain="60s", limits=None, **server):
        def conf(then="take", at=1, room=100000, route="mover"):
            return MOVER.format(modules, then, at, room, route)

        s = serve(conf(), server={"workers": workers, "drain_timeout": drain, **server}, limits=limits,
                  files={"open/to": "all"})
        os.chmod(s.path("open"), 0o777)
        os.chmod(s.folder, 0o755)
        s.then = lambda *args, **keys: s.configure(conf(*args, **keys))
        return s
    return start


def metric(s, name):
    return int(scrape(s).sum(name))


opened = []


class Listener:
    """A subscriber. Its events are lines of mover, or have an id (mailbox: BIRTH-NUMBER)."""

    def __init__(self, s, slow=False):
        sock = socket.socket()
        if slow:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(LIMIT)
        sock.connect(("127.0.0.1", s.port))
        self.c = Connection(sock)
        opened.append(self.c)
        self.c.send(b"GET /s HTTP/1.1\r\nHost: a\r\n\r\n")
        self.head = self.c.until(b"\r\n\r\n").decode()
        assert " 200 " in self.head, self.head

    def number(self):
        while True:
            line = self.c.until(b"\n").decode()
            m = re.fullmatch(r"(?:id: (?:[0-9a-f]+-)?)?(\d+)\n", line)
            if m:
                return int(m[1])
            assert "lost" not in line, "something is said to be lost"  # comments, data, what only fills

    def hears(self, first, last):
        """These numbers come next, each once."""
        for n in range(first, last + 1):
            assert self.number() == n

    def is_quiet(self):
        """No number waits to be heard."""
        while select.select([self.c.sock], [], [], 0)[0]:
            assert self.c.fill(), "it has ended"
        return not re.search(rb"^(?:id: .*|\d+)$", self.c.buffer, re.M)

    def has_ended(self):
        return bool(select.select([self.c.sock], [], [], 0)[0]) and not self.c.fill()

    def close(self):
        self.c.close()


def subscribe(s, n):
    return [Listener(s) for _ in range(n)]


def say(s, n=1):
    for _ in range(n):
        assert s.post("/s", b"x").status == 204


class Publisher(threading.Thread):
    """Says things until it is told to stop."""

    def __init__(self, s):
        super().__init__(daemon=True)
        self.s, self.said, self.done, self.failed = s, 0, False, ""
        self.start()

    def run(self):
        while not self.done:
            try:
                r = self.s.post("/s", b"x")
            except (OSError, EOFError, http.client.HTTPException) as e:
                self.failed = repr(e)
                continue
            if r.status != 204:
                self.failed = f"status {r.status}"
            self.said += 1
            time.sleep(0.002)

    def stop(self):
        self.done = True
        self.join(LIMIT)
        assert not self.failed
        return self.said


def status(s):
    return json.loads(s.ctl("status", "--json").stdout)


def reload(s):
    done = s.ctl("reload")
    assert done.returncode == 0, done.stdout + done.stderr + s.log()[-2000:]


def settled(s, workers):
    """No old worker is left."""
    wait_for(lambda: len(s.workers()) == workers, LIMIT, "old workers do not end")


def hear_all(listeners, first, last):
    for a in listeners:
        a.hears(first, last)
        assert a.is_quiet()


def close_all(listeners):
    for a in listeners:
        a.close()


# ---- They move ----

@pytest.mark.parametrize("module", ["sse", "mailbox", "mover"])
def test_nothing_is_missed_over_reloads(serve, modules, module):
    """P8 (b), in small."""
    conf = {"sse": SSE, "mailbox": MAILBOX, "mover": MOVER}[module].format(modules, "take", 1, 100000, "mover")
    s = serve(conf, server={"workers": 2})
    listeners = subscribe(s, 100)
    p = Publisher(s)
    for _ in range(3):
        before = p.said
        reload(s)
        wait_for(lambda: p.said > before + 5, LIMIT, "nothing is said")
    settled(s, 2)
    said = p.stop()
    hear_all(listeners, 1, said)
    moved = metric(s, "cserver_streams_moved_total")
    assert moved == metric(s, "cserver_streams_adopted_total") >= 300
    assert (metric(s, "cserver_streams_closed_total"), metric(s, "cserver_streams")) == (0, 100)
    assert metric(s, "cserver_connections_opened_total") >= 100
    assert "have moved to other workers, 0 were closed" in s.log()
    close_all(listeners)
    wait_for(lambda: metric(s, "cserver_streams") == 0, LIMIT, "streams are left over")


def test_they_come_to_all_new_workers(mover):
    s = mover(workers=1)
    listeners = subscribe(s, 400)
    s.keys["workers"] = 3
    s.then("take")
    reload(s)
    settled(s, 3)
    say(s, 2)
    hear_all(listeners, 1, 2)
    by_worker = [w["connections"] for w in status(s)["workers"]]
    assert sum(by_worker) >= 400 and min(by_worker) >= 100, by_worker


def test_a_fresh_worker_takes_them_from_the_one_before_it(mover):
    s = mover(workers=1, recycle_after=30)
    listeners = subscribe(s, 20)
    old = s.workers()
    while s.workers() == old:
        say(s)
    settled(s, 1)
    wait_for(lambda: metric(s, "cserver_streams_adopted_total") == 20, LIMIT, "they have not moved")


def test_a_worker_that_is_told_to_drain_by_hand(mover):
    s = mover(workers=2)
    listeners = subscribe(s, 20)
    for pid in s.workers():
        os.kill(pid, signal.SIGTERM)
        wait_for(lambda gone=pid: not is_alive(gone), LIMIT, "it does not end")
        settled(s, 2)
    say(s, 3)
    hear_all(listeners, 1, 3)


def test_what_waits_is_sent_before_it_moves(mover):
    """A client that reads nothing stays where it is, and moves once it has read."""
    s = mover(drain="10m")
    slow, quick = Listener(s, slow=True), Listener(s)
    old = s.workers()[0]
    for _ in range(100):
        assert s.post("/s", b"x" * 200).status == 204
    quick.hears(1, 100)
    reload(s)
    wait_for(lambda: metric(s, "cserver_streams_adopted_total") == 1, LIMIT, "the quick one has not moved")
    assert is_alive(old)
    say(s)
    quick.hears(101, 101)
    slow.hears(1, 101)
    wait_for(lambda: not is_alive(old), LIMIT, "the slow one has not moved")
    say(s)
    hear_all([slow, quick], 102, 102)


def descriptors(s):
    """Of the master, and most of a worker, when two looks agree: clients of the control socket come and go."""
    def look():
        return [max(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids) for pids in ([s.pid], s.workers())]

    def agreed():
        first = look()
        time.sleep(0.05)
        return look() == first and first
    return wait_for(agreed)


def test_reloads_in_a_row_leave_no_workers_behind(mover):
    """P7, in small: never more than three generations, and the descriptors are what they were."""
    s = mover(workers=2)
    reload(s)
    settled(s, 2)
    close_all(subscribe(s, 4))  # from the first line of the access log on there are threads, and the bell of their pool
    before = descriptors(s)
    listeners = subscribe(s, 50)
    most = 0
    for _ in range(20):
        reload(s)
        most = max(most, len(s.workers()))
    settled(s, 2)
    assert most <= 6
    say(s, 2)
    hear_all(listeners, 1, 2)
    close_all(listeners)
    wait_for(lambda: all(now <= then + 1 for now, then in zip(descriptors(s), before)), LIMIT, "descriptors are left over")


def test_kinds_of_connections(mover):
    """Status tells them apart."""
    s = mover()
    subscribe(s, 3)
    idle, begun = s.connect(), s.connect()
    opened.extend([idle, begun])
    idle.send(b"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n").response()
    begun.send(b"POST /s HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nx")
    wait_for(lambda: status(s)["connections"] == 5 and status(s)["idle"] == 1, LIMIT, "not so many")
    w = status(s)["workers"][0]
    assert (w["connections"], w["streams"], w["idle"]) == (5, 3, 1)
    assert "connections: 5 now (1 in a request, 3 streams, 1 idle)" in s.ctl("status").stdout
    assert metric(s, "cserver_connections_idle") == 1
    idle.close()
    wait_for(lambda: status(s)["idle"] == 0, LIMIT, "it still idles")


# ---- They do not ----

def ends(listeners, seconds=LIMIT):
    """Waits until all have ended; returns how many there were at each look when there were more than before."""
    seen, left = [], list(listeners)
    end = time.monotonic() + seconds
    while left:
        assert time.monotonic() < end, f"{len(left)} have not ended"
        before = len(left)
        for a in left:
            if a.has_ended():
                a.close()
        left = [a for a in left if a.c.sock.fileno() >= 0]
        if len(left) < before:
            seen.append(before - len(left))
        time.sleep(0.02)
    return seen


@pytest.mark.parametrize("then", ["stay", "talk"])
def test_what_cannot_move_ends_one_by_one(mover, then):
    """P8 (c), in small: not all at the deadline."""
    s = mover(drain="5s")
    s.then(then)
    reload(s)
    settled(s, 1)
    listeners = subscribe(s, 50)
    s.then("take")
    reload(s)
    seen = ends(listeners)
    settled(s, 1)
    assert len(seen) >= 5, seen
    assert metric(s, "cserver_streams_closed_total") == 50 and metric(s, "cserver_streams_moved_total") == 0
    assert "time to drain is over" not in s.log()


def test_a_route_that_is_gone_has_no_streams(mover):
    s = mover(drain="4s")
    listeners = subscribe(s, 20)
    s.then("take", route="another")
    reload(s)
    assert len(ends(listeners)) >= 3
    settled(s, 1)
    assert metric(s, "cserver_streams_closed_total") == 20 and metric(s, "cserver_streams_adopted_total") == 0


def test_streams_that_are_refused_end(mover):
    s = mover()
    listeners = subscribe(s, 20)
    s.then("refuse", 11)
    reload(s)
    settled(s, 1)
    wait_for(lambda: sum(a.has_ended() for a in listeners) == 10, LIMIT, "not ten have ended")
    say(s, 2)
    hear_all([a for a in listeners if not a.has_ended()], 1, 2)
    assert metric(s, "cserver_streams_adopted_total") == 10


@pytest.mark.parametrize("how", ["connections", "group", "said"])
def test_a_worker_that_is_full_takes_no_more(mover, how):
    """The rest stays, has everything as before, and ends within the time to drain."""
    s = mover(drain="6s", limits={"max_connections": 40})
    listeners = subscribe(s, 20)
    if how == "connections":
        s.limits["max_connections"] = 10
    s.then("full" if how == "said" else "take", 11, room=10 if how == "group" else 100000)
    reload(s)
    wait_for(lambda: [a for a in listeners if a.has_ended()], LIMIT, "nobody has ended")
    settled(s, 1)
    ended = [a for a in listeners if a.has_ended()]
    kept = [a for a in listeners if a not in ended]
    assert len(kept) == 10, len(kept)
    for a in ended[:1]:
        a.close()
    assert "10 have moved to other workers, 10 were closed" in s.log()


def test_connections_that_wait_for_a_request_make_room(mover):
    """As they do for new connections."""
    s = mover(drain="60s", limits={"max_connections": 20})
    slow = [Listener(s, slow=True) for _ in range(10)]
    old = s.workers()[0]
    for _ in range(100):
        assert s.post("/s", b"x" * 200).status == 204
    for _ in range(2):  # the first heir ends
        reload(s)
    settled(s, 2)
    idle = [s.connect() for _ in range(20)]
    for c in idle:
        opened.append(c)
        assert c.send(b"GET /none HTTP/1.1\r\nHost: a\r\n\r\n").response().status == 404
    wait_for(lambda: any(w["connections"] == 20 for w in status(s)["workers"]), LIMIT, "the new one is not full")
    assert is_alive(old)
    for a in slow:
        a.hears(1, 100)
    wait_for(lambda: not is_alive(old), LIMIT, "they have not moved")
    say(s)
    hear_all(slow, 101, 101)


def test_a_stop_ends_them_within_its_time(mover):
    s = mover(workers=2, shutdown_timeout="4s")
    listeners = subscribe(s, 40)
    s.signal(signal.SIGTERM)
    assert len(ends(listeners)) >= 3
    assert s.process.wait(LIMIT) == 0
    assert "time to drain is over" not in s.log()


def test_drained_without_a_limit_they_stay(mover):
    s = mover(workers=1)
    a = Listener(s)
    s.signal(signal.SIGQUIT)
    s.log_has("stopping once all connections have ended")
    assert a.c.is_silent(0.5)
    a.close()
    assert s.process.wait(LIMIT) == 0


# ---- Deaths ----

def test_an_heir_that_dies_takes_only_its_own_with_it(mover):
    """It dies at the twentieth: nineteen are its own. Those that are on their way stay with the old worker, and the next
    heir takes them; nothing is missed."""
    s = mover()
    listeners = subscribe(s, 150)
    say(s, 3)
    s.then("die", 20)
    reload(s)
    wait_for(lambda: metric(s, "cserver_streams_adopted_total") == 19 + 131, LIMIT, "they have not moved")
    settled(s, 1)
    ended = []
    for a in listeners:
        a.hears(1, 3)
    wait_for(lambda: sum(a.has_ended() for a in listeners) == 19, LIMIT, "not nineteen have ended")
    kept = [a for a in listeners if not a.has_ended()]
    assert len(kept) == 131
    say(s, 2)
    hear_all(kept, 4, 5)


def test_what_is_on_its_way_outlives_the_worker_it_comes_from(mover):
    """The heir kills the old worker at the twentieth: those that it has been sent by then live on."""
    s = mover()
    listeners = subscribe(s, 150)
    say(s, 3)
    s.then("kill_old", 20)
    reload(s)
    settled(s, 1)
    for a in listeners:
        a.hears(1, 3)
    wait_for(lambda: any(a.has_ended() for a in listeners), LIMIT, "all have survived")
    alive = wait_for(lambda: counted_once(s, listeners), LIMIT, "the rest has not ended")
    assert 20 <= len(alive) < 150
    say(s, 2)
    hear_all(alive, 4, 5)


def counted_once(s, listeners):
    """Those that live, when the server counts as many."""
    alive = [a for a in listeners if not a.has_ended()]
    return alive if metric(s, "cserver_streams") == len(alive) else None


def test_workers_are_killed_while_streams_move(mover):
    """Whoever is disconnected has had all before that, in order; whoever is not hears all."""
    s = mover(workers=2)
    listeners = subscribe(s, 200)
    p = Publisher(s)
    for i in range(4):
        reload(s)
        with contextlib.suppress(ProcessLookupError, IndexError):
            os.kill(s.workers()[i % 2], signal.SIGKILL)
        wait_for(lambda: len(s.workers()) >= 2, LIMIT, "no new worker")
    settled(s, 2)
    p.done = True
    p.join(LIMIT)
    fresh = Listener(s)
    say(s)
    last = fresh.number()  # what was said to a worker that was killed may have been said or not
    assert last > 4
    for a in listeners:
        numbers = []
        with contextlib.suppress(EOFError, ConnectionResetError):
            while len(numbers) < last:
                numbers.append(a.number())
        assert numbers == list(range(1, len(numbers) + 1))


# ---- Halts ----

def stale(pid):
    """What a process watches without having it."""
    watched = 0
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError), open(f"/proc/{pid}/fdinfo/{fd}", encoding="ascii") as f:
            for m in re.finditer(r"^tfd:\s*(\d+).* ino:([0-9a-f]+)", f.read(), re.M):
                try:
                    watched += os.stat(f"/proc/{pid}/fd/{m[1]}").st_ino != int(m[2], 16)
                except FileNotFoundError:
                    watched += 1
    return watched


def test_streams_end_at_the_heir_before_the_old_worker_has_let_go(mover):
    """Both have the socket then: the heir hears nothing more of what it has closed."""
    s = mover()
    listeners = subscribe(s, 30)
    s.then("stop_old", 20)
    old = s.workers()[0]
    reload(s)
    wait_for(lambda: metric(s, "cserver_streams_adopted_total") == 30, LIMIT, "they have not moved")
    new = next(p for p in s.workers() if p != old)
    close_all(listeners[:25])
    wait_for(lambda: any(w["pid"] == new and w["streams"] == 5 for w in status(s)["workers"]), LIMIT,
             "the heir has not closed them")
    assert stale(new) == 0
    late = subscribe(s, 30)  # in the place of those that have gone
    say(s, 2)
    os.kill(old, signal.SIGCONT)
    hear_all(late, 1, 2)
    hear_all(listeners[25:], 1, 2)
    settled(s, 1)


def test_an_heir_that_drains_itself_sends_them_on(mover):
    """A reload while streams are on their way: nobody is disconnected for it, though the time to drain runs."""
    s = mover(drain="10s")
    listeners = subscribe(s, 400)
    s.then("slow")
    reload(s)
    wait_for(lambda: metric(s, "cserver_streams_adopted_total") > 20, LIMIT, "they do not move")
    s.then("take")
    reload(s)
    settled(s, 1)
    assert metric(s, "cserver_streams_closed_total") == 0
    say(s, 2)
    hear_all(listeners, 1, 2)


def test_an_heir_that_hangs(mover):
    """What has not been sent to it ends one by one, as without an heir; what it has been sent it may take later."""
    s = mover(drain="6s", block_kill="0")
    listeners = subscribe(s, 300)
    s.then("stop", 10)
    old = s.workers()[0]
    reload(s)
    seen = ends(listeners[100:])
    assert len(seen) >= 5, seen
    wait_for(lambda: not is_alive(old), LIMIT, "the old worker does not end")
    os.kill(s.workers()[0], signal.SIGCONT)
    wait_for(lambda: metric(s, "cserver_streams_adopted_total") >= 64, LIMIT, "they have not moved")
    alive = wait_for(lambda: counted_once(s, listeners[:100]), LIMIT, "some are counted that do not live")
    say(s, 2)
    hear_all(alive, 1, 2)


def test_a_stream_that_kills_its_heirs(mover):
    """It is tried twice, and ends where it is then: no quarantine for its sake, and all others move."""
    s = mover(drain="5s")
    s.then("poison")
    reload(s)
    settled(s, 1)
    listeners = subscribe(s, 40)
    s.then("take")
    old = s.workers()[0]
    reload(s)
    wait_for(lambda: not is_alive(old), LIMIT, "the old worker does not end")
    settled(s, 1)
    alive = wait_for(lambda: counted_once(s, listeners), LIMIT, "some are counted that do not live")
    assert len(alive) == 39 and metric(s, "cserver_streams_adopted_total") == 39
    assert s.log().count("was killed by SIGKILL") == 2
    say(s, 2)
    hear_all(alive, 1, 2)
