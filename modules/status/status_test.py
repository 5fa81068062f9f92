"""status: both forms tell the truth about all workers, whichever answers."""
import os
import re
import signal

import pytest
from lib.figures import CONF, check_methods, held, kill, poster, running, status
from lib.server import wait_for


@pytest.fixture(scope="module")
def server():
    yield from running()


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
    j = status(server)
    assert j["generation"] == 1 and j["uptime_seconds"] >= 0
    assert [w["worker"] for w in j["workers"]] == [1, 2, 3]
    assert sorted(w["pid"] for w in j["workers"]) == sorted(server.workers())
    assert {w["state"] for w in j["workers"]} == {"ready"}


def test_every_worker_has_the_numbers_of_the_turn(server):
    for w in status(server)["workers"]:
        for name in ("connections", "connections_max", "requests", "accepts", "turn_takes", "turn_gives",
                     "turn_recovered", "wakeups", "generation", "incarnation"):
            assert isinstance(w[name], int), name


CAUSES = {"kick", "listener", "connection", "bell", "timer", "nothing"}


def test_wakeups_by_cause_make_the_sum(server):
    j = status(server)
    for w in [*j["workers"], j["totals"]]:
        assert set(w["wakeups_by_cause"]) == CAUSES
        assert sum(w["wakeups_by_cause"].values()) == w["wakeups"]
    for cause in CAUSES:
        assert sum(w["wakeups_by_cause"][cause] for w in j["workers"]) == j["totals"]["wakeups_by_cause"][cause]


def test_times_of_the_turn(server):
    """Each turn that accepted something has been held for a while, and each take but the first followed a give."""
    for _ in range(30):
        server.get("/hello")
    j = status(server)
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
    j = status(server)
    [only] = j["listeners"]
    assert (only["listener"], only["address"], only["policy"]) == ("main", f"127.0.0.1:{server.port}", "turn")
    assert only["queue"] == 0 and only["backlog"] > 0
    assert re.fullmatch(r"\d+\.\d+\.\d+", j["version"])


def test_requests_are_counted(server):
    before = status(server)
    for _ in range(25):
        assert server.get("/hello").status == 200
    wait_for(lambda: status(server)["totals"]["requests"] >= before["totals"]["requests"] + 26, 5)
    after = status(server)
    assert sum(w["requests"] for w in after["workers"]) == after["totals"]["requests"]
    assert after["totals"]["accepts"] >= before["totals"]["accepts"] + 25


def test_open_connections_are_seen(server):
    with held(server, 10):
        j = status(server)
        assert j["totals"]["connections"] >= 10
        assert sum(w["connections"] for w in j["workers"]) == j["totals"]["connections"]
    wait_for(lambda: status(server)["totals"]["connections"] < 10, 5)


def test_counters_of_modules(server):
    assert server.get("/").text == "front"
    assert status(server)["modules"]["static"]["loads"] >= 1


def test_page(server):
    text = server.get("/status").text
    assert '<meta http-equiv="refresh" content="7">' in text
    for pid in server.workers():
        assert f"<td>{pid}</td>" in text
    for word in ("accepts", "takes", "gives", "recoveries", "timeout_idle", "log_lines", "loads"):
        assert f">{word}<" in text, word
    assert not re.search(r"(src|href)=\"?(https?:)?//|<script", text), "it loads something"


def test_every_number_of_the_totals_is_on_the_page_once(server):
    j, text = status(server), server.get("/status").text
    heads = re.findall(r"<h2>(.*?)</h2>\s*<table>\s*<thead><tr>(.*?)</tr>", text, re.S)
    lines = re.findall(r"<tr><td>([a-z0-9_]+)</td><td>\d+</td></tr>", text)
    assert len(lines) == len(set(lines))
    columns = {"connections_opened", "requests", "responses_2xx", "responses_3xx", "responses_4xx", "responses_5xx",
               "bytes_in", "bytes_out", "accepts", "accept_empty", "turn_takes", "turn_gives", "turn_recovered",
               "turn_kicks_sent", "turn_kicks_received", "turn_kicks_futile", "turn_hold", "turn_give_to_take",
               "wakeups", "wakeups_by_cause", "mail_published", "mail_delivered", "mail_backlog", "mail_lag",
               "mail_lost", "mail_refused", "mail_latency", "mail_handler", "streams", "stream_messages", "stream_bytes",
               "streams_slow", "stream_skipped"}
    not_shown = {"connections", "connections_max", "connections_idle", "mail_lag_peak", "mail_lagging", "mail_outbox_bytes",
                 "mail_outbox_peak_bytes", "tasks", "task_stacks", "task_stack_peak_bytes",
                 "fetch_connections", "fetch_connections_idle"}
    assert set(lines) | columns | not_shown == set(j["totals"])
    assert not set(lines) & columns
    for title, head in heads:
        assert head.count("<th>") <= 7, f"{title} is too wide for a narrow screen"


