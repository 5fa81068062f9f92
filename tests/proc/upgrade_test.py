"""-s upgrade and SIGUSR2: another program takes the place of a running one (P39)."""
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

import pytest
from lib.server import BUILD, OURSELVES, PROGRAM, Server, deadline, is_alive, process_table, title, wait_for
from lib.systemd import Manager, pass_sockets

HELLO = """
[module:hello]
[module:slow]
[route:hello]
match = = /hello
handler = hello
[route:slow]
match = = /slow
handler = slow
delay = 1s
"""


@pytest.fixture
def program(folder):
    """A copy of the program, which a test may replace: program(content) puts another one there."""
    path = os.path.join(folder, "cserver")

    def replace(content=None, mode=0o755):
        beside = path + ".new"
        if content is None:
            shutil.copy(PROGRAM, beside)
        else:
            with open(beside, "w", encoding="utf-8") as f:
                f.write(content)
        os.chmod(beside, mode)
        os.rename(beside, path)

    def with_limit(limit):
        return {"program": path, "server": {"modules": os.path.join(BUILD, "modules"), "upgrade_timeout": limit}}

    replace()
    replace.path, replace.with_limit, replace.options = path, with_limit, with_limit("60s")
    return replace


def upgrade(s, *args):
    """-s upgrade; afterwards s is the new server. Returns its output and the process of the old one."""
    done = s.ctl("upgrade", *args)
    assert done.returncode == 0, done.stdout + done.stderr + s.log()
    return done, s.follow()


def refused(s, code, *words):
    """-s upgrade fails with these words, and the old one goes on."""
    pid = s.pid
    wait_for(lambda: json.loads(s.ctl("status", "--json").stdout)["state"] == "running", what="does not run")
    done = s.ctl("upgrade")
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr, s.log())
    for word in words:
        assert word in done.stderr, done.stderr
    assert s.read("cserver.pid").strip() == str(pid)
    state = json.loads(s.ctl("status", "--json").stdout)
    assert state["pid"] == pid and state["state"] == "running"
    assert state["last_upgrade"]["ok"] is False
    assert s.get("/hello").status == 200
    return done


class Load:
    """Clients, some that connect anew for each request and some that keep their connection; counts what goes wrong."""

    def __init__(self, s, fresh=2, kept=2):
        self.server, self.stop, self.good, self.bad = s, False, 0, []
        self.threads = [threading.Thread(target=f) for f in [self.fresh] * fresh + [self.kept] * kept]

    def __enter__(self):
        for t in self.threads:
            t.start()
        wait_for(lambda: self.good > 20, what="no requests")
        return self

    def __exit__(self, *_):
        self.stop = True
        for t in self.threads:
            t.join()

    def more(self, n=50):
        goal = self.good + n
        wait_for(lambda: self.good >= goal or self.bad, what="no more requests")

    def one(self, client):
        client.request("GET", "/hello")
        r = client.getresponse()
        r.read()
        if r.status == 200:
            self.good += 1
        else:
            self.bad.append(r.status)
        return r

    def client(self):
        return http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)

    def fresh(self):
        while not self.stop:
            client = self.client()
            try:
                self.one(client)
            except OSError as e:
                self.bad.append(repr(e))
            client.close()

    def kept(self):
        client = self.client()
        while not self.stop:
            try:
                if self.one(client).getheader("Connection") == "close":
                    client.close()
            except (OSError, http.client.HTTPException) as e:
                self.bad.append(repr(e))
                client.close()
        client.close()


# ---- It goes well --------------------------------------------------------------------------------

