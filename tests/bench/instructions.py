"""Instructions in user space of one request, counted by callgrind in the worker.

The requests come one by one on one connection, so that each takes one turn of the worker's loop: that is the dearest
way, and the only one that counts the same every time. A run with few requests is taken off one with many; what is left
has neither start nor end in it. The most that each kind may take is in budget.ini."""

import configparser
import json
import os
import platform
import re
import shutil
import socket
import subprocess
import time
from typing import NamedTuple

import callgrind
from measure import read_answers
from servers import INSTALL, Cserver

HERE = os.path.dirname(os.path.abspath(__file__))
BUDGET = os.path.join(HERE, "budget.ini")
FEW, MANY = 200, 2200  # requests of each kind
TOP = 5

SMALL = "Host: 127.0.0.1:12345\r\n"  # as wrk sends it
BROWSER = SMALL + """\
Connection: keep-alive\r
Cache-Control: max-age=0\r
Upgrade-Insecure-Requests: 1\r
User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36\r
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r
Accept-Encoding: gzip, deflate, br, zstd\r
Accept-Language: en-GB,en;q=0.9,de;q=0.8\r
Cookie: session=5f2b7c1e9a4d4e0f8b6a3c2d1e0f9a8b; theme=dark; seen=1719662400\r
"""


class Kind(NamedTuple):
    key: str
    title: str
    path: str
    fields: str = SMALL
    at_once: int = 1

    def request(self):
        return f"GET /{self.path} HTTP/1.1\r\n{self.fields}\r\n".encode() * self.at_once


KINDS = (
    Kind("keepalive", "1 KiB file", "1k.txt"),
    Kind("browser", "1 KiB file, a browser's head", "1k.txt", BROWSER),
    Kind("pipeline", "1 KiB file, 16 at once", "1k.txt", at_once=16),
    Kind("hello", "\"Hello, world!\" of a module", "hello.txt"),
)


class Counting:
    """A server under callgrind: each process writes its counts when it ends."""

    patience = 120

    def commands(self):
        os.mkdir(self.path("out"))
        os.chmod(self.path("out"), 0o777)  # workers may have another user
        valgrind = [shutil.which("valgrind"), "-q", "--tool=callgrind", f"--callgrind-out-file={self.path('out')}/%p"]
        return {key: valgrind + argv for key, argv in super().commands().items()}

    def settle(self):
        """Who has given up being root since may write what root has begun."""
        for name in os.listdir(self.path("out")):
            os.chmod(self.path(f"out/{name}"), 0o666)

    def counts(self):
        """Of all its processes; what is not requests is small and much the same in two runs."""
        return sum((self.read(pid) for pid in os.listdir(self.path("out"))), callgrind.Counts())

    def read(self, pid):
        with open(self.path(f"out/{pid}"), encoding="utf-8", errors="replace") as f:
            return callgrind.read(f.read())


class CountingCserver(Counting, Cserver):
    """Only the worker counts; the server itself says when it is ready."""

    worker = None

    def settle(self):
        end = time.monotonic() + self.patience
        while not self.worker:
            said = subprocess.run([self.binary(), "-c", self.path("cserver.ini"), "-s", "status", "--json"],
                                  capture_output=True, text=True, check=False).stdout
            workers = json.loads(said).get("workers", []) if said else []  # there is none before the server is complete
            self.worker = next((w["pid"] for w in workers if w["state"] == "ready"), None)
            if time.monotonic() > end:
                raise RuntimeError("cserver under valgrind has no worker")
            time.sleep(0.1)

    def counts(self):
        return self.read(self.worker)


def counting(server):
    """The class of that server under callgrind."""
    return CountingCserver if server is Cserver else type(f"Counting{server.__name__}", (Counting, server), {})


