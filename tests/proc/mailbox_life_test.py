"""Messages while processes are born, drain, die and are succeeded: latest values, joins and leaves, the primary's mail,
reloads."""
import base64
import json
import os
import signal

import pytest
from lib.mail import CLOSED, OK, settings
from lib.server import OURSELVES, build_module, is_alive, title, wait_for

WORKERS = (1, 2, 3)
ALL = (0, 1, 2, 3)


def kill(mail, slot):
    """Until the successor has started; its incarnation."""
    victim, old = mail.pid(slot), mail.incarnation(slot)
    mail.server.signal(signal.SIGKILL, victim)
    mail.forget(slot)
    wait_for(lambda: mail.incarnation(slot) > old and [e for e in mail.events(slot) if e.what == "start"], 20,
             f"nobody has come after {slot}")
    return mail.incarnation(slot)


def started(mail):
    """slot -> pid of all that live and have run their start hook."""
    found = {}
    for slot in mail.slots():
        for n in mail.incarnations(slot):
            found.update({slot: e.pid for e in mail.events(slot, n) if e.what == "start" and is_alive(e.pid)})
    return found


def new_generation(mail, old, slots):
    """Waits until these slots have processes of another generation; slot -> pid."""
    def there():
        now = {slot: pid for slot, pid in started(mail).items() if pid not in old.values()}
        return now if len(now) == slots and 0 in now else None
    return wait_for(there, 30, "no new generation")


def numbers(mail, slot, topic, **more):
    return [e.number for e in mail.got(slot, topic, **more)]


# ---- Latest values -----------------------------------------------------------------------------

def check_latest(mail, slot, value, number):
    """The newborn has had the value once, before its first request."""
    mail.wait_got(slot, "latest", 1)
    e = mail.got(slot, "latest")[0]
    assert (e.data, e.retained, e.number, e.lost) == (value, 1, number, 0)
    assert [e.data for e in mail.got(slot, "latest2")] == ["other"]
    if slot:
        mail.one(slot, "who")
        whats = [e.what for e in mail.events(slot)]
        assert whats.index("msg") < whats.index("request")
    assert len(mail.got(slot, "latest")) == 1


@pytest.fixture
def valued(mail):
    assert mail.do(1, "pub latest all old", "pub latest2 all other", "pub latest all new", "pub a all plain") == [OK] * 4
    for slot in ALL:
        mail.wait_got(slot, "a", 1)
        assert [(e.data, e.retained) for e in mail.got(slot, "latest")] == [("old", 0), ("new", 0)]
    return mail


@pytest.mark.parametrize("slot", [2, 0])
def test_latest_for_a_successor(valued, slot):
    mail = valued
    kill(mail, slot)
    check_latest(mail, slot, "new", 2)
    assert mail.data(slot, "a") == [], "of other topics what was before is not delivered"
    assert mail.do(1, "pub latest all newer", "pub a all next") == [OK, OK]
    mail.wait_got(slot, "a", 1)
    assert [(e.data, e.retained, e.number) for e in mail.got(slot, "latest")] == [("new", 1, 2), ("newer", 0, 3)]
    assert [(e.data, e.number) for e in mail.got(slot, "a")] == [("next", 2)]


def test_latest_after_a_reload(valued):
    mail = valued
    old = started(mail)
    assert mail.server.ctl("reload").returncode == 0
    mail.forget()
    for slot in new_generation(mail, old, 4):
        check_latest(mail, slot, "new", 2)


def test_latest_of_a_dead_sender(valued):
    """The value stays when the one that has published it is gone, and when all are gone."""
    mail = valued
    assert mail.one(3, "pub latest all last words") == OK
    victims = started(mail)
    for slot in WORKERS:
        mail.wait_got(slot, "latest", 3)
    for pid in victims.values():
        mail.server.signal(signal.SIGKILL, pid)
    mail.forget()
    for slot in new_generation(mail, victims, 4):
        check_latest(mail, slot, "last words", 3)


