"""Reads what valgrind --tool=callgrind has counted.

The format in short: `fn=(3) name` says whose lines follow (the name only the first time), `ob=` in which object, `fl=` of
which file; `fi=` and `fe=` tell where lines come from that are inlined, which count for the function all the same. A line of costs is a position and a number. The one
after `calls=` is what the called function took with all that it called, and counts there."""

import os
import re

NAME = re.compile(r"(c?)(ob|fn|f[lie])=\((\d+)\)(?: (.*))?$")
COST = re.compile(r"(?:[+-]?\d+|0x[0-9a-f]+|\*) (\d+)$")


def less(many, few):
    return {key: n - few.get(key, 0) for key, n in many.items()}


def both(a, b):
    return {key: a.get(key, 0) + b.get(key, 0) for key in {**a, **b}}


class Counts:
    """`total` instructions, how many of them each (function, object) took itself, and how many the functions of each (file, object)."""

    def __init__(self, total=0, functions=None, files=None):
        self.total, self.functions, self.files = total, functions or {}, files or {}

    def __sub__(self, other):
        return Counts(self.total - other.total, less(self.functions, other.functions), less(self.files, other.files))

    def __add__(self, other):
        return Counts(self.total + other.total, both(self.functions, other.functions), both(self.files, other.files))

    def __truediv__(self, number):
        shared = ({key: n / number for key, n in each.items()} for each in (self.functions, self.files))
        return Counts(self.total / number, *shared)

    def biggest(self, number):
        """[(function, object, instructions)]"""
        order = sorted(self.functions.items(), key=lambda f: (-f[1], f[0]))
        return [(name, where, n) for (name, where), n in order[:number]]


class Reader:
    def __init__(self):
        self.names = {"ob": {}, "fn": {}, "f": {}}
        self.now = {"ob": "", "fn": "", "f": ""}
        self.counts = Counts()
        self.called = False

    def name(self, called, kind, number, name):
        """A name may be given where it is called, before it stands for itself."""
        inlined, kind = kind in ("fi", "fe"), kind if kind in self.now else "f"
        if name is not None:
            self.names[kind][number] = plain(name) if kind == "fn" else os.path.basename(name) if kind == "ob" else name
        if not called and not inlined:
            self.now[kind] = self.names[kind][number]

    def cost(self, number):
        if self.called:
            self.called = False
            return
        for counts, kind in ((self.counts.functions, "fn"), (self.counts.files, "f")):
            key = self.now[kind], self.now["ob"]
            counts[key] = counts.get(key, 0) + number
        self.counts.total += number

    def line(self, line):
        cost = COST.match(line)
        if cost:
            self.cost(int(cost[1]))
        elif line.startswith("calls="):
            self.called = True
        else:
            name = NAME.match(line)
            if name:
                self.name(*name.groups())


def plain(name):
    """Without the number of a recursion's level, and of a copy that the compiler has made."""
    return re.sub(r"('\d+|\.(constprop|isra|part|cold|lto_priv)(\.\d+)?)+$", "", name)


def read(text):
    """The counts of one process."""
    events = re.search(r"^events: (.*)$", text, re.M)
    if not events or events[1].split() != ["Ir"] or not re.search(r"^positions: line$", text, re.M):
        raise RuntimeError("this is no file of callgrind that counts instructions by lines")
    reader = Reader()
    for line in text.splitlines():
        reader.line(line)
    totals = re.search(r"^totals: (\d+)$", text, re.M)
    said = int(totals[1]) if totals else None
    if said != reader.counts.total:
        raise RuntimeError(f"callgrind counted {said} instructions, but its lines have {reader.counts.total}")
    return reader.counts
