"""What modules have done apart from the loop, jobs on threads and descriptors of their own: tests/lib/modules/busy.c."""
import http.client
import re
import shutil
import signal
import tempfile

import pytest
from lib.crash import QUIET
from lib.server import SOURCE, Server, build_module, wait_for

CONF = """
    [module:hello]
    [module:busy]
    file = {0}/busy.so
    [route:busy]
    match = /busy
    handler = busy
    [route:hello]
    match = /hello
    handler = hello
"""


@pytest.fixture(scope="module")
def modules():
    folder = tempfile.mkdtemp(prefix="cs-")
    with open(f"{SOURCE}/tests/lib/modules/busy.c", encoding="utf-8") as f:
        build_module(folder, "busy", f.read())
    yield folder
    shutil.rmtree(folder)


class Busy:
    """One worker with the module, so that all cases meet the same process."""

    def __init__(self, server):
        self.server = server

    def ask(self, case):
        return self.server.get(f"/busy?{case}").text.strip()

    def facts(self):
        text = self.ask("facts")
        return {**{name: int(value) for name, value in re.findall(r"(\w+) (-?\d+)", text)},
                "order": re.search(r"\((.*)\)", text)[1]}

    def until(self, **wanted):
        """Waits until the facts are these; returns them all."""
        def match():
            facts = self.facts()
            return facts if all(facts[k] == v for k, v in wanted.items()) else None
        return wait_for(match, what=f"the facts never were {wanted}")

    def begin(self, case):
        """Sends the request; the connection."""
        return self.server.connect().send(b"GET /busy?" + case.encode() + b" HTTP/1.1\r\nHost: a\r\n\r\n")

    def vanish(self, connection):
        connection.reset()


@pytest.fixture
def busy(modules, serve):
    def start(limits=None, **keys):
        return Busy(serve(CONF.format(modules), server={"workers": 1, **keys}, limits=limits))
    return start


@pytest.fixture(scope="module")
def shared(modules):
    server = Server(CONF.format(modules), server={"workers": 1})
    server.start()
    yield Busy(server)
    faults = server.end()
    assert not faults, "\n".join(faults)


@pytest.fixture
def one(shared):
    shared.ask("forget")
    return shared


# ---- Work of requests --------------------------------------------------------------------------

@pytest.mark.parametrize("case,text", [
    ("once", "sum 500500"),
    ("chain", "101 times"),
    ("many", "three"),
    ("pieces", "piece 1\npiece 2\npiece 3\npiece 4\npiece 5"),
])
def test_an_answer_of_a_thread(one, case, text):
    r = one.server.get(f"/busy?{case}")
    assert (r.status, r.text.strip()) == (200, text)


def test_an_answer_that_fails(one):
    assert one.server.get("/busy?failing").status == 502
    assert "the work has failed module=busy" in one.server.log()


def test_the_connection_goes_on(one):
    with one.begin("once") as c:
        for _ in range(20):
            assert c.response().text == "sum 500500\n"
            c.send(b"GET /busy?once HTTP/1.1\r\nHost: a\r\n\r\n")
        c.response()