def test_latest_is_for_whom_it_was(mail):
    """A value for the workers is none for the primary."""
    assert mail.one(1, "pub latest workers theirs") == OK
    mail.wait_got(2, "latest", 1)
    kill(mail, 0)
    mail.wait_primary()
    kill(mail, 2)
    assert mail.one(1, "pub a all mark") == OK
    mail.wait_got(0, "a", 1)
    assert mail.got(0, "latest") == []
    assert [(e.data, e.retained) for e in mail.wait_got(2, "latest", 1)] == [("theirs", 1)]


def test_latest_while_they_are_born(mail):
    """A value that changes all the time: each newborn gets one, then each later one once, without a gap."""
    assert mail.one(1, "stream latest all 3000 40 2 1") == OK
    for _ in range(4):
        kill(mail, 2)
        kill(mail, 0)
    mail.wait_event(1, what="streamed")
    for slot in (2, 0):
        for n in mail.incarnations(slot)[1:]:
            found = mail.wait_got(slot, "latest", 1, incarnation=n)
            assert [e.retained for e in found] == [1] + [0] * (len(found) - 1) or found[0].number == 1
            assert [e.number for e in found] == list(range(found[0].number, found[0].number + len(found)))
        wait_for(lambda slot=slot: numbers(mail, slot, "latest")[-1:] == [3000])


# ---- Coming and going --------------------------------------------------------------------------

@pytest.mark.parametrize("slot,number", [(2, signal.SIGKILL), (2, signal.SIGABRT), (0, signal.SIGKILL)])
def test_leave_and_join(mail, slot, number):
    """Told to all others, in order with the messages: all of the dead one's, its leave, the successor's join, its
    messages."""
    old = mail.incarnation(slot)
    others = [s for s in ALL if s != slot]
    if slot:
        mail.tell(slot, "flood a all 50 64", f"raise {int(number)}")
    else:
        assert mail.one(1, f"pub ask primary !after 1 flood a all 50 64|after 50 raise {int(number)}") == OK
    for s in others:
        mail.wait_event(s, what="leave", slot=slot)
    mail.forget(slot)
    for s in others:
        mail.wait_event(s, what="join", slot=slot, incarnation=old + 1)
    assert (mail.one(slot, "flood a all 50 64") if slot else mail.primary("flood a all 50 64")) == "50 0"
    for s in others:
        wait_for(lambda s=s: sum(e.sender == f"{slot}.{old + 1}" for e in mail.got(s, "a")) == 50)
        whats = []
        for e in mail.events(s):
            if e.what == "msg" and e.topic == "a":
                whats.append(e.sender)
            elif e.what in ("join", "leave") and e.slot == slot:
                whats.append(f"{e.what} {e.incarnation} {getattr(e, 'signal', '')}")
        at = whats.index(f"leave {old} {int(number)}")
        before, after = whats[:at], whats[at + 1:]
        assert set(before) - {f"{slot}.{old}", f"join {old} "} == set(), before
        assert before.count(f"{slot}.{old}") == 50, "what it had sent is there"
        assert after == [f"join {old + 1} ", *[f"{slot}.{old + 1}"] * 50]


def test_leave_with_a_full_queue(mailed, mail_module):
    """The command line may fill the mailbox, but not so that nobody hears any more who has ended."""
    mail = mailed({"mail": mail_module}, server={"mailbox_stall": "60s"})
    slow, victim = mail.pid(1), mail.pid(3)
    mail.connect(2)
    mail.connect(3)
    assert mail.one(2, "call q ask 3 60000 hello") == OK
    mail.server.signal(signal.SIGSTOP, slow)
    try:
        with mail.server.connect(mail.server.control) as c:
            for size in (65536, 4000, 100, 1):
                data, n = base64.b64encode(b"x" * size), 0
                while json.loads(c.send(b'send {"topic":"big","to":"worker:1","data":{"base64":"%s"}}\n' % data)
                                 .until(b"\n"))["ok"]:
                    n += 1
                assert n or size < 65536
        mail.server.signal(signal.SIGKILL, victim)
        mail.forget(3)
        wait_for(lambda: f"(pid {victim}) was killed" in mail.server.log())
    finally:
        mail.server.signal(signal.SIGCONT, slow)
    assert mail.wait_event(2, seconds=20, what="leave", slot=3).signal == signal.SIGKILL
    assert str(mail.done(2, "q", 10).result) == CLOSED


