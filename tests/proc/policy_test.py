"""[accept] policy: who accepts, the sockets behind it, and changes from one to another under load.

What counts here are connections: how many were refused, reset or left without an answer.
"""
import contextlib
import os
import re
import select
import signal
import socket
import subprocess
import threading

import pytest
from lib.server import PROGRAM, free_port, is_alive, wait_for

HELLO = """
[module:hello]
[route:hello]
match = /hello
handler = hello
"""
REQUEST = b"GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
POLICIES = ["turn", "exclusive", "reuseport"]
MAX_WORKERS = 8


def policy(word, more=""):
    """Nobody is killed for being slow, or for being stopped by a test."""
    return HELLO + f"[accept]\npolicy = {word}\nstall_kill = 0\n" + more


def start(serve, conf, workers=2, **options):
    return serve(conf, server={"workers": workers, "max_workers": MAX_WORKERS, "drain_timeout": "5s"}, **options)


def listening(port):
    """Number of sockets that listen on that port of 127.0.0.1. The kernel skips rows, or shows them twice, where others
    open and close listeners meanwhile: so until two looks agree."""
    before, now = -1, look_at_listeners(port)
    while now != before:
        before, now = now, look_at_listeners(port)
    return now


def look_at_listeners(port):
    """Those that listen come first, and after them thousands of connections that were."""
    found = 0
    with open("/proc/net/tcp", encoding="ascii") as f:
        next(f)
        for row in map(str.split, f):
            if row[3] != "0A":
                break
            found += row[1] == f"0100007F:{port:04X}"
    return found


def sockets_of(pid):
    links = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):
            links.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
    return sum(1 for link in links if link.startswith("socket:"))


