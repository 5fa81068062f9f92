"""The primary: the process for what modules do once per server. It is there when somebody wants it, there is never more than
one, and nothing that happens to it is noticed by clients."""
import os
import pwd
import re
import signal
import subprocess
import threading
import time

import pytest
from lib.server import OURSELVES, PROGRAM, build_module, is_alive, process_table, title, wait_for

# In the primary it says what it does; GET /duty tells it something, /flood?N publishes N messages to all.
DUTY = """
    #include <cserver/cserver.h>
    #include <stdlib.h>
    #include <time.h>
    #include <unistd.h>
    typedef struct { cs_str word, fails, dies, hangs, lingers; } settings;
    static const cs_directive directives[] = {
        CS_STRING(settings, word, "one", 0, 100, 0, "Said at the start."),
        CS_STRING(settings, fails, "", 0, 200, 0, "primary_start fails when this file exists."),
        CS_STRING(settings, dies, "", 0, 200, 0, "worker_start fails when this file exists."),
        CS_STRING(settings, hangs, "", 0, 200, 0, "primary_start does not return when this file exists."),
        CS_STRING(settings, lingers, "", 0, 200, 0, "primary_stop does not return when this file exists."), CS_END};
    static cs_topic *note, *flood;
    static long notes, floods;
    static void linger(void) { for (;;) nanosleep(&(struct timespec){.tv_sec = 1}, 0); }
    static int on_worker(cs_proc *p) { const settings *s = cs_module_conf(p); return access(s->dies.p, F_OK) ? 0 : CS_ERROR; }
    static int on_primary(cs_proc *p)
    {
        const settings *s = cs_module_conf(p);
        if (access(s->hangs.p, F_OK) == 0) { cs_log(CS_INFO, "hangs, pid %d", (int)getpid()); linger(); }
        if (access(s->fails.p, F_OK) == 0) return CS_ERROR;
        cs_log(CS_INFO, "on duty: %.*s, pid %d, generation %u, incarnation %u", CS_F(s->word), (int)getpid(),
               cs_self()->generation, cs_self()->incarnation);
        return CS_OK;
    }
    static void on_stop(cs_proc *p)
    {
        const settings *s = cs_module_conf(p);
        cs_log(CS_INFO, "off duty: pid %d, %ld notes", (int)getpid(), notes);
        if (access(s->lingers.p, F_OK) == 0) linger();
    }
    static void on_note(const cs_msg *m)
    {
        notes += m->lost ? 0 : 1;
        cs_log(CS_INFO, "note %.*s, lost %llu", (int)m->len, m->len ? (const char *)m->data : "",
               (unsigned long long)m->lost);
    }
    static void on_flood(const cs_msg *m) { floods += m->lost ? (long)m->lost : 1; }
    static void on_join(int slot, uint32_t i) { cs_log(CS_INFO, "%d hears: join %d.%u", cs_self()->slot, slot, i); }
    static void on_leave(int slot, uint32_t i, int signal)
    {
        cs_log(CS_INFO, "%d hears: leave %d.%u by %d", cs_self()->slot, slot, i, signal);
    }
    static void finish(cs_req *r, void *arg)
    {
        cs_str q = cs_info(r)->query;
        (void)arg;
        cs_publish(note, CS_TO_PRIMARY, q.p, q.n);
        cs_text(r, 200, "noted");
    }
    static int handler(cs_req *r)
    {
        const cs_req_info *i = cs_info(r);
        if (i->path.n == 6)
            for (long k = 0, n = atol(i->query.p); k < n; k++)
                if (cs_publish(flood, CS_TO_ALL, "0123456789", 10) != CS_OK)
                    return cs_textf(r, 200, "%ld", k);
        if (i->path.n == 6)
            return cs_text(r, 200, "all");
        if (i->query.n > 4 && !memcmp(i->query.p, "late", 4)) {
            cs_req_after(r, 1000, finish, 0);
            return CS_PENDING;
        }
        finish(r, 0);
        return CS_OK;
    }
    static const cs_topic_def topics[] = {
        {.ref = &note, .name = "duty.note", .on_message = on_note},
        {.ref = &flood, .name = "duty.flood", .on_message = on_flood}, {0}};
    CS_MODULE(.name = "duty", .version = "1.0", .help = "Something once per server.", .directives = directives,
              .conf_size = sizeof(settings), .topics = topics, .worker_start = on_worker, .primary_start = on_primary,
              .primary_stop = on_stop, .on_join = on_join, .on_leave = on_leave, .handler = handler);
"""
# Publishes only: nobody has to be there for it.
SAYS = """
    #include <cserver/cserver.h>
    static cs_topic *said;
    static int handler(cs_req *r) { return cs_textf(r, 200, "%d", cs_publish(said, CS_TO_PRIMARY, "x", 1)); }
    static const cs_topic_def topics[] = {{.ref = &said, .name = "duty.note"}, {0}};
    CS_MODULE(.name = "says", .version = "1.0", .help = "Says something.", .topics = topics, .handler = handler);
"""
HELLO = "[module:hello]\n[route:hello]\nmatch = = /hello\nhandler = hello\n"


