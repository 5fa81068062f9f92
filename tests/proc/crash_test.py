"""A module crashes: what the process says of itself, and what the master says of it."""
import json
import os
import re
import signal
import threading

import pytest
from lib import crash
from lib.server import OURSELVES, build_module, wait_for

HEX = r"0x[0-9a-f]+"


@pytest.fixture(scope="session")
def so(tmp_path_factory):
    return crash.build(str(tmp_path_factory.mktemp("crash")))


@pytest.fixture
def crashing(serve, so):
    """A server with the module, which is never put into quarantine."""
    def start(**server):
        server = {"quarantine": 0, **server}
        return serve(crash.SETTINGS.format(so=so), server=server, env=crash.QUIET)
    return start


def report(s, process, number=1):
    """The number-th report and death line, once they are there."""
    wait_for(lambda: len(crash.lines(s, r"master\[\d+\]: .*in module \"crash\"")) >= number)
    own = crash.lines(s, rf"error {process}\[\d+\]: SIG")[-1]
    return own, crash.lines(s, r"master\[\d+\]: .*in module \"crash\"")[-1]


# ---- In a handler --------------------------------------------------------------------------------

@pytest.mark.parametrize("case,name,place", [
    ("segv", "SIGSEGV", rf"at crash\.so\+{HEX} \(address 0x1000\)"),
    ("bus", "SIGBUS", rf"at crash\.so\+{HEX} \(address {HEX}\)"),
    ("fpe", "SIGFPE", rf"at (crash|libc)\.so[.\d]*\+{HEX}"),
    ("ill", "SIGILL", rf"at (crash|libc)\.so[.\d]*\+{HEX}"),
    ("abort", "SIGABRT", rf"at libc\.so\.6\+{HEX}"),
    ("trap", "SIGTRAP", rf"at (crash|libc)\.so[.\d]*\+{HEX}"),
    ("sys", "SIGSYS", rf"at libc\.so\.6\+{HEX}"),
    ("overflow", "SIGSEGV", rf"at crash\.so\+{HEX} \(address {HEX}\)"),
    ("nowhere", "SIGSEGV", rf"at 0x0, called from crash\.so\+{HEX} \(address 0x0\)"),
])
def test_in_a_handler(crashing, case, name, place):
    s = crashing()
    assert crash.hit(s, f"/crash/here?{case}") == b""
    own, master = report(s, r"worker \d")
    where = rf'in module "crash" 1\.7, hook handler, {place}'
    what = r"request_id=[0-9a-f]{16} route=crash path=/crash/here$"
    assert re.search(rf": {name} {where} {what}", own), own
    assert re.search(rf"error master\[\d+\]: worker \d \(pid \d+, generation 1\) was killed by {name}"
                     rf"( \(core dumped\))? {where}; 1 connection lost {what}", master), master
    trace = crash.lines(s, rf"backtrace of the {name}: ")
    assert len(trace) == 1 and "crash.so+0x" in trace[0], trace
    assert s.get("/hello").status == 200
    wait_for(lambda: len(s.workers()) == 2)


def test_the_backtrace_reaches_the_server(crashing):
    s = crashing()
    for number, case in enumerate(("segv", "nowhere"), 1):
        wait_for(lambda: len(s.workers()) == 2)
        crash.hit(s, f"/crash?{case}")
        report(s, r"worker \d", number)
        trace = crash.lines(s, "backtrace of")[-1].split(": ", 1)[1]
        assert re.search(rf"crash\.so\+{HEX} cserver\+{HEX}", trace), trace


def test_the_offset_leads_to_the_line(crashing, so):
    s = crashing()
    crash.hit(s, "/crash?segv")
    own, _ = report(s, r"worker \d")
    offset = re.search(rf"at crash\.so\+({HEX})", own)[1]
    with open(crash.CODE, encoding="utf-8") as f:
        line = next(i for i, text in enumerate(f, 1) if "the line of segv" in text)
    assert crash.line_of(so, offset).endswith(f"/crash.c:{line}")


def test_json(crashing):
    s = crashing(log_format="json")
    assert crash.hit(s, "/crash/here?segv") == b""
    wait_for(lambda: crash.lines(s, '"master".*SIGSEGV'))
    facts = [json.loads(line) for line in crash.lines(s, "SIGSEGV")]
    own = next(f for f in facts if f["message"].startswith("SIGSEGV in module"))
    assert (own["module"], own["version"], own["hook"]) == ("crash", "1.7", "handler")
    assert (own["route"], own["path"], own["level"]) == ("crash", "/crash/here", "error")
    assert re.fullmatch(rf"crash\.so\+{HEX}", own["at"]) and re.fullmatch("[0-9a-f]{16}", own["request_id"])
    trace = next(f for f in facts if "backtrace" in f)
    assert trace["backtrace"].split()[0] == own["at"] and trace["process"] == own["process"]
    master = next(f for f in facts if f["process"] == "master" and f.get("module"))
    assert master["message"].startswith(f"{own['process']} (pid {own['pid']}, generation 1) was killed by SIGSEGV")
    assert (master["module"], master["request_id"], master["at"]) == ("crash", own["request_id"], own["at"])


