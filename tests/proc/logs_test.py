"""Log files: their modes, rotation with and without a word, and disks that are full."""
import os
import signal
import stat
import subprocess
import threading
import time

import pytest
from lib.clients import Clients
from lib.server import build_module, wait_for

HELLO = """
[module:hello]
[route:hello]
match = /hello
handler = hello
[module:slow]
[route:slow]
match = /slow
handler = slow
"""


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def lines(path):
    try:
        with open(path, "rb") as f:
            return f.read().count(b"\n")
    except FileNotFoundError:
        return 0


def open_files(pid):
    """Paths; none when it has ended."""
    try:
        return [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
    except OSError:
        return []


# ---- Modes, and places where everybody may make files ---------------------------------------------

@pytest.mark.parametrize("mask", ["000", "077"])
def test_modes_under_any_umask(serve, mask):
    s = serve(HELLO, start=False)
    s.configure(HELLO, error_log=s.path("log/e.log"), access_log=s.path("log/a.log"), pid_file=s.path("run/x.pid"),
                control=s.path("run/x.sock"))
    s.wrap = ["sh", "-c", f'umask {mask}; exec "$@"', "sh"]
    s.start()
    wait_for(lambda: os.path.exists(s.path("run/x.pid")))

    def look():
        assert [oct(mode(s.path(p))) for p in ("log/e.log", "log/a.log")] == ["0o640", "0o640"]
        assert oct(mode(s.path("run/x.pid"))) == "0o644"
        assert oct(mode(s.path("run/x.sock"))) == "0o660"
        assert [oct(mode(s.path(p))) for p in ("log", "run")] == ["0o755", "0o755"]
    look()
    for name in ("e", "a"):
        os.rename(s.path(f"log/{name}.log"), s.path(f"log/{name}.log.1"))
    assert s.ctl("reopen").returncode == 0
    look()


def open_folder(s):
    os.mkdir(s.path("open"))
    os.chmod(s.path("open"), 0o1777)
    return s.path("open/e.log")


@pytest.mark.parametrize("args", [[], ["-t"]])
def test_no_link_is_followed_where_everybody_may_make_one(serve, args):
    s = serve(HELLO, start=False)
    log = open_folder(s)
    precious = s.write("precious", "precious\n")
    os.symlink(precious, log)
    s.configure(HELLO, error_log=log)
    done = s.run("-c", s.conf, *args)
    assert done.returncode == 78
    assert "cserver.ini:" in done.stderr and "it is a symbolic link, which is not followed" in done.stderr
    assert s.read("precious") == "precious\n"


def test_file_of_somebody_else_where_everybody_may_make_one(serve, as_root):
    s = serve(HELLO, start=False)
    log = open_folder(s)
    s.write("open/e.log", "")
    os.chown(log, 65534, 65534)
    s.configure(HELLO, error_log=log)
    for args in ([], ["-t"]):
        done = s.run("-c", s.conf, *args)
        assert done.returncode == 78 and "it belongs to another user" in done.stderr, done.stderr
    assert s.read("open/e.log") == ""


def folder_of_another(s):
    os.mkdir(s.path("theirs"))
    os.chown(s.path("theirs"), 65534, 65534)
    return s.path("theirs/e.log")


@pytest.mark.parametrize("args", [[], ["-t"]])
def test_link_of_the_user_whom_the_folder_belongs_to(serve, as_root, args):
    """Whoever has broken into a worker would have root write where he likes."""
    s = serve(HELLO, start=False)
    log = folder_of_another(s)
    precious = s.write("precious", "precious\n")
    os.symlink(precious, log)
    os.chown(log, 65534, 65534, follow_symlinks=False)
    s.configure(HELLO, error_log=log)
    done = s.run("-c", s.conf, *args)
    assert done.returncode == 78
    assert "it is a symbolic link, which is not followed" in done.stderr
    assert s.read("precious") == "precious\n"


def test_what_is_followed_in_a_folder_of_another_user(serve, as_root):
    """A link that root has put there, as images of containers do; and a file of the folder's owner, as logrotate makes."""
    s = serve(HELLO, start=False)
    log = folder_of_another(s)
    os.symlink("../real.log", log)
    s.write("theirs/a.log", "")
    os.chown(s.path("theirs/a.log"), 65534, 65534)
    s.configure(HELLO, error_log=log, access_log=s.path("theirs/a.log"))
    assert s.run("-c", s.conf, "-t").returncode == 0
    s.start()
    wait_for(lambda: "ready: 2 workers" in s.read("real.log"))
    assert s.get("/hello").status == 200
    wait_for(lambda: "/hello" in s.read("theirs/a.log"))


def test_link_at_a_rotation(serve):
    s = serve(HELLO, start=False)
    log = open_folder(s)
    precious = s.write("precious", "precious\n")
    s.configure(HELLO, error_log=log)
    s.start()
    os.rename(log, log + ".1")
    os.symlink(precious, log)
    done = s.ctl("reopen")
    assert done.returncode == 1
    assert "it is a symbolic link" in done.stderr and log in done.stderr
    assert s.read("precious") == "precious\n"
    assert s.get("/hello").status == 200


# ---- P19: rotation --------------------------------------------------------------------------------

ROUNDS = 20


def test_rotation_under_load(serve, status):
    """Lines in all files are as many as requests, and what has been rotated away gets none any more once reopen has
    returned: also from a worker that drains."""
    s = serve(HELLO)
    sizes = {}
    slow = s.connect().send(b"GET /slow?ms=3000 HTTP/1.1\r\nHost: x\r\n\r\n")
    wait_for(lambda: status(s)["connections"] >= 1)
    with Clients(s, "/hello", connections=4) as clients:
        for i in range(ROUNDS):
            begun = clients.answered
            wait_for(lambda n=begun: clients.answered > n + 20)
            if i == 2:
                assert s.ctl("reload").returncode == 0
            old = s.path(f"access.log.{i}")
            os.rename(s.access_log, old)
            done = s.ctl("reopen")
            assert done.returncode == 0, done.stderr
            sizes[old] = os.stat(old).st_size
    with slow:
        assert slow.response().status == 200
    assert clients.wrong == []
    assert s.stop() == 0
    assert {old: os.stat(old).st_size for old in sizes} == sizes
    # A connection that a draining worker ends may end after the answer was sent and before it was counted here.
    total = sum(lines(p) for p in [*sizes, s.access_log])
    assert clients.answered + 1 <= total <= clients.answered + clients.broken + 1
    assert clients.broken == 0


def test_rotated_files_are_let_go(serve, status):
    """One that is open still takes room on the disk after it was removed."""
    s = serve(HELLO, start=False)
    s.configure(HELLO, error_log=s.path("e.log"))
    s.start()
    for i in range(2):
        for path in (s.access_log, s.path("e.log")):
            os.rename(path, f"{path}.{i}")
        assert s.ctl("reopen").returncode == 0
    for pid in (s.pid, *s.workers()):
        assert [p for p in open_files(pid) if p.startswith(s.folder) and p[-1].isdigit()] == []
        assert s.path("e.log") in open_files(pid)


def test_rotation_without_a_word(serve, status):
    """The new file is there within some seconds, and all write to it; that is told once."""
    s = serve(HELLO, start=False)
    s.configure(HELLO, error_log=s.path("e.log"))
    s.start()
    assert s.get("/hello").status == 200
    wait_for(lambda: lines(s.access_log) >= 1)
    for path in (s.access_log, s.path("e.log")):
        os.rename(path, path + ".1")
    wait_for(lambda: "has been opened again" in s.read("e.log"), 30)
    wait_for(lambda: "the logs have been opened again" in s.read("e.log"))
    sizes = [os.stat(p + ".1").st_size for p in (s.access_log, s.path("e.log"))]
    for _ in range(20):
        assert s.get("/hello").status == 200
    wait_for(lambda: lines(s.access_log) == 20)
    assert [os.stat(p + ".1").st_size for p in (s.access_log, s.path("e.log"))] == sizes
    assert s.read("e.log").count("should call `cserver -s reopen`") == 1


def test_removed_without_a_word(serve):
    s = serve(HELLO)
    wait_for(lambda: os.path.exists(s.access_log))
    os.unlink(s.access_log)
    s.log_has("has been opened again")
    assert s.get("/hello").status == 200
    wait_for(lambda: lines(s.access_log) == 1)


def test_place_that_cannot_be_opened_again(serve):
    """It is tried again and again, and told of once."""
    s = serve(HELLO)
    wait_for(lambda: os.path.exists(s.access_log))
    os.rename(s.access_log, s.access_log + ".1")
    os.mkdir(s.access_log)
    s.log_has("lines go to where")
    time.sleep(5)  # one more look at least
    assert s.log().count("cannot open") == 1
    assert s.get("/hello").status == 200
    wait_for(lambda: lines(s.access_log + ".1") == 1)
    done = s.ctl("reopen")
    assert done.returncode == 1 and "access.log" in done.stderr
    os.rmdir(s.access_log)
    s.log_has("has been opened again")
    assert s.get("/hello").status == 200
    wait_for(lambda: lines(s.access_log) == 1)
    assert s.log().count("cannot open") == 1


def test_files_that_left_the_settings(serve, status):
    s = serve(HELLO)
    assert s.get("/hello").status == 200
    s.configure(HELLO, access_log=s.path("other.log"))
    assert s.ctl("reload").returncode == 0
    wait_for(lambda: len(s.workers()) == 2 and not status(s)["draining"])
    os.unlink(s.access_log)
    assert s.ctl("reopen").returncode == 0
    assert s.get("/hello").status == 200
    wait_for(lambda: lines(s.path("other.log")) == 1)
    assert not os.path.exists(s.access_log)


def test_reopen_waits_for_a_worker_that_drains(serve, status):
    s = serve(HELLO, server={"shutdown_timeout": "100ms"})
    slow = s.connect().send(b"GET /slow?ms=60000 HTTP/1.1\r\nHost: x\r\n\r\n")
    wait_for(lambda: status(s)["connections"] >= 1)
    s.ctl("reload")
    wait_for(lambda: len(s.workers()) == 3)
    draining = s.workers("cserver: worker")
    stopped = next(p for p in draining if "draining" in open(f"/proc/{p}/cmdline").read())
    os.kill(stopped, signal.SIGSTOP)
    try:
        answer = []
        thread = threading.Thread(target=lambda: answer.append(s.ctl("reopen")))
        thread.start()
        thread.join(2)
        assert not answer
    finally:
        os.kill(stopped, signal.SIGCONT)
    thread.join()
    assert answer[0].returncode == 0, answer[0].stderr
    slow.close()


# ---- P19: the primary, and a probe that runs meanwhile ---------------------------------------------

LINGER = """
    #include <cserver/cserver.h>
    #include <unistd.h>
    static int on_config(cs_conf *c, const void *conf) { (void)c; (void)conf; usleep(1500000); return CS_OK; }
    static int primary_start(cs_proc *p) { (void)p; return CS_OK; }
    CS_MODULE(.name = "linger", .version = "1.0", .help = "Takes its time to check the settings.",
              .on_config = on_config, .primary_start = primary_start);
"""


def test_reopen_waits_for_primary_and_probe(serve, tmp_path_factory):
    so = build_module(str(tmp_path_factory.mktemp("linger")), "linger", LINGER)
    s = serve(HELLO + f"[module:linger]\nfile = {so}\n", start=False)
    s.configure(HELLO + f"[module:linger]\nfile = {so}\n", error_log=s.path("e.log"))
    s.start()
    primary = wait_for(s.primary)
    reload = threading.Thread(target=s.ctl, args=["reload"])
    reload.start()
    probe = wait_for(lambda: s.workers("cserver: probe"))[0]
    os.rename(s.path("e.log"), s.path("e.log.1"))
    assert s.ctl("reopen").returncode == 0
    for pid in (s.pid, primary, probe, *s.workers()):
        assert s.path("e.log.1") not in open_files(pid)
    reload.join()


# ---- Full disks -----------------------------------------------------------------------------------

@pytest.fixture
def small_disk(tmp_path):
    """A folder with room for 64 KiB and ten files or so."""
    if os.geteuid() != 0:
        pytest.skip("needs root, for a small disk")
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,nr_inodes=12,mode=755", "none", str(tmp_path)],
                          capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr}")
    yield tmp_path
    subprocess.run(["umount", "-l", str(tmp_path)], check=False)


