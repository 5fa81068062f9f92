"""cserver msg send, tail and topics: the mailbox from the command line and through the control socket."""
import base64
import contextlib
import json
import os
import re
import select
import shutil
import signal
import subprocess
import time

import pytest
from lib.server import LIMIT, OURSELVES, PROGRAM, build_module, deadline, is_alive, wait_for

# Writes down what it gets: topic, sender, hops, number, length and a checksum, one file for each worker and the primary.
PAGER = """
    #include <cserver/cserver.h>
    #include <fcntl.h>
    #include <stdio.h>
    #include <stdlib.h>
    #include <unistd.h>
    static cs_topic *note, *flag, *big, *beat;
    static cs_proc *proc;
    static cs_timer *timer;
    static long left;

    static unsigned long long checksum(const unsigned char *p, size_t n)
    {
        unsigned long long h = 14695981039346656037u;
        for (size_t i = 0; i < n; i++)
            h = (h ^ p[i]) * 1099511628211u;
        return h;
    }
    static void record(const char *topic, const cs_msg *m)
    {
        char path[300], line[200];
        int fd, n;
        snprintf(path, sizeof path, "%s/%d", getenv("CS_PAGER"), cs_self()->slot);
        n = snprintf(line, sizeof line, "%s %d %u %llu %zu %016llx\\n", topic, m->from_slot, m->hops,
                     (unsigned long long)m->number, m->len, checksum(m->data, m->len));
        fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0666);
        if (write(fd, line, (size_t)n) != n)
            abort();
        close(fd);
    }
    static void on_note(const cs_msg *m)
    {
        record("note", m);
        if (cs_self()->slot == 0 && m->len == 4 && !memcmp(m->data, "echo", 4))
            cs_publish(beat, CS_TO_WORKERS, "from the primary", 16);
    }
    static void on_flag(const cs_msg *m) { if (!m->retained) record("flag", m); }
    static void on_big(const cs_msg *m) { record("big", m); }
    static const cs_topic_def topics[] = {{&note, "note", on_note, 100, 0}, {&flag, "flag", on_flag, 100, CS_LATEST},
                                          {&big, "big", on_big, 65536, 0}, {&beat, "beat", 0, 100, 0}, {0}};

    static void on_tick(void *arg)
    {
        char text[32];
        (void)arg;
        for (int i = 0; left > 0 && i < 2000; i++, left--) {
            int n = snprintf(text, sizeof text, "%ld", left);
            if (cs_publish(beat, CS_TO_ALL, text, (size_t)n) != CS_OK)
                return;
        }
    }
    static int on_start(cs_proc *p) { proc = p; return CS_OK; }
    static int handler(cs_req *r)
    {
        left += atol(cs_info(r)->query.p);
        if (!timer)
            timer = cs_every(proc, 1, on_tick, 0);
        return cs_text(r, 200, "it begins");
    }
    CS_MODULE(.name = "pager", .version = "1.0", .help = "Writes messages down.", .topics = topics,
              .worker_start = on_start, .handler = handler);
"""

# Has a topic that nobody takes, and no primary.
MUTE = """
    #include <cserver/cserver.h>
    static cs_topic *quiet;
    static const cs_topic_def topics[] = {{&quiet, "quiet", 0, 10, 0}, {0}};
    static int handler(cs_req *r) { return cs_text(r, 200, "mute"); }
    CS_MODULE(.name = "mute", .version = "1.0", .help = "Only publishes.", .topics = topics, .handler = handler);
"""

SLOW = "[module:slow]\n[route:slow]\nmatch = /slow\nhandler = slow\n"
HOLD = b"GET /slow?ms=60000 HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture(scope="session")
def modules(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("msg"))
    return {"pager": build_module(folder, "pager", PAGER), "mute": build_module(folder, "mute", MUTE)}


def settings(modules, name):
    return f"[module:{name}]\nfile = {modules[name]}\n[route:{name}]\nmatch = /{name}\nhandler = {name}\n" + SLOW


@pytest.fixture
def pager(serve, modules, tmp_path):
    """pager(): a server with two workers and a primary that write down what they get; got(who) reads it."""
    def start(**more):
        s = serve(settings(modules, "pager"), env={"CS_PAGER": str(tmp_path)},
                  server={**OURSELVES, **more.pop("server", {})}, **more)
        s.got = lambda who: got(tmp_path, who)
        s.msg = lambda *args, **options: msg(s, *args, **options)
        wait_for(lambda: (answer(s, "status")["primary"] or {}).get("state") == "ready", 10)
        return s
    return start


@pytest.fixture
def mute(serve, modules):
    s = serve(settings(modules, "mute"))
    s.msg = lambda *args, **options: msg(s, *args, **options)
    return s


def got(folder, who):
    """Messages that a worker (1 ..) or the primary (0) has had: tuples of words."""
    try:
        return [tuple(line.split()) for line in (folder / str(who)).read_text().splitlines()]
    except FileNotFoundError:
        return []


def msg(server, *args, data=None, timeout=LIMIT):
    """cserver msg ARGS; stdout and stderr are text."""
    done = subprocess.run([PROGRAM, "msg", *args, "-c", server.conf], input=data, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=timeout, check=False, cwd=server.folder)
    done.stdout, done.stderr = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    return done


