"""metrics: both formats are what their grammars say, all workers' numbers are in them, and no counter goes back."""
import json
import os
import signal
import threading
import time

import pytest
from lib.exposition import OPEN, PLAIN, Exposition
from lib.figures import CONF, check_methods, held, kill, poster, running, scrape, status
from lib.server import build_module, wait_for


def test_the_parser_is_strict():
    class Text:
        def __init__(self, body, kind=PLAIN):
            self.body, self.kind = body.encode(), kind

        def __getitem__(self, _):
            return self.kind

    good = "# HELP a b\n# TYPE a counter\na 1\n"
    Exposition(Text(good))
    for label, text in {
            "no line break at the end": good[:-1],
            "no type": "# HELP a b\na 1\n",
            "no family": "a 1\n",
            "a second type": good.replace("a 1", "# TYPE a gauge\na 1"),
            "a family in two places": good + "# TYPE b gauge\nb 1\n# TYPE a counter\na 2\n",
            "a sample twice": good + "a 2\n",
            "of another family": good + "b 2\n",
            "a bad escape": good.replace("a 1", 'a{x="\\x"} 1'),
            "a label twice": good.replace("a 1", 'a{x="1",x="2"} 1'),
            "no number": good.replace("a 1", "a one"),
            "two blanks": good.replace("a 1", "a  1"),
            "falling buckets": '# TYPE h histogram\nh_bucket{le="1.0"} 2\nh_bucket{le="+Inf"} 1\nh_sum 1\nh_count 1\n',
            "no last bucket": '# TYPE h histogram\nh_bucket{le="1.0"} 2\nh_sum 1\nh_count 2\n',
            "another count": '# TYPE h histogram\nh_bucket{le="+Inf"} 2\nh_sum 1\nh_count 3\n',
    }.items():
        with pytest.raises((AssertionError, KeyError)):
            Exposition(Text(text))
            print(label)
    open_good = "# TYPE a counter\na_total 1\n# EOF\n"
    Exposition(Text(open_good, OPEN))
    for text in (open_good[:-6], open_good.replace("a_total", "a"), open_good.replace("# EOF", "# EOF\n# EOF"),
                 open_good.replace("# EOF", "# TYPE a_total gauge\na_total 2\n# EOF"),
                 open_good.replace("# EOF", "# TYPE b gauge\n# UNIT b seconds\nb 2\n# EOF")):
        with pytest.raises(AssertionError):
            Exposition(Text(text, OPEN))


@pytest.fixture(scope="module")
def server():
    yield from running()


@pytest.mark.parametrize("accept, kind", [
    (None, PLAIN),
    ("*/*", PLAIN),
    ("text/plain", PLAIN),
    ("application/json", PLAIN),
    ("application/*", PLAIN),
    ("application/openmetrics-text", OPEN),
    ("Application/OpenMetrics-Text; Version=1.0.0", OPEN),
    ('application/openmetrics-text; version="1.0.0"', OPEN),
    ("application/openmetrics-text; version=2.0.0", PLAIN),
    ("application/openmetrics-text; version=0.0.1, text/plain", PLAIN),
    ("application/openmetrics-text;q=0", PLAIN),
    ("application/openmetrics-text;q=0.000, */*;q=0.1", PLAIN),
    ("application/openmetrics-text;q=0.5, text/plain;q=0.500", OPEN),
    ("application/openmetrics-text;q=0.5, text/plain;q=0.501", PLAIN),
    ("application/openmetrics-text;q=0.5, text/*;q=0.6", PLAIN),
    ("application/openmetrics-text;q=0.5, text/plain;q=0.1, */*", OPEN),
    ("application/openmetrics-text;q=0.5, text/plain;version=1.0.0, */*;q=0.1", OPEN),
    ("application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;q=0.75,"
     "text/plain;version=0.0.4;q=0.5,*/*;q=0.1", OPEN),
    ("application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;"
     "version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,"
     "*/*;q=0.2", OPEN),
    (",,;,=;q,", PLAIN),
])
def test_format(server, accept, kind):
    r = server.get("/metrics", {"Accept": accept} if accept is not None else {})
    assert (r.status, r["content-type"], r["cache-control"], r["vary"]) == (200, kind, "no-store", "Accept")
    Exposition(r)


