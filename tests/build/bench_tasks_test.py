"""make bench-tasks: it finds what it looks for in a real worker, says what is more than is asked, and has its places in the page."""
import os
import re
import subprocess
import sys

import pytest
from lib.server import BUILD, SOURCE

BENCH = os.path.join(SOURCE, "tests", "bench")
sys.path.insert(0, BENCH)
import task_memory  # noqa: E402
import task_report  # noqa: E402

LIMITS = task_report.Limits()
STATE = task_memory.State(memory=1 << 20, rss=4 << 20, page_tables=4096, mappings=200, stacks=64)


def run(folder, *words):
    return subprocess.run([sys.executable, os.path.join(BENCH, "tasks"), *words], cwd=folder, text=True, timeout=120,
                          env={**os.environ, "CSERVER_BUILD": BUILD, "TMPDIR": str(folder)}, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, check=False)


def cells(done, name):
    row = re.search(rf"^\| {re.escape(name)} \|(.*)\|$", done.stdout, re.M)
    assert row, done.stdout + done.stderr
    return [c.strip() for c in row[1].split("|")]


def test_nothing_stays_behind_and_stacks_are_counted(folder):
    """--most-growth: a sanitizer keeps what is freed; --most-stack: its frames are larger."""
    done = run(folder, "many", "waiting", "--tasks", "2000", "--waiting", "80", "--most-growth", "100000000", "--most-stack", "1e6")
    assert done.returncode == 0, done.stdout + done.stderr
    assert cells(done, "`cserver_task_stacks`")[:2] == ["64", "64"]
    before, after, _ = cells(done, "mappings (`/proc/PID/maps`)")
    assert int(before) > 128 and before == after
    assert int(cells(done, "of them have waited")[1]) == 64 * (2000 // 64 // 20) * 2 + 64 * (2000 // 64 % 20 // 10)
    assert float(cells(done, "stack that has been touched")[1].split()[0]) >= 4
    assert cells(done, "stacks that stay when all are over")[0] == "80"


def test_what_is_too_much_is_said(folder):
    done = run(folder, "waiting", "--waiting", "5", "--most-stack", "100")
    assert done.returncode == 1
    assert re.search(r"^NOT REACHED: a waiting task has touched [\d.]+ KiB of its stack; 0.1 KiB are allowed$", done.stdout, re.M)


def test_a_part_that_is_not_there(folder):
    done = run(folder, "waits")
    assert done.returncode == 2 and "there is no part waits; there are instructions, many, waiting" in done.stderr


@pytest.mark.parametrize("task, fault", [(5150.4, "takes 150 instructions more than a handler; 150 are allowed"), (5150, None)])
def test_instructions(task, fault):
    part = task_report.instructions(5000, task, 6000.6, LIMITS)
    assert "| more than the handler | +150 | at most 150 |" in part.table and "| +1,001 |" in part.table
    assert [fault in f for f in part.faults] == ([True] if fault else [])


@pytest.mark.parametrize("change, fault", [
    ({"memory": STATE.memory + LIMITS.growth}, None),
    ({"memory": STATE.memory + LIMITS.growth + 1}, "memory (PSS) has grown from 1,024.0 KiB"),
    ({"rss": STATE.rss + LIMITS.growth + 1}, "resident (RSS) has grown from 4,096.0 KiB"),
    ({"mappings": 201}, "mappings (`/proc/PID/maps`) has grown from 200 to 201"),
    ({"stacks": 65}, "`cserver_task_stacks` has grown from 64 to 65"),
    ({"stacks": 60, "memory": 0}, None),
])
def test_growth(change, fault):
    part = task_report.many({"tasks": 1000, "waits": 100, "before": STATE, "after": STATE._replace(**change)}, 64, LIMITS)
    assert [fault in f for f in part.faults] == ([True] if fault else [])


@pytest.mark.parametrize("each, fault", [(8192, None), (12288, "touched 12.0 KiB of its stack; 8.0 KiB are allowed")])
def test_stack_of_a_waiting_task(each, fault):
    found = {"tasks": 100, "stack_rss": each * 164, "before": STATE, "after": STATE,
             "during": STATE._replace(memory=STATE.memory + 100 * 20480, stacks=164, mappings=400)}
    part = task_report.waiting(found, LIMITS)
    assert [fault in f for f in part.faults] == ([True] if fault else [])
    assert "| all memory (PSS), with connection and request | 2.0 MiB | 20.0 KiB |  |" in part.table


SMAPS = """\
7f0000000000-7f0000040000 ---p 00000000 00:00 0
Rss:                   0 kB
7f0000040000-7f0000050000 rw-p 00000000 00:00 0
Size:                 64 kB
Rss:                   8 kB
VmFlags: rd wr mr mw me nr nh
7f0000050000-7f0000060000 rw-p 00000000 00:00 0
Rss:                  12 kB
7f0000060000-7f0000061000 ---p 00000000 00:00 0
Rss:                   0 kB
7f0000061000-7f0000071000 rw-p 00000000 00:00 0
Rss:                  64 kB
7f0000071000-7f00000b1000 ---p 00000000 00:00 0
Rss:                   0 kB
7f00000b2000-7f00000c2000 rw-p 00000000 00:00 0
Rss:                  64 kB
"""


def test_stacks_are_told_from_other_mappings():
    """Without a guard, with another guard, with a gap between."""
    found = task_memory.stacks_among(task_memory.mappings(SMAPS), 65536)
    assert [(m.begin, m.rss) for m in found] == [(0x7f0000040000, 8192)]


def test_each_table_has_its_place_in_the_page():
    with open(task_report.DOCUMENT, encoding="utf-8") as f:
        page = f.read()
    for name in task_report.HEADS:
        part = task_report.Part(name, "| new |", [])
        once = task_report.fill_in(page, part)
        assert once.count("| new |") == 1 and task_report.fill_in(once, part) == once
        begin, end = task_report.marks(name)
        was = page.partition(begin)[2].partition(end)[0]
        assert once.replace("| new |\n", was) == page


def test_a_page_without_a_place_is_refused():
    with pytest.raises(SystemExit):
        task_report.fill_in("nothing", task_report.Part("many", "", []))
