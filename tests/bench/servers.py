"""The servers that are compared: how each is configured, started and stopped.

Each one serves the same folder over plain HTTP on a free loopback port, with one worker, without an access log,
with sendfile and keep-alive without limit, as its own documentation advises for static files. None of them
touches the system's services: settings, logs and pid files lie in the benchmark's temporary folder."""

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import time

INSTALL = "./configure --install-deps=bench"
CONNECTIONS = 16384  # what every server is set up for


class Missing(Exception):
    """A program that is not installed, or not built; the text says what to do."""


def find(program):
    path = shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin:/sbin")
    if not path:
        raise Missing(f"{program} is not installed; to install it: {INSTALL}")
    return path


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def first_line(*argv):
    run = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    lines = run.stdout.strip().splitlines()
    return lines[0] if lines else ""


def proc_stat(pid):
    """The fields of /proc/PID/stat after the name: state, ppid, ..."""
    with open(f"/proc/{pid}/stat", encoding="latin-1") as f:
        return f.read().rpartition(")")[2].split()


def die_with_parent():
    """In a new child: however the benchmark ends, its servers are told to end too."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


class Server:
    """One running server. `port(file)` says where it serves that file; `pids()` lists its processes. `cpu` is
    the one it is bound to, None: all. `environment` is added to ours, `connections` are the most that it is set up for,
    `patience` is how long it may take to end. Without `huge_pages` memory grows in small pages: by what is used."""

    name = ""
    environment = {}
    connections = CONNECTIONS
    patience = 5
    huge_pages = True

    def __init__(self, folder, root, cpu):
        self.folder = os.path.join(folder, self.name)
        self.root, self.cpu = root, cpu
        self.children = []
        self.ports = {}
        os.mkdir(self.folder, 0o755)

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as f:
            f.write(text)
        return self.path(name)

    def port(self, _file):
        return self.ports["all"]

    def commands(self):
        """Writes the settings; returns {file or "all": argv}, after choosing self.ports for the same keys."""
        raise NotImplementedError

    def start(self):
        for key, argv in self.commands().items():
            with open(self.path("output"), "ab") as out:
                child = subprocess.Popen(argv, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                         env={**os.environ, **self.environment}, preexec_fn=self.prepare)
            self.children.append(child)
            self.wait_ready(child, self.ports[key])
        return self

    def prepare(self):
        """In the child, before the server's program."""
        die_with_parent()
        if not self.huge_pages:
            pr_set_thp_disable = 41
            ctypes.CDLL(None).prctl(pr_set_thp_disable, 1, 0, 0, 0)
        if self.cpu is not None:
            os.sched_setaffinity(0, {self.cpu})

    def wait_ready(self, child, port):
        end = time.monotonic() + 60
        while time.monotonic() < end:
            if child.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                time.sleep(0.02)
        with open(self.path("output"), encoding="utf-8", errors="replace") as f:
            text = f.read()[-2000:]
        self.stop()
        raise RuntimeError(f"{self.name} does not answer on port {port}:\n{text}")

    def pids(self):
        """The started processes and all their descendants."""
        parent = {}
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                parent[int(name)] = int(proc_stat(name)[1])
            except OSError:
                pass
        found = {c.pid for c in self.children if c.poll() is None}
        while True:
            more = {p for p, pp in parent.items() if pp in found} - found
            if not more:
                return sorted(found)
            found |= more

    def stop(self):
        for child in self.children:
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
        for child in self.children:
            try:
                child.wait(self.patience)
            except subprocess.TimeoutExpired:
                left = self.pids()
                for pid in left:
                    os.kill(pid, signal.SIGKILL)
                child.wait()
        self.children = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class Floor(Server):
    name = "floor"

    def __init__(self, folder, root, cpu, binary):
        super().__init__(folder, root, cpu)
        self.binary = binary

    def port(self, file):
        return self.ports[file]

    def commands(self):
        out = {}
        for file in sorted(os.listdir(self.root)):
            path = os.path.join(self.root, file)
            size = os.path.getsize(path)
            self.ports[file] = free_port()
            out[file] = [self.binary, str(self.ports[file]), str(size)] + ([path] if size > 4096 else [])
        return out

    @staticmethod
    def version():
        return "bare epoll loop, no HTTP (tests/bench/floor.c)"