def test_pipelined_requests_keep_their_order(one):
    with one.begin("slow") as c:
        c.send(b"GET /busy?once HTTP/1.1\r\nHost: a\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
        one.until(running=1)
        assert c.is_silent(0.1)
        one.ask("open")
        assert [c.response().text[:3] for _ in range(3)] == ["thr", "sum", "Hel"]


def test_a_line_of_a_thread(one):
    assert one.ask("say") == "said"
    assert re.search(r"^\S+Z warn worker 1\[\d+\]: a line from a thread module=busy$", one.server.log(), re.M)


def test_others_are_served_meanwhile(one):
    waiting = [one.begin("slow") for _ in range(10)]
    one.until(running=4, begun=4)
    for _ in range(50):
        assert one.server.get("/hello").status == 200
    for _ in waiting:
        one.ask("open")
    for c in waiting:
        with c:
            assert c.response().text == "through the gate\n"
    assert one.until(closed=10)["done"] == 10


def test_a_full_queue(busy):
    b = busy(threads=1)
    taken, result = b.ask("flood").split(" then ")
    assert int(taken) in (1024, 1025)  # that the thread has begun with one makes room for another
    assert result == "-1"
    assert b.facts()["begun"] <= 1  # they have gone with their request
    b.ask("open")
    b.ask("open")
    assert b.ask("once") == "sum 500500"
    assert b.facts()["late"] == 0


@pytest.mark.parametrize("case", ["fault", "deep"])
def test_a_thread_that_crashes(modules, serve, case):
    """Also one that has used up its stack."""
    s = serve(CONF.format(modules), server={"workers": 1}, env=QUIET)
    with pytest.raises((OSError, http.client.HTTPException)):
        s.get(f"/busy?{case}")
    where = r'SIGSEGV in module "busy" 1, hook work on a thread'
    assert s.log_has("was killed by")
    assert re.search(rf"error worker 1\[\d+\]: {where}", s.log())
    assert re.search(rf"error master\[\d+\]: worker 1 .* was killed by {where}", s.log())
    wait_for(lambda: s.get("/busy?once").text == "sum 500500\n")


# ---- Requests that end -------------------------------------------------------------------------

def test_the_client_goes_while_work_runs(busy):
    b = busy()
    c = b.begin("slow")
    b.until(running=1, alive=1)
    b.vanish(c)
    f = b.until(running=1, alive=0)
    assert (f["closed"], f["done"]) == (0, 0)
    wait_for(lambda: '"GET /busy?slow HTTP/1.1" 499' in b.server.read("access.log"))
    assert b.ask("once") == "sum 500500"
    b.ask("open")
    f = b.until(closed=2, running=0)
    assert (f["done"], f["late"]) == (1, 0)


def test_all_clients_go_while_work_runs(busy):
    """And with them the threads are taken, until the work has returned."""
    b = busy(threads=2)
    gone = [b.begin("slow") for _ in range(2)]
    b.until(running=2)
    for c in gone:
        b.vanish(c)
    b.until(running=2, alive=0)
    c = b.begin("once")
    assert b.facts()["begun"] == 2
    b.ask("open")
    assert c.response().text == "sum 500500\n"
    b.ask("open")
    f = b.until(closed=3)
    assert (f["done"], f["late"]) == (1, 0)


def test_the_client_goes_while_work_waits(busy):
    b = busy(threads=1)
    first = b.begin("slow")
    b.until(running=1)
    second = b.begin("slow")
    b.until(asked=2)
    b.vanish(second)
    f = b.until(closed=1)
    assert (f["begun"], f["done"], f["alive"]) == (1, 0, 0)
    b.ask("open")
    assert first.response().text == "through the gate\n"
    f = b.until(closed=2, running=0)
    assert (f["begun"], f["done"], f["late"]) == (1, 1, 0)


def test_the_client_goes_between_two_jobs(busy):
    """Somewhere in the middle of a hundred jobs of one request; every second time as soon as it has begun."""
    b = busy()
    for n in range(60):
        c = b.begin("chain")
        if n % 2:
            wait_for(lambda n=n: b.facts()["asked"] > n // 2)
        b.vanish(c)
    f = wait_for(lambda: (f := b.facts()) and f["closed"] == f["asked"] and f)
    assert f["asked"] >= 30 and f["late"] == 0


def test_no_answer_within_the_time(busy):
    b = busy(limits={"handler_timeout": "300ms"})
    with b.begin("slow") as c:
        assert c.response().status == 504
        assert b.until(alive=0)["closed"] == 0
        c.send(b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
        assert c.response().status == 200
    b.ask("open")
    f = b.until(closed=1)
    assert (f["done"], f["late"]) == (0, 0)


def test_no_answer_within_the_time_and_no_thread_either(busy):
    b = busy(limits={"handler_timeout": "300ms"}, threads=1)
    b.ask("jobs:g")
    b.until(running=1)
    with b.begin("slow") as c:
        assert c.response().status == 504
    assert b.until(closed=1)["done"] == 0
    b.ask("open")
    f = b.until(order="g")
    assert (f["begun"], f["late"]) == (1, 0)  # only that of the process


# ---- Work of processes -------------------------------------------------------------------------

def test_jobs_of_start_hooks(busy):
    b = busy(workers=2)
    for line in (r"worker 1\[\d+\]: a job of worker_start is done", r"worker 2\[\d+\]: a job of worker_start is done",
                 r"primary\[\d+\]: a job of primary_start is done"):
        wait_for(lambda line=line: re.search(line, b.server.log()))


def test_one_thread_keeps_the_order(busy):
    b = busy(threads=1)
    b.ask("jobs:abcdefhijklmnopqrstuvwxyz")
    b.until(order="abcdefhijklmnopqrstuvwxyz")


def test_what_ends_first_is_told_first(busy):
    b = busy(threads=2)
    b.ask("jobs:gabc")
    b.until(order="abc")
    b.ask("open")
    b.until(order="abcg")


# ---- The end of a process ----------------------------------------------------------------------

def let_through(connection):
    with connection as c:
        assert c.send(b"GET /busy?open HTTP/1.1\r\nHost: a\r\n\r\n").response().text == "1\n"


def open_early(b):
    """A connection that a draining worker still serves: once."""
    c = b.server.connect()
    assert c.send(b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n").response().status == 200
    return c


def is_draining(b):
    return b.server.workers("cserver: worker 1 (draining)")


def test_a_stop_waits_for_the_work_of_requests(busy):
    b = busy()
    key, c = open_early(b), b.begin("slow")
    b.until(running=1)
    b.server.signal(signal.SIGTERM)
    wait_for(lambda: is_draining(b))
    let_through(key)
    with c:
        assert c.response().text == "through the gate\n"
    assert b.server.wait() == 0


@pytest.mark.parametrize("case", ["job", "vanished"])
def test_a_stop_waits_for_work_without_requests(busy, case):
    b = busy()
    key = open_early(b)
    if case == "job":
        b.ask("jobs:g")
    else:
        c = b.begin("slow")
        b.until(running=1)
        b.vanish(c)
    b.until(running=1, alive=0)
    b.server.signal(signal.SIGTERM)
    wait_for(lambda: is_draining(b))
    let_through(key)
    assert b.server.wait() == 0
    assert "still runs" not in b.server.log()


@pytest.mark.parametrize("case", ["job", "request", "vanished"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_does_not_wait_for_ever(busy, case, number):
    b = busy(shutdown_timeout="300ms")
    if case == "job":
        b.ask("jobs:gg")
    else:
        c = b.begin("slow")
        if case == "vanished":
            b.until(running=1)
            b.vanish(c)
            b.until(alive=0)
    b.until(running=2 if case == "job" else 1)
    pid = b.server.workers()[0]
    assert b.server.stop(number) == 0
    log = b.server.log()
    assert f"worker 1[{pid}]: work of module busy still runs on a thread: this process ends without it" in log
    assert "killing" not in log and "SIGKILL" not in log


def test_a_reload_waits_for_work(busy):
    b = busy()
    key, c = open_early(b), b.begin("slow")
    b.until(running=1)
    old = b.server.workers()[0]
    assert b.server.ctl("reload").returncode == 0
    wait_for(lambda: b.server.workers() and old not in b.server.workers("cserver: worker 1") or is_draining(b))
    assert b.facts()["running"] == 0  # that is the new one
    let_through(key)
    assert c.response().text == "through the gate\n"


# ---- Descriptors -------------------------------------------------------------------------------

def test_a_pair(one):
    """Writable at once, then one writes; in the end the other closes, and the watch ends in its own callback."""
    assert one.ask("pair") == "watched"
    f = wait_for(lambda: (f := one.facts()) and set(f["order"]) == {"b", "w"} and f)
    assert f["hangups"] == 0
    calls = f["watch"]
    assert one.ask("rest") == "0"
    assert one.ask("write") == "1"
    for _ in range(10):
        assert one.facts()["watch"] == calls  # it rests
    assert one.ask("wake") == "0"
    f = wait_for(lambda: (f := one.facts()) and f["order"].endswith("c") and f)
    assert f["watch"] == calls + 1
    one.ask("close")
    f = one.until(hangups=1)
    for _ in range(10):
        assert one.facts()["watch"] == f["watch"]


def test_three_at_once_and_the_first_ends_all(one):
    one.ask("three")
    one.until(order="t")
    for _ in range(10):
        assert one.facts()["order"] == "t"


def test_the_same_number_again(one):
    """The callback closes its descriptor and opens another, which gets the same number."""
    one.ask("reopen")
    one.until(order="aaaaa")


def test_what_cannot_be_watched(one):
    assert one.ask("unwatchable") == "file 1 closed 1 pipe 1 twice 1"


def test_why_it_cannot_be_watched(busy):
    b = busy(log_level="debug")
    b.ask("unwatchable")
    log = b.server.log()
    assert re.search(r"module busy: descriptor \d+ cannot be watched: Operation not permitted", log)
    assert re.search(r"module busy: descriptor \d+ cannot be watched: it is watched already", log)


def test_a_descriptor_closed_too_early(one):
    assert one.ask("wrong_order") == "ended"
    assert re.search(r"warn .*module busy: descriptor \d+ was closed before its watch was ended", one.server.log())


def test_what_is_left_ends_with_the_process(one):
    assert one.ask("leave") == "1"
