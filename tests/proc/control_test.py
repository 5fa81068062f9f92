"""The control socket: its words, and clients that mean harm."""
import json
import os
import socket
import stat
import subprocess
import time

import pytest
from lib.server import LIMIT, Connection, wait_for

HELLO = """
[module:hello]
[route:hello]
match = /hello
handler = hello
"""


def test_mode(serve):
    s = serve(HELLO)
    assert stat.S_IMODE(os.stat(s.control).st_mode) == 0o660


@pytest.mark.parametrize("line,ok,word", [
    ("status", True, "workers"), ("listeners", True, "listeners"), ("reopen", True, "message"),
    ("status {}", True, "workers"), ('status {"a": 1}', True, "workers"),
    ("", False, "unknown command"), ("STATUS", False, "unknown command"), ("statusx", False, "unknown command"),
    ("status now", False, "JSON object"), ("x" * 4000, False, "unknown command"),
    ("\x00\x01\x02", False, "unknown command"), ("\xff\xfe", False, "unknown command"),
])
def test_words(serve, control, line, ok, word):
    s = serve(HELLO)
    answer = control(s).say(line)
    assert answer["ok"] is ok
    assert answer["pid"] == s.pid and answer["generation"] == 1
    assert word in json.dumps(answer)


def test_several_requests_on_one_connection(serve, control):
    s = serve(HELLO)
    c = control(s)
    c.send(b"status\nlisteners\r\nreload\nstatus\n")
    kinds = []
    while len(kinds) < 4:
        answer = json.loads(c.until(b"\n"))
        if "progress" not in answer:
            assert answer["ok"]
            kinds.append(answer["generation"])
    assert kinds == [1, 1, 2, 2]


def test_half_closed_client_gets_its_answer(serve, control):
    s = serve(HELLO)
    c = control(s)
    c.send(b"reload\n").half_close()
    assert b"generation 2 is live" in c.rest()


def test_client_that_goes_away_during_a_reload(serve, control, status):
    s = serve(HELLO)
    c = control(s)
    c.send(b"reload\n")
    c.close()
    wait_for(lambda: status(s)["generation"] == 2, 10)
    assert s.ctl("reload").returncode == 0


def test_line_too_long(serve, control):
    s = serve(HELLO)
    c = control(s)
    c.send(b"x" * 100_000)
    assert b"98303" in c.rest()
    assert s.ctl("status").returncode == 0


def test_endless_bytes(serve, control):
    s = serve(HELLO)
    c = control(s)
    with pytest.raises(OSError):
        for _ in range(1000):
            c.send(b"x" * 65536)
    assert s.ctl("status").returncode == 0


def test_silent_clients_do_not_keep_others_out(serve, control):
    s = serve(HELLO)
    silent = [control(s) for _ in range(40)]
    start = time.monotonic()
    done = s.ctl("status", "--timeout", "5s")
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - start < 5
    assert len([c for c in silent if not c.is_silent(0)]) >= 24  # closed, to make room


def test_client_that_never_reads(serve, control):
    s = serve(HELLO)
    c = control(s)
    c.sock.settimeout(2)
    try:
        for _ in range(2000):
            c.send(b"status\n" * 100)
    except OSError:
        pass
    assert s.ctl("status", "--timeout", "5s").returncode == 0
    assert s.get("/hello").status == 200


def test_silence_is_limited(serve, control):
    s = serve(HELLO)
    c, drip = control(s), control(s)
    drip.send(b"sta")
    start = time.monotonic()
    assert c.eof()
    assert 8 < time.monotonic() - start < 15
    assert drip.eof()


def test_other_users_are_refused(serve, as_root):
    s = serve(HELLO)
    os.chmod(s.folder, 0o755)
    os.chmod(s.control, 0o666)
    code = f"""
import socket
s = socket.socket(socket.AF_UNIX)
s.connect({s.control!r})
try:
    s.sendall(b"stop\\n")
except BrokenPipeError:
    pass  # refused already
print(s.recv(4096).decode())
"""
    done = subprocess.run(["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "/usr/bin/python3", "-c", code],
                          text=True, capture_output=True, timeout=LIMIT)
    assert '"code":4' in done.stdout, done.stderr
    assert s.get("/hello").status == 200
    assert s.ctl("status").returncode == 0


def test_stop_is_answered_and_done(serve, control):
    s = serve(HELLO)
    answer = control(s).say("stop")
    assert answer["ok"] and answer["message"] == "stopping"
    assert s.wait() == 0


def test_long_path(serve, tmp_path):
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    s = serve(HELLO, server={"control": str(deep / "x.sock")})
    assert s.ctl("status").returncode == 0
    assert s.ctl("stop").returncode == 0


def test_many_clients_at_once(serve):
    s = serve(HELLO)
    open_ones = []
    for _ in range(12):
        c = Connection(socket.socket(socket.AF_UNIX))
        c.sock.connect(s.control)
        open_ones.append(c.send(b"status\n"))
    for c in open_ones:
        assert json.loads(c.until(b"\n"))["ok"]
        c.close()
