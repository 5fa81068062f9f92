"""Zones: memory that all processes share and that outlives them; and what declarations of zones and topics -t refuses."""
import re
import signal
import threading

import pytest
from lib.mail import OK, build, settings
from lib.server import build_module, is_alive, wait_for

WORKERS = (1, 2, 3)
ALL = (0, 1, 2, 3)


def zone(mail, slot, command):
    """The zone as a dict of inits, recovers, value, at."""
    text = mail.primary(f"zone {command}") if slot == 0 else mail.one(slot, f"zone {command}")
    found = dict(re.findall(r"(\w+)=(\S+)", text))
    assert found, text
    return {k: v if k == "at" else int(v) for k, v in found.items()}


def inits(mail):
    with open(f"{mail.folder}/zones", encoding="utf-8") as f:
        return len(f.read().splitlines())


def successor(mail, slot, old):
    wait_for(lambda: mail.incarnation(slot) > old and [e for e in mail.events(slot) if e.what == "start"], 20)


def kill(mail, slot):
    old = mail.incarnation(slot)
    mail.server.signal(signal.SIGKILL, mail.pid(slot))
    mail.forget(slot)
    successor(mail, slot, old)


def die_with_the_lock(mail, slot, name, n):
    old = mail.incarnation(slot)
    if slot:
        mail.tell(slot, f"zone {name} die {n}")
        mail.forget(slot)
    else:
        assert mail.one(1, f"pub ask primary !zone {name} die {n}") == OK
    successor(mail, slot, old)


def reload(mail):
    old = {mail.pid(slot) for slot in ALL}
    assert mail.server.ctl("reload").returncode == 0
    mail.forget()
    for pid in old:
        wait_for(lambda pid=pid: not is_alive(pid), 30)
    wait_for(lambda: len(live(mail)) == 4, 20)
    return [slot for slot in live(mail) if slot]


def live(mail):
    return [slot for slot in mail.slots() if any(e.what == "start" and is_alive(e.pid) for e in mail.events(slot))]


def test_shared_by_all(mail):
    for slot in ALL:
        zone(mail, slot, f"box add {10 ** slot}")
    found = [zone(mail, slot, "box read") for slot in ALL]
    assert found[0] == found[1] == found[2] == found[3], "the same address too"
    assert (found[0]["inits"], found[0]["recovers"], found[0]["value"]) == (1, 0, 1111)
    assert zone(mail, 2, "fresh read")["value"] == 0
    assert inits(mail) == 3, "once for each zone"


def test_the_lock(mail):
    """All add at once."""
    done = []

    def add(slot):
        done.append(mail.do(slot, *["zone box add 1"] * 300))
    for slot in WORKERS:
        mail.connect(slot)
    threads = [threading.Thread(target=add, args=(slot,)) for slot in WORKERS]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    assert len(done) == 3
    assert zone(mail, 1, "box read")["value"] == 900


def test_kept_over_kills_and_reloads(mail):
    at = zone(mail, 1, "box add 42")["at"]
    for slot in (1, 2, 3, 0):
        kill(mail, slot)
    found = zone(mail, 2, "box read")
    assert (found["value"], found["inits"], found["at"]) == (42, 1, at)
    for _ in range(2):
        first = reload(mail)[0]
        found = zone(mail, first, "box add 1")
    mail.wait_primary()
    for slot in live(mail):
        found = zone(mail, slot, "box read") if slot else found
        assert (found["value"], found["inits"], found["at"]) == (44, 1, at)
    assert inits(mail) == 3


@pytest.mark.parametrize("slot", [2, 0])
def test_recover(mail, slot):
    """A process dies in the middle of a change, with the lock: the next one makes it right, before it goes on."""
    zone(mail, 1, "box add 7")
    die_with_the_lock(mail, slot, "box", 1000)
    found = zone(mail, 3, "box add 1")
    assert (found["value"], found["recovers"], found["inits"]) == (8, 1, 1)
    for other in WORKERS:
        assert zone(mail, other, "box read")["value"] == 8
    assert inits(mail) == 3
    mail.server.log_has("box")