def test_head_and_other_methods(server):
    check_methods(server, "/metrics", PLAIN)


def test_every_family_tells_what_it_is(server):
    for accept in (PLAIN, OPEN):
        for f in scrape(server, accept).families.values():
            assert f.help and (f.name.startswith("cserver_") or f.name.startswith("static_")), f.name
    plain, opened = scrape(server, PLAIN), scrape(server, OPEN)
    assert opened.families["cserver_turn_hold_seconds"].unit == "seconds"
    assert [f.name + ("_total" if f.kind == "counter" else "") for f in opened.families.values()] == \
        list(plain.families)
    assert opened.samples.keys() == plain.samples.keys()


def test_the_workers_are_the_real_ones(server):
    m = scrape(server)
    assert m.value("cserver_build_info") == 1
    assert m.value("cserver_workers") == 3 and m.value("cserver_config_generation") == 1
    info = [dict(ls) for (name, ls) in m.samples if name == "cserver_worker_info"]
    assert sorted(int(i["pid"]) for i in info) == sorted(server.workers())
    for number in "123":
        assert m.value("cserver_worker_up", worker=number) == 1
        assert m.value("cserver_connections_max", worker=number) > 0
        assert m.value("cserver_turn_hold_seconds_count", worker=number) >= 0


GAUGES = {"connections", "connections_idle", "connections_max", "mail_backlog", "mail_lag", "mail_lag_peak", "mail_lagging",
          "mail_outbox_bytes", "mail_outbox_peak_bytes", "streams", "tasks", "task_stacks", "task_stack_peak_bytes",
          "fetch_connections", "fetch_connections_idle"}


def flat_status(s):
    """The status page's counters under the names of the metrics: (name, one label or none) -> value."""
    j = status(s)
    found = {}
    for name, value in j["totals"].items():
        if name.endswith("_by_cause"):
            found.update({("cserver_wakeups_total", ("cause", cause)): n for cause, n in value.items()})
        elif isinstance(value, dict):
            found[f"cserver_{name}_seconds_count", None] = value["count"]
        elif name != "wakeups" and name not in GAUGES:
            found[f"cserver_{name}_total", None] = value
    for module, values in j["modules"].items():
        for name, n in values.items():
            if name.startswith("module_"):  # what the server counts for it
                if name != "module_quarantined":
                    found[f"cserver_{name}_total", ("module", module)] = n
            else:
                found[f"{module}_{name}_total", None] = n
    for topic, values in j["topics"].items():
        found.update({(f"cserver_topic_{name}_total", ("topic", topic)): n for name, n in values.items()})
    return found


def test_status_page_tells_the_same(server):
    """The scrape lies between two looks at the status page; where they agree, so does it."""
    for _ in range(20):
        server.get("/hello")
    for _ in range(7):
        assert server.get("/nothing").status == 404
    wait_for(lambda: scrape(server).sum("cserver_responses_4xx_total") >= 7, 5)
    before, m, after = flat_status(server), scrape(server), flat_status(server)
    assert before.keys() == after.keys() and len(before) > 40
    for (name, label), low in before.items():
        assert any(n == name for n, _ in m.samples), name
        assert low <= m.sum(name, **dict([label] if label else [])) <= after[name, label], name
    shown = {f.name for f in m.families.values() if f.kind == "counter"}
    assert shown == {n for n, _ in before if n.endswith("_total")}


def test_open_connections(server):
    with held(server, 9):
        assert scrape(server).sum("cserver_connections") >= 10
    wait_for(lambda: scrape(server).sum("cserver_connections") == 1, 5)


