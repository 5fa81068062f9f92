"""Streams move to other workers when theirs drains: nobody is disconnected, nothing is missed, nothing comes twice."""
import contextlib
import os
import signal
import threading
import time

import pytest
from lib.figures import scrape
from lib.server import LIMIT, SOURCE, Connection, is_alive, wait_for

CONF = """
    [module:sse]
    max_clients = 100000
    ping = 1h
    [module:metrics]
    [route:sse]
    match = = /sse
    handler = sse
    [route:metrics]
    match = /metrics
    handler = metrics
"""


def metric(s, name):
    return scrape(s).sum(name)


class Listener:
    def __init__(self, s, path="/sse"):
        self.c = s.connect()
        self.c.send(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        head = self.c.until(b"\r\n\r\n").decode()
        assert " 200 " in head, head

    def event(self):
        lines = self.c.until(b"\n\n").decode().splitlines()
        fields = dict(line.split(": ", 1) for line in lines if ": " in line)
        return int(fields["id"]), fields["data"]

    def numbers(self, n):
        return [self.event()[0] for _ in range(n)]


class Publisher(threading.Thread):
    """Says lines, numbered from 1, until it is told to stop."""

    def __init__(self, s, pause=0.002):
        super().__init__(daemon=True)
        self.s, self.pause, self.said, self.done = s, pause, 0, False
        self.start()

    def run(self):
        while not self.done:
            r = self.s.post("/sse", str(self.said + 1).encode())
            assert r.status == 204
            self.said += 1
            time.sleep(self.pause)

    def stop(self):
        self.done = True
        self.join(LIMIT)
        return self.said


def reload(s):
    done = s.ctl("reload")
    assert done.returncode == 0, done.stdout + done.stderr + s.log()[-2000:]


def test_reloads_under_publishing(serve):
    s = serve(CONF, server={"workers": 2})
    listeners = [Listener(s) for _ in range(100)]
    p = Publisher(s)
    for _ in range(3):
        reload(s)
    wait_for(lambda: len(s.workers()) == 2, LIMIT, "old workers do not end")
    said = p.stop()
    for a in listeners:
        assert a.numbers(said) == list(range(1, said + 1))
        a.c.close()
    assert metric(s, "cserver_streams_moved_total") == metric(s, "cserver_streams_adopted_total") >= 300
    assert metric(s, "cserver_streams_closed_total") == 0
