"""A process that stands still: the others go on, first into their outboxes, then past it; it learns exactly what it has
missed, and nothing else is disturbed."""
import re
import signal

import pytest
from lib.mail import AGAIN, OK
from lib.server import is_alive, process_table, wait_for

WORKERS = (1, 2, 3)
ALL = (0, 1, 2, 3)
NO_KILL = "[accept]\nstall_kill = 0\n"


def stand_still(mail, slot):
    pid = mail.pid(slot)
    for other in WORKERS:
        if other != slot:
            mail.connect(other)
    mail.server.signal(signal.SIGSTOP, pid)
    wait_for(lambda: process_table()[pid][1] == "T", 10)
    return pid


def chain(events, first=1):
    """Numbers without a gap but for what is reported; the number after the last."""
    for e in events:
        if e.lost and not e.retained:
            assert e.len == 0
            first += e.lost
            continue
        first += e.lost
        assert e.number == first, f"{e}: {first} was due"
        first += 1
    return first


def lives(mail, slot):
    """One incarnation."""
    return mail.incarnations(slot) == [mail.incarnation(slot)]


@pytest.fixture
def quick(mailed, mail_module):
    """Evicts after a second."""
    return mailed({"mail": mail_module}, more=NO_KILL, server={"mailbox_stall": "1s"})


@pytest.fixture
def patient(mailed, mail_module):
    return mailed({"mail": mail_module}, more=NO_KILL, server={"mailbox_stall": "1h"})


@pytest.mark.parametrize("slow", [3, 0])
def test_passed_over_and_told(quick, slow):
    mail, others = quick, [s for s in ALL if s != slow]
    for slot in ALL:  # so that all have begun to count
        assert mail.one(1, f"pub a {slot} first") == OK
    pid = stand_still(mail, slow)
    assert mail.one(1, "flood a all 100 64") == "100 0"
    assert mail.one(1, "flood latest all 10 64") == "10 0"
    assert mail.one(2, "flood big all 400 8192") == "400 0"
    for slot in others:
        assert [e.data for e in mail.wait_got(slot, "big", 400)] == [f"#{n}" for n in range(1, 401)]
        assert len(mail.got(slot, "a")) == 101 and len(mail.got(slot, "latest")) == 10
        assert not any(e.lost for e in mail.got(slot))
    seen = {topic: len(mail.got(slow, topic)) for topic in ("a", "b", "big", "latest")}
    mail.server.signal(signal.SIGCONT, pid)
    mail.wait_got(slow, "latest", seen["latest"] + 1)
    assert mail.one(1, "pub b all mark") == OK
    wait_for(lambda: "mark" in mail.data(slow, "b"))
    new = {topic: mail.got(slow, topic)[n:] for topic, n in seen.items()}
    assert [(e.len, e.lost, e.retained) for e in new["a"]] == [(0, 101 - seen["a"], 0)]
    assert [(e.len, e.lost, e.retained) for e in new["big"]] == [(0, 400 - seen["big"], 0)]
    assert [(e.data, e.lost, e.retained, e.number) for e in new["latest"]] == [("#10", 9 - seen["latest"], 1, 10)]
    assert [(e.data, e.lost) for e in new["b"]] == [("mark", 0)], "of what it has not missed it hears nothing"
    assert mail.one(1, "flood a all 5 64") == "5 0"
    for slot in ALL:
        wait_for(lambda slot=slot: mail.data(slot, "a")[-1:] == ["#5"])
    assert [(e.data, e.lost) for e in mail.got(slow, "a")[-5:]] == [(f"#{n}", 0) for n in range(1, 6)]
    assert is_alive(pid) and all(lives(mail, slot) for slot in ALL)
    name = "primary" if slow == 0 else f"worker {slow}"
    assert re.search(rf"{name} \(pid {pid}\) has taken no message for 1\d\d\d ms", mail.server.log()), mail.server.log()


def test_an_eviction_is_exact_in_a_stream(quick):
    """In the middle of many messages, twice: what was delivered and what is reported make up all."""
    mail = quick
    assert mail.one(1, "stream a all 12000 1000 20 2") == OK
    for _ in range(2):
        had = len(mail.got(3, "a"))
        wait_for(lambda had=had: len(mail.got(3, "a")) > had + 200)
        pid = stand_still(mail, 3)
        got = len(mail.got(2, "a"))
        wait_for(lambda got=got: len(mail.got(2, "a")) >= min(got + 3500, 12000), 30, "the others do not go on")
        mail.server.signal(signal.SIGCONT, pid)
    mail.wait_event(1, what="streamed")
    assert mail.one(1, "pub a all end") == OK
    for slot in ALL:
        wait_for(lambda slot=slot: mail.data(slot, "a")[-1:] == ["end"])
        assert chain(mail.got(slot, "a")) == 12002
        assert not [e for e in mail.got(slot, "a") if e.data.startswith("torn")]
    for slot in (0, 1, 2):
        assert len(mail.got(slot, "a")) == 12001
    reports = [e for e in mail.got(3, "a") if e.lost]
    assert len(reports) == 2, reports
    assert all(lives(mail, slot) for slot in ALL)


