"""Workers that die or stand still with the accept turn, without it, under each policy: the others go on, the one that
keeps connections waiting is killed in time, and nobody else is.

Who has the turn is read from shared memory (tests/soak/holder.c): asking the server would move it.
"""
import contextlib
import json
import os
import signal
import subprocess
import threading
import time

import pytest
from lib.server import SOURCE, build_module, is_alive, process_table, wait_for

CONF = """
[module:hello]
[module:status]
[route:hello]
match = = /hello
handler = hello
[route:status]
match = = /status.json
handler = status
[accept]
stall_kill = {kill}
policy = {policy}
"""
GRACE = 2  # seconds beyond stall_kill
SLOW_MACHINE = 3  # and some more, since others work here too
BLOCK = """
    #include <cserver/cserver.h>
    #include <time.h>
    static int handler(cs_req *r)
    {
        struct timespec t = {8, 0};
        cs_log(CS_WARN, "the handler blocks");
        nanosleep(&t, 0);
        return cs_text(r, 200, "blocked");
    }
    CS_MODULE(.name = "block", .version = "1.0", .help = "Holds its worker up.", .handler = handler);
"""


def conf(kill="2s", policy="turn", more=""):
    return CONF.format(kill=kill, policy=policy) + more


@pytest.fixture(scope="session")
def holder_program(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("holder") / "holder")
    subprocess.run([*os.environ.get("CC", "cc").split(), "-std=c11", "-D_GNU_SOURCE", "-O2", "-I" + SOURCE + "/src",
                    "-o", path, SOURCE + "/tests/soak/holder.c"], check=True)
    return path


@pytest.fixture
def ask(holder_program):
    """ask(server, "holder", "stay") -> what holder.c answers."""
    def run(server, *words):
        done = subprocess.run([holder_program, str(server.pid)], input=" ".join(map(str, words)) + "\n", text=True,
                              stdout=subprocess.PIPE, timeout=30, check=True)
        return json.loads(done.stdout)
    return run


def totals(s):
    return s.get("/status.json").json["totals"]


def timed(s, path="/hello", address=None):
    """Seconds until the answer."""
    began = time.monotonic()
    answer = s.exchange(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode(), address=address)
    assert answer.status == 200
    return time.monotonic() - began


def stalls(s):
    """The log's lines of stalls by what they say: begun, killing, over."""
    lines = [line for line in s.log().splitlines() if "stall at" in line]
    return ([line for line in lines if "connections wait" in line], [line for line in lines if "killing it" in line],
            [line for line in lines if "over after" in line])


def looks(n=3):
    """Time for so many rounds of the master."""
    time.sleep(n + 0.3)


def stop(s, *pids):
    for p in pids:
        s.signal(signal.SIGSTOP, p)
        wait_for(lambda p=p: process_table()[p][1] == "T", 10)


def go_on(s, *pids):
    for p in pids:
        with contextlib.suppress(ProcessLookupError):
            s.signal(signal.SIGCONT, p)


# ---- Killed --------------------------------------------------------------------------------------

def test_killed_holders_are_taken_over(serve, ask):
    s = serve(conf(), server={"workers": 3})
    for n in range(1, 11):
        dead = ask(s, "holder")
        assert dead["held"] == "sure"
        assert timed(s) < 1
        wait_for(lambda d=dead: len(s.workers()) == 3 and d["pid"] not in s.workers(), 10)
        assert totals(s)["turn_recovered"] == n
    t = totals(s)
    assert (t["worker_crashes"], t["stalls"], t["stall_kills"]) == (10, 0, 0)


def test_holder_and_all_others_killed_at_once(serve, ask):
    s = serve(conf(), server={"workers": 3})
    old = s.workers()
    dead = ask(s, "kill", *old)
    assert len(dead) == 3
    assert timed(s) < 2
    held = [d["held"] for d in dead]
    assert held.count("sure") <= 1 and "mid" not in held
    assert totals(s)["turn_recovered"] == held.count("sure")
    assert not set(old) & set(s.workers())


# ---- Stopped -------------------------------------------------------------------------------------

