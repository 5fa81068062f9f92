"""The servers of make bench-accept: three policies of cserver, three ways of nginx, two of Node's cluster, and two
textbook loops, which are only measured where connections are short and nothing blocks. All have
the same handler: /work computes for a while, /block blocks its worker too, and both answer with the worker's pid.

They are not bound to a CPU: how the kernel places workers and load is part of what is compared. cserver and nginx
are woken by the first bytes of a connection (`deferred`, the default of cserver), which Node cannot ask for."""

import json
import os
import re
import shutil
import subprocess
import time
import urllib.request

from servers import CONNECTIONS, Cserver, Missing, Server, find, first_line, free_port
from tally import Tally

HERE = os.path.dirname(os.path.abspath(__file__))
BUSY_US = 50
BLOCK_MS = 20
BACKLOG = 4096  # nobody's queue may be the reason for an error


class Tools:
    """What has to be compiled: the load, the counting library, the handler for cserver."""

    def __init__(self, folder, bare=False):
        self.folder = folder
        self.visitor = self.compile("visitor", ["visitor.c"])
        self.tally = None if bare else self.compile("tally.so", ["-shared", "-fPIC", "-fvisibility=hidden", "tally.c",
                                                                 "-ldl", "-lpthread"])
        api = os.path.join(HERE, "..", "..", "src", "api")
        self.herd = self.compile("herd", ["herd.c"])
        self.module = self.compile("work.so", ["-shared", "-fPIC", "-I" + api, "accept_module.c"])

    def compile(self, name, args):
        path = os.path.join(self.folder, name)
        cc = os.environ.get("CC", "cc").split()
        subprocess.run([*cc, "-std=c11", "-D_GNU_SOURCE", "-O2", "-o", path, *args], cwd=HERE, check=True)
        os.chmod(path, 0o755)
        return path


class Contender(Server):
    """A server with a number of workers. `key` is its name in options and markers, `title` in tables."""

    key = title = ""
    plain = False  # only for short connections and without blocking

    def __init__(self, folder, workers, tools):
        self.name = self.key
        super().__init__(folder, None, None)
        self.workers, self.tools = workers, tools
        self.tally = None
        if tools.tally:
            self.tally = Tally(self.path("tally"), tools.tally)
            self.environment = self.tally.environment

    def start(self):
        self.ports["all"] = free_port()
        super().start()
        end = time.monotonic() + 20
        while not self.complete():
            if time.monotonic() > end or self.children[0].poll() is not None:
                self.stop()
                raise RuntimeError(f"{self.title}: not all of {self.workers} workers have come up")
            time.sleep(0.02)
        return self

    def complete(self):
        """Are all workers there?"""
        raise NotImplementedError

    def disagreement(self):
        """What the server's own counters say otherwise than the tally; None: nothing."""
        return None


class Policy(Contender):
    policy = ""

    def handlers(self):
        """Sections of what this server does."""
        return f"""\
[module:work]
file = {self.tools.module}
busy_us = {BUSY_US}

[route:work]
match = = /work
handler = work

[route:block]
match = = /block
handler = work
block_ms = {BLOCK_MS}
"""

    def commands(self):
        conf = self.write("cserver.ini", f"""\
[server]
workers = {self.workers}
access_log = off
error_log = {self.path("error.log")}
log_level = warn
pid_file = {self.path("cserver.pid")}
control = {self.path("control.sock")}
modules = {os.path.join(Cserver.build(), "modules")}

[accept]
policy = {self.policy}

[listen:main]
address = 127.0.0.1:{self.ports["all"]}
backlog = {BACKLOG}

[limits]
keepalive_requests = 0
keepalive_timeout = 300s

{self.handlers()}
[route:status]
match = = /status.json
handler = status

[module:status]
""")
        return {"all": [Cserver.binary(), "-c", conf]}

    @staticmethod
    def version():
        return Cserver.version()

    def status(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ports['all']}/status.json", timeout=10) as answer:
            return json.load(answer)

    def complete(self):
        return sum(w["state"] == "ready" for w in self.status()["workers"]) == self.workers

    def disagreement(self):
        """The answer itself is under way while it is counted: wake-ups may be a few apart."""
        own = {w["pid"]: w for w in self.status()["workers"]}
        mine = self.tally.by_pid()
        out = []
        for pid, w in own.items():
            t = mine.get(pid)
            if not t:
                out.append(f"worker {w['worker']} was not counted")
            elif (t.accepts, t.empty) != (w["accepts"], w["accept_empty"]) or abs(t.wakeups - w["wakeups"]) > 8:
                out.append(f"worker {w['worker']}: counted {t.accepts} accepts, {t.empty} empty, {t.wakeups} wake-ups;"
                           f" it says {w['accepts']}, {w['accept_empty']}, {w['wakeups']}")
        return "; ".join(out) or None