# ---- Elsewhere -----------------------------------------------------------------------------------

def test_in_a_timer(crashing):
    s = crashing()
    assert b" 200 " in crash.hit(s, "/crash/timer?segv")
    own, master = report(s, r"worker \d")
    assert 'in module "crash" 1.7, hook a timer, at crash.so+0x' in own
    assert "route=" not in own, "the request has nothing to do with it"
    assert "was killed by SIGSEGV" in master and "hook a timer" in master


@pytest.mark.parametrize("path,hook", [("req_timer", "a request's timer"), ("req_done", "done of cs_offload")])
def test_later_in_a_request(crashing, path, hook):
    """Another request has been there meanwhile: which one it is must be told."""
    s = crashing(workers=1)
    assert b" 200 " in crash.hit(s, "/crash/other")
    assert crash.hit(s, f"/crash/{path}?segv") == b""
    own, master = report(s, r"worker \d")
    for line in own, master:
        assert f"hook {hook}, at crash.so+0x" in line
        assert re.search(rf" request_id=[0-9a-f]{{16}} route=crash path=/crash/{path}$", line)


def test_a_path_that_is_too_long(crashing):
    """It ends where a character does."""
    s = crashing()
    crash.hit(s, "/crash/" + "%C3%A4" * 60 + "?segv")
    own, master = report(s, r"worker \d")
    for line in own, master:
        assert line.endswith(" path=/crash/" + "\N{LATIN SMALL LETTER A WITH DIAERESIS}" * 28), line


def test_in_on_message(crashing):
    s = crashing()
    assert b" 200 " in crash.hit(s, "/crash/workers?abort")
    own, master = report(s, r"worker \d", 2)
    for line in own, master:
        assert re.search(r'in module "crash" 1\.7, hook on_message.* topic=crash\.do seq=\d+ from="worker \d"', line)
    wait_for(lambda: len(s.workers()) == 2)
    assert s.get("/hello").status == 200


def test_in_the_primary(crashing):
    s = crashing()
    first = s.primary()
    assert b" 200 " in crash.hit(s, "/crash/primary?segv")
    own, master = report(s, "primary")
    assert 'in module "crash" 1.7, hook on_message, at crash.so+0x' in own and "topic=crash.do" in own
    assert f"the primary (pid {first}) was killed by SIGSEGV" in master
    wait_for(lambda: s.primary() and s.primary() != first)


@pytest.mark.parametrize("case,name", [("segv", "SIGSEGV"), ("abort", "SIGABRT"), ("overflow", "SIGSEGV")])
def test_on_a_thread(crashing, case, name):
    s = crashing()
    assert crash.hit(s, f"/crash/thread?{case}") == b""
    own, master = report(s, r"worker \d")
    for line in own, master:
        assert f'{name} in module "crash" 1.7, hook work on a thread, at ' in line
    assert len(crash.lines(s, "backtrace of")) == 1