@pytest.mark.parametrize("name", ["fresh", "stubborn"])
def test_recover_is_not_there_or_fails(mail, name):
    """Zeroed, and init again."""
    zone(mail, 1, f"{name} add 7")
    die_with_the_lock(mail, 2, name, 1000)
    found = zone(mail, 3, f"{name} add 1")
    assert (found["value"], found["inits"]) == (1, 1)
    assert inits(mail) == 4


def test_one_waits_while_the_holder_dies(mail):
    """It gets the lock, and what the holder has left is made right."""
    mail.connect(1)
    mail.tell(2, "zone box hold 300", "zone box die 1000")
    mail.forget(2)
    values = set()
    wait_for(lambda: values.add(zone(mail, 1, "box add 1")["recovers"]) or 1 in values, 20)
    assert zone(mail, 1, "box read")["value"] < 1000


def test_many_die_with_the_lock(mail):
    for n in range(1, 11):
        die_with_the_lock(mail, 2 if n % 2 else 3, "box", 1000)
        found = zone(mail, 1, "box add 1")
        assert (found["value"], found["recovers"]) == (n, n)


def test_another_size_is_a_new_zone(mail, tmp_path):
    """It begins anew and that is logged; who drains keeps the old one; back at the old size it is another one too."""
    larger = build(str(tmp_path), "mail", "-DZONE_SIZE=8192")
    zone(mail, 1, "box add 5")
    zone(mail, 1, "fresh add 6")
    talk = mail.connect(3)
    mail.server.configure(settings({"mail": larger}))
    assert mail.server.ctl("reload").returncode == 0
    mail.connections.pop(3)
    mail.forget()
    words = mail.server.log_has("4096") and [line for line in mail.server.log().splitlines()
                                             if "8192" in line and "4096" in line]
    assert any("box" in line for line in words), mail.server.log()
    assert not any("fresh" in line for line in words)
    wait_for(lambda: len([s for s in live(mail) if s > 3 or s == 0]) == 4, 20)
    first = [slot for slot in live(mail) if slot > 3][0]
    found = zone(mail, first, "box add 100")
    assert (found["value"], found["inits"]) == (100, 1)
    assert zone(mail, first, "fresh read")["value"] == 6, "of the same size: the same"
    assert "value=5 " in mail.ask(talk, ["zone box read"]).text
    talk.close()
    assert inits(mail) == 4


def test_a_module_that_comes_back(mailed, mail_module, second_module):
    """By module and zone name: two modules do not share, and what was away finds its own again."""
    mail = mailed({"mail": mail_module})
    zone(mail, 1, "box add 5")
    old = {mail.pid(slot) for slot in ALL}
    mail.server.configure(settings({"mail2": second_module}))
    assert mail.server.ctl("reload").returncode == 0
    mail.forget()
    mail.name = "mail2"
    for pid in old:
        wait_for(lambda pid=pid: not is_alive(pid), 30)
    wait_for(lambda: len(live(mail)) == 4, 20)
    first = [slot for slot in live(mail) if slot][0]
    assert zone(mail, first, "box add 1")["value"] == 1
    mail.server.configure(settings({"mail": mail_module, "mail2": second_module}))
    first = reload(mail)[0]
    assert zone(mail, first, "box read")["value"] == 1
    mail.name = "mail"
    mail.forget()
    assert zone(mail, first, "box read")["value"] == 5


# ---- What -t refuses ---------------------------------------------------------------------------

ODD = """
    #include <cserver/cserver.h>
    static void take(const cs_msg *m) {{ (void)m; }}
    static cs_topic *t[300];
    static cs_zone *z[300];
    static const cs_topic_def topics[] = {{ {topics} {{0}} }};
    static const cs_zone_def zones[] = {{ {zones} {{0}} }};
    static int handler(cs_req *r) {{ (void)t, (void)z, (void)take; return cs_text(r, 200, "odd"); }}
    CS_MODULE(.name = "odd", .version = "1.0", .help = "Declares oddly.", .handler = handler, .topics = topics,
              .zones = zones);
"""


def topic(name="odd", ref="&t[0]", max_len=0, flags=0):
    name = "NULL" if name is None else f'"{name}"'
    return f"{{ {ref}, {name}, take, {max_len}u, {flags} }},"


def a_zone(name="odd", ref="&z[0]", size=4096):
    name = "NULL" if name is None else f'"{name}"'
    return f"{{ {ref}, {name}, {size}, NULL, NULL }},"