def fill(folder):
    with open(folder / "ballast", "wb", buffering=0) as f:
        try:
            while True:
                f.write(b"x" * 4096)
        except OSError:
            pass


def no_more_files(folder):
    try:
        for i in range(100):
            (folder / f"small{i}").touch()
    except OSError:
        return
    raise AssertionError("there is no end of files")


def test_disk_that_is_full_at_the_start(serve, small_disk):
    """It serves, and makes up for what can be made up for once there is room."""
    s = serve(HELLO, start=False)
    s.configure(HELLO, error_log=small_disk / "e.log", access_log=small_disk / "a.log", pid_file=small_disk / "x.pid")
    fill(small_disk)
    s.start()
    assert [s.get("/hello").status for _ in range(10)] == [200] * 10
    assert not (small_disk / "x.pid").exists()
    assert s.ctl("reload").returncode == 0
    assert s.get("/hello").status == 200
    (small_disk / "ballast").unlink()
    wait_for(lambda: (small_disk / "x.pid").exists())
    assert (small_disk / "x.pid").read_text() == f"{s.pid}\n"
    wait_for(lambda: "the pid file" in (small_disk / "e.log").read_text())
    assert "of this process could not be written: there was no room" in (small_disk / "e.log").read_text()
    assert [s.get("/hello").status for _ in range(4)] == [200] * 4
    wait_for(lambda: lines(small_disk / "a.log") >= 4)


