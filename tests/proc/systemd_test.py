"""systemd is told how the server is, and passes sockets to it."""
import os
import signal
import socket
import subprocess
import time

import pytest
from lib.server import LIMIT, PROGRAM, wait_for
from lib.systemd import (ACTIVATE, Manager, activate, build_gate, connects, gate_conf, open_gate, pass_sockets,
                         try_start)

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
needs_tool = pytest.mark.skipif(not ACTIVATE, reason="systemd-socket-activate is not there (Debian: systemd)")


@pytest.fixture(scope="session")
def gate_module(tmp_path_factory):
    return build_gate(str(tmp_path_factory.mktemp("gate")))


@pytest.fixture
def gated(gate_module):
    return gate_conf(gate_module)


@pytest.fixture
def manager(folder):
    m = Manager(os.path.join(folder, "notify"))
    yield m
    m.close()


# ---- What it is told ----------------------------------------------------------------------------

def test_ready_comes_when_a_worker_accepts(serve, manager, gated, status):
    s = serve(HELLO + gated, env=manager.env, ready=False)
    wait_for(s.has_control)
    wait_for(lambda: len(s.workers()) == 2)
    assert status(s)["state"] == "starting"
    manager.wait_status("starting 2 workers")
    assert manager.states() == []
    open_gate(s)
    manager.wait_states("READY")
    assert status(s)["ready"] >= 1
    assert s.get("/hello").status == 200
    assert {m.pid for m in manager.messages} == {s.pid}
    manager.wait_status("generation 1, 2 of 2 workers ready")


def test_abstract_place(serve):
    manager = Manager(f"@cs-notify-{os.getpid()}")
    try:
        s = serve(HELLO, env=manager.env)
        manager.wait_states("READY")
        assert s.stop() == 0
        assert manager.states() == ["READY", "STOPPING"]
    finally:
        manager.close()


def test_children_do_not_know_of_it(serve, manager, gated):
    s = serve(gated, env={**manager.env, "WATCHDOG_USEC": "60000000", "LISTEN_FDS": "1", "LISTEN_PID": "1",
                          "LISTEN_FDNAMES": "x"}, ready=False)
    open_gate(s)
    s.wait_ready()
    assert s.get("/gate").text == "clean"


def test_reload_good_and_bad(serve, manager):
    s = serve(HELLO, env=manager.env)
    manager.wait_states("READY")
    before = time.monotonic()
    assert s.ctl("reload").returncode == 0
    manager.wait_states("READY", "RELOADING", "READY")
    assert before * 1e6 <= int(manager.said("MONOTONIC_USEC")[0]) <= time.monotonic() * 1e6
    manager.wait_status("generation 2, 2 of 2 workers ready")
    s.configure("[module:nonsense]\n")
    assert s.ctl("reload").returncode == 78
    manager.wait_states("READY", "RELOADING", "READY", "RELOADING", "READY")
    assert "generation 2, 2 of 2" in manager.wait_status("the last reload failed: ")
    assert "nonsense" in manager.status()
    s.configure(HELLO)
    s.signal(signal.SIGHUP)
    manager.wait_states(*["READY", "RELOADING"] * 3, "READY")
    manager.wait_status("generation 3")
    assert "failed" not in manager.status()


def test_a_reload_without_new_workers_is_told(serve, manager):
    s = serve(HELLO, env=manager.env)
    manager.wait_states("READY")
    workers = s.workers()
    s.configure(HELLO, shutdown_timeout="20s")
    assert s.ctl("reload").returncode == 0
    manager.wait_states("READY", "RELOADING", "READY")
    assert s.workers() == workers
    manager.wait_status("generation 1")


