"""Messages between the processes of a server: who gets what, in which order, what is refused, answers, loops. Those
that come and go are in mailbox_life_test.py, the slow in mailbox_slow_test.py, zones in zone_test.py."""
import contextlib
import signal

import pytest
from lib.mail import AGAIN, CLOSED, ERROR, LOOP, OK, TIMEOUT, TOOBIG
from lib.server import is_alive, process_table, wait_for

WORKERS = (1, 2, 3)
ALL = (0, 1, 2, 3)
EITHER = f"{ERROR} {CLOSED}"


def flushed(mail, slots=ALL, via=1, topic="b"):
    """Until these have handled all that was published before by `via`."""
    mail.flushes = getattr(mail, "flushes", 0) + 1
    mark = f"flush {mail.flushes}"
    assert mail.one(via, f"pub {topic} all {mark}") == OK
    for slot in slots:
        wait_for(lambda slot=slot: mark in mail.data(slot, topic), 30, f"{slot} has not had {mark!r}")


# ---- Who gets it -------------------------------------------------------------------------------

@pytest.mark.parametrize("to,receivers", [
    ("all", {0, 1, 2, 3}), ("workers", {1, 2, 3}), ("others", {2, 3}), ("primary", {0}), ("0", {0}), ("1", {1}),
    ("2", {2}), ("3", {3})])
def test_target_from_a_worker(mail, to, receivers):
    assert mail.one(1, f"pub a {to} hello") == OK
    flushed(mail)
    assert {slot for slot in ALL if mail.data(slot, "a") == ["hello"]} == receivers
    assert {slot for slot in ALL if mail.data(slot, "a")} == receivers


@pytest.mark.parametrize("to,receivers", [
    ("all", {0, 1, 2, 3}), ("workers", {1, 2, 3}), ("others", {1, 2, 3}), ("primary", {0}), ("0", {0}), ("2", {2})])
def test_target_from_the_primary(mail, to, receivers):
    assert mail.primary(f"pub a {to} hello") == OK
    flushed(mail)
    assert {slot for slot in ALL if mail.data(slot, "a") == ["hello"]} == receivers
    assert {slot for slot in ALL if mail.data(slot, "a")} == receivers


def test_what_a_message_says(mail):
    assert mail.do(2, "pub a all one", "pub a all two", "pub b all three") == [OK] * 3
    for slot in ALL:
        one, two = mail.wait_got(slot, "a", 2)
        three = mail.wait_got(slot, "b", 1)[0]
        assert [e.data for e in (one, two, three)] == ["one", "two", "three"]
        for e in (one, two, three):
            assert (e.sender, e.hops, e.lost, e.retained, e.call, e.len) == (
                f"2.{mail.incarnation(2)}", 0, 0, 0, 0, len(e.data))
        assert one.seq < two.seq < three.seq
        assert (one.number, two.number, three.number) == (1, 2, 1)
    assert mail.primary("pub a 1 four") == OK
    assert mail.wait_got(1, "a", 3)[2].sender == f"0.{mail.incarnation(0)}"


def test_never_inside_the_call(mail):
    """What a process sends to itself comes after the callback that it sent it from."""
    assert mail.do(1, "pub a 1 x", "pub a 1 !pub b 1 y|pub a 1 w", "pub a 1 z") == [OK] * 3
    mail.wait_got(1, "a", 4)
    lines = [e.line.split()[1] if e.what == "request" else getattr(e, "data", e.what) for e in mail.events(1)
             if e.what not in ("start", "join")]
    assert lines[-6:] == ["x", "!pub b 1 y|pub a 1 w", "did", "z", "y", "w"]


# ---- Refusals ----------------------------------------------------------------------------------

