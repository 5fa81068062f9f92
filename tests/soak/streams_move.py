#!/usr/bin/env python3
"""Subscribers of server-sent events over reloads: 1,000 of them, ten reloads, all the time something is said, and nobody is
disconnected, misses an event or has one twice; where streams cannot move they end evenly over the time to drain; twenty
reloads in ten seconds leave no workers and no memory behind; all 10,000 streams of one worker move.

--streams, --reloads, --many: so many. --window: seconds to drain, where streams cannot move"""
import json
import os
import re
import select
import threading
import time

from soak import Run, build_module, options, status, wait_for

STAYS = """
    #include <cserver/cserver.h>
    static int handler(cs_req *r) { return cs_detach(r, 200) ? CS_OK : 503; }
    CS_MODULE(.name = "stays", .version = "1.0", .help = "Streams that do not move.", .handler = handler);
"""
CONF = """
    [module:sse]
    max_clients = 1000000
    ping = 1h
    [module:status]
    [module:stays]
    file = {}
    [route:sse]
    match = = /sse
    handler = sse
    [route:status]
    match = = /status.json
    handler = status
    [route:stays]
    match = = /stays
    handler = stays
"""

args = options(__doc__, streams=1000, reloads=10, many=10_000, window=20)


class Subscribers:
    """A client that expects so many events on each stream, numbered from 1."""

    def __init__(self, run, server, streams, messages, path="/sse"):
        self.n, self.messages, self.said = streams, messages, 0
        self.child = run.popen([run.program("sse_client"), "-a", "-n", str(streams), "-m", str(messages), "-t", "300",
                                str(server.port), path], stdin=-1)
        run.check(f"{streams} subscribers", self.child.stdout.readline().split() == ["open", str(streams)])

    def say(self, server, until=lambda: False):
        """The rest of the messages, or until that holds."""
        while self.said < self.messages and not until():
            self.said += 1
            r = server.post("/sse", f"{self.said} and what there is to say".encode())
            if r.status != 204:
                raise AssertionError(f"message {self.said}: {r.status}")
            time.sleep(0.005)

    def judge(self, run, what):
        end = json.loads(self.child.stdout.readline())
        run.check(f"{what}: {end['complete']} of {self.n} had all {self.messages} events, ids in order, none twice, "
                  f"{end['wrong']} faults, {end['ended']} were disconnected",
                  end["complete"] == self.n and not end["wrong"] and not end["ended"], end)
        return end

    def hang_up(self):
        self.child.stdin.close()
        self.child.wait(30)


def totals(server):
    return status(server)["totals"]


def settle(run, server, what):
    wait_for(lambda: len(server.workers()) == server.keys["workers"], 60, f"{what}: old workers have not ended")


def reload(server):
    done = server.ctl("reload")
    if done.returncode:
        raise AssertionError(done.stdout + done.stderr)


def reloads_under_publishing(run, server):
    """P8 (b)."""
    messages = 600
    clients = Subscribers(run, server, args.streams, messages)
    before = totals(server)
    done = threading.Event()

    def publish():
        clients.say(server, done.is_set)

    speaker = threading.Thread(target=publish)
    speaker.start()
    longest = 0.0
    for _ in range(args.reloads):
        start = time.monotonic()
        reload(server)
        settle(run, server, "reloads")
        longest = max(longest, time.monotonic() - start)
        time.sleep(0.1)
    said = clients.said
    run.check(f"{said} events were said during {args.reloads} reloads", 0 < said < messages)
    speaker.join(120)
    clients.judge(run, f"{args.reloads} reloads")
    after = totals(server)
    moved, adopted = (after[n] - before[n] for n in ("streams_moved", "streams_adopted"))
    run.check(f"{moved} streams moved, {adopted} were adopted, {after['streams_closed'] - before['streams_closed']} closed",
              moved == adopted == args.streams * args.reloads and after["streams_closed"] == before["streams_closed"])
    run.note(f"from a reload to the end of its last old worker: {longest * 1000:.0f} ms at most")
    clients.hang_up()


