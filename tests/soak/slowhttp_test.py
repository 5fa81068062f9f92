"""slowhttptest, each of its attacks for some seconds with many connections: the server's memory stays bounded, others are
served all the time, and counters name what has happened."""
import shutil
import subprocess
import tempfile
import time

import pytest
from lib.server import wait_for

H = b"Host: a\r\n"
CONNECTIONS, SECONDS = 1000, 10
CONF = """
    [module:hello]
    [module:echo]
    [module:status]
    [route:hello]
    match = /hello
    handler = hello
    [route:echo]
    match = /echo
    handler = echo
    [route:status]
    match = /status
    handler = status
"""
LIMITS = {"head_timeout": "3s", "body_timeout": "1s", "write_timeout": "1s", "keepalive_timeout": "3s", "max_connections": 4096}
BIG = b"x" * 4_000_000


def memory(pid):
    """Private memory of a process in KiB."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        return sum(int(line.split()[1]) for line in f if line.startswith(("Private_Clean", "Private_Dirty")))


def total(server, word):
    return sum(v for k, v in server.get("/status?json").json["totals"].items() if word in k)


@pytest.mark.skipif(not shutil.which("slowhttptest"), reason="slowhttptest is not installed: apt-get install slowhttptest")
@pytest.mark.parametrize("attack, target, options, counter", [
    ("slow heads", "/hello", ["-H", "-i", "1"], "timeout_head"),
    ("slow bodies", "/echo", ["-B", "-i", "2", "-s", "100000"], "timeout_body"),
    ("many ranges", "/big", ["-R", "-a", "1", "-b", "3000", "-t", "HEAD"], None),
    ("slow readers", "/big", ["-X", "-w", "10", "-y", "20", "-n", "5", "-z", "5", "-k", "3"], "timeout_write"),
], ids=lambda v: v if isinstance(v, str) else None)
def test_others_are_served(serve, attack, target, options, counter):
    s = serve(CONF, server={"workers": 2}, limits=LIMITS, www={"big": BIG})
    before = [memory(p) for p in s.workers()]
    with tempfile.TemporaryFile() as out:
        attacker = subprocess.Popen(["slowhttptest", *options, "-c", str(CONNECTIONS), "-r", "500", "-l", str(SECONDS), "-v", "0",
                                     "-u", f"http://127.0.0.1:{s.port}{target}"],
                                    stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        served, most = 0, 0
        try:
            while attacker.poll() is None:
                assert s.get("/hello").status == 200
                served += 1
                most = max(most, *(memory(p) - b for p, b in zip(s.workers(), before)))
                time.sleep(0.05)
        finally:
            attacker.kill()
            attacker.wait()
    assert served > 10
    # In KiB: each connection may keep a head (16 KiB) and the pieces of an answer on their way.
    assert most < CONNECTIONS * 64, f"{most} KiB more"
    if counter:
        assert total(s, counter) > 0
    wait_for(lambda: s.get("/status?json").json["totals"]["connections"] <= 2, what="connections stay")