class Turn(Policy):
    key, title, policy = "turn", "cserver turn", "turn"


class Exclusive(Policy):
    key, title, policy = "exclusive", "cserver exclusive", "exclusive"


class Reuseport(Policy):
    key, title, policy = "reuseport", "cserver reuseport", "reuseport"


HANDLER = f"""\
package Work;
use strict;
use nginx;
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);

sub compute {{
    my $end = clock_gettime(CLOCK_MONOTONIC) + {BUSY_US}e-6;
    1 while clock_gettime(CLOCK_MONOTONIC) < $end;
}}

sub answer {{
    my $r = shift;
    my $body = "$$\\n";
    $r->header_out("Content-Length", length $body);
    $r->send_http_header("text/plain");
    $r->print($body);
    return OK;
}}

sub work {{
    compute();
    return answer(shift);
}}

sub block {{
    compute();
    select(undef, undef, undef, {BLOCK_MS}e-3);
    return answer(shift);
}}

1;
"""


class Nginx(Contender):
    mutex, listen = "off", ""

    def commands(self):
        self.write("Work.pm", HANDLER)
        temp = "".join(f"    {kind}_temp_path {self.path(kind)};\n"
                       for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        conf = self.write("nginx.conf", f"""\
load_module {perl_module()};
worker_processes {self.workers};
daemon off;
pid {self.path("pid")};
error_log {self.path("error.log")} error;
events {{
    use epoll;
    worker_connections {CONNECTIONS};
    accept_mutex {self.mutex};
}}
http {{
    access_log off;
    tcp_nodelay on;
    keepalive_timeout 300s;
    keepalive_requests 1000000000;
    perl_modules {self.folder};
    perl_require Work.pm;
{temp}    server {{
        listen 127.0.0.1:{self.ports["all"]} backlog={BACKLOG} deferred{self.listen};
        location = /work {{ perl Work::work; }}
        location = /block {{ perl Work::block; }}
    }}
}}
""")
        return {"all": [find("nginx"), "-p", self.folder, "-e", self.path("error.log"), "-c", conf]}

    @staticmethod
    def version():
        perl_module()
        return first_line(find("nginx"), "-v").replace("nginx version: ", "")

    def complete(self):
        return len(self.pids()) == 1 + self.workers


def perl_module():
    said = subprocess.run([find("nginx"), "-V"], stderr=subprocess.PIPE, text=True, check=False).stderr
    folder = re.search(r"--modules-path=(\S+)", said)
    path = os.path.join(folder[1] if folder else "/usr/lib/nginx/modules", "ngx_http_perl_module.so")
    if not os.path.exists(path):
        raise Missing("nginx has no perl module; to install it: ./configure --install-deps=bench")
    return path


class NginxMutex(Nginx):
    key, title, mutex = "nginx-mutex", "nginx accept_mutex on", "on"


class NginxPlain(Nginx):
    key, title = "nginx", "nginx accept_mutex off"


class NginxReuseport(Nginx):
    key, title, listen = "nginx-reuseport", "nginx reuseport", " reuseport"


class Node(Contender):
    policy = ""

    def commands(self):
        return {"all": [self.program(), os.path.join(HERE, "cluster.js"), str(self.ports["all"]), str(self.workers),
                        self.policy, str(BUSY_US), str(BLOCK_MS)]}

    @staticmethod
    def program():
        path = shutil.which("node")
        if not path:
            raise Missing("there is no node in PATH (Debian 12 has none that is recent: take it from nodejs.org)")
        return path

    @classmethod
    def version(cls):
        return "Node " + first_line(cls.program(), "--version")

    def complete(self):
        with open(self.path("output"), encoding="utf-8", errors="replace") as f:
            return "ready" in f.read()


class NodeRr(Node):
    key, title, policy = "node-rr", "Node SCHED_RR", "rr"


class NodeNone(Node):
    key, title, policy = "node-none", "Node SCHED_NONE", "none"


class Bare(Contender):
    plain = True
    how = ""

    def commands(self):
        return {"all": [self.tools.herd, str(self.ports["all"]), str(self.workers), self.how, str(BUSY_US)]}

    @staticmethod
    def version():
        return "bare epoll loops, no HTTP (tests/bench/herd.c)"

    def complete(self):
        return len(self.pids()) == 1 + self.workers


class BareHerd(Bare):
    key, title, how = "bare-herd", "bare epoll, all woken", "plain"


class BareExclusive(Bare):
    key, title, how = "bare-exclusive", "bare EPOLLEXCLUSIVE", "exclusive"


ALL = {c.key: c for c in (Turn, Exclusive, Reuseport, NginxMutex, NginxPlain, NginxReuseport, NodeRr, NodeNone,
                          BareHerd, BareExclusive)}