@pytest.fixture(scope="module")
def modules(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("modules"))
    os.chmod(folder, 0o755)
    return {name: build_module(folder, name, text) for name, text in (("duty", DUTY), ("says", SAYS))}


def duty(modules, word="one"):
    keys = "".join(f"{k} = @DIR@/{k}\n" for k in ("fails", "dies", "hangs", "lingers"))
    return (HELLO + f"[module:duty]\nfile = {modules['duty']}\nword = {word}\n{keys}"
            "[route:duty]\nmatch = = /duty\nhandler = duty\n[route:flood]\nmatch = = /flood\nhandler = duty\n")


def on_duty(s):
    """Pids that have begun, in this order."""
    return [int(pid) for pid in re.findall(r"on duty: \S+ pid (\d+),", s.log())]


def settled(s, old=None):
    """The primary has begun, and is another than `old`; its pid."""
    def there():
        pid = s.primary()
        return pid if pid and pid != old and pid in on_duty(s) else None
    return wait_for(there, 15, f"no primary:\n{s.log()[-3000:]}")


@pytest.fixture
def server(serve, modules):
    """Two workers, and the primary s.first."""
    s = serve(duty(modules), server={"workers": 2, **OURSELVES, "log_level": "debug"})
    s.first = settled(s)
    s.old = s.workers()
    return s


def hello(s, n=1):
    for _ in range(n):
        assert s.get("/hello").status == 200


def state(status, s):
    return status(s)["state"]


# ---- When there is one ---------------------------------------------------------------------------

def test_only_when_it_is_wanted(serve, modules):
    s = serve(HELLO + f"[module:says]\nfile = {modules['says']}\n[route:says]\nmatch = = /says\nhandler = says\n")
    assert s.get("/says").text == "-5", "CS_CLOSED: there is nobody who could take it"
    time.sleep(0.3)
    assert s.primary() is None and len(s.workers()) == 2
    assert len(s.ours()) == 3


def test_what_it_is(server):
    s = server
    assert title(s.first) == "cserver: primary"
    assert re.search(r"primary.*on duty: one, pid %d, generation 1, incarnation 1" % s.first, s.log())
    assert len(s.workers("cserver: primary")) == 1
    hello(s, 5)


def test_status(server, status):
    s = server
    wait_for(lambda: status(s)["primary"]["state"] == "ready")
    p = status(s)["primary"]
    assert (p["pid"], p["generation"], p["starts"]) == (s.first, 1, 1)
    s.signal(signal.SIGKILL, s.first)
    second = settled(s, s.first)
    assert (status(s)["primary"]["pid"], status(s)["primary"]["starts"]) == (second, 2)


