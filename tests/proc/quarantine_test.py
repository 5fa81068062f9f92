"""A module that crashes again and again is left out; everything else is served."""
import json
import os
import re

import pytest
from lib import crash
from lib.server import build_module, wait_for

WHO = """
    #include <cserver/cserver.h>
    #include <unistd.h>
    static int handler(cs_req *r) { return cs_textf(r, 200, "%d", (int)getpid()); }
    CS_MODULE(.name = "who", .version = "1.0", .help = "Says who answers.", .handler = handler);
"""
BOOM = """
    #include <cserver/cserver.h>
    #include <signal.h>
    static int handler(cs_req *r) { %s return cs_text(r, 200, "no boom"); }
    CS_MODULE(.name = "boom", .version = "%s", .help = "Crashes.", .handler = handler);
"""
FAULT = "raise(SIGSEGV);"
SETTINGS = """
[module:boom]
file = {boom}
[module:who]
file = {who}
[route:boom]
match = /boom
handler = boom
[route:who]
match = /who
handler = who
[route:status]
match = /status
handler = status
[module:status]
[route:metrics]
match = /metrics
handler = metrics
[module:metrics]
"""


@pytest.fixture(scope="session")
def who(tmp_path_factory):
    return build_module(str(tmp_path_factory.mktemp("who")), "who", WHO)


@pytest.fixture
def booming(serve, who, tmp_path):
    def start(**server):
        so = build_module(str(tmp_path), "boom", BOOM % (FAULT, "1.0"))
        return serve(SETTINGS.format(boom=so, who=who), server=server, env=crash.QUIET)
    return start


def module(s, name):
    return next(m for m in json.loads(s.ctl("status", "--json").stdout)["modules"] if m["name"] == name)


def metric(s, name, module):
    return int(re.search(rf'^{name}{{module="{module}"}} (\d+)', s.get("/metrics").text, re.M)[1])


class Client:
    """A kept connection that knows whose it is."""

    def __init__(self, s):
        self.s, self.pid, self.c = s, None, None

    def ask(self):
        """True: answered. False: the connection had ended."""
        if not self.c:
            self.c = self.s.connect()
            self.pid = None
        try:
            self.c.send(b"GET /who HTTP/1.1\r\nHost: x\r\n\r\n")
            r = self.c.response()
        except (EOFError, ConnectionError):
            self.c.close()
            self.c = None
            return False
        assert r.status == 200
        self.pid = int(r.text)
        return True


def boom(s):
    """What comes; a crash has then been counted."""
    before = module(s, "boom")["crashes"]
    answer = crash.hit(s, "/boom")
    if answer == b"":
        wait_for(lambda: module(s, "boom")["crashes"] > before)
    return answer


def ask_others(s, clients, started):
    """Everybody is answered but those whose worker has died."""
    for c in clients:
        pid = c.pid
        if not c.ask():
            assert pid in started and pid not in s.workers(), f"a connection to {pid}, which lives, has ended"
            assert c.ask(), "and a new connection was not answered"
    assert s.get("/who").status == 200


def test_boom_a_hundred_times(booming, tmp_path):
    s = booming()
    master, clients, started, answers = s.pid, [Client(s) for _ in range(6)], set(s.workers()), []
    ask_others(s, clients, started)
    for _ in range(100):
        answers.append(boom(s))
        ask_others(s, clients, started)
        started |= set(s.workers())
    assert answers[:3] == [b""] * 3, "three crashes"
    for answer in answers[3:]:
        assert answer.startswith(b"HTTP/1.1 503 ") and b"\r\nRetry-After: " in answer
    told = crash.lines(s, "in quarantine after")
    assert len(told) == 1 and 'the module "boom" 1.0 is in quarantine after 3 crashes within 60 s' in told[0]
    assert "error master" in told[0] and "cserver -s reload" in told[0]
    assert len(crash.lines(s, r'worker \d\[\d+\]: SIGSEGV in module "boom" 1.0, hook handler')) == 3
    assert len(crash.lines(s, r'was killed by SIGSEGV in module "boom" 1.0, hook handler')) == 3
    assert module(s, "boom") == {"name": "boom", "version": "1.0", "crashes": 3, "stalls": 0, "quarantined": True}
    assert module(s, "who")["quarantined"] is False
    assert "module boom 1.0: crashes: 3, in quarantine until a reload succeeds" in s.ctl("status").stdout
    assert metric(s, "cserver_module_quarantined", "boom") == 1
    assert metric(s, "cserver_module_crashes_total", "boom") == 3
    assert metric(s, "cserver_module_quarantined", "who") == 0
    shown = s.get("/status?json").json["modules"]
    assert (shown["boom"]["module_quarantined"], shown["boom"]["module_crashes"]) == (1, 3)
    assert shown["who"]["module_quarantined"] == 0
    wait_for(lambda: len(s.workers()) == 2)

    # A reload with the same module tries it again, and so does one with a repaired one.
    build_module(str(tmp_path), "boom", BOOM % ("", "1.1"))
    assert s.ctl("reload").returncode == 0
    assert s.get("/boom").text == "no boom"
    assert module(s, "boom") == {"name": "boom", "version": "1.1", "crashes": 3, "stalls": 0, "quarantined": False}
    assert metric(s, "cserver_module_quarantined", "boom") == 0
    assert 'the module "boom" is no longer in quarantine' in s.log()
    assert s.pid == master and s.process.poll() is None


