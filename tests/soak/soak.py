"""What the long tests share: counting checks, building and running the clients (count_client, arrivals), reading the
status page, looking at and killing the holder of the turn (holder).

    with soak.Run() as run:
        server = run.serve(conf, server={"workers": 4})
        run.check("it answers", server.get("/").status == 200)

Each script is a program of its own that ends with `N passed, N failed`; an exception is a failed check. They take
turns (a lock on the build folder), since each wants the machine for itself."""
import argparse
import fcntl
import http.client
import json
import os
import re
import resource
import select
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

from lib.server import BUILD, OURSELVES, SOURCE, Server, build_module, deadline, wait_for  # noqa: E402,F401

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
WHO = """
    #include <cserver/cserver.h>
    #include <stdlib.h>
    #include <string.h>
    #include <sys/resource.h>
    #include <time.h>
    #include <unistd.h>

    static void spin(long us)
    {
        struct timespec t, now;
        clock_gettime(CLOCK_MONOTONIC, &t);
        do
            clock_gettime(CLOCK_MONOTONIC, &now);
        while ((now.tv_sec - t.tv_sec) * 1000000 + (now.tv_nsec - t.tv_nsec) / 1000 < us);
    }

    static void leave(long descriptors)
    {
        int next = dup(0);
        struct rlimit limit;
        getrlimit(RLIMIT_NOFILE, &limit);
        limit.rlim_cur = (rlim_t)(next + descriptors);
        setrlimit(RLIMIT_NOFILE, &limit);
        close(next);
    }

    /* What no module should do: ?block=MS sleeps, ?spin=US works, for the whole worker; ?leave=N leaves it only so many
     * more descriptors. */
    static void misbehave(cs_str query)
    {
        char text[32] = "";
        memcpy(text, query.p, query.n < sizeof text ? query.n : sizeof text - 1);
        const char *value = strchr(text, '=');
        const long n = value ? atol(value + 1) : 0;
        if (!strncmp(text, "block=", 6))
            usleep((useconds_t)n * 1000);
        else if (!strncmp(text, "spin=", 5))
            spin(n);
        else if (!strncmp(text, "leave=", 6))
            leave(n);
    }

    static int handler(cs_req *r)
    {
        misbehave(cs_info(r)->query);
        return cs_textf(r, 200, "pid %d\\n", (int)getpid());
    }
    CS_MODULE(.name = "who", .version = "1.0", .help = "Tells who answers.", .handler = handler);
"""
# Everything else of the status page only grows.
GAUGES = {"connections", "connections_idle", "connections_max", "p50_us", "p99_us", "mail_backlog", "mail_lag", "mail_lagging",
          "mail_outbox_bytes", "streams"}
LABELS = {"worker", "pid", "state"}


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
        more.setdefault("stdin", subprocess.DEVNULL)
        child = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)
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

    def program(self, name):
        """The path of this C program of ours; builds it at first."""
        binary = os.path.join(self.folder, name)
        if not os.path.exists(binary):
            cc = os.environ.get("CC", "cc").split()
            subprocess.run([*cc, "-std=c11", "-D_GNU_SOURCE", "-O2", "-I" + os.path.join(SOURCE, "src"), "-o", binary,
                            os.path.join(HERE, name + ".c")], check=True)
        return binary

    def who(self, accept="", conf=""):
        """Settings with the module `who` at /who; `accept`: lines of [accept]."""
        so_file = os.path.join(self.folder, "who.so")
        if not os.path.exists(so_file):
            build_module(self.folder, "who", WHO)
        lines = "".join(f"    {line.strip()}\n" for line in accept.splitlines())
        return (f"{MODULES}\n    [module:who]\n    file = {so_file}\n\n"
                f"    [route:who]\n    match = = /who\n    handler = who\n\n    [accept]\n{lines}{conf}")

    def arrivals(self, server, path, *options):
        """Starts the open-loop client; see Arrivals."""
        argv = [self.program("arrivals"), *map(str, options), str(server.port), path]
        return Arrivals(self.popen(argv), f"{path} {' '.join(map(str, options))}")

    def calmly(self, attempt, limit_ms, tries=3, quantile="p999"):
        """The first result of attempt() on a machine that is quiet enough to judge it: where the client itself was late
        by more than the limit, others were at work. The last one counts in any case. It may be the first of a tuple."""
        for left in reversed(range(tries)):
            result = attempt()
            end = result[0] if isinstance(result, tuple) else result
            if not left or end.ms("late", quantile) < limit_ms:
                return result
            self.note(f"{end.what}: the client itself was late by {end.summary('late')}: others are at work, again")

    def holder(self, server):
        """Starts the program that looks at the turn of this server."""
        child = self.popen([self.program("holder"), str(server.pid)], stdin=subprocess.PIPE)
        return Holder(child)

    def client(self, server, path, *options):
        """Starts count_client; finish() gives its result."""
        child = self.popen([self.program("count_client"), *map(str, options), str(server.port), path])
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


