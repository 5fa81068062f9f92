"""What make bench-tasks asks for, what it says, and the place in docs/performance.md where that goes."""

import os
from typing import NamedTuple

DOCUMENT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "performance.md")
HEADS = {
    "instructions": "| instructions of one request, in user space | | asked |\n|---|---:|---:|",
    "many": "| {tasks:,} tasks, one after the other on {clients} connections | before | after | asked |\n|---|---:|---:|---:|",
    "waiting": "| {tasks:,} tasks that wait at once | | for each | asked |\n|---|---:|---:|---:|",
}
KIB = 1024


class Limits(NamedTuple):
    instructions: float = 150  # that a task which does not wait may take more than a plain handler
    growth: int = 256 * KIB  # bytes that may be there more after `many`
    stack: float = 8 * KIB  # bytes of stack that a waiting task has touched


class Part(NamedTuple):
    """A table, and what it does not keep to, in sentences."""
    name: str
    table: str
    faults: list


def kib(n):
    return f"{n / KIB:,.1f} KiB"


def signed(n):
    return f"{n:+,.0f}"


def instructions(plain, task, once, limits):
    """Each: instructions of one request."""
    more = task - plain
    lines = [HEADS["instructions"], f"| hello, a handler | {plain:,.0f} | |",
             f"| hello, a task that does not wait | {task:,.0f} | |",
             f"| more than the handler | {signed(more)} | at most {limits.instructions:,.0f} |",
             f"| hello, a task that waits once (`cs_sleep(r, 0)`) | {once:,.0f} | |",
             f"| more than the handler | {signed(once - plain)} | |"]
    faults = [f"a task that does not wait takes {more:,.0f} instructions more than a handler; {limits.instructions:,.0f} are allowed"]
    return Part("instructions", "\n".join(lines), faults if more > limits.instructions else [])


def many(found, clients, limits):
    before, after = found["before"], found["after"]
    rows = (("memory (PSS)", before.memory, after.memory, limits.growth, kib),
            ("resident (RSS)", before.rss, after.rss, limits.growth, kib),
            ("mappings (`/proc/PID/maps`)", before.mappings, after.mappings, 0, "{:,}".format),
            ("`cserver_task_stacks`", before.stacks, after.stacks, 0, "{:,}".format))
    lines, faults = [HEADS["many"].format(tasks=found["tasks"], clients=clients)], []
    for name, was, now, most, form in rows:
        lines.append(f"| {name} | {form(was)} | {form(now)} | at most {form(most)} more |")
        if now - was > most:
            faults.append(f"after {found['tasks']:,} tasks: {name} has grown from {form(was)} to {form(now)}")
    lines.append(f"| of them have waited | | {found['waits']:,} | |")
    return Part("many", "\n".join(lines), faults)


def waiting(found, limits):
    number, before, during = found["tasks"], found["before"], found["during"]
    stack = found["stack_rss"] / during.stacks
    memory = during.memory - before.memory
    rows = (("stack that has been touched", found["stack_rss"], stack, f"at most {kib(limits.stack)}"),
            ("all memory (PSS), with connection and request", memory, memory / number, ""),
            ("page tables, of the kernel", during.page_tables - before.page_tables,
             (during.page_tables - before.page_tables) / number, ""))
    lines = [HEADS["waiting"].format(tasks=number)]
    lines += [f"| {name} | {all_ / KIB / KIB:,.1f} MiB | {kib(each)} | {asked} |" for name, all_, each, asked in rows]
    lines += [f"| mappings | {during.mappings - before.mappings:,} | {(during.mappings - before.mappings) / number:.1f} | |",
              f"| stacks that stay when all are over | {found['after'].stacks:,} | | |"]
    faults = [f"a waiting task has touched {kib(stack)} of its stack; {kib(limits.stack)} are allowed"]
    return Part("waiting", "\n".join(lines), faults if stack > limits.stack else [])


# ---- The page -----------------------------------------------------------------------------------

def marks(name):
    return f"<!-- bench-tasks {name}: begin -->\n", f"<!-- bench-tasks {name}: end -->\n"


def fill_in(text, part):
    """The page with that table in its place."""
    begin, end = marks(part.name)
    if text.count(begin) != 1 or text.count(end) != 1:
        raise SystemExit(f"docs/performance.md has no place for the table of {part.name}")
    head, _, rest = text.partition(begin)
    return head + begin + part.table + "\n" + end + rest.partition(end)[2]


def write(parts):
    with open(DOCUMENT, encoding="utf-8") as f:
        text = f.read()
    for part in parts:
        text = fill_in(text, part)
    with open(DOCUMENT, "w", encoding="utf-8") as f:
        f.write(text)
