"""Access logs: how often they are written, and what becomes of lines that cannot be. What is counted is what is there:
requests = lines + lines dropped."""
import json
import os
import re
import shutil
import signal
import subprocess
import time

import pytest
from lib.clients import Clients
from lib.exposition import Exposition
from lib.server import wait_for

CONF = """
    [module:hello]
    [module:slow]
    [module:metrics]
    [route:h]
    match = /hello
    handler = hello
    [route:s]
    match = /slow
    handler = slow
    [route:metrics]
    match = /metrics
    handler = metrics
    access_log = off
"""
FLUSH_MS, FLUSH_AT = 100, 32 * 1024  # serve/log_queue.h
KEEP = 1024 * 1024
LONG = b"GET /hello HTTP/1.1\r\nHost: x\r\nUser-Agent: " + b"long " * 1000 + b"\r\n\r\n"
NAMES = ("requests", "log_entries", "log_lines", "log_dropped")


def counters(s):
    m = Exposition(s.get("/metrics"))
    return {name: int(m.sum(f"cserver_{name}_total")) for name in NAMES}


def count(s, name="access.log"):
    return s.read(name).count("\n")


def settled(s):
    """All that has been asked is written or dropped."""
    def look():
        c = counters(s)
        return c if c["log_entries"] == c["log_lines"] + c["log_dropped"] else None
    return wait_for(look, what="all lines are written or dropped")


def worker(s):
    return wait_for(s.workers)[0]


# ---- How often ------------------------------------------------------------------------------------

@pytest.mark.parametrize("form", ["combined", "json"])
def test_writes_are_few(serve, form):
    """One each 100 ms at most, but for full buffers."""
    if not shutil.which("strace"):
        pytest.skip("there is no strace: ./configure --install-deps=check")
    s = serve(CONF, server={"workers": 1, "access_format": form})
    with s.connect() as c:  # the thread is there
        c.send(LONG).response()
    wait_for(lambda: count(s) == 1)
    tracer = subprocess.Popen(["strace", "-f", "-q", "-e", "trace=write,writev", "-P", s.access_log, "-o", s.path("trace"),
                               "-p", str(worker(s))], stderr=subprocess.DEVNULL)
    wait_for(lambda: tracer.poll() is not None or is_traced(worker(s)))
    if tracer.poll() is not None:
        pytest.skip("strace can look at no process here")
    start = time.monotonic()
    with Clients(s, "/hello", connections=4, depth=8, limit=2000) as clients:
        pass
    wait_for(lambda: count(s) == 2001)
    took = time.monotonic() - start
    tracer.send_signal(signal.SIGINT)
    tracer.wait()
    assert clients.answered == 2000
    writes = [w for w in s.read("trace").splitlines() if re.search(r"write", w) and "resumed" not in w]
    most = took * 1000 / FLUSH_MS + os.path.getsize(s.access_log) / FLUSH_AT + 2
    assert 0 < len(writes) <= most, f"{len(writes)} writes in {took:.1f} s"


def is_traced(pid):
    """All of its threads."""
    texts = [open(f"/proc/{pid}/task/{t}/status", encoding="ascii").read() for t in os.listdir(f"/proc/{pid}/task")]
    return all("TracerPid:\t0\n" not in text for text in texts)


def test_a_line_is_there_at_once(serve):
    """Who looks at the log of a quiet server need not wait for others: no second line comes here."""
    s = serve(CONF)
    for i in range(3):
        assert s.get(f"/hello?{i}").status == 200
        wait_for(lambda n=i + 1: count(s) == n)


# ---- The ends of processes ------------------------------------------------------------------------

def test_nothing_is_lost_at_the_end(serve):
    s = serve(CONF)
    with Clients(s, "/hello", connections=4, limit=400):
        pass
    assert s.stop() == 0
    assert count(s) == 400


