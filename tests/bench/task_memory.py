"""What tasks leave behind in a worker, and what they take while they wait: clients for a running server, and what /proc and
/metrics say of its worker."""

import contextlib
import ctypes
import re
import resource
import selectors
import socket
import struct
from typing import NamedTuple

from lib.server import wait_for
from measure import memory_of

GUARD = 256 * 1024  # below each stack, as in src/os/stack.c
PATIENCE = 300  # seconds, for thousands of connections on a busy machine
CLIENTS = 64
BATCH = 20  # requests that a client sends at once
WAITS = 10  # every so manyth of them waits
ANSWER = b"HTTP/1.1 200 OK\r\n"


class Mapping(NamedTuple):
    begin: int
    end: int
    rights: str
    rss: int


class State(NamedTuple):
    """Of a worker: bytes, and numbers of things."""
    memory: int  # private and shared memory, its share of it (PSS), without pages of files
    rss: int
    page_tables: int
    mappings: int
    stacks: int  # as it says itself


def mappings(smaps):
    """Those of /proc/PID/smaps."""
    found = []
    for line in smaps.splitlines():
        head = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+) ", line)
        if head:
            found.append(Mapping(int(head[1], 16), int(head[2], 16), head[3], 0))
        elif line.startswith("Rss:"):
            found[-1] = found[-1]._replace(rss=int(line.split()[1]) * 1024)
    return found


def stacks_among(found, size):
    """Those of that size with a guard right below."""
    return [m for below, m in zip(found, found[1:])
            if (m.end - m.begin, m.rights) == (size, "rw-p")
            and (below.end, below.rights, below.end - below.begin) == (m.begin, "---p", GUARD)]


def read(pid, name):
    with open(f"/proc/{pid}/{name}", encoding="utf-8", errors="replace") as f:
        return f.read()


def metric(server, name):
    found = re.findall(rf"^{name}(?:{{.*}})? (\d+)$", server.get("/metrics").text, re.M)
    if not found:
        raise SystemExit(f"/metrics has no {name}")
    return sum(map(int, found))


def state(server):
    pid, = server.workers()
    stacks = metric(server, "cserver_task_stacks")
    status = dict(re.findall(r"^(\w+):\s+(\d+) kB$", read(pid, "status"), re.M))
    return State(memory_of(pid), int(status["VmRSS"]) * 1024, int(status["VmPTE"]) * 1024,
                 len(read(pid, "maps").splitlines()), stacks)


def prepare(connections):
    """Servers that are started from now on may have so many connections, and get small pages only: memory then grows by what is
    used."""
    most = connections + 1000
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard not in (resource.RLIM_INFINITY, -1) and hard < most:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        except (ValueError, OSError):
            raise SystemExit(f"{connections} connections need {most} open files, and only {hard} are allowed (ulimit -Hn)") from None
    else:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    pr_set_thp_disable = 41
    ctypes.CDLL(None).prctl(pr_set_thp_disable, 1, 0, 0, 0)


# ---- Many, one after the other -------------------------------------------------------------------

class Client:
    """Asks `left` times, up to BATCH at once; all answers are of the same length."""

    def __init__(self, server, left, length):
        self.connection = server.connect()
        self.left, self.length, self.sent, self.waits = left, length, 0, 0
        self.got = bytearray()

    def begin(self):
        number = min(BATCH, self.left)
        out = b""
        for i in range(number):
            waits = i % WAITS == WAITS - 1
            out += b"GET /%b HTTP/1.1\r\nHost: x\r\n\r\n" % (b"once" if waits else b"hello")
            self.waits += waits
        self.left -= number
        self.sent = number
        self.got.clear()
        self.connection.send(out)

    def take(self):
        """What has come. True: all that was asked for."""
        data = self.connection.sock.recv(1 << 16)
        self.got += data
        if len(self.got) < self.sent * self.length and data:
            return False
        if len(self.got) != self.sent * self.length or self.got.count(ANSWER) != self.sent:
            raise SystemExit(f"wrong answers: {bytes(self.got[-500:])!r}")
        return True


def answer_length(server):
    with server.connect() as c:
        c.send(b"GET /once HTTP/1.1\r\nHost: x\r\n\r\nGET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        return len(c.until(b"world!\n"))


def ask(server, number):
    """So many requests, pipelined on CLIENTS connections. How many of them have waited."""
    length = answer_length(server)
    share, more = divmod(number, CLIENTS)
    clients = [Client(server, share + (i < more), length) for i in range(CLIENTS) if share + (i < more)]
    with selectors.DefaultSelector() as ready:
        for c in clients:
            ready.register(c.connection.sock, selectors.EVENT_READ, c)
            c.begin()
        while ready.get_map():
            events = ready.select(PATIENCE)
            if not events:
                raise SystemExit("the server answers no more")
            for key, _ in events:
                advance(ready, key.data)
    return sum(c.waits for c in clients)


def advance(ready, client):
    if not client.take():
        return
    if client.left:
        client.begin()
    else:
        ready.unregister(client.connection.sock)
        client.connection.close()


def many(server, number):
    """{"tasks", "waits", "before": State, "after": State}. Before that as many have waited as can at once, and all has been used."""
    with all_waiting(server, CLIENTS):
        pass
    for _ in range(4):
        ask(server, CLIENTS * BATCH)
    idle(server)
    before = state(server)
    waits = ask(server, number)
    idle(server)
    return {"tasks": number, "waits": waits, "before": before, "after": state(server)}


def idle(server):
    wait_for(lambda: metric(server, "cserver_tasks") == 0 and metric(server, "cserver_connections") == 1, PATIENCE)


# ---- Many at once -------------------------------------------------------------------------------

def begin(server):
    sock = socket.create_connection(("127.0.0.1", server.port), PATIENCE)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.sendall(b"GET /long HTTP/1.1\r\nHost: x\r\n\r\n")
    return sock


@contextlib.contextmanager
def all_waiting(server, number):
    with contextlib.ExitStack() as held:
        for _ in range(number):
            held.enter_context(begin(server))
        wait_for(lambda: metric(server, "cserver_tasks") == number, PATIENCE, "not all of them wait")
        yield
    idle(server)


def waiting(server, number, stack):
    """{"tasks", "stack_rss": of all stacks, "before", "during", "after": State}. stack: size of one."""
    ask(server, CLIENTS * BATCH)
    idle(server)
    before = state(server)
    pid, = server.workers()
    with all_waiting(server, number):
        during = state(server)
        found = stacks_among(mappings(read(pid, "smaps")), stack)
    if len(found) != during.stacks:
        raise SystemExit(f"the worker says that it has {during.stacks} stacks, and /proc shows {len(found)}")
    return {"tasks": number, "stack_rss": sum(m.rss for m in found), "before": before, "during": during, "after": state(server)}
