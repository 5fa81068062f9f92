"""Measuring: one run of wrk with the server's CPU time, memory of idle connections, system calls of a request."""

import os
import re
import shutil
import signal
import socket
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


def read_answer(sock):
    """Reads one answer with a Content-Length; its status and its body."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = sock.recv(65536)
        if not more:
            raise ConnectionError("closed before the head was complete")
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)[1])
    while len(body) < length:
        more = sock.recv(1 << 20)
        if not more:
            raise ConnectionError("closed before the body was complete")
        body += more
    return int(head.split()[1]), body


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


def open_idle(server, file, number):
    """That many connections, each with one answered request."""
    socks = []
    for _ in range(number):
        sock = socket.create_connection(("127.0.0.1", server.port(file)), 10)
        sock.sendall(request(file))
        read_answer(sock)
        socks.append(sock)
    return socks


def memory(pids):
    """Anonymous and shared memory in use, in bytes; the kernel's part (sockets) and file pages are not in it."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/status", encoding="utf-8") as f:
            for name, value in re.findall(r"(RssAnon|RssShmem):\s+(\d+) kB", f.read()):
                total += int(value) * 1024
    return total


def idle_memory(server, file, number):
    """Bytes per idle keep-alive connection, and all memory with that many open."""
    for sock in open_idle(server, file, 16):
        sock.close()
    pids = server.pids()
    before = memory(pids)
    socks = open_idle(server, file, number)
    time.sleep(0.5)  # let the last answers' memory be given back
    after = memory(pids)
    for sock in socks:
        sock.close()
    return (after - before) / number, after


def calls_per_request(server, file, connections, rounds):
    """{system call: number per keep-alive request}, counted by strace while requests come in groups on idle
    connections. None where strace is missing or not allowed to look."""
    strace = shutil.which("strace")
    if not strace:
        return None
    socks = open_idle(server, file, connections)
    with tempfile.NamedTemporaryFile("r") as out:
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
        text = out.read()
    for sock in socks:
        sock.close()
    calls = {}
    for line in text.splitlines():
        cells = line.split()
        if len(cells) >= 5 and cells[0][0].isdigit() and cells[3].isdigit() and cells[-1] != "total":
            calls[cells[-1]] = int(cells[3]) / (connections * rounds)
    return calls or None
