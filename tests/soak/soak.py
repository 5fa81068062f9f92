"""What the long tests share: counting checks, building and running count_client, reading the status page.

    with soak.Run() as run:
        server = run.serve(conf, server={"workers": 4})
        run.check("it answers", server.get("/").status == 200)

Each script is a program of its own that ends with `N passed, N failed`; an exception is a failed check. They take
turns (a lock on the build folder), since each wants the machine for itself."""
import fcntl
import http.client
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.append(os.path.dirname(HERE))

from lib.server import BUILD, Server, build_module, wait_for  # noqa: E402,F401

MODULES = """
    [module:hello]
    [module:slow]
    [module:status]

    [route:hello]
    match = = /hello
    handler = hello

    [route:slow]
    match = = /slow
    handler = slow
    delay = 1s

    [route:status]
    match = = /status.json
    handler = status
"""
GAUGES = {"connections"}  # of the numbers per worker; everything else there only grows


class Run:
    """One script's run: its checks, its servers, its temporary folder, its clients."""

    def __init__(self):
        self.passed = self.failed = 0
        self.servers, self.children = [], []

    def __enter__(self):
        self.lock = os.open(BUILD, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.folder = tempfile.mkdtemp(prefix="cs-soak-")
        self.start = time.monotonic()
        return self

    def __exit__(self, kind, error, trace):
        if error is not None:
            if not isinstance(error, Exception):
                self.failed += 1
            else:
                self.check(f"the script came to its end: {kind.__name__}: {error}", False,
                           "".join(traceback.format_tb(trace)))
        self.end()
        print(f"{time.monotonic() - self.start:.0f} s")
        print(f"{self.passed} passed, {self.failed} failed", flush=True)
        os._exit(1 if self.failed or not self.passed else 0)

    def end(self):
        for child in self.children:
            if child.poll() is None:
                child.kill()
                child.wait()
        for server in self.servers:
            faults = server.end()
            self.check("the server ended cleanly", not faults, "\n".join(faults))
        shutil.rmtree(self.folder, ignore_errors=True)

    def check(self, what, good, detail=""):
        """Counts and prints one check; `detail` says more where it failed."""
        if good:
            self.passed += 1
        else:
            self.failed += 1
        print(f"{'ok  ' if good else 'FAIL'}  {what}", flush=True)
        if not good and detail:
            print("".join(f"      {line}\n" for line in str(detail).splitlines()[-40:]), end="", flush=True)
        return good

    def note(self, text):
        print(f"      {text}", flush=True)

    def serve(self, conf=MODULES, server=None, **more):
        s = Server(conf, server={"access_log": "off", "log_level": "warn", **(server or {})}, **more)
        self.servers.append(s)
        return s.start()

    def popen(self, argv, **more):
        child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                 text=True, **more)
        self.children.append(child)
        return child

    def need(self, program):
        path = shutil.which(program)
        if not path:
            raise RuntimeError(f"{program} is not installed; to install it: ./configure --install-deps=bench")
        return path

    def wrk(self, server, path, connections, seconds, *more):
        return self.popen([self.need("wrk"), "-t1", f"-c{connections}", f"-d{seconds}s", *more,
                           f"http://127.0.0.1:{server.port}{path}"])

    def client(self, server, path, *options):
        """Starts count_client; finish() gives its result."""
        binary = os.path.join(self.folder, "count_client")
        if not os.path.exists(binary):
            cc = os.environ.get("CC", "cc").split()
            subprocess.run([*cc, "-std=c11", "-D_GNU_SOURCE", "-O2", "-o", binary,
                            os.path.join(HERE, "count_client.c")], check=True)
        child = self.popen([binary, *map(str, options), str(server.port), path])
        child.what = f"{path} {' '.join(map(str, options))}"
        return child

    @staticmethod
    def finish(child, stop=True):
        """Ends the client after its outstanding answers; its result."""
        if stop and child.poll() is None:
            child.terminate()
        out, _ = child.communicate(timeout=60)
        return Result(child.what, out)


class Result:
    """What count_client has printed."""

    def __init__(self, what, text):
        counts = re.search(r"^requests (\d+), failed (\d+)$", text, re.M)
        if not counts:
            raise RuntimeError(f"count_client {what} has no result:\n{text}")
        self.what, self.text = what, text
        self.requests, self.failed = int(counts[1]), int(counts[2])
        number = lambda name: int(re.search(rf"^{name}: (\d+)$", text, re.M)[1])
        self.answered, self.announced = number("answered"), number("announced ends")
        self.ended_idle, self.longest_ms = number("ended idle"), number("longest ms")

    def __str__(self):
        return f"{self.what}\n{self.text}"


def status(server, patience=5):
    """The status page's JSON; tried again while workers die, for so many seconds."""
    end = time.monotonic() + patience
    while True:
        try:
            r = server.get("/status.json")
            if r.status == 200:
                return r.json
            raise AssertionError(f"/status.json answers {r.status}")
        except (OSError, http.client.HTTPException) as e:
            why = e
        if time.monotonic() > end:
            raise AssertionError(f"no status for {patience} s: {why!r}")


def pids(numbers):
    return {w["pid"] for w in numbers["workers"] if w["state"] == "ready"}


class Monotone:
    """Remembers the highest value of each counter; look() complains about those that have gone back. Only for one
    thread, which takes the numbers and looks at them in the same order."""

    def __init__(self):
        self.seen, self.backwards, self.looks = {}, [], 0

    @staticmethod
    def flat(numbers):
        for name, value in numbers["totals"].items():
            if name not in GAUGES:
                yield f"totals.{name}", value
        for w in numbers["workers"]:
            for name, value in w.items():
                if name not in GAUGES | {"worker", "pid", "state"}:
                    yield f"worker {w['worker']}.{name}", value
        for module, values in numbers["modules"].items():
            for name, value in values.items():
                yield f"{module}.{name}", value

    def look(self, numbers):
        self.looks += 1
        for name, value in self.flat(numbers):
            if value < self.seen.get(name, 0):
                self.backwards.append(f"{name}: {self.seen[name]} then {value}")
            self.seen[name] = max(value, self.seen.get(name, 0))


class Prober(threading.Thread):
    """Asks for the status page on a new connection, again and again. `monotone` looks at each; silence() is the
    longest time without an answer since reset()."""

    def __init__(self, server, pause=0.0):
        super().__init__(daemon=True)
        self.server, self.pause = server, pause
        self.monotone = Monotone()
        self.failures, self.done, self.error = 0, False, None
        self.reset()
        self.start()

    def run(self):
        try:
            while not self.done:
                if not self.probe():
                    self.failures += 1
                time.sleep(self.pause)
        except Exception:
            self.error = traceback.format_exc()

    def probe(self):
        try:
            with self.server.connect() as c:
                c.sock.settimeout(2)
                r = c.send(b"GET /status.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").response()
        except (OSError, EOFError):
            return False
        if r.status != 200:
            raise AssertionError(f"/status.json answers {r.status}")
        self.monotone.look(r.json)
        now = time.monotonic()
        self.longest = max(self.longest, now - self.last)
        self.last = now
        return True

    def reset(self):
        self.last, self.longest = time.monotonic(), 0.0

    def silence(self):
        return max(self.longest, time.monotonic() - self.last)

    def stop(self):
        self.done = True
        self.join(10)
        if self.error:
            raise AssertionError(f"the prober stopped:\n{self.error}")
