"""Modules of every release load into this server and work; what they rely on in cserver.h has not changed.

tests/abi/MAJOR.MINOR holds what tests/abi/freeze has kept of a release. The other half of the tests shows that the guard
sees what it is for, on copies of today's header with one change each.
"""
import base64
import glob
import os
import re
import subprocess

import pytest
from lib import interface
from lib.server import SOURCE, build_module, make_value, wait_for

ABI = os.path.join(SOURCE, "tests/abi")
HEADER = os.path.join(SOURCE, "src/api/cserver/cserver.h")
RELEASES = sorted((d for d in os.listdir(ABI) if re.fullmatch(r"\d+\.\d+", d)),
                  key=lambda d: [int(n) for n in d.split(".")])

def ask_sse(s):
    with s.connect() as client:
        client.send(b"GET /sse HTTP/1.1\r\nHost: x\r\n\r\n").until(b"\r\n\r\n")
        assert s.post("/sse", b"for all").status < 300
        client.until(b"for all")


def ask_mailbox(s):
    assert s.post("/mailbox", b"from anybody").status == 405
    with s.connect() as client:
        head = client.send(b"GET /mailbox HTTP/1.1\r\nHost: x\r\n\r\n").until(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ") and b"text/event-stream" in head


def ask_heartbeat(s):
    wait_for(lambda: s.get("/heartbeat").status == 200)


def ask_auth(s):
    ann = "Basic " + base64.b64encode(b"ann:secret").decode()
    assert [s.get("/auth").status, s.get("/auth", {"Authorization": ann}).status] == [401, 200]


def ask_ratelimit(s):
    assert [s.get("/ratelimit").status for _ in range(3)] == [200, 200, 429]


# Settings of [module:NAME] and its route, and what is asked: (method, body, status, text in the answer), or a function.
# A module without a line here must load, and answer GET with anything but an error of the server.
ASKS = {
    "hello": ("", "greeting = Old but well", ("GET", None, 200, "Old but well\n")),
    "echo": ("", "", ("POST", "to and fro", 200, "to and fro")),
    "counter_shared": ("repeat = off", "", ("GET", None, 200, "hello world\n")),
    "counter": ("repeat = off", "", ("GET", None, 200, "hello world\n")),
    "maintenance": ("", "", ("GET", None, 404, "")),
    "redirect": ("", "to = /elsewhere", ("GET", None, 302, "")),
    "slow": ("", "delay = 1ms", ("GET", None, 200, "")),
    "headers": ("", "add = X-Old: yes", ("GET", None, 200, "greeting")),
    "upper": ("", "", ("GET", None, 200, "GREETING")),
    "metrics": ("", "", ("GET", None, 200, "counter_requests_total{")),
    "status": ("", "", ("GET", None, 200, "")),
    "heartbeat": ("interval = 10ms", "", ask_heartbeat),
    "sse": ("", "", ask_sse),
    "mailbox": ("", "", ask_mailbox),
    "auth": ("", "users = ann:secret", ask_auth),
    "ratelimit": ("", "requests = 2\nper = 1h", ask_ratelimit),
}


def compile_frozen(release, place, folder):
    name = os.path.basename(place)
    so = os.path.join(folder, name + ".so")
    done = subprocess.run([*make_value("CC").split(), "-std=c11", "-D_GNU_SOURCE", "-shared", "-fPIC", "-pthread",
                           "-I" + os.path.join(ABI, release), "-o", so, *glob.glob(place + "/*.c")], text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert done.returncode == 0, done.stdout
    return so


def answers_itself(place):
    """Has it a handler? Else it takes part in what `greet` answers."""
    for path in glob.glob(place + "/*.c"):
        with open(path, encoding="utf-8") as f:
            if re.search(r"\.handler\s*=", f.read()):
                return True
    return False


GREET = """
#include <cserver/cserver.h>
static int handler(cs_req *r)
{
    return cs_text(r, 200, "greeting");
}
CS_MODULE(.name = "greet", .version = "1.0", .handler = handler);
"""


def settings(place, so):
    name = os.path.basename(place)
    of_module, of_route, _ = ASKS.get(name, ("", "", None))
    part = f"handler = {name}" if answers_itself(place) else f"use = {name}\nhandler = greet"
    return f"[module:{name}]\nfile = {so}\n{of_module}\n[route:{name}]\nmatch = = /{name}\n{part}\n{of_route}\n"


def ask(s, name):
    question = ASKS.get(name, ("", "", ("GET", None, None, "")))[2]
    if callable(question):
        question(s)
        return
    method, body, status, text = question
    r = s.request(method, "/" + name, body=body)
    assert r.status == status if status else r.status < 500, (name, r)
    assert text in r.text, (name, r)


@pytest.mark.parametrize("release", RELEASES)
def test_modules_of_the_release_work(serve, folder, release):
    places = sorted(glob.glob(f"{ABI}/{release}/modules/*"))
    assert len(places) >= 5
    conf = f"[module:greet]\nfile = {build_module(folder, 'greet', GREET)}\n"
    conf += "".join(settings(place, compile_frozen(release, place, folder)) for place in places)
    server = serve(conf)
    for place in places:
        ask(server, os.path.basename(place))


def frozen(release):
    with open(os.path.join(ABI, release, "offsets.txt"), encoding="utf-8") as f:
        return f.read().splitlines()


def today(folder, header=HEADER):
    return interface.describe(header, folder, make_value("CC"))


def same_machine(a, b):
    """Offsets were taken on machines whose pointers have 8 bytes."""
    if a[0] != b[0]:
        pytest.skip(f"the list is for machines with {a[0]}")


@pytest.mark.parametrize("release", RELEASES)
def test_interface_of_the_release_holds(folder, release):
    now = today(folder)
    same_machine(frozen(release), now)
    if interface.version_of(now)[0] != int(release.split(".")[0]):
        pytest.skip("another major version: its modules are refused")
    assert interface.broken(frozen(release), now) == []


def test_what_is_new_has_a_version_of_its_own(folder):
    assert RELEASES, "tests/abi/freeze has never been run"
    assert interface.unannounced(frozen(RELEASES[-1]), today(folder)) == []


@pytest.mark.parametrize("release", RELEASES)
def test_the_kept_list_belongs_to_the_kept_header(folder, release):
    now = today(folder, os.path.join(ABI, release, "cserver/cserver.h"))
    same_machine(frozen(release), now)
    assert frozen(release) == now


# ---- Does the guard see it? -----------------------------------------------------------------

CHANGES = [
    ("an entry inserted into the table", r"(    int \(\*publish\)\()", r"    int (*inserted)(void);\n\1",
     "cs_api.publish was at"),
    ("an entry taken out", r"    int \(\*body_resume\)\(cs_req \*r\);\n", "", "cs_api.body_resume (member) is gone"),
    ("two entries exchanged", r"(    void \(\*zone_unlock\)[^\n]*\n)(.*?)(    int \(\*metric_each\)[^\n]*\n)", r"\3\2\1",
     "cs_api.zone_unlock was at"),
    ("another parameter", r"\(\*set_header\)\(cs_req \*r, const char \*name, cs_str value\)",
     "(*set_header)(cs_req *r, cs_str name, cs_str value)", "cs_api.set_header was int"),
    ("another result", r"int64_t \(\*now_ms\)", "uint64_t (*now_ms)", "cs_api.now_ms was int64_t"),
    ("another value of an enum", r"CS_NOMEM = -3", "CS_NOMEM = -9", "CS_NOMEM (enum) was -3 and is -9 now"),
    ("a value put between others", r"    CS_ESCAPE_QUERY,", "    CS_ESCAPE_FORM,\n    CS_ESCAPE_QUERY,",
     "CS_ESCAPE_QUERY (enum) was 1 and is 2 now"),
    ("another type of a member", r"uint16_t http;", "int16_t http; ", "cs_req_info.http was uint16_t"),
    ("a member between others", r"    int from_slot;", "    int priority;\n    int from_slot;", "cs_msg.from_slot was at"),
    ("a larger member", r"    uint32_t hops;", "    uint64_t hops;", "cs_msg."),
    ("a hook between others", r"    int \(\*handler\)\(cs_req \*r\);",
     "    int (*rewrite)(cs_req *r);\n    int (*handler)(cs_req *r);", "cs_module.handler was at"),
    ("a longer element of a table", r"(uint32_t max_len;[^}]*?uint32_t flags;)", r"\1\n    const char *help;",
     "cs_topic_def had 32 bytes"),
    ("another magic", r"0x43534d31u", "0x43534d32u", "CS_MAGIC (macro) was"),
    ("another type behind a name", r"typedef uint64_t cs_token;", "typedef uint32_t cs_token;", "cs_token (type) was uint64_t"),
    ("an older minor", r"#define CS_ABI_MINOR 1", "#define CS_ABI_MINOR 0", "CS_ABI_MINOR (macro) was 1 and is 0"),
]


@pytest.fixture(scope="module")
def header():
    """Today's, as if it were the minor 1 that has been released."""
    with open(HEADER, encoding="utf-8") as f:
        text = f.read()
    return re.sub(r"#define CS_ABI_MINOR \d+", "#define CS_ABI_MINOR 1", text)


@pytest.fixture(scope="module")
def before(header, tmp_path_factory):
    return described(str(tmp_path_factory.mktemp("before")), header)


def described(folder, text):
    path = os.path.join(folder, "changed.h")
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return today(folder, path)


def changed(text, pattern, replacement):
    new, n = re.subn(pattern, replacement, text, count=1, flags=re.S)
    assert n == 1, pattern
    return new


@pytest.mark.parametrize("pattern, replacement, sentence", [c[1:] for c in CHANGES], ids=[c[0] for c in CHANGES])
def test_the_guard_sees(folder, header, before, pattern, replacement, sentence):
    found = interface.broken(before, described(folder, changed(header, pattern, replacement)))
    assert any(s.startswith(sentence) for s in found), found
    assert len(found) < 10, found  # one change, not a line for each entry behind it


APPENDED = [
    ("a call", r"(    /\* Calls of later minor versions)", r"    int (*later)(cs_req *r, const char *what);\n\1"),
    ("a hook", r"(    int \(\*explain\)\(cs_req \*r, int hook\);)", r"\1\n    int (*rewrite)(cs_req *r);"),
    ("a value", r"    CS_LOOP = -8", "    CS_REFUSED = -9,\n    CS_LOOP = -8"),
    ("a member", r"(    cs_str peer;)", r"\1\n    int64_t arrived;"),
]


@pytest.mark.parametrize("pattern, replacement", [a[1:] for a in APPENDED], ids=[a[0] for a in APPENDED])
def test_what_is_appended_needs_a_new_minor_and_nothing_else(folder, header, before, pattern, replacement):
    text = changed(header, pattern, replacement)
    now = described(folder, text)
    assert interface.broken(before, now) == []
    assert "Raise CS_ABI_MINOR" in interface.unannounced(before, now)[0]
    text = changed(text, r"#define CS_ABI_MINOR 1", "#define CS_ABI_MINOR 2")
    now = described(folder, text)
    assert interface.broken(before, now) == [] and interface.unannounced(before, now) == []


def test_a_member_in_what_was_padding_is_refused(folder, header):
    """A struct that ends with 4 bytes has 4 more behind them, which old modules count as theirs."""
    text = changed(header, r"(    cs_str peer;)", r"\1\n    uint32_t more;")
    wider = changed(text, r"(    uint32_t more;)", r"\1\n    uint32_t still_more;")
    found = interface.broken(described(folder, text), described(folder, wider))
    assert found and "cs_req_info.still_more lies at" in found[0], found


def test_another_major_is_refused_with_a_sentence(serve, folder, header):
    """A module of a next major, and one that needs a later minor, against this server."""
    for change, words in ((("#define CS_ABI_MAJOR 1", "#define CS_ABI_MAJOR 2"), "ABI 2"),
                          (("#define CS_ABI_MINOR 1", "#define CS_ABI_MINOR 99"), "1.99")):
        include = os.path.join(folder, "include/cserver")
        os.makedirs(include, exist_ok=True)
        with open(os.path.join(include, "cserver.h"), "w", encoding="utf-8") as f:
            f.write(changed(header, *change))
        so = os.path.join(folder, "hello.so")
        subprocess.run([*make_value("CC").split(), "-shared", "-fPIC", "-I" + os.path.dirname(include), "-o", so,
                        os.path.join(SOURCE, "modules/hello/hello.c")], check=True)
        server = serve(f"[module:hello]\nfile = {so}\n", start=False)
        done = server.run("-c", server.conf, "-t")
        assert done.returncode == 78 and words in done.stderr, done.stderr
