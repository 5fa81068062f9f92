"""-s, -h, -v and friends: words and exit codes."""
import json
import os
import re
import shutil
import signal
import subprocess
import threading

import pytest
from lib.server import LIMIT, PROGRAM, wait_for

HELLO = """
[module:hello]
[route:hello]
match = /hello
handler = hello
"""


@pytest.mark.parametrize("args,code,word", [
    (["-v"], 0, "cserver "), (["-V"], 0, "module ABI: "), (["-h"], 0, "--config FILE"), (["--help"], 0, "-s, --signal"),
    (["--reference"], 0, "max_body"), (["--nonsense"], 2, "unknown option"), (["-s", "restart"], 2, "not \"restart\""),
    (["-c"], 2, "needs a value"), (["reload"], 2, "-s reload"),
])
def test_without_a_server(serve, args, code, word):
    s = serve(HELLO, start=False)
    done = s.run(*args)
    assert done.returncode == code
    assert word in (done.stderr if code else done.stdout)


def test_reference_has_the_modules(serve):
    text = serve(HELLO, start=False).run("--reference").stdout
    for word in ("greeting", "index", "shutdown_timeout"):
        assert word in text


@pytest.mark.parametrize("command,code", [("status", 3), ("stop", 7), ("quit", 7), ("reload", 7), ("reopen", 7)])
def test_not_running(serve, command, code):
    s = serve(HELLO, start=False)
    done = s.ctl(command)
    assert done.returncode == code
    assert "no server is running" in done.stderr


def test_left_over_socket_is_not_running(serve):
    s = serve(HELLO)
    s.signal(signal.SIGKILL)
    s.wait()
    assert os.path.exists(s.control)
    assert s.ctl("status").returncode == 3


@pytest.mark.parametrize("command,code", [("status", 3), ("stop", 7), ("reload", 7)])
def test_control_socket_was_moved_in_the_settings(serve, command, code):
    s = serve(HELLO)
    elsewhere = s.path("other.sock")
    done = s.ctl(command, "-q", "-g", f"server.control={elsewhere}")
    assert done.returncode == code
    assert f"pid {s.pid} runs with these settings" in done.stderr
    assert f"does not answer on {elsewhere}" in done.stderr and "-g server.control=" in done.stderr
    assert s.ctl("status").returncode == 0


def test_status_in_words(serve):
    s = serve(HELLO)
    s.get("/hello")
    done = s.ctl("status")
    assert done.returncode == 0
    for word in (f"cserver is running, pid {s.pid}", f"listening on: 127.0.0.1:{s.port}", "2 of 2 workers ready",
                 *map(str, s.workers())):
        assert word in done.stdout
    s.ctl("reload")
    assert "last reload" in s.ctl("status").stdout


def test_status_as_json(serve):
    s = serve(HELLO)
    done = s.ctl("status", "--json")
    answer = json.loads(done.stdout)
    assert answer["ok"] and answer["pid"] == s.pid and answer["state"] == "running"
    assert [w["number"] for w in answer["workers"]] == [1, 2]
    assert {w["pid"] for w in answer["workers"]} == set(s.workers())


@pytest.mark.parametrize("command", ["stop", "quit"])
def test_it_is_gone_when_the_command_returns(serve, command):
    s = serve(HELLO)
    gone = threading.Thread(target=s.process.wait)
    gone.start()  # reaps it, as an init would
    done = s.ctl(command)
    assert done.returncode == 0, done.stderr
    assert f"pid {s.pid}" in done.stdout and "stopped" in done.stdout
    gone.join(5)
    assert s.process.returncode == 0
    assert not os.path.exists(s.control) and not os.path.exists(s.pid_file)


def test_stop_waits_for_requests(serve, status):
    s = serve("[module:slow]\n[route:slow]\nmatch = /slow\nhandler = slow\n")
    with s.connect() as c:
        c.send(b"GET /slow?ms=800 HTTP/1.1\r\nHost: x\r\n\r\n")
        while not status(s)["connections"]:
            pass
        assert s.ctl("stop").returncode == 0
        assert c.response().status == 200


SLOW = "[module:slow]\n[route:slow]\nmatch = /slow\nhandler = slow\n"
SLOWLY = b"GET /slow?ms=60000 HTTP/1.1\r\nHost: x\r\n\r\n"
WAITS = r"waiting for 1 connection \(1 in a request\), at most [0-9]+ s"


def test_stop_that_takes_too_long(serve, status):
    s = serve(SLOW)
    with s.connect() as c:
        c.send(SLOWLY)
        while not status(s)["connections"]:
            pass
        done = s.ctl("stop", "--timeout", "300ms")
        assert done.returncode == 75
        assert f"the server (pid {s.pid}) has not stopped within 300 ms: it is " in done.stderr
        assert re.search(WAITS, done.stderr) and "not known" not in done.stderr, done.stderr
        s.stop(signal.SIGINT)


