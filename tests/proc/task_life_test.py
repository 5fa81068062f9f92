"""Tasks in real processes: their clients, the workers and the settings come and go while they wait."""
import contextlib
import os
import re

import pytest
from lib import crash
from lib.server import SOURCE, build_module, wait_for

WAITS = ["/nap?ms=60000", "/upload", "/upload?pause=60000", "/download?n=5000", "/errand", "/wait?ms=60000"]
SETTINGS = """
[module:waiter]
file = {so}
[module:metrics]
[route:metrics]
match = = /metrics
handler = metrics
[module:hello]
[route:hello]
match = = /hello
handler = hello
[route:wait]
match = /
handler = waiter
"""


@pytest.fixture(scope="session")
def so(tmp_path_factory):
    with open(os.path.join(SOURCE, "tests/unit/kit/waiter.c"), encoding="utf-8") as f:
        return build_module(str(tmp_path_factory.mktemp("waiter")), "waiter", f.read(), "-g -fno-omit-frame-pointer")


@pytest.fixture
def waiting(serve, so):
    def start(pages="", handler_timeout="60s", **server):
        return serve(SETTINGS.format(so=so) + pages, server={"workers": 1, "quarantine": 0, **server},
                     limits={"handler_timeout": handler_timeout}, env=crash.QUIET)
    return start


def metric(s, name):
    found = re.findall(rf"^{name}(?:{{.*}})? (\d+)$", s.get("/metrics").text, re.M)
    assert found, name
    return sum(map(int, found))


