"""[server] cpu: workers stay on the CPUs of their positions. And how many connections a worker takes."""
import os
import re
import signal

import pytest
from lib.server import wait_for

ALLOWED = sorted(os.sched_getaffinity(0))
HELLO = """
[module:hello]
[route:hello]
match = /hello
handler = hello
"""


def cpus(pid):
    """As /proc shows it: Cpus_allowed_list."""
    with open(f"/proc/{pid}/status") as f:
        text = next(line.split()[1] for line in f if line.startswith("Cpus_allowed_list"))
    found = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


def settle(s, n):
    def found():
        pids = s.workers()
        return pids if len(pids) == n else None

    return wait_for(found)


@pytest.fixture
def two():
    if len(ALLOWED) < 2:
        pytest.skip("needs two CPUs")


def test_off(serve):
    s = serve(HELLO)
    assert all(cpus(p) == ALLOWED for p in s.workers())


def test_auto(serve):
    """One after the other, and again from the first."""
    n = len(ALLOWED) + 1
    s = serve(HELLO, server={"workers": n, "max_workers": n + 8, "cpu": "auto", "log_level": "debug"})
    assert [cpus(p) for p in s.workers()] == [[c] for c in ALLOWED] + [[ALLOWED[0]]]
    assert cpus(s.pid) == ALLOWED, "the master stays free"
    assert f"stays on CPU {ALLOWED[0]}" in s.log()


def test_list(serve, two):
    a, b = ALLOWED[:2]
    s = serve(HELLO, server={"workers": 4, "cpu": f"{b}, {a}, {b}"})
    assert [cpus(p) for p in s.workers()] == [[b], [a], [b], [b]]


def test_range(serve, two):
    a, b = ALLOWED[0], ALLOWED[1]
    if b != a + 1:
        pytest.skip("the first two CPUs do not follow each other")
    s = serve(HELLO, server={"workers": 2, "cpu": f"{a}-{b}"})
    assert [cpus(p) for p in s.workers()] == [[a], [b]]


def test_kept_over_deaths_reloads_and_resizes(serve, two):
    a, b = ALLOWED[:2]
    s = serve(HELLO, server={"workers": 2, "cpu": f"{a}, {b}"})
    for n in range(2):
        killed = s.workers()[n]
        s.signal(signal.SIGKILL, killed)
        wait_for(lambda k=killed: len(s.workers()) == 2 and k not in s.workers(), 10)
        assert [cpus(p) for p in settle(s, 2)] == [[a], [b]]
    s.signal(signal.SIGTTIN)
    assert sorted(cpus(p) for p in settle(s, 3)) == [[a], [a], [b]]
    s.configure(HELLO, cpu=str(b))
    assert s.ctl("reload").returncode == 0
    assert [cpus(p) for p in settle(s, 2)] == [[b], [b]]
    s.configure(HELLO, cpu="off")
    assert s.ctl("reload").returncode == 0
    assert all(cpus(p) == ALLOWED for p in settle(s, 2))


def test_workers_follow_the_mask_of_the_server(serve, two):
    """workers = auto and cpu = auto look at where the server may run, not at the machine."""
    s = serve(HELLO, server={"workers": "auto", "cpu": "auto"}, start=False)
    os.sched_setaffinity(0, {ALLOWED[1]})
    try:
        s.start()
    finally:
        os.sched_setaffinity(0, ALLOWED)
    assert [cpus(p) for p in s.workers()] == [[ALLOWED[1]]]


def column(s, word):
    """Line and column of the word on the line of cpu."""
    for n, line in enumerate(s.read("conf/cserver.ini").splitlines(), 1):
        if line.startswith("cpu") or line.startswith("max_connections"):
            return f"{n}:{line.index(word, line.index('=')) + 1}"
    return None


@pytest.mark.parametrize("value, word, says", [
    ("fast", "fast", '"fast" is no CPU; allowed: off, auto, or numbers and ranges'),
    ("0, x", "x", '"x" is no CPU'),
    ("0, auto", "auto", '"auto" stands alone'),
    ("3-1", "3-1", "the range 3-1 ends before it begins"),
    ("8192", "8192", '"8192" is no CPU'),
    (f"{ALLOWED[0]}, {ALLOWED[-1] + 1}", str(ALLOWED[-1] + 1), f"may not run on CPU {ALLOWED[-1] + 1}, only on "),
    (f"{ALLOWED[0]}-5000", f"{ALLOWED[0]}-5000", "may not run on CPU "),
])
def test_refused(serve, value, word, says):
    s = serve(HELLO, server={"cpu": value}, start=False)
    done = s.run("-c", s.conf, "-t")
    assert done.returncode == 78
    assert f"conf/cserver.ini:{column(s, word)}: error: cpu: " in done.stderr, done.stderr
    assert says in done.stderr
    assert done.stderr.count("error:") == 1


def test_refused_on_reload(serve):
    s = serve(HELLO, server={"cpu": "auto"})
    old = s.workers()
    s.configure(HELLO, cpu=str(ALLOWED[-1] + 1))
    done = s.ctl("reload")
    assert done.returncode == 78 and f"may not run on CPU {ALLOWED[-1] + 1}" in done.stdout + done.stderr
    assert s.workers() == old


# ---- Connections -------------------------------------------------------------------------------

def test_connections_are_said_at_start(serve):
    s = serve(HELLO, server={"workers": 2})
    assert s.log_has("RLIMIT_NOFILE is")  # said when all are ready, and one answers before that
    said = re.findall(r"each worker takes up to (\d+) connections \((.*?); RLIMIT_NOFILE is (\d+)\)", s.log())
    assert len(said) == 1, s.log()
    assert 0 < int(said[0][0]) < int(said[0][2])
    with open(f"/proc/{s.pid}/limits") as f:
        assert re.search(rf"Max open files +{said[0][2]} ", f.read())
    s = serve(HELLO, limits={"max_connections": 17})
    assert s.log_has("each worker takes up to 17 connections ([limits] max_connections;")


def test_more_connections_than_descriptors(serve):
    s = serve(HELLO, server={"workers": 3}, limits={"max_connections": 10000000})
    warned = [line for line in s.log().splitlines() if "max_connections = 10000000 is more than" in line]
    assert len(warned) == 1, "once, not by each worker"
    done = s.run("-c", s.conf, "-t")
    assert done.returncode == 0
    assert re.search(rf"cserver\.ini:{column(s, '10000000')}: warning: max_connections = 10000000 is more than "
                     r"RLIMIT_NOFILE = \d+ has room for: a worker takes \d+", done.stderr), done.stderr
    done = s.run("-c", s.conf, "-g", "limits.max_connections=20", "-t")
    assert done.returncode == 0 and "RLIMIT_NOFILE" not in done.stderr