def visit(address):
    """One short connection: connect, ask, read to the end, close. What went wrong, or None."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    try:
        with socket.socket(family) as c:
            c.settimeout(20)
            c.connect(address)
            c.sendall(REQUEST)
            data = b""
            while chunk := c.recv(65536):
                data += chunk
    except OSError as e:
        return type(e).__name__
    return None if data.startswith(b"HTTP/1.1 200 ") and b"Hello" in data else repr(data[:80])


class Visitors:
    """Short connections all the time, from several threads. `failed`: what went wrong, `done`: how many there were."""

    def __init__(self, s, number=4):
        self.address = ("127.0.0.1", s.port)
        self.number = number
        self.failed, self.done, self.over = [], [0] * number, False
        self.threads = [threading.Thread(target=self.run, args=(i,)) for i in range(number)]

    def run(self, i):
        while not self.over:
            wrong = visit(self.address)
            self.done[i] += 1
            if wrong:
                self.failed.append(wrong)

    def more(self, n=100):
        """Waits until so many more have been there."""
        until = sum(self.done) + n
        wait_for(lambda: sum(self.done) >= until, 30, "no visitor gets through any more")

    def __enter__(self):
        for t in self.threads:
            t.start()
        self.more()
        return self

    def __exit__(self, *_):
        self.over = True
        for t in self.threads:
            t.join()


def requests_of(s, status):
    """Of the live workers, by number."""
    return {w["number"]: w["requests"] for w in status(s)["workers"]}


def reload(s, conf, **server):
    s.configure(conf, **server)
    done = s.ctl("reload")
    assert done.returncode == 0, done.stdout + done.stderr


# ---- Each policy serves ------------------------------------------------------------------------

@pytest.mark.parametrize("workers", [1, 2, 4])
@pytest.mark.parametrize("word", POLICIES)
def test_serves(serve, status, word, workers):
    s = start(serve, policy(word), workers)
    assert [visit(("127.0.0.1", s.port)) for _ in range(200)] == [None] * 200
    wait_for(lambda: sum(requests_of(s, status).values()) >= 200, 5)
    served = requests_of(s, status)
    assert len(served) == workers
    if word != "exclusive":  # there the kernel wakes whom it likes
        assert all(served.values()), served
    assert listening(s.port) == (workers if word == "reuseport" else 1)


def test_port_zero(serve, status):
    s = start(serve, policy("reuseport", "[listen:main]\naddress = 127.0.0.1:0\n"), 3)
    host, port = status(s)["listeners"][0].split(":")
    assert [visit((host, int(port))) for _ in range(60)] == [None] * 60
    assert listening(int(port)) == 3


def test_listeners_of_different_policies(serve, status):
    ports = [free_port(), free_port()]
    s = start(serve, policy("exclusive", f"""
        [listen:main]
        address = 127.0.0.1:@PORT@
        [listen:turn]
        address = 127.0.0.1:{ports[0]}
        policy = turn
        [listen:spread]
        address = 127.0.0.1:{ports[1]}
        policy = reuseport
        """.replace("        ", "")), 3)
    for _ in range(40):
        for port in (s.port, *ports):
            assert visit(("127.0.0.1", port)) is None
    assert [listening(p) for p in (s.port, *ports)] == [1, 1, 3]


# ---- Unix sockets ------------------------------------------------------------------------------

BOTH = "[listen:main]\naddress = 127.0.0.1:@PORT@, unix:@DIR@/u.sock\n"


def test_unix_socket_takes_turns_under_reuseport(serve):
    s = start(serve, policy("reuseport", BOTH), 3)
    for _ in range(40):
        assert visit(("127.0.0.1", s.port)) is None
        assert visit(s.path("u.sock")) is None
    assert listening(s.port) == 3


def test_unix_socket_cannot_have_reuseport(serve):
    s = start(serve, policy("turn", BOTH + "policy = reuseport\n"), start=False)
    done = s.run("-c", s.conf, "-t")
    assert done.returncode == 78
    line = 1 + s.read("conf/cserver.ini").split("\n").index("policy = reuseport")
    assert f"cserver.ini:{line}:10: error: policy: reuseport is for TCP" in done.stderr, done.stderr
    assert "u.sock is a unix socket" in done.stderr and "write turn or exclusive" in done.stderr


# ---- Changes under load ------------------------------------------------------------------------

@pytest.mark.limit(170)
def test_twenty_reloads_around_all_policies(serve, status):
    s = start(serve, policy("turn"))
    before = 1
    with Visitors(s) as load:
        for i in range(20):
            word, workers = POLICIES[(i + 1) % 3], [4, 1, 3, 2][i % 4]
            reload(s, policy(word), workers=workers)
            now = listening(s.port)
            assert now == (max(before, workers) if word == "reuseport" else before), f"reload {i}"
            before = now
            load.more(50)
    assert load.failed == [], f"of {sum(load.done)}"
    assert status(s)["reloads"] == 20


def test_more_and_fewer_workers(serve, status):
    s = start(serve, policy("reuseport"))
    most = 2
    with Visitors(s) as load:
        for step in (1, 1, 1, -1, -1, 1, -1, -1, -1, 1, 1):
            wanted = status(s)["wanted"] + step
            s.signal(signal.SIGTTIN if step > 0 else signal.SIGTTOU)
            wait_for(lambda n=wanted: status(s)["ready"] == n and len(s.workers()) == n, 20)
            most = max(most, wanted)
            assert listening(s.port) == most
            load.more(50)
    assert load.failed == [], f"of {sum(load.done)}"
    served = requests_of(s, status)
    assert [visit(("127.0.0.1", s.port)) for _ in range(200)] == [None] * 200
    later = wait_for(lambda: all(n > served[w] for w, n in requests_of(s, status).items()), 5)
    assert later, "somebody gets no connections"


# ---- What waits in a queue ---------------------------------------------------------------------

class Queued:
    """Connections that have asked, and wait for who stands still."""

    def __init__(self, s, n=40):
        self.all = [s.connect() for _ in range(n)]
        for c in self.all:
            c.send(REQUEST)

    def waiting(self):
        return [c for c in self.all if c.is_silent(0)]

    def answers(self):
        statuses = [c.response().status for c in self.all]
        for c in self.all:
            c.close()
        return statuses


def hold(s, status, worker):
    """Stops the worker, and fills its queue: all that the others get is answered."""
    s.signal(signal.SIGSTOP, worker)
    wait_for(lambda: stopped(worker), 10)
    q = Queued(s)
    others = wait_for(lambda: len(q.waiting()) < len(q.all) and settled(q), 10)
    assert others and q.waiting(), "nothing waits: no connection went to the worker that stands still"
    return q


def stopped(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        return f.read().rsplit(")", 1)[1].split()[0] == "T"


def settled(q):
    """Nobody is being answered any more."""
    before = len(q.waiting())
    select.select([], [], [], 0.2)
    return len(q.waiting()) == before


def test_queue_of_a_killed_worker(serve, status):
    """It had accepted none of them: another takes them all."""
    s = start(serve, policy("reuseport"))
    for _ in range(3):
        worker = s.workers()[0]
        q = hold(s, status, worker)
        s.signal(signal.SIGKILL, worker)
        assert q.answers() == [200] * len(q.all)
        wait_for(lambda w=worker: len(s.workers()) == 2 and w not in s.workers(), 20)
    assert listening(s.port) == 2


@pytest.mark.parametrize("word", POLICIES)
def test_queue_of_the_old_settings(serve, status, word):
    """The old worker never moves again; who comes after it takes what waits."""
    s = start(serve, policy("reuseport"))
    worker = s.workers()[0]
    q = hold(s, status, worker)
    reload(s, policy(word), workers=1)
    assert q.answers() == [200] * len(q.all)
    assert is_alive(worker) and stopped(worker)
    s.signal(signal.SIGCONT, worker)


def test_queue_of_one_who_is_sent_away(serve, status):
    s = start(serve, policy("reuseport"), 3)
    worker = s.workers()[2]
    q = hold(s, status, worker)
    s.signal(signal.SIGTTOU)
    assert q.answers() == [200] * len(q.all)
    s.signal(signal.SIGCONT, worker)


def test_worker_comes_while_another_still_leaves(serve, status):
    """The one that comes takes the socket of the one that leaves, however long that takes. After a reload its slot comes
    before theirs."""
    s = start(serve, policy("reuseport"))
    reload(s, policy("reuseport"))
    old = wait_for(lambda: len(s.workers()) == 2 and s.workers(), 20)
    s.signal(signal.SIGSTOP, old[1])
    wait_for(lambda: stopped(old[1]), 10)
    s.signal(signal.SIGTTOU)
    wait_for(lambda: status(s)["wanted"] == 1, 20)
    s.signal(signal.SIGTTIN)
    wait_for(lambda: len(s.workers()) == 3, 20)
    new = wait_for(lambda: next((w["number"] for w in status(s)["workers"]
                                 if w["pid"] not in old and w["state"] == "ready"), None), 20)
    assert [visit(("127.0.0.1", s.port)) for _ in range(100)] == [None] * 100
    wait_for(lambda: requests_of(s, status)[new] > 0, 5, "the new worker gets no connections")
    s.signal(signal.SIGCONT, old[1])


@pytest.mark.parametrize("word", POLICIES)
def test_kills_under_load(serve, word):
    """A kill costs the connections that this worker had accepted: of each visitor one at most."""
    s = start(serve, policy(word), 3)
    kills = 10
    with Visitors(s) as load:
        for i in range(kills):
            victim = wait_for(lambda: w if len(w := s.workers()) == 3 else None, 20)[i % 3]
            s.signal(signal.SIGKILL, victim)
            wait_for(lambda v=victim: len(s.workers()) == 3 and v not in s.workers(), 20)
            load.more(30)
    assert "ConnectionRefusedError" not in load.failed and "TimeoutError" not in load.failed, load.failed
    assert len(load.failed) <= kills * load.number, load.failed
    assert [visit(("127.0.0.1", s.port)) for _ in range(50)] == [None] * 50


# ---- What does not go live ---------------------------------------------------------------------

def test_rolled_back(serve, status, bad_start):
    s = start(serve, policy("turn"))
    with Visitors(s) as load:
        before = sockets_of(s.pid)
        for _ in range(3):
            s.configure(policy("reuseport") + bad_start("fail"))
            assert s.ctl("reload").returncode == 70
            wait_for(lambda: status(s)["draining"] == 0, 20)
            assert listening(s.port) == 1
            wait_for(lambda: sockets_of(s.pid) <= before, 10, "bound sockets are left over")
        load.more()
        reload(s, policy("reuseport"))
        wait_for(lambda: listening(s.port) == 2, 20)
        s.configure(policy("turn") + bad_start("fail"))
        assert s.ctl("reload").returncode == 70
        load.more()
    assert load.failed == [], f"of {sum(load.done)}"


def test_worker_comes_while_the_next_settings_start(serve, status, bad_start):
    """Its socket listens when that is over: the new ones would not know of it."""
    s = start(serve, policy("reuseport"))
    with Visitors(s) as load:
        s.configure(policy("turn") + bad_start("hang"))
        s.signal(signal.SIGHUP)
        wait_for(lambda: len(s.workers()) == 3, 20)  # the first of the new ones, which hangs
        s.signal(signal.SIGTTIN)
        wait_for(lambda: status(s)["ready"] == 3, 20)
        assert listening(s.port) == 2
        for w in status(s)["workers"]:
            if w["generation"] == 2 and w["pid"]:
                s.signal(signal.SIGKILL, w["pid"])
                break
        wait_for(lambda: listening(s.port) == 3, 20)
        load.more()
    assert load.failed == [], f"of {sum(load.done)}"


def test_foreign_server_is_found(serve):
    """Also when both would share: the first socket of an address never does while it is being opened."""
    s = start(serve, policy("reuseport"))
    other = start(serve, policy("reuseport", f"[listen:main]\naddress = 127.0.0.1:{s.port}\n"), start=False)
    for args in (["-t"], []):
        done = other.run("-c", other.conf, *args)
        assert done.returncode == 78, done.stderr
        assert re.search(r"cserver\.ini:\d+:\d+: error: address 127\.0\.0\.1:\d+ is in use by another process", done.stderr)
    assert visit(("127.0.0.1", s.port)) is None
    assert listening(s.port) == 2


# ---- Sockets that somebody else has opened -----------------------------------------------------

def test_inherited_socket(serve, status):
    """As systemd hands it over; the first of its queues is that one."""
    s = start(serve, policy("reuseport"), start=False)
    with socket.socket() as given:
        given.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        given.bind(("127.0.0.1", s.port))
        given.listen(64)
        early = s.connect().send(REQUEST)
        hand_over(s, given)
        assert early.response().status == 200
        early.close()
        assert listening(s.port) == 2
        with Visitors(s) as load:
            reload(s, policy("reuseport"), workers=4)
            load.more()
            assert listening(s.port) == 4
        assert load.failed == []


def hand_over(s, given):
    """Starts the server with that socket as descriptor 3, like systemd."""
    code = f"""
import os
os.dup2({given.fileno()}, 3)
os.environ["LISTEN_PID"] = str(os.getpid())
os.environ["LISTEN_FDS"] = "1"
os.execv({PROGRAM!r}, [{PROGRAM!r}, "-c", {s.conf!r}])
"""
    with open(s.path("stderr.txt"), "ab") as out:
        s.process = subprocess.Popen(["/usr/bin/python3", "-c", code], cwd=s.folder, env=s.env, pass_fds=[given.fileno()],
                                     stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
    s.wait_ready()