@pytest.mark.parametrize("command,results", [
    ("size tiny all 0", OK), ("size tiny all 1", OK), ("size tiny all 2", TOOBIG),
    ("size a all 0", OK), ("size a all 4096", OK), ("size a all 4097", TOOBIG),
    ("size big all 65536", OK), ("size big all 65537", TOOBIG),
    ("size latest all 4096", OK), ("size latest all 4097", TOOBIG), ("size latest2 all 101", TOOBIG),
    ("pub a 4 x", CLOSED),  # no such worker
    ("pub a 999 x", CLOSED),  # nor can there be one
    ("pub none 2 x", CLOSED),  # it does not take the topic
    ("pub none all x", OK),
    ("pub a -9 x", EITHER), ("pub a -16 x", EITHER),  # no target
])
def test_publish_results(mail, command, results):
    assert mail.one(1, command) in results.split()
    assert mail.one(1, "pub a all next") == OK


@pytest.mark.parametrize("command,results", [
    ("tiny all 1000 xx", TOOBIG), ("a 4 1000 x", CLOSED), ("a 999 1000 x", CLOSED), ("none 2 1000 x", CLOSED),
    ("a -9 1000 x", EITHER)])
def test_publish_applied_refused(mail, command, results):
    assert mail.one(1, f"applied id {command}") in results.split()
    flushed(mail)
    assert not [e for e in mail.events(1) if e.what == "done"], "no done after a refusal"


@pytest.mark.parametrize("size,topic", [(0, "a"), (1, "tiny"), (4096, "a"), (65536, "big"), (65000, "big")])
def test_sizes_arrive_whole(mail, size, topic):
    assert mail.one(3, f"size {topic} all {size}") == OK
    for slot in ALL:
        e = mail.wait_got(slot, topic, 1)[0]
        assert e.len == size
        assert size < 4096 or e.data == "#1"


def test_no_primary(mailed, mute_module):
    """Modules that only publish need none."""
    mail = mailed({"mute": mute_module}, workers=2, primary=False)
    assert mail.server.primary() is None
    assert mail.do(1, "pub a primary x", "pub a 0 x", "pub a all x", "pub a workers x", "pub a 2 x") == [
        CLOSED, CLOSED, OK, OK, CLOSED]
    assert mail.one(1, "applied id a all 1000 x") == OK
    assert mail.done(1, "id").result == 0, "nobody takes it: all have"
    assert mail.one(1, "call id2 a primary 1000 x") == CLOSED
    assert mail.server.primary() is None


# ---- Order -------------------------------------------------------------------------------------

def test_one_order_for_all(mail):
    """Everybody publishes at once."""
    for slot in WORKERS:
        mail.tell(slot, f"stream a all 400 {40 + 40 * slot} 20 1")
    mail.one(1, "pub ask primary !after 0 stream a all 400 64 20 1")
    for slot in WORKERS:
        assert mail.connections[slot].response().text == OK
    for slot in ALL:
        mail.wait_got(slot, "a", 1600)
    orders = [[(e.seq, e.number, e.sender, e.data) for e in mail.got(slot, "a")] for slot in ALL]
    assert orders[0] == orders[1] == orders[2] == orders[3]
    assert [number for _, number, _, _ in orders[0]] == list(range(1, 1601))
    for slot in ALL:
        everything = [e.seq for e in mail.got(slot)]
        assert everything == sorted(set(everything))
        mine = [data for _, _, sender, data in orders[0] if sender.startswith(f"{slot}.")]
        assert mine == [f"#{n}" for n in range(1, 401)], "in the order of their sender, whole"


def test_an_effect_comes_after_its_cause(mail):
    """Whoever gets 1's message answers to all: nobody sees an answer before the message."""
    for n in range(20):
        assert mail.one(1, f"pub a all !pub b all {n}") == OK
    for slot in ALL:
        mail.wait_got(slot, "b", 80)
        seen = set()
        for e in mail.got(slot):
            if e.topic == "a":
                seen.add(e.data.rsplit(" ", 1)[1])
            elif e.topic == "b":
                assert e.data in seen


