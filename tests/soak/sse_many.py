#!/usr/bin/env python3
"""10,000 subscribers of server-sent events in one worker: 100 messages reach each of them, in order, none missing. Tells
what an idle subscriber takes, and sees that nothing of it stays when they have gone.

--streams, --messages: so many. --heap: most bytes of the worker's heap for one of them"""
import json
import re
import time

from soak import Run, build_module, options, status, wait_for

HEAP = """
    #include <cserver/cserver.h>
    #include <malloc.h>

    static int handler(cs_req *r)
    {
        struct mallinfo2 m = mallinfo2();
        return cs_textf(r, 200, "%zu", m.uordblks + m.hblkhd);
    }
    CS_MODULE(.name = "heap", .version = "1.0", .help = "Bytes of the heap in use.", .handler = handler);
"""
CONF = """
    [module:sse]
    max_clients = 1000000
    ping = 1h
    [module:status]
    [module:heap]
    file = {}
    [route:sse]
    match = = /sse
    handler = sse
    [route:status]
    match = = /status.json
    handler = status
    [route:heap]
    match = = /heap
    handler = heap
"""

args = options(__doc__, streams=10_000, messages=100, heap=700)


def number(path, name):
    with open(path, encoding="utf-8") as f:
        return int(re.search(rf"^{name}:?\s+(\d+)", f.read(), re.M)[1]) * 1024


class Memory:
    """What the worker and the kernel have in use now. The kernel's part is of both ends of each connection."""

    def __init__(self, server):
        self.heap = int(server.get("/heap").text)
        self.resident = number(f"/proc/{server.workers()[0]}/status", "RssAnon")
        self.kernel = number("/proc/meminfo", "Slab")

    def less(self, before, n):
        return {name: (getattr(self, name) - getattr(before, name)) / n for name in ("heap", "resident", "kernel")}


def worker(server):
    return status(server)["workers"][0]


def warm_up(server):
    """What the first requests leave behind is nobody's."""
    for path in ("/heap", "/status.json"):
        for _ in range(20):
            server.get(path)


with Run() as run:
    server = run.serve(CONF.format(build_module(run.folder, "heap", HEAP)), server={"workers": 1})
    warm_up(server)
    before = Memory(server)
    child = run.popen([run.program("sse_client"), "-n", str(args.streams), "-m", str(args.messages), str(server.port),
                       "/sse"], stdin=-1)
    opened = child.stdout.readline().split()
    idle = Memory(server).less(before, args.streams)
    run.check(f"{opened[1]} subscribers, the worker counts {worker(server)['streams']}",
              opened == ["open", str(args.streams)] and worker(server)["streams"] == args.streams)
    run.check(f"an idle subscriber takes {idle['heap']:.0f} bytes of the worker's heap (at most {args.heap}), "
              f"{idle['resident']:.0f} of its memory", idle["heap"] <= args.heap)
    run.note(f"kernel: {idle['kernel']:.0f} bytes more in its slabs for both ends of a connection")

    start = time.monotonic()
    for i in range(1, args.messages + 1):
        r = server.post("/sse", f"{i} and what there is to say".encode())
        if r.status != 204:
            run.check(f"message {i} is taken", False, r)
    said = time.monotonic() - start
    end = json.loads(child.stdout.readline())
    run.check(f"{end['complete']} of {end['streams']} had all {args.messages} messages in order, {end['wrong']} faults, "
              f"{end['ended']} ended",
              end["complete"] == args.streams and end["events"] == args.streams * args.messages
              and not end["wrong"] and not end["ended"], end)
    run.note(f"{end['events']} events in {end['us'] / 1e6:.1f} s, all messages said within {said:.1f} s")
    w = worker(server)
    run.check(f"the worker counts the same: {w['stream_messages']} messages, {w['streams_slow']} closed as slow, "
              f"{w['stream_skipped']} skipped",
              (w["stream_messages"], w["streams_slow"], w["stream_skipped"]) == (end["events"], 0, 0))

    child.stdin.close()
    wait_for(lambda: worker(server)["streams"] == 0, 60, "the worker does not see that they have gone")
    left = Memory(server).heap - before.heap
    run.check(f"{left} bytes of the heap are left when all have gone", left < 300_000)