def test_disk_that_is_full_while_the_pid_file_is_elsewhere(serve, small_disk):
    """The start is told of it where it can be told."""
    s = serve(HELLO, server={"pid_file": str(small_disk / "x.pid")}, start=False)
    fill(small_disk)
    s.start()
    s.log_has(f"cannot write the pid file {small_disk}/x.pid: No space left on device; make room")
    (small_disk / "ballast").unlink()
    s.log_has(f"the pid file {small_disk}/x.pid is written now")


@pytest.mark.parametrize("args", [[], ["-t"]])
def test_disk_without_room_for_a_file_at_the_start(serve, small_disk, args):
    s = serve(HELLO, start=False)
    s.configure(HELLO, error_log=small_disk / "e.log")
    no_more_files(small_disk)
    done = s.run("-c", s.conf, *args)
    assert done.returncode == 78
    assert "cserver.ini:" in done.stderr
    assert "e.log: No space left on device; make room there" in done.stderr


def test_disk_without_room_for_a_file_at_a_reload(serve, small_disk, status):
    s = serve(HELLO)
    no_more_files(small_disk)
    s.configure(HELLO, access_log=small_disk / "a.log")
    done = s.ctl("reload")
    assert done.returncode == 78
    assert "a.log: No space left on device; make room there" in done.stderr + done.stdout
    assert status(s)["generation"] == 1
    assert s.get("/hello").status == 200


def test_rotation_on_a_disk_without_room_for_a_file(serve, small_disk):
    """The old file stays in use: no line is lost."""
    s = serve(HELLO, start=False)
    s.configure(HELLO, access_log=small_disk / "a.log")
    s.start()
    no_more_files(small_disk)
    os.rename(small_disk / "a.log", small_disk / "a.log.1")
    done = s.ctl("reopen")
    assert done.returncode == 1 and "No space left on device" in done.stderr
    assert s.get("/hello").status == 200
    wait_for(lambda: lines(small_disk / "a.log.1") == 1)
    (small_disk / "small0").unlink()
    assert s.ctl("reopen").returncode == 0
    assert s.get("/hello").status == 200
    wait_for(lambda: lines(small_disk / "a.log") == 1)
