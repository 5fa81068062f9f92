"""Settings from which a reload to any other must make the same server as a cold start with those (P31).

    same = Same(server, folder)
    same.start("little"); server.stop()         and each of the others: what a cold start makes
    same.configure("hooks"); server.start()
    same.warm("little")                         reloads, and compares: a list of sentences, empty when it is the same
"""
import contextlib
import json
import os
import re
import shutil
import subprocess

from .server import SOURCE, Connection, build_module, wait_for

HOOK = re.compile(r"hook=(\w+) tag=(\S+) edition=(\w+) generation=(\d+) role=(\w+)")
HELLO = "[module:hello]\n[route:hello]\nmatch = /hello\nhandler = hello\n"
METRICS = "[module:metrics]\n[route:metrics]\nmatch = = /metrics\nhandler = metrics\n"
HOOKS = "[module:hooks]\nfile = @DIR@/hooks.so\ntag = {}\n[route:hooks]\nmatch = /hooks\nhandler = hooks\n"
KEYS = {"workers": 2, "log_format": "text", "access_format": "combined", "cpu": "off", "log_level": "info", "user": None}


class Settings:
    """conf, keys of [server], limits; edition: of the file hooks.so."""

    def __init__(self, conf, keys=None, limits=None, edition="first"):
        self.conf, self.keys, self.limits, self.edition = conf, {**KEYS, **(keys or {})}, limits or {}, edition


SETTINGS = {
    "little": Settings(HELLO),
    "hooks": Settings(HELLO + METRICS + HOOKS.format("one")),
    "the same hooks, other settings": Settings(
        HELLO + METRICS + HOOKS.format("two") + "tag = three\n[site:default]\nuse = hooks\n"),
    "another edition of the file": Settings(HELLO + METRICS + HOOKS.format("one"), edition="second"),
    "more sites": Settings(
        "[module:hello]\n[module:upper]\n[site:a]\nhost = a.example\nroot = @DIR@/www\n[site:b]\nhost = *.b.example\n"
        "[site:rest]\nuse = upper\n[route:a]\nsite = a\nmatch = ~ ^/h\nhandler = hello\ngreeting = of a\n"
        "[route:b]\nsite = b\nmatch = = /hello\nhandler = hello\ngreeting = of b\n"
        "[route:r]\nsite = rest\nmatch = /hello\nhandler = hello\n"),
    "a unix socket": Settings(
        HELLO + "[listen:main]\naddress = 127.0.0.1:@PORT@\nbacklog = 77\n"
                "[listen:u]\naddress = unix:@DIR@/u.sock\nmode = 0600\n"),
    "the unix socket for others": Settings(
        HELLO + "[listen:u]\naddress = unix:@DIR@/u.sock\nmode = 0640\n"
                "[listen:main]\naddress = 127.0.0.1:@PORT@\nbacklog = 55\npolicy = exclusive\n"),
    "a socket for each worker": Settings(HELLO + "[accept]\npolicy = reuseport\n", {"workers": 3}),
    "small limits": Settings(HELLO + "[module:echo]\n[route:echo]\nmatch = /echo\nhandler = echo\n",
                             limits={"max_body": 100, "max_head": "1k", "max_headers": 10, "keepalive_requests": 1}),
    "large limits": Settings(HELLO + "[module:echo]\n[route:echo]\nmatch = /echo\nhandler = echo\n",
                             limits={"max_body": "1m"}),
    "logs in JSON": Settings(HELLO + HOOKS.format("json"),
                             {"log_format": "json", "access_format": "json", "workers": 1, "log_level": "warn"}),
    "a CPU for each": Settings(HELLO, {"cpu": "auto", "workers": 3}),
}
REQUESTS = [("GET /hello", "x"), ("GET /hello", "a.example"), ("GET /hello", "www.b.example"), ("GET /hello?x=1", "X:80"),
            ("HEAD /hello", "x"), ("GET /hi", "a.example"), ("GET /page.txt", "a.example"), ("GET /page.txt", "x"),
            ("GET /hooks", "x"), ("GET /hooks/below", "a.example"), ("GET /nothing", "x"), ("POST /echo", "x"),
            ("OPTIONS /hello", "x"), ("GET /" + "a" * 1200, "x"), ("DELETE /hooks", "x")]
BODY = b"b" * 400