def test_ten_thousand_in_a_tight_loop(mail):
    assert mail.one(2, "flood a all 10000 64") == "10000 0"
    for slot in ALL:
        assert [e.data for e in mail.wait_got(slot, "a", 10000)] == [f"#{n}" for n in range(1, 10001)]
        assert not any(e.lost for e in mail.got(slot, "a"))


def test_foreign_signals_during_a_flood(mail):
    """A stray SIGUSR1 is a look for mail, no more."""
    pids = [*mail.server.workers(), mail.server.primary()]
    mail.tell(1, "stream a all 5000 64 25 1")
    assert mail.connections[1].response().text == OK
    for n in range(1000):
        for pid in pids:
            mail.server.signal(signal.SIGUSR1, pid)
    for slot in ALL:
        assert [e.data for e in mail.wait_got(slot, "a", 5000)] == [f"#{n}" for n in range(1, 5001)]
    assert [*mail.server.workers(), mail.server.primary()] == pids


def children(server):
    return [pid for pid, (parent, state, _) in process_table().items() if parent == server.pid and state != "Z"]


def test_foreign_signals_from_the_first_moment(mailed, mail_module):
    """From its start on, whatever a process is just doing; the master from its first line on: it opens its logs anew."""
    mail = mailed({"mail": mail_module}, primary=False, ready=False)
    sent = 0
    while sent < 1000:
        for pid in children(mail.server) + ([mail.server.pid] if mail.server.log() else []):
            with contextlib.suppress(ProcessLookupError):
                mail.server.signal(signal.SIGUSR1, pid)
                sent += 1
    mail.server.wait_ready()
    mail.wait_primary()
    assert mail.one(1, "flood a all 100 64") == "100 0"
    for slot in ALL:
        assert len(mail.wait_got(slot, "a", 100)) == 100
        assert mail.incarnations(slot) == [mail.incarnation(slot)], "nobody has died"


def test_outbox_full(mail):
    """As many as fit the ring and 4 MiB, then CS_AGAIN; what was taken arrives, and then there is room again."""
    taken, rc = mail.one(1, "flood big all 1000 65536").split()
    assert rc == AGAIN
    assert 64 <= int(taken) <= 80, taken
    for slot in ALL:
        assert [e.data for e in mail.wait_got(slot, "big", int(taken))] == [f"#{n}" for n in range(1, int(taken) + 1)]
    assert mail.one(1, "flood big all 10 65536") == "10 0"
    for slot in ALL:
        assert [e.number for e in mail.wait_got(slot, "big", int(taken) + 10)] == list(range(1, int(taken) + 11))


# ---- Where it is published from ----------------------------------------------------------------

def test_hops(mail):
    """0 from a request and a timer, one more from on_message."""
    assert mail.do(1, "pub a 2 request", "pub a 2 !pub b 3 message", "after 1 pub a 2 timer",
                   "pub a 2 !after 1 pub b 3 timer of a message") == [OK] * 4
    mail.wait_got(3, "b", 2)
    mail.wait_got(2, "a", 4)
    hops = {e.data: e.hops for slot in (2, 3) for e in mail.got(slot)}
    assert (hops["request"], hops["timer"], hops["message"], hops["timer of a message"]) == (0, 0, 1, 0)


def loops(mail):
    """What the server has counted, or None where no page tells."""
    text = mail.server.get("/metrics").text
    return sum(int(float(line.rsplit(" ", 1)[1])) for line in text.splitlines()
               if line.startswith("cserver_mail_loops_total"))