def answer(server, command):
    done = server.ctl(command, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def topic(server, name):
    done = msg(server, "topics", "--json")
    assert done.returncode == 0, done.stderr
    return next(t for t in json.loads(done.stdout)["topics"] if t["name"] == name)


def checksum(data):
    h = 14695981039346656037
    for byte in data:
        h = (h ^ byte) * 1099511628211 % 2**64
    return f"{h:016x}"


class Tail:
    """A running `cserver msg tail`; it watches already."""

    def __init__(self, server, name, *args):
        self.process = subprocess.Popen([PROGRAM, "msg", "tail", name, "-c", server.conf, *args], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.said = self.process.stderr.readline().decode()
        assert self.said == f"watching {name}\n", self.said + self.process.stderr.read().decode()
        self.buffer = b""

    def line(self, seconds=LIMIT):
        end = time.monotonic() + seconds
        while b"\n" not in self.buffer:
            assert select.select([self.process.stdout], [], [], max(0, end - time.monotonic()))[0], "no line comes"
            data = os.read(self.process.stdout.fileno(), 65536)
            if not data:
                return None
            self.buffer += data
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line.decode()

    def object(self):
        return json.loads(self.line())

    def is_silent(self, seconds=0.2):
        return not self.buffer and not select.select([self.process.stdout], [], [], seconds)[0]

    def wait(self):
        """Its exit code, and the rest of what it says."""
        code = self.process.wait(LIMIT)
        return code, self.process.stdout.read().decode(), self.process.stderr.read().decode()

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()


@pytest.fixture
def tail():
    open_ones = []

    def start(*args):
        t = Tail(*args)
        open_ones.append(t)
        return t

    yield start
    for t in open_ones:
        t.close()


# ---- Words -------------------------------------------------------------------------------------

@pytest.mark.parametrize("args,word", [
    ([], "msg needs one of"), (["sned"], "not \"sned\""), (["send"], "a topic and DATA"), (["send", "note"], "a topic and DATA"),
    (["send", "note", "a", "b"], "quote what has blanks"), (["tail"], "needs a topic"), (["tail", "a", "b"], "what is \"b\""),
    (["topics", "a"], "what is \"a\""), (["send", "note", "x", "--to", "worker:0"], "--to takes"),
    (["send", "note", "x", "--to=nobody"], "--to takes"), (["send", "note", "x", "--to"], "needs a value"),
    (["send", "note", "x", "--wait=sent"], "--wait takes applied"), (["send", "note", "x", "--wait"], "needs a value"),
    (["send", "note", "x", "--timeout=soon"], "--timeout takes"), (["send", "note", "-5"], "behind --"),
    (["send", "note", "x", "--frob"], "unknown option --frob"), (["tail", "note", "--to", "all"], "--to goes with msg send"),
    (["topics", "--wait=applied"], "--wait goes with msg send"), (["tail", "note", "--timeout=1s"], "--timeout does not go"),
    (["topics", "-t"], "-t does not go with msg"), (["topics", "-s", "status"], "-s does not go with msg"),
    (["topics", "-D"], "-D does not go with msg"), (["topics", "--reference"], "--reference does not go with msg"),
])
def test_wrong_usage(serve, args, word):
    done = serve(SLOW, start=False).run("msg", *args)
    assert done.returncode == 64
    assert word in done.stderr and "cserver msg --help" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("args", [["msg", "--help"], ["msg", "-h"], ["msg", "send", "--help"], ["-h", "msg", "tail"]])
def test_help(serve, args):
    done = serve(SLOW, start=False).run(*args)
    assert done.returncode == 0
    for word in ("msg send TOPIC DATA", "msg tail TOPIC", "msg topics", "--to WHOM", "--wait WHAT", "--timeout TIME",
                 "--json", "--config FILE", "64 usage"):
        assert word in done.stdout
    assert "--daemon" not in done.stdout


def test_general_help_tells_of_it(serve):
    done = serve(SLOW, start=False).run("--help")
    assert "cserver msg send TOPIC DATA" in done.stdout
    assert "--to" not in done.stdout


@pytest.mark.parametrize("args", [["-t"], ["-s", "status"]])
def test_its_options_are_not_for_others(serve, args):
    done = serve(SLOW, start=False).run(*args, "--to", "all")
    assert done.returncode == 2
    assert "cserver msg send" in done.stderr


@pytest.mark.parametrize("args", [["send", "note", "x"], ["tail", "note"], ["topics"]])
def test_not_running(serve, args):
    s = serve(SLOW, start=False)
    done = msg(s, *args)
    assert done.returncode == 7
    assert "no server is running" in done.stderr
    done = msg(s, *args, "--json")
    assert done.returncode == 7
    assert json.loads(done.stdout)["code"] == 7


@pytest.mark.skipif(not shutil.which("setpriv"), reason="needs setpriv")
@pytest.mark.parametrize("args", [["send", "note", "x"], ["tail", "note"], ["topics"]])
@pytest.mark.parametrize("mode", [0o660, 0o666])
def test_no_permission(serve, as_root, args, mode):
    s = serve(SLOW)
    os.chmod(s.folder, 0o755)
    os.chmod(s.control, mode)
    done = subprocess.run(["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", PROGRAM, "-c", s.conf, "msg",
                           *args], text=True, capture_output=True, timeout=LIMIT)
    assert done.returncode == 4, done.stderr


def test_the_server_is_found_like_by_the_other_commands(pager):
    s = pager()
    assert s.run("msg", "topics").returncode == 0  # conf/cserver.ini here
    assert s.run("-p", s.folder, "msg", "topics").returncode == 0
    assert s.run("msg", "topics", "-p", s.folder).returncode == 0
    assert s.run("-c", s.conf, "msg", "send", "note", "x").returncode == 0
    assert s.run("msg", "-c" + s.conf, "send", "--to=primary", "note", "x").returncode == 0
    other = s.run("msg", "topics", "-c", s.conf, "-g", "server.control=/nowhere.sock")
    assert other.returncode == 7


def test_master_that_stands_still(pager):
    s = pager()
    s.signal(signal.SIGSTOP)
    try:
        for args in (["topics"], ["send", "note", "x"]):
            done = s.msg(*args, "--timeout=300ms")
            assert done.returncode == 75
            assert f"pid {s.pid}" in done.stderr and f"no answer to msg {args[0]}" in done.stderr
    finally:
        s.signal(signal.SIGCONT)


# ---- send --------------------------------------------------------------------------------------

@pytest.mark.parametrize("to,who", [(None, {0, 1, 2}), ("all", {0, 1, 2}), ("workers", {1, 2}), ("primary", {0}),
                                    ("worker:1", {1}), ("worker:2", {2})])
def test_whom(pager, to, who):
    s = pager()
    done = s.msg("send", "note", "hello", *(["--to", to] if to else []), "--wait=applied")
    assert (done.returncode, done.stdout, done.stderr) == (0, "number 1 of note is applied\n", "")
    want = [("note", "-16", "0", "1", "5", checksum(b"hello"))]
    assert {n: s.got(n) for n in range(3)} == {n: want if n in who else [] for n in range(3)}


def test_what_it_says(pager):
    s = pager()
    assert s.msg("send", "note", "x").stdout == "sent number 1 of note to 3 processes\n"
    assert s.msg("send", "note", "x", "--to=primary").stdout == "sent number 2 of note to 1 process\n"
    done = s.msg("send", "note", "x", "-q")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    a = json.loads(s.msg("send", "note", "x", "--json").stdout)
    assert a["ok"] and a["code"] == 0 and a["state"] == "sent" and a["number"] == 4 and a["receivers"] == 3
    b = json.loads(s.msg("send", "note", "x", "--json", "--wait=applied").stdout)
    assert b["state"] == "applied" and b["number"] == 5 and b["seq"] == a["seq"] + 1


EVERY_BYTE = bytes(range(256)) * 256


@pytest.mark.parametrize("name,data,given", [
    ("note", b"", ""), ("note", b"on", "on"), ("note", b"-", None), ("note", b"", None), ("note", b"\0\xff\n", None),
    ("note", "ä€😀".encode(), "ä€😀"), ("note", b"two words\nand a line", "two words\nand a line"),
    ("note", b'"quoted\\"', '"quoted\\"'), ("note", b"x" * 100, "x" * 100), ("big", EVERY_BYTE, None),
    ("big", b"\1" * 65536, None), ("big", b"x" * 65536, None), ("big", b"\xff" * 65535, None),
], ids=range(13))
def test_any_bytes(pager, name, data, given):
    s = pager()
    if given is None:
        done = s.msg("send", name, "-", "--wait=applied", data=data)
    else:
        done = s.msg("send", name, given, "--wait=applied")
    assert done.returncode == 0, done.stderr
    for who in range(3):
        assert s.got(who) == [(name, "-16", "0", "1", str(len(data)), checksum(data))]


def test_data_like_an_option(pager):
    s = pager()
    assert s.msg("send", "--wait=applied", "--", "note", "-x").returncode == 64  # -c stands behind it then
    done = s.run("msg", "-c", s.conf, "send", "--wait=applied", "--", "note", "-x")
    assert done.returncode == 0, done.stderr
    done = s.run("msg", "-c", s.conf, "send", "--wait=applied", "--", "note", "--")
    assert done.returncode == 0, done.stderr
    assert [line[5] for line in s.got(1)] == [checksum(b"-x"), checksum(b"--")]


@pytest.mark.parametrize("name,size,words", [
    ("note", 101, ["a message of note has at most 100 bytes, this has 101", "file"]),
    ("note", 65536, ["at most 100 bytes, this has 65536"]), ("flag", 101, ["at most 100 bytes"]),
    ("big", 65537, ["no topic takes more than 65536 bytes", "file"]), ("big", 10_000_000, ["65536"]),
])
def test_too_big(pager, name, size, words):
    s = pager()
    done = s.msg("send", name, "-", data=b"x" * size)
    assert done.returncode == 1
    for word in words:
        assert word in done.stderr
    assert topic(s, name)["published"] == 0


def test_endless_input(pager):
    s = pager()
    with open("/dev/zero", "rb") as zero:
        done = subprocess.run([PROGRAM, "msg", "send", "big", "-", "-c", s.conf], stdin=zero, capture_output=True,
                              timeout=LIMIT, check=False)
    assert done.returncode == 1 and b"65536" in done.stderr


def test_closed_input(pager):
    s = pager()
    done = subprocess.run(["/bin/sh", "-c", f"exec '{PROGRAM}' msg send big - -c '{s.conf}' <&-"], capture_output=True,
                          timeout=LIMIT, check=False)
    assert done.returncode == 1 and b"cannot read standard input" in done.stderr


@pytest.mark.parametrize("name,words", [
    ("nite", ["there is no topic \"nite\"", "did you mean \"note\"?", "msg topics"]),
    ("bog", ["did you mean \"big\""]), ("nothing like it", ["there are \"note\", \"flag\", \"big\", \"beat\"", "msg topics"]),
    ("", ["there is no topic \"\""]), ("x" * 3000, ["there is no topic"]), ("ä\n\"\\", ["there is no topic"]),
    ("cserver.members", ["the server's own topic"]), ("cserver.answers", ["the server's own topic"]),
], ids=range(8))
def test_wrong_topic(pager, name, words):
    s = pager()
    done = s.msg("send", name, "x")
    assert done.returncode == 1
    for word in words:
        assert word in done.stderr
    assert done.stderr.count("\n") == 1 + name.count("\n")
    a = s.msg("send", name, "x", "--json")
    assert a.returncode == 1 and a.stderr == ""
    assert json.loads(a.stdout)["code"] == 1
    if not name.startswith("cserver."):
        done = s.msg("tail", name)
        assert done.returncode == 1 and words[0] in done.stderr


def test_topic_that_is_no_utf8(pager):
    s = pager()
    done = subprocess.run([PROGRAM, "msg", "send", b"\xff\xfe", "x", "-c", s.conf], capture_output=True, timeout=LIMIT)
    assert done.returncode == 1 and b"there is no topic" in done.stderr


@pytest.mark.parametrize("to", ["worker:3", "worker:6", "worker:9999"])
@pytest.mark.parametrize("wait", [[], ["--wait=applied"]])
def test_no_such_worker(pager, to, wait):
    done = pager().msg("send", "note", "x", "--to", to, *wait)
    assert done.returncode == 1
    assert f"there is no worker {to[7:]}; there are: 1, 2" in done.stderr


@pytest.mark.parametrize("wait", [[], ["--wait=applied"]])
def test_nobody_takes_it(mute, wait):
    done = mute.msg("send", "quiet", "x", "--to=primary", *wait)
    assert done.returncode == 1 and "there is no primary" in done.stderr
    done = mute.msg("send", "quiet", "x", "--to=worker:1", *wait)
    assert done.returncode == 1 and "worker 1 does not take the topic quiet" in done.stderr
    done = mute.msg("send", "quiet", "x", *wait)  # to all there are
    assert done.returncode == 0
    assert "applied" in done.stdout if wait else "to 0 processes" in done.stdout


def test_latest_value_for_those_who_come_later(pager):
    s = pager()
    assert s.msg("send", "flag", "up", "--wait=applied").returncode == 0
    assert s.got(1) == [("flag", "-16", "0", "1", "2", checksum(b"up"))]


# ---- send --wait=applied -----------------------------------------------------------------------

def test_stopped_worker_is_named(pager):
    s = pager()
    pid = s.workers()[1]
    s.signal(signal.SIGSTOP, pid)
    try:
        start = time.monotonic()
        done = s.msg("send", "note", "x", "--wait=applied", "--timeout=400ms")
        assert 0.35 < time.monotonic() - start < 4
        assert done.returncode == 75
        assert f"number 1 of note is sent, but not applied within 400 ms: worker 2 (pid {pid}, ready, stopped (T)) has not " \
               "handled it" in done.stderr
        a = s.msg("send", "note", "x", "--wait=applied", "--timeout=100ms", "--json")
        assert a.returncode == 75 and a.stderr == ""
        a = json.loads(a.stdout)
        assert a["unapplied"] == [{"process": "worker:2", "pid": pid, "state": "ready", "held": True}]
        assert a["state"] == "sent" and a["number"] == 2
        assert [len(s.got(who)) for who in range(3)] == [2, 2, 0]
        assert s.msg("send", "note", "x", "--to=worker:1", "--wait=applied").returncode == 0  # not for the stopped one
    finally:
        s.signal(signal.SIGCONT, pid)
    wait_for(lambda: len(s.got(2)) == 2, 10)
    assert s.msg("send", "note", "x", "--wait=applied").returncode == 0


def test_all_laggards_are_named(pager):
    s = pager()
    pids = [*s.workers(), s.primary()]
    for pid in pids:
        s.signal(signal.SIGSTOP, pid)
    try:
        done = s.msg("send", "note", "x", "--wait=applied", "--timeout=100ms")
        assert done.returncode == 75
        for word in (f"the primary (pid {pids[2]}, ready", f"worker 1 (pid {pids[0]}", f"worker 2 (pid {pids[1]}",
                     "have not handled it"):
            assert word in done.stderr
    finally:
        for pid in pids:
            s.signal(signal.SIGCONT, pid)


def test_it_returns_when_the_laggard_comes_back(pager):
    s = pager()
    pid = s.workers()[0]
    s.signal(signal.SIGSTOP, pid)
    waiting = subprocess.Popen([PROGRAM, "msg", "send", "note", "x", "--wait=applied", "--timeout=0", "-c", s.conf],
                               stdout=subprocess.PIPE)
    try:
        wait_for(lambda: len(s.got(2)) == 1, 10)
        assert waiting.poll() is None
    finally:
        s.signal(signal.SIGCONT, pid)
    assert waiting.wait(LIMIT) == 0
    assert len(s.got(1)) == 1
    waiting.stdout.close()


def test_who_dies_does_not_count(pager):
    s = pager()
    pid = s.workers()[0]
    s.signal(signal.SIGSTOP, pid)
    waiting = subprocess.Popen([PROGRAM, "msg", "send", "note", "x", "--wait=applied", "--timeout=0", "-c", s.conf],
                               stdout=subprocess.PIPE)
    wait_for(lambda: len(s.got(2)) == 1, 10)
    s.signal(signal.SIGKILL, pid)
    assert waiting.wait(LIMIT) == 0
    assert s.got(1) == []
    waiting.stdout.close()


def test_draining_worker_counts(pager):
    """It still has a connection: it is waited for, and handles the message."""
    s = pager(server={"drain_timeout": "60s"})
    with s.connect() as c:
        c.send(HOLD)
        wait_for(lambda: answer(s, "status")["connections"] == 1, 10)
        assert s.ctl("reload").returncode == 0
        wait_for(lambda: answer(s, "status")["draining"] == 1, 10)
        old = next(w for w in answer(s, "status")["workers"] if w["state"] == "draining")
        s.signal(signal.SIGSTOP, old["pid"])
        try:
            done = s.msg("send", "note", "x", "--wait=applied", "--timeout=200ms")
            assert done.returncode == 75
            assert f"worker {old['number']} (pid {old['pid']}, draining, stopped (T)) has not handled it" in done.stderr
        finally:
            s.signal(signal.SIGCONT, old["pid"])
        before = len(wait_for(lambda: s.got(old["number"]), 10))
        assert s.msg("send", "note", "y", "--wait=applied").returncode == 0
        assert len(s.got(old["number"])) == before + 1
        assert s.msg("send", "note", "z", "--wait=applied", f"--to=worker:{old['number']}").returncode == 0
        assert len(s.got(old["number"])) == before + 2
        s.signal(signal.SIGINT, old["pid"])


def test_primary_that_is_killed(pager):
    """Its successor takes over: what waits for it is applied, or reported as lost to it, and not waited for in vain."""
    s = pager()
    s.signal(signal.SIGSTOP, s.primary())
    waiting = subprocess.Popen([PROGRAM, "msg", "send", "note", "x", "--wait=applied", "--timeout=20s", "--to=primary", "-c",
                                s.conf], stdout=subprocess.PIPE)
    wait_for(lambda: topic(s, "note")["published"] == 1, 10)
    s.signal(signal.SIGKILL, s.primary())
    assert waiting.wait(LIMIT) == 0
    assert len(s.got(0)) == 1
    waiting.stdout.close()


def test_full_mailbox(pager):
    """A process that does not read holds the mail up: what is sent waits in the master, and goes out in order. Waiting for
    it tells why it takes so long."""
    s = pager(server={"mailbox_stall": "60s"})
    pid = s.primary()
    s.signal(signal.SIGSTOP, pid)
    try:
        s.get("/pager?20000")
        wait_for(lambda: 8000 < topic(s, "beat")["published"] < 20000, 20)
        done = wait_for(lambda: (lambda d: d if "queue" in d.stdout else None)(s.msg("send", "note", "one")), 20)
        assert done.returncode == 0
        assert "note waits in the master's queue, since some process does not read its messages" in done.stdout
        a = json.loads(s.msg("send", "note", "two", "--json").stdout)
        assert a["state"] == "queued" and a["code"] == 0 and "number" not in a
        done = s.msg("send", "note", "three", "--wait=applied", "--timeout=200ms")
        assert done.returncode == 75 and "has waited in the master's queue for 200 ms" in done.stderr
        assert s.ctl("status").returncode == 0
    finally:
        s.signal(signal.SIGCONT, pid)
    done = s.msg("send", "note", "four", "--wait=applied", "--timeout=30s")
    assert done.returncode == 0, done.stderr
    assert [m[5] for m in s.got(0)][-4:] == [checksum(x) for x in (b"one", b"two", b"three", b"four")]


def test_full_queue(pager):
    """3 MiB of the master's; then sending fails, and says so."""
    s = pager(server={"mailbox_stall": "60s"})
    pid = s.primary()
    s.signal(signal.SIGSTOP, pid)
    try:
        for n in range(200):
            done = s.msg("send", "big", "-", data=b"x" * 65536)
            if done.returncode != 0:
                break
        assert 60 < n < 100
        assert done.returncode == 1 and "the master's queue is full; try again later" in done.stderr
        done = s.msg("send", "big", "-", "--wait=applied", data=b"x" * 65536)
        assert done.returncode == 1 and "queue is full" in done.stderr
        assert s.ctl("status").returncode == 0
    finally:
        s.signal(signal.SIGCONT, pid)
    wait_for(lambda: len(s.got(0)) == n, 30)
    done = s.msg("send", "note", "x", "--wait=applied")
    assert done.returncode == 0, done.stderr


def test_waiting_clients_that_go_away(pager):
    """More than may wait at once: each is forgotten with its client."""
    s = pager()
    pid = s.workers()[0]
    s.signal(signal.SIGSTOP, pid)
    try:
        for _ in range(80):
            with s.connect(s.control) as c:
                c.send(b'send {"topic":"note","data":"x","wait":"applied","timeout_ms":0}\nstatus\n')
                wait_for(lambda: topic(s, "note"), 10)
        done = s.msg("send", "note", "x", "--wait=applied", "--timeout=50ms")
        assert done.returncode == 75, done.stderr
    finally:
        s.signal(signal.SIGCONT, pid)
    assert s.msg("send", "note", "x", "--wait=applied").returncode == 0


def test_half_closed_clients_that_go_away(pager, control):
    """The same for those that had nothing more to ask: first that is seen, then their end."""
    s = pager()
    other, pid = control(s), s.workers()[0]
    s.signal(signal.SIGSTOP, pid)
    try:
        for _ in range(80):
            with s.connect(s.control) as c:
                c.send(b'send {"topic":"note","data":"x","wait":"applied","timeout_ms":0}\n').half_close()
                assert other.say("status")["ok"]
        done = s.msg("send", "note", "x", "--wait=applied", "--timeout=50ms")
        assert done.returncode == 75, done.stderr
    finally:
        s.signal(signal.SIGCONT, pid)


def test_too_many_wait(pager, control):
    s = pager()
    pid = s.workers()[0]
    s.signal(signal.SIGSTOP, pid)
    try:
        waiting = [control(s).send(b'send {"topic":"note","data":"x","wait":"applied","timeout_ms":0}\n') for _ in range(64)]
        wait_for(lambda: topic(s, "note")["published"] == 64, 10)
        done = s.msg("send", "note", "x", "--wait=applied")
        assert done.returncode == 1 and "waited for already" in done.stderr
        assert s.msg("send", "note", "x").returncode == 0
        assert s.ctl("status").returncode == 0
    finally:
        s.signal(signal.SIGCONT, pid)
    for c in waiting:
        assert json.loads(c.until(b"\n"))["state"] == "applied"
        assert c.say("status")["ok"]  # the connection goes on


def test_server_that_ends_meanwhile(pager):
    s = pager()
    pid = s.workers()[0]
    s.signal(signal.SIGSTOP, pid)
    waiting = subprocess.Popen([PROGRAM, "msg", "send", "note", "x", "--wait=applied", "--timeout=0", "-c", s.conf],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_for(lambda: len(s.got(2)) == 1, 10)
    s.signal(signal.SIGKILL)
    s.wait()
    s.signal(signal.SIGCONT, pid)
    assert waiting.wait(LIMIT) == 1
    assert b"went away" in waiting.stderr.read()
    waiting.stdout.close()
    waiting.stderr.close()


# ---- tail --------------------------------------------------------------------------------------

def test_lines(pager, tail):
    s = pager()
    t = tail(s, "note")
    s.msg("send", "note", "on")
    s.msg("send", "note", "-", data=b"\xfftwo\nlines\\ \x1b[31m \xc3\xa4", timeout=LIMIT)
    s.msg("send", "note", "", "--to=worker:1")
    assert t.line().split(maxsplit=3) == ["command", "1", "0", "on"]
    assert t.line() == "command            2   0  \\xfftwo\\x0alines\\x5c \\x1b[31m ä"
    assert t.line().split() == ["command", "3", "0"]
    assert t.is_silent()


def test_objects(pager, tail):
    s = pager()
    t = tail(s, "note", "--json")
    before = time.time()
    s.msg("send", "note", "on\n\"ä\"")
    m = t.object()
    assert abs(m.pop("at_us") / 1e6 - before) < 5
    assert m.pop("seq") > 0
    assert m == {"topic": "note", "number": 1, "from": "command", "incarnation": 1, "to": "all", "hops": 0,
                 "data": "on\n\"ä\""}
    s.msg("send", "note", "-", "--to=worker:2", data=b"\xff\0")
    m = t.object()
    assert m["data"] == {"base64": base64.b64encode(b"\xff\0").decode()} and m["to"] == "worker:2" and m["number"] == 2
    s.msg("send", "note", "", "--to=primary")
    m = t.object()
    assert m["data"] == "" and m["to"] == "primary"


def test_messages_between_processes(pager, tail):
    """It sees what is for others, and from whom."""
    s = pager()
    t, plain, members = tail(s, "beat", "--json"), tail(s, "beat"), tail(s, "cserver.members", "--json")
    s.msg("send", "note", "echo")
    m = t.object()
    assert (m["from"], m["to"], m["hops"], m["data"]) == ("primary", "workers", 1, "from the primary")
    assert plain.line().split(maxsplit=3) == ["primary", "1", "1", "from the primary"]
    s.get("/pager?2")
    a, b = t.object(), t.object()
    assert re.fullmatch("worker:[12]", a["from"]) and (a["to"], a["data"], a["number"]) == ("all", "2", 2)
    assert (b["data"], b["number"], b["from"]) == ("1", 3, a["from"])
    s.signal(signal.SIGKILL, s.workers()[0])
    assert members.object()["from"] == "command"  # it has left
    assert t.is_silent()


@pytest.mark.parametrize("data", [EVERY_BYTE, b"x" * 65536, b"\1" * 65536, b"\xff" * 65536, b""], ids=range(5))
def test_large_messages(pager, tail, data):
    s = pager()
    t, plain = tail(s, "big", "--json"), tail(s, "big")
    for _ in range(3):
        assert s.msg("send", "big", "-", data=data).returncode == 0
    for number in range(1, 4):
        m = t.object()
        assert m["number"] == number
        assert (m["data"].encode() if isinstance(m["data"], str) else base64.b64decode(m["data"]["base64"])) == data
        shown = plain.line()[26:]
        assert re.sub(r"\\x(..)", lambda h: chr(int(h[1], 16)), shown).encode("latin-1") == data


def test_sixteen_tails(pager, tail):
    """They keep nobody out, and all see everything."""
    s = pager()
    tails = [tail(s, "note") for _ in range(16)]
    for n in range(5):
        assert s.msg("send", "note", str(n)).returncode == 0
    assert s.ctl("status").returncode == 0
    assert [[t.line().split()[3] for _ in range(5)] for t in tails] == [list("01234")] * 16
    for t in tails[1:]:
        t.close()
    assert s.msg("send", "note", "last").returncode == 0
    assert tails[0].line().endswith("last")


def test_too_many_tails(pager, control):
    s = pager()
    open_ones = []
    for _ in range(32):
        open_ones.append(control(s).send(b'tail {"topic":"note"}\n'))
        assert json.loads(open_ones[-1].until(b"\n")) == {"tail": "note", "number": 0}
    done = s.msg("tail", "note")
    assert done.returncode == 1 and "too many tails" in done.stderr
    assert s.ctl("status").returncode == 0
    assert s.msg("send", "note", "x").returncode == 0
    for c in open_ones:
        assert json.loads(c.until(b"\n"))["data"] == "x"
    open_ones[0].close()
    wait_for(lambda: tail_works(s), 10)


def tail_works(s):
    process = subprocess.Popen([PROGRAM, "msg", "tail", "note", "-c", s.conf], stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE)
    with contextlib.closing(process.stderr):
        good = process.stderr.readline() == b"watching note\n"
        process.kill()
        process.wait()
        return good


def test_a_tail_that_ends_is_forgotten(pager):
    """More than may be open at once, one after the other, each with its own end."""
    s = pager()
    for n in range(70):
        with s.connect(s.control) as c:
            c.send(b'tail {"topic":"note"}\n')
            assert b"tail" in c.until(b"\n")
            if n % 2:
                s.msg("send", "note", "x")
    assert tail_works(s)


def test_half_closed_tail(pager, control):
    s = pager()
    c = control(s)
    c.send(b'tail {"topic":"note"}\n').half_close()
    assert b"tail" in c.until(b"\n")
    s.msg("send", "note", "x")
    assert json.loads(c.until(b"\n"))["data"] == "x"


def test_half_closed_tails_that_end_are_forgotten(pager, control):
    """Of a topic on which nothing comes."""
    s = pager()
    other = control(s)
    for _ in range(40):
        with s.connect(s.control) as c:
            c.send(b'tail {"topic":"note"}\n').half_close()
            assert b'"tail"' in c.until(b"\n")
            assert other.say("status")["ok"]
    assert tail_works(s)
    with s.connect(s.control) as c:
        c.send(b'tail {"topic":"note"}\n').half_close()
        s.msg("send", "note", "x")
        assert b'"tail"' in c.until(b"\n") and json.loads(c.until(b"\n"))["data"] == "x"
        ticks = cpu_ticks(s.pid)
        time.sleep(1)
        assert cpu_ticks(s.pid) - ticks < 30, "it does not spin on a half-closed one"


def cpu_ticks(pid):
    """Of 10 ms."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def test_a_tail_that_never_reads(pager, control, tail):
    """100,000 messages pass: neither the master nor the mail nor another tail is held up, and what it has not been shown
    is counted, where it is missing."""
    s = pager()
    c, quick, count = control(s), tail(s, "beat", "--json"), 100_000
    c.send(b'tail {"topic":"beat"}\n')
    assert b"tail" in c.until(b"\n")
    s.get(f"/pager?{count}")
    seen = missed = 0
    while seen + missed < count:
        m = quick.object()
        missed += m.get("missed", 0)
        seen += "data" in m
    assert topic(s, "beat")["published"] == count
    assert answer(s, "status")["ready"] == 2
    start = time.monotonic()
    assert s.msg("send", "note", "x", "--wait=applied").returncode == 0
    assert time.monotonic() - start < 5
    assert resident(s.pid) < 100_000
    # Now it reads: all numbers, each shown or within a gap.
    number = gaps = 0
    while number < count:
        m = json.loads(c.until(b"\n"))
        if "missed" in m:
            number += m["missed"]
            gaps += 1
        else:
            number += 1
            assert m["number"] == number and m["data"] == str(count + 1 - number)
    assert number == count and gaps >= 1
    s.get("/pager?1")
    assert json.loads(c.until(b"\n"))["number"] == count + 1


def resident(pid):
    """KiB."""
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read())[1])


def test_missed_in_words(pager, tail):
    s = pager()
    t = tail(s, "beat")
    t.process.send_signal(signal.SIGSTOP)
    s.get("/pager?50000")
    wait_for(lambda: topic(s, "beat")["published"] == 50000, 60)
    t.process.send_signal(signal.SIGCONT)
    number = 0
    while number < 50000:
        line = t.line()
        gap = re.fullmatch(r"\((\d+) messages were missed: this tail was too slow\)", line)
        number += int(gap[1]) if gap else 1
        assert gap or int(line.split()[1]) == number
        t.gap = getattr(t, "gap", 0) + bool(gap)
    assert t.gap >= 1


def test_other_topics(pager, tail):
    """Of other topics it is shown nothing."""
    s = pager()
    t = tail(s, "note")
    s.get("/pager?1000")
    wait_for(lambda: topic(s, "beat")["published"] == 1000, 20)
    assert t.is_silent()
    s.msg("send", "note", "x")
    assert t.line().endswith("x")


def test_a_tail_survives_a_reload(pager, tail):
    s = pager()
    t = tail(s, "note")
    s.msg("send", "note", "before")
    old = s.workers()
    assert s.ctl("reload").returncode == 0
    assert s.msg("send", "note", "after", "--wait=applied").returncode == 0
    s.signal(signal.SIGHUP)
    wait_for(lambda: answer(s, "status")["generation"] == 3, 20)
    s.msg("send", "note", "again")
    assert [t.line().split()[1::2] for _ in range(3)] == [["1", "before"], ["2", "after"], ["3", "again"]]
    wait_for(lambda: not any(map(is_alive, old)), 20)


def test_a_tail_of_a_topic_whose_module_goes(pager, tail):
    s = pager()
    t = tail(s, "note")
    s.configure(SLOW)
    assert s.ctl("reload").returncode == 0
    assert s.msg("send", "note", "x").returncode == 0  # the name stays; nobody takes it now
    assert t.line().endswith("x")


def test_killed_server_ends_a_tail(pager, tail):
    s = pager()
    t = tail(s, "note")
    s.msg("send", "note", "x")
    assert t.line()
    s.signal(signal.SIGKILL)
    s.wait()
    assert t.wait() == (1, "", f"cserver: the server (pid {s.pid}) has gone\n")


@pytest.mark.parametrize("args,said", [([], "cserver: the server has ended\n"), (["--json"], "cserver: the server has ended\n")])
def test_stopped_server_ends_a_tail(pager, tail, args, said):
    s = pager()
    t = tail(s, "note", *args)
    s.msg("send", "note", "x", "--wait=applied")
    assert s.stop() == 0
    code, out, err = t.wait()
    assert code == 0 and err == said
    assert out.count("\n") == 1


def test_interrupted_tail(pager, tail):
    s = pager()
    t = tail(s, "note")
    t.process.send_signal(signal.SIGINT)
    assert t.wait()[0] == -signal.SIGINT


def test_tail_into_a_closed_pipe(pager):
    """As in `msg tail note | head -1`."""
    s = pager()
    t = Tail(s, "note")
    s.msg("send", "note", "x")
    assert t.line()
    t.process.stdout.close()
    for _ in deadline(20, "it goes on"):
        s.msg("send", "note", "x")
        if t.process.poll() is not None:
            break
    assert t.process.returncode == -signal.SIGPIPE
    t.process.stderr.close()


def test_tail_onto_a_full_disk(pager):
    s = pager()
    with open("/dev/full", "wb") as full:
        process = subprocess.Popen([PROGRAM, "msg", "tail", "note", "-c", s.conf], stdout=full, stderr=subprocess.PIPE)
    assert process.stderr.readline() == b"watching note\n"
    for _ in deadline(20, "it goes on"):
        s.msg("send", "note", "x")
        if process.poll() is not None:
            break
    assert process.returncode == 1
    assert b"cannot write" in process.stderr.read()
    process.stderr.close()


def test_tail_of_a_master_that_stands_still(pager, tail):
    """It waits, and goes on afterwards."""
    s = pager()
    t = tail(s, "beat")
    s.signal(signal.SIGSTOP)
    try:
        s.get("/pager?100")
        assert t.is_silent()
    finally:
        s.signal(signal.SIGCONT)
    assert [int(t.line().split()[1]) for _ in range(100)] == list(range(1, 101))


def test_a_master_that_is_too_slow_for_the_mail(pager, tail):
    """It stands still while the mailbox is full, and may be passed over: its tails are told of what they were not shown."""
    s = pager(server={"mailbox_stall": "300ms"})
    t, count = tail(s, "beat", "--json"), 20000
    s.get("/pager?10")
    assert [t.object()["number"] for _ in range(10)] == list(range(1, 11))
    s.signal(signal.SIGSTOP)
    try:
        s.get(f"/pager?{count}")
        time.sleep(1.5)
    finally:
        s.signal(signal.SIGCONT)
    number = 10
    while number < count + 10:
        m = t.object()
        number += m.get("missed", 1)
        assert m.get("number", number) == number
    assert number == count + 10 == topic(s, "beat")["published"]
    assert t.is_silent(1.5)  # nor is anything counted twice


# ---- topics and status -------------------------------------------------------------------------

def test_topics(pager):
    s = pager()
    for _ in range(3):
        s.msg("send", "flag", "up", "--wait=applied")
    s.msg("send", "note", "x", "--to=worker:1", "--wait=applied")
    done = s.msg("topics")
    assert done.returncode == 0
    head, *lines = done.stdout.splitlines()
    assert head.split() == ["name", "owner", "max", "size", "latest", "published", "bytes", "delivered", "lost"]
    table = {line.split()[0]: line.split()[1:] for line in lines}
    assert table["flag"] == ["pager", "100", "yes", "3", "6", "9", "0"]
    assert table["note"] == ["pager", "100", "no", "1", "1", "1", "0"]
    assert table["big"] == ["pager", "65536", "no", "0", "0", "0", "0"]
    assert table["cserver.members"][0] == "cserver"
    assert topic(s, "flag") == {"name": "flag", "owner": "pager", "max_len": 100, "latest": True, "published": 3,
                                "bytes": 6, "delivered": 9, "lost": 0}


def test_topics_of_a_server_without_modules_that_have_any(serve):
    s = serve(SLOW)
    done = msg(s, "topics")
    assert done.returncode == 0
    assert all(line.startswith("cserver.") for line in done.stdout.splitlines()[1:])
    done = msg(s, "send", "note", "x")
    assert done.returncode == 1 and "there is no topic \"note\" (cserver msg topics" in done.stderr


def test_primary_and_lags_in_status(pager):
    s = pager()
    a = answer(s, "status")
    assert a["primary"]["pid"] == s.primary() and a["primary"]["state"] == "ready" and a["primary"]["starts"] == 1
    assert a["primary"]["mail_lag"] == 0
    assert f"primary: pid {s.primary()}, ready\n" in s.ctl("status").stdout
    pid = s.workers()[1]
    s.signal(signal.SIGSTOP, pid)
    try:
        for _ in range(3):
            s.msg("send", "note", "x", "--to=worker:1", "--wait=applied")
        assert [w["mail_lag"] for w in answer(s, "status")["workers"]] == [0, 3]
    finally:
        s.signal(signal.SIGCONT, pid)
    old = s.primary()
    s.signal(signal.SIGKILL, old)
    wait_for(lambda: (answer(s, "status")["primary"] or {}).get("pid") not in (0, old), 10)
    wait_for(lambda: answer(s, "status")["primary"]["state"] == "ready", 10)
    assert answer(s, "status")["primary"]["starts"] == 2
    assert f"primary: pid {s.primary()}, ready, started 2 times\n" in s.ctl("status").stdout


def test_no_primary_in_status(mute):
    assert answer(mute, "status")["primary"] is None
    assert "primary" not in mute.ctl("status").stdout


# ---- The socket --------------------------------------------------------------------------------

@pytest.mark.parametrize("line,code,word", [
    ("send", 2, "topic"), ("send {}", 2, "topic"), ('send {"topic":1,"data":"x"}', 2, "topic"),
    ('send {"topic":"note"}', 2, "data"), ('send {"topic":"note","data":5}', 2, "data"),
    ('send {"topic":"note","data":{"base64":"!"}}', 2, "data"), ('send {"topic":"note","data":"\\x41"}', 2, "data"),
    ('send {"topic":"note","data":"x","to":"me"}', 2, "\\\"to\\\""),
    ('send {"topic":"note","data":"x","to":5}', 2, "\\\"to\\\""),
    ('send {"topic":"note","data":"x","wait":"sent"}', 2, "wait"),
    ('send {"topic":"note","data":"x","wait":"applied","timeout_ms":-1}', 2, "timeout_ms"),
    ('send {"topic":"note","data":"x","wait":"applied","timeout_ms":"x"}', 2, "timeout_ms"),
    ('send {"topic":"note","data":"x"', 0, "sent"), ('send {"data":"x","topic":"note"}', 0, "sent"),
    ('send {"topic":"\\u006eote","data":"\\u0000"}', 0, "sent"), ('send {"topic":"note\\u0000x","data":"x"}', 1, "no topic"),
    ("send note x", 2, "JSON object"), ("tail", 2, "topic"), ("tail {}", 2, "topic"), ('tail {"topic":"nix"}', 1, "no topic"),
    ("topics", 0, "topics"), ("topics {}", 0, "topics"), ("sendx", 2, "send, tail and diff"),
    ('send {"topic":"' + "x" * 90000 + '","data":"x"}', 1, "no topic"),
], ids=range(24))
def test_words(pager, control, line, code, word):
    s = pager()
    a = control(s).say(line)
    assert a["code"] == code and a["ok"] is (code == 0)
    assert word in json.dumps(a)


def test_a_line_that_comes_byte_by_byte(pager, control):
    s = pager()
    c = control(s)
    line = b'send {"topic":"note","data":"slowly"}\n'
    for i in range(len(line)):
        c.send(line[i:i + 1])
    assert json.loads(c.until(b"\n"))["state"] == "sent"


def test_requests_behind_a_long_one(pager, control):
    s = pager()
    c = control(s)
    data = base64.b64encode(EVERY_BYTE).decode()
    request = json.dumps({"topic": "big", "data": {"base64": data}, "wait": "applied"})
    c.send(f"send {request}\nsend {request}\nstatus\n".encode())
    assert [json.loads(c.until(b"\n")).get("state") for _ in range(3)] == ["applied", "applied", "running"]
    assert s.got(1)[0][5] == checksum(EVERY_BYTE)
