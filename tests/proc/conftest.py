"""Helpers for the scenarios of processes."""
import json
import os
import socket

import pytest
from lib.mail import Mail, build
from lib.server import build_module, wait_for


@pytest.fixture
def status():
    """status(server): the answer of -s status --json as a dict."""
    def ask(server):
        done = server.ctl("status", "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)
    return ask


@pytest.fixture
def busy():
    """A port that another process, this one, listens on."""
    with socket.create_server(("127.0.0.1", 0)) as s:
        yield s.getsockname()[1]


@pytest.fixture
def control():
    """control(server): a raw connection to the control socket, with say(line) -> answer as a dict."""
    open_ones = []

    def connect(server):
        c = server.connect(server.control)
        c.say = lambda line: json.loads(c.send(line.encode() + b"\n").until(b"\n"))
        open_ones.append(c)
        return c

    yield connect
    for c in open_ones:
        c.close()


START = """
    #include <cserver/cserver.h>
    #include <signal.h>
    #include <unistd.h>
    typedef struct { int64_t mode; } settings;
    static const char *const modes[] = {"good", "crash", "fail", "hang", "exit", 0};
    static const cs_directive directives[] = {
        CS_ENUM(settings, mode, "good", modes, 0, "What worker_start does."), CS_END};
    static int on_start(cs_proc *p)
    {
        const settings *s = cs_module_conf(p);
        if (s->mode == 1) { signal(SIGSEGV, SIG_DFL); raise(SIGSEGV); }
        if (s->mode == 2) return CS_ERROR;
        if (s->mode == 3) sleep(1000);
        if (s->mode == 4) _exit(5);
        return CS_OK;
    }
    static int handler(cs_req *r) { return cs_text(r, 200, "started"); }
    CS_MODULE(.name = "start", .version = "1.0", .help = "Starts badly.", .directives = directives,
              .conf_size = sizeof(settings), .worker_start = on_start, .handler = handler);
"""


@pytest.fixture(scope="session")
def start_module(tmp_path_factory):
    """A module whose worker_start crashes, fails, hangs or exits, as its setting `mode` says."""
    return build_module(str(tmp_path_factory.mktemp("start")), "start", START)


@pytest.fixture
def bad_start(start_module):
    """bad_start(mode): settings with that module."""
    return lambda mode: f"[module:start]\nfile = {start_module}\nmode = {mode}\n"


GATE = """
    #include <cserver/cserver.h>
    #include <unistd.h>
    static int on_start(cs_proc *p) { (void)p; while (access("@LOCK@", F_OK) == 0) usleep(5000); return CS_OK; }
    CS_MODULE(.name = "gate", .version = "1.0", .help = "Does not start while there is a file.", .worker_start = on_start);
"""


class Gate:
    """Workers with `settings` start only while it is open."""

    def __init__(self, folder):
        self.lock = os.path.join(folder, "lock")
        self.settings = f"[module:gate]\nfile = {build_module(folder, 'gate', GATE.replace('@LOCK@', self.lock))}\n"

    def close(self):
        with open(self.lock, "w", encoding="ascii"):
            pass

    def open(self):
        os.unlink(self.lock)


@pytest.fixture
def gate(tmp_path):
    """A Gate, which is open. For servers with server=OURSELVES: their workers have to see the file."""
    return Gate(str(tmp_path))


@pytest.fixture
def new_workers():
    """Waits until the server has `n` workers and none of the old ones; returns them."""
    def wait(server, old, n):
        def there():
            now = server.workers()
            return now if len(now) == n and not set(now) & set(old) else None
        return wait_for(there, 15, f"no {n} new workers")
    return wait


@pytest.fixture
def as_root():
    if os.geteuid() != 0:
        pytest.skip("needs root")


# ---- The module mail -----------------------------------------------------------------------------

@pytest.fixture(scope="session")
def mail_module(tmp_path_factory):
    return build(str(tmp_path_factory.mktemp("mail")))


@pytest.fixture(scope="session")
def second_module(tmp_path_factory):
    """mail2: takes a, too."""
    return build(str(tmp_path_factory.mktemp("mail2")), "mail2", "-DSECOND")


@pytest.fixture(scope="session")
def mute_module(tmp_path_factory):
    """mute: only publishes."""
    return build(str(tmp_path_factory.mktemp("mute")), "mute", "-DMUTE")


@pytest.fixture
def mailed(request, serve):
    """mailed(modules, ...): a Mail (same arguments), ended after the test."""
    mails = []

    def start(modules, **options):
        mails.append(Mail(serve, modules, **options))
        return mails[-1]

    yield start
    for mail in mails:
        if getattr(request.node, "has_failed", False):
            print(mail.tail())
        mail.end()


@pytest.fixture
def mail(mailed, mail_module):
    """Three workers and a primary with the module mail."""
    return mailed({"mail": mail_module})