@pytest.mark.parametrize("slot", [2, 0])
def test_ping_pong(mailed, mail_module, second_module, slot):
    """Two modules that answer each other for ever: refused at hop 16, and counted."""
    mail = mailed({"mail": mail_module, "mail2": second_module},
                  more="[module:metrics]\n[route:metrics]\nmatch = = /metrics\nhandler = metrics\n")
    before = loops(mail)
    for round in (1, 2):
        assert mail.one(1, f"pub ping {slot} ball") == OK

        def balls():
            found = [e for e in mail.events(slot) if e.what == "ball"]
            return found if len(found) >= 17 * round else None
        game = wait_for(balls)[17 * (round - 1):]
        assert [e.hops for e in game] == list(range(17))
        assert [e.topic for e in game] == ["ping", "pong"] * 8 + ["ping"]
        assert [e.result for e in game] == [0] * 16 + [int(LOOP)]
        flushed(mail)
        assert len([e for e in mail.events(slot) if e.what == "ball"]) == 17 * round, "no more of it"
        assert loops(mail) - before == round
    assert mail.one(1, "pub a all hello") == OK


def test_calls_and_receipts_are_refused_in_a_loop(mail):
    """A message that calls itself up again, by each of the three calls."""
    for last in ("pub a all x", "applied id a all 1000 x", "call id a 3 1000 x"):
        assert mail.one(1, f"pub ask 2 !{'pub ask 2 !' * 16}{last}") == OK
        mail.wait_event(2, 20, what="did", command=f"!{last}", result=LOOP)
        assert mail.one(1, f"pub ask 2 !{'pub ask 2 !' * 15}{last}") == OK
        mail.wait_event(2, 20, what="did", command=f"!{last}", result=OK)


# ---- publish_applied ---------------------------------------------------------------------------

@pytest.mark.parametrize("to", ["all", "workers", "others", "primary", "0", "1", "2"])
def test_applied(mail, to):
    """done comes when all have handled it, not before."""
    assert mail.one(1, f"applied id a {to} 20000 !sleep 150") == OK
    assert mail.done(1, "id").result == 0
    receivers = {"all": ALL, "workers": WORKERS, "others": (2, 3), "primary": (0,)}.get(to) or (int(to),)
    for slot in receivers:
        assert [e.command for e in mail.events(slot) if e.what == "did"] == ["!sleep 150"], "not before its end"
    if 1 in receivers:
        own = [e.what for e in mail.events(1) if e.what in ("did", "done")]
        assert own == ["did", "done"]


def test_applied_from_the_primary(mail):
    assert mail.primary("applied id a all 20000 hello") == OK
    assert mail.done(0, "id").result == 0
    assert all(mail.data(slot, "a") == ["hello"] for slot in ALL)


def test_applied_times_out(mail):
    """One blocks; done comes once, and the message is handled all the same."""
    assert mail.do(1, "pub a 3 !sleep 1500", "applied id a all 300 hello") == [OK, OK]
    assert mail.done(1, "id").result == int(TIMEOUT)
    assert mail.data(3, "a") == ["!sleep 1500"]
    wait_for(lambda: mail.data(3, "a") == ["!sleep 1500", "hello"])
    flushed(mail)
    assert len([e for e in mail.events(1) if e.what == "done"]) == 1


def test_applied_one_dies_meanwhile(mail):
    victim = mail.pid(3)
    assert mail.do(1, "pub a 3 !sleep 60000", "applied id a others 30000 hello") == [OK, OK]
    wait_for(lambda: mail.data(2, "a") == ["hello"] and mail.data(3, "a") == ["!sleep 60000"])
    assert not [e for e in mail.events(1) if e.what == "done"]
    mail.server.signal(signal.SIGKILL, victim)
    assert mail.done(1, "id", 20).result == 0


def test_many_receipts(mail):
    commands = [f"applied id{n} a all 30000 {n}" for n in range(200)]
    assert mail.do(2, *commands) == [OK] * 200
    for n in range(200):
        assert mail.done(2, f"id{n}").result == 0
    ids = [e.id for e in mail.events(2) if e.what == "done"]
    assert sorted(ids) == sorted(f"id{n}" for n in range(200)), "each once"
    assert all(mail.data(slot, "a") == [str(n) for n in range(200)] for slot in ALL)