def test_stopped_holder(serve, ask):
    s = serve(conf(), server={"workers": 3})
    stopped = ask(s, "holder", "stay")["pid"]
    number = s.workers().index(stopped) + 1
    assert 1 < timed(s) < 2 + GRACE + SLOW_MACHINE
    wait_for(lambda: not is_alive(stopped), 10)
    s.log_has("over after", 10)
    begun, killed, over = stalls(s)
    assert len(begun) == len(killed) == len(over) == 1
    for word in (f"127.0.0.1:{s.port}", f"worker {number} (pid {stopped})", "accept turn", "stopped (T)", "2000 ms"):
        assert word in begun[0] and (word in killed[0] or word == "accept turn"), word
    t = totals(s)
    assert (t["stalls"], t["stall_kills"], t["turn_recovered"]) == (1, 1, 1)
    wait_for(lambda: len(s.workers()) == 3, 10)


def test_stopped_holder_is_left_alone_while_nobody_waits(serve, ask):
    s = serve(conf("1s"))
    stopped = ask(s, "holder", "stay")["pid"]
    looks(4)
    assert is_alive(stopped) and stalls(s) == ([], [], [])
    go_on(s, stopped)
    assert timed(s) < 1
    t = totals(s)
    assert (t["stalls"], t["stall_kills"], t["turn_recovered"]) == (0, 0, 0)


def test_holder_that_goes_on_in_time(serve, ask):
    s = serve(conf("30s"))
    stopped = ask(s, "holder", "stay")["pid"]
    waiting = []
    client = threading.Thread(target=lambda: waiting.append(timed(s)))
    client.start()
    s.log_has("connections wait", 15)
    assert not waiting
    go_on(s, stopped)
    client.join(30)
    assert waiting
    s.log_has("over after", 10)
    t = totals(s)
    assert (t["stalls"], t["stall_kills"], t["worker_crashes"]) == (1, 0, 0)
    assert is_alive(stopped)


def test_never_killed(serve, ask):
    s = serve(conf("0"))
    stopped = ask(s, "holder", "stay")["pid"]
    client = threading.Thread(target=lambda: timed(s))
    client.start()
    s.log_has("connections wait", 15)
    looks(6)
    begun, killed, over = stalls(s)
    assert len(begun) == 1 and "it is left alone" in begun[0], begun
    assert not killed and not over and is_alive(stopped)
    go_on(s, stopped)
    client.join(30)
    s.log_has("over after", 10)
    assert totals(s)["stall_kills"] == 0


def test_all_stopped(serve, ask):
    """Only the holder keeps connections waiting; the others stay stopped and alive."""
    s = serve(conf(), server={"workers": 4})
    holder = ask(s, "holder", "stay")["pid"]
    others = [p for p in s.workers() if p != holder]
    stop(s, *others)
    assert timed(s) < 2 + GRACE + SLOW_MACHINE
    assert not is_alive(holder) and all(is_alive(p) for p in others)
    for _ in range(5):
        assert timed(s) < 4
    go_on(s, *others)
    for p in others:
        wait_for(lambda p=p: process_table()[p][1] in "SR", 10)
    assert timed(s) < 2
    t = totals(s)
    assert (t["stall_kills"], t["worker_crashes"]) == (1, 1)


def test_stopped_others_do_not_hold_up(serve, ask):
    s = serve(conf("1s"), server={"workers": 4})
    pids = s.workers()
    first = ask(s, "other", *pids)["pid"]
    second = ask(s, "other", *[p for p in pids if p != first])["pid"]
    waits = [timed(s) for _ in range(20)]
    for p in (first, second):
        wait_for(lambda p=p: f"(pid {p}) does not wake up" in s.log(), 10)
    before = totals(s)["turn_kicks_sent"]
    quick = [timed(s) for _ in range(40)]
    assert max(quick) < 0.9, quick
    assert sum(w > 0.9 for w in waits) <= 3, waits
    looks(2)
    assert is_alive(first) and is_alive(second)
    assert s.log().count("does not wake up") == 2
    t = totals(s)
    assert (t["stall_kills"], t["worker_crashes"]) == (0, 0)
    assert t["turn_kicks_sent"] > before
    go_on(s, first, second)
    wait_for(lambda: s.log().count("is awake again") == 2, 10)


def test_worker_stopped_with_the_turn_while_it_is_to_drain(serve, ask):
    """The turn belongs to a worker of old settings; a reload comes in between."""
    s = serve(conf(), server={"drain_timeout": "60s"})
    stopped = ask(s, "holder", "stay")["pid"]
    done = s.ctl("reload", timeout=40)
    assert done.returncode == 0, done.stderr
    assert timed(s) < 2 + GRACE + SLOW_MACHINE
    wait_for(lambda: not is_alive(stopped), 10)
    assert totals(s)["stall_kills"] == 1