def test_nothing_is_lost_at_reloads(serve):
    s = serve(CONF)
    with Clients(s, "/hello", connections=4) as clients:
        for _ in range(4):
            n = clients.answered
            wait_for(lambda m=n: clients.answered > m + 100)
            assert s.ctl("reload").returncode == 0
    assert s.stop() == 0
    assert clients.broken == 0 and clients.wrong == []
    assert count(s) == clients.answered


def test_killed(serve):
    """What is lost with a worker that is killed is counted, told, and no more than it had gathered."""
    s = serve(CONF, server={"workers": 1})
    first = worker(s)
    with s.connect() as c:
        for _ in range(20):
            c.send(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n" * 10)
            for _ in range(10):
                assert c.response().status == 200
        # An answer has left a moment before its line is made: the worker answers again, then all lines are.
        assert counters(s)["log_entries"] == 200
        os.kill(first, signal.SIGKILL)
    wait_for(lambda: s.workers() and worker(s) != first)
    c = settled(s)
    assert c["log_entries"] == 200
    assert count(s) <= 200 <= count(s) + c["log_dropped"]
    if c["log_dropped"]:
        s.log_has(f"{c['log_dropped']} lines for access logs are lost with it")
    assert s.get("/hello").status == 200
    wait_for(lambda: "GET /hello" in s.read("access.log").splitlines()[-1])
    assert settled(s)["log_entries"] == 201


def test_lines_of_many_workers_stay_whole(serve):
    s = serve(CONF, server={"workers": 4, "access_format": "json"})
    with Clients(s, "/hello?" + "x" * 700, connections=8, depth=4, limit=2000) as clients:
        pass
    assert s.stop() == 0
    rows = [json.loads(line) for line in s.read("access.log").splitlines()]
    assert clients.answered == len(rows) == 2000
    assert len({r["request_id"] for r in rows}) == 2000


# ---- Logs that take nothing -----------------------------------------------------------------------

class Reader:
    """The standard output of a server: a pipe that nobody reads until take() is called."""

    def __init__(self, s):
        self.path, self.data = s.path("out"), b""
        os.mkfifo(self.path)
        self.fd = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
        s.wrap = ["sh", "-c", f'exec "$@" >{self.path}', "sh"]

    def take(self):
        try:
            while more := os.read(self.fd, 1 << 20):
                self.data += more
        except BlockingIOError:
            pass
        return self.data

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.fd)


def ask(s, n):
    """So many requests whose lines are some 5 KiB."""
    with s.connect() as c:
        for _ in range(n):
            assert c.send(LONG).response().status == 200


@pytest.fixture
def hung(serve):
    """A server whose access log takes nothing."""
    s = serve(CONF, server={"workers": 1, "access_log": "stdout", "shutdown_timeout": "1s", "drain_timeout": "1s"},
              start=False)
    with Reader(s) as reader:
        s.start()
        yield s, reader


def test_log_that_hangs(hung):
    """Nobody waits for it; what it does not take is counted; once it goes on, all that was kept is there."""
    s, reader = hung
    ask(s, 300)  # 1.5 MiB: more than pipe and worker keep
    c = counters(s)
    assert c["log_entries"] == 300 and c["log_dropped"] > 0
    assert (300 - c["log_dropped"]) * 5000 >= KEEP * 9 // 10
    s.log_has("access log stdout: lines are dropped: 1024 KiB of them wait already")
    assert s.log().count("lines are dropped") == 1

    def read_all():
        reader.take()
        n = counters(s)
        return n if n["log_lines"] + n["log_dropped"] == n["log_entries"] else None
    after = wait_for(read_all)
    lines = reader.take().decode().splitlines()
    assert len(lines) == after["log_lines"] == 300 - after["log_dropped"]
    assert len(set(map(len, lines))) == 1
    s.log_has(f"access log stdout: {after['log_dropped']} lines lost")
    ask(s, 1)
    wait_for(lambda: reader.take().count(b"\n") == len(lines) + 1)


