#!/usr/bin/env python3
"""The same ten broken settings against nginx and cserver: what -t and -s reload exit with, what answers afterwards, and how
many requests fail meanwhile. cserver must refuse all of them, and lose nothing; nginx is only looked at.

--write: puts the table into docs/lifecycle.md."""
import http.client
import os
import signal
import subprocess
import tempfile
import threading
import time

from soak import SOURCE, Run, options, wait_for

from lib import ten
from lib.server import free_port

DOC = os.path.join(SOURCE, "docs/lifecycle.md")
BEGIN, END = "<!-- ten: made by tests/soak/against_nginx.py --write -->", "<!-- ten: end -->"
PATIENCE = 1  # seconds that a client waits
WORDS = {frozenset({"first\n"}): "old settings", frozenset({"wrong\n"}): "new settings", frozenset({None}): "**nobody**",
         frozenset(): "**nobody**"}
AFTER = 3  # seconds in which a server that only was told to reload shows what has come of it

args = options(__doc__, write=False)


def get(port):
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        client.request("GET", "/hello")
        return client.getresponse().read().decode()
    finally:
        client.close()


class Load:
    """A request at a time, each on a connection of its own, for as long as it lasts: (when it ended, answer or None)."""

    def __init__(self, port):
        self.port, self.answers, self.over = port, [], threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.over.is_set():
            try:
                answer = get(self.port)
            except (OSError, http.client.HTTPException):
                answer = None
                time.sleep(0.01)
            self.answers.append((time.monotonic(), answer))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()

    def failed(self):
        return sum(a is None for _, a in self.answers)

    def settle(self):
        """What answers now, when it has had its time."""
        time.sleep(AFTER)
        last = {a for at, a in list(self.answers) if at > time.monotonic() - AFTER / 2}
        return WORDS.get(frozenset(last), "some")


class Nginx:
    def __init__(self, program, folder):
        self.program, self.folder, self.port = program, folder, free_port()
        self.file = os.path.join(folder, "nginx.conf")
        self.write("first")
        assert self.run().returncode == 0
        self.pid = int(wait_for(lambda: self.pid_text(), 10))
        wait_for(self.answers, 10)

    def answers(self):
        try:
            return get(self.port) == "first\n"
        except OSError:
            return False

    def pid_text(self):
        with open(os.path.join(self.folder, "nginx.pid"), encoding="ascii") as f:
            return f.read().strip()

    def write(self, greeting, **pieces):
        with open(self.file, "w", encoding="utf-8") as f:
            f.write(ten.nginx_text(self.folder, self.port, greeting, **pieces))

    def run(self, *options):
        return subprocess.run([self.program, "-p", self.folder, "-c", self.file, "-e", self.folder + "/error.log", *options],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60)

    def end(self):
        os.kill(self.pid, signal.SIGTERM)
        os.waitpid(self.pid, 0)  # orphans of ours come to us


def try_nginx(program, case):
    """-t, reload, what answers, failed requests."""
    with tempfile.TemporaryDirectory(prefix="cs-nginx-") as folder:
        nginx = Nginx(program, folder)
        try:
            with Load(nginx.port) as load:
                nginx.write("wrong", **case.nginx)
                undo = ten.fill(nginx.pid) if case.full else lambda: None
                test, reload = nginx.run("-t").returncode, nginx.run("-s", "reload").returncode
                after = load.settle()
                undo()
            return test, reload, after, load.failed()
        finally:
            nginx.end()


def try_cserver(run, case):
    server = run.serve(ten.GOOD.format(greeting="first"))
    with Load(server.port) as load:
        case.write(server)
        undo = ten.fill(server.pid) if case.full else lambda: None
        test, reload = server.run("-c", server.conf, "-t"), server.ctl("reload")
        after = load.settle()
        undo()
    run.check(f"{case.name}: -s reload says why", all(w in reload.stderr for w in case.words), reload)
    run.check(f"{case.name}: -s reload exits with {reload.returncode}, {after}, {load.failed()} requests failed",
              reload.returncode in case.codes and after == "old settings" and load.failed() == 0, reload)
    server.end()
    return test.returncode, reload.returncode, after, load.failed()


def table(rows, version):
    lines = [f"| broken | {version}: `-t` | `-s reload` | answers then | failed | cserver: `-t` | `-s reload` | answers then | failed |",
             "|---|---:|---:|---|---:|---:|---:|---|---:|"]
    lines += [f"| {name} | {' | '.join(map(str, there))} | {' | '.join(map(str, here))} |" for name, there, here in rows]
    return "\n".join(lines)


def put(text):
    with open(DOC, encoding="utf-8") as f:
        whole = f.read()
    head, rest = whole.split(BEGIN)
    with open(DOC, "w", encoding="utf-8") as f:
        f.write(f"{head}{BEGIN}\n{text}\n{END}{rest.split(END)[1]}")


with Run() as run:
    program = run.need("nginx")
    version = subprocess.run([program, "-v"], capture_output=True, text=True, check=False).stderr.split("/")[-1].split()[0]
    cases = ten.Ten(run.folder)
    rows = [(case.name, try_nginx(program, case), try_cserver(run, case)) for case in cases.cases]
    cases.close()
    silent = sum(there[1] == 0 for _, there, _ in rows)
    run.note(f"nginx {version}: -s reload exits with 0 for {silent} of {len(rows)}")
    text = table(rows, f"nginx {version}")
    for line in text.splitlines():
        run.note(line)
    if args.write:
        put(text)
