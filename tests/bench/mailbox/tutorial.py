"""The program of Node's cluster tutorial as a server under load, on Node and on cserver, and the messages of pace.c in a
whole server."""

import json
import os
import re
import time
import urllib.request
from types import SimpleNamespace

import contenders
import measure
from servers import Cserver, Missing, first_line
from ways import HERE, node

WORKERS = 2
CONNECTIONS = 32
LOAD = SimpleNamespace(file="", connections=CONNECTIONS, close=False, pipeline=False)


class Ours(contenders.Policy):
    """cserver with one module on /, which is one of the build or one of the benchmark's."""

    policy, module, counts = "turn", "", False

    def handlers(self):
        file = f"file = {self.tools.modules[self.module]}\n" if self.module in self.tools.modules else ""
        return f"""\
[module:{self.module}]
{file}
[route:all]
match = = /
handler = {self.module}

[module:metrics]

[route:metrics]
match = = /metrics
handler = metrics
"""

    @classmethod
    def version(cls):
        return Cserver.version()

    def complete(self):
        return sum(w["state"] == "ready" and w.get("worker", 0) > 0 for w in self.status()["workers"]) == self.workers

    def metric(self, name):
        """The sum of all its values."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ports['all']}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        values = re.findall(rf"^{name}(?:{{.*}})? ([\d.]+)", text, re.M)
        return sum(float(v) for v in values) if values else -1


class Plain(Ours):
    key, title, module = "plain", "cserver, not counting", "plain"


class Counting(Ours):
    counts = True

    @classmethod
    def version(cls):
        path = os.path.join(Cserver.build(), "modules", cls.module + ".so")
        if not os.path.exists(path):
            raise Missing(f"{path} is not built")
        return Cserver.version()

    def counted(self):
        """How many requests it says there were; -1: it does not say."""
        return self.metric(f"{self.module}_requests_total")


class Messages(Counting):
    key, title, module = "counter", "cserver, counter: a message each", "counter"


class Shared(Counting):
    key, title, module = "shared", "cserver, counter_shared", "counter_shared"


class Node(contenders.Contender):
    mode, counts = "", False

    def commands(self):
        return {"all": [node(), os.path.join(HERE, "tutorial.js"), str(self.ports["all"]), str(self.workers), self.mode]}

    @staticmethod
    def version():
        return "Node " + first_line(node(), "--version")

    def output(self):
        with open(self.path("output"), encoding="utf-8", errors="replace") as f:
            return f.read()

    def complete(self):
        return "ready" in self.output()

    def counted(self):
        said = re.findall(r"numReqs = (\d+)", self.output())
        return int(said[-1]) if said else -1


class NodePlain(Node):
    key, title, mode = "node-plain", "Node, not counting", "plain"


class NodeTell(Node):
    key, title, mode, counts = "node-tell", "Node, process.send each", "tell", True


SERVERS = {c.key: c for c in (Plain, Shared, Messages, NodePlain, NodeTell)}


def run(server, seconds):
    """One run under load."""
    rate, cpu, _, errors, requests = measure.load(server, LOAD, seconds, None)
    return {"rate": rate, "cpu": cpu, "errors": sum(errors.values()), "requests": requests}


def settled(server):
    """What it has counted, once it counts no more."""
    before, now = None, server.counted()
    while now != before:
        time.sleep(1.2)  # Node says it once a second
        before, now = now, server.counted()
    return now


def disagreement(server, runs):
    """What is wrong with the number it has counted, or None. The load does not see the answers to its last requests."""
    if not server.counts:
        return None
    counted, answered = settled(server), sum(r["requests"] for r in runs)
    if answered <= counted <= answered + CONNECTIONS * (len(runs) + 1):
        return None
    return f"{server.title}: {answered} requests were answered, and it has counted {counted:.0f}"


class Pace(Ours):
    key, title, module = "pace", "cserver, 8 workers", "pace"

    def look(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ports['all']}/", timeout=10) as answer:
            return json.load(answer)

    def measure(self, seconds):
        """From one look to the next. A message is an error when one of the workers has not had it."""
        self.look()
        time.sleep(0.1)
        before, began = self.look(), time.monotonic()
        time.sleep(seconds)
        after, took = self.look(), time.monotonic() - began
        sent = after["published"] - before["published"]
        missing = abs(self.workers * sent - (after["delivered"] - before["delivered"]))
        return {"rate": sent / took, "p50": after["p50"], "p99": after["p99"], "most": after["most"],
                "errors": after["lost"] + (missing > 4 * self.workers)}