def test_new_program_takes_over(serve, program, status):
    s = serve(HELLO, **program.options)
    old = s.pid
    kept = s.connect()
    kept.send(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n").response()
    program()
    done, before = upgrade(s)
    assert f"pid {s.pid} (cserver " in done.stdout and f"has taken over from pid {old}" in done.stdout
    assert "starting " + program.path in done.stdout
    assert s.pid != old
    now = status(s)
    assert now["pid"] == s.pid and now["generation"] == 1 and now["ready"] == 2
    assert s.get("/hello").status == 200
    r = kept.send(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n").response()
    assert r.status == 200 and r["connection"] == "close" and kept.eof()
    assert before.wait(60) == 0
    assert os.path.exists(s.control) and s.read("cserver.pid").strip() == str(s.pid)
    assert os.readlink(f"/proc/{s.pid}/exe") == program.path
    assert s.ctl("reload").returncode == 0
    assert s.stop() == 0
    assert not os.path.exists(s.control) and not os.path.exists(s.pid_file)


def test_by_signal(serve, status):
    s = serve(HELLO)
    s.signal(signal.SIGUSR2)
    wait_for(lambda: s.read("cserver.pid").strip() not in ("", str(s.pid)))
    assert s.follow().wait(60) == 0
    wait_for(lambda: status(s)["state"] == "running")
    assert s.get("/hello").status == 200
    assert f"took over from pid" in s.log()


def test_without_waiting(serve):
    s = serve(HELLO)
    pid = s.pid
    done = s.ctl("upgrade", "--no-wait")
    assert done.returncode == 0 and "asked for" in done.stdout, done
    wait_for(lambda: s.read("cserver.pid").strip() not in ("", str(pid)))
    assert s.follow().wait(60) == 0
    assert s.get("/hello").status == 200


def test_as_json(serve):
    s = serve(HELLO)
    old = s.pid
    done, _ = upgrade(s, "--json")
    answer = json.loads(done.stdout)
    assert answer["ok"] and answer["code"] == 0 and answer["pid"] == old and answer["new_pid"] == s.pid
    assert answer["version"]


def test_several_in_a_row_under_load(serve):
    s = serve(HELLO, server={"drain_timeout": "5s"})
    with Load(s) as load:
        for _ in range(3):
            _, before = upgrade(s)
            load.more()
            assert before.wait(60) == 0
    assert load.bad == []


@pytest.mark.parametrize("policy", ["turn", "exclusive", "reuseport"])
def test_policies_under_load(serve, policy):
    s = serve(f"[accept]\npolicy = {policy}\n" + HELLO, server={"max_workers": 4})
    with Load(s, fresh=3, kept=1) as load:
        _, before = upgrade(s)
        load.more()
        assert before.wait(60) == 0
        load.more()
        s.configure("[accept]\npolicy = reuseport\n" + HELLO, workers=4)
        _, before = upgrade(s)
        load.more()
        assert before.wait(60) == 0
        load.more()
    assert load.bad == []


def test_more_sockets_than_workers_afterwards(serve, status):
    """Sockets that listen go on doing so, whoever serves them."""
    s = serve("[accept]\npolicy = reuseport\n" + HELLO, server={"workers": 4, "max_workers": 4})
    s.configure("[accept]\npolicy = reuseport\n" + HELLO, workers=1, max_workers=1)
    _, before = upgrade(s)
    assert before.wait(60) == 0
    for _ in range(40):
        assert s.get("/hello").status == 200
    assert status(s)["wanted"] == 1


def test_requests_in_flight(serve):
    s = serve(HELLO)
    slow = [s.connect().send(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n") for _ in range(10)]
    upgrade(s)
    for c in slow:
        r = c.response()
        assert r.status == 200


def test_new_settings_count(serve):
    s = serve(HELLO)
    s.configure(HELLO, workers=3)
    upgrade(s)
    assert len(s.workers()) == 3


def test_unix_sockets(serve):
    """The file of one that stays is kept; of one that is not listened on any more it goes."""
    one, two, three = "[listen:one]\naddress = 127.0.0.1:@PORT@, unix:@DIR@/one\n", "unix:@DIR@/two", "unix:@DIR@/3"
    s = serve(one + f"[listen:two]\naddress = {two}\n" + HELLO)
    s.configure(one + f"[listen:two]\naddress = {three}\n" + HELLO)
    _, before = upgrade(s)
    assert before.wait(60) == 0
    wait_for(lambda: not os.path.exists(s.path("two")), what="the file of a socket that nobody asks for")
    assert os.path.exists(s.path("one")) and os.path.exists(s.path("3"))
    request = b"GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    assert s.exchange(request, address=s.path("one")).status == 200
    assert s.exchange(request, address=s.path("3")).status == 200
    assert s.stop() == 0
    assert not os.path.exists(s.path("one")) and not os.path.exists(s.path("3"))


def test_any_port_is_the_same_afterwards(serve, status):
    s = serve("[listen:any]\naddress = 127.0.0.1:0\n" + HELLO, ready=False)
    wait_for(lambda: s.has_pid_file())
    before = status(s)["listeners"]
    upgrade(s)
    assert status(s)["listeners"] == before


def test_control_socket_and_pid_file_elsewhere(serve):
    s = serve(HELLO)
    old = s.process
    s.configure(HELLO, control=s.path("c2"), pid_file=s.path("p2"))
    done = s.run("-c", s.conf, "-g", f"server.control={s.control}", "-s", "upgrade")
    assert done.returncode == 0, done.stderr
    assert old.wait(60) == 0
    assert not os.path.exists(s.control) and not os.path.exists(s.pid_file)
    pid = int(s.read("p2"))
    assert json.loads(s.ctl("status", "--json").stdout)["pid"] == pid
    s.write("cserver.pid", s.read("p2"))
    s.follow()


def test_daemon(serve):
    s = serve(HELLO, server={"error_log": "error.log"}, args=["-D"], ready=False)
    assert s.process.wait(60) == 0
    first = int(s.read("cserver.pid"))
    done = s.ctl("upgrade")
    assert done.returncode == 0, done.stderr
    second = int(s.read("cserver.pid"))
    assert second != first
    wait_for(lambda: not is_alive(first))
    assert s.get("/hello").status == 200
    for fd in (0, 1, 2):
        assert os.readlink(f"/proc/{second}/fd/{fd}") == "/dev/null"


def test_command_line_is_the_same(serve):
    """-g, and a path relative to the folder that the server was started in."""
    s = serve(HELLO, args=["-g", "server.workers=1", "-p", "."], ready=False)
    wait_for(lambda: len(s.workers()) == 1 and s.has_pid_file())
    upgrade(s)
    assert len(s.workers()) == 1
    assert os.readlink(f"/proc/{s.pid}/cwd") == s.folder


def test_no_descriptor_is_left(serve):
    def count(pid):
        return len(os.listdir(f"/proc/{pid}/fd"))

    s = serve(HELLO)
    upgrade(s)[1].wait(60)
    wait_for(lambda: "CSERVER_UPGRADE" not in s.log())
    # What hands over may be counted in the first look: one kept at each upgrade would be more than that.
    first, worker = count(s.pid), count(s.workers()[0])
    for _ in range(4):
        upgrade(s)[1].wait(60)
    wait_for(lambda: count(s.pid) <= first and count(s.workers()[0]) <= worker)
    with open(f"/proc/{s.workers()[0]}/environ", "rb") as f:
        assert b"NOT_THERE" not in f.read()


def test_standard_error_is_handed_on(serve):
    s = serve(HELLO)
    upgrade(s)[1].wait(60)
    for pid in (s.pid, s.workers()[0]):
        assert os.readlink(f"/proc/{pid}/fd/2") == s.path("stderr.txt")


def test_warnings_of_the_settings_are_told(serve):
    s = serve(HELLO)
    s.configure("[limits]\nmax_connections = 5000000\n" + HELLO)
    done, _ = upgrade(s)
    assert "max_connections" in done.stderr


def test_streams_end_within_the_drain(serve):
    """A request that never ends is cut after drain_timeout, not before."""
    s = serve(HELLO.replace("1s", "60s"), server={"drain_timeout": "1s"})
    c = s.connect().send(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
    _, before = upgrade(s)
    assert before.wait(60) == 0
    assert c.eof()


# ---- Nothing comes of it -------------------------------------------------------------------------

BROKEN = [
    ("exits", "#!/bin/sh\necho it is the wrong machine >&2\nexit 3\n", 70, ["status 3", "it is the wrong machine"]),
    ("exits well", "#!/bin/sh\nexit 0\n", 70, ["status 0 before it was ready"]),
    ("crashes", "#!/bin/sh\nkill -SEGV $$\n", 70, ["SIGSEGV"]),
    ("no program", "it is a text\n", 1, ["cannot run", "it is no program"]),
    ("no interpreter", "#!/no/such/thing\n", 1, ["cannot run", "No such file"]),
    ("refuses", "#!/bin/sh\nexit 78\n", 78, ["refused the settings"]),
    ("says much", "#!/bin/sh\nhead -c 3000000 /dev/zero | tr '\\0' x >&2\nexit 1\n", 70, ["status 1", "xxxx"]),
    ("does not know it", "#!/bin/sh\nunset CSERVER_UPGRADE\nexec '" + PROGRAM + '\' "$@"\n', 70, ["running already"]),
    ("garbage", "#!/bin/sh\nCSERVER_UPGRADE=0 exec '" + PROGRAM + '\' "$@"\n', 70, ["cannot be understood"]),
]


@pytest.mark.parametrize("content,code,words", [b[1:] for b in BROKEN], ids=[b[0] for b in BROKEN])
def test_broken_program(serve, program, content, code, words):
    s = serve(HELLO, **program.options)
    program(content)
    refused(s, code, *words, f"pid {s.pid} goes on with the old program")


def test_not_executable(serve, program):
    s = serve(HELLO, **program.options)
    program("x", 0o644)
    done = s.ctl("upgrade")
    assert done.returncode == 1 and "cannot run " + program.path in done.stderr
    assert "Permission denied" in done.stderr


def test_program_is_gone(serve, program):
    s = serve(HELLO, **program.options)
    os.unlink(program.path)
    done = s.ctl("upgrade")
    assert done.returncode == 1 and "No such file" in done.stderr
    assert s.get("/hello").status == 200


def test_silent_program_is_ended(serve, program):
    s = serve(HELLO, **program.with_limit("1s"))
    program("#!/bin/sh\nexec sleep 1000\n")
    done = refused(s, 70, "was not ready within 1000 ms (upgrade_timeout)")
    pid = int(done.stderr.split("(pid ")[1].split(")")[0])
    assert not is_alive(pid)


@pytest.mark.limit(200)
def test_stubborn_program_is_killed(serve, program):
    s = serve(HELLO, **program.with_limit("1s"))
    program("#!/bin/sh\ntrap '' INT TERM\nwhile :; do sleep 1; done\n")
    refused(s, 70, "was not ready within")


def test_bad_settings(serve):
    s = serve(HELLO)
    s.configure(HELLO + "[route:broken]\nhandler = nobody\n")
    done = s.ctl("upgrade")
    assert done.returncode == 78, done.stderr
    assert "cserver.ini:" in done.stderr and "nobody" in done.stderr
    assert s.get("/hello").status == 200 and s.read("cserver.pid").strip() == str(s.pid)


@pytest.mark.parametrize("mode", ["crash", "fail", "exit"])
def test_workers_that_do_not_start(serve, bad_start, mode):
    s = serve(bad_start("good") + HELLO)
    s.configure(bad_start(mode) + HELLO)
    refused(s, 70, "worker ", "before it was ready")
    s.configure(HELLO)
    upgrade(s)


def test_workers_that_hang(serve, bad_start):
    s = serve(bad_start("good") + HELLO, server={"upgrade_timeout": "2s"})
    s.configure(bad_start("hang") + HELLO)
    refused(s, 70, "was not ready within 2000 ms")
    wait_for(lambda: not [p for p in s.ours() if title(p).startswith("cserver: worker") and p not in s.workers()])


def test_address_that_is_taken(serve, busy):
    s = serve(HELLO)
    s.configure(f"[listen:main]\naddress = 127.0.0.1:{s.port}, 127.0.0.1:{busy}\n" + HELLO)
    done = s.ctl("upgrade")
    assert done.returncode == 78 and "in use by another process" in done.stderr
    assert s.get("/hello").status == 200


def test_control_socket_of_another_server(serve):
    other = serve(HELLO)
    s = serve(HELLO)
    s.configure(HELLO, control=other.control)
    done = s.run("-c", s.conf, "-g", f"server.control={s.control}", "-s", "upgrade")
    assert done.returncode == 70 and "is running already" in done.stderr, done.stderr
    assert other.get("/hello").status == 200 and s.get("/hello").status == 200
    s.configure(HELLO, control=s.control)


def test_sockets_after_a_failure(serve, bad_start):
    """The new one wanted a socket for each worker; its connections must not be lost in those."""
    s = serve(bad_start("good") + HELLO)
    s.configure("[accept]\npolicy = reuseport\n" + bad_start("fail") + HELLO)
    assert s.ctl("upgrade").returncode == 70
    for _ in range(40):
        assert s.get("/hello").status == 200


def test_under_load_with_broken_programs(serve, program):
    s = serve(HELLO, **program.options)
    with Load(s) as load:
        for _, content, code, _ in BROKEN[:4]:
            program(content)
            assert s.ctl("upgrade").returncode == code
            load.more()
        program()
        upgrade(s)
        load.more()
    assert load.bad == []


# A new program that says what a test wants it to, after "go" too.
ACTOR = """#!/usr/bin/python3
import os, signal, socket, sys, time
text = os.pread(int(os.environ["CSERVER_UPGRADE"]), 65536, 0).decode()
lines = dict(line.split(" ", 1) for line in text.splitlines())
channel = socket.socket(fileno=int(lines["channel"]))
channel.setblocking(True)
control, pid_file = "@CONTROL@", "@PIDFILE@"
def say(text):
    channel.send(text.encode())
def hear():
    return channel.recv(1024).decode()
def take():
    os.rename(control, control + ".gone")
    s = socket.socket(socket.AF_UNIX)
    s.bind(control)
    with open(pid_file, "w") as f:
        f.write(f"{os.getpid()}\\n")
"""

ACTS = [
    ("dies before go", "say('ready 9')", 70, "before it had taken over"),
    ("dies after go", "say('ready 9'); assert hear() == 'go'; os.kill(os.getpid(), signal.SIGKILL)", 70, "SIGKILL before it had taken over"),
    ("dies in the middle", "say('ready 9'); hear(); take(); os._exit(3)", 70, "status 3 before it had taken over"),
    ("removes the files", "say('ready 9'); hear(); os.unlink(control); os.unlink(pid_file); os._exit(3)", 70, "status 3"),
    ("gives a reason", "say('failed 70 the moon is full'); time.sleep(100)", 70, "the moon is full"),
    ("a reason afterwards", "say('ready 9'); hear(); take(); say('failed 1 no space'); os._exit(1)", 1, "no space"),
    ("a code that is none", "say('failed x y'); say('failed 70 second')", 70, "y;"),
    ("done too early", "say('done'); os._exit(0)", 70, "status 0 before it was ready"),
    ("ready twice", "say('ready 9'); hear(); say('ready 10'); os._exit(4)", 70, "status 4"),
    ("nonsense", "say('hello'); say(' '); say('x' * 2000); say('stop 3'); say('reopen'); os._exit(5)", 70, "status 5"),
    ("a closed channel", "channel.close(); os._exit(6)", 70, "status 6"),
]


@pytest.mark.parametrize("act,code,word", [a[1:] for a in ACTS], ids=[a[0] for a in ACTS])
def test_death_at_any_moment(serve, program, status, act, code, word):
    """Control socket and pid file are the old one's again, whatever had become of them."""
    s = serve(HELLO, **program.options)
    program(ACTOR.replace("@CONTROL@", s.control).replace("@PIDFILE@", s.pid_file) + act + "\n")
    refused(s, code, word)
    program()
    upgrade(s)
    assert status(s)["pid"] == s.pid and s.get("/hello").status == 200


def test_not_of_a_module_that_is_tried(folder):
    s = Server(HELLO, start=False)
    try:
        port = s.port
        module = os.path.join(BUILD, "modules", "hello.so")
        dev = subprocess.Popen([PROGRAM, "--dev", module, "-l", str(port)], cwd=folder, stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_for(s.accepts)
            done = s.run("--dev", module, "-l", str(port), "-s", "upgrade")
            assert done.returncode == 1 and "--dev is not replaced" in done.stderr, done
        finally:
            dev.terminate()
            dev.wait(60)
    finally:
        s.end()


# ---- Meanwhile -----------------------------------------------------------------------------------

SLEEPER = "#!/bin/sh\nexec sleep 1000\n"


def status_field(pid, key):
    """Of /proc/PID/status."""
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return next(line.split()[1] for line in f if line.startswith(key + ":"))


class Asking(threading.Thread):
    """-s upgrade in the background, which has begun."""

    def __init__(self, s):
        super().__init__()
        self.server = s
        self.start()
        s.log_has("upgrade: starting")

    def run(self):
        self.done = self.server.ctl("upgrade")

    def result(self):
        self.join()
        return self.done


def test_second_one_and_reload_meanwhile(serve, program, status):
    s = serve(HELLO, **program.with_limit("3s"))
    program(SLEEPER)
    first = Asking(s)
    done = s.ctl("upgrade")
    assert done.returncode == 1 and "an upgrade is under way" in done.stderr
    done = s.ctl("reload")
    assert done.returncode == 1 and "an upgrade is under way" in done.stderr
    assert status(s)["upgrade"]["state"] == "under way"
    s.signal(signal.SIGUSR2)
    s.signal(signal.SIGHUP)
    assert first.result().returncode == 70
    wait_for(lambda: status(s)["generation"] == 2 and status(s)["reloads"] == 1)


def test_hangup_meanwhile_reaches_the_new_one(serve, bad_start, status):
    s = serve(HELLO)
    os.kill(s.pid, signal.SIGSTOP)
    os.kill(s.pid, signal.SIGUSR2)
    os.kill(s.pid, signal.SIGHUP)
    os.kill(s.pid, signal.SIGCONT)
    # Which of the two comes first is the kernel's choice: a reload first refuses the upgrade.
    s.log_has("reload:")
    wait_for(lambda: "took over from" in s.log() or "upgrade refused" in s.log())
    if "took over" in s.log():
        s.follow()
    wait_for(lambda: status(s)["reloads"] == 1)


def test_hangup_after_the_settings_were_read(serve, gate, status):
    """The new one has read them by then, so it reads them again."""
    s = serve(HELLO + gate.settings, server=OURSELVES)
    gate.close()
    asking = Asking(s)
    s.log_has("starts its workers")
    s.configure(HELLO + gate.settings + "[limits]\nmax_body = 999\n", **OURSELVES)
    s.signal(signal.SIGHUP)
    s.log_has("this comes next")
    gate.open()
    assert asking.result().returncode == 0
    s.follow()
    wait_for(lambda: status(s)["reloads"] == 1)
    assert status(s)["revision"] == 1


def test_refused_wish_for_new_workers_is_forgotten(serve, gate, status):
    options = {**OURSELVES, "upgrade_timeout": "1s"}
    s = serve(HELLO + gate.settings, server=options)
    gate.close()
    asking = Asking(s)
    assert s.ctl("reload", "--new-workers").returncode == 1
    assert asking.result().returncode == 70
    gate.open()
    s.configure(HELLO + gate.settings + "[limits]\nmax_body = 999\n", **options)
    assert "(revision 1), without new workers" in s.ctl("reload").stdout


def test_too_late_to_take_over(serve, gate):
    """The old one has given up when the new one hears that it may: unix sockets keep their files."""
    conf = "[listen:one]\naddress = 127.0.0.1:@PORT@, unix:@DIR@/one\n" + HELLO + gate.settings
    s = serve(conf, server={**OURSELVES, "log_level": "debug"})
    old, ready = s.pid, re.compile(r"master\[(\d+)\]: worker \d+ \(pid \d+\) is ready")
    gate.close()
    asking = Asking(s)
    s.log_has("starts its workers")
    new = json.loads(s.ctl("status", "--json").stdout)["upgrade"]["pid"]
    os.kill(old, signal.SIGSTOP)
    gate.open()
    wait_for(lambda: ready.findall(s.log()).count(str(new)) == 2, what="its workers are not ready")
    wait_for(lambda: status_field(new, "State") == "S")
    os.kill(new, signal.SIGSTOP)
    os.kill(old, signal.SIGCONT)
    s.log_has("is ready and takes over")
    wait_for(lambda: int(status_field(new, "ShdPnd"), 16) & 1 << (signal.SIGINT - 1), what="it is not told to end")
    os.kill(new, signal.SIGCONT)
    done = asking.result()
    assert done.returncode == 70 and "did not take over" in done.stderr, done
    assert s.read("cserver.pid").strip() == str(old)
    assert s.exchange(b"GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", address=s.path("one")).status == 200


def test_stop_meanwhile(serve, program):
    s = serve(HELLO, **program.options)
    program(SLEEPER)
    asking = Asking(s)
    assert s.ctl("stop").returncode == 0
    done = asking.result()
    assert done.returncode == 1 and "the server is stopping" in done.stderr
    assert "goes on" not in done.stderr
    assert s.wait() == 0
    assert "goes on" not in s.log()
    assert not s.ours()


def test_status_of_the_new_one_tells_of_the_upgrade(serve, status):
    s = serve(HELLO)
    old = s.pid
    upgrade(s)
    last = status(s)["last_upgrade"]
    assert last["ok"] is True and last["code"] == 0
    assert f"pid {s.pid} (cserver " in last["message"] and f"has taken over from pid {old}" in last["message"]
    assert re.search(rf"^last upgrade: .* ago\), good: pid {s.pid} ", s.ctl("status").stdout, re.M)


def test_stop_while_the_new_one_starts(serve):
    """Whatever moment it hits, nothing is left, or the new one serves."""
    for pause in (0, 0.02, 0.05, 0.1, 0.2):
        s = serve(HELLO)
        s.signal(signal.SIGUSR2)
        time.sleep(pause)
        old = s.process
        old.send_signal(signal.SIGTERM)
        assert old.wait(60) == 0
        text = s.read("cserver.pid").strip()
        if text:
            s.follow()
            assert s.get("/hello").status == 200
        else:
            wait_for(lambda: not s.ours())
            assert not os.path.exists(s.control)


def test_old_one_is_killed_meanwhile(serve, bad_start, status):
    """The new one has the sockets: it goes on alone."""
    s = serve(HELLO)
    old = s.process
    s.signal(signal.SIGUSR2)
    s.log_has("upgrade: starting")
    old.kill()
    old.wait()
    wait_for(lambda: "took over from" in s.log())
    wait_for(lambda: s.read("cserver.pid").strip() not in ("", str(old.pid)))
    s.follow()
    assert s.get("/hello").status == 200
    assert status(s)["pid"] == s.pid


def test_new_one_is_killed_before_it_is_ready(serve, program):
    s = serve(HELLO, **program.options)
    program(SLEEPER)
    asking = Asking(s)
    pid = json.loads(s.ctl("status", "--json").stdout)["upgrade"]["pid"]
    os.kill(pid, signal.SIGKILL)
    done = asking.result()
    assert done.returncode == 70 and "SIGKILL" in done.stderr


def test_reload_is_under_way(serve, bad_start):
    s = serve(bad_start("good") + HELLO)
    s.configure(bad_start("hang") + HELLO)
    s.signal(signal.SIGHUP)
    s.log_has("reload: reading")
    done = s.ctl("upgrade")
    assert done.returncode == 1 and "a reload is under way" in done.stderr


def test_paused_server(serve, status):
    s = serve(HELLO)
    s.signal(signal.SIGWINCH)
    wait_for(lambda: not s.workers())
    upgrade(s)
    assert s.get("/hello").status == 200


def test_first_process_of_a_container(serve):
    """In a pid namespace of its own the master is pid 1."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("needs root and unshare")
    s = serve(HELLO, start=False)
    with open(s.path("stderr.txt"), "ab") as out:
        p = subprocess.Popen(["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", PROGRAM, "-c", s.conf],
                             cwd=s.folder, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        for _ in deadline(60, "it does not start:\n" + s.log()):
            if p.poll() is not None:
                pytest.skip("no pid namespaces here: " + s.log())
            if os.path.exists(s.pid_file):
                break
        assert s.read("cserver.pid").strip() == "1"
        done = s.ctl("upgrade")
        assert done.returncode == 1 and "first process of a container" in done.stderr, done.stderr
        assert s.get("/hello").status == 200
    finally:
        p.kill()
        p.wait()


# ---- The two afterwards --------------------------------------------------------------------------

LONG = HELLO.replace("1s", "600s")


def with_an_old_one(serve, **server):
    """An upgraded server, and the old one, which has a request that does not end."""
    s = serve(LONG, server={"drain_timeout": "600s", "shutdown_timeout": "1s", **server})
    c = s.connect().send(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
    wait_for(lambda: json.loads(s.ctl("status", "--json").stdout)["connections"] >= 1)
    _, before = upgrade(s)
    return s, before, c


def test_hangup_of_the_old_one_reaches_the_new_one(serve, status):
    s, old, _ = with_an_old_one(serve)
    os.kill(old.pid, signal.SIGHUP)
    wait_for(lambda: status(s)["reloads"] == 1)
    assert is_alive(old.pid)


def test_late_pid_file_is_left_to_the_new_one(serve, gate, status):
    """The old one has tried in vain to write it; what it does later would take it from the new one."""
    folder = tempfile.mkdtemp()
    s = serve(LONG + gate.settings, start=False)
    options = {**OURSELVES, "pid_file": os.path.join(folder, "x", "pid"), "drain_timeout": "600s", "shutdown_timeout": "1s"}
    s.configure(LONG + gate.settings, **options)
    gate.close()
    s.start()
    wait_for(lambda: os.path.exists(s.control))
    s.log_has("starting 2 workers")
    wait_for(lambda: os.path.isdir(os.path.join(folder, "x")))
    shutil.rmtree(folder)
    gate.open()
    s.log_has("cannot write the pid file")
    c = s.connect().send(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
    wait_for(lambda: status(s)["connections"] >= 1)
    old = s.process.pid
    assert s.ctl("upgrade").returncode == 0
    with open(options["pid_file"], encoding="ascii") as f:
        new = int(f.read())
    assert new != old
    time.sleep(6)  # it tried every 5 s
    with open(options["pid_file"], encoding="ascii") as f:
        assert int(f.read()) == new
    os.kill(new, signal.SIGTERM)
    c.close()
    wait_for(lambda: not s.ours())
    shutil.rmtree(folder)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_stop_is_for_both(serve, status, how):
    s, before, c = with_an_old_one(serve)
    assert status(s)["old_pid"] == before.pid
    assert f"pid {before.pid}, still drains" in s.ctl("status").stdout
    assert s.stop(how) == 0
    assert before.wait(60) == 0 and c.eof()
    log = s.log()
    assert log.index(f"the server before (pid {before.pid}) has ended") < log.index("stopped", log.index("took over"))


def test_stop_by_command_is_for_both(serve):
    s, before, c = with_an_old_one(serve)
    assert s.ctl("stop").returncode == 0
    assert before.poll() is not None or before.wait(60) == 0
    assert c.eof() and not s.ours()


def test_both_end_when_the_new_one_is_killed(serve):
    s, before, c = with_an_old_one(serve)
    os.kill(s.pid, signal.SIGKILL)
    assert before.wait(60) == 0 and c.eof()
    wait_for(lambda: not s.ours())


def test_old_one_that_stands_still_is_killed(serve):
    s, before, c = with_an_old_one(serve)
    os.kill(before.pid, signal.SIGSTOP)
    assert s.stop(signal.SIGINT) == 0
    assert before.wait(60) == -signal.SIGKILL
    wait_for(lambda: not s.ours())


def test_three_in_a_row(serve):
    """Each waits for the one before, so a stop reaches them all."""
    s, first, c = with_an_old_one(serve)
    _, second = upgrade(s)
    wait_for(lambda: not [p for p in s.ours() if title(p).startswith("cserver: worker") and parent(p) == second.pid])
    assert second.poll() is None and first.poll() is None
    assert s.stop() == 0
    assert second.wait(60) == 0 and first.wait(60) == 0 and c.eof()


def parent(pid):
    return process_table().get(pid, (0,))[0]


def test_logs_are_opened_again_by_both(serve):
    s = serve(LONG, server={"error_log": "@DIR@/error.log", "drain_timeout": "600s"})
    c = s.connect()
    c.send(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n").response()
    _, before = upgrade(s)
    for name in ("error.log", "access.log"):
        os.rename(s.path(name), s.path(name + ".1"))
    assert s.ctl("reopen").returncode == 0
    sizes = [os.path.getsize(s.path(name + ".1")) for name in ("error.log", "access.log")]
    assert c.send(b"GET /hello?last HTTP/1.1\r\nHost: x\r\n\r\n").response()["connection"] == "close"
    assert before.wait(60) == 0
    wait_for(lambda: "/hello?last" in s.read("access.log"))
    assert "the old server has ended" in s.read("error.log")
    assert sizes == [os.path.getsize(s.path(name + ".1")) for name in ("error.log", "access.log")]


# ---- systemd -------------------------------------------------------------------------------------

@pytest.fixture
def manager(folder):
    m = Manager(os.path.join(folder, "notify"))
    yield m
    m.close()


def test_systemd_is_told_of_the_main_process(serve, manager):
    s = serve(HELLO, env={**manager.env, "WATCHDOG_USEC": "400000"})
    manager.wait_states("READY")
    old = s.pid
    _, before = upgrade(s)
    manager.wait_states("READY", "READY")
    assert manager.said("MAINPID") == [str(s.pid)]
    at = next(i for i, m in enumerate(manager.messages) if "MAINPID" in m)
    assert {m.pid for m in manager.messages[:at + 1]} == {old}
    assert {m.pid for m in manager.messages[at + 1:]} == {s.pid}
    manager.wait_status("generation 1, 2 of 2 workers ready")
    manager.wait(lambda: [m for m in manager.receive() if m.pid == s.pid and "WATCHDOG" in m], "WATCHDOG of the new one")
    assert before.wait(60) == 0
    upgrade(s)
    manager.wait_states("READY", "READY", "READY")
    assert manager.said("MAINPID")[1:] == [str(s.pid)]
    assert s.stop() == 0
    assert manager.states() == ["READY", "READY", "READY", "STOPPING"]


def test_systemd_is_told_nothing_of_a_failure(serve, manager, bad_start):
    s = serve(bad_start("good") + HELLO, env=manager.env)
    manager.wait_states("READY")
    for settings in (bad_start("crash") + HELLO, "[broken]\n" + HELLO):
        s.configure(settings)
        assert s.ctl("upgrade").returncode in (70, 78)
    s.configure(HELLO)
    assert s.ctl("reload").returncode == 0
    manager.wait_states("READY", "RELOADING", "READY")
    assert {m.pid for m in manager.messages} == {s.pid} and manager.said("MAINPID") == []


def test_sockets_of_systemd(serve):
    """Also one that nobody listens on yet, and names."""
    with socket.create_server(("127.0.0.1", 0)) as web, socket.create_server(("127.0.0.1", 0)) as later:
        one = "[listen:web]\naddress = socket:web\n" + HELLO
        s = serve(one, start=False)
        pass_sockets(s, [web, later], names=["web", "later"])
        wait_for(s.has_pid_file)
        request = b"GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        for _ in range(2):
            _, before = upgrade(s)
            assert before.wait(60) == 0
            assert s.exchange(request, address=web.getsockname()).status == 200
        s.configure("[listen:later]\naddress = socket:later\n" + one)
        assert s.ctl("reload").returncode == 0
        assert s.exchange(request, address=later.getsockname()).status == 200
        upgrade(s)
        assert s.exchange(request, address=later.getsockname()).status == 200
        assert s.exchange(request, address=web.getsockname()).status == 200


def test_tail_ends(mailed, mail_module):
    s = mailed({"mail": mail_module}).server
    tail = subprocess.Popen([PROGRAM, "-c", s.conf, "msg", "tail", "a", "--json"], stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert b"watching" in tail.stdout.readline()
    upgrade(s)
    assert tail.wait(60) == 0, tail.stdout.read()


def test_low_port_without_root(serve, as_root):
    """The right to open one is handed on, and workers do not have it."""
    if shutil.which("setpriv") is None:
        pytest.skip("needs setpriv")
    s = serve(HELLO, start=False)
    shutil.chown(s.folder, "nobody")
    shutil.chown(s.path("conf"), "nobody")
    low = next(p for p in range(1023, 600, -1) if is_free(p))
    with open(s.path("stderr.txt"), "ab") as out:
        s.process = subprocess.Popen(["setpriv", "--reuid=65534", "--clear-groups", "--inh-caps=-all,+net_bind_service",
                                      "--ambient-caps=+net_bind_service", PROGRAM, "-c", s.conf], cwd=s.folder,
                                     stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
    s.wait_ready()
    s.configure(f"[listen:low]\naddress = 127.0.0.1:{low}, 127.0.0.1:{s.port}\n" + HELLO)
    upgrade(s)
    request = b"GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    assert s.exchange(request, address=("127.0.0.1", low)).status == 200
    with open(f"/proc/{s.workers()[0]}/status", encoding="ascii") as f:
        assert "CapPrm:\t0000000000000000" in f.read()


def is_free(port):
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) != 0


# ---- The primary ---------------------------------------------------------------------------------

def test_never_two_primaries(mailed, mail_module):
    m = mailed({"mail": mail_module})
    s = m.server
    first = s.primary()
    assert first
    _, before = upgrade(s)
    new = wait_for(s.primary)
    assert not is_alive(first) and new != first
    log = s.log()
    assert before.wait(60) == 0, log
