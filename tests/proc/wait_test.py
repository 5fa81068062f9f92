"""What -s waits for: nothing (--no-wait), the thing itself, the end of the old workers (--wait=drained); and what it says
when that does not come. Status: who drains, and why the server is degraded."""
import json
import os
import signal
import subprocess
import threading

import pytest
from lib.server import LIMIT, PROGRAM, wait_for

SLOW = """
[module:slow]
[route:slow]
match = /slow
handler = slow
"""


def hold(s, ms):
    """A connection with a request that takes so long."""
    c = s.connect()
    c.send(f"GET /slow?ms={ms} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return c


def cut(c):
    """Resets it: who only closes may have closed one half, and still want the answer."""
    c.reset()


def held(s, status, n=1):
    wait_for(lambda: status(s)["connections"] == n, what="the request has not begun")


# ---- --no-wait -------------------------------------------------------------------------------------

@pytest.mark.parametrize("command", ["stop", "quit"])
def test_stop_without_waiting(serve, status, command):
    s = serve(SLOW)
    with hold(s, 60000):
        held(s, status)
        done = s.ctl(command, "--no-wait", "--timeout=10s")
        assert done.returncode == 0 and "asked for" in done.stdout, done
        assert s.process.poll() is None
        wait_for(lambda: status(s)["state"] == "stopping")
        s.stop(signal.SIGINT)


def test_reload_without_waiting(serve, status):
    s = serve(SLOW)
    done = s.ctl("reload", "--no-wait", "--json")
    answer = json.loads(done.stdout)
    assert done.returncode == 0 and answer["ok"] and answer["generation"] == 1 and answer["pid"] == s.pid
    wait_for(lambda: status(s)["generation"] == 2 and not status(s)["reloading"])


def test_bad_reload_without_waiting(serve, status):
    """It has been asked for; status tells what has come of it."""
    s = serve(SLOW)
    s.configure("[limits]\nmax_bodi = 1\n")
    assert s.ctl("reload", "--no-wait", "-q").stdout == ""
    wait_for(lambda: status(s)["reloads_failed"] == 1)
    last = status(s)["last_reload"]
    assert not last["ok"] and last["code"] == 78
    assert "ago), failed: " in s.ctl("status").stdout


def test_reopen_without_waiting(serve):
    s = serve(SLOW)
    os.rename(s.access_log, s.access_log + ".1")
    assert s.ctl("reopen", "--no-wait").returncode == 0
    wait_for(lambda: os.path.exists(s.access_log))


def test_many_that_do_not_wait(serve, control, status):
    """They are not kept waiting in memory without a bound."""
    s = serve(SLOW)
    c = control(s)
    c.send(b'reload {"wait":"no"}\n' * 500)
    codes = [json.loads(c.until(b"\n"))["code"] for _ in range(500)]
    assert set(codes) <= {0, 1} and codes[0] == 0 and codes.count(1) > 0
    wait_for(lambda: not status(s)["reloading"])
    assert s.ctl("reload").returncode == 0


@pytest.mark.parametrize("line", ['reload {"wait":"applied"}', 'stop {"wait":"drained"}', 'reopen {"wait":""}',
                                  'reload {"wait":7}'])
def test_wait_for_what(serve, control, line):
    s = serve(SLOW)
    answer = control(s).say(line)
    assert answer["code"] == 2 and "wait" in answer["message"]
    assert s.get("/slow?ms=0").status == 200


# ---- --wait=drained --------------------------------------------------------------------------------

def test_drained_at_once(serve, status):
    s = serve(SLOW)
    done = s.ctl("reload", "--wait=drained")
    assert done.returncode == 0 and "generation 2 is live" in done.stdout, done
    now = status(s)
    assert now["draining"] == 0 and {w["generation"] for w in now["workers"]} == {2}


def test_drained_when_the_last_request_has_ended(serve, status):
    s = serve(SLOW)
    old = s.workers()
    with hold(s, 1500) as c:
        held(s, status)
        done = s.ctl("reload", "--wait=drained")
        assert done.returncode == 0, done.stderr
        lines = done.stdout.splitlines()
        assert lines[-2].startswith("generation 2 is live with 2 workers; waiting for ") and "at most 30 s" in lines[-2]
        assert lines[-1] == "generation 2 is live with 2 workers; the old workers have gone"
        assert not set(old) & set(s.workers())
        assert c.response().status == 200


def test_drained_within_a_time(serve, status):
    s = serve(SLOW)
    with hold(s, 60000):
        held(s, status)
        done = s.ctl("reload", "--wait=drained", "--timeout=2s")
        assert done.returncode == 75
        assert "within 2 s" in done.stderr and "generation 2 is live with 2 workers; waiting for" in done.stderr
        assert status(s)["draining"] >= 1
        assert s.ctl("status").returncode == 0
        s.stop(signal.SIGINT)


def test_drained_of_a_bad_reload(serve):
    s = serve(SLOW)
    s.configure("[limits]\nmax_bodi = 1\n")
    done = s.ctl("reload", "--wait=drained")
    assert done.returncode == 78 and "cserver.ini:" in done.stderr


def test_two_wait_for_their_own(serve, status):
    """Who waits for the first reload does not wait for what the second one drains."""
    s = serve(SLOW)
    results = {}

    def reload(name):
        results[name] = s.ctl("reload", "--wait=drained").returncode

    with hold(s, 60000) as first:
        held(s, status)
        one = threading.Thread(target=reload, args=["one"])
        one.start()
        wait_for(lambda: status(s)["generation"] == 2)
        with hold(s, 60000) as second:
            held(s, status, 2)
            two = threading.Thread(target=reload, args=["two"])
            two.start()
            wait_for(lambda: status(s)["generation"] == 3)
            assert not results
            cut(first)
            one.join(LIMIT)
            assert results == {"one": 0}
            cut(second)
            two.join(LIMIT)
            assert results == {"one": 0, "two": 0}


def test_many_wait_and_go(serve, control, status):
    """Who waits does not keep others out, and may go away."""
    s = serve(SLOW)
    with hold(s, 60000) as c:
        held(s, status)
        waiting = [control(s).send(b'reload {"wait":"drained"}\n') for _ in range(12)]
        wait_for(lambda: status(s)["generation"] >= 2 and not status(s)["reloading"])
        for w in waiting:
            while "waiting for" not in json.loads(w.until(b"\n"))["progress"]:
                pass
        more = [control(s) for _ in range(12)]
        assert all(m.say("status")["ok"] for m in more)
        for w in waiting[::2]:
            w.close()
        cut(c)
        for w in waiting[1::2]:
            assert json.loads(w.until(b"\n"))["message"].endswith("the old workers have gone")
        assert s.ctl("status").returncode == 0


def test_stop_while_somebody_waits(serve, status, control):
    s = serve(SLOW)
    with hold(s, 60000):
        held(s, status)
        c = control(s).send(b'reload {"wait":"drained"}\n')
        wait_for(lambda: status(s)["generation"] == 2 and not status(s)["reloading"])
        assert s.stop(signal.SIGINT) == 0
        last = c.rest().splitlines()[-1]
        assert json.loads(last)["code"] == 0 and b"the old workers have gone" in last


# ---- JSON where there is no answer -----------------------------------------------------------------

@pytest.mark.parametrize("command,code", [("status", 3), ("stop", 7), ("reload", 7)])
def test_not_running_as_json(serve, command, code):
    done = serve(SLOW, start=False).ctl(command, "--json")
    answer = json.loads(done.stdout)
    assert done.returncode == code == answer["code"] and not answer["ok"] and done.stderr == ""


def test_no_answer_as_json(serve):
    s = serve(SLOW)
    s.signal(signal.SIGSTOP)
    try:
        done = s.ctl("reload", "--json", "--timeout", "500ms")
    finally:
        s.signal(signal.SIGCONT)
    answer = json.loads(done.stdout)
    assert done.returncode == 75 == answer["code"] and answer["pid"] == s.pid and "within 500 ms" in answer["message"]


def test_refused_stop_as_json(serve, status):
    """All words print one object, whatever comes of them."""
    s = serve(SLOW)
    s.configure("[limits]\nmax_bodi = 1\n")
    answer = json.loads(s.ctl("reload", "--json").stdout)
    assert answer["code"] == 78 and "cserver.ini:" in answer["report"] and answer["generation"] == 1
    assert json.loads(s.ctl("reopen", "--json").stdout)["ok"]


# ---- Status: who drains ----------------------------------------------------------------------------

def test_draining_workers_are_listed(serve, status):
    s = serve(SLOW, server={"workers": 1})
    old = s.workers()[0]
    with hold(s, 60000):
        held(s, status)
        assert s.ctl("reload").returncode == 0
        now = status(s)
        one = next(w for w in now["workers"] if w["pid"] == old)
        drains = one["drains"]
        assert now["draining"] == 1 and one["connections"] == 1 and one["generation"] == 1
        assert drains["why"] == "reload" and drains["for_ms"] >= 0 and 0 < drains["left_ms"] <= 30000
        assert all("drains" not in w for w in now["workers"] if w["pid"] != old)
        text = s.ctl("status").stdout
        assert f"(pid {old}, generation 1) drains for " in text
        assert "(since a reload): 1 connection (1 in a request, 0 streams, 0 idle); at most " in text
        s.signal(signal.SIGTERM)
        wait_for(lambda: status(s)["state"] == "stopping")
        assert {w["drains"]["why"] for w in status(s)["workers"] if "drains" in w} == {"stop"}
        s.stop(signal.SIGINT)


def test_worker_that_a_signal_told_to_drain(serve, status):
    s = serve(SLOW, server={"workers": 1})
    old = s.workers()[0]
    with hold(s, 60000):
        held(s, status)
        s.signal(signal.SIGTERM, old)

        def drains():
            return next((w["drains"] for w in status(s)["workers"] if w["pid"] == old), {}) if any(
                "drains" in w for w in status(s)["workers"]) else None
        assert wait_for(drains) == {"why": "signal", "for_ms": pytest.approx(0, abs=LIMIT * 1000), "left_ms": None}
        assert "(a signal told it to): 1 connection (1 in a request, 0 streams, 0 idle); no time limit" in s.ctl("status").stdout
        s.stop(signal.SIGINT)


# ---- Status: what is wrong -------------------------------------------------------------------------

def test_degraded_says_why(serve, status, bad_start):
    s = serve(SLOW, server={"workers": 1, "log_level": "error"})
    assert status(s)["degraded"] == []
    s.stop()
    s = serve(SLOW + bad_start("crash"), server={"workers": 1, "quarantine": 0}, ready=False)
    wait_for(s.has_control)
    now = wait_for(lambda: (lambda a: a if a["state"] == "degraded" else None)(status(s)))
    assert len(now["degraded"]) == 1 and "workers keep failing" in now["degraded"][0]
    assert "SIGSEGV" in now["degraded"][0]
    assert "degraded: workers keep failing: the last one was killed by SIGSEGV" in s.ctl("status").stdout


# ---- --dev -----------------------------------------------------------------------------------------

def test_server_of_dev(serve):
    s = serve("", start=False)
    so = os.path.join(os.path.dirname(PROGRAM), "modules/hello.so")
    options = ["--dev", so, "-l", str(s.port)]
    assert s.run(*options, "-s", "status").returncode == 3
    s.args = options
    with open(s.path("stderr.txt"), "ab") as out:
        s.process = subprocess.Popen([PROGRAM, *options], cwd=s.folder, env=s.env, stdin=subprocess.DEVNULL, stdout=out,
                                     stderr=out, start_new_session=True)
    wait_for(s.accepts)
    wait_for(lambda: s.run(*options, "-s", "status").returncode == 0)
    done = s.run("-s", "status", *options)
    assert f"pid {s.pid}" in done.stdout and "-s status" in s.log()
    done = s.run("msg", "topics", *options)
    assert done.returncode == 0 and "cserver.members" in done.stdout
    assert s.run("-s", "reload", *options).returncode == 0
    assert s.run("-s", "stop", "--no-wait", *options).returncode == 0
    assert s.wait() == 0