def test_on_a_thread_of_a_busy_worker(crashing):
    """The loop goes on until the process is dead, in the code of another module: that one is not to blame."""
    s = crashing(workers=1)
    over = threading.Event()

    def load():
        while not over.is_set():
            try:
                with s.connect() as c:
                    while not over.is_set():
                        c.send(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n")
                        c.response()
            except (EOFError, OSError):
                pass
    threads = [threading.Thread(target=load) for _ in range(4)]
    for t in threads:
        t.start()
    try:
        for number in range(5):
            assert crash.hit(s, "/crash/thread?segv") == b""
            wait_for(lambda n=number: len(crash.lines(s, r"worker 1 \(pid .* was killed by SIGSEGV")) > n)
            wait_for(s.workers)
    finally:
        over.set()
        for t in threads:
            t.join()
    said = crash.lines(s, r"worker 1 \(pid .* was killed by SIGSEGV")
    assert all('in module "crash" 1.7, hook work on a thread, at crash.so+0x' in line for line in said), said
    told = {m["name"]: m["crashes"] for m in json.loads(s.ctl("status", "--json").stdout)["modules"]}
    assert told["crash"] == 5 and not any(n for name, n in told.items() if name != "crash"), told


@pytest.mark.parametrize("case,status", [("exit", 0), ("exit3", 3)])
def test_exit(crashing, status, case):
    s = crashing()
    assert crash.hit(s, f"/crash?{case}") == b""
    wait_for(lambda: crash.lines(s, "which called exit"))
    line = crash.lines(s, "which called exit")[0]
    assert re.search(rf'worker \d \(pid \d+, generation 1\) exited with status {status} in module "crash" 1\.7, '
                     r"hook handler, which called exit; 1 connection lost .*path=/crash", line), line
    wait_for(lambda: len(s.workers()) == 2)


def test_killed_from_outside_in_a_module(crashing):
    """Nobody can report that himself: the master knows it from the crumb, and blames nobody."""
    s = crashing()
    assert crash.hit(s, "/crash?kill") == b""
    wait_for(lambda: crash.lines(s, "was killed by SIGKILL"))
    line = crash.lines(s, "was killed by SIGKILL")[0]
    assert 'in module "crash" 1.7, hook handler; 1 connection lost: starting another' in line and "warn" in line
    assert json.loads(s.ctl("status", "--json").stdout)["modules"][0]["crashes"] == 0


def test_killed_in_a_start_hook(serve, so, tmp_path):
    """Where the next start has to wait, the hook is named all the same, though nobody knows whose fault it is."""
    mark = tmp_path / "die"
    s = serve(crash.SETTINGS.format(so=so).replace("[route:crash]", f"start = {mark}\n[route:crash]"), env=crash.QUIET,
              server={"workers": 1, **OURSELVES})
    mark.write_text("")
    s.signal(signal.SIGKILL, s.workers()[0])
    wait_for(lambda: crash.lines(s, "at its start; the next start is tried"))
    mark.unlink()
    said = s.log().split("at its start; the next start is tried")[0].splitlines()[-2]
    assert re.search(r'warn master\[\d+\]: worker 1 \(pid \d+, generation 1\) was killed by SIGKILL in module "crash" 1\.7, '
                     r"hook worker_start \(.*cserver\.ini:\d+\)$", said), said


def test_outside_of_modules(crashing):
    """A fault signal from outside is reported with its sender; no module is to blame."""
    s = crashing()
    gone = s.workers()[0]
    s.signal(signal.SIGSEGV, gone)
    wait_for(lambda: crash.lines(s, r"master\[\d+\]: worker 1 .*SIGSEGV"))
    own = crash.lines(s, rf"worker 1\[{gone}\]: SIGSEGV")[0]
    assert f"SIGSEGV, sent by process {os.getpid()}, in the server's own code, at " in own
    assert all(m["crashes"] == 0 for m in json.loads(s.ctl("status", "--json").stdout)["modules"])
    wait_for(lambda: len(s.workers()) == 2)


def test_the_core_is_of_the_same_signal(crashing):
    """The master sees the signal itself, not an exit of the handler."""
    s = crashing()
    crash.hit(s, "/crash?fpe")
    _, master = report(s, r"worker \d")
    assert "was killed by SIGFPE" in master


# ---- The probe -----------------------------------------------------------------------------------

def test_crash_while_it_is_loaded(serve, tmp_path):
    so = build_module(str(tmp_path), "early", """
        #include <cserver/cserver.h>
        #include <stdlib.h>
        __attribute__((constructor)) static void begin(void) { abort(); }
        static int handler(cs_req *r) { return cs_text(r, 200, "x"); }
        CS_MODULE(.name = "early", .version = "1.0", .help = "Crashes when it is loaded.", .handler = handler);
    """, "-g")
    s = serve(f"[module:early]\nfile = {so}\n", start=False, env=crash.QUIET)
    done = s.run("-c", s.conf, "-t")
    assert done.returncode == 78
    assert "SIGABRT while loading the module early, at " in done.stderr, done.stderr
    assert "early.so+0x" in done.stderr
    assert "loading the module early: the process that tried it was killed by SIGABRT" in done.stderr


@pytest.mark.skipif(not crash.is_sanitized(), reason="needs a build with AddressSanitizer")
def test_a_sanitizer_has_the_last_word(serve, so):
    s = serve(crash.SETTINGS.format(so=so), server={"quarantine": 0}, env={"ASAN_OPTIONS": "detect_leaks=0"},
              allow=("AddressSanitizer",))
    assert crash.hit(s, "/crash?segv") == b""
    own, master = report(s, r"worker \d")
    assert "SIGSEGV in module" in own
    assert "ERROR: AddressSanitizer: SEGV" in s.log()
    assert 'in module "crash" 1.7, hook handler' in master
