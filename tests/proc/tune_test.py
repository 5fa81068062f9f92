"""Run-time settings: a reload that changes nothing else is taken by the processes that run."""
import contextlib
import json
import os
import re
import signal
import threading

import pytest
from lib import crash
from lib.server import build_module, wait_for

WHO = """
    #include <cserver/cserver.h>
    #include <unistd.h>
    static int handler(cs_req *r) { return cs_textf(r, 200, "%d", (int)getpid()); }
    static int start(cs_proc *p) { (void)p; return CS_OK; }
    CS_MODULE(.name = "who", .version = "1.0", .help = "Says who answers.", .handler = handler,
              .primary_start = start);
"""
HELLO = "[module:hello]\n[route:hello]\nmatch = /hello\nhandler = hello\n"


@pytest.fixture(scope="session")
def who(tmp_path_factory):
    so = build_module(str(tmp_path_factory.mktemp("who")), "who", WHO)
    return f"[module:who]\nfile = {so}\n[route:who]\nmatch = /who\nhandler = who\n"


def limits(**keys):
    return "[limits]\n" + "".join(f"{k} = {v}\n" for k, v in keys.items())


def reload(s, *args):
    done = s.ctl("reload", *args)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def tuned(s, revision, generation=1, *args):
    """A reload that starts no workers."""
    before = s.workers(), s.primary()
    out = reload(s, *args)
    assert f"generation {generation} has its new run-time settings (revision {revision})" in out
    assert (s.workers(), s.primary()) == before
    return out


def answers(s, path, want, n=40):
    """The answers of enough requests on connections of their own to meet all workers."""
    got = {want(s, path) for _ in range(n)}
    assert len(got) == 1, got
    return got.pop()


def post(s, path):
    return s.post(path, b"x" * 1000).status


def test_a_limit_changes_without_new_workers(serve, status, who):
    s = serve(HELLO + who, server={"workers": 3})
    assert answers(s, "/hello", post) != 413
    s.configure(HELLO + who + limits(max_body=999))
    out = tuned(s, 1)
    assert "1 change: at run time ([limits] max_body)" in out
    assert "telling the running workers" in out
    assert answers(s, "/hello", post) == 413
    now = status(s)
    assert (now["generation"], now["revision"], now["reloads"]) == (1, 1, 1)
    assert now["last_reload"]["ok"]
    s.log_has("reload: run-time: [limits] max_body: 1m -> 999 (")
    s.configure(HELLO + who + limits(max_body=1000))
    tuned(s, 2)
    assert answers(s, "/hello", post) != 413
    s.configure(HELLO + who)
    assert "[limits] max_body" in tuned(s, 3)


def test_what_was_too_long_is_told_by_the_limit_of_now(serve, status):
    s = serve(HELLO + limits(max_body="1m"))
    s.configure(HELLO + limits(max_body=999))
    tuned(s, 1)
    assert answers(s, "/hello", post) == 413
    s.log_has("body of 1000 bytes refused: max_body of [limits] is 999 (")


def test_hangup(serve, status):
    s = serve(HELLO)
    workers = s.workers()
    s.configure(HELLO + limits(max_body=999))
    s.signal(signal.SIGHUP)
    wait_for(lambda: status(s)["reloads"] == 1)
    assert status(s)["revision"] == 1 and s.workers() == workers
    assert answers(s, "/hello", post) == 413


def test_workers_that_come_later_have_it(serve, status, who):
    s = serve(HELLO + who)
    s.configure(HELLO + who + limits(max_body=999))
    tuned(s, 1)
    old, primary = s.workers(), s.primary()
    for pid in old + [primary]:
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: len(s.workers()) == 2 and not set(s.workers()) & set(old))
    wait_for(lambda: status(s)["ready"] == 2)
    assert answers(s, "/hello", post) == 413
    s.configure(HELLO + who + limits(max_body=1000))
    wait_for(lambda: s.primary() not in (None, primary) and status(s)["primary"]["state"] == "ready")
    tuned(s, 2)
    assert answers(s, "/hello", post) != 413


def test_a_worker_is_killed_meanwhile(serve, status, who):
    """Those that are forked between two changes have the newest in the end."""
    s = serve(HELLO + who, server={"workers": 3})
    for i in range(1, 11):
        os.kill(s.workers()[i % 3], signal.SIGKILL)
        s.configure(HELLO + who + limits(max_body=(999 if i % 2 else 1000)))
        assert f"(revision {i})" in reload(s)
        want = 413 if i % 2 else 200
        wait_for(lambda: status(s)["ready"] == 3)
        assert (answers(s, "/hello", post, 20) == 413) == (want == 413)


