"""A hostile world: full disks and pipes, closed descriptors, files that never end, tables that are full."""
import fcntl
import os
import resource
import signal
import socket
import struct
import subprocess
import termios
import time

import pytest
from lib.server import LIMIT, PROGRAM, wait_for
from lib.ten import fill

HELLO = """
[module:hello]
[route:hello]
match = /hello
handler = hello
"""


# ---- Files that never end -------------------------------------------------------------------------

@pytest.mark.parametrize("key", ["error_log", "access_log"])
def test_log_that_is_a_pipe_without_a_reader(serve, key):
    s = serve(HELLO)
    os.mkfifo(s.path("pipe"))
    s.configure(HELLO, **{key: s.path("pipe")})
    done = s.ctl("reload", timeout=20)
    assert done.returncode == 78 and key in done.stderr, done.stderr
    assert s.get("/hello").status == 200


@pytest.mark.parametrize("make", [os.mkfifo, lambda p: os.symlink("/dev/zero", p), os.mkdir],
                         ids=["fifo", "endless", "folder"])
def test_include_of_what_is_no_file(serve, make):
    s = serve(HELLO)
    os.makedirs(s.path("conf/sites"))
    make(s.path("conf/sites/x.ini"))
    s.write("conf/cserver.ini", "include = sites/*.ini\n" + s.read("conf/cserver.ini"))
    done = s.ctl("reload", timeout=30)
    assert done.returncode == 78 and "x.ini" in done.stderr, done.stderr
    assert s.get("/hello").status == 200


@pytest.mark.parametrize("make", [os.mkfifo, lambda p: os.truncate(os.open(p, os.O_RDWR | os.O_CREAT), 1 << 40),
                                  lambda p: os.symlink("/dev/zero", p)], ids=["fifo", "huge", "endless"])
def test_module_that_is_no_file(serve, make):
    s = serve(HELLO)
    make(s.path("x.so"))
    s.configure(HELLO + f"[module:x]\nfile = {s.path('x.so')}\n")
    done = s.ctl("reload", timeout=30)
    assert done.returncode == 78 and "x.so" in done.stderr, done.stderr
    assert s.get("/hello").status == 200


# ---- Descriptors that are not there ---------------------------------------------------------------

@pytest.mark.parametrize("gone", [(0,), (1,), (2,), (0, 1, 2)])
def test_closed_standard_descriptors(serve, gone):
    s = serve(HELLO, start=False)

    def close():
        for fd in gone:
            os.close(fd)
    for args in (["-t"], ["-T"]):
        done = subprocess.run([PROGRAM, "-c", s.conf, *args], preexec_fn=close, timeout=30)
        assert done.returncode == 0
    process = subprocess.Popen([PROGRAM, "-c", s.conf], preexec_fn=close, start_new_session=True)
    try:
        wait_for(s.accepts, 10)
        assert s.get("/hello").status == 200
        done = subprocess.run([PROGRAM, "-c", s.conf, "-s", "status"], preexec_fn=close, timeout=30)
        assert done.returncode == 0
        assert s.ctl("reload").returncode == 0
        assert s.get("/hello").status == 200
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def unread(fd):
    return struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, b"\0" * 4))[0]


def test_error_log_on_a_full_pipe(serve):
    """Nobody reads what the server says: it loses lines, and goes on."""
    s = serve(HELLO, start=False)
    r, w = os.pipe()
    process = subprocess.Popen([PROGRAM, "-c", s.conf, "-g", "server.log_level=debug"], stderr=w,
                               start_new_session=True)
    os.close(w)
    try:
        wait_for(s.accepts, 10)
        for _ in range(1000):  # each says a line; 64 KiB fill the pipe
            process.send_signal(signal.SIGUSR1)
            time.sleep(0.001)
        wait_for(lambda: unread(r) > 60000, 10, "the pipe does not fill")
        assert s.ctl("status", timeout=10).returncode == 0
        assert s.ctl("reload", timeout=20).returncode == 0
        assert s.get("/hello").status == 200
        os.close(r)
        r = -1
        assert s.ctl("reload", timeout=20).returncode == 0
        assert s.get("/hello").status == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        if r >= 0:
            os.close(r)
        if process.poll() is None:
            process.kill()
            process.wait()


# ---- Full tables and disks ------------------------------------------------------------------------

def test_limit_of_file_sizes(serve):
    """A log that may not grow is a log that loses lines."""
    s = serve(HELLO, server={"error_log": "error.log"}, start=False)
    s.write("error.log", "x" * (1 << 20))
    s.write("access.log", "x" * (1 << 20))
    limit = 1 << 20
    process = subprocess.Popen([PROGRAM, "-c", s.conf], start_new_session=True,
                               preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    try:
        wait_for(lambda: process.poll() is not None or s.accepts(), 10)
        assert process.poll() is None, "it ended"
        for _ in range(5):
            assert s.get("/hello").status == 200
        assert s.ctl("reload").returncode == 0
        assert s.get("/hello").status == 200
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def cpu(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_master_without_descriptors(serve):
    """One client is served from what is kept in reserve, another has to wait; the master does not burn meanwhile."""
    s = serve(HELLO)
    undo = fill(s.pid)
    with socket.socket(socket.AF_UNIX) as c, s.connect(s.control) as first:
        assert b'"ok":true' in first.send(b"status\n").until(b"\n")
        c.connect(s.control)
        before = cpu(s.pid)
        time.sleep(1)
        assert cpu(s.pid) - before < 0.3
        s.signal(signal.SIGHUP)
        s.log_has("reload refused", 10)
        assert s.get("/hello").status == 200
        undo()
        c.sendall(b"status\n")
        c.settimeout(LIMIT)
        assert b'"ok":true' in c.recv(65536)
    assert s.ctl("reload").returncode == 0
