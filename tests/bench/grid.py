"""What make bench-accept measures: cells of the grid, and the measuring of one of them."""

import glob
import json
import re
import statistics
import subprocess
import time
from typing import NamedTuple

from contenders import ALL

IDLE = 200  # requests a second: one or two per cent of what these servers can do
AT_ONCE = 32  # clients of the closed loop that means full load
OPENED = 200  # long-lived connections that are opened each second
BLOCKING = 50  # per mille of the requests, where some block
BLOCK_SHARE = 500  # requests a second and worker: half of what 5 % of 20 ms leave room for


class Cell(NamedTuple):
    """One place of the grid. `load` is idle, half or full; `kind` short or long; `block`: do some handlers block?"""

    workers: int
    load: str
    kind: str = "short"
    block: bool = False

    def name(self):
        return f"{self.workers} {self.load} {self.kind}" + (" block" if self.block else "")


def grid(workers):
    """Full load first: half of it is asked for later."""
    if workers != 4:
        return [Cell(workers, load) for load in ("full", "idle")]
    return [Cell(workers, load, kind, block) for kind in ("short", "long") for block in (False, True)
            for load in ("full", "half", "idle")]


def fitting(cell, keys):
    """Those of the servers that are measured there."""
    simple = cell.workers == 4 and cell.kind == "short" and not cell.block
    return [key for key in keys if simple or not ALL[key].plain]


def jain(counts, workers):
    """1: all the same, 1/workers: one has them all."""
    squares = workers * sum(n * n for n in counts)
    return sum(counts) ** 2 / squares if squares else 0.0


class Measurer:
    def __init__(self, visitor):
        self.visitor = visitor
        self.full = {}  # (server, workers, kind): rates at full load

    def visit(self, server, seconds, *options):
        argv = [self.visitor, str(server.ports["all"]), str(seconds), *map(str, options)]
        return json.loads(subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True).stdout)

    def warm_up(self, server, seconds):
        """Node's compiler needs it most."""
        self.visit(server, min(0.5, seconds), "-c", AT_ONCE)

    def load(self, server, cell):
        """The visitor's options. Half is half of what this server has done at full load, so that each is equally
        busy; where handlers block, it is the blocking that limits them all, at the same rate."""
        options = ["-o", OPENED] if cell.kind == "long" else []
        if cell.block:
            options += ["-b", BLOCKING]
        if cell.load == "full":
            return options + ["-c", AT_ONCE]
        rate = IDLE
        if cell.load == "half":
            own = self.full.get((server.key, cell.workers, cell.kind))
            rate = BLOCK_SHARE * cell.workers if cell.block or not own else statistics.median(own) / 2
        return options + ["-r", round(rate, 1)]

    def measure(self, server, cell, seconds):
        settle(server)
        processes = server.pids()
        before, slept = server.tally and server.tally.total(), sleeps(processes)
        found = self.visit(server, seconds, *self.load(server, cell))
        used, slept = server.tally and server.tally.total() - before, sleeps(processes) - slept
        errors = found["errors"]
        if server.pids() != processes:
            errors["processes changed"] = 1
        if not found["answered"]:
            errors["no answer"] = 1
        rate = found["in_time"] / seconds
        if cell.load == "full" and not cell.block:
            self.full.setdefault((server.key, cell.workers, cell.kind), []).append(rate)
        return {"jain": jain(found["workers"].values(), cell.workers), "rate": rate,
                "share": sorted(found["workers"].values(), reverse=True), "opened": found["opened"],
                "first50": found["first"]["p50"], "first99": found["first"]["p99"],
                "later50": found["later"]["p50"], "later99": found["later"]["p99"],
                "empty": used.empty / max(1, used.accepts) if used else None,
                "sleeps": slept / max(1, found["answered"]),
                "wakeups": used.wakeups / max(1, found["answered"]) if used else None, "errors": errors}


def sleeps(pids):
    """How often these processes have gone to sleep, in all their threads. A worker that the kernel wakes for a
    connection which somebody else has taken by then sleeps on without a return of epoll_wait: only here it shows."""
    total = 0
    for pid in pids:
        for task in glob.glob(f"/proc/{pid}/task/*/status"):
            try:
                with open(task, encoding="utf-8") as f:
                    total += int(re.search(r"\nvoluntary_ctxt_switches:\s+(\d+)", f.read())[1])
            except OSError:
                pass  # a thread that has ended
    return total


def settle(server):
    """Waits until the server has seen the end of the connections of the measurement before."""
    last, end = None, time.monotonic() + 0.5
    while server.tally and time.monotonic() < end:
        now = server.tally.total()
        if now == last:
            return
        last = now
        time.sleep(0.03)
    time.sleep(0.03)