# ---- Other listeners and policies ----------------------------------------------------------------

def test_unix_listener(serve, ask):
    s = serve(conf(more="\n[listen:main]\naddress = 127.0.0.1:@PORT@\n[listen:here]\naddress = unix:@DIR@/s\n"))
    timed(s)  # what asked the other listener whether the server is up is accepted, none of it waits there
    stopped = ask(s, "holder", "stay")["pid"]
    assert timed(s, address=s.path("s")) < 2 + GRACE + SLOW_MACHINE
    s.log_has("over after", 10)
    begun, killed, over = stalls(s)
    assert len(begun) == len(killed) == len(over) == 1
    assert f"stall at unix:{s.path('s')}" in begun[0]
    assert not is_alive(stopped)


def test_exclusive(serve):
    """Whoever is woken and does not come: the others look anew, nobody is killed."""
    s = serve(conf("1s", "exclusive"), server={"workers": 3})
    stopped = s.workers()[:2]
    stop(s, *stopped)
    waits = [timed(s) for _ in range(10)]
    assert max(waits) < 6, waits
    assert sum(w > 0.9 for w in waits) <= 3, waits
    assert all(is_alive(p) for p in stopped)
    t = totals(s)
    assert (t["stall_kills"], t["worker_crashes"]) == (0, 0)
    go_on(s, *stopped)


def test_exclusive_beside_a_busy_listener(serve):
    """What is accepted elsewhere does not hide that somebody waits here."""
    s = serve(conf("1s", more="\n[listen:main]\naddress = 127.0.0.1:@PORT@\n[listen:here]\naddress = unix:@DIR@/s\n"
                   "policy = exclusive\n"), server={"workers": 3})
    stopped = [p for p in s.workers() if p != s.workers()[0]]
    stop(s, *stopped)
    wait_for(lambda: timed(s) < 0.9, 30)  # until the turn goes round without them
    over = threading.Event()

    def others():
        while not over.is_set():
            timed(s)
    client = threading.Thread(target=others)
    client.start()
    try:
        waits = [timed(s, address=s.path("s")) for _ in range(8)]
    finally:
        over.set()
        client.join(60)
    assert max(waits) < 10, waits
    go_on(s, *stopped)


def get_all(s, n):
    """n connections at once; how long each waited."""
    waits, threads = [], []
    for _ in range(n):
        t = threading.Thread(target=lambda: waits.append(timed(s)))
        t.start()
        threads.append(t)
    for t in threads:
        t.join(60)
    assert len(waits) == n
    return waits


def test_reuseport_stopped(serve):
    """Only who has a queue and stands still is killed; no connection is lost with him."""
    s = serve(conf("2s", "reuseport"), server={"workers": 2})
    stopped, other = s.workers()
    stop(s, stopped)
    waits = get_all(s, 24)  # the kernel spreads them: none for one of two is as likely as 1 in 8 million
    assert max(waits) < 2 + GRACE + SLOW_MACHINE and min(waits) < 2
    assert not is_alive(stopped) and is_alive(other)
    begun, killed, _ = stalls(s)
    assert len(begun) == len(killed) == 1
    assert f"(pid {stopped}) has the socket they are in" in begun[0] and "stopped (T)" in begun[0]
    t = totals(s)
    assert (t["stalls"], t["stall_kills"], t["worker_crashes"]) == (1, 1, 1)


@pytest.mark.parametrize("policy", ["turn", "exclusive", "reuseport"])
def test_long_handlers_are_no_reason(serve, tmp_path, policy):
    """The only worker blocks for 8 s: connections wait, and it is not killed for it."""
    so = build_module(str(tmp_path), "block", BLOCK)
    s = serve(conf("1s", policy, f"\n[module:block]\nfile = {so}\n[route:block]\nmatch = /block\nhandler = block\n"),
              server={"workers": 1}, limits={"handler_timeout": "60s"})
    worker = s.workers()
    client = threading.Thread(target=lambda: timed(s, "/block"))
    client.start()
    assert s.log_has("the handler blocks")  # what comes before that may be accepted with it
    assert timed(s) > 3
    client.join(30)
    assert s.workers() == worker
    t = totals(s)
    assert (t["stall_kills"], t["worker_crashes"], t["turn_recovered"]) == (0, 0, 0)
    assert t["stalls"] >= 1