class Same:
    def __init__(self, server, folder):
        """folder: for the editions of the module."""
        self.server = server
        with open(f"{SOURCE}/tests/lib/modules/hooks.c", encoding="utf-8") as f:
            source = f.read()
        self.editions = {e: build_module(os.path.join(folder, e), "hooks", source.replace('"first"', f'"{e}"'))
                         for e in ("first", "second")}
        self.cold = {}
        self.asked = 0

    def configure(self, name):
        s = SETTINGS[name]
        shutil.copy(self.editions[s.edition], self.server.path("hooks.so.new"))
        os.rename(self.server.path("hooks.so.new"), self.server.path("hooks.so"))
        self.server.limits = s.limits
        self.server.configure(s.conf, **s.keys)

    def warm(self, name):
        """Reloads, and compares with what a cold start was once."""
        self.configure(name)
        mark = len(self.server.log())
        done = self.server.ctl("reload")
        return compare(self.look(mark), self.cold[name]) if done.returncode == 0 else [f"it failed: {done.stderr}"]

    def start(self, name):
        """A cold start, to compare with later."""
        self.configure(name)
        mark = len(self.server.log())
        self.server.start()
        self.cold[name] = self.look(mark)

    # -- What there is to see

    def status(self):
        return json.loads(self.server.ctl("status", "--json").stdout)

    def settled(self):
        """The old workers have gone, and so has the old primary; there is a new one if there is to be one."""
        now = self.status()
        p = now["primary"]
        right = p and p["state"] == "ready" and p["generation"] == now["generation"] if self.has_hooks() else not p
        return now if right and now["draining"] == 0 and now["state"] == "running" else None

    def has_hooks(self):
        return "[module:hooks]" in self.server.read("conf/cserver.ini")

    def look(self, mark):
        server = self.server
        now = wait_for(self.settled, what="it does not settle")
        seen = {"settings": server.run("-c", server.conf, "-T").stdout,
                "what runs and is not in the file": server.run("-c", server.conf, "diff").stdout,
                "listeners": now["listeners"], "workers": (now["ready"], now["wanted"]),
                "primary": bool(now["primary"])}
        for request, host in REQUESTS:
            seen[f"{request[:40]} of {host}"] = self.ask(request, host)
            seen[f"{request[:40]} of {host}, unix"] = self.ask(request, host, server.path("u.sock"))
        seen["rights of the unix socket"] = self.mode()
        seen["queues"] = self.queues()
        seen["CPUs"] = sorted(field(p, "Cpus_allowed_list") for p in server.workers())
        seen["users"] = {field(p, "Uid") for p in server.workers()}
        seen["at least: modules"] = {m["name"] for m in now["modules"]}
        seen["at least: topics"] = self.topics()
        seen["at least: metrics"] = self.metrics()
        seen["access log"] = self.form_of(server.access_log)
        seen["error log"] = self.error_log_form(mark)
        seen["hooks"] = self.hooks(mark, now["generation"])
        return seen

    def ask(self, request, host, address=None):
        if address and not os.path.exists(address):
            return None
        body = BODY if request.startswith("POST") else b""
        text = f"{request} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
        with self.server.connect(address) as c:
            assert isinstance(c, Connection)
            r = c.send(text).response(request.split()[0])
        return r.status, [h for h in r.headers if h[0].lower() not in ("date", "x-request-id")], r.body

    def metrics(self):
        r = self.server.get("/metrics")
        return {line.split()[2] for line in r.text.splitlines() if line.startswith("# TYPE")} if r.status == 200 else set()

    def mode(self):
        with contextlib.suppress(FileNotFoundError):
            return oct(os.stat(self.server.path("u.sock")).st_mode)

    def queues(self):
        """How many connections may wait at a listening socket, as the kernel knows it. One that listens goes on doing
        so for as long as its address is there, though another policy needs fewer of them."""
        if not shutil.which("ss"):
            return None
        out = subprocess.run(["ss", "-Hltn"], stdout=subprocess.PIPE, text=True, check=True).stdout
        return {line.split()[2] for line in out.splitlines() if line.split()[3].endswith(f":{self.server.port}")}

    def topics(self):
        done = self.server.run("-c", self.server.conf, "msg", "topics")
        return {line.split()[0] for line in done.stdout.splitlines()[1:]}

    def form_of(self, path):
        """Has the line of a request the form of JSON? Workers write it a moment later, and in any order."""
        self.asked += 1
        mark = f"line={self.asked}."
        self.server.get("/hello?" + mark)
        found = wait_for(lambda: [line for line in self.server.read(path).splitlines() if mark in line],
                         what="no line in the access log")
        return [line[:1] == "{" for line in found]

    def error_log_form(self, mark):
        lines = [line for line in self.server.log()[mark:].splitlines() if "hook=worker_start" in line]
        return {line[:1] == "{" for line in lines}

    def hooks(self, mark, generation):
        """Calls of this generation, and those of the probe. A zone that was there is not made again."""
        if self.has_hooks():
            done = self.server.run("-c", self.server.conf, "msg", "send", "hooks.word", "last", "--wait=applied")
            assert done.returncode == 0, done.stderr
        found = [m.groups() for m in HOOK.finditer(self.server.log()[mark:])]
        return sorted((hook, tag, edition, role) for hook, tag, edition, g, role in found
                      if int(g) in (0, generation) and hook != "zone_init")


def field(pid, name):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return next(line.split(":", 1)[1].strip() for line in f if line.startswith(name + ":"))


def compare(warm, cold):
    """Sentences; none when it is the same. What earlier settings have counted goes on being told of."""
    out = []
    for key, value in cold.items():
        if key.startswith("at least") and value <= warm[key]:
            continue
        if warm[key] != value:
            out.append(f"{key}: after the reload {warm[key]!r}, after a cold start {value!r}")
    return out