def test_it_accepts_nothing(server):
    """It does not even hold the sockets: else clients would connect to nobody when all workers have gone."""
    s = server
    with open("/proc/net/tcp", encoding="ascii") as f:
        rows = [line.split() for line in f.readlines()[1:]]
    mine = {f"socket:[{r[9]}]" for r in rows if r[1].endswith(f":{s.port:04X}") and r[3] == "0A"}
    assert mine

    def open_files(pid):
        return {os.readlink(f"/proc/{pid}/fd/{n}") for n in os.listdir(f"/proc/{pid}/fd")}
    assert not mine & open_files(s.first)
    assert mine & open_files(s.old[0])
    assert s.access_log not in open_files(s.first)


def test_restricted_like_a_worker(serve, modules, as_root):
    s = serve(duty(modules))
    pid = settled(s)
    www = pwd.getpwnam("www-data")
    for p in (pid, s.workers()[0]):
        with open(f"/proc/{p}/status", encoding="ascii") as f:
            words = dict(line.rstrip().split(":\t", 1) for line in f if ":\t" in line)
        assert words["Uid"].split() == [str(www.pw_uid)] * 4
        assert words["Gid"].split() == [str(www.pw_gid)] * 4


# ---- Deaths --------------------------------------------------------------------------------------

def test_killed(server):
    s = server
    s.signal(signal.SIGKILL, s.first)
    second = settled(s, s.first)
    assert f"the primary (pid {s.first}) was killed by SIGKILL: starting another" in s.log()
    assert f"pid {second}, generation 1, incarnation 2" in s.log()
    assert s.workers() == s.old


def test_told_to_end_by_somebody(server):
    s = server
    s.signal(signal.SIGTERM, s.first)
    settled(s, s.first)
    assert f"the primary (pid {s.first}) exited with status 0: starting another" in s.log()
    assert f"off duty: pid {s.first}" in s.log()


def test_requests_go_on(server, status):
    s = server
    faults, stop = [], threading.Event()

    def load():
        while not stop.is_set():
            try:
                with s.connect() as c:
                    for _ in range(10):
                        if c.send(b"GET /duty?x HTTP/1.1\r\nHost: x\r\n\r\n").response().text != "noted":
                            faults.append("no answer")
            except (OSError, EOFError) as e:
                faults.append(repr(e))
    clients = [threading.Thread(target=load) for _ in range(3)]
    for c in clients:
        c.start()
    pid = s.first
    for _ in range(20):
        s.signal(signal.SIGKILL, pid)
        pid = settled(s, pid)
    stop.set()
    for c in clients:
        c.join(30)
    assert not faults, faults[:5]
    assert s.workers() == s.old
    assert len(set(on_duty(s))) == 21
    assert (status(s)["crashes"], status(s)["spawns"]) == (0, 2), "those of workers"
    assert "next start is tried" not in s.log()


def test_messages_wait_for_the_next_one(server):
    s = server
    s.signal(signal.SIGSTOP, s.first)
    for i in range(50):
        s.get(f"/duty?n{i}.")
    s.signal(signal.SIGKILL, s.first)
    s.log_has("note n49., lost 0")
    notes = re.findall(r"note n(\d+)\., lost (\d+)", s.log())
    assert notes == [(str(i), "0") for i in range(50)]


def test_failing_start(server, status):
    s = server
    open(s.path("fails"), "w", encoding="ascii").close()
    s.signal(signal.SIGKILL, s.first)
    s.log_has("the server is degraded: its primary keeps failing", 15)
    assert "module duty: primary_start failed" in s.log()
    assert ('the primary exited with status 1: primary_start of the module "duty" failed at its start; the next start is '
            'tried in 0.1 s') in s.log()
    assert state(status, s) == "degraded"
    hello(s, 20)
    assert s.workers() == s.old
    time.sleep(2)
    starts = s.log().count("primary_start failed")
    assert 4 <= starts <= 6, "0.1 + 0.2 + 0.4 + 0.8 + 1.6 s ..."
    assert s.log().count("the next start is tried") == 1, "not said again and again"
    s.get("/duty?meanwhile")
    os.unlink(s.path("fails"))
    settled(s, s.first)
    s.log_has("note meanwhile, lost 0")
    assert state(status, s) == "degraded"
    s.log_has("the primary is ready again: the server is no longer degraded", 25)
    assert state(status, s) == "running"
    assert s.log().count("the server is degraded") == 1