def test_a_reload_makes_it_generation_two(serve, status):
    s = serve(HELLO)
    s.configure(HELLO + limits(max_body=999))
    tuned(s, 1)
    assert "no difference" in reload(s)
    now = status(s)
    assert (now["generation"], now["revision"]) == (2, 0)
    assert answers(s, "/hello", post) == 413
    s.configure(HELLO + limits(max_body=1000))
    tuned(s, 1, generation=2)
    assert answers(s, "/hello", post) != 413


def test_new_workers_when_asked(serve, status, control):
    s = serve(HELLO)
    old = s.workers()
    s.configure(HELLO + limits(max_body=999))
    assert "generation 2 is live" in reload(s, "--new-workers")
    wait_for(lambda: not set(s.workers()) & set(old))
    s.configure(HELLO + limits(max_body=1000))
    with contextlib.closing(control(s)) as c:
        assert c.say('reload {"workers":"old"}')["code"] == 2
        c.send(b'reload {"workers":"new"}\n')
        while "code" not in (answer := json.loads(c.until(b"\n"))):
            pass
    assert (answer["code"], answer["generation"], answer["revision"]) == (0, 3, 0)


def test_one_change_that_needs_workers(serve, status):
    s = serve(HELLO)
    s.configure(HELLO + "greeting = Hi\n" + limits(max_body=999))
    out = reload(s)
    assert "2 changes: 1 at run time ([limits] max_body); 1 with new workers ([route:hello] hello.greeting)" in out
    assert "generation 2 is live" in out
    assert (status(s)["generation"], status(s)["revision"]) == (2, 0)


def test_what_waits_for_a_restart(serve, status):
    s = serve(HELLO)
    s.configure(HELLO + limits(max_body=999), max_workers=40, pid_file=s.path("other.pid"))
    out = tuned(s, 1)
    assert "2 after a restart ([server] max_workers, [server] pid_file)" in out
    assert "2 changes wait for a restart" in out
    assert "generation 2 is live with 2 workers; 2 changes wait for a restart" in reload(s)
    done = s.run("-c", s.conf, "diff")
    assert done.stdout.count("\nrestart ") + done.stdout.startswith("restart ") == 2, done.stdout
    assert not os.path.exists(s.path("other.pid"))


# ---- Each of them does something ------------------------------------------------------------------

def test_log_level(serve):
    s = serve(HELLO)
    assert "debug" not in s.log()
    s.configure(HELLO, log_level="debug")
    tuned(s, 1)
    s.log_has("debug worker 1[")
    s.log_has("debug worker 2[")
    s.configure(HELLO, log_level="error")
    tuned(s, 2)
    at = len(s.log())
    for _ in range(20):
        s.raw(b"nonsense\r\n\r\n")
    reload(s, "-q")
    assert "request refused" not in s.log()[at:] and "info" not in s.log()[at:]


def test_keepalive_and_head_timeout(serve):
    """Of connections that begin to wait after the change."""
    s = serve(HELLO, limits={"keepalive_timeout": "1h", "head_timeout": "1h"})
    request = b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"
    with s.connect() as before:
        before.send(request).response()
        s.limits = {"keepalive_timeout": "100ms", "head_timeout": "100ms"}
        s.configure(HELLO)
        tuned(s, 1)
        before.send(request).response()
        assert before.eof()
    with s.connect() as after:
        assert after.send(b"GET /").response().status == 408


def test_most_connections(serve, status):
    s = serve(HELLO, server={"workers": 1})
    request = b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(s.connect()) for _ in range(4)]
        for c in held:
            c.send(request).response()
        s.configure(HELLO + limits(max_connections=2))
        tuned(s, 1)
        for c in held:
            assert c.send(request).response().status == 200  # what is there stays
        late = stack.enter_context(s.connect())
        late.send(request).response()  # an idle one has made room
        assert wait_for(lambda: status(s)["connections"] <= 4)
        s.configure(HELLO)
        tuned(s, 2)
        more = [stack.enter_context(s.connect()) for _ in range(6)]
        for c in more:
            assert c.send(request).response().status == 200


