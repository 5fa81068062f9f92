"""-t and -T: the same verdict as a start, nothing written, no rights needed."""
import os
import re
import shutil
import signal
import socket
import subprocess

import pytest
import refused
from lib.server import LIMIT, PROGRAM, wait_for

HELLO = refused.GOOD


def test_good(serve):
    s = serve(HELLO, start=False)
    done = s.run("-c", s.conf, "-t")
    assert done.returncode == 0
    assert done.stderr == f"{s.conf}: settings are good\n"
    assert done.stdout == ""


def test_quiet(serve):
    s = serve(HELLO, start=False)
    done = s.run("-c", s.conf, "-tq")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("row", refused.ROWS, ids=refused.NAMES)
def test_refused(serve, busy, row):
    s = serve(HELLO, start=False)
    refused.write(s, row, busy)
    done = s.run("-c", s.conf, "-t")
    assert done.returncode == 78, done.stderr
    refused.check(row, done.stderr)
    assert "settings are refused" in done.stderr
    started = s.run("-c", s.conf)
    assert started.returncode == 78, started.stderr
    refused.check(row, started.stderr)


def test_several_errors_in_one_run(serve, busy):
    s = serve("[limits]\nmax_bodi = 1\n[route:x]\nmatch = /x\nhandler = nobody\n[module:ghost]\n",
              server={"workerz": 3}, start=False)
    done = s.run("-c", s.conf, "-t")
    assert done.returncode == 78
    for word in ("max_bodi", "nobody", "ghost", "workerz"):
        assert word in done.stderr


@pytest.mark.parametrize("name,body", [
    ("crashing when it is unloaded", "__attribute__((destructor)) static void end(void) { raise(SIGABRT); }"),
    ("exiting when it is loaded", "__attribute__((constructor)) static void begin(void) { _exit(0); }"),
])
def test_module_that_is(serve, name, body):
    s = serve(HELLO, start=False)
    s.configure(HELLO + refused.module(s, "odd", f"""
        #include <cserver/cserver.h>
        #include <signal.h>
        #include <unistd.h>
        {body}
        CS_MODULE(.name = "odd", .version = "1.0", .help = "Is odd.");
    """))
    done = s.run("-c", s.conf, "-t")
    assert done.returncode == 78, done.stderr
    assert "loading the module odd" in done.stderr


def test_module_that_hangs(serve):
    s = serve(HELLO, start=False)
    s.configure(HELLO + refused.module(s, "hang", """
        #include <cserver/cserver.h>
        #include <unistd.h>
        __attribute__((constructor)) static void begin(void) { for (;;) pause(); }
        CS_MODULE(.name = "hang", .version = "1.0", .help = "Hangs.");
    """))
    done = s.run("-c", s.conf, "-t")
    assert done.returncode == 78, done.stderr
    assert "within 10 s" in done.stderr and "loading the module hang" in done.stderr


def test_addresses_of_the_running_server_are_no_fault(serve):
    s = serve(HELLO)
    done = s.run("-c", s.conf, "-t")
    assert done.returncode == 0, done.stderr
    assert s.get("/hello").status == 200


def test_address_of_another_server_is(serve):
    other = serve(HELLO)
    s = serve(HELLO, start=False)
    s.configure(f"[listen:main]\naddress = 127.0.0.1:{other.port}\n")
    done = s.run("-c", s.conf, "-t")
    assert done.returncode == 78
    assert f"127.0.0.1:{other.port} is in use" in done.stderr


def test_print_reads_back(serve):
    s = serve(HELLO, start=False)
    first = s.run("-c", s.conf, "-T", "-g", "server.workers=3")
    assert first.returncode == 0
    assert re.search(r"^workers = 3\s+; .*command line", first.stdout, re.M)
    assert re.search(r"^match = /hello\s+; .*cserver.ini:\d+", first.stdout, re.M)
    assert re.search(r"; default", first.stdout)
    again = s.write("conf/again.ini", first.stdout)
    second = s.run("-c", again, "-T")
    assert second.returncode == 0, second.stderr

    def values(text):
        return [line.split(" ; ")[0] for line in text.splitlines()]
    assert values(first.stdout) == values(second.stdout)