@pytest.mark.parametrize("command,limit", [("stop", r", at most [0-9]+ s"), ("quit", ", without a time limit")])
def test_stop_says_what_it_waits_for(serve, status, command, limit):
    s = serve(SLOW)
    with s.connect() as c:
        c.send(SLOWLY)
        while not status(s)["connections"]:
            pass
        with subprocess.Popen([PROGRAM, "-s", command, "-c", s.conf], stdout=subprocess.PIPE, text=True) as told:
            line = told.stdout.readline()
            assert re.fullmatch(r"waiting for 1 connection \(1 in a request\)" + limit + "\n", line), line
            c.close()
            s.signal(signal.SIGINT)
            assert told.stdout.read() == f"the server (pid {s.pid}) has stopped\n"
        assert told.returncode == 0
        s.wait()


def test_a_start_while_the_other_one_stops(serve, status):
    s = serve(SLOW)
    with s.connect() as c:
        c.send(SLOWLY)
        while not status(s)["connections"]:
            pass
        s.ctl("stop", "--no-wait")
        wait_for(lambda: status(s)["state"] == "stopping")
        done = s.run("-c", s.conf)
        assert done.returncode == 1
        assert f"pid {s.pid}" in done.stderr and "is stopping" in done.stderr and "running already" not in done.stderr
        assert re.search(WAITS, done.stderr), done.stderr
        s.stop(signal.SIGINT)


@pytest.mark.parametrize("command", ["stop", "quit", "reload", "reopen", "upgrade"])
def test_the_log_tells_who_has_asked(serve, command):
    s = serve(HELLO)
    with subprocess.Popen([PROGRAM, "-s", command, "-c", s.conf], stdout=subprocess.DEVNULL) as told:
        pass
    s.log_has(f"asked to {command} through the control socket by pid {told.pid} of user {os.getuid()}")


def test_master_that_does_not_answer(serve):
    s = serve(HELLO)
    s.signal(signal.SIGSTOP)
    try:
        done = s.ctl("status", "--timeout", "500ms")
        assert done.returncode == 75
        assert f"pid {s.pid}" in done.stderr
    finally:
        s.signal(signal.SIGCONT)


def test_broken_file_still_finds_the_server(serve):
    s = serve(HELLO)
    s.configure("[limits]\nmax_bodi = 1\n")
    assert s.ctl("status").returncode == 0
    assert s.ctl("stop").returncode == 0


def test_unreadable_rubbish_falls_back_to_the_default_place(serve):
    s = serve(HELLO, server={"control": None}, ready=True)
    assert os.path.exists(s.path("run/cserver.sock"))
    s.write("conf/cserver.ini", "\x00\x01 rubbish [[[\n" * 5)
    assert s.ctl("status").returncode == 0
    os.unlink(s.conf)
    assert s.ctl("status").returncode == 0
    assert s.ctl("stop").returncode == 0


def test_by_prefix_and_by_folder(serve):
    s = serve(HELLO)
    assert s.run("-p", s.folder, "-s", "status").returncode == 0
    assert s.run("-s", "status").returncode == 0  # conf/cserver.ini below the current folder
    elsewhere = subprocess.run([PROGRAM, "-s", "status", "-c", s.conf], cwd="/", capture_output=True, timeout=LIMIT)
    assert elsewhere.returncode == 0


def test_override_tells_where_the_server_is(serve):
    s = serve(HELLO, server={"control": None}, args=["-g", "server.control=other.sock"])
    assert s.ctl("status").returncode == 3
    assert s.run("-c", s.conf, "-g", "server.control=other.sock", "-s", "status").returncode == 0


@pytest.mark.skipif(not shutil.which("setpriv"), reason="needs setpriv")
def test_no_permission(serve, as_root):
    s = serve(HELLO)
    os.chmod(s.folder, 0o755)
    done = subprocess.run(["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", PROGRAM, "-c", s.conf,
                           "-s", "stop"], text=True, capture_output=True, timeout=LIMIT)
    assert done.returncode == 4
    assert "Permission denied" in done.stderr
    os.chmod(s.control, 0o666)
    done = subprocess.run(["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", PROGRAM, "-c", s.conf,
                           "-s", "stop"], text=True, capture_output=True, timeout=LIMIT)
    assert done.returncode == 4
    assert "only root" in done.stderr


def test_quiet(serve):
    s = serve(HELLO)
    done = s.ctl("reload", "-q")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