def test_every_scrape_under_load_is_whole(server):
    """100 scrapes, in turns of both formats, while others ask: nothing goes back."""
    done, faults = threading.Event(), []

    def load():
        try:
            while not done.is_set():
                assert server.get("/hello").status == 200
        except Exception as e:
            faults.append(e)

    threads = [threading.Thread(target=load) for _ in range(3)]
    for t in threads:
        t.start()
    seen, first = {}, None
    try:
        for i in range(100):
            m = scrape(server, OPEN if i % 2 else PLAIN)
            for key, value in m.grows():
                assert value >= seen.get(key, 0), key
                seen[key] = value
            first = first or m
    finally:
        done.set()
        for t in threads:
            t.join()
    assert not faults
    assert m.sum("cserver_requests_total") >= first.sum("cserver_requests_total") + 100
    assert m.sum("cserver_accepts_total") > first.sum("cserver_accepts_total")


def test_the_dead_keep_their_counts_and_no_gauges(serve):
    """A reload to fewer workers: the old ones' slots stay empty."""
    s = serve(CONF, server={"workers": 3})
    for _ in range(30):
        s.get("/hello")
    before = scrape(s)
    s.configure(CONF, workers=1)
    assert s.ctl("reload").returncode == 0
    wait_for(lambda: len(s.workers()) == 1, 15)
    wait_for(lambda: scrape(s).sum("cserver_worker_up") == 1, 5)
    after = scrape(s)
    assert (after.value("cserver_config_generation"), after.value("cserver_reloads_total")) == (2, 1)
    for key, value in before.grows():
        assert after.samples[key] >= value, key
    for number in "123":
        if not after.value("cserver_worker_up", worker=number):
            assert after.value("cserver_connections", worker=number) == 0
            assert after.value("cserver_connections_max", worker=number) == 0
    assert len([1 for name, _ in after.samples if name == "cserver_worker_info"]) == 1


def test_the_last_reload(serve):
    def last():
        seen = scrape(s)
        return seen.value("cserver_config_last_reload_successful"), seen.value("cserver_config_last_reload_timestamp_seconds")

    began = int(time.time()) - 1
    s = serve(CONF)
    good, start = last()
    assert good == 1 and began <= start <= time.time()
    s.configure(CONF + "    [nonsense]\n")
    assert s.ctl("reload").returncode == 78
    bad, when = last()
    assert bad == 0 and start <= when == json.loads(s.ctl("status", "--json").stdout)["last_reload"]["at"]
    s.configure(CONF)
    assert s.ctl("reload").returncode == 0
    assert last() == (1, json.loads(s.ctl("status", "--json").stdout)["last_reload"]["at"])


def test_a_killed_worker_is_counted(serve):
    s = serve(CONF, server={"workers": 2})
    for _ in range(20):
        s.get("/hello")
    before = scrape(s)
    kill(s, status(s)["workers"][0])
    after = scrape(s)
    for key, value in before.grows():
        assert after.samples[key] >= value, key
    assert after.value("cserver_worker_crashes_total") == 1
    assert after.value("cserver_worker_spawns_total") == 3


def worker_of(c):
    """Number of the worker that has this connection: the one whose requests grow when it asks."""
    def requests():
        c.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        m = Exposition(c.response())
        return {dict(ls)["worker"]: v for (n, ls), v in m.samples.items() if n == "cserver_requests_total"}

    before, after = requests(), requests()
    return max(after, key=lambda w: after[w] - before[w])


