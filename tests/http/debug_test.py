"""[server] module_debug: mistakes of modules are told, and end their worker: tests/lib/modules/wrong.c."""
import contextlib
import http.client
import shutil
import tempfile

import pytest
from lib.server import SOURCE, build_module, is_alive, wait_for

CONF = """
    [module:hello]
    [module:wrong]
    file = {0}/wrong.so
    [route:wrong]
    match = /wrong
    handler = wrong
    [route:hello]
    match = /hello
    handler = hello
"""
# What ends with a crash is told by the sanitizer too.
CRASHES = ("AddressSanitizer",)


@pytest.fixture(scope="module")
def modules():
    folder = tempfile.mkdtemp(prefix="cs-")
    with open(f"{SOURCE}/tests/lib/modules/wrong.c", encoding="utf-8") as f:
        build_module(folder, "wrong", f.read())
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def wrong(modules, serve):
    def start(workers=1, debug="on", **options):
        return serve(CONF.format(modules), server={"workers": workers, "module_debug": debug}, allow=CRASHES, **options)
    return start


def ask(server, case):
    with contextlib.suppress(OSError, http.client.HTTPException):
        return server.get(f"/wrong?{case}").text.strip()
    return None


def dies(server, case):
    """The worker dies of it, and another one comes."""
    old = server.workers()
    assert ask(server, case) is None
    wait_for(lambda: not all(is_alive(p) for p in old))
    wait_for(lambda: len(server.workers()) == len(old) and server.workers() != old)


PID = b"GET /wrong?pid HTTP/1.1\r\nHost: a\r\n\r\n"
ENDED = "with a request that has ended"
THREAD = "from another thread than the one that hooks and callbacks run on"


@pytest.mark.parametrize("case,sentence", [
    ("info", f"module wrong: cs_info was called {ENDED}"),
    ("reply", f"module wrong: cs_reply was called {ENDED}"),
    ("format", f"module wrong: cs_format was called {ENDED}"),
    ("null", "module wrong: cs_reply was called without a request (NULL)"),
    ("on_close", f"module wrong: cs_header was called {ENDED}"),
    ("thread_reply", f"module wrong: cs_reply was called {THREAD}"),
    ("thread_time", f"module wrong: cs_now_ms was called {THREAD}"),
    ("thread_own", f"a module: cs_every or cs_after was called {THREAD}"),
])
def test_a_mistake_is_told(wrong, case, sentence):
    s = wrong()
    assert ask(s, "keep") == "kept"
    if case == "on_close":
        ask(s, case)  # the answer has left by then
    else:
        dies(s, case)
    line = wait_for(lambda: [x for x in s.log().splitlines() if sentence in x])[0]
    assert " error worker 1[" in line
    wait_for(lambda: ask(s, "fine") == "same nobody")


def test_a_request_that_is_long_gone(wrong):
    """Two hundred others have come and gone since."""
    s = wrong()
    ask(s, "keep")
    for _ in range(200):
        s.get("/hello")
    dies(s, "memory")


def test_others_go_on(wrong):
    s = wrong(workers=2)
    connections = {}
    for _ in range(200):
        c = s.connect()
        pid = int(c.send(PID).response().text)
        if connections.setdefault(pid, c) is not c:
            c.close()
        if len(connections) == 2:
            break
    (victim, doomed), (other, stays) = connections.items()
    with doomed, stays:
        assert doomed.send(b"GET /wrong?null HTTP/1.1\r\nHost: a\r\n\r\n").rest() == b""
        wait_for(lambda: not is_alive(victim))
        assert stays.send(PID).response().text == str(other)
        wait_for(lambda: len(s.workers()) == 2)
        assert stays.send(PID).response().text == str(other)


def test_what_is_right_stays_right(wrong):
    s = wrong()
    for _ in range(3):
        r = s.get("/wrong?fine")
        assert (r.text, r["x-text"]) == ("same nobody\n", "00042%")
        assert s.get("/wrong?failing").status == 503
        assert len(s.get("/wrong?large").text) == 99999
        assert ask(s, "thread_log") == "done"
    assert "3 of 100% module=wrong" in s.log()
    assert "this is allowed module=wrong" in s.log()
    assert s.get("/hello").text.startswith("Hello")


def test_without_it_nobody_looks(wrong):
    s = wrong(debug="off")
    assert ask(s, "thread_time") == "done"