def test_print_of_bad_settings(serve):
    s = serve("[limits]\nmax_bodi = 1\n", start=False)
    done = s.run("-c", s.conf, "-T")
    assert (done.returncode, done.stdout) == (78, "")


# ---- P3: it leaves no trace ---------------------------------------------------------------------

WRITES = re.compile(r"O_CREAT|O_TRUNC|\b(rename|unlink|mkdir|rmdir|symlink|link|chmod|chown|truncate|mknod)(at2?)?\(")


def trace(s, *user):
    out = s.path("trace.txt")
    done = subprocess.run(["strace", *user, "-f", "-o", out, "-e", "trace=file,bind", PROGRAM, "-c", s.conf, "-t"],
                          text=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=LIMIT, cwd=s.folder,
                          env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"})  # it cannot be traced twice
    with open(out) as f:
        return done, f.read()


@pytest.mark.skipif(not shutil.which("strace"), reason="needs strace")
@pytest.mark.parametrize("running", [False, True])
def test_it_writes_nothing(serve, running):
    keys = {"pid_file": "a/x.pid", "control": "b/x.sock", "error_log": "l/e.log", "access_log": "l/a.log"}
    s = serve(HELLO + "[listen:main]\naddress = 127.0.0.1:@PORT@, unix:@DIR@/web.sock\n", server=keys, start=running)
    if running:
        wait_for(lambda: s.read("a/x.pid"), 10)
    before = sorted((d, sorted(n)) for d, _, n in os.walk(s.folder))
    done, calls = trace(s)
    assert done.returncode == 0, done.stderr
    os.unlink(s.path("trace.txt"))
    assert sorted((d, sorted(n)) for d, _, n in os.walk(s.folder)) == before
    for line in calls.splitlines():
        if WRITES.search(line) and "= -1" not in line and "/proc/" not in line:
            raise AssertionError(line)
        assert not re.search(r"bind\(.*AF_UNIX", line), line


@pytest.mark.skipif(not shutil.which("strace"), reason="needs strace")
@pytest.mark.parametrize("running", [False, True])
def test_plain_user_writes_nothing_either(serve, as_root, running):
    """Files, folders and sockets that only root may touch: warnings, and no try."""
    keys = {"pid_file": "a/x.pid", "control": "b/x.sock", "error_log": "l/e.log", "access_log": "l/a.log"}
    s = serve(HELLO + "[listen:main]\naddress = 127.0.0.1:@PORT@, unix:@DIR@/web.sock\n", server=keys, start=running)
    os.chmod(s.folder, 0o755)
    if running:
        wait_for(lambda: s.read("a/x.pid"), 10)
    done, calls = trace(s, "-u", "nobody")
    assert done.returncode == 0, done.stderr
    assert "warning: " in done.stderr and "settings are good" in done.stderr
    assert "execve" in calls
    for line in calls.splitlines():
        assert not WRITES.search(line) or "/proc/" in line, line
        assert not re.search(r"bind\(.*AF_UNIX", line), line


@pytest.mark.parametrize("row", refused.ROWS, ids=refused.NAMES)
def test_plain_user_has_the_verdict_of_root(serve, as_root, busy, row):
    s = serve(HELLO, start=False)
    os.chmod(s.folder, 0o755)
    refused.write(s, row, busy)
    done = subprocess.run(["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", PROGRAM, "-c", s.conf, "-t"],
                          text=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=LIMIT, check=False)
    assert done.returncode == 78, done.stderr
    refused.check(row, done.stderr)


@pytest.mark.parametrize("args", [[], ["-t"]])
def test_no_descriptors(serve, args):
    """A table of descriptors that is full is told as such."""
    s = serve(HELLO, start=False)
    done = subprocess.run(["prlimit", "--nofile=8:8", PROGRAM, "-c", s.conf, *args], text=True, capture_output=True,
                          stdin=subprocess.DEVNULL, timeout=LIMIT, check=False)
    assert done.returncode in (1, 78), done.stderr
    assert "Too many open files" in done.stderr and "ulimit -n" in done.stderr


@pytest.mark.skipif(not shutil.which("setpriv"), reason="needs setpriv")
def test_plain_user_gets_the_same_verdict(serve, as_root):
    s = serve(HELLO, server={"user": "www-data", "error_log": "/var/log/cserver-test-x.log"}, start=False)
    os.chmod(s.folder, 0o755)
    done = subprocess.run(["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", PROGRAM, "-c", s.conf, "-t"],
                          text=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=LIMIT)
    assert done.returncode == 0, done.stderr
    assert "warning: cannot write the log /var/log/cserver-test-x.log" in done.stderr
    assert "settings are good" in done.stderr


def test_plain_user_and_a_running_server(serve, as_root):
    s = serve(HELLO)
    os.chmod(s.folder, 0o755)
    s.log_has("ready:")
    before = s.log()
    done = subprocess.run(["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", PROGRAM, "-c", s.conf, "-t"],
                          text=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=LIMIT)
    assert done.returncode == 0, done.stderr
    assert "warning: address" in done.stderr
    assert s.log() == before


def test_plain_user_still_sees_errors(serve, as_root):
    s = serve("[limits]\nmax_bodi = 1\n", start=False)
    os.chmod(s.folder, 0o755)
    done = subprocess.run(["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", PROGRAM, "-c", s.conf, "-t"],
                          text=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=LIMIT)
    assert done.returncode == 78


def test_socket_path_that_is_a_file(serve):
    s = serve(HELLO, start=False)
    s.write("x.sock", "a file")
    s.configure(HELLO, control=s.path("x.sock"))
    done = s.run("-c", s.conf, "-t")
    assert done.returncode == 78
    assert "no socket" in done.stderr
    assert s.read("x.sock") == "a file"


def test_unix_listener_of_another_server_is_left_alone(serve):
    s = serve("[listen:u]\naddress = unix:@DIR@/web.sock\n", start=False)
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(s.path("web.sock"))
        other.listen()
        assert s.run("-c", s.conf, "-t").returncode == 0
        assert os.path.exists(s.path("web.sock"))
        with pytest.raises(BlockingIOError):
            other.setblocking(False)
            other.accept()


def test_plain_user_and_a_root_that_only_root_may_read(serve, as_root):
    s = serve(HELLO, www={"index.html": "x"}, start=False)
    os.chmod(s.folder, 0o755)
    os.chmod(s.path("www"), 0o700)
    done = subprocess.run(["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", PROGRAM, "-c", s.conf, "-t"],
                          text=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=LIMIT)
    assert done.returncode == 0, done.stderr
    assert "warning: " in done.stderr and "www" in done.stderr


@pytest.mark.parametrize("content", [None, "no program\n"])
def test_a_module_that_cannot_be_loaded_is_told_at_its_file(serve, content):
    s = serve(HELLO + "[module:ghost]\n; where it is\nfile = @DIR@/ghost.so\n", start=False)
    if content:
        s.write("ghost.so", content)
    line = s.read("conf/cserver.ini").splitlines().index(f"file = {s.path('ghost.so')}") + 1
    done = s.run("-c", s.conf, "-t")
    assert done.returncode == 78
    assert f"cserver.ini:{line}:8: " in done.stderr, done.stderr
    assert "^" + "~" * (len(s.path("ghost.so")) - 1) in done.stderr, done.stderr


def test_a_file_that_was_cut_off(serve):
    """What is left of it is well-formed."""
    s = serve("[module:hello]\n[route:hello]\nmatch = /hello\nhandler = hello\n")
    whole = s.read("conf/cserver.ini")
    s.write("conf/cserver.ini", "")
    done = s.run("-c", s.conf, "-t")
    assert done.returncode == 78 and "there is nothing in" in done.stderr
    s.signal(signal.SIGHUP)  # an empty file does not tell -s where the server is
    s.log_has("reload refused; generation 1 goes on")
    assert s.get("/hello").status == 200
    s.write("conf/cserver.ini", whole.split("[module:hello]")[0])
    done = s.ctl("reload")
    assert done.returncode == 0 and "no route, and no site with a root" in done.stderr
