"""What systemd is to a server: somebody who listens at NOTIFY_SOCKET (Manager), and who passes sockets (pass_sockets,
by hand, and activate, by systemd-socket-activate)."""
import contextlib
import json
import shutil
import socket
import struct
import subprocess
import sys

from .server import PROGRAM, begin_afresh, wait_for

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