def test_reload_ends_the_waiting(server, status):
    s = server
    open(s.path("fails"), "w", encoding="ascii").close()
    s.signal(signal.SIGKILL, s.first)
    s.log_has("the server is degraded: its primary keeps failing", 15)
    time.sleep(1.5)
    os.unlink(s.path("fails"))
    assert s.ctl("reload").returncode == 0
    begin = time.monotonic()
    settled(s, s.first)
    assert time.monotonic() - begin < 0.8, "the next start was not due before 1.6 s"
    assert state(status, s) == "running"


def test_fails_from_the_beginning(serve, modules):
    """The workers serve; -D says that all is well."""
    s = serve(duty(modules), start=False, server={"error_log": "@DIR@/error.log", **OURSELVES})
    open(s.path("fails"), "w", encoding="ascii").close()
    assert subprocess.run([PROGRAM, "-D", "-c", s.conf], cwd=s.folder, timeout=20, check=False).returncode == 0
    wait_for(s.accepts)
    hello(s, 3)
    s.log_has("primary_start failed")
    os.unlink(s.path("fails"))
    wait_for(lambda: on_duty(s))
    assert s.ctl("stop").returncode == 0
    assert f"off duty: pid {on_duty(s)[-1]}" in s.log()
    assert not is_alive(on_duty(s)[-1])


def test_killed_while_it_starts(server):
    s = server
    open(s.path("hangs"), "w", encoding="ascii").close()
    s.signal(signal.SIGKILL, s.first)
    second = wait_for(lambda: s.primary() if s.primary() != s.first else None)
    s.log_has(f"hangs, pid {second}")
    os.unlink(s.path("hangs"))
    s.signal(signal.SIGKILL, second)
    settled(s, second)
    assert s.log().count("starting another") == 2


def test_master_dies(server):
    s = server
    s.signal(signal.SIGKILL)
    s.wait()
    wait_for(lambda: not is_alive(s.first))
    assert f"off duty: pid {s.first}" in s.log()