def ends_of(connections, seconds):
    """When each ended, since now."""
    start, ends = time.monotonic(), []
    waiting = {c.sock.fileno(): c for c in connections}
    poll = select.poll()
    for fd in waiting:
        poll.register(fd, select.POLLIN | select.POLLHUP)
    while waiting and time.monotonic() < start + seconds:
        for fd, _ in poll.poll(100):
            if not waiting[fd].sock.recv(4096):
                ends.append(time.monotonic() - start)
                poll.unregister(fd)
                waiting.pop(fd).close()
    return ends


def what_cannot_move_ends_evenly(run, server):
    """P8 (c): reconnects per second <= streams / window x 1.5."""
    connections = []
    for _ in range(args.streams):
        c = server.connect()
        c.send(b"GET /stays HTTP/1.1\r\nHost: soak\r\n\r\n").until(b"\r\n\r\n")
        connections.append(c)
    server.configure(CONF.format(server.module), drain_timeout=f"{args.window}s")
    reload(server)  # no new workers are needed for that
    reload(server)
    ends = ends_of(connections, args.window + 5)
    run.check(f"all {len(ends)} have ended", len(ends) == args.streams)
    seconds = [int(t) for t in ends]
    most = max(seconds.count(s) for s in range(args.window + 5))
    limit = args.streams / args.window * 1.5
    run.check(f"at most {most} in one second (limit {limit:.0f}), from {ends[0]:.1f} s to {ends[-1]:.1f} s",
              most <= limit and ends[-1] <= args.window)
    settle(run, server, "streams that stay")


def memory(server):
    """KiB of all processes that are theirs alone."""
    total = 0
    for pid in [server.pid, *server.workers()]:
        with open(f"/proc/{pid}/status", encoding="utf-8") as f:
            total += int(re.search(r"^RssAnon:\s+(\d+)", f.read(), re.M)[1])
    return total


def many_reloads(run, server):
    """P7: 20 reloads in 10 s with 200 idle subscribers."""
    clients = Subscribers(run, server, 200, 1)
    reload(server)
    settle(run, server, "the first")
    before, most, start = memory(server), 0, time.monotonic()
    for i in range(20):
        reload(server)
        most = max(most, len(server.workers()))
        time.sleep(max(0, start + (i + 1) * 0.5 - time.monotonic()))
    took = time.monotonic() - start
    n = server.keys["workers"]
    run.check(f"20 reloads in {took:.1f} s: at most {most} workers (limit {3 * n})", most <= 3 * n and took < 15)
    settle(run, server, "many reloads")
    after = memory(server)
    run.check(f"memory: {before} KiB before, {after} KiB after", after < before * 1.2 + 1024)
    clients.say(server)
    clients.judge(run, "20 reloads")
    clients.hang_up()


def all_of_one(run):
    """10,000 streams of one worker."""
    server = run.serve(CONF.format(build_module(run.folder, "stays", STAYS)), server={"workers": 1})
    clients = Subscribers(run, server, args.many, 2)
    old = server.workers()[0]
    start = time.monotonic()
    reload(server)
    clients.said = 0
    wait_for(lambda: not os.path.exists(f"/proc/{old}"), 60, "the old worker has not ended")
    run.note(f"{args.many} streams have moved in {time.monotonic() - start:.1f} s")
    clients.say(server)
    clients.judge(run, "many")
    t = totals(server)
    run.check(f"{t['streams_moved']} moved", t["streams_moved"] == t["streams_adopted"] == args.many)
    clients.hang_up()


with Run() as run:
    module = build_module(run.folder, "stays", STAYS)
    server = run.serve(CONF.format(module), server={"workers": 4})
    server.module = module
    reloads_under_publishing(run, server)
    what_cannot_move_ends_evenly(run, server)
    all_of_one(run)

    server = run.serve(CONF.format(module), server={"workers": 4})
    many_reloads(run, server)
