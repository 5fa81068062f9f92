"""A master that is killed: its processes end in time, and another server can be started at once."""
import os
import signal
import threading

import pytest
from lib.server import LIMIT, build_module, is_alive, process_table, title, wait_for

HELLO = """
[module:hello]
[route:hello]
match = /hello
handler = hello
[module:slow]
[route:slow]
match = /slow
handler = slow
[module:counter_shared]
[route:count]
match = /count
handler = counter_shared
"""
# /block never comes back, nor do the check and the start hooks where the settings say so.
STUCK = """
    #include <cserver/cserver.h>
    #include <unistd.h>
    typedef struct { _Bool check, start, primary; } settings;
    static const cs_directive directives[] = {
        CS_BOOL(settings, check, "off", 0, "Hang in the check."),
        CS_BOOL(settings, start, "off", 0, "Hang at the start."),
        CS_BOOL(settings, primary, "off", 0, "Hang in the primary."), CS_END};
    static void hang(void) { for (;;) pause(); }
    static int handler(cs_req *r) { (void)r; hang(); return CS_OK; }
    static int on_config(cs_conf *c, const void *conf)
    {
        (void)c;
        if (((const settings *)conf)->check)
            hang();
        return CS_OK;
    }
    static int worker_start(cs_proc *p) { const settings *s = cs_module_conf(p); if (s->start) hang(); return CS_OK; }
    static int primary_start(cs_proc *p) { const settings *s = cs_module_conf(p); if (s->primary) hang(); return CS_OK; }
    CS_MODULE(.name = "stuck", .version = "1.0", .help = "Hangs.", .directives = directives, .handler = handler,
              .on_config = on_config, .conf_size = sizeof(settings), .worker_start = worker_start, .primary_start = primary_start);
"""


@pytest.fixture(scope="session")
def stuck(tmp_path_factory):
    so = build_module(str(tmp_path_factory.mktemp("stuck")), "stuck", STUCK)
    return f"[module:stuck]\nfile = {so}\n@KEYS@\n[route:stuck]\nmatch = /block\nhandler = stuck\n" + HELLO


def family(s):
    """All processes of the server but the master."""
    session = s.pid
    return [p for p, (_, state, of) in process_table().items() if of == session and p != s.pid and state not in "ZX"]


def kill_master(s):
    """Returns those that were there."""
    left = family(s)
    s.process.kill()
    s.process.wait()
    return left


def gone(pids, seconds=LIMIT):
    wait_for(lambda: not [p for p in pids if is_alive(p)], seconds,
             "still there: " + ", ".join(f"{p} {title(p)}" for p in pids))