def begin(s, target):
    """A client that does not read, with half a body where one is wanted."""
    c = s.connect()
    if target.startswith("/upload"):
        c.send(f"POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nsome".encode())
    else:
        c.send(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return c


def running(s, number=1):
    """The work of so many tasks is under way."""
    wait_for(lambda: metric(s, "cserver_tasks") == number)


def test_a_client_goes_while_its_work_runs(waiting):
    s = waiting()
    with begin(s, "/errand?ms=1500") as c:
        running(s)
        c.reset()
    assert metric(s, "waiter_ended_total") == 0
    assert s.get("/nap?ms=1").status == 200
    wait_for(lambda: metric(s, "waiter_ended_total") == 2)
    assert (metric(s, "waiter_worked_total"), metric(s, "waiter_cancelled_total")) == (1, 1)
    wait_for(lambda: metric(s, "waiter_closed_total") == 2)
    assert metric(s, "cserver_tasks") == 0


def test_an_error_page_waits_while_the_work_runs_that_was_waited_for(waiting):
    """Two tasks of one request: the first is cancelled, and cannot end yet."""
    s = waiting(pages="error_pages = 504 /nap?ms=1", handler_timeout="500ms")
    with begin(s, "/errand?ms=2000") as c:
        answer = c.response()
        assert answer.status == 504 and answer.text.startswith("xxx at"), answer
        assert metric(s, "waiter_ended_total") == 1
    wait_for(lambda: metric(s, "waiter_ended_total") == 2)
    assert (metric(s, "waiter_worked_total"), metric(s, "waiter_cancelled_total")) == (1, 1)
    wait_for(lambda: metric(s, "waiter_closed_total") == 2)


def test_the_client_of_both_goes(waiting):
    s = waiting(pages="error_pages = 504 /nap?ms=60000", handler_timeout="300ms")
    with begin(s, "/errand?ms=1500") as c:
        wait_for(lambda: metric(s, "waiter_begun_total") == 2)
        c.reset()
    wait_for(lambda: metric(s, "waiter_ended_total") == 2)
    assert (metric(s, "waiter_worked_total"), metric(s, "waiter_cancelled_total")) == (1, 2)
    wait_for(lambda: metric(s, "waiter_closed_total") == 2)
    assert metric(s, "cserver_tasks") == 0 and metric(s, "cserver_worker_crashes_total") == 0


def test_a_stop_while_work_runs(waiting):
    s = waiting(shutdown_timeout="1s")
    with begin(s, "/errand?ms=300") as soon, begin(s, "/errand?ms=3000") as late:
        running(s, 2)
        s.signal(15)
        assert soon.response().text == "42\n"
        assert late.eof()
        assert s.wait() == 0
    assert not re.search("SIG(?!TERM)", s.log())


@pytest.mark.parametrize("target", WAITS)
def test_a_reload_while_tasks_wait(waiting, target):
    """They go on in the worker that drains, until their clients go."""
    s = waiting(module_debug="on")
    clients = [begin(s, target) for _ in range(3)]
    wait_for(lambda: metric(s, "waiter_begun_total") == 3)
    assert s.ctl("reload").returncode == 0
    for c in clients:
        c.reset()
    wait_for(lambda: metric(s, "waiter_ended_total") == 3)
    wait_for(lambda: len(s.workers()) == 1)
    assert metric(s, "cserver_tasks") == 0 and metric(s, "cserver_worker_crashes_total") == 0


def test_quarantine_ends_those_that_wait(waiting):
    """Three workers die of the module; the fourth, where tasks of it wait, answers for them when they wake."""
    s = waiting(workers=4, quarantine=3)
    clients = []

    def everywhere():
        clients.append(begin(s, "/nap?ms=4000"))
        return len(re.findall(r"^cserver_tasks{.*} [1-9]", s.get("/metrics").text, re.M)) == 4

    wait_for(everywhere)
    for _ in range(3):
        crash.hit(s, "/crash")
    s.log_has("quarantine")
    statuses = {r.status for r in map(answer_of, clients) if r}
    assert 503 in statuses and statuses <= {503, 200}, statuses
    wait_for(lambda: metric(s, "cserver_tasks") == 0)
    assert s.get("/hello").status == 200


def answer_of(c):
    """None: its worker has died."""
    with contextlib.suppress(EOFError, ConnectionResetError), c:
        return c.response()
    return None


@pytest.mark.parametrize("target", WAITS)
def test_a_client_goes_while_its_task_waits(waiting, target):
    s = waiting()
    clients = [begin(s, target) for _ in range(3)]
    wait_for(lambda: metric(s, "waiter_begun_total") == 3)
    if target != "/errand":  # is over soon
        wait_for(lambda: metric(s, "cserver_tasks") == 3)
    for c in clients:
        c.reset()
    wait_for(lambda: metric(s, "waiter_ended_total") == 3)
    assert metric(s, "cserver_tasks") == 0
    if target != "/errand":
        assert metric(s, "waiter_cancelled_total") == 3
    assert s.get("/nap?ms=1").status == 200
    assert metric(s, "cserver_worker_crashes_total") == 0


def test_others_are_answered_meanwhile(waiting):
    s = waiting()
    with begin(s, "/nap?ms=500") as c:
        wait_for(lambda: metric(s, "cserver_tasks") == 1)
        for _ in range(20):
            assert s.get("/hello").status == 200
        assert metric(s, "cserver_tasks") == 1
        assert c.response().status == 200
    assert metric(s, "cserver_task_waits_total") == 3


@pytest.mark.parametrize("how", ["reload", "upgrade"])
def test_a_task_outlives_its_settings(waiting, how):
    s = waiting()
    with begin(s, "/nap?ms=700") as c:
        wait_for(lambda: metric(s, "cserver_tasks") == 1)
        assert s.ctl(how).returncode == 0
        assert c.response().status == 200


def test_a_stop_waits_for_tasks_and_ends_those_that_take_too_long(waiting):
    s = waiting(shutdown_timeout="2s")
    with begin(s, "/nap?ms=100") as soon, begin(s, "/nap?ms=60000") as late:
        wait_for(lambda: metric(s, "cserver_tasks") == 2)
        s.signal(15)
        assert soon.response().status == 200
        assert late.eof()
        assert s.wait() == 0
    assert "SIG" not in re.sub("SIGTERM", "", s.log())


def test_the_depth_of_stacks_is_told(waiting):
    s = waiting(task_stack="256k")
    assert metric(s, "cserver_task_stack_peak_bytes") == 0
    assert s.get("/deep?n=1").status == 200
    shallow = metric(s, "cserver_task_stack_peak_bytes")
    for _ in range(8):  # looked at after 1, 2, 4, 8 uses
        assert s.get("/deep?n=200").status == 200
    assert 0 < shallow < 60000 < metric(s, "cserver_task_stack_peak_bytes")
    assert metric(s, "cserver_task_stacks") == 1


def test_a_stack_that_is_not_enough(waiting):
    s = waiting()
    assert crash.hit(s, "/deep?n=100000") == b""
    place = r"at waiter\.so\+0x[0-9a-f]+, beyond the end of its stack \(task_stack\)(?: \(address 0x[0-9a-f]+\))?"
    wait_for(lambda: crash.lines(s, rf"worker \d \(pid .* killed by SIGSEGV.* in module \"waiter\" 1, hook handler, {place}"))
    own = crash.lines(s, r"error worker 1\[\d+\]: SIGSEGV")
    assert re.search(rf'SIGSEGV in module "waiter" 1, hook handler, {place} request_id=\w+ route=wait path=/deep$', own[0]), own
    assert s.get("/hello").status == 200


# ---- Asking other processes ----------------------------------------------------------------------

@pytest.fixture
def calling(serve, folder):
    with open(os.path.join(SOURCE, "tests/lib/modules/caller.c"), encoding="utf-8") as f:
        so = build_module(folder, "caller", f.read(), "-g")
    settings = SETTINGS.replace("waiter", "caller").format(so=so)
    return serve(settings, server={"workers": 1})


def test_the_primary_is_asked(calling):
    assert calling.get("/sum?words").text == "5 bytes to 0"
    assert calling.get("/sum").text == "0 bytes to 0"
    assert calling.get("/never?ms=50").status == 504
    assert calling.get("/none").status == 502
    assert calling.get("/sum?again").text == "5 bytes to 0"


def test_a_client_goes_while_the_primary_is_asked(calling):
    clients = [begin(calling, "/never?ms=60000") for _ in range(3)]
    wait_for(lambda: metric(calling, "cserver_tasks") == 3)
    for c in clients:
        c.reset()
    wait_for(lambda: metric(calling, "caller_ended_total") == 3)
    assert calling.get("/sum?x").text == "1 bytes to 0"
    with begin(calling, "/never?ms=60000"):
        wait_for(lambda: metric(calling, "cserver_tasks") == 1)
        calling.signal(2)
        assert calling.wait() == 0