STARTING = """
    #include <cserver/cserver.h>
    #include <stdio.h>
    #include <time.h>
    #include <unistd.h>
    typedef struct { cs_str holds; } settings;
    static const cs_directive directives[] = {
        CS_STRING(settings, holds, "", 0, 200, 0, "While this file exists, worker_start of worker 2 waits, and then fails."),
        CS_END};
    static cs_topic *t;
    static char result[40] = "nothing";
    static void on_message(const cs_msg *m) { (void)m; }
    static void on_leave(int slot, uint32_t i, int signal) { cs_log(CS_INFO, "left %d.%u by %d", slot, i, signal); }
    static int start(cs_proc *p)
    {
        const settings *s = cs_module_conf(p);
        if (cs_self()->slot != 2 || access(s->holds.p, F_OK))
            return CS_OK;
        cs_log(CS_INFO, "held %u", cs_self()->incarnation);
        while (access(s->holds.p, F_OK) == 0)
            nanosleep(&(struct timespec){.tv_nsec = 10000000}, 0);
        return CS_ERROR;
    }
    static void done(int rc, const cs_msg *m, void *arg) { (void)m, (void)arg; snprintf(result, sizeof result, "done %d", rc); }
    static int handler(cs_req *r)
    {
        if (cs_info(r)->query.n)
            return cs_textf(r, 200, "%d", cs_call(t, 2, "x", 1, 60000, done, 0));
        return cs_textf(r, 200, "%d %s", cs_self()->slot, result);
    }
    static const cs_topic_def topics[] = {{&t, "starting", on_message, 0, 0}, {0}};
    CS_MODULE(.name = "starting", .version = "1.0", .help = "x.", .topics = topics, .directives = directives,
              .conf_size = sizeof(settings), .worker_start = start, .on_leave = on_leave, .handler = handler);
"""


