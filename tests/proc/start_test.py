"""A server begins and ends: exit codes, pid file, titles, background, users, a second one."""
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time

import pytest
from lib.server import (LIMIT, PROGRAM, deadline, is_alive, process_table, title, wait_for)

HELLO = """
[module:hello]
[route:hello]
match = /hello
handler = hello
"""
SLOW = """
[module:slow]
[route:slow]
match = /slow
handler = slow
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_it_ends_with_0(serve, number):
    s = serve(HELLO)
    assert s.get("/hello").status == 200
    s.log_has("ready: 2 workers")
    workers = s.workers()
    assert s.stop(number) == 0
    assert not [p for p in workers if is_alive(p)]
    assert not os.path.exists(s.pid_file)
    assert not os.path.exists(s.control)
    assert f"http://127.0.0.1:{s.port}/" in s.log()


def test_titles(serve):
    s = serve(HELLO)
    assert title(s.pid).startswith("cserver: master")
    assert [title(p) for p in s.workers()] == ["cserver: worker 1", "cserver: worker 2"]


def test_workers_auto_is_the_affinity_mask(serve):
    cpu = next(iter(os.sched_getaffinity(0)))
    s = serve(HELLO, server={"workers": "auto"}, start=False)
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu})
    try:
        s.start()
    finally:
        os.sched_setaffinity(0, before)
    s.log_has("ready: 1 worker,")
    assert len(s.workers()) == 1


def test_pid_file_is_there_once_it_serves(serve):
    s = serve(HELLO)
    wait_for(lambda: s.read("cserver.pid") == f"{s.pid}\n", 5, "no pid file")


def test_folders_are_made(serve):
    s = serve(HELLO, start=False)
    s.configure(HELLO, pid_file=s.path("a/b/x.pid"), control=s.path("a/c/x.sock"), error_log=s.path("l/o/g.log"))
    s.start()
    assert s.get("/hello").status == 200
    wait_for(lambda: "ready" in s.read("l/o/g.log"), 10)
    assert s.stop() == 0


def test_bad_settings_end_with_78(serve):
    s = serve("[limits]\nmax_bodi = 1\n", start=False)
    done = s.run("-c", s.conf)
    assert done.returncode == 78
    assert 'did you mean "max_body"' in done.stderr
    assert "cserver.ini:" in done.stderr
    assert not os.path.exists(s.control) and not os.path.exists(s.pid_file)


def test_no_settings_file(serve):
    s = serve(HELLO, start=False)
    done = s.run("-c", s.path("nothing.ini"))
    assert done.returncode == 78
    assert "nothing.ini" in done.stderr


def test_second_one_on_the_same_control_socket(serve):
    s = serve(HELLO)
    done = s.run("-c", s.conf)
    assert done.returncode == 1
    assert f"pid {s.pid}" in done.stderr and "running already" in done.stderr
    assert s.get("/hello").status == 200
    assert s.ctl("status").returncode == 0


def test_second_one_on_the_same_pid_file(serve):
    s = serve(HELLO)
    done = s.run("-c", s.conf, "-g", f"server.control={s.path('other.sock')}")
    assert done.returncode == 1
    assert "pid file" in done.stderr and "running already" in done.stderr
    assert s.get("/hello").status == 200


def test_busy_port(serve, busy):
    s = serve(f"[listen:main]\naddress = 127.0.0.1:{busy}\n", start=False)
    done = s.run("-c", s.conf)
    assert done.returncode == 78
    assert f"127.0.0.1:{busy} is in use" in done.stderr


@pytest.mark.parametrize("content", ["2147483000\n", "1\n", f"{os.getpid()}\n", ""])
def test_stale_pid_file(serve, content):
    s = serve(HELLO, start=False)
    s.write("cserver.pid", content)
    s.start()
    assert int(s.read("cserver.pid")) == s.pid


def test_a_file_that_is_no_pid_file_stays(serve):
    s = serve(HELLO, server={"pid_file": "precious.txt"}, start=False)
    s.write("precious.txt", "precious\n")
    done = s.run("-c", s.conf)
    assert done.returncode == 78
    assert "no pid file" in done.stderr
    assert s.read("precious.txt") == "precious\n"


def test_left_over_control_socket(serve):
    s = serve(HELLO, start=False)
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(s.control)
    s.start()
    assert s.ctl("status").returncode == 0


def test_background(serve):
    s = serve(HELLO, start=False)
    done = s.run("-c", s.conf, "-D", "-g", f"server.error_log={s.error_log}")
    assert done.returncode == 0, done.stderr
    pid = int(s.read("cserver.pid"))
    assert s.get("/hello").status == 200
    assert os.getsid(pid) == pid
    for fd in (0, 1, 2):
        assert os.readlink(f"/proc/{pid}/fd/{fd}") == "/dev/null"
    assert s.ctl("stop").returncode == 0
    assert not is_alive(pid)
    assert not os.path.exists(s.pid_file)


def test_background_says_what_is_wrong(serve):
    s = serve("[limits]\nmax_bodi = 1\n", start=False)
    done = s.run("-c", s.conf, "-D")
    assert done.returncode == 78
    assert "max_body" in done.stderr


def test_background_without_a_worker(serve, bad_start):
    s = serve(bad_start("crash"), server={"quarantine": 0}, start=False)
    done = s.run("-c", s.conf, "-D", "-g", f"server.error_log={s.error_log}")
    assert done.returncode == 1
    assert "no worker starts" in done.stderr
    assert not os.path.exists(s.pid_file)
    assert s.ctl("stop").returncode == 0


def test_early_error_log(serve):
    s = serve("[limits]\nmax_bodi = 1\n", start=False)
    done = s.run("-c", s.conf, "-e", s.path("early.log"))
    assert done.returncode == 78
    assert "max_body" in s.read("early.log")


def test_override(serve):
    s = serve(HELLO, args=["-g", "server.workers=1"], server={"workers": 3}, ready=False)
    s.log_has("ready: 1 worker,")


# ---- Users --------------------------------------------------------------------------------------

def owner(pid):
    return os.stat(f"/proc/{pid}").st_uid


def test_root_drops_to_the_usual_user(serve, as_root):
    s = serve(HELLO)
    names = {pwd.getpwuid(owner(p)).pw_name for p in s.workers()}
    assert names <= {"www-data", "nobody"}
    assert owner(s.pid) == 0


def test_root_only_when_it_is_written(serve, as_root):
    s = serve(HELLO, server={"user": "root", "allow_root": "on"})
    assert {owner(p) for p in s.workers()} == {0}


def test_root_drops_to_the_user_named(serve, as_root):
    s = serve(HELLO, server={"user": "nobody"})
    uid = pwd.getpwnam("nobody").pw_uid
    s.log_has("ready: 2 workers")
    for p in s.workers():
        with open(f"/proc/{p}/status") as f:
            ids = {line.split()[0]: line.split()[1:] for line in f if line[:4] in ("Uid:", "Gid:", "Grou")}
        assert set(ids["Uid:"]) == {str(uid)}
        assert "0" not in ids["Gid:"] + ids["Groups:"]


def test_folder_that_only_root_may_enter(serve, as_root):
    s = serve(HELLO, www={"index.html": "secret place"}, start=False)
    os.chmod(s.folder, 0o700)
    s.start()
    assert s.get("/").text == "secret place"
    assert s.ctl("reload").returncode == 0
    assert s.get("/").text == "secret place"
    assert s.ctl("reopen").returncode == 0
    assert s.get("/hello").status == 200


def give_to_nobody(s):
    for folder, _, names in os.walk(s.folder):
        for name in [folder, *(os.path.join(folder, n) for n in names)]:
            shutil.chown(name, "nobody", "nogroup")


def test_plain_user(serve, as_root):
    s = serve(HELLO, start=False)
    give_to_nobody(s)
    with open("/dev/null") as none:
        p = subprocess.Popen(["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", PROGRAM, "-c", s.conf],
                             stdin=none, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=s.folder)
    try:
        wait_for(s.accepts, 15)
        wait_for(lambda: os.path.exists(s.pid_file), 15)
        assert s.get("/hello").status == 200
        assert owner(p.pid) == pwd.getpwnam("nobody").pw_uid
        assert s.ctl("reload").returncode == 0  # root may
        assert s.ctl("stop").returncode == 0
        assert p.wait(LIMIT) == 0
    finally:
        p.kill()
        p.stdout.close()
        p.wait()


def test_port_below_1024_as_plain_user(serve, as_root):
    s = serve("[listen:main]\naddress = 127.0.0.1:81\n", start=False)
    if int(open("/proc/sys/net/ipv4/ip_unprivileged_port_start").read()) <= 81:
        pytest.skip("every user may have port 81 here")
    give_to_nobody(s)
    done = subprocess.run(["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", PROGRAM, "-c", s.conf],
                          capture_output=True, text=True, timeout=LIMIT)
    assert done.returncode == 78
    assert "CAP_NET_BIND_SERVICE" in done.stderr


# ---- Sockets ------------------------------------------------------------------------------------

def test_socket_activation(serve):
    s = serve(HELLO, start=False)
    with socket.create_server(("127.0.0.1", s.port)) as given:
        code = f"""