def many(n, flags=0):
    return "".join(topic(f"odd{i}", f"&t[{i}]", 0, flags) for i in range(n))


BAD = [
    ("a name that begins with a digit", topic("1odd"), "", ["1odd"]),
    ("an empty name", topic(""), "", ["topic"]),
    ("no name", topic(None), "", ["topic"]),
    ("a blank in a name", topic("od d"), "", ["od d"]),
    ("a slash in a name", topic("od/d"), "", ["od/d"]),
    ("a name too long", topic("o" * 48), "", ["o" * 48]),
    ("a name of the server", topic("cserver.odd"), "", ["cserver.odd"]),
    ("max_len above 64 KiB", topic(max_len=65537), "", ['"odd"', "65537", "65536"]),
    ("max_len far above", topic(max_len=4294967295), "", ['"odd"', "65536"]),
    ("a latest value too large", topic(max_len=4097, flags="CS_LATEST"), "", ['"odd"', "4097", "4096"]),
    ("a flag that is none", topic(flags=64), "", ['"odd"']),
    ("no ref", topic(ref="NULL"), "", ['"odd"']),
    ("the same topic twice", topic() + topic(ref="&t[1]"), "", ['"odd"']),
    ("too many topics", many(257), "", ["topics"]),
    ("too many latest ones", many(65, "CS_LATEST"), "", ['module "odd"', "64"]),
    ("a zone with a bad name", "", a_zone("Odd-zone"), ["Odd-zone"]),
    ("a zone with an empty name", "", a_zone(""), ["zone"]),
    ("a zone with a name too long", "", a_zone("o" * 200), ["zone", "oooo"]),
    ("a zone without a ref", "", a_zone(ref="NULL"), ['"odd"']),
    ("a zone without a size", "", a_zone(size=0), ['"odd"', "size"]),
    ("a zone larger than any machine", "", a_zone(size="(size_t)1 << 60"), ['zone "odd"']),
    ("a zone larger than this machine", "", a_zone(size="(size_t)1 << 40"), ['module "odd"', 'zone "odd"']),
    ("the same zone twice", "", a_zone() + a_zone(ref="&z[1]"), ['"odd"']),
]
GOOD = [
    ("the longest name", topic("o" * 47), ""),
    ("all kinds of letters", topic("Odd_0.-x"), ""),
    ("the largest max_len", topic(max_len=65536), ""),
    ("the largest latest value", topic(max_len=4096, flags="CS_LATEST"), ""),
    ("many topics", many(200), ""),
    ("64 latest ones", many(64, "CS_LATEST"), ""),
    ("a large zone", "", a_zone(size=64 << 20)),
    ("two zones", "", a_zone() + a_zone("odd2", "&z[1]", 1)),
]


def odd(s, topics, zones):
    so_file = build_module(s.folder, "odd", ODD.format(topics=topics, zones=zones))
    s.configure(settings({"odd": so_file}))
    return so_file


@pytest.mark.parametrize("topics,zones,words", [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_refused(serve, topics, zones, words):
    s = serve("", start=False)
    so_file = odd(s, topics, zones)
    for args in (["-t"], []):
        done = s.run("-c", s.conf, *args)
        assert done.returncode == 78, done.stderr
        for word in ["cserver.ini:", *words]:
            assert word in done.stderr, f"{word!r} is not in:\n{done.stderr}"
        assert so_file in done.stderr or 'module "odd"' in words, "where it lies, when it is the module's own fault"
    assert "SIG" not in done.stderr, "no crash"


@pytest.mark.parametrize("topics,zones", [row[1:] for row in GOOD], ids=[row[0] for row in GOOD])
def test_allowed(serve, topics, zones):
    s = serve("", start=False)
    odd(s, topics, zones)
    done = s.run("-c", s.conf, "-t")
    assert done.returncode == 0, done.stderr
    s.start()
    assert s.get("/odd").text == "odd"


def test_refused_at_a_reload(serve):
    """The running server goes on as it was."""
    s = serve("", start=False)
    odd(s, topic(), "")
    s.start()
    odd(s, topic("cserver.odd"), "")
    done = s.ctl("reload")
    assert done.returncode != 0 and "cserver.odd" in done.stdout + done.stderr
    assert s.get("/odd").text == "odd"
