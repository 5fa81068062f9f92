"""Measuring: one run of wrk with the server's CPU time, what others took meanwhile, idle connections and their memory, system
calls of a request."""

import os
import re
import resource
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time

from servers import find

PIPELINE = """\
init = function(args)
    local batch = {}
    for i = 1, 16 do
        batch[i] = wrk.format()
    end
    requests = table.concat(batch)
end
request = function()
    return requests
end
"""


def cpu_seconds(pids):
    """CPU time of all threads, user and system; in nanoseconds where the kernel says so, else in clock ticks."""
    total = 0.0
    for pid in pids:
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as f:
                    total += int(f.read().split()[0]) / 1e9
        except FileNotFoundError:
            with open(f"/proc/{pid}/stat", encoding="latin-1") as f:
                fields = f.read().rpartition(")")[2].split()
            total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


def kernel_seconds(pids):
    """(CPU time in the kernel, CPU time), in clock ticks: rough, but the kernel has nothing finer."""
    kernel = both = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat", encoding="latin-1") as f:
            user, system = map(int, f.read().rpartition(")")[2].split()[11:13])
        kernel, both = kernel + system, both + user + system
    tick = os.sysconf("SC_CLK_TCK")
    return kernel / tick, both / tick


def parse_wrk(text):
    """Requests, seconds and {error: number} of one run of wrk."""
    done = re.search(r"(\d+) requests in ([\d.]+)(us|ms|s|m),", text)
    if not done:
        raise RuntimeError(f"wrk did not finish:\n{text}")
    seconds = float(done[2]) * {"us": 1e-6, "ms": 1e-3, "s": 1, "m": 60}[done[3]]
    errors = {}
    sockets = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    for kind, number in zip(("connect", "read", "write", "timeout"), sockets.groups() if sockets else ()):
        errors[kind] = int(number)
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    errors["non-2xx"] = int(bad[1]) if bad else 0
    return int(done[1]), seconds, {k: n for k, n in errors.items() if n}


def load(server, row, seconds, cpu):
    """One run of one row. requests/s, CPU microseconds per request, share of its CPU, {error: number}, requests. cpu:
    the one that the load is bound to; None: all."""
    argv = [find("wrk"), "-t1", f"-c{row.connections}", f"-d{seconds}s"]
    if row.close:
        argv += ["-H", "Connection: close"]
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        if row.pipeline:
            script.write(PIPELINE)
            script.flush()
            argv += ["-s", script.name]
        argv.append(f"http://127.0.0.1:{server.port(row.file)}/{row.file}")
        pids = server.pids()
        used, began = cpu_seconds(pids), time.monotonic()
        pin = None if cpu is None else lambda: os.sched_setaffinity(0, {cpu})
        run = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
                             preexec_fn=pin)
        took = time.monotonic() - began
        errors = {}
        if server.pids() != pids:
            errors["processes changed"] = 1
            pids = [p for p in pids if os.path.exists(f"/proc/{p}")]
        used = cpu_seconds(pids) - used
    requests, span, more = parse_wrk(run.stdout)
    errors.update(more)
    if not requests:
        errors["no answer"] = 1
    return requests / span, used * 1e6 / max(requests, 1), used / took, errors, requests


def read_answers(sock, number):
    """Reads answers with a Content-Length; yields the status and the body of each."""
    data = b""
    for _ in range(number):
        while b"\r\n\r\n" not in data:
            data += more(sock, "head")
        head, _, body = data.partition(b"\r\n\r\n")
        length = int(re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)[1])
        while len(body) < length:
            body += more(sock, "body")
        data = body[length:]
        yield int(head.split()[1]), body[:length]


def more(sock, what):
    data = sock.recv(1 << 20)
    if not data:
        raise ConnectionError(f"closed before the {what} was complete")
    return data


def read_answer(sock):
    return next(read_answers(sock, 1))


def request(file):
    return f"GET /{file} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()


def check(server, root, files):
    """Does the server send these files, twice on one connection? The floor has bodies of its own."""
    for file in files:
        with open(os.path.join(root, file), "rb") as f:
            expected = f.read()
        with socket.create_connection(("127.0.0.1", server.port(file)), 5) as sock:
            for _ in range(2):
                sock.sendall(request(file))
                status, body = read_answer(sock)
                same = len(body) == len(expected) if server.name == "floor" else body == expected
                if status != 200 or not same:
                    raise RuntimeError(f"{server.name} sends {status} and {len(body)} bytes for {file}")