def test_end_while_the_log_hangs(hung):
    """The end keeps its time; what is lost is told."""
    s, _ = hung
    ask(s, 100)
    assert s.stop() == 0
    found = re.search(r"access log stdout: (\d+) lines lost", s.log())
    assert found and 80 <= int(found[1]) <= 100


def test_end_without_a_deadline_while_the_log_hangs(hung):
    """The log gets one then (LOG_LAST_MS), or the server would never end."""
    s, _ = hung
    ask(s, 100)
    assert s.stop(signal.SIGQUIT) == 0
    found = re.search(r"access log stdout: (\d+) lines lost", s.log())
    assert found and 80 <= int(found[1]) <= 100


def test_end_waits_for_a_log_that_goes_on(hung):
    s, reader = hung
    ask(s, 100)
    s.process.send_signal(signal.SIGTERM)
    s.log_has("stopping")

    def over():
        reader.take()
        return s.process.poll() is not None
    wait_for(over)
    assert s.process.returncode == 0
    assert reader.take().count(b"\n") == 100


def test_reload_while_the_log_hangs(hung):
    """The old worker ends at its deadline, the new one serves."""
    s, reader = hung
    ask(s, 100)
    old = worker(s)
    assert s.ctl("reload").returncode == 0
    wait_for(lambda: old not in s.workers())
    ask(s, 2)

    def settle():
        reader.take()
        n = counters(s)
        return n if n["log_lines"] + n["log_dropped"] == n["log_entries"] else None
    c = wait_for(settle)
    whole = [line for line in reader.take().split(b"\n") if line.startswith(b"127.0.0.1 - - [") and line.endswith(b'"')]
    assert c["log_entries"] == 102 and c["log_dropped"] > 0
    # The one that was being written when the worker ended is there up to where the pipe was full, or is not.
    assert 102 - c["log_dropped"] - 1 <= len(whole) <= 102 - c["log_dropped"] + 1


def test_reopen_while_a_file_is_written_to_elsewhere(serve):
    """Nothing hangs: after reopen the old file has its last size, also while requests go on."""
    s = serve(CONF, server={"workers": 2})
    with Clients(s, "/hello", connections=4, depth=8) as clients:
        sizes = {}
        for i in range(10):
            n = clients.answered
            wait_for(lambda m=n: clients.answered > m + 50)
            os.rename(s.access_log, f"{s.access_log}.{i}")
            assert s.ctl("reopen").returncode == 0
            sizes[i] = os.path.getsize(f"{s.access_log}.{i}")
    assert s.stop() == 0
    assert {i: os.path.getsize(f"{s.access_log}.{i}") for i in sizes} == sizes
    assert sum(count(s, f"access.log.{i}") for i in sizes) + count(s) == clients.answered


# ---- A full disk ----------------------------------------------------------------------------------

@pytest.fixture
def small_disk(folder):
    """A folder with room for 64 KiB."""
    if os.geteuid() != 0:
        pytest.skip("needs root, for a small disk")
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=755", "none", folder],
                          capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=False)


@pytest.mark.parametrize("n, lost", [(100, False), (300, True)])
def test_full_disk(serve, small_disk, n, lost):
    """Up to 1 MiB is kept until there is room. Each line that is counted is there, whole; what the disk has taken of the
    others is a line of its own."""
    path = os.path.join(small_disk, "a.log")
    s = serve(CONF, server={"workers": 1, "access_log": path, "access_format": "json"})
    ask(s, n)
    s.log_has(f"access log {path} cannot be written: No space left on device; up to 1024 KiB of lines are kept")
    subprocess.run(["mount", "-o", "remount,size=8m", small_disk], check=True)
    c = settled(s)
    if lost:
        s.log_has(f"access log {path}: {c['log_dropped']} lines lost: No space left on device")
    assert c["log_entries"] == n and (c["log_dropped"] > 0) == lost
    whole = 0
    with open(path, encoding="utf-8") as f:
        for line in f:
            if line.endswith("}\n"):
                assert json.loads(line)["status"] == 200
                whole += 1
    assert whole == c["log_lines"] == n - c["log_dropped"]