def test_slow_requests_are_no_reason(serve):
    s = serve(conf("1s", more="\n[module:slow]\n[route:slow]\nmatch = /slow\nhandler = slow\n"),
              server={"workers": 1}, limits={"handler_timeout": "60s"})
    worker = s.workers()
    waits = []
    client = threading.Thread(target=lambda: waits.append(timed(s, "/slow?ms=20000")))
    client.start()
    while not waits:
        assert timed(s) < 2
        client.join(0.2)
    assert waits[0] >= 20 and s.workers() == worker
    t = totals(s)
    assert (t["stalls"], t["stall_kills"]) == (0, 0)


# ---- Frozen --------------------------------------------------------------------------------------

@contextlib.contextmanager
def control_group():
    """A control group of our own (version 2), or the test is skipped."""
    for root in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified"):
        with open("/proc/mounts") as f:
            if f" {root} cgroup2 " not in f.read():
                continue
        path = f"{root}/cs-test-{os.getpid()}"
        try:
            os.mkdir(path)
        except OSError as e:
            pytest.skip(f"no control group can be made in {root}: {e.strerror}")
        try:
            if not os.path.exists(f"{path}/cgroup.freeze"):
                pytest.skip("this kernel's control groups cannot freeze")
            yield path
        finally:
            with contextlib.suppress(OSError), open(f"{path}/cgroup.freeze", "w") as f:
                f.write("0")
            wait_for(lambda: gone(path), 10, f"{path} stays")
        return
    pytest.skip("there are no control groups of version 2 here")


def gone(path):
    with contextlib.suppress(OSError):
        os.rmdir(path)
    return not os.path.exists(path)


def test_frozen_holder(serve, ask):
    with control_group() as group:
        s = serve(conf(), server={"workers": 2})
        pid = ask(s, "holder", "stay")["pid"]
        try:
            with open(f"{group}/cgroup.procs", "w") as f:
                f.write(str(pid))
        except OSError as e:
            go_on(s, pid)
            pytest.skip(f"a process cannot be moved into a control group: {e.strerror}")
        with open(f"{group}/cgroup.freeze", "w") as f:
            f.write("1")
        s.signal(signal.SIGCONT, pid)
        wait_for(lambda: process_table()[pid][1] != "T", 10)
        assert timed(s) < 2 + GRACE + SLOW_MACHINE
        assert not is_alive(pid)
        begun, killed, _ = stalls(s)
        assert len(begun) == len(killed) == 1 and "frozen by its control group" in begun[0], begun
        assert s.stop() == 0


# ---- No stall ------------------------------------------------------------------------------------

def test_a_pause_is_no_stall(serve):
    """WINCH: the master keeps the listeners, and who comes waits until there are workers again."""
    s = serve(conf("1s"))
    s.signal(signal.SIGWINCH)
    wait_for(lambda: not s.workers(), 10)
    client = threading.Thread(target=lambda: timed(s))
    client.start()
    looks(3)
    assert stalls(s) == ([], [], [])
    s.signal(signal.SIGHUP)
    client.join(30)
    assert totals(s)["stalls"] == 0


def test_idle_master_is_quiet(serve):
    s = serve(conf("1s"), server={"log_level": "debug"})
    assert timed(s) < 1

    def said():
        return [line for line in s.log().splitlines() if " master[" in line]

    before = said()
    looks(4)
    assert said() == before


def test_master_killed(serve):
    """Its workers finish what they have, let the address go and end."""
    s = serve(conf(more="\n[module:slow]\n[route:slow]\nmatch = /slow\nhandler = slow\n"), server={"workers": 3})
    workers = s.workers()
    with s.connect() as c:
        c.send(b"GET /slow?ms=3000 HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_for(lambda: totals(s)["connections"] == 2, 10)
        s.signal(signal.SIGKILL)
        s.wait()
        wait_for(lambda: not s.accepts(), 10)
        answer = c.response()
        assert answer.status == 200 and answer["connection"] == "close"
    for p in workers:
        wait_for(lambda p=p: not is_alive(p), 10)
    s.start()
    assert timed(s) < 1