class Outcome:
    """What arrivals has printed, by name; waits in milliseconds."""

    def __init__(self, what, values):
        self.what, self.values = what, values
        self.by_pid = {int(pid): count for pid, count in values["by_pid"].items()}

    def __getattr__(self, name):
        return self.values[name]

    def ms(self, what, quantile):
        """wait (since it was due), service (since connect), late (the client itself); p50, p90, p99, p999, max."""
        return self.values[what + "_us"][quantile] / 1000

    def summary(self, what="wait"):
        return " ".join(f"{q} {self.ms(what, q):.2f}" for q in ("p50", "p99", "p999", "max")) + " ms"

    def __str__(self):
        short = {k: v for k, v in self.values.items() if k not in ("failures", "slowest")}
        return f"{self.what}\n{json.dumps(short)}\n{self.values['failures'][:20]}\n{self.values['slowest'][:5]}"


def stolen_ms():
    """CPU time that the host has not given to this machine, all CPUs together, since it started."""
    with open("/proc/stat", encoding="ascii") as f:
        return int(f.readline().split()[8]) * 1000 // os.sysconf("SC_CLK_TCK")


class Arrivals:
    """A running client of that kind."""

    def __init__(self, child, what):
        self.child, self.what, self.stolen = child, what, stolen_ms()

    def held(self, seconds=60):
        """With -k: waits until each connection has had its answer."""
        if not select.select([self.child.stdout], [], [], seconds)[0]:
            raise AssertionError(f"arrivals {self.what}: not all connections are answered in {seconds} s")
        return Outcome(self.what, self.parse(self.child.stdout.readline()))

    def parse(self, line):
        try:
            return json.loads(line)
        except ValueError:
            raise AssertionError(f"arrivals {self.what} has said {line!r}") from None

    def running(self):
        return self.child.poll() is None

    def stop(self):
        """Begins no more, waits for the answers still owed."""
        if self.running():
            self.child.terminate()
        return self.result()

    def result(self, seconds=120):
        """Waits for its end."""
        out, _ = self.child.communicate(timeout=seconds)
        end = Outcome(self.what, self.parse((out.splitlines() or [""])[-1]))
        end.stolen_ms = stolen_ms() - self.stolen
        return end


class Holder:
    """Looks at the turn through shared memory: see holder.c."""

    def __init__(self, child):
        self.child = child

    def ask(self, *words):
        self.child.stdin.write(" ".join(map(str, words)) + "\n")
        self.child.stdin.flush()
        line = self.child.stdout.readline()
        try:
            return json.loads(line)
        except ValueError:
            raise AssertionError(f"holder has said {line!r}") from None

    def pid(self):
        """Whoever has the turn now; 0 = nobody."""
        return self.ask("look")["tid"]

    def kill_holder(self):
        return self.ask("holder")

    def stop_holder(self):
        return self.ask("holder", "stay")

    def stop_other(self, pids):
        return self.ask("other", *pids)

    def kill(self, *pids):
        return self.ask("kill", *pids)