def test_workers_that_drain(serve):
    slow = "\n    [module:slow]\n    [route:slow]\n    match = = /slow\n    handler = slow\n"
    s = serve(CONF + slow, server={"workers": 1})
    assert "Draining" not in s.get("/status").text
    old = s.workers()[0]
    with s.connect() as c:
        c.send(b"GET /slow?ms=60000 HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_for(lambda: status(s)["totals"]["connections"] == 2)
        assert s.ctl("reload").returncode == 0
        workers = {w["pid"]: w for w in status(s)["workers"]}
        assert workers[old]["state"] == "draining" and workers[old]["generation"] == 1
        assert workers[old]["drain_seconds"] >= 0 and 0 < workers[old]["drain_left_seconds"] <= 30
        assert all("drain_seconds" not in w for pid, w in workers.items() if pid != old)
        assert re.search(rf"<h2>Draining</h2>.*<td>{old}</td><td>1</td><td>00:00:\d\d</td><td>00:00:\d\d</td><td>1</td>",
                         s.get("/status").text, re.S)
        s.signal(signal.SIGKILL, old)
        wait_for(lambda: all(w["pid"] != old for w in status(s)["workers"]))
        assert "Draining" not in s.get("/status").text


def test_page_without_refresh(server):
    assert "http-equiv" not in server.get("/still").text


def test_head_and_other_methods(server):
    check_methods(server, "/status.json", "application/json")
    check_methods(server, "/status", "text/html; charset=utf-8")


def test_the_dead_keep_their_counts(serve):
    s = serve(CONF, server={"workers": 2})
    for _ in range(20):
        s.get("/hello")
    before = status(s)
    victim = before["workers"][0]
    again = kill(s, victim)
    after = status(s)
    assert again["incarnation"] == victim["incarnation"] + 1
    assert after["totals"]["requests"] >= before["totals"]["requests"]
    assert again["requests"] >= victim["requests"]
    assert after["totals"]["worker_crashes"] == before["totals"]["worker_crashes"] + 1


# ---- Mail --------------------------------------------------------------------------------------

OF_A_PROCESS = {"mail_published", "mail_delivered", "mail_lost", "mail_refused", "mail_skipped", "mail_backlog",
                "mail_lag", "mail_lag_peak", "mail_lagging", "mail_outbox_bytes", "mail_outbox_peak_bytes",
                "mail_latency", "mail_handler"}


def table(text, title):
    """The lines of a table of the page, each a list of its cells."""
    part = re.search(rf"<h2>{title}</h2>.*?<tbody>(.*?)</tbody>", text, re.S)[1]
    return [re.findall(r"<td[^>]*>(.*?)</td>", line) for line in re.findall(r"<tr.*?</tr>", part)]


def test_mail_of_processes_and_topics(serve, folder):
    s = serve(poster(folder), server={"workers": 2})
    wait_for(s.primary, 10)
    wait_for(lambda: status(s)["processes"]["primary"].get("state") == "ready", 10)
    assert s.get("/post?7").status == 200

    def is_heard():
        j = status(s)
        waiting = sum(p["mail_backlog"] for p in (*j["workers"], j["processes"]["primary"]))
        topics = j["topics"]
        return topics["poster.all"]["delivered"] == 21 and topics["poster.once"]["delivered"] == 1 and not waiting and j

    j = wait_for(is_heard, 10)
    primary = j["processes"]["primary"]
    assert (primary["pid"], primary["incarnation"], primary["process_starts"]) == (s.primary(), 1, 1)
    for p in (*j["workers"], primary):
        assert OF_A_PROCESS <= set(p)
        assert p["mail_backlog"] == p["mail_lost"] == p["mail_lagging"] == 0
    assert sum(w["mail_published"] for w in j["workers"]) == 8
    assert j["topics"]["poster.all"] == {"published": 7, "bytes": 35, "delivered": 21, "lost": 0}
    assert j["topics"]["poster.once"] == {"published": 1, "bytes": 3, "delivered": 1, "lost": 0}
    assert j["mail_ring_cells"] > 0 and j["mail_broken"] == 0
    peaks = [p["mail_lag_peak"] for p in (*j["workers"], *j["processes"].values())]
    assert j["totals"]["mail_lag_peak"] >= max(peaks) > 0

    text = s.get("/status").text
    assert ["primary", str(s.primary()), "ready"] == table(text, "Processes")[-1][:3]
    assert [line[0] for line in table(text, "Mail")] == ["1", "2", "primary", "master", "all"]
    assert ["poster.all", "7", "35 B", "21", "0"] in table(text, "Topics")
    assert "nobody waits" not in text and "is broken" not in text


def test_a_primary_that_is_gone(serve, folder):
    """It stays on the page while it is down, and its successor goes on counting."""
    s = serve(poster(folder), server={"workers": 1})
    primary = lambda: status(s)["processes"].get("primary", {})  # noqa: E731
    wait_for(lambda: primary().get("state") == "ready", 10)
    s.get("/post?3")
    wait_for(lambda: primary()["mail_delivered"] >= 4, 10)
    before = primary()

    os.chmod(folder, 0o755)  # the primary may be another user
    bar = os.path.join(folder, "no-primary")
    open(bar, "w", encoding="ascii").close()
    s.signal(signal.SIGKILL, before["pid"])
    wait_for(lambda: primary()["state"] == "gone" and primary()["process_starts"] > 2, 10)
    assert primary()["mail_delivered"] == before["mail_delivered"]
    wait_for(lambda: table(s.get("/status").text, "Processes")[-1][:3] == ["primary", "", "gone"], 10)
    wait_for(lambda: "Degraded" in s.get("/status").text, 10)
    waiting = primary()["mail_backlog"]
    s.get("/post?2")
    assert primary()["mail_backlog"] == waiting + 3

    os.remove(bar)
    wait_for(lambda: primary()["state"] == "ready", 20)
    wait_for(lambda: primary()["mail_backlog"] == 0, 10)
    assert primary()["mail_delivered"] >= before["mail_delivered"] + waiting + 3 and primary()["mail_lost"] == 0
    assert primary()["process_starts"] == primary()["incarnation"] > 2
