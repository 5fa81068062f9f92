"""What systemd is to a server: somebody who listens at NOTIFY_SOCKET (Manager), and who passes sockets (pass_sockets,
by hand, and activate, by systemd-socket-activate)."""
import contextlib
import json
import os
import shutil
import socket
import struct
import subprocess
import sys

from .server import PROGRAM, begin_afresh, build_module, wait_for

CREDENTIALS = struct.Struct("iII")
ACTIVATE = shutil.which("systemd-socket-activate")
# Passed on by systemd-socket-activate, which passes nothing that is not named.
PASSED = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", "LD_LIBRARY_PATH")


class Message(dict):
    """NAME=VALUE lines of one datagram; pid: who has sent it."""

    def __init__(self, text, pid):
        super().__init__(line.split("=", 1) for line in text.split("\n"))
        self.pid = pid


class Manager:
    """The service manager. Read into `messages` only when somebody asks: as systemd, which may be busy."""

    def __init__(self, place):
        self.place = place
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.sock.bind("\0" + place[1:] if place.startswith("@") else place)
        self.sock.setblocking(False)
        self.messages = []

    @property
    def env(self):
        return {"NOTIFY_SOCKET": self.place}

    def receive(self):
        with contextlib.suppress(BlockingIOError):
            while True:
                data, extra, _, _ = self.sock.recvmsg(4096, socket.CMSG_SPACE(CREDENTIALS.size))
                pid = next((CREDENTIALS.unpack(d)[0] for _, kind, d in extra if kind == socket.SCM_CREDENTIALS), 0)
                self.messages.append(Message(data.decode(), pid))
        return self.messages

    def states(self):
        """What has been said of the state, in its order."""
        return [name for m in self.receive() for name in m if name in ("READY", "RELOADING", "STOPPING")]

    def status(self):
        """The last sentence."""
        return next((m["STATUS"] for m in reversed(self.receive()) if "STATUS" in m), "")

    def said(self, name):
        return [m[name] for m in self.receive() if name in m]

    def wait_states(self, *states):
        self.wait(lambda: self.states() == list(states), states)

    def wait_status(self, word):
        return self.wait(lambda: word in self.status() and self.status(), word)

    def wait(self, condition, what):
        try:
            return wait_for(condition)
        except AssertionError:
            raise AssertionError(f"no {what!r} in {self.messages}") from None

    def close(self):
        self.sock.close()


def launch(s, argv, env, pass_fds=()):
    with open(s.path("stderr.txt"), "ab") as out:
        s.process = subprocess.Popen(argv, cwd=s.folder, env=env, pass_fds=pass_fds, stdin=subprocess.DEVNULL,
                                     stdout=out, stderr=out, start_new_session=True,
                                     preexec_fn=lambda: begin_afresh(True))


HAND_OVER = """
import json, os, sys
fds, names, argv = json.loads(sys.argv[1])
high = [os.dup2(fd, 100 + i) for i, fd in enumerate(fds)]
for i, fd in enumerate(high):
    os.dup2(fd, 3 + i)
    os.close(fd)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(fds)))
if names is not None:
    os.environ["LISTEN_FDNAMES"] = ":".join(names)
os.execv(argv[0], argv)
"""


def pass_sockets(s, sockets, names=None, args=()):
    """Starts the server with these sockets. Ours stay open, as those of a .socket unit do."""
    argv = [PROGRAM, "-c", s.conf, *s.args, *args]
    fds = [sock.fileno() for sock in sockets]
    launch(s, [sys.executable, "-c", HAND_OVER, json.dumps([fds, names, argv])], s.env, fds)


def activate(s, listen, names=None, args=()):
    """The server begins at the first connection to one of the addresses; s.process is the one that will be it."""
    argv = [ACTIVATE]
    for address in listen:
        argv += ["-l", address]
    if names:
        argv += ["--fdname=" + ":".join(names)]
    for name in PASSED:
        if name in s.env:
            argv += ["-E", f"{name}={s.env[name]}"]
    launch(s, [*argv, PROGRAM, "-c", s.conf, *s.args, *args], s.env)


def connects(address):
    """Does somebody listen there: a port, or the path of a unix socket? With systemd-socket-activate this makes the server
    begin."""
    family, address = (socket.AF_UNIX, address) if isinstance(address, str) else (socket.AF_INET, ("127.0.0.1", address))
    with socket.socket(family) as sock:
        return sock.connect_ex(address) == 0


# ---- Starts that can be held up ----

GATE = """
    #include <cserver/cserver.h>
    #include <stdlib.h>
    #include <unistd.h>
    typedef struct { cs_str gate; } settings;
    static const cs_directive directives[] = {
        CS_PATH(settings, gate, NULL, CS_REQUIRED, "Workers start when this file is there."), CS_END};
    static int on_start(cs_proc *p)
    {
        const settings *s = cs_module_conf(p);
        while (access(s->gate.p, F_OK) != 0)
            usleep(2000);
        return CS_OK;
    }
    static int handler(cs_req *r)
    {
        static const char *const names[] = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS",
                                            "LISTEN_PID", "LISTEN_FDNAMES"};
        for (int i = 0; i < 6; i++)
            if (getenv(names[i]))
                return cs_textf(r, 500, "%s", names[i]);
        return cs_text(r, 200, "clean");
    }
    CS_MODULE(.name = "gate", .version = "1.0", .help = "Starts when it may.", .directives = directives,
              .conf_size = sizeof(settings), .worker_start = on_start, .handler = handler);
"""


def build_gate(folder):
    """A module whose worker_start waits for open_gate(); its handler says "clean" where no variable of systemd is left."""
    return build_module(folder, "gate", GATE)


def gate_conf(path):
    return f"[module:gate]\nfile = {path}\ngate = @DIR@/go\n[route:gate]\nmatch = /gate\nhandler = gate\n"


def open_gate(s):
    """Workers may be another user, who has to see it."""
    os.chmod(s.folder, 0o755)
    s.write("go", "")


def try_start(s, manager):
    """One start by systemd-socket-activate, of settings with a gate and /hello: READY comes after a worker accepts, and
    whoever came first is answered."""
    manager.messages.clear()
    activate(s, [f"127.0.0.1:{s.port}"])
    with wait_for(lambda: connects(s.port) and s.connect()) as first:
        first.send(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_for(lambda: os.path.exists(s.control))
        assert manager.states() == [], manager.messages
        open_gate(s)
        manager.wait_states("READY")
        ready = json.loads(s.ctl("status", "--json").stdout)["ready"]
        assert ready >= 1 and {m.pid for m in manager.messages} == {s.pid}, (ready, manager.messages)
        assert first.response().status == 200
