"""Messages where something ends, begins or is not there: who hears what then, and what a sender is told."""
import re
import signal

from lib.mail import build, settings
from lib.server import build_module, is_alive, wait_for

CLOSED = "-5"


def test_primary_that_does_not_take_the_topic(mailed, mail_module):
    m = mailed({"mail": mail_module}, workers=1)
    assert m.one(1, "pub none primary hi") == CLOSED
    assert m.one(1, "call x none primary 500 hi") == CLOSED


TOPIC = """
#include <cserver/cserver.h>

static cs_topic *topic;
static cs_counter *taken;

static void on_message(const cs_msg *m)
{
    cs_counter_add(taken, m->lost ? (int64_t)m->lost : 1);
}

static int handler(cs_req *r)
{
    if (cs_is(r, "POST") && cs_publish(topic, CS_TO_PRIMARY, "x", 1) != CS_OK)
        cs_counter_add(taken, 1);
    return cs_textf(r, 200, "%llu", cs_counter_sum(taken));
}

static const cs_topic_def topics[] = {{&topic, "tally", on_message, 0, 0}, {0}};
static const cs_counter_def counters[] = {{&taken, "taken_total", "Requests."}, {0}};
CS_MODULE(.name = "tally", .version = "1.0", .topics = topics, .counters = counters, .handler = handler);
"""


def ready_primary(status):
    """The generation of the primary that takes mail."""
    primary = status["primary"] or {}
    return primary.get("generation") if primary.get("state") == "ready" else None