@pytest.mark.parametrize("slow", [3, 0])
def test_backpressure(patient, slow):
    """Before the eviction: into the outbox, then CS_AGAIN; the others answer requests; then everything arrives."""
    mail, others = patient, [s for s in ALL if s != slow]
    pid = stand_still(mail, slow)
    taken, rc = mail.one(1, "flood big all 1000 65536").split()
    assert rc == AGAIN and 64 <= int(taken) <= 80
    also, rc = mail.one(2, "flood a all 100000 4096").split()
    assert rc == AGAIN and 900 <= int(also) <= 1040, also
    for _ in range(50):  # small ones still fit where a large one does not, so these are as large
        assert mail.one(1, "size big all 65536") == AGAIN
        assert mail.do(2, "size a all 4096", "size a primary 4096", "size a 3 4096") == [AGAIN] * 3
        text = "x" * 4000
        assert mail.do(2, f"applied id a all 1000 {text}", f"call id a 1 1000 {text}") == [AGAIN] * 2
        assert mail.one(1, "who").startswith("1.")
    mail.server.signal(signal.SIGCONT, pid)
    for slot in ALL:
        assert [e.data for e in mail.wait_got(slot, "big", int(taken))] == [f"#{n}" for n in range(1, int(taken) + 1)]
        assert [e.data for e in mail.wait_got(slot, "a", int(also))] == [f"#{n}" for n in range(1, int(also) + 1)]
        assert not any(e.lost for e in mail.got(slot))
    assert not [e for e in mail.events(2) if e.what == "done"], "refused is refused"
    assert mail.one(1, "pub a all and on") == OK
    for slot in others:
        mail.wait_got(slot, "a", int(also) + 1)


def test_a_publisher_that_stops_in_its_backlog(patient):
    """Its outbox is its own: the others publish and get on; it goes on where it was."""
    mail = patient
    taken, _ = mail.one(1, "flood big all 1000 65536").split()
    pid = stand_still(mail, 1)
    mail.wait_got(2, "big", 1)
    assert mail.one(2, "flood a others 20 64") == "20 0"
    mail.server.signal(signal.SIGCONT, pid)
    for slot in ALL:
        assert [e.number for e in mail.wait_got(slot, "big", int(taken))] == list(range(1, int(taken) + 1))
    assert [e.data for e in mail.wait_got(3, "a", 20)] == [f"#{n}" for n in range(1, 21)]


def test_the_primary_dies_when_it_has_been_passed_over(quick):
    """Its successor hears of what the predecessor has missed."""
    mail = quick
    assert mail.one(1, "pub a all first") == OK
    mail.wait_got(0, "a", 1)
    pid = stand_still(mail, 0)
    assert mail.one(1, "flood big all 200 8192") == "200 0"
    assert mail.one(1, "flood a all 30 64") == "30 0"
    for slot in WORKERS:
        mail.wait_got(slot, "a", 31)
    mail.server.signal(signal.SIGKILL, pid)
    wait_for(lambda: len(mail.incarnations(0)) == 2, 20)
    assert mail.one(1, "pub a all next") == OK
    wait_for(lambda: mail.data(0, "a")[-1:] == ["next"])
    assert [(e.len, e.lost) for e in mail.got(0, "big")] == [(0, 200)]
    assert [(e.data, e.lost) for e in mail.got(0, "a")] == [("", 30), ("next", 0)]


def test_nobody_is_passed_over_for_being_idle(quick):
    """Slow is only who holds others up."""
    mail = quick
    pid = stand_still(mail, 3)
    assert mail.one(1, "flood a all 100 64") == "100 0"
    for slot in (0, 1, 2):
        mail.wait_got(slot, "a", 100)
    wait_for(lambda: mail.one(1, "after 2500 count 1") == OK)
    wait_for(lambda: mail.one(2, "sum") == "1")
    mail.server.signal(signal.SIGCONT, pid)
    assert [(e.data, e.lost) for e in mail.wait_got(3, "a", 100)] == [(f"#{n}", 0) for n in range(1, 101)]