class Kills:
    """Remembers who was killed, whether he had the turn, and which connections that may cost."""

    def __init__(self):
        self.all = []

    def add(self, killed):
        self.all += [k for k in killed if k["pid"]]

    def holders(self, how="sure"):
        return sum(k["held"] == how for k in self.all)

    def strangers(self, failures):
        """Failures that no death explains: of connections that no victim had. A port may have come round again, so
        the time counts too."""
        def explained(failure):
            _, at, began, port = failure
            return any(port in k["peers"] and began - 0.01 <= k["at"] <= at + 0.01 for k in self.all)

        return [f for f in failures if not explained(f)]

    def net_us(self, slow):
        """From connect to the first byte, without the time for which we made a victim stand before it was killed."""
        start = slow["at"] - slow["service_us"] / 1e6
        stood = sum(k["stopped_us"] for k in self.all
                    if start <= k["at"] and k["at"] - k["stopped_us"] / 1e6 <= slow["at"])
        return max(0, slow["service_us"] - stood)

    def worst_wait_ms(self, end):
        return max(map(self.net_us, end.slowest), default=0) / 1000

    def disturbed(self, end, limit_ms, after=0.0, span=0.02):
        """Of how many deaths does a wait of limit_ms or more overlap the time from (after) seconds behind it, for a
        span? With `after` in the middle between two deaths this is what the machine does by itself."""
        late = [(s["at"] - s["service_us"] / 1e6, s["at"]) for s in end.slowest if self.net_us(s) >= limit_ms * 1000]
        starts = [k["at"] - (0 if after else k["stopped_us"] / 1e6) + after for k in self.all]
        return sum(any(begin <= start + span and start <= stop for begin, stop in late) for start in starts)

    def judge(self, run, what, recovered):
        """recovered == kills of holders. One that dies in the middle of a recovery may leave it uncounted."""
        sure, mid = self.holders(), self.holders("mid")
        run.check(f"{what}: {len(self.all)} killed, {sure} of them had the turn, {mid} were taking or giving it: "
                  f"{recovered} recoveries", sure <= recovered <= sure + mid and sure > 0)


def options(about, **defaults):
    """Options of a script, --name VALUE for each default."""
    parser = argparse.ArgumentParser(description=about)
    for name, value in defaults.items():
        if value is False:
            parser.add_argument("--" + name, action="store_true")
        else:
            parser.add_argument("--" + name, type=type(value), default=value, help=f"default: {value}")
    return parser.parse_args()


def jain(counts):
    """1: all the same; 1/n: one has it all."""
    counts = list(counts)
    return sum(counts) ** 2 / (len(counts) * sum(c * c for c in counts)) if any(counts) else 0.0


def spread(counts):
    """Most by least."""
    counts = list(counts)
    return max(counts) / min(counts) if counts and min(counts) else float("inf")


def shares(server, by_pid):
    """What each of the workers of now has had, also those that had nothing."""
    return [by_pid.get(pid, 0) for pid in server.workers()]


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


def counters(prefix, values):
    """(name, value) of all that only grows, also in the tables within it."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from counters(f"{prefix}.{name}", value)
        elif name not in GAUGES and isinstance(value, (int, float)):
            yield f"{prefix}.{name}", value


def grown(before, after):
    """By how much each counter of the totals has grown."""
    old = dict(counters("totals", before["totals"]))
    return {name.removeprefix("totals."): value - old.get(name, 0)
            for name, value in counters("totals", after["totals"])}


def pids(numbers):
    return {w["pid"] for w in numbers["workers"] if w["state"] == "ready"}


class Monotone:
    """Remembers the highest value of each counter; look() complains about those that have gone back. Only for one
    thread, which takes the numbers and looks at them in the same order."""

    def __init__(self):
        self.seen, self.backwards, self.looks = {}, [], 0

    @staticmethod
    def flat(numbers):
        yield from counters("totals", numbers["totals"])
        for w in numbers["workers"]:
            yield from counters(f"worker {w['worker']}", {k: v for k, v in w.items() if k not in LABELS})
        for name, p in numbers["processes"].items():
            yield from counters(name, {k: v for k, v in p.items() if k not in LABELS})
        yield from counters("topics", numbers["topics"])
        yield from counters("modules", numbers["modules"])

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