# ---- call and answer ---------------------------------------------------------------------------

@pytest.mark.parametrize("asker,to", [(1, "2"), (1, "primary"), (1, "0"), (1, "1"), (0, "2"), (0, "primary"), (0, "0")])
def test_call(mail, asker, to):
    command = f"call id ask {to} 20000 !answer well"
    assert (mail.primary(command) if asker == 0 else mail.one(asker, command)) == OK
    end = mail.done(asker, "id")
    target = 0 if to == "primary" else int(to)
    assert (end.result, end.data, end.sender) == (0, "well", f"{target}.{mail.incarnation(target)}")
    asked = [e for e in mail.got(target, "ask") if e.data == "!answer well"]
    assert len(asked) == 1 and asked[0].call == 1
    assert [e.result for e in mail.events(target) if e.what == "did" and e.command == "!answer well"] == [OK]


@pytest.mark.parametrize("command,results", [
    ("call id ask all 1000 x", EITHER), ("call id ask workers 1000 x", EITHER), ("call id ask others 1000 x", EITHER),
    ("call id ask -9 1000 x", EITHER), ("call id ask 4 1000 x", CLOSED), ("call id ask 999 1000 x", CLOSED),
    ("call id none 2 1000 x", CLOSED), ("call id tiny 2 1000 xx", TOOBIG)])
def test_call_refused(mail, command, results):
    assert mail.one(1, command) in results.split()
    flushed(mail)
    assert not [e for slot in ALL for e in mail.events(slot) if e.what == "done"]


def test_call_times_out(mail):
    """The answer that comes later is nobody's."""
    assert mail.one(1, "call id ask 2 200 !after 1000 answer late") == OK
    assert mail.done(1, "id").result == int(TIMEOUT)
    mail.wait_event(2, what="did", command="answer late")
    flushed(mail)
    assert len([e for e in mail.events(1) if e.what == "done"]) == 1
    assert mail.one(1, "call id2 ask 2 20000 !answer next") == OK
    assert mail.done(1, "id2").data == "next", "and does not come to another call"


@pytest.mark.parametrize("to,slot", [("3", 3), ("primary", 0)])
def test_call_of_one_that_is_killed(mail, to, slot):
    victim = mail.pid(slot)
    assert mail.one(1, f"call id ask {to} 60000 hello") == OK
    wait_for(lambda: "hello" in mail.data(slot, "ask"))
    mail.server.signal(signal.SIGKILL, victim)
    assert mail.done(1, "id", 20).result == int(CLOSED)


def test_call_of_one_that_kills_itself_over_it(mail):
    """The successor does not meet the message that killed its predecessor."""
    assert mail.do(1, "call id ask 3 60000 !raise 9", "pub a all after") == [OK, OK]
    assert mail.done(1, "id", 20).result == int(CLOSED)
    wait_for(lambda: len(mail.incarnations(3)) == 2 and [e for e in mail.events(3) if e.what == "start"])
    mail.forget(3)
    assert mail.one(1, "call id2 ask 3 20000 !answer again") == OK
    assert mail.done(1, "id2").data == "again"
    assert len(mail.incarnations(3)) == 2
    assert mail.data(3, "ask") == ["!answer again"]


def test_answer_later(mail):
    """With a copy of the message, when its data are gone."""
    assert mail.do(1, "call slow ask 2 20000 !after 300 answer slow", "call fast ask 2 20000 !answer fast") == [OK, OK]
    assert mail.done(1, "fast").data == "fast"
    assert mail.done(1, "slow").data == "slow"
    assert [e.id for e in mail.events(1) if e.what == "done"] == ["fast", "slow"]


def test_only_the_first_answer_counts(mail):
    assert mail.one(1, "call id ask 2 20000 !answer one|answer two|answer three") == OK
    assert mail.done(1, "id").data == "one"
    flushed(mail)
    assert len([e for e in mail.events(1) if e.what == "done"]) == 1


