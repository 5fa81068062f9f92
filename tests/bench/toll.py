"""What a worker takes in user space for one request of a route, in instructions, by callgrind: a run with few requests on one
keep-alive connection is taken off one with many, so that neither start nor end is in it."""

import json
import os
import shutil
import signal
import subprocess

import callgrind
from lib.server import PROGRAM, Server, wait_for

FEW = 1000
START = 120  # seconds; valgrind takes its time


def need_valgrind():
    if not shutil.which("valgrind"):
        raise SystemExit("valgrind is not installed; to install it: ./configure --install-deps=bench")


def ask(server, path, text, requests):
    request = f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    with server.connect() as c:
        for _ in range(requests):
            r = c.send(request).response()
            if (r.status, r.text) != (200, text):
                raise SystemExit(f"a wrong answer: {r}")


def worker_of(server):
    """Its pid; the server itself says that it is ready."""
    def ready():
        answer = server.ctl("status", "--json").stdout
        return [w["pid"] for w in json.loads(answer)["workers"] if w["state"] == "ready"] if answer else []

    return wait_for(ready, START)[0]


def run(settings, path, text, requests):
    """Counts of the worker, from its birth to its end."""
    server = Server(settings, server={"workers": 1, "access_log": "off"})
    try:
        out_folder = server.path("out")  # the worker may have another user
        os.mkdir(out_folder)
        os.chmod(server.folder, 0o711)
        os.chmod(out_folder, 0o777)
        with open(server.path("stderr.txt"), "ab") as out:
            server.process = subprocess.Popen(
                ["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={out_folder}/%p", PROGRAM,
                 "-c", server.conf], stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
        wait_for(lambda: os.path.exists(server.control), START, "the server does not start under valgrind")
        pid = worker_of(server)
        ask(server, path, text, requests)
        server.stop(signal.SIGTERM, START)
        return callgrind.read(server.read(f"out/{pid}"))
    finally:
        faults = server.end()
        if faults:
            raise SystemExit("\n".join(faults))


def per_request(settings, path, text, requests):
    """Counts of one request of path, which is answered with that text."""
    few, many = (run(settings, path, text, n) for n in (FEW, FEW + requests))
    return (many - few) / requests