def test_the_queue_of_a_listener(serve):
    """While the worker that has the turn is stopped, connections wait, and the other worker tells how many."""
    s = serve("""
    [accept]
    policy = turn
    stall_kill = 0

    [listen:main]
    address = 127.0.0.1:@PORT@
    backlog = 77

    [listen:side]
    address = unix:@DIR@/side.sock
""" + CONF, server={"workers": 2})
    held = {}
    for _ in range(200):
        c = s.connect()
        if held.setdefault(worker_of(c), c) is not c:
            c.close()
        if len(held) == 2:
            break
    c = held["1"]
    stopped = dict(zip("12", s.workers()))["2"]

    def look():
        c.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        return Exposition(c.response())

    def stop_the_owner():
        if look().value("cserver_turn_owner") != 2:
            s.get("/hello")
            return False
        os.kill(stopped, signal.SIGSTOP)
        if look().value("cserver_turn_owner") == 2:
            return True
        os.kill(stopped, signal.SIGCONT)
        return False

    waiting = []
    try:
        wait_for(stop_the_owner, 15)
        assert look().value("cserver_listen_queue", listener="main") == 0
        waiting = [s.connect() for _ in range(5)]
        wait_for(lambda: look().value("cserver_listen_queue", listener="main") == 5, 5)
    finally:
        os.kill(stopped, signal.SIGCONT)
    wait_for(lambda: look().value("cserver_listen_queue", listener="main") == 0, 5)
    m = look()
    assert m.value("cserver_listen_backlog", listener="main", address=f"127.0.0.1:{s.port}") == 77
    assert m.value("cserver_listen_info", listener="main", policy="turn") == 1
    assert m.value("cserver_listen_info", listener="side", policy="turn") == 1
    assert not [1 for (n, ls) in m.samples if n == "cserver_listen_queue" and dict(ls)["listener"] == "side"]
    for c in (*waiting, *held.values()):
        c.close()


ODD = r"""
    #include <cserver/cserver.h>
    static cs_counter *one, *two;
    static int handler(cs_req *r)
    {
        cs_counter_add(one, 1);
        cs_counter_add(two, 2);
        return cs_text(r, 200, "ok\n");
    }
    static const cs_counter_def counters[] = {
        {&one, "%s", "Back\\slash, \"quotes\"\nand \xc3\xa4 \xff."}, {&two, "plain", "No total"}, {0}};
    CS_MODULE(.name = "%s", .version = "1", .help = "Odd.", .counters = counters, .handler = handler);
"""


def test_names_and_help_of_modules(serve, folder):
    """Help with every byte that needs care, a counter without _total, and two modules whose names melt into one."""
    a = build_module(folder, "a", ODD % ("b_c_total", "a"))
    a_b = build_module(folder, "a_b", ODD % ("c_total", "a_b"))
    s = serve(CONF + f"""
    [module:a]
    file = {a}

    [module:a_b]
    file = {a_b}

    [route:a]
    match = = /a
    handler = a

    [route:a_b]
    match = = /a_b
    handler = a_b
    """)
    for path in ("/a", "/a_b", "/a_b"):
        assert s.get(path).status == 200
    for accept, name, plain in ((PLAIN, "a_b_c_total", "a_plain"), (OPEN, "a_b_c", "a_plain_total")):
        m = scrape(s, accept)
        assert m.families[name].help == 'Back\\slash, "quotes"\nand \u00e4 ?.'
        assert m.value("a_b_c_total", module="a") == 1 and m.value("a_b_c_total", module="a_b") == 2
        assert m.value(plain, module="a") == 2


# ---- Mail --------------------------------------------------------------------------------------

def posted(s, number):
    """Publishes in pieces of up to 500, from whichever worker."""
    for n in range(0, number, 500):
        assert s.get(f"/post?{min(500, number - n)}").status == 200


def receivers(m):
    return [ls for (name, ls) in m.samples
            if name == "cserver_mail_delivered_total" and dict(ls) != {"process": "master"}]


def at_rest(s):
    """A scrape of a server whose processes have read all their mail. The last message is for the primary, and nobody
    wakes the workers for that."""
    def rests():
        m = scrape(s)
        return m if m.sum("cserver_mail_backlog") == 0 else None

    m = wait_for(rests, 20)
    for labels in receivers(m):
        assert m.value("cserver_mail_lag", **dict(labels)) <= ("worker" in dict(labels))
    return m


def served(s):
    """With its primary: only then is a message for all one for three processes."""
    wait_for(lambda: [1 for n, ls in scrape(s).samples
                      if n == "cserver_process_info" and dict(ls)["state"] == "ready"], 10)
    return s