def ask(port, kind, number):
    request = kind.request()
    with socket.create_connection(("127.0.0.1", port), 60) as sock:
        for _ in range(number // kind.at_once):
            sock.sendall(request)
            for status, _ in read_answers(sock, kind.at_once):
                if status != 200:
                    raise RuntimeError(f"/{kind.path} is answered with {status}")


def one_run(start, numbers):
    """Counts of a server that has answered numbers[kind] requests of each kind."""
    server = start()
    try:
        server.settle()
        for kind, number in numbers.items():
            ask(server.port(kind.path), kind, number)
    finally:
        server.stop()
    return server.counts()


def measure(start, kinds=KINDS, say=lambda text: None):
    """{kind: Counts for one request}. start() starts a server of counting()."""
    few = {k: rounded(FEW, k) for k in kinds}
    base = one_run(start, few)
    out = {}
    for kind in kinds:
        many = rounded(MANY, kind)
        out[kind] = (one_run(start, {**few, kind: many}) - base) / (many - few[kind])
        say(f"instructions {kind.key:10} {out[kind].total:10.0f}")
    return out


def part_of(file, where):
    """The folder of the sources, or the library. Modules are loaded from a copy in memory, where valgrind finds no names."""
    if where == "???":
        return "modules"
    ours = re.search(r"(?:^|/)src/(\w+)/", file)
    if ours:
        return ours[1]
    return "libc" if where.startswith("libc.") else "others"


def by_part(counts):
    """{part: instructions}, the biggest first."""
    found = {}
    for (file, where), n in counts.files.items():
        part = part_of(file, where)
        found[part] = found.get(part, 0) + n
    return dict(sorted(found.items(), key=lambda p: -p[1]))


def rounded(number, kind):
    return number - number % kind.at_once


def budget(path=BUDGET):
    """{kind: most instructions}, and the figures that may be compared with it: (architecture, compiler, its flags)."""
    ini = configparser.ConfigParser()
    with open(path, encoding="utf-8") as f:
        ini.read_file(f)
    most = {key: int(value.replace(",", "")) for key, value in ini["instructions"].items()}
    unknown = set(most) - {k.key for k in KINDS}
    if unknown:
        raise RuntimeError(f"{path}: there is no kind of request {', '.join(sorted(unknown))}")
    return most, dict(ini["build"])


def compiler(path):
    """That of a program, which says it in its section .comment."""
    with open(path, "rb") as f:
        return "clang" if b"clang version" in f.read() else "gcc"


def stranger(wanted, flags, compiled_by, machine=None):
    """Why a build is not one that the budget is made for; None: it is. flags: what is in config.flags."""
    for what, found in (("machine", machine or platform.machine()), ("compiler", compiled_by)):
        if found != wanted[what]:
            return f"the budget is for {wanted[what]}, this is {found}"
    if "-fsanitize" in flags:
        return "the budget is not for sanitizers"
    levels = re.findall(r"-O(\S)", flags)
    if not levels or f"-O{levels[-1]}" != wanted["optimization"]:
        return f"the budget is for {wanted['optimization']}"
    return None


def missing():
    """Why nothing can be counted; None: it can."""
    return None if shutil.which("valgrind") else f"valgrind is not installed; to install it: {INSTALL}"


def figures(counts, build, beside):
    """What is kept: totals, budgets and the biggest functions of each kind; beside: {server: instructions} of others for
    the first kind."""
    most, wanted = budget()
    with open(os.path.join(build, "config.flags"), encoding="utf-8") as f:
        why = stranger(wanted, f.read(), compiler(os.path.join(build, "cserver")))
    return {"why": why, "beside": beside, "kinds": {k.key: {"title": k.title, "total": c.total, "budget": most.get(k.key),
                                         "top": c.biggest(TOP), "parts": by_part(c)} for k, c in counts.items()}}


def unknown():
    """The kinds, where nothing can be counted."""
    most, _ = budget()
    return {k.key: {"title": k.title, "total": None, "budget": most.get(k.key), "top": [], "parts": {}} for k in KINDS}
