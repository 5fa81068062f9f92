"""status: both forms tell the truth about all workers, whichever answers."""
import os
import re
import signal

import pytest
from lib.server import Server, wait_for

CONF = """
    [module:status]
    [module:hello]

    [route:status]
    match = ~ ^/status(\\.json)?$
    handler = status
    refresh = 7s

    [route:still]
    match = = /still
    handler = status
    refresh = 0

    [route:hello]
    match = = /hello
    handler = hello
"""


@pytest.fixture(scope="module")
def server():
    s = Server(CONF, server={"workers": 3}, www={"index.html": "front"}).start()
    yield s
    faults = s.end()
    assert not faults, "\n".join(faults)


def numbers(s):
    return s.get("/status.json").json


@pytest.mark.parametrize("path, accept, kind", [
    ("/status", None, "text/html; charset=utf-8"),
    ("/status.json", None, "application/json"),
    ("/status?json", None, "application/json"),
    ("/status?jsonx", None, "text/html; charset=utf-8"),
    ("/status", "application/json", "application/json"),
    ("/status", "text/html,application/json;q=0.9", "text/html; charset=utf-8"),
    ("/status", "*/*", "text/html; charset=utf-8"),
])
def test_form(server, path, accept, kind):
    r = server.get(path, {"Accept": accept} if accept else {})
    assert (r.status, r["content-type"], r["cache-control"]) == (200, kind, "no-store")


def test_workers_are_the_real_ones(server):
    j = numbers(server)
    assert j["generation"] == 1 and j["uptime_seconds"] >= 0
    assert [w["worker"] for w in j["workers"]] == [1, 2, 3]
    assert sorted(w["pid"] for w in j["workers"]) == sorted(server.workers())
    assert {w["state"] for w in j["workers"]} == {"ready"}


def test_every_worker_has_the_numbers_of_the_turn(server):
    for w in numbers(server)["workers"]:
        for name in ("connections", "requests", "accepts", "turn_takes", "turn_gives", "turn_recovered", "generation",
                     "incarnation"):
            assert isinstance(w[name], int), name


def test_requests_are_counted(server):
    before = numbers(server)
    for _ in range(25):
        assert server.get("/hello").status == 200
    wait_for(lambda: numbers(server)["totals"]["requests"] >= before["totals"]["requests"] + 26, 5)
    after = numbers(server)
    assert sum(w["requests"] for w in after["workers"]) == after["totals"]["requests"]
    assert after["totals"]["accepts"] >= before["totals"]["accepts"] + 25


def test_open_connections_are_seen(server):
    held = [server.connect() for _ in range(10)]
    for c in held:
        c.send(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n")
        assert c.response().status == 200
    j = numbers(server)
    assert j["totals"]["connections"] >= 10
    assert sum(w["connections"] for w in j["workers"]) == j["totals"]["connections"]
    for c in held:
        c.close()
    wait_for(lambda: numbers(server)["totals"]["connections"] < 10, 5)


def test_counters_of_modules(server):
    assert server.get("/").text == "front"
    assert numbers(server)["modules"]["static"]["loads"] >= 1


def test_page(server):
    text = server.get("/status").text
    assert '<meta http-equiv="refresh" content="7">' in text
    for pid in server.workers():
        assert f"<td>{pid}</td>" in text
    for word in ("turn takes", "turn gives", "recoveries", "accepts_total", "loads_total"):
        assert word in text, word
    assert not re.search(r"(src|href)=\"?(https?:)?//|<script", text), "it loads something"


def test_page_without_refresh(server):
    assert "http-equiv" not in server.get("/still").text


def test_head_and_other_methods(server):
    r = server.exchange(b"HEAD /status.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HEAD")
    assert r.status == 200 and int(r["content-length"]) > 100
    r = server.post("/status", b"x")
    assert (r.status, r["allow"]) == (405, "GET, HEAD")


def test_the_dead_keep_their_counts(serve):
    s = serve(CONF, server={"workers": 2})
    for _ in range(20):
        s.get("/hello")
    before = numbers(s)
    victim = before["workers"][0]
    os.kill(victim["pid"], signal.SIGKILL)

    def is_back():
        w = [w for w in numbers(s)["workers"] if w["worker"] == victim["worker"] and w["state"] == "ready"]
        return w and w[0]["pid"] != victim["pid"] and w[0]

    again = wait_for(is_back, 10)
    after = numbers(s)
    assert again["incarnation"] == victim["incarnation"] + 1
    assert after["totals"]["requests"] >= before["totals"]["requests"]
    assert again["requests"] >= victim["requests"]
    assert after["totals"]["worker_crashes"] == before["totals"]["worker_crashes"] + 1