def test_who_ends_before_it_is_ready(serve, tmp_path):
    """It took mail already: who has asked it hears that it has ended. Modules do not, as they were not told that it had
    come."""
    module = build_module(str(tmp_path), "starting", STARTING)
    s = serve(f"[module:starting]\nfile = {module}\nholds = @DIR@/holds\n[route:x]\nmatch = = /x\nhandler = starting\n",
              server={"workers": 2, **OURSELVES})
    victim = next(p for p in s.workers() if title(p) == "cserver: worker 2")
    open(s.path("holds"), "w", encoding="ascii").close()
    s.signal(signal.SIGKILL, victim)
    s.log_has("held 2", 8)
    with s.connect() as c:
        assert c.send(b"GET /x?call HTTP/1.1\r\nHost: x\r\n\r\n").response().text == "0"
        assert c.send(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n").response().text == "1 nothing"
        os.unlink(s.path("holds"))
        wait_for(lambda: c.send(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n").response().text == f"1 done {CLOSED}", 10)
    s.signal(signal.SIGKILL, wait_for(lambda: next((p for p in s.workers() if title(p) == "cserver: worker 2"), None)))
    s.log_has("left 2.1 by 9")
    assert "left 2.2" not in s.log()


def test_join_is_not_told_to_oneself(mail):
    kill(mail, 3)
    mail.wait_event(1, what="join", slot=3, incarnation=mail.incarnation(3))
    assert mail.one(1, "pub a all mark") == OK
    mail.wait_got(3, "a", 1)
    assert not [e for e in mail.events(3) if e.what == "join" and e.slot == 3]
    assert not [e for e in mail.events(3) if e.what == "leave"], "nor the predecessor's end"


def test_leave_at_a_reload(mail):
    """Draining processes leave with signal 0, when they have gone; nothing of theirs comes after it."""
    old = started(mail)
    incarnations = {slot: mail.incarnation(slot) for slot in ALL}
    with mail.server.connect() as c:  # somebody stays for a while
        c.send(b"POST /mail HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nwho").response()
        assert mail.server.ctl("reload").returncode == 0
        mail.forget()
        new = new_generation(mail, old, 4)
    for pid in old.values():
        wait_for(lambda pid=pid: not is_alive(pid), 30)
    for slot in new:
        seen = [(e.slot, e.incarnation) for e in mail.events(slot) if e.what == "leave"]
        assert len(seen) == len(set(seen))
        assert all(e.signal == 0 for e in mail.events(slot) if e.what == "leave")
        assert all(incarnations.get(s) == n for s, n in seen)


def test_new_worker_is_told(mail):
    """SIGTTIN: one worker more."""
    mail.server.signal(signal.SIGTTIN)
    for slot in ALL:
        mail.wait_event(slot, what="join", slot=4)
    assert mail.one(1, "pub a 4 welcome") == OK
    assert mail.wait_got(4, "a", 1)[0].data == "welcome"
    mail.forget()  # an idle connection would keep its worker
    mail.server.signal(signal.SIGTTOU)
    last = max(s for s in mail.slots())
    gone = wait_for(lambda: [e for e in mail.events(0) if e.what == "leave"])
    assert gone[0].signal == 0 and gone[0].slot <= last
    assert mail.do(1 if gone[0].slot != 1 else 2, f"pub a {gone[0].slot} hello", "pub a all rest") == [CLOSED, OK]


# ---- Publishing at the borders of life -----------------------------------------------------------

def test_from_the_start_and_stop_hooks(mailed, mail_module):
    mail = mailed({"mail": mail_module}, keys={"start": "pub a all born|pub b others hello", "stop": "pub a all bye"})
    for slot in WORKERS:
        wait_for(lambda slot=slot: [e for e in mail.got(slot, "a") if e.sender.startswith(f"{slot}.")], 20,
                 "its own too")
        assert [e.result for e in mail.events(slot) if e.what == "did"] == ["0 0"]
    mail.wait_got(0, "a", 1)
    assert "0 0" in [e.result for e in mail.events(0) if e.what == "did"]
    old = started(mail)
    incarnations = {slot: mail.incarnation(slot) for slot in ALL}
    assert mail.server.ctl("reload").returncode == 0
    mail.forget()
    new = new_generation(mail, old, 4)
    for slot in ALL:
        assert [e.result for e in mail.events(slot, incarnations[slot]) if e.what == "did"][-1] == "0"
    for slot in new:
        if slot:
            for worker in WORKERS:  # the old primary's bye may come before a new worker is born
                wait_for(lambda slot=slot, worker=worker: any(
                    e.data == "bye" and e.sender == f"{worker}.{incarnations[worker]}" for e in mail.got(slot, "a")))
    for worker in WORKERS:
        heard = [e for n in mail.incarnations(0) for e in mail.got(0, "a", incarnation=n)
                 if e.data == "bye" and e.sender == f"{worker}.{incarnations[worker]}"]
        assert len(heard) == 1, "by one primary or its successor, once"


def test_last_words_at_a_stop(mailed, mail_module):
    """When the server stops the primary still hears the workers' farewells."""
    mail = mailed({"mail": mail_module}, keys={"stop": "pub a primary bye"})
    assert mail.server.stop() == 0
    byes = [e.sender.split(".")[0] for e in mail.got(0, "a") if e.data == "bye"]
    assert sorted(byes) == ["1", "2", "3"] or sorted(byes) == ["0", "1", "2", "3"]
    assert [e.what for e in mail.events(0) if e.what == "stop"] == ["stop"]


# ---- Draining ----------------------------------------------------------------------------------

def test_a_draining_worker_still_hears_and_speaks(mail):
    """An open connection keeps it alive: messages between the generations go both ways."""
    old = started(mail)
    incarnations = {slot: mail.incarnation(slot) for slot in ALL}
    talk = mail.connect(2)
    assert mail.server.ctl("reload").returncode == 0
    mail.connections.pop(2)
    mail.forget()
    new = new_generation(mail, old, 4)
    assert is_alive(old[2])
    first = min(slot for slot in new if slot)
    assert mail.one(first, "pub a all to both") == OK
    for slot in new:
        wait_for(lambda slot=slot: "to both" in mail.data(slot, "a"))
    wait_for(lambda: "to both" in mail.data(2, "a", incarnation=incarnations[2]), 20, "the draining one is deaf")
    assert mail.one(first, "applied id a all 20000 and applied") == OK
    assert mail.done(first, "id").result == 0
    assert "and applied" in mail.data(2, "a", incarnation=incarnations[2]), "it counts"
    r = mail.ask(talk, ["pub a all from the old", "sum"])
    talk.close()
    assert r.text == f"{OK} 0" and r["connection"] == "close"
    for slot in new:
        wait_for(lambda slot=slot: "from the old" in mail.data(slot, "a"))
    wait_for(lambda: not is_alive(old[2]), 30)


def test_fifty_large_ones_then_it_stops(mail):
    """More than the ring takes are published in one loop, and the worker is told at once to stop: nothing is lost."""
    pid = mail.pid(2)
    mail.tell(2, "flood big others 50 65536", f"raise {int(signal.SIGQUIT)}")
    assert mail.connections[2].response().text == "50 0 0"
    mail.forget(2)
    for slot in (1, 3):
        assert [e.data for e in mail.wait_got(slot, "big", 50)] == [f"#{n}" for n in range(1, 51)]
    wait_for(lambda: not is_alive(pid), 30)


@pytest.mark.parametrize("how", ["reload", "stop"])
def test_fifty_large_ones_then_all_stop(mail, how):
    """The old generation (or the server) is told to end while the mail is still in an outbox; the primary gets it."""
    mail.tell(1, "flood big primary 50 65536")
    assert mail.connections[1].response().text == "50 0"
    mail.forget()  # an idle connection would keep the worker
    if how == "reload":
        assert mail.server.ctl("reload").returncode == 0
    else:
        assert mail.server.stop() == 0

    def all_of_it():
        return [e for n in mail.incarnations(0) for e in mail.got(0, "big", incarnation=n)]
    wait_for(lambda: len(all_of_it()) >= 50, 20, "the primary has not had them all")
    assert [e.data for e in all_of_it()] == [f"#{n}" for n in range(1, 51)]
    assert not any(e.lost for e in all_of_it())
    mail.forget()


# ---- The primary -------------------------------------------------------------------------------

def test_mail_waits_for_the_primary(mail):
    """What is sent while there is none comes to the successor, in order and without a gap."""
    assert mail.one(1, "flood a primary 20 64") == "20 0"
    mail.wait_got(0, "a", 20)
    os.kill(mail.pid(0), signal.SIGKILL)
    assert mail.one(1, "flood a primary 300 64") == "300 0"
    wait_for(lambda: len(mail.incarnations(0)) == 2, 20)
    last = mail.wait_got(0, "a", 300)
    assert [e.data for e in last] == [f"#{n}" for n in range(1, 301)]
    assert [e.number for e in last] == list(range(21, 321))
    assert not any(e.lost for e in last)


def test_a_message_that_kills_the_primary(mail):
    """It is not delivered again, but reported; what is behind it comes."""
    assert mail.do(1, "pub a primary one", "pub a primary !raise 11", "pub a primary two", "pub a all three") == [OK] * 4
    wait_for(lambda: len(mail.incarnations(0)) == 2, 20)
    wait_for(lambda: mail.data(0, "a")[-2:] == ["two", "three"])
    found = mail.got(0, "a")
    assert sum(e.lost for e in found) == 1 and found[0].lost == 1 and found[0].len == 0
    assert [e.data for e in found] == ["", "two", "three"]
    assert len(mail.incarnations(0)) == 2
    mail.server.allow.add("AddressSanitizer")


def test_the_primary_costs_no_request(mail):
    """Its death disturbs no worker."""
    pids = mail.server.workers()
    for _ in range(3):
        kill(mail, 0)
        assert mail.one(1, "pub a all hello") == OK
    assert mail.server.workers() == pids
    for slot in WORKERS:
        assert [e.data for e in mail.wait_got(slot, "a", 3)] == ["hello"] * 3
    mail.wait_primary()


def test_one_primary_over_reloads(mail):
    """Never two, and its mail goes from one to the next without a gap."""
    assert mail.one(1, "stream a primary 4000 64 2 1") == OK
    for _ in range(3):
        old = mail.wait_primary()
        assert mail.server.ctl("reload").returncode == 0
        wait_for(lambda old=old: mail.server.primary() not in (None, old), 20)
        assert len(mail.server.workers("cserver: primary")) == 1
    mail.wait_primary()
    first = mail.incarnations(1)[0]

    def heard():
        return [e for n in mail.incarnations(0) for e in mail.got(0, "a", incarnation=n)]

    # The worker that publishes drains when its connection goes, and its timer with it.
    mail.forget()
    wait_for(lambda: not is_alive(next(e.pid for e in mail.events(1, first) if e.what == "start")), 40)
    assert mail.one(min(s for s in started(mail) if s), "pub a primary end") == OK
    wait_for(lambda: heard()[-1:] and heard()[-1].data == "end")
    assert [e.number for e in heard()] == list(range(1, len(heard()) + 1))
    assert not any(e.lost for e in heard())
    starts = [e for n in mail.incarnations(0) for e in mail.events(0, n) if e.what in ("start", "stop")]
    assert [e.what for e in starts] == ["start", "stop"] * 3 + ["start"]


# ---- Other modules in the next generation --------------------------------------------------------

def test_two_generations_with_different_modules(mailed, mail_module, second_module):
    """The old one has the module mail, the new one mail2: they share the topic a."""
    mail = mailed({"mail": mail_module})
    assert mail.one(1, "pub a all one") == OK
    for slot in ALL:
        mail.wait_got(slot, "a", 1)
    old = started(mail)
    incarnations = {slot: mail.incarnation(slot) for slot in ALL}
    talk = mail.connect(3)
    mail.server.configure(settings({"mail2": second_module}))
    assert mail.server.ctl("reload").returncode == 0
    mail.connections.pop(3)
    mail.forget()
    new = new_generation(mail, old, 4)
    mail.name = "mail2"
    first = min(slot for slot in new if slot)
    assert mail.do(first, "pub a all two", "pub second.own all three") == [OK, OK]
    for slot in new:
        found = mail.wait_got(slot, "a", 1, module="mail2")
        assert (found[-1].data, found[-1].number) == ("two", 2)
        assert [e.data for e in mail.wait_got(slot, "second.own", 1, module="mail2")] == ["three"]
    wait_for(lambda: mail.data(3, "a", incarnation=incarnations[3]) == ["one", "two"])
    mail.name = "mail"
    assert mail.ask(talk, ["pub a all four", "pub b all five", "pub latest all six"]).text == f"{OK} {OK} {OK}"
    talk.close()
    for slot in new:
        wait_for(lambda slot=slot: "four" in mail.data(slot, "a", module="mail2"))
    mail.server.configure(settings({"mail": mail_module, "mail2": second_module}))
    pids = started(mail)
    assert mail.server.ctl("reload").returncode == 0
    for slot in new_generation(mail, pids, 4):
        found = mail.wait_got(slot, "latest", 1)
        assert [(e.data, e.retained, e.number) for e in found] == [("six", 1, 1)], "kept without anybody that takes it"
