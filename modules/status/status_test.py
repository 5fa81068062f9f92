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
        for name in ("connections", "connections_max", "requests", "accepts", "turn_takes", "turn_gives",
                     "turn_recovered", "wakeups", "generation", "incarnation"):
            assert isinstance(w[name], int), name


CAUSES = {"kick", "listener", "connection", "bell", "timer", "nothing"}


def test_wakeups_by_cause_make_the_sum(server):
    j = numbers(server)
    for w in [*j["workers"], j["totals"]]:
        assert set(w["wakeups_by_cause"]) == CAUSES
        assert sum(w["wakeups_by_cause"].values()) == w["wakeups"]
    for cause in CAUSES:
        assert sum(w["wakeups_by_cause"][cause] for w in j["workers"]) == j["totals"]["wakeups_by_cause"][cause]


def test_times_of_the_turn(server):
    """Each turn that accepted something has been held for a while, and each take but the first followed a give."""
    for _ in range(30):
        server.get("/hello")
    j = numbers(server)
    for name in ("turn_hold", "turn_give_to_take"):
        all_of_them = j["totals"][name]
        assert all_of_them["count"] == sum(w[name]["count"] for w in j["workers"]) > 0
        assert all_of_them["sum_seconds"] == pytest.approx(sum(w[name]["sum_seconds"] for w in j["workers"]), abs=1e-5)
        for h in [all_of_them, *(w[name] for w in j["workers"])]:
            assert set(h) == {"count", "sum_seconds", "p50_us", "p99_us"}
            bounds = [b for b in (h["p50_us"], h["p99_us"]) if b is not None]
            assert all(b & (b - 1) == 0 for b in bounds) and bounds == sorted(bounds)
            assert h["count"] or not bounds


def test_listeners(server):
    j = numbers(server)
    [only] = j["listeners"]
    assert (only["listener"], only["address"], only["policy"]) == ("main", f"127.0.0.1:{server.port}", "turn")
    assert only["queue"] == 0 and only["backlog"] > 0
    assert re.fullmatch(r"\d+\.\d+\.\d+", j["version"])


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
    for word in ("accepts", "takes", "gives", "recoveries", "timeout_idle", "log_lines", "loads"):
        assert f">{word}<" in text, word
    assert not re.search(r"(src|href)=\"?(https?:)?//|<script", text), "it loads something"


def test_every_number_of_the_totals_is_on_the_page_once(server):
    j, text = numbers(server), server.get("/status").text
    heads = re.findall(r"<h2>(.*?)</h2>\s*<table>\s*<thead><tr>(.*?)</tr>", text, re.S)
    lines = re.findall(r"<tr><td>([a-z0-9_]+)</td><td>\d+</td></tr>", text)
    assert len(lines) == len(set(lines))
    columns = {"connections_opened", "requests", "responses_2xx", "responses_3xx", "responses_4xx", "responses_5xx",
               "bytes_in", "bytes_out", "accepts", "accept_empty", "turn_takes", "turn_gives", "turn_recovered",
               "turn_kicks_sent", "turn_kicks_received", "turn_kicks_futile", "turn_hold", "turn_give_to_take",
               "wakeups", "wakeups_by_cause"}
    assert set(lines) | columns | {"connections", "connections_max"} == set(j["totals"])
    assert not set(lines) & columns
    for title, head in heads:
        assert head.count("<th>") <= 7, f"{title} is too wide for a narrow screen"


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