def test_topic_that_is_removed_and_comes_back(serve, status, tmp_path):
    """Workers that drain still send it, and the primary of the settings between does not take it: they are told."""
    so = build_module(str(tmp_path), "tally", TOPIC)
    rest = "[module:maintenance]\n[module:hello]\n"
    with_it = f"{rest}[module:tally]\nfile = {so}\n[route:x]\nmatch = = /x\nhandler = tally\n"
    without = f"{rest}[route:x]\nmatch = = /x\nhandler = hello\n"
    s = serve(with_it, server={"workers": 1})
    wait_for(s.primary, 10)
    old = [s.connect() for _ in range(20)]
    for c in old:
        c.send(b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        assert c.response().status == 200
    s.configure(without, workers=1)
    assert s.ctl("reload").returncode == 0
    wait_for(lambda: ready_primary(status(s)) == 2, 20)
    for c in old:
        c.send(b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        assert c.response().status == 200
    s.configure(with_it, workers=1)
    assert s.ctl("reload").returncode == 0
    wait_for(lambda: ready_primary(status(s)) == 3, 20)
    wait_for(lambda: s.get("/x").text == "40", 20)


def test_zone_after_a_reload_that_was_rolled_back(mailed, mail_module, tmp_path):
    other = build(str(tmp_path), "mail", "-DZONE_SIZE=8192")
    bad = build_module(str(tmp_path), "bad", """
        #include <cserver/cserver.h>
        static int start(cs_proc *p) { (void)p; return CS_ERROR; }
        CS_MODULE(.name = "bad", .version = "1.0", .worker_start = start);
    """)
    m = mailed({"mail": mail_module}, workers=1)
    s = m.server
    assert "value=7" in m.one(1, "zone box add 7")
    s.configure(settings({"mail": other}, f"[module:bad]\nfile = {bad}\n"), workers=1)
    assert s.ctl("reload").returncode == 70
    assert "value=7" in m.one(1, "zone box read")
    s.configure(settings({"mail": mail_module}), workers=1)
    assert s.ctl("reload").returncode == 0
    m.forget()
    wait_for(lambda: len(s.workers()) == 1, 20)
    slot = [x for x in m.slots() if x and any(e.what == "start" and is_alive(e.pid) for e in m.events(x))][-1]
    assert "value=7" in m.one(slot, "zone box read")


def test_zone_that_is_no_size(serve, tmp_path):
    so = build_module(str(tmp_path), "vast", """
        #include <cserver/cserver.h>
        static cs_zone *z;
        static const cs_zone_def zones[] = {{&z, "z", (size_t)-4000, 0, 0}, {0}};
        CS_MODULE(.name = "vast", .version = "1.0", .zones = zones);
    """)
    s = serve("[module:hello]\n")
    s.configure(f"[module:vast]\nfile = {so}\n")
    done = s.ctl("reload")
    assert done.returncode == 78 and 'the zone "z" has 18446744073709547616 bytes: at most' in done.stderr


def test_latest_to_others_reaches_the_senders_successor(mailed, mail_module):
    m = mailed({"mail": mail_module}, workers=2)
    assert m.one(2, "pub latest others state-1") == "0"
    m.wait_got(1, "latest", 1)
    for slot in (2, 1):
        pid, incarnation = m.pid(slot), m.incarnation(slot)
        m.server.signal(signal.SIGKILL, pid)
        m.forget(slot)
        wait_for(lambda n=slot, i=incarnation: m.incarnation(n) > i, 10)
        m.one(slot, "who")
        assert m.got(slot, "latest"), slot


def test_leaves_that_an_evicted_one_missed(mailed, mail_module):
    m = mailed({"mail": mail_module}, workers=3, server={"mailbox_stall": "300ms"})
    first, third = m.pid(1), m.pid(3)
    m.connect(2), m.connect(3)
    m.server.signal(signal.SIGSTOP, first)
    m.server.signal(signal.SIGKILL, third)
    m.forget(3)

    def evicted():
        m.one(2, "flood a workers 9000 64")
        return "waited for any longer" in m.server.log()
    wait_for(evicted, 30)
    m.server.signal(signal.SIGCONT, first)
    m.one(1, "who")
    wait_for(lambda: [e for e in m.events(1) if e.what == "leave" and e.slot == 3], 10)
    left = [e.what for e in m.events(1) if e.what in ("leave", "join") and e.slot == 3]
    assert left[-2:] in (["leave", "join"], ["join", "leave"]) or left == ["leave"], left


PROMISES = """
#include <cserver/cserver.h>

static cs_topic *t;
static cs_counter *begun, *ended;

static void done(int rc, void *arg)
{
    (void)rc, (void)arg;
    cs_counter_add(ended, 1);
}

static void on_message(const cs_msg *m) { (void)m; }

static void stop(cs_proc *p)
{
    (void)p;
    if (cs_publish_applied(t, CS_TO_ALL, "x", 1, 60000, done, 0) == CS_OK)
        cs_counter_add(begun, 1);
}

static int handler(cs_req *r)
{
    return cs_textf(r, 200, "%llu %llu", cs_counter_sum(begun), cs_counter_sum(ended));
}

static const cs_topic_def topics[] = {{&t, "promises", on_message, 0, 0}, {0}};
static const cs_counter_def counters[] = {{&begun, "begun_total", "x."}, {&ended, "ended_total", "x."}, {0}};
CS_MODULE(.name = "promises", .version = "1.0", .topics = topics, .counters = counters, .handler = handler,
          .worker_stop = stop, .primary_stop = stop);
"""


def test_done_is_called_at_the_end_too(serve, tmp_path):
    so = build_module(str(tmp_path), "promises", PROMISES)
    s = serve(f"[module:promises]\nfile = {so}\n[route:x]\nmatch = = /x\nhandler = promises\n", server={"workers": 3})
    wait_for(s.primary, 10)
    for n in range(1, 4):
        old = s.primary()
        assert s.ctl("reload").returncode == 0
        wait_for(lambda p=old: s.primary() not in (None, p), 10)
        wait_for(lambda least=n: int(s.get("/x").text.split()[0]) >= 4 * least, 10)
    wait_for(lambda: len(set(s.get("/x").text.split())) == 1, 10)


def test_what_a_worker_could_not_send_is_said(mailed, mail_module):
    m = mailed({"mail": mail_module}, workers=2, server={"mailbox_stall": "30s", "shutdown_timeout": "300ms"})
    first = m.pid(1)
    m.connect(2)
    m.server.signal(signal.SIGSTOP, first)
    try:
        m.one(2, "flood a workers 20000 64")
        second = m.pid(2)
        m.server.signal(signal.SIGTERM, second)
        wait_for(lambda: not is_alive(second), 40)
    finally:
        m.server.signal(signal.SIGCONT, first)
    m.forget(2)
    assert re.search(r"worker 2\[\d+\]: \d+ messages could not be sent any more", m.server.log())