def test_master_dies_and_workers_drain(server):
    """It hears what the last worker has to say."""
    s = server
    with s.connect() as c:
        c.send(b"GET /duty?latest HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(0.2)
        s.signal(signal.SIGKILL)
        s.wait()
        assert c.response().text == "noted"
    wait_for(lambda: not is_alive(s.first), 10)
    log = s.log()
    assert log.index("note latest, lost 0") < log.index(f"off duty: pid {s.first}, 1 notes")


def test_master_dies_and_a_worker_stands_still(serve, modules):
    """There is an end to waiting."""
    s = serve(duty(modules), server={**OURSELVES, "shutdown_timeout": "500ms"})
    pid, worker = settled(s), s.workers()[0]
    s.signal(signal.SIGSTOP, worker)
    begin = time.monotonic()
    s.signal(signal.SIGKILL)
    s.wait()
    wait_for(lambda: not is_alive(pid), 10)
    assert 1.4 < time.monotonic() - begin < 8
    s.signal(signal.SIGKILL, worker)
    assert f"off duty: pid {pid}" in s.log()


# ---- Reloads -------------------------------------------------------------------------------------

def watch_number(s, stop, seen):
    while not stop.is_set():
        table = process_table()
        seen.add(sum(parent == s.pid and st not in "ZX" and title(p) == "cserver: primary"
                     for p, (parent, st, _) in table.items()))


def test_reload_replaces_it(server, modules):
    s = server
    stop, seen = threading.Event(), set()
    watcher = threading.Thread(target=watch_number, args=(s, stop, seen))
    watcher.start()
    pid = s.first
    for word in ("two", "three", "four", "five"):
        s.configure(duty(modules, word))
        assert s.ctl("reload").returncode == 0
        pid = settled(s, pid)
        assert re.search(f"on duty: {word}, pid {pid},", s.log())
    stop.set()
    watcher.join(10)
    assert seen <= {0, 1}
    life = re.findall(r"(on|off) duty: (?:\S+ )?pid (\d+)", s.log())
    pids = on_duty(s)
    assert len(pids) == 5
    assert life == [(w, str(p)) for p in pids for w in ("on", "off")][:-1], "one after the other"
    assert "while it was ending" not in s.log()


def test_no_message_is_lost_by_a_reload(server):
    s = server
    for i in range(5):
        for k in range(20):
            s.get(f"/duty?n{20 * i + k}.")
        assert s.ctl("reload").returncode == 0
    s.log_has("note n99., lost 0")
    assert re.findall(r"note n(\d+)\., lost (\d+)", s.log()) == [(str(i), "0") for i in range(100)]


def test_reload_with_and_without(server, modules):
    s = server
    s.configure(HELLO)
    assert s.ctl("reload").returncode == 0
    wait_for(lambda: not is_alive(s.first) and s.primary() is None)
    time.sleep(0.3)
    assert s.primary() is None
    s.configure(duty(modules))
    assert s.ctl("reload").returncode == 0
    s.get("/duty?again")
    settled(s, s.first)
    s.log_has("note again, lost 0")


def test_stays_for_those_that_drain(server):
    """The new settings want none, but who still has the old ones may write to it."""
    s = server
    with s.connect() as c:
        c.send(b"GET /duty?latest HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(0.2)
        s.configure(HELLO)
        assert s.ctl("reload").returncode == 0
        assert s.primary() == s.first
        assert c.response().text == "noted"
    wait_for(lambda: not is_alive(s.first))
    log = s.log()
    assert log.index("note latest, lost 0") < log.index(f"off duty: pid {s.first}, 1 notes")
    assert s.primary() is None and on_duty(s) == [s.first]


def test_replaced_while_it_stays_for_those_that_drain(server, modules):
    s = server
    with s.connect() as c:
        c.send(b"GET /duty?late1 HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(0.2)
        s.configure(HELLO)
        assert s.ctl("reload").returncode == 0
        s.configure(duty(modules, "two"))
        assert s.ctl("reload").returncode == 0
        second = settled(s, s.first)
        assert c.response().text == "noted"
    s.log_has("note late1, lost 0")
    s.get("/duty?last")
    s.log_has("note last, lost 0")
    assert s.primary() == second


def test_nobody_can_write_to_one_that_goes(serve, modules):
    """It is in its stop hook: what is sent now would be seen by nobody."""
    says = f"[module:says]\nfile = {modules['says']}\n[route:says]\nmatch = = /says\nhandler = says\n"
    s = serve(duty(modules) + says, server={**OURSELVES, "log_level": "debug"})
    first = settled(s)
    open(s.path("lingers"), "w", encoding="ascii").close()
    s.configure(HELLO + says)
    assert s.ctl("reload").returncode == 0
    s.log_has(f"off duty: pid {first}")
    assert is_alive(first)
    assert s.get("/says").text == "-5", "CS_CLOSED"
    os.unlink(s.path("lingers"))
    s.configure(duty(modules) + says)  # there is one again: its messages wait for it
    assert s.ctl("reload").returncode == 0
    s.get("/duty?wait")
    second = settled(s, first)
    s.log_has("note wait, lost 0")
    assert s.primary() == second


def test_rolled_back(server, modules):
    s = server
    open(s.path("dies"), "w", encoding="ascii").close()
    s.configure(duty(modules, "two"))
    assert s.ctl("reload").returncode == 70
    os.unlink(s.path("dies"))
    hello(s, 3)
    s.get("/duty?still")
    s.log_has("note still, lost 0")
    assert s.primary() == s.first and on_duty(s) == [s.first]


def test_rolled_back_to_none(serve, modules):
    """The place that was kept for it is given up: nothing fills the mailbox."""
    s = serve(HELLO, server={**OURSELVES})
    open(s.path("dies"), "w", encoding="ascii").close()
    s.configure(duty(modules))
    assert s.ctl("reload").returncode == 70
    assert s.primary() is None
    says = f"[module:says]\nfile = {modules['says']}\n[route:says]\nmatch = = /says\nhandler = says\n"
    s.configure(HELLO + says)
    assert s.ctl("reload").returncode == 0
    assert s.get("/says").text == "-5"


def test_reload_while_it_hangs(server):
    """It does not even get through its start: killed after 2 s."""
    s = server
    open(s.path("hangs"), "w", encoding="ascii").close()
    s.signal(signal.SIGKILL, s.first)
    second = wait_for(lambda: s.primary() if s.primary() != s.first else None)
    s.log_has(f"hangs, pid {second}")
    os.unlink(s.path("hangs"))
    begin = time.monotonic()
    assert s.ctl("reload").returncode == 0
    settled(s, second)
    assert 1.9 < time.monotonic() - begin < 8
    assert f"the primary (pid {second}) did not end in time: killing it" in s.log()


# ---- Signals -------------------------------------------------------------------------------------

def test_pause(server):
    s = server
    s.signal(signal.SIGWINCH)
    wait_for(lambda: not s.workers(), 20)
    time.sleep(0.3)
    assert s.primary() == s.first
    s.signal(signal.SIGHUP)
    settled(s, s.first)
    wait_for(lambda: len(s.workers()) == 2)


def test_reopen(serve, modules):
    s = serve(duty(modules), server={"error_log": "@DIR@/error.log", **OURSELVES})
    settled(s)
    os.rename(s.error_log, s.path("old.log"))
    assert s.ctl("reopen").returncode == 0
    s.get("/duty?new")
    wait_for(lambda: "note new" in s.read("error.log"))
    assert "on duty" in s.read("old.log") and "note new" not in s.read("old.log")


def test_reopen_waits_for_it(serve, modules):
    """Who asks hears that a process has not taken the new log."""
    s = serve(duty(modules), server={"error_log": "@DIR@/error.log", **OURSELVES})
    pid = settled(s)
    s.signal(signal.SIGSTOP, pid)
    done = s.ctl("reopen", timeout=20)
    s.signal(signal.SIGCONT, pid)
    assert done.returncode == 75 and "1 process has not taken" in done.stderr


def test_the_doorbell_does_no_harm(server):
    s = server
    for _ in range(1000):
        s.signal(signal.SIGUSR1, s.first)
    s.get("/duty?there")
    s.log_has("note there, lost 0")
    assert s.primary() == s.first


def test_foreign_doorbells_from_the_first_line_on(serve, modules):
    """Everybody is rung, also those that are just being born, and their successors."""
    s = serve(duty(modules), ready=False, start=False, server={**OURSELVES})
    s.start()
    wait_for(s.log)
    n = 0
    while n < 1000:
        for p, (parent, st, _) in process_table().items():
            if p == s.pid or parent == s.pid and st not in "ZX":
                s.signal(signal.SIGUSR1, p)
                n += 1
    s.wait_ready()
    pid = settled(s)
    for p in [s.pid, *s.workers(), pid]:
        for _ in range(250):
            s.signal(signal.SIGUSR1, p)
    hello(s, 5)
    assert s.primary() == pid and on_duty(s) == [pid]
    assert "SIGUSR1: starting" not in s.log() and "killed by" not in s.log()


# ---- The end -------------------------------------------------------------------------------------

def test_ends_last(server):
    """It hears what the last worker has to say."""
    s = server
    with s.connect() as c:
        c.send(b"GET /duty?latest HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_for(lambda: s.ctl("status").stdout.count("ready") >= 2)
        time.sleep(0.2)
        s.signal(signal.SIGTERM)
        assert c.response().text == "noted"
    assert s.wait() == 0
    log = s.log()
    assert log.index("note latest, lost 0") < log.index(f"off duty: pid {s.first}, 1 notes") < log.index("stopped")
    assert f"the primary (pid {s.first}) has ended" in log, "with status 0"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT, signal.SIGTERM])
def test_stop(server, number):
    s = server
    assert s.stop(number) == 0
    assert not is_alive(s.first)
    assert f"the primary (pid {s.first}) has ended" in s.log()
    assert f"off duty: pid {s.first}" in s.log()


def test_one_that_does_not_end(server):
    s = server
    open(s.path("lingers"), "w", encoding="ascii").close()
    begin = time.monotonic()
    assert s.stop() == 0
    assert 1.9 < time.monotonic() - begin < 8
    assert f"the primary (pid {s.first}) did not end in time: killing it" in s.log()


def test_dies_while_the_workers_drain(server):
    """Another one hears them."""
    s = server
    with s.connect() as c:
        c.send(b"GET /duty?latest HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(0.2)
        s.signal(signal.SIGTERM)
        s.log_has("stopping")
        s.signal(signal.SIGKILL, s.first)
        assert c.response().text == "noted"
    assert s.wait() == 0
    assert len(on_duty(s)) == 2
    assert re.search(r"note latest, lost 0(.|\n)*off duty: pid %d, 1 notes" % on_duty(s)[1], s.log())


def test_stop_while_it_waits_for_its_start(server):
    s = server
    open(s.path("fails"), "w", encoding="ascii").close()
    s.signal(signal.SIGKILL, s.first)
    s.log_has("the server is degraded: its primary keeps failing", 15)
    assert s.stop(seconds=5) == 0


def test_given_up(serve, modules):
    """No worker gets through its start: the server ends, and the primary with it."""
    s = serve(duty(modules), server={"give_up": 3, **OURSELVES}, start=False, ready=False)
    open(s.path("dies"), "w", encoding="ascii").close()
    s.start()
    assert s.wait(30) == 1
    assert "giving up (give_up = 3)" in s.log()
    assert not s.ours()


# ---- Who comes and goes --------------------------------------------------------------------------

def heard(s, who):
    return re.findall(rf" {who} hears: (.*) module=duty", s.log())


def test_members(server):
    s = server
    wait_for(lambda: {"join 1.1", "join 2.1"} & set(heard(s, 0)) or heard(s, 1))
    s.signal(signal.SIGKILL, s.old[0])
    wait_for(lambda: all("join 1.2" in heard(s, who) for who in (0, 2)), what=s.log())
    for who in (0, 2):
        h = heard(s, who)
        assert h.index("leave 1.1 by 9") < h.index("join 1.2")
    s.signal(signal.SIGKILL, s.first)
    wait_for(lambda: all("join 0.2" in heard(s, who) for who in (1, 2)), what=s.log())
    for who in (1, 2):
        h = heard(s, who)
        assert h.index("leave 0.1 by 9") < h.index("join 0.2")


def test_members_over_a_reload(server):
    s = server
    assert s.ctl("reload").returncode == 0
    settled(s, s.first)
    new = [int(re.search(r"\d+", title(p))[0]) for p in s.workers() if p not in s.old]
    wait_for(lambda: all({"leave 1.1 by 0", "leave 2.1 by 0", "leave 0.1 by 0", "join 0.2"} <= set(heard(s, w))
                         for w in new), what=s.log())
    h = heard(s, new[0])
    assert h.index("leave 0.1 by 0") < h.index("join 0.2")


# ---- Who does not read ---------------------------------------------------------------------------

def test_who_does_not_read_is_named(serve, modules):
    s = serve(duty(modules), server={"mailbox_stall": "1s", **OURSELVES})
    s.first = settled(s)
    s.signal(signal.SIGSTOP, s.first)
    for _ in range(3):
        s.get("/flood?10000")
    s.log_has(f"the primary (pid {s.first}) has taken no message for", 20)
    s.signal(signal.SIGCONT, s.first)
    # What is sent before it has looked again is lost, and reported.
    wait_for(lambda: s.get("/duty?goes.on") and "note goes.on, lost 0" in s.log(), 20, s.log()[-3000:])
    assert s.primary() == s.first
    assert s.log().count("has taken no message") == 1