def check_all_is_accounted_for(before, after, published):
    """For each process: published for it = delivered + lost."""
    assert after.value("cserver_topic_published_total", topic="poster.all") - \
        before.value("cserver_topic_published_total", topic="poster.all") == published
    had = 0
    for labels in receivers(after):
        of_it = sum(after.value(f"cserver_mail_{name}_total", **dict(labels)) -
                    before.value(f"cserver_mail_{name}_total", **dict(labels)) for name in ("delivered", "lost"))
        own = after.value("cserver_topic_delivered_total", topic="poster.once") - \
            before.value("cserver_topic_delivered_total", topic="poster.once") if dict(labels).get("process") else 0
        assert of_it == published + own, labels
        had += of_it - own
    assert had == sum(after.value(f"cserver_topic_{name}_total", topic="poster.all") -
                      before.value(f"cserver_topic_{name}_total", topic="poster.all") for name in ("delivered", "lost"))


def test_every_message_is_accounted_for(serve, folder):
    """M7, told by /metrics: whoever a message was for has had it or has been told that it is lost."""
    s = served(serve(poster(folder), server={"workers": 3}))
    before = at_rest(s)
    posted(s, 5000)
    after = at_rest(s)
    assert len(receivers(after)) == 4
    check_all_is_accounted_for(before, after, 5000)
    assert after.value("cserver_topic_bytes_total", topic="poster.all") == 25000
    assert after.sum("cserver_mail_published_total") == after.value("cserver_mail_messages_total")
    for name in ("published", "queued", "refused", "full", "busy", "loops", "recovered", "corrupt", "stale", "retained",
                 "bells_sent", "bells_saved_flag", "bells_saved_running", "bells_heard", "bells_futile", "skipped"):
        assert after.sum(f"cserver_mail_{name}_total") >= 0
        assert len([1 for n, _ in after.samples if n == f"cserver_mail_{name}_total"]) == 5
    for family in ("latency", "handler"):
        assert after.sum(f"cserver_mail_{family}_seconds_count", worker="1") >= 5000


def test_mail_survives_deaths(serve, folder):
    """A worker and the primary are killed with mail on its way: no counter goes back, and afterwards all adds up."""
    s = served(serve(poster(folder), server={"workers": 2}))
    posted(s, 1000)
    seen = scrape(s)
    for process in (status(s)["workers"][1], status(s)["processes"]["primary"]):
        posted(s, 500)
        kill(s, process)
        now = scrape(s)
        for key, value in seen.grows():
            assert now.samples[key] >= value, key
        seen = now
    assert seen.value("cserver_process_starts_total", process="primary") == 2
    assert seen.value("cserver_process_up", process="primary") == 1
    before = at_rest(s)
    posted(s, 1000)
    check_all_is_accounted_for(before, at_rest(s), 1000)


def test_only_who_has_mail_is_shown(server):
    """Nobody here takes messages: no primary, and of each process that there is one line."""
    m = scrape(server)
    shown = [dict(ls) for (name, ls) in m.samples if name == "cserver_mail_published_total"]
    assert sorted(map(str, shown)) == sorted(map(str, [{"process": "master"}, *({"worker": n} for n in "123")]))
    assert not [1 for name, _ in m.samples if name.startswith("cserver_process_")]
    topics = {dict(ls)["topic"] for (name, ls) in m.samples if name == "cserver_topic_published_total"}
    assert all(t.startswith("cserver.") for t in topics)


def cpu_ns(pids):
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/schedstat", encoding="ascii") as f:
            total += int(f.read().split()[0])
    return total


def test_a_scrape_is_cheap(serve):
    """Nobody else is served by that worker while it writes: about 2 ms of CPU for 16 workers."""
    s = serve(CONF, server={"workers": 16})
    with s.connect() as c:
        for i in range(101):
            if i == 1:
                before = cpu_ns(s.workers())
            c.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            m = Exposition(c.response())
    assert m.sum("cserver_worker_up") == 16
    cost = (cpu_ns(s.workers()) - before) / 100 / 1e6
    print(f"{cost:.2f} ms, {len(m.samples)} samples")
    assert cost < 20