class Cserver(Server):
    name = "cserver"
    log = "access_log = off"  # in [server]

    @staticmethod
    def build():
        return os.path.abspath(os.environ.get("CSERVER_BUILD") or ".")

    @classmethod
    def binary(cls):
        path = os.path.join(cls.build(), "cserver")
        if not os.access(path, os.X_OK):
            raise Missing(f"{path} is not built; run make, or set CSERVER_BUILD to the folder that make ran in")
        return path

    def commands(self):
        self.ports["all"] = free_port()
        conf = self.write("cserver.ini", f"""\
[server]
workers = 1
{self.log}
error_log = {self.path("error.log")}
log_level = warn
pid_file = {self.path("cserver.pid")}
control = {self.path("control.sock")}

[listen:main]
address = 127.0.0.1:{self.ports["all"]}
backlog = 4096

[limits]
max_connections = {self.connections}
keepalive_requests = 0
keepalive_timeout = 300s

[site:default]
root = {self.root}

[module:hello]

[route:hello]
match = = /hello.txt
handler = hello
""")
        return {"all": [self.binary(), "-c", conf]}

    @classmethod
    def version(cls):
        return first_line(cls.binary(), "-v")


class Combined(Cserver):
    """With an access log, in a file."""

    name = "combined"
    form = "combined"

    @property
    def log(self):
        return f"access_log = {self.path('access.log')}\naccess_format = {self.form}"


class Json(Combined):
    name = form = "json"


class Nginx(Server):
    """tcp_nopush is on, as its documentation and Debian's settings have it, but off for the large files: there it
    costs nginx about half as much again. With sendfile off the 1 KiB rows would be a few per cent cheaper but the
    others much dearer."""

    name = "nginx"

    def commands(self):
        self.ports["all"] = free_port()
        temp = "".join(f"    {kind}_temp_path {self.path(kind)};\n"
                       for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        conf = self.write("nginx.conf", f"""\
worker_processes 1;
daemon off;
pid {self.path("pid")};
error_log {self.path("error.log")} error;
events {{
    use epoll;
    worker_connections {self.connections};
}}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    tcp_nodelay on;
    keepalive_timeout 300s;
    keepalive_requests 1000000000;
    open_file_cache max=1000 inactive=60s;
    open_file_cache_valid 60s;
    types {{ text/plain txt; application/octet-stream bin; }}
{temp}    server {{
        listen 127.0.0.1:{self.ports["all"]} backlog=4096;
        root {self.root};
        location = /100k.bin {{ tcp_nopush off; }}
        location = /1m.bin {{ tcp_nopush off; }}
        location = /hello.txt {{ return 200 "Hello, world!\\n"; }}
    }}
}}
""")
        return {"all": [find("nginx"), "-p", self.folder, "-e", self.path("error.log"), "-c", conf]}

    @staticmethod
    def version():
        return first_line(find("nginx"), "-v").replace("nginx version: ", "")


class H2o(Server):
    name = "h2o"

    def commands(self):
        self.ports["all"] = free_port()
        conf = self.write("h2o.conf", f"""\
num-threads: 1
max-connections: {self.connections}
http1-request-timeout: 300
error-log: {self.path("error.log")}
hosts:
  default:
    listen:
      host: 127.0.0.1
      port: {self.ports["all"]}
    paths:
      /:
        file.dir: {self.root}
""")
        return {"all": [find("h2o"), "-m", "worker", "-c", conf]}

    @staticmethod
    def version():
        return first_line(find("h2o"), "--version").replace(" version ", "/")


class Lighttpd(Server):
    name = "lighttpd"

    def commands(self):
        self.ports["all"] = free_port()
        conf = self.write("lighttpd.conf", f"""\
server.document-root = "{self.root}"
server.bind = "127.0.0.1"
server.port = {self.ports["all"]}
server.errorlog = "{self.path("error.log")}"
server.event-handler = "linux-sysepoll"
server.network-backend = "sendfile"
server.stat-cache-engine = "simple"
server.listen-backlog = 4096
server.max-fds = {2 * self.connections}
server.max-connections = {self.connections}
server.max-keep-alive-requests = 65535
server.max-keep-alive-idle = 300
mimetype.assign = ( ".txt" => "text/plain", ".bin" => "application/octet-stream" )
""")
        return {"all": [find("lighttpd"), "-D", "-f", conf]}

    @staticmethod
    def version():
        return first_line(find("lighttpd"), "-v").split(" (")[0]


PEERS = (Nginx, H2o, Lighttpd)