@pytest.mark.parametrize("before, after", [("64k", "1k"), ("1k", "64k"), ("16k", "1m"), ("1m", "1k")])
def test_head_size_while_heads_arrive(serve, before, after):
    """Buffers that were made for other sizes are used on, and no byte is read or written beside them."""
    s = serve(HELLO, limits={"max_head": before, "max_uri": "1k"}, server={"workers": 1})
    fill = b"GET /hello HTTP/1.1\r\nHost: x\r\nX: "
    with contextlib.ExitStack() as stack:
        part = [stack.enter_context(s.connect()).send(fill + b"y" * n) for n in (1, 700, 12000, 15000, 40000, 60000)]
        pipelined = [stack.enter_context(s.connect()).send(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n" * 3 + fill)
                     for _ in range(4)]
        for c in pipelined:
            assert c.response().status == 200
        s.limits["max_head"] = after
        s.configure(HELLO)
        tuned(s, 1)
        for c in part + pipelined[:2]:
            with contextlib.suppress(OSError):
                c.send(b"z" * 3000 + b"\r\n\r\n")
        for c in pipelined[2:]:
            with contextlib.suppress(OSError):
                c.send(b"z" * 70000 + b"\r\n\r\n")
        assert {refused_or_not(c) for c in part + pipelined} <= {200, 431, None}
    size, status = (50000, 200) if after in ("64k", "1m") else (5000, 431)
    assert s.exchange(fill + b"y" * size + b"\r\n\r\n").status == status
    s.log_has("new run-time settings")


def refused_or_not(c):
    """The next answer; None where the connection ends before it, since more has come than was read."""
    with contextlib.suppress(OSError, EOFError):
        return c.response().status
    return None


def test_block_warn(serve):
    slow = "[module:slow]\n[route:slow]\nmatch = /slow\nhandler = slow\n"
    s = serve(HELLO + slow)
    s.configure(HELLO + slow, block_warn="0")
    tuned(s, 1)
    s.configure(HELLO + slow, block_warn="7s", block_kill="9s", mailbox_stall="1s", quarantine=5,
                quarantine_window="9s", give_up=3, shutdown_timeout="20s", drain_timeout="20s", recycle_after=100000)
    assert "9 changes: at run time" in tuned(s, 2)


def test_recycling_begins_and_ends(serve, status, who):
    s = serve(who, server={"workers": 1})
    first = s.workers()
    for _ in range(50):
        s.get("/who")
    s.configure(who, recycle_after=20)
    tuned(s, 1)
    assert s.workers() == first  # counted from the change on
    for _ in range(25):
        s.get("/who")
    wait_for(lambda: s.workers() and s.workers() != first)
    wait_for(lambda: status(s)["draining"] == 0 and status(s)["ready"] == 1)
    s.configure(who, recycle_after=0)
    reload(s)
    second = s.workers()
    for _ in range(60):
        s.get("/who")
    assert s.workers() == second


def test_drain_timeout_is_that_of_the_new_settings(serve, status):
    slow = HELLO + "[module:slow]\n[route:slow]\nmatch = /slow\nhandler = slow\ndelay = 1h\n"
    s = serve(slow, server={"shutdown_timeout": "1h"})
    with s.connect() as c:
        c.send(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_for(lambda: status(s)["connections"] >= 1)
        s.configure(slow, shutdown_timeout="100ms")
        tuned(s, 1)
        assert s.stop() == 0


# ---- What stands in the way ------------------------------------------------------------------------

def test_quarantine_ends_by_new_workers(serve, status, tmp_path):
    boom = build_module(str(tmp_path), "boom", """
        #include <cserver/cserver.h>
        #include <signal.h>
        static int handler(cs_req *r) { (void)r; raise(SIGSEGV); return CS_OK; }
        CS_MODULE(.name = "boom", .version = "1.0", .help = "Crashes.", .handler = handler);
    """)
    conf = f"[module:boom]\nfile = {boom}\n[route:boom]\nmatch = /boom\nhandler = boom\n"
    s = serve(conf, server={"quarantine": 1}, env=crash.QUIET)
    s.raw(b"GET /boom HTTP/1.1\r\nHost: x\r\n\r\n")
    wait_for(lambda: any(m["quarantined"] for m in status(s)["modules"]))
    wait_for(lambda: status(s)["ready"] == 2)
    s.configure(conf + limits(max_body=999))
    done = s.run("-c", s.conf, "diff")
    assert "a reload starts new workers, since a module is in quarantine" in done.stdout
    assert "generation 2 is live" in reload(s)
    s.log_has("new workers take the changes, since a module is in quarantine")
    assert not any(m["quarantined"] for m in status(s)["modules"])


def test_workers_come_back(serve, status):
    s = serve(HELLO)
    s.signal(signal.SIGWINCH)
    wait_for(lambda: not s.workers())
    s.configure(HELLO + limits(max_body=999))
    assert "generation 2 is live with 2 workers" in reload(s)
    assert answers(s, "/hello", post) == 413


def test_a_worker_that_does_not_answer(serve, status, who):
    """The change holds, and it is told who has not taken it; it does so when it goes on."""
    conf = HELLO + who + "\n[accept]\nstall_kill = 0\n"  # it may have the turn
    s = serve(conf, limits={"max_body": "2k"})
    stopped = s.workers()[0]
    os.kill(stopped, signal.SIGSTOP)
    try:
        s.limits = {"max_body": 999}
        s.configure(conf)
        done = s.ctl("reload")
        assert done.returncode == 75, done.stdout + done.stderr
        assert re.search(rf"\(revision 1\), but after 10 s they are not taken by worker \d \(pid {stopped}, ready, "
                         r"stopped \(T\)\)", done.stderr)
        now = status(s)
        assert now["revision"] == 1 and not now["last_reload"]["ok"]
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(stopped, signal.SIGCONT)
    wait_for(lambda: len(s.workers()) == 2 and status(s)["ready"] == 2)
    wait_for(lambda: {post(s, "/hello") for _ in range(40)} == {413})


def test_the_server_stops_meanwhile(serve, status, who):
    s = serve(HELLO + who, server={"shutdown_timeout": "1s"})
    stopped = s.workers()[0]
    os.kill(stopped, signal.SIGSTOP)
    s.configure(HELLO + who + limits(max_body=999))
    found = []
    t = threading.Thread(target=lambda: found.append(s.ctl("reload")))
    t.start()
    wait_for(lambda: status(s)["revision"] == 1)
    s.stop()
    t.join()
    assert found[0].returncode == 75 and "since the server is stopping" in found[0].stderr


def test_draining_workers_do_not_count(serve, status, who):
    """They have settings of their own; one that stands still does not hold up the answer for the others."""
    s = serve(HELLO + who)
    old = s.workers()
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(s.connect()) for _ in range(20)]
        for c in held:
            c.send(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n").response()
        reload(s, "--new-workers")
        still = [p for p in old if p in s.workers()]
        assert still
        for p in still:
            os.kill(p, signal.SIGSTOP)
        try:
            s.configure(HELLO + who + limits(max_body=999))
            assert "(revision 1)" in reload(s)
        finally:
            for p in still:
                os.kill(p, signal.SIGCONT)


def test_under_load_no_request_fails(serve, status):
    s = serve(HELLO)
    failed, over = [], []

    def ask():
        while not over:
            with contextlib.suppress(EOFError), s.connect() as c:
                for _ in range(20):
                    r = c.send(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n").response()
                    if r.status != 200:
                        failed.append(r.status)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for t in threads:
        t.start()
    try:
        for i in range(1, 21):
            s.configure(HELLO + limits(max_head=f"{1 + i % 7 * 8}k", max_uri="1k", max_headers=10 + i))
            tuned(s, i)
    finally:
        over.append(True)
        for t in threads:
            t.join()
    assert not failed
    assert status(s)["spawns"] == 2


def test_several_ask_at_once(serve, status):
    s = serve(HELLO)
    s.configure(HELLO + limits(max_body=999))
    found = []
    threads = [threading.Thread(target=lambda: found.append(s.ctl("reload").returncode)) for _ in range(5)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert found == [0] * 5
    assert answers(s, "/hello", post) == 413


def test_metric(serve):
    conf = HELLO + "[module:metrics]\n[route:metrics]\nmatch = /metrics\nhandler = metrics\n"
    s = serve(conf)
    assert "\ncserver_config_revision 0\n" in s.get("/metrics").text
    s.configure(conf + limits(max_body=999))
    tuned(s, 1)
    assert "\ncserver_config_revision 1\n" in s.get("/metrics").text