def boom_until_quarantined(s, most=3):
    for n in range(most):
        assert boom(s) == b"", f"crash {n + 1}"
    assert boom(s).startswith(b"HTTP/1.1 503 ")


def test_a_reload_counts_anew(booming):
    s = booming()
    boom_until_quarantined(s)
    assert s.ctl("reload").returncode == 0
    boom_until_quarantined(s)
    assert module(s, "boom")["crashes"] == 6
    assert len(crash.lines(s, "in quarantine after")) == 2


def test_status_says_why_the_server_is_degraded(booming, status):
    s = booming()
    boom_until_quarantined(s)
    now = status(s)
    assert now["state"] == "degraded"
    assert now["degraded"] == ['the module "boom" 1.0 is in quarantine after 3 crashes: repair it, and reload']
    text = s.ctl("status").stdout
    assert "cserver is degraded" in text and "degraded: the module" in text and "3 of workers" in text
    assert s.ctl("reload").returncode == 0
    now = status(s)
    assert now["state"] == "running" and now["degraded"] == []


def test_a_reload_that_fails_lifts_nothing(booming):
    s = booming()
    boom_until_quarantined(s)
    good = s.read("conf/cserver.ini")
    s.write("conf/cserver.ini", good + "\n[route:more]\nmatch = /x\nhandler = nobody\n")
    assert s.ctl("reload").returncode != 0
    assert crash.hit(s, "/boom").startswith(b"HTTP/1.1 503 ")
    assert module(s, "boom")["quarantined"] is True


def test_lifted_after_a_rollout_that_failed(booming):
    """It had a number too."""
    s = booming()
    boom_until_quarantined(s)
    good = s.read("conf/cserver.ini")
    so = crash.build(s.path("conf"))
    s.write("conf/cserver.ini", good + f"\n[module:crash]\nfile = {so}\nstart = segv\n[route:x]\nmatch = /x\nhandler = crash\n")
    assert s.ctl("reload").returncode != 0
    s.write("conf/cserver.ini", good)
    assert s.ctl("reload").returncode == 0
    assert len(crash.lines(s, 'the module "boom" is no longer in quarantine')) == 1
    assert module(s, "boom")["quarantined"] is False
    assert s.ctl("reload").returncode == 0
    assert len(crash.lines(s, 'the module "boom" is no longer in quarantine')) == 1


def test_more_crashes_allowed(booming):
    s = booming(quarantine=5)
    boom_until_quarantined(s, 5)
    assert "after 5 crashes" in s.log()


def test_off(booming, status):
    s = booming(quarantine=0)
    for _ in range(5):
        assert boom(s) == b""
    wait_for(lambda: status(s)["ready"] == 2)
    assert module(s, "boom") == {"name": "boom", "version": "1.0", "crashes": 5, "stalls": 0, "quarantined": False}


def test_workers_are_back_at_once(booming, status):
    """The delay that the crashes have caused ends with the quarantine."""
    s = booming(quarantine=16)
    for n in range(6):
        assert boom(s) == b"", n
    wait_for(lambda: status(s)["state"] == "degraded")
    assert s.get("/who").status == 200
    s = booming(quarantine=6, workers=1)
    for n in range(6):
        assert boom(s) == b"", n
    assert s.get("/who").status == 200
    assert not [line for line in crash.lines(s, "the next start is tried") if "in 3.2 s" in line and
                s.log().index(line) > s.log().index("in quarantine after")]


# ---- Hooks of its life ---------------------------------------------------------------------------

@pytest.fixture(scope="session")
def so(tmp_path_factory):
    return crash.build(str(tmp_path_factory.mktemp("crash")))


