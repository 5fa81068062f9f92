"""Ten settings files that are broken, each in its own way, for cserver and for nginx; and a way to run either.

    ten = Ten(server)                       # a Server that runs on GOOD
    for case in ten.cases: case.write(server)

`codes`: what -s reload may exit with. `words`: stand in its reason. A case may also change the world (`begin`, `end`): the
table of descriptors is full, a port is taken."""
import itertools
import os
import resource
import socket
import textwrap
import time

from lib.server import build_module, deadline

GOOD = """
[module:hello]
[route:hello]
match = = /hello
handler = hello
greeting = {greeting}
"""
START = """
    #include <cserver/cserver.h>
    static int on_start(cs_proc *p) { (void)p; return CS_ERROR; }
    CS_MODULE(.name = "start", .version = "1.0", .help = "Its workers do not start.", .worker_start = on_start);
"""
ZONE = """
    #include <cserver/cserver.h>
    static cs_zone *zone;
    static const cs_zone_def zones[] = {{.ref = &zone, .name = "big", .size = (size_t)1 << 50}, {0}};
    CS_MODULE(.name = "big", .version = "1.0", .help = "Wants more memory than there is.", .zones = zones);
"""
NGINX = """
daemon on;
pid {dir}/nginx.pid;
error_log {log} notice;
{user}
worker_processes 2;
{top}
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;
    {http}
    server {{
        listen 127.0.0.1:{port};
        location = /hello {{ return 200 "{greeting}\\n"; }}
        {server}
    }}
}}
"""


def descriptors(pid):
    return {int(n) for n in os.listdir(f"/proc/{pid}/fd")}


def at_rest(pid):
    """Its descriptors, when it opens and closes none for a while; those of a start come and go."""
    for _ in deadline(what="its descriptors are never the same for long"):
        before = descriptors(pid)
        time.sleep(0.2)
        if descriptors(pid) == before:
            return before


def fill(pid):
    """The process `pid` may open no descriptor any more; returns how to undo it. The limit is one of their numbers, so it
    is the first that is free."""
    before, used = resource.prlimit(pid, resource.RLIMIT_NOFILE), at_rest(pid)
    free = next(n for n in itertools.count() if n not in used)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (free, before[1]))
    return lambda: resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


class Case:
    """words: of cserver's reason. conf, keys: of cserver; nginx: pieces of NGINX. codes: of cserver -s reload; test: what -t
    says. full: the running master has no descriptor left."""

    def __init__(self, name, words, conf="", keys=None, nginx=None, codes=(78,), test=78, full=False):
        self.name, self.words, self.conf, self.keys, self.nginx = name, words, conf, keys or {}, nginx or {}
        self.codes, self.test, self.full = codes, test, full

    def write(self, server, good=GOOD.format(greeting="wrong")):
        """On top of good settings for `server`, whose own keys stay as they are."""
        kept = dict(server.keys)
        server.configure(textwrap.dedent(good) + self.conf, **self.keys)
        server.keys = kept


class Ten:
    """folder: for modules. The port that is taken is kept until close()."""

    def __init__(self, folder):
        self.busy = socket.create_server(("127.0.0.1", 0))
        taken = self.busy.getsockname()[1]
        start, zone = (build_module(folder, n, s) for n, s in (("start", START), ("big", ZONE)))
        nothing = os.path.join(folder, "nothing/at/all")
        self.cases = [
            Case("syntax", ["cserver.ini:", "]"], "[route:open\nmatch = /x\nhandler = hello\n",
                 nginx={"server": "location /x { return 200 }"}),
            Case("unknown key", ["cserver.ini:", "max_body"], "[limits]\nmax_bodi = 1m\n",
                 nginx={"http": "client_max_bodi_size 1m;"}),
            Case("busy port", ["cserver.ini:", str(taken), "in use"],
                 f"[listen:main]\naddress = 127.0.0.1:@PORT@\n[listen:busy]\naddress = 127.0.0.1:{taken}\n",
                 nginx={"server": f"listen 127.0.0.1:{taken};"}),
            Case("missing .so", ["cserver.ini:", "ghost.so"], "[module:ghost]\nfile = ghost.so\n",
                 nginx={"top": f"load_module {nothing}/ghost.so;"}),
            Case("workers that cannot start", ["cserver.ini:", "start"], f"[module:start]\nfile = {start}\n",
                 nginx={"top": f"working_directory {nothing};"}, codes=(70,), test=None),
            Case("unwritable log", ["cserver.ini:", "error_log"], keys={"error_log": "/dev/null/error.log"},
                 nginx={"log": "/dev/null/error.log"}),
            Case("shared memory too large", ["cserver.ini:", "1125899906842624"], f"[module:big]\nfile = {zone}\n",
                 nginx={"http": "limit_req_zone $binary_remote_addr zone=big:1024t rate=1r/s;"}),
            Case("bad regex", ["cserver.ini:", "match"], "[route:re]\nmatch = ~ ^/(x$\nhandler = hello\n",
                 nginx={"server": "location ~ ^/(x$ { return 200; }"}),
            Case("unknown user", ["cserver.ini:", "nobody_has_this_name"], keys={"user": "nobody_has_this_name"},
                 nginx={"user": "user nobody_has_this_name;"}),
            Case("no descriptors left", ["cserver.ini", "Too many open files"], full=True, test=0),
        ]

    def close(self):
        self.busy.close()


def nginx_text(folder, port, greeting, **pieces):
    values = {"top": "", "http": "", "server": "", "user": "", "log": os.path.join(folder, "error.log"), **pieces}
    if os.geteuid() == 0 and not values["user"]:
        values["user"] = "user root;"
    return NGINX.format(dir=folder, port=port, greeting=greeting, **values)
