"""make bench: what it reads, what it judges, and that its pieces fit together. Nothing here is measured in time."""
import copy
import importlib.machinery
import importlib.util
import os
import re
import subprocess
import sys
import types
import xml.etree.ElementTree

import pytest
from lib.server import BUILD, SOURCE

BENCH = os.path.join(SOURCE, "tests", "bench")
PAGE = os.path.join(SOURCE, "docs", "performance.md")
sys.path.insert(0, BENCH)
import bars  # noqa: E402
import callgrind  # noqa: E402
import instructions  # noqa: E402
import judge  # noqa: E402
import measure  # noqa: E402
import report  # noqa: E402
import rows  # noqa: E402
import tables  # noqa: E402

SERVERS = ["floor", "nginx", "h2o", "lighttpd", "cserver"]


def program():
    """tests/bench/run, as a module."""
    loader = importlib.machinery.SourceFileLoader("bench_run", os.path.join(BENCH, "run"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("bench_run", loader))
    loader.exec_module(module)
    return module


def figures(**changes):
    """What a run on a good machine would say: two rounds, cserver at half of the best peer."""
    cpu = {"floor": 9.0, "nginx": 30.0, "h2o": 20.0, "lighttpd": 25.0, "cserver": 6.0, "combined": 6.1, "json": 6.2}
    run = {"rate": 5e4, "busy": 0.5, "errors": {}, "others": 0.01, "kernel": 0.8}
    out = {"machine": "m", "servers": list(SERVERS), "versions": {s: s for s in SERVERS}, "load": "wrk", "missing": {},
           "rounds": 2, "seconds": 3, "quick": False, "wanted": [r.key for r in rows.ROWS], "skipped": {},
           "rows": {f"{r.key} {s}": [{**run, "cpu": n * cpu.get(s, 6.0)} for n in (1, 2)]
                    for r in rows.ROWS for s in [*SERVERS, *r.servers] if r.takes(s)},
           "idle": {"number": 10, "servers": {s: {"bytes": 300, "told": 310, "whole": 1 << 20} for s in SERVERS}},
           "calls": {s: {"recvfrom": 1.0, "sendto": 1.0, "epoll_wait": 0.03} for s in SERVERS},
           "instructions": {"why": None, "beside": {"nginx": 5000.0, "h2o": None}, "kinds": {k.key: {"title": k.title, "total": 1000.0, "budget": 1000,
                                                          "top": [["step", "cserver", 99.6]],
                                                          "parts": {"serve": 990.0, "libc": 9.0}} for k in instructions.KINDS}}}
    out.update(changes)
    return out


def targets():
    return sum(len(r.targets) for r in rows.ROWS)


def lines_with(found, word):
    return [line for line in found if word in line]


# ---- Rounds that are added ----------------------------------------------------------------------

def test_rounds_are_added():
    more = figures(wanted=["c1000"], idle=None, calls=None, instructions=None)
    more["rows"] = {key: 3 * found for key, found in more["rows"].items() if key.startswith("c1000 ")}
    f = program().joined(figures(), more)
    assert {len(found) for key, found in f["rows"].items() if key.startswith("c1000 ")} == {8}
    assert {len(found) for key, found in f["rows"].items() if not key.startswith("c1000 ")} == {2}
    assert program().is_whole(f) and judge.verdict(f)[1]
    assert "Medians of rounds of 3 s: 2, 8 of \"1 KiB, keep-alive, 1000 connections\"." in tables.text(f)


@pytest.mark.parametrize("key, other", [("machine", "n"), ("versions", {}), ("seconds", 1), ("quick", True)])
def test_rounds_of_something_else_are_not_added(key, other):
    with pytest.raises(RuntimeError, match=key):
        program().joined(figures(), figures(**{key: other}))


# ---- What is judged -----------------------------------------------------------------------------

def test_a_good_run_passes():
    found, good, failed = judge.verdict(figures())
    assert good and not failed and len(lines_with(found, "| pass |")) == targets() + 2 + len(instructions.KINDS), found


def test_every_row_that_is_asked_for_has_its_target():
    asked = {(r.key, t.of): t.most for r in rows.ROWS for t in r.targets if t.who == "cserver"}
    for key, of, most in (("keepalive", rows.BEST, 0.90), ("keepalive", "floor", 1.15), ("close", rows.BEST, 1.00),
                          ("pipeline", rows.BEST, 0.35), ("100k", rows.BEST, 1.00), ("1m", rows.BEST, 1.00),
                          ("c1000", rows.BEST, 0.90), ("crowd", rows.BEST, 0.90), ("hello", "nginx", 0.90),
                          ("hello", "floor", 1.25)):
        assert asked[key, of] == most
    assert next(r for r in rows.ROWS if r.key == "crowd").idle == 8000


def slower(f, key, share):
    for run in f["rows"][f"{key} cserver"]:
        run["cpu"] *= share


@pytest.mark.parametrize("row, target", [(r, t) for r in rows.ROWS for t in r.targets if t.who == "cserver"],
                         ids=lambda x: x.key if isinstance(x, rows.Row) else x.of)
def test_a_row_over_its_target_fails(row, target):
    f = figures()
    base = {"floor": 9.0, "nginx": 30.0, rows.BEST: 20.0}[target.of]
    slower(f, row.key, base * target.most / 6.0 * 1.01)
    found, good, failed = judge.verdict(f)
    assert not good and failed >= 1
    line, = [x for x in lines_with(found, row.title) if f"/ {target.of} " in x]
    assert line.endswith("| **FAIL** |"), line
    slower(f, row.key, 0.99 / 1.01)
    assert [x for x in judge.verdict(f)[0] if x.startswith(line.split(" | ")[0] + " |")][0].endswith("| pass |")


@pytest.mark.parametrize("change, word", [
    (lambda f: f["idle"]["servers"]["cserver"].update(told=401), "idle keep-alive"),
    (lambda f: f["calls"]["cserver"].update(epoll_ctl=0.5), "system calls"),
    (lambda f: f["instructions"]["kinds"]["hello"].update(total=1000.6), "of a module")])
def test_what_counts_fails_when_it_is_too_much(change, word):
    f = figures()
    change(f)
    found, good, failed = judge.verdict(f)
    line, = lines_with(found, "FAIL")
    assert not good and failed == 1 and word in line


def test_shares_are_those_of_the_same_round():
    """A machine that is half as fast in one round changes none of them."""
    row = rows.ROWS[0]
    assert judge.pairs(figures(), row, row.targets[0]) == [0.3, 0.3]
    assert judge.best_peer(figures(), row) == "h2o"


def without_peer(f):
    f["rows"].pop("keepalive lighttpd")
    return "without lighttpd"


def with_errors(f):
    f["rows"]["keepalive h2o"][0]["errors"] = {"read": 1}
    return "errors of h2o"


def on_a_busy_machine(f):
    for s in SERVERS:
        for run in f["rows"][f"keepalive {s}"]:
            run["others"] = 0.4
    return "other programs took 0.40 CPUs"


def without_open_files(f):
    for s in SERVERS:
        f["rows"].pop(f"keepalive {s}")
    f["skipped"]["keepalive"] = "the limit"
    return "the limit"


@pytest.mark.parametrize("spoil", [without_peer, with_errors, on_a_busy_machine, without_open_files])
def test_what_says_nothing_is_not_judged(spoil):
    f = figures()
    why = spoil(f)
    found, good, failed = judge.verdict(f)
    line = lines_with(found, "64 connections: CPU time / best peer")[0]
    assert not good and not failed and f"**not judged**: {why}" in line, found
    assert why in tables.text(f)


def test_a_quick_run_judges_only_what_is_counted():
    f = figures(quick=True)
    found, good, failed = judge.verdict(f)
    assert not good and not failed and len(lines_with(found, "a quick run")) == targets()
    bench = program()
    assert bench.status(f) == 0 and bench.status({**f, "quick": False, "skipped": {"1m": "x"}}) == 1


def test_instructions_without_valgrind_or_of_another_build_are_not_judged():
    for kinds, why in ((instructions.unknown(), "valgrind is not installed"),
                       (figures()["instructions"]["kinds"], "the budget is for -O2")):
        f = figures(instructions={"why": why, "beside": {}, "kinds": kinds})
        found, good, failed = judge.verdict(f)
        assert not good and not failed and len(lines_with(found, why)) == len(instructions.KINDS)
        assert "### Instructions" in tables.text(f)


def test_the_exit_code_tells():
    bench = program()
    assert bench.status(figures()) == 0
    slow, wrong, lost = figures(), figures(), figures(versions={})
    slower(slow, "1m", 10)
    with_errors(wrong)
    assert [bench.status(f) for f in (slow, wrong, lost)] == [1, 1, 1]


@pytest.mark.parametrize("quick, others, runs", [(False, [0.1], 1), (False, [0.9, 0.1], 2), (False, [0.9, 0.8, 0.7], 3),
                                                 (False, [None], 1), (True, [0.9], 1)])
def test_a_run_on_a_busy_machine_is_repeated(quick, others, runs):
    bench = object.__new__(program().Bench)
    bench.args = types.SimpleNamespace(quick=quick)
    done = []
    bench.one_run = lambda row, server: done.append({"others": others[len(done)]}) or done[-1]
    assert bench.quiet_run(rows.ROWS[0], types.SimpleNamespace(name="x")) is done[-1] and len(done) == runs


# ---- What is read -------------------------------------------------------------------------------

CALLGRIND = """\
version: 1
cmd:  ./cserver -c /tmp/c.ini
positions: line
events: Ir
summary: 46

ob=(1) /usr/lib/libc.so.6
fl=(1) string.c
fn=(1) memcpy
10 3
+2 4
cob=(2) /opt/cserver
cfi=(2) /x/src/event/loop.c
cfn=(2) turn.constprop.0
calls=7 20
-1 30

ob=(2)
fl=(2)
fn=(2)
* 9
fi=(3) str.h
5 2
cfn=(2)
calls=1 5
* 100
fn=(3) walk'2
0x10 6
fn=(4) walk
17 22
totals: 46
"""


def test_callgrind_counts_what_a_function_takes_itself():
    c = callgrind.read(CALLGRIND)
    assert c.total == 46
    assert c.functions == {("memcpy", "libc.so.6"): 7, ("turn", "cserver"): 11, ("walk", "cserver"): 28}
    assert c.files == {("string.c", "libc.so.6"): 7, ("/x/src/event/loop.c", "cserver"): 39}
    assert instructions.by_part(c) == {"event": 39, "libc": 7}
    assert c.biggest(2) == [("walk", "cserver", 28), ("turn", "cserver", 11)]


@pytest.mark.parametrize("file, where, part", [
    ("src/http/head.c", "cserver", "http"), ("/b/src/base/str.c", "cserver", "base"), ("./string/memset.S", "libc.so.6", "libc"), ("???", "???", "modules"), ("src/main.c", "cserver", "others")])
def test_a_function_is_part_of_its_folder(file, where, part):
    assert instructions.part_of(file, where) == part


def test_callgrind_of_fewer_requests_is_taken_off():
    few = callgrind.Counts(20, {("memcpy", "libc.so.6"): 7, ("start", "cserver"): 13})
    rest = callgrind.read(CALLGRIND) - few
    assert (rest / 2).total == 13 and (rest / 2).functions["turn", "cserver"] == 5.5
    assert (rest + few).total == 46 and (rest + few).functions["memcpy", "libc.so.6"] == 7
    assert rest.total == 26 and rest.functions["memcpy", "libc.so.6"] == 0 and rest.functions["turn", "cserver"] == 11


@pytest.mark.parametrize("old, new", [("totals: 46", "totals: 47"), ("totals: 46", ""), ("events: Ir", "events: Ir Dr"),
                                      ("events: Ir", ""), ("positions: line", "positions: instr line")])
def test_callgrind_that_is_not_understood_is_no_count(old, new):
    with pytest.raises(RuntimeError):
        callgrind.read(CALLGRIND.replace(old, new))


@pytest.mark.parametrize("machine, compiler, flags, why", [
    ("x86_64", "gcc", "cc | -O2 -g |", None), ("x86_64", "gcc", "cc | -O0 -O2 |", None),
    ("x86_64", "gcc", "-O2 -fsanitize=address", "sanitizers"), ("x86_64", "gcc", "-O2 -O0", "-O2"),
    ("x86_64", "gcc", "-g", "-O2"), ("aarch64", "gcc", "-O2", "aarch64"), ("x86_64", "clang", "-O2", "this is clang")])
def test_the_budget_is_for_one_kind_of_build(machine, compiler, flags, why):
    wanted = {"machine": "x86_64", "compiler": "gcc", "optimization": "-O2"}
    said = instructions.stranger(wanted, flags, compiler, machine)
    assert said is None if why is None else why in said


def test_a_program_says_its_compiler():
    assert instructions.compiler(os.path.join(BUILD, "cserver")) in ("gcc", "clang")


def test_every_kind_of_request_has_a_budget(tmp_path):
    most, build = instructions.budget()
    assert set(most) == {k.key for k in instructions.KINDS} and set(build) == {"machine", "compiler", "optimization"}
    other = tmp_path / "budget.ini"
    other.write_text("[build]\n[instructions]\nwrong = 1\n")
    with pytest.raises(RuntimeError, match="no kind of request wrong"):
        instructions.budget(other)


def test_requests_at_once_are_counted_each():
    pipeline = next(k for k in instructions.KINDS if k.at_once > 1)
    assert pipeline.request().count(b"GET /1k.txt HTTP/1.1\r\n") == 16
    assert instructions.rounded(100, pipeline) == 96


WRK = """\
Running 3s test @ http://127.0.0.1:1/1k.txt
  1 threads and 64 connections
  221505 requests in 3.10s, 270.11MB read
{more}Requests/sec:  71455.01
"""


@pytest.mark.parametrize("more, errors", [
    ("", {}), ("  Socket errors: connect 0, read 3, write 0, timeout 12\n", {"read": 3, "timeout": 12}),
    ("  Non-2xx or 3xx responses: 7\n", {"non-2xx": 7})])
def test_what_wrk_says(more, errors):
    assert measure.parse_wrk(WRK.format(more=more)) == (221505, 3.10, errors)


def test_wrk_that_says_nothing_is_an_error():
    with pytest.raises(RuntimeError):
        measure.parse_wrk("unable to connect to 127.0.0.1:1\n")


STRACE = """\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 51.37    0.028110           5      5120           sendto
 48.16    0.026353           5      5120         3 recvfrom
  0.47    0.000257           1       160           epoll_wait
------ ----------- ----------- --------- --------- ----------------
100.00    0.054720           5     10400         3 total
"""


def test_what_strace_says():
    assert measure.parse_strace(STRACE, 5120) == {"sendto": 1.0, "recvfrom": 1.0, "epoll_wait": 160 / 5120}
    assert measure.parse_strace("", 5120) is None


# ---- What is written ----------------------------------------------------------------------------

def page():
    with open(PAGE, encoding="utf-8") as f:
        return f.read()


def test_the_page_has_a_place_for_everything():
    text = page()
    for name in [*tables.parts(figures()), "bench-targets"]:
        text = report.between(text, name, "x")
    for name in re.findall(r"\]\((performance-\w+\.svg)\)", page()):
        assert os.path.exists(os.path.join(SOURCE, "docs", name)), name


def test_only_what_was_measured_is_written(tmp_path):
    path = tmp_path / "page.md"
    path.write_text(page())
    tables.write(str(path), figures(wanted=[], rows={}, idle=None, calls=None), False)
    before, after = (re.split(r"<!-- bench-instructions: \w+ -->", t) for t in (page(), path.read_text()))
    assert (before[0], before[2]) == (after[0], after[2])
    assert "| request | serve |\n" in after[1] and "| 1 KiB file | 990 |" in after[1]
    assert "as others answer it: nginx 5,000, h2o –." in after[1]
    assert "| 1 KiB file | 1,000 | 1,000 |" in after[1] and "| `step` | cserver | 100 | 10.0 % |" in after[1]


def test_a_whole_run_is_written_with_its_verdict(tmp_path):
    path = tmp_path / "page.md"
    path.write_text(page())
    bench = program()
    assert bench.is_whole(figures()) and not bench.is_whole(figures(idle=None))
    tables.write(str(path), figures(), True)
    text = path.read_text()
    for row in rows.ROWS:
        assert f"### {row.title}\n" in text
    assert text.count("| pass |") == targets() + 2 + len(instructions.KINDS)
    assert all(f"({name}.svg)" in text for name, _ in bars.of_rows(figures()))


@pytest.mark.parametrize("change, written", [({}, True), ({"quick": True}, False), ({"wanted": ["1m"]}, False)])
def test_what_was_timed_is_written_only_as_a_whole(tmp_path, monkeypatch, change, written):
    bench = program()
    path = tmp_path / "performance.md"
    path.write_text(page())
    monkeypatch.setattr(bench, "DOCS", str(tmp_path))
    monkeypatch.setattr(bench, "DOCUMENT", str(path))
    bench.write(figures(**change))
    assert ("\nMachine: m.\n" in path.read_text()) == written
    assert (tmp_path / "performance-large.svg").exists() == written and (tmp_path / "performance-idle.svg").exists()


def test_a_row_of_cserver_alone_has_its_own_base():
    row = rows.Row("twice", "with more", "", servers=("cserver", "more"), targets=(rows.Target("cserver", 1.05, "more"),))
    f = figures()
    for server, cpu in (("cserver", 10.0), ("more", 11.0)):
        f["rows"][f"twice {server}"] = [{**f["rows"]["1m nginx"][0], "cpu": cpu}]
    found = tables.details(f, row)
    assert found[2].split(" | ")[5:] == ["/ cserver", "errors |"] and "| more | 50,000 | 11.00 | 80 % | 50 % | 1.10 | 0 |" in found
    assert not tables.compares(row) and judge.pairs(f, row, row.targets[0]) == [1.1]


def drawn(f):
    return {name: xml.etree.ElementTree.fromstring(text) for name, text in bars.pictures(f).items()}


def test_plots_have_a_bar_for_each_server_and_the_target():
    pictures = drawn(figures())
    assert set(pictures) == {p.name for p in bars.PICTURES} | {bars.IDLE}
    shown = [key for p in bars.PICTURES for key in p.rows]
    assert sorted(shown) == sorted({r.key for r in rows.ROWS if any(t.who == "cserver" for t in r.targets)})
    for p in bars.PICTURES:
        tree = pictures[p.name]
        kinds = [box.get("class") for box in tree.iter("{http://www.w3.org/2000/svg}rect")]
        assert kinds.count("b") == len(p.rows) and kinds.count("floor") == len(p.rows)
        said = [t.text for t in tree.iter("{http://www.w3.org/2000/svg}text")]
        assert said.count("target") == len(p.rows)


def test_plots_stay_within_their_frame():
    """Whatever the figures are, also where a target is far beyond all bars."""
    f = copy.deepcopy(figures())
    slower(f, "1m", 100)
    slower(f, "close", 0.001)
    for name, tree in drawn(f).items():
        width, height = map(float, tree.get("viewBox").split()[2:])
        for box in tree.iter("{http://www.w3.org/2000/svg}rect"):
            if box.get("x"):
                assert 0 <= float(box.get("x")) and float(box.get("x")) + float(box.get("width")) < width - 70, name
        for t in tree.iter("{http://www.w3.org/2000/svg}text"):
            assert 0 <= float(t.get("x")) < width and 0 < float(t.get("y")) <= height, (name, t.text)


def test_plots_without_a_server_are_still_some():
    f = figures()
    for key in [k for k in f["rows"] if k.endswith(" h2o")]:
        f["rows"].pop(key)
    f["calls"]["h2o"] = f["idle"]["servers"]["h2o"] = None
    assert "".join(bars.pictures(f).values()).count("not measured") == 9


# ---- The whole ----------------------------------------------------------------------------------

def test_idle_connections_and_calls_are_measured(folder):
    argv = [sys.executable, os.path.join(BENCH, "run"), "--quick", "--only", "idle", "--servers", "floor,cserver"]
    env = {**os.environ, "CSERVER_BUILD": BUILD, "TMPDIR": str(folder)}
    done = subprocess.run(argv, cwd=folder, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120,
                          check=False)
    found = dict(re.findall(r"^\| (floor|cserver) \| ([\d,]+) \| -?[\d,]+ \|", done.stdout, re.M))
    assert done.returncode in (0, 1) and int(found["floor"].replace(",", "")) < 200, done.stdout + done.stderr
    assert int(found["cserver"].replace(",", "")) > 0


def test_a_peer_that_is_missing_is_said_and_the_others_go_on(folder):
    """No program is found; strace, which the row needs, neither."""
    argv = [sys.executable, os.path.join(BENCH, "run"), "--quick", "--only", "calls", "--servers", "h2o,cserver"]
    env = {**os.environ, "CSERVER_BUILD": BUILD, "TMPDIR": str(folder), "PATH": str(folder)}
    done = subprocess.run(argv, cwd=folder, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120,
                          check=False)
    assert done.returncode == 0 and "h2o is not installed; to install it: ./configure" in done.stderr, done.stderr
    assert "| h2o | missing |" in done.stdout and "| cserver | – | not counted" in done.stdout, done.stdout
    assert "**not judged**: not counted" in done.stdout