@pytest.mark.parametrize("case", ["segv", "abort", "exit", "exit3"])
def test_crash_in_worker_start(serve, so, case):
    settings = crash.SETTINGS.format(so=so).replace("[route:crash]", f"start = {case}\n[route:crash]")
    s = serve(settings, env=crash.QUIET)
    assert s.get("/hello").status == 200
    assert crash.hit(s, "/crash").startswith(b"HTTP/1.1 503 ")
    assert 'in module "crash" 1.7, hook worker_start' in s.log()
    assert module(s, "crash")["quarantined"] is True
    assert len(s.workers()) == 2


def test_crash_in_worker_start_at_a_reload(serve, so):
    s = serve(crash.SETTINGS.format(so=so), env=crash.QUIET)
    master, before = s.pid, s.workers()
    s.configure(crash.SETTINGS.format(so=so).replace("[route:crash]", "start = segv\n[route:crash]"))
    done = s.ctl("reload")
    assert done.returncode != 0
    assert 'in module "crash" 1.7, hook worker_start' in done.stdout + done.stderr
    assert s.pid == master and set(before) <= set(s.workers())
    assert module(s, "crash")["quarantined"] is False, "the old one does no harm"
    assert b" 200 " in crash.hit(s, "/crash")


def test_crash_in_a_constructor_at_a_reload(serve, so, tmp_path):
    s = serve(crash.SETTINGS.format(so=so), env=crash.QUIET)
    master, before = s.pid, s.workers()
    bad = crash.build(str(tmp_path), lambda text: text + "__attribute__((constructor)) static void on_load(void)"
                                                        " { abort(); }\n")
    s.configure(crash.SETTINGS.format(so=bad))
    done = s.ctl("reload")
    assert done.returncode != 0
    assert "loading the module crash: the process that tried it was killed by SIGABRT" in done.stderr
    assert s.pid == master and s.workers() == before
    assert s.get("/hello").status == 200 and b" 200 " in crash.hit(s, "/crash")
    assert module(s, "crash")["crashes"] == 0


def test_messages_and_timers_are_left_out(serve, so):
    """The primary takes no message for it any more either, and lives."""
    s = serve(crash.SETTINGS.format(so=so), env=crash.QUIET)
    for n in range(3):
        assert b" 200 " in crash.hit(s, "/crash/primary?segv")
        wait_for(lambda n=n: len(crash.lines(s, r"the primary .* was killed by SIGSEGV")) == n + 1)
        if n < 2:
            wait_for(s.primary)
    assert "in quarantine after 3 crashes" in s.log()
    first = wait_for(s.primary)
    done = s.run("-c", s.conf, "msg", "send", "crash.do", "segv", "--to", "all")
    assert done.returncode == 0, done.stderr
    assert s.get("/hello").status == 200
    assert s.primary() == first and len(s.workers()) == 2
    assert module(s, "crash")["crashes"] == 3
    assert os.path.exists(s.pid_file)


SILENT = """
    #include <cserver/cserver.h>
    #include <signal.h>
    static cs_group *group;
    static int worker_start(cs_proc *p)
    {
        group = cs_group_new(p);
        return group ? CS_OK : CS_ERROR;
    }
    static int handler(cs_req *r)
    {
        if (cs_info(r)->query.n)
            raise(SIGSEGV);
        cs_stream *s = cs_detach(r, 200);
        cs_stream_send(s, "hello\\n");
        return cs_group_join(group, s);
    }
    CS_MODULE(.name = "boom", .version = "1.0", .help = "Has streams.", .worker_start = worker_start,
              .handler = handler);
"""


def test_streams_of_the_module_end(serve, who, tmp_path):
    """In the other workers too, where they would be open and silent for ever."""
    so = build_module(str(tmp_path), "boom", SILENT)
    s = serve(SETTINGS.format(boom=so, who=who), server={"workers": 3, "quarantine": 1}, env=crash.QUIET)
    streams = [s.connect() for _ in range(12)]
    for c in streams:
        c.send(b"GET /boom HTTP/1.1\r\nHost: x\r\n\r\n")
        assert c.until(b"hello\n")
    assert crash.hit(s, "/boom?now") == b""
    for c in streams:
        assert c.eof()
        c.close()
    wait_for(lambda: s.get("/boom").status == 503)


def test_pages_keep_the_fields_of_their_site(serve, who, tmp_path):
    """Though the module that makes the error page is left out: none of the request's own filters is its."""
    so = build_module(str(tmp_path), "boom", BOOM % (FAULT, "1.0"))
    settings = SETTINGS.format(boom=so, who=who)
    s = serve(settings + "[module:headers]\n[site:a]\nuse = headers\nset = X-Site: ${site}\nerror_pages = 404 /boom\n",
              env=crash.QUIET)
    while boom(s) == b"":
        pass
    r = s.get("/nowhere")
    assert (r.status, r["x-site"], r["retry-after"]) == (404, "a", None)
