"""heartbeat: one beat at a time, whoever is killed; all workers know of it."""
import os
import re
import signal

from lib.exposition import Exposition
from lib.server import wait_for

CONF = """
    [module:metrics]
    [module:heartbeat]
    interval = 20ms
    log = on
    [route:beat]
    match = = /beat
    handler = heartbeat
    [route:metrics]
    match = = /metrics
    handler = metrics
"""



def logged(server):
    return [int(n) for n in re.findall(r"beat (\d+) module=heartbeat", server.log())]


def test_once_per_server(serve):
    s = serve(CONF, server={"workers": 4})
    wait_for(lambda: len(logged(s)) >= 10)
    assert logged(s) == list(range(1, len(logged(s)) + 1)), "each once, in order"
    assert re.search(r"primary\S*: beat 1 ", s.log()), s.log()


def test_workers_know(serve):
    s = serve(CONF)
    seen = set()

    def told():
        r = s.get("/beat")
        if r.text != "no beat yet\n":
            seen.add(int(re.fullmatch(r"beat (\d+), \d+ ms ago\n", r.text).group(1)))
        return len(seen) >= 3

    wait_for(told)
    assert s.get("/beat")["cache-control"] == "no-store"


def test_it_outlives_the_primary(serve):
    s = serve(CONF)
    for _ in range(3):
        wait_for(lambda n=len(logged(s)): len(logged(s)) > n + 2)
        old = s.primary()
        os.kill(old, signal.SIGKILL)
        wait_for(lambda old=old: s.primary() not in (None, old))
    wait_for(lambda n=len(logged(s)): len(logged(s)) > n + 2)
    found = logged(s)
    # One that dies between counting and saying has counted.
    assert found == sorted(set(found)) and found[-1] - len(found) <= 3
    wait_for(lambda: Exposition(s.get("/metrics")).sum("heartbeat_beats_total") >= found[-1])


def test_a_newborn_worker_knows_the_last_beat(serve):
    """There is but one, at the start."""
    s = serve(CONF.replace("20ms", "1h"))
    wait_for(lambda: s.get("/beat").text.startswith("beat 1,"))
    for pid in s.workers():
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: len(s.workers()) == 2)
    for _ in range(10):
        assert s.get("/beat").text.startswith("beat 1,")
