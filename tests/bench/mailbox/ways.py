"""The ways to bring a message to another process that make bench-mailbox compares, and how one of them is measured.

Those in C are one program (wire.c), started for each measurement. Node's are two clusters (wire.js), one for each
serialization, which stand all the time."""

import json
import os
import resource
import select
import shutil
import subprocess
import time
from typing import NamedTuple

from servers import Cserver, Missing, die_with_parent, first_line

HERE = os.path.dirname(os.path.abspath(__file__))
MOST = 8  # receivers


class Way(NamedTuple):
    title: str
    kind: str  # wire: of wire.c; json or advanced: of wire.js
    up: bool = False  # Node: a worker sends to the primary, else the primary to workers


WAYS = {
    "mail": Way("cserver mailbox", "wire"),
    "channel": Way("socket channels", "wire"),
    "pipe": Way("a pipe each", "wire"),
    "down-json": Way("Node, to workers, JSON", "json"),
    "down-buffer": Way("Node, to workers, buffer", "advanced"),
    "up-json": Way("Node, to primary, JSON", "json", True),
    "up-buffer": Way("Node, to primary, buffer", "advanced", True),
    "bare": Way("bare eventfd", "wire"),
}
NODE = [key for key, way in WAYS.items() if way.kind != "wire"]


class Cell(NamedTuple):
    """One measurement: `how` is flood, asleep or busy."""

    how: str
    size: int
    receivers: int

    def name(self):
        return f"{self.how} {self.size} {self.receivers}"

    def takes(self, key):
        if key == "bare":
            return self.how == "asleep"
        return self.receivers == 1 or not WAYS[key].up


SIZES, RECEIVERS = (64, 1024, 16384, 65536), (1, 3, 8)
FLOODS = [Cell("flood", size, n) for size in SIZES for n in RECEIVERS]
PACED = [Cell("asleep", 64, 1), Cell("busy", 64, 1)]


def node():
    path = shutil.which("node")
    if not path:
        raise Missing("there is no node in PATH (Debian 12 has none that is recent: take it from nodejs.org)")
    return path


def wire():
    path = os.path.join(Cserver.build(), "obj", "tests", "bench", "mailbox", "wire")
    if not os.access(path, os.X_OK):
        raise Missing(f"{path} is not built: make bench-mailbox does that")
    return path


def version(key):
    """Raises Missing."""
    if WAYS[key].kind == "wire":
        wire()
        return Cserver.version()
    return "Node " + first_line(node(), "--version")


def idle_seconds():
    """What the CPUs that we may use have been idle, all together; None where the kernel does not say."""
    ours = {f"cpu{n}" for n in os.sched_getaffinity(0)}
    try:
        with open("/proc/stat", encoding="ascii") as f:
            lines = [line.split() for line in f if line.split()[0] in ours]
    except OSError:
        return None
    return sum(int(c[4]) + int(c[5]) for c in lines) / os.sysconf("SC_CLK_TCK") if lines else None


def children_cpu():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Wires:
    """The ways of wire.c. `free` in a result: CPUs that nobody else used meanwhile."""

    def measure(self, key, cell, seconds):
        idle, cpu, began = idle_seconds(), children_cpu(), time.monotonic()
        argv = [wire(), key, cell.how, str(cell.size), str(cell.receivers), str(seconds)]
        done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True, timeout=seconds + 60,
                              preexec_fn=die_with_parent)
        found = json.loads(done.stdout)
        took = time.monotonic() - began
        if idle is not None:
            found["free"] = (idle_seconds() - idle + children_cpu() - cpu) / took
        return found

    def close(self):
        pass


class Cluster:
    """One cluster of Node with its serialization."""

    def __init__(self, serialization):
        argv = [node(), os.path.join(HERE, "wire.js"), serialization, str(MOST)]
        self.child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=die_with_parent)
        self.rest = b""
        if self.line(30) != "ready":
            self.close()
            raise RuntimeError("Node's cluster has not come up")

    def line(self, seconds):
        """The next line it prints."""
        end = time.monotonic() + seconds
        out = self.child.stdout.fileno()
        while b"\n" not in self.rest:
            if not select.select([out], [], [], max(0, end - time.monotonic()))[0]:
                raise RuntimeError("Node does not answer")
            more = os.read(out, 65536)
            if not more:
                raise RuntimeError("Node has ended")
            self.rest += more
        line, _, self.rest = self.rest.partition(b"\n")
        return line.decode()

    def measure(self, key, cell, seconds):
        order = {"up": WAYS[key].up, "how": cell.how, "size": cell.size, "receivers": cell.receivers,
                 "seconds": seconds}
        self.child.stdin.write(json.dumps(order).encode() + b"\n")
        self.child.stdin.flush()
        return json.loads(self.line(seconds + 60))

    def close(self):
        """With its stdin the cluster ends, and its workers with it."""
        self.child.stdin.close()
        try:
            self.child.wait(5)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
        self.child.stdout.close()


class Standing:
    """All ways, ready to be measured."""

    def __init__(self, keys):
        self.kinds = {}
        try:
            for kind in dict.fromkeys(WAYS[key].kind for key in keys):
                self.kinds[kind] = Wires() if kind == "wire" else Cluster(kind)
        except BaseException:
            self.close()
            raise

    def warm_up(self, keys, seconds):
        """So that Node's compiler has seen its code."""
        for key in keys:
            if WAYS[key].kind != "wire":
                for how in ("flood", "busy"):
                    self.measure(key, Cell(how, 64, 1), seconds)

    def measure(self, key, cell, seconds):
        return self.kinds[WAYS[key].kind].measure(key, cell, seconds)

    def close(self):
        for each in self.kinds.values():
            each.close()