@pytest.mark.parametrize("size,result,seen", [(0, OK, 0), (4096, OK, 4096), (4097, TOOBIG, None)])
def test_size_of_an_answer(mail, size, result, seen):
    assert mail.one(1, f"call id ask 2 3000 !answer-size {size}") == OK
    end = mail.done(1, "id")
    if seen is None:
        assert end.result == int(TIMEOUT)
    else:
        assert (end.result, end.len) == (0, seen)
    assert mail.wait_event(2, what="did").result == result


def test_answer_to_one_that_is_gone(mail):
    assert mail.one(3, "call id ask 2 20000 !after 1500 answer hello") == OK
    mail.wait_got(2, "ask", 1)
    mail.server.signal(signal.SIGKILL, mail.pid(3))
    mail.forget(3)
    assert mail.wait_event(2, what="did", command="answer hello").result == CLOSED
    wait_for(lambda: len(mail.incarnations(3)) == 2)
    flushed(mail)
    assert not [e for e in mail.events(3) if e.what == "done"]


def test_many_calls(mail):
    """All to all, at once; each gets its own answer."""
    for slot in WORKERS:
        mail.tell(slot, *[f"call {slot}.{to}.{n} ask {to} 30000 !answer {slot}.{to}.{n}"
                          for n in range(50) for to in ALL])
    for slot in WORKERS:
        assert mail.connections[slot].response().text.split() == [OK] * 200
    for slot in WORKERS:
        wait_for(lambda slot=slot: len([e for e in mail.events(slot) if e.what == "done"]) == 200)
        for e in mail.events(slot):
            if e.what == "done":
                assert (e.result, e.data) == (0, e.id)


def test_a_call_does_not_outlive_its_asker(mail):
    """It dies with calls and receipts open: the others go on."""
    victim = mail.pid(3)
    assert mail.do(3, "call id ask 2 20000 hello", "applied id2 a all 20000 !sleep 100") == [OK, OK]
    mail.wait_got(2, "ask", 1)
    mail.server.signal(signal.SIGKILL, victim)
    mail.forget(3)
    wait_for(lambda: not is_alive(victim))
    wait_for(lambda: len(mail.incarnations(3)) == 2)
    flushed(mail)


# ---- Two modules -------------------------------------------------------------------------------

def test_two_modules_take_one_topic(mailed, mail_module, second_module):
    mail = mailed({"mail": mail_module, "mail2": second_module})
    assert mail.do(1, "pub a all one", "pub a all two") == [OK, OK]
    for slot in ALL:
        for module in ("mail", "mail2"):
            found = mail.wait_got(slot, "a", 2, module=module)
            assert [(e.data, e.number, e.lost) for e in found] == [("one", 1, 0), ("two", 2, 0)]
    mail.name = "mail2"
    mail.forget()
    assert mail.do(2, "pub a others three", "pub second.own all four", "applied id a all 20000 five") == [OK] * 3
    assert mail.wait_event(2, what="done", id="id").result == 0
    for slot in ALL:
        mine = ["one", "two", "five"] if slot in (0, 2) else ["one", "two", "three", "five"]
        assert mail.data(slot, "a") == mail.data(slot, "a", module="mail2") == mine
        assert mail.data(slot, "second.own", module="mail2") == ["four"]
        assert mail.data(slot, "second.own") == []


def test_counters_in_the_primary(mail):
    assert mail.do(1, "count 5", "count 2") == [OK, OK]
    assert mail.primary("count 100") == OK
    assert mail.do(2, "count 1", "sum") == [OK, "108"]
    assert mail.primary("sum") == "108"
    mail.server.signal(signal.SIGKILL, mail.pid(0))
    wait_for(lambda: len(mail.incarnations(0)) == 2)
    mail.wait_primary()
    assert mail.primary("sum") == "108"
    assert mail.primary("count 10") == OK
    assert mail.one(3, "sum") == "118"