def test_each_of_many_reloads_is_told(serve, manager):
    """Also those that wait for another: for each there is a RELOADING that begins after it was asked for."""
    s = serve(HELLO, env=manager.env)
    clients = [subprocess.Popen([PROGRAM, "-c", s.conf, "-s", "reload"], cwd=s.folder, stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL) for _ in range(3)]
    assert [c.wait(LIMIT) for c in clients] == [0, 0, 0]
    s.log_has("reload: generation")

    def complete():
        states = manager.states()
        return states if len(states) >= 3 and states[-1] == "READY" else None

    states = wait_for(complete)
    assert states == ["READY"] + ["RELOADING", "READY"] * (len(states) // 2)


def test_stop_asks_for_time(serve, manager):
    """A request that takes long is named, and the manager is told that it may take longer."""
    s = serve(SLOW, env=manager.env)
    with s.connect() as c:
        c.send(b"GET /slow?ms=1500 HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_for(lambda: "connections\":1" in s.ctl("status", "--json").stdout)
        s.signal(signal.SIGTERM)
        manager.wait_states("READY", "STOPPING")
        manager.wait_status("stopping: 1 connection")
        assert c.response().status == 200
    assert s.wait() == 0
    assert int(manager.said("EXTEND_TIMEOUT_USEC")[0]) >= 10_000_000


def test_degraded_and_paused(serve, manager, bad_start):
    s = serve(HELLO + bad_start("fail"), env=manager.env, ready=False)
    manager.wait_status("degraded, they fail")
    assert manager.states() == []
    s.configure(HELLO)
    s.signal(signal.SIGHUP)
    manager.wait_status("2 of 2 workers ready")
    assert manager.states()[0] == "READY"
    s.signal(signal.SIGWINCH)
    manager.wait_status("paused")


def test_watchdog(serve, manager):
    s = serve(HELLO, env={**manager.env, "WATCHDOG_USEC": "100000"})
    wait_for(lambda: len(manager.said("WATCHDOG")) >= 5)
    assert s.ctl("reload").returncode == 0
    n = len(manager.said("WATCHDOG"))
    wait_for(lambda: len(manager.said("WATCHDOG")) >= n + 5)


def test_no_watchdog_for_another_process(serve, manager):
    s = serve(HELLO, env={**manager.env, "WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"})
    manager.wait_status("2 of 2 workers ready")
    assert s.stop() == 0
    assert manager.said("WATCHDOG") == []


def test_a_manager_that_does_not_read(serve, manager):
    """The server serves, and says it once there is room."""
    filler = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    filler.setblocking(False)
    with pytest.raises(BlockingIOError):
        while True:
            filler.sendto(b"FILLER=1", manager.place)
    filler.close()
    s = serve(HELLO, env=manager.env)
    assert s.get("/hello").status == 200
    assert s.ctl("reload").returncode == 0
    manager.wait_states("READY", "RELOADING", "READY")


def test_a_manager_that_has_gone(serve, manager):
    manager.close()
    s = serve(HELLO, env={**manager.env, "WATCHDOG_USEC": "20000"})
    s.log_has("cannot tell systemd what happens")
    assert s.ctl("reload").returncode == 0
    assert s.stop() == 0
    assert s.log().count("cannot tell systemd") == 1


def test_refused_settings_are_the_last_word(serve, manager):
    s = serve("[module:nonsense]\n", env=manager.env, start=False)
    done = s.run("-c", s.conf)
    assert done.returncode == 78
    assert manager.states() == []
    assert "nonsense" in manager.status() and "cserver.ini:" in manager.status()


# ---- Sockets ------------------------------------------------------------------------------------

def listener(address=("127.0.0.1", 0), family=socket.AF_INET):
    sock = socket.socket(family)
    sock.bind(address)
    sock.listen(64)
    return sock


def ask(s, sock):
    """Through a socket of ours, whoever accepts."""
    with s.connect(sock.getsockname() if sock.family == socket.AF_UNIX else sock.getsockname()[:2]) as c:
        return c.send(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n").response().status


def test_all_kinds_by_address_and_by_name(serve, status):
    s = serve(start=False)
    v4, v6, named = listener(), listener(("::1", 0), socket.AF_INET6), listener()
    local, other = (listener(s.path(n), socket.AF_UNIX) for n in ("web.sock", "other.sock"))
    socks = [v4, v6, local, named, other]
    s.configure(HELLO + f"""
        [listen:a]
        address = 127.0.0.1:{v4.getsockname()[1]}, [::1]:{v6.getsockname()[1]}, unix:@DIR@/web.sock
        [listen:b]
        address = socket:web
    """.replace("        ", ""))
    pass_sockets(s, socks, ["x", "x", "", "web", "web"])
    s.wait_ready()
    assert [ask(s, sock) for sock in socks] == [200] * 5
    assert s.ctl("reload").returncode == 0
    assert [ask(s, sock) for sock in socks] == [200] * 5
    assert len(status(s)["listeners"]) == 5
    assert "nobody listens on it" not in s.log()
    assert s.stop() == 0
    assert os.path.exists(s.path("web.sock"))
    for sock in socks:
        sock.close()


def test_connections_wait_while_the_server_restarts(serve):
    s = serve(HELLO + "[listen:a]\naddress = socket:web\n", start=False)
    with listener() as sock:
        for _ in range(3):
            pass_sockets(s, [sock], ["web"])
            s.wait_ready()
            assert ask(s, sock) == 200
            assert s.stop() == 0
            early = s.connect(sock.getsockname()).send(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n")
            pass_sockets(s, [sock], ["web"])
            assert early.response().status == 200
            early.close()
            s.wait_ready()
            assert s.stop() == 0


def test_an_unused_socket_can_be_used_by_a_reload(serve):
    s = serve(HELLO + "[listen:a]\naddress = socket:web\n", start=False)
    with listener() as web, listener() as admin:
        pass_sockets(s, [web, admin], ["web", "admin"])
        s.wait_ready()
        port = admin.getsockname()[1]
        s.log_has(f"the socket 127.0.0.1:{port} (admin) was passed to this server, and nobody listens on it: write "
                  "`address = socket:admin`")
        s.configure(HELLO + "[listen:a]\naddress = socket:web, socket:admin\n")
        assert s.ctl("reload").returncode == 0
        assert [ask(s, web), ask(s, admin)] == [200, 200]
        s.configure(HELLO + "[listen:a]\naddress = socket:admin\n")
        assert s.ctl("reload").returncode == 0
        s.configure(HELLO + f"[listen:a]\naddress = 127.0.0.1:{web.getsockname()[1]}\n")
        assert s.ctl("reload").returncode == 0
        assert ask(s, web) == 200


def test_a_name_that_is_not_there(serve):
    s = serve(HELLO + "[listen:a]\naddress = socket:web\n", start=False)
    done = s.run("-c", s.conf)
    assert done.returncode == 78
    assert ":14:11: error: no socket was passed" in done.stderr
    done = s.run("-c", s.conf, "-t")
    assert done.returncode == 0
    assert ":14:11: note: whether a socket called \"web\"" in done.stderr
    with listener() as sock:
        pass_sockets(s, [sock], ["web"])
        s.wait_ready()
        s.configure(HELLO + "[listen:a]\naddress = socket:web\n[listen:b]\naddress = socket:wbe\n")
        done = s.ctl("reload")
        assert done.returncode == 78
        assert "error: no socket called \"wbe\" was passed" in done.stdout + done.stderr
        assert ask(s, sock) == 200


def test_what_is_no_listening_socket(serve):
    s = serve(HELLO + "[listen:a]\naddress = socket:web\n", start=False)
    with listener() as web, socket.socket() as idle, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams, \
            open(s.path("a file"), "wb") as file:
        datagrams.bind(("127.0.0.1", 0))
        pass_sockets(s, [idle, file, web, datagrams], ["idle", "file", "web", "udp"])
        s.wait_ready()
        assert ask(s, web) == 200
        for fd, name in ((3, "idle"), (4, "file"), (6, "udp")):
            assert f"descriptor {fd}, called {name} was passed" in s.log()


@needs_tool
@pytest.mark.parametrize("policy", ["turn", "exclusive", "reuseport"])
def test_socket_activate(serve, policy):
    """By systemd's own tool: addresses and names, under each policy."""
    s = serve(HELLO + f"""
[accept]
policy = {policy}
[listen:a]
address = 127.0.0.1:@PORT@
[listen:b]
address = socket:local
""", start=False)
    activate(s, [f"127.0.0.1:{s.port}", s.path("web.sock")], ["x", "local"])
    wait_for(lambda: connects(s.path("web.sock")))
    assert s.exchange(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n", address=s.path("web.sock")).status == 200
    s.wait_ready()
    assert s.get("/hello").status == 200
    assert s.ctl("reload").returncode == 0
    assert s.get("/hello").status == 200
    assert s.exchange(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n", address=s.path("web.sock")).status == 200


@needs_tool
def test_settings_are_tested_with_what_is_passed(serve):
    """-t as systemd would start the server."""
    s = serve(HELLO + "[listen:a]\naddress = socket:web\n", start=False)
    for names, code in ((["web"], 0), (["wbe"], 78)):
        activate(s, [f"127.0.0.1:{s.port}"], names, ["-t"])
        wait_for(lambda: connects(s.port))
        assert s.wait() == code
    assert "no socket called \"web\" was passed" in s.log()


# ---- P28 ----------------------------------------------------------------------------------------

@needs_tool
def test_starts(serve, manager, gated):
    """The full number is in tests/soak/systemd_starts.py."""
    for _ in range(5):
        s = serve(HELLO + gated + "[listen:a]\naddress = 127.0.0.1:@PORT@\n", env=manager.env, start=False)
        try_start(s, manager)
        assert s.stop() == 0
        assert manager.states() == ["READY", "STOPPING"]