class Load:
    """Requests on new connections all the time, by some threads: those that the orphans took are answered."""

    def __init__(self, s):
        self.s, self.over, self.cut, self.answered = s, False, [], 0
        self.threads = [threading.Thread(target=self.run) for _ in range(4)]

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *_):
        self.over = True
        for t in self.threads:
            t.join()

    def run(self):
        while not self.over:
            try:
                connection = self.s.connect()
            except OSError:
                continue
            with connection:
                try:
                    self.ask(connection)
                except (OSError, EOFError):
                    continue  # it was in the queue of a socket that was closed

    def ask(self, connection):
        connection.send(b"GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        if connection.response().status == 200:
            self.answered += 1


@pytest.mark.parametrize("listen", ["", "[accept]\npolicy = reuseport\n"])
def test_new_start_at_once(serve, status, listen):
    s = serve(HELLO + listen + "[listen:main]\naddress = 127.0.0.1:@PORT@, unix:@DIR@/web.sock\n",
              server={"shutdown_timeout": "20s"})
    wait_for(s.primary)
    with Load(s) as load:
        begun = [s.connect().send(b"GET /slow?ms=1500 HTTP/1.1\r\nHost: x\r\n\r\n") for _ in range(8)]
        wait_for(lambda: load.answered > 20 and status(s)["connections"] >= 8)
        left = kill_master(s)
        assert len(left) == 3
        assert s.read("cserver.pid").strip() == str(s.pid)
        old = s.pid
        s.start()
        assert s.pid != old and s.read("cserver.pid").strip() == str(s.pid)
        for c in begun:  # what had begun is finished by the orphans
            with c:
                assert c.response().status == 200
        now = load.answered
        wait_for(lambda: load.answered > now + 20)
    gone(left)
    assert s.exchange(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n", address=s.path("web.sock")).status == 200
    assert status(s)["pid"] == s.pid
    assert "is left over from a server that is gone" in s.log()


def test_second_start_says_who_runs(serve):
    """Also after the first has replaced one that was killed."""
    s = serve(HELLO)
    left = kill_master(s)
    s.start()
    done = s.run("-c", s.conf)
    assert done.returncode == 1
    assert f"a server (pid {s.pid}) is running already" in done.stderr
    assert s.get("/hello").status == 200
    gone(left)


def test_pid_that_was_used_again(serve):
    """The number in a pid file that was left over now belongs to another server, which began later."""
    other = serve(HELLO)
    s = serve(HELLO, start=False)
    path = s.write("cserver.pid", f"{other.pid}\n")
    assert s.run("-c", s.conf).returncode == 1  # for all one can tell it is that one's
    os.utime(path, (1700000000, 1700000000))
    s.start()
    assert s.read("cserver.pid").strip() == str(s.pid)
    assert other.get("/hello").status == 200


def test_all_of_them(serve, status, stuck):
    """Draining workers and a probe, too."""
    s = serve(stuck.replace("@KEYS@", ""), server={"shutdown_timeout": "2s", "drain_timeout": "1h"})
    slow = s.connect().send(b"GET /slow?ms=60000 HTTP/1.1\r\nHost: x\r\n\r\n")
    wait_for(lambda: status(s)["connections"] >= 1)
    assert s.ctl("reload").returncode == 0
    wait_for(lambda: status(s)["draining"] and s.primary())
    s.configure(stuck.replace("@KEYS@", "check = on"))
    s.signal(signal.SIGHUP)
    wait_for(lambda: s.workers("cserver: probe"))
    gone(kill_master(s))
    slow.close()


def test_handler_that_never_returns(serve, stuck):
    """Nobody is there to kill the worker, and its loop does not hear of the end."""
    s = serve(stuck.replace("@KEYS@", ""), server={"shutdown_timeout": "100ms"})
    with s.connect() as c:
        c.send(b"GET /block HTTP/1.1\r\nHost: x\r\n\r\n")
        s.log_has("all else waits")
        gone(kill_master(s))


@pytest.mark.parametrize("key", ["start = on", "primary = on"])
def test_hook_that_never_returns(serve, stuck, key):
    """What does not serve yet has nothing to finish: it is gone at once, whatever shutdown_timeout says."""
    s = serve(stuck.replace("@KEYS@", key), ready=False, server={"shutdown_timeout": "1h"})
    started = wait_for(lambda: s.workers("cserver: primary") if "primary" in key else len(s.workers()) == 2 and s.workers())
    # The title comes first, and what is killed by the signal before the handler is there ends at once as well.
    left = kill_master(s)
    gone([p for p in left if p in started], 30)
    s.process = None
    for p in left:
        if is_alive(p):
            os.kill(p, signal.SIGINT)
    gone(left)


def test_module_keeps_a_worker_and_a_new_start_is_told(serve, stuck):
    """An orphan that does not let its sockets go is what the new start complains of."""
    s = serve(stuck.replace("@KEYS@", ""), server={"shutdown_timeout": "20s"})
    with s.connect() as c:
        c.send(b"GET /block HTTP/1.1\r\nHost: x\r\n\r\n")
        s.log_has("all else waits")
        left = kill_master(s)
        done = s.run("-c", s.conf)
        assert done.returncode == 78
        assert f"127.0.0.1:{s.port} is in use by another process" in done.stderr
        assert any(f"(pid {p}, cserver: worker" in done.stderr for p in left), done.stderr
        for p in left:
            if is_alive(p):
                os.kill(p, signal.SIGKILL)
    gone(left)