class Neighbours:
    """What programs that are not ours take of all CPUs, from its making on. Time that a hypervisor has kept is theirs."""

    def __init__(self):
        self.busy, self.ours, self.began = self.machine(), self.own(), time.monotonic()

    @staticmethod
    def machine():
        """Seconds of all CPUs since the start of the system."""
        with open("/proc/stat", encoding="ascii") as f:
            user, nice, system, _, _, irq, softirq, steal = map(int, f.readline().split()[1:9])
        return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")

    @staticmethod
    def own():
        """Of this program and the loads that have ended; servers are told of apart."""
        return sum(u.ru_utime + u.ru_stime for u in map(resource.getrusage, (resource.RUSAGE_SELF,
                                                                             resource.RUSAGE_CHILDREN)))

    def took(self, server_cpus):
        """CPUs. server_cpus: those that the server had. None where the system does not say."""
        span = time.monotonic() - self.began
        busy = self.machine() - self.busy
        if busy <= 0:
            return None
        return max(0.0, (busy - (self.own() - self.ours)) / span - server_cpus)


class Idle:
    """Connections with one answered request each, that stay open:  with Idle(server, file, number): ...

    They end with a reset: thousands that wait for their end would use up the ports of the next ones. When it is over, the
    server has seen all of them end."""

    def __init__(self, server, file, number):
        self.server, self.file, self.number = server, file, number
        self.socks = []

    def __enter__(self):
        try:
            for _ in range(self.number):
                sock = socket.create_connection(("127.0.0.1", self.server.port(self.file)), 10)
                self.socks.append(sock)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                sock.sendall(request(self.file))
                read_answer(sock)
        except OSError:
            self.close()
            raise
        if self.number:
            calm(self.server)
        return self.socks

    def close(self):
        for sock in self.socks:
            sock.close()

    def __exit__(self, *_):
        self.close()
        if self.number:
            calm(self.server)


def calm(server, most=5):
    """Waits until the server has nothing to do, some seconds at most."""
    before, end = None, time.monotonic() + most
    while time.monotonic() < end:
        now = cpu_seconds(server.pids())
        if before is not None and now - before < 0.001:
            return
        before = now
        time.sleep(0.1)


def memory(pids):
    """Anonymous and shared memory in use, in bytes; the kernel's part (sockets) and file pages are not in it. What processes
    share counts once."""
    return sum(map(memory_of, pids))


def memory_of(pid):
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
            found = re.findall(r"^Pss_(Anon|Shmem):\s+(\d+) kB", f.read(), re.M)
    except OSError:
        found = []
    if not found:  # an old kernel, or a process that only root may look into: this is less exact
        with open(f"/proc/{pid}/status", encoding="utf-8") as f:
            found = re.findall(r"^Rss(Anon|Shmem):\s+(\d+) kB", f.read(), re.M)
    return sum(int(value) * 1024 for _, value in found)


def idle_memory(server, file, number, base):
    """What each idle keep-alive connection costs in bytes: {"bytes": what the server grows by, "told": with the tables that
    are there before the first connection, "whole": all memory}. base: the memory of a server made for few."""
    with Idle(server, file, 16):
        pass
    pids = server.pids()
    before = memory(pids)
    with Idle(server, file, number):
        after = memory(pids)
    return {"bytes": (after - before) / number, "told": (after - base) / number, "whole": after}


def base_memory(server, file):
    """Of a server that has had a few connections."""
    with Idle(server, file, 16):
        pass
    return memory(server.pids())


def calls_per_request(server, file, connections, rounds):
    """{system call: number per keep-alive request}, counted by strace while requests come in groups on idle
    connections. None where strace is missing or not allowed to look."""
    strace = shutil.which("strace")
    if not strace:
        return None
    with Idle(server, file, connections) as socks, tempfile.NamedTemporaryFile("r") as out:
        argv = [strace, "-c", "-f", "-o", out.name]
        for pid in server.pids():
            argv += ["-p", str(pid)]
        tracer = subprocess.Popen(argv, stderr=subprocess.DEVNULL)
        time.sleep(0.5)
        if tracer.poll() is not None:
            return None
        for _ in range(rounds):
            for sock in socks:
                sock.sendall(request(file))
            for sock in socks:
                read_answer(sock)
        tracer.send_signal(signal.SIGINT)
        tracer.wait(10)
        return parse_strace(out.read(), connections * rounds)


def parse_strace(text, requests):
    """{system call: number per request}, from the table of strace -c; None: there is none."""
    calls = {}
    for line in text.splitlines():
        cells = line.split()
        if len(cells) >= 5 and cells[0][0].isdigit() and cells[3].isdigit() and cells[-1] != "total":
            calls[cells[-1]] = int(cells[3]) / requests
    return calls or None