import os
os.dup2({given.fileno()}, 3)
os.environ["LISTEN_PID"] = str(os.getpid())
os.environ["LISTEN_FDS"] = "1"
os.execv({PROGRAM!r}, [{PROGRAM!r}, "-c", {s.conf!r}])
"""
        p = subprocess.Popen(["/usr/bin/python3", "-c", code], pass_fds=[given.fileno()], stdin=subprocess.DEVNULL,
                             stderr=subprocess.PIPE, start_new_session=True)
        try:
            wait_for(lambda: os.path.exists(s.pid_file) or p.poll() is not None, 15)
            assert p.poll() is None, p.stderr.read()
            assert s.get("/hello").status == 200
            assert os.readlink(f"/proc/{p.pid}/fd/3") == os.readlink(f"/proc/self/fd/{given.fileno()}")
            assert s.ctl("stop").returncode == 0
        finally:
            p.kill()
            p.stderr.close()
            p.wait()


def test_unix_socket(serve):
    s = serve(HELLO + "[listen:u]\naddress = unix:@DIR@/web.sock\n", ready=False)
    path = s.path("web.sock")
    wait_for(lambda: os.path.exists(s.pid_file))
    assert s.exchange(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n", address=path).status == 200
    assert s.stop() == 0
    assert not os.path.exists(path)


def test_kernel_chooses_the_port(serve, status):
    s = serve(HELLO + "[listen:any]\naddress = 127.0.0.1:0\n", ready=False)
    wait_for(lambda: os.path.exists(s.pid_file))
    address = status(s)["listeners"][0]
    host, port = address.rsplit(":", 1)
    assert int(port) > 0
    assert s.exchange(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n", address=(host, int(port))).status == 200
    assert s.ctl("reload").returncode == 0
    assert status(s)["listeners"] == [address]


# ---- Ends ---------------------------------------------------------------------------------------

def start_slow(s, ms, n=1):
    """n requests that take so long, and that workers have begun."""
    open_ones = []
    for _ in range(n):
        c = s.connect()
        c.send(f"GET /slow?ms={ms} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        open_ones.append(c)
    return open_ones


def in_flight(s, status, n):
    wait_for(lambda: status(s)["connections"] >= n, 15, "the requests do not arrive")


def test_term_lets_requests_finish(serve, status):
    s = serve(SLOW)
    open_ones = start_slow(s, 600, 40)
    in_flight(s, status, 40)
    s.signal(signal.SIGTERM)
    for c in open_ones:
        with c:
            r = c.response()
            assert r.status == 200 and r["connection"] == "close"
    assert s.wait() == 0


def test_nobody_connects_while_it_drains(serve, status):
    s = serve(SLOW)
    [c] = start_slow(s, 1500)
    in_flight(s, status, 1)
    s.signal(signal.SIGTERM)
    for _ in deadline(5, "still connecting"):
        try:
            s.connect().close()
        except ConnectionRefusedError:
            break
        except ConnectionResetError:
            pass
    with c:
        assert c.response().status == 200
    assert s.wait() == 0


def test_shutdown_timeout(serve, status):
    s = serve(SLOW, server={"shutdown_timeout": "400ms"})
    [c] = start_slow(s, 60000)
    in_flight(s, status, 1)
    start = time.monotonic()
    assert s.stop() == 0
    assert 0.3 < time.monotonic() - start < 5
    with c:
        assert b"200" not in c.rest()
    assert "time to drain is over" in s.log()


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_second_signal_ends_now(serve, status, second):
    s = serve(SLOW)
    [c] = start_slow(s, 60000)
    in_flight(s, status, 1)
    s.signal(signal.SIGTERM)
    wait_for(lambda: status(s)["state"] == "stopping", 5)
    start = time.monotonic()
    assert s.stop(second) == 0
    assert time.monotonic() - start < 3
    c.close()


def test_quit_has_no_deadline_and_term_brings_one(serve, status):
    s = serve(SLOW, server={"shutdown_timeout": "300ms"})
    [c] = start_slow(s, 60000)
    in_flight(s, status, 1)
    s.signal(signal.SIGQUIT)
    wait_for(lambda: status(s)["state"] == "stopping", 5)
    assert c.is_silent(1)
    assert s.stop(signal.SIGTERM) == 0
    c.close()


def test_worker_that_hangs_is_killed(serve, status):
    s = serve(SLOW, server={"shutdown_timeout": "200ms"})
    stuck = s.workers()[0]
    os.kill(stuck, signal.SIGSTOP)
    start = time.monotonic()
    assert s.stop() == 0
    assert time.monotonic() - start < 8
    assert "did not end in time" in s.log()
    assert not [p for p in process_table() if p == stuck and is_alive(p)]
