"""What /metrics answers, read by the letter: a parser that takes nothing the two formats do not allow.

    m = Exposition(server.get("/metrics"))
    m.value("cserver_worker_up", worker="1")
"""
import re

PLAIN = "text/plain; version=0.0.4; charset=utf-8"
OPEN = "application/openmetrics-text; version=1.0.0; charset=utf-8"

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r"[a-zA-Z_][a-zA-Z0-9_]*"
PAIR = rf'{LABEL}="(?:[^"\\\n]|\\["\\n])*"'
NUMBER = r"[+-]?(?:[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?|Inf)|NaN"
SAMPLE = re.compile(rf"({NAME})(?:\{{({PAIR}(?:,{PAIR})*)\}})? ({NUMBER})")
META = re.compile(rf"# (HELP|TYPE|UNIT) ({NAME}) (.*)")
SUFFIXES = {"histogram": ("_bucket", "_sum", "_count")}


class Family:
    def __init__(self, name):
        self.name, self.kind, self.help, self.unit = name, None, None, None
        self.samples = {}  # (name, labels) -> value


def unescaped(text):
    return re.sub(r"\\(.)", lambda m: {"n": "\n"}.get(m[1], m[1]), text)


def labels_of(text):
    pairs = [(n, unescaped(v)) for n, v in re.findall(rf'({LABEL})="((?:[^"\\]|\\.)*)"', text or "")]
    assert len({n for n, _ in pairs}) == len(pairs), f"a label twice: {text}"
    return tuple(pairs)


class Exposition:
    """families by name; samples: (name, labels) -> value of all of them. An AssertionError tells what is wrong with a
    response."""

    def __init__(self, response):
        text = response.body.decode("utf-8")
        self.open = response["content-type"] == OPEN
        assert self.open or response["content-type"] == PLAIN
        assert text.endswith("\n") and "\r" not in text
        lines = text.split("\n")[:-1]
        if self.open:
            assert lines.pop() == "# EOF"
        self.families, self.current = {}, None
        for line in lines:
            assert line, "an empty line"
            self.take(line)
        self.samples = {}
        for f in self.families.values():
            assert f.kind and f.samples, f"{f.name} is not complete"
            assert not self.samples.keys() & f.samples.keys()
            self.samples.update(f.samples)
            if f.kind == "histogram":
                self.check_histogram(f)
        self.check_names()

    def take(self, line):
        if line.startswith("#"):
            self.take_meta(line)
            return
        match = SAMPLE.fullmatch(line)
        assert match, f"no sample: {line}"
        name, labels, value = match.groups()
        f = self.current
        assert f and name in self.names(f), f"{name} stands outside of its family"
        key = (name, labels_of(labels))
        assert key not in f.samples, f"twice: {line}"
        f.samples[key] = float(value)

    def take_meta(self, line):
        match = META.fullmatch(line)
        assert match, f"no line of the format: {line}"
        what, name, text = match.groups()
        if not self.current or self.current.name != name:
            assert name not in self.families, f"{name} is in two places"
            self.current = self.families[name] = Family(name)
        f = self.current
        assert not f.samples, f"{what} {name} after its samples"
        if what == "HELP":
            assert f.help is None and re.fullmatch(r'([^\\"]|\\[\\n"])*' if self.open else r"([^\\]|\\[\\n])*", text)
            f.help = unescaped(text)
        elif what == "TYPE":
            assert f.kind is None and text in ("counter", "gauge", "histogram"), line
            f.kind = text
        else:
            assert self.open and f.unit is None and name.endswith("_" + text), line
            f.unit = text

    def names(self, f):
        if f.kind == "counter" and self.open:
            return (f.name + "_total",)
        return tuple(f.name + s for s in SUFFIXES.get(f.kind, ("",)))

    def check_names(self):
        """No family has samples that another one could have."""
        taken = {}
        for f in self.families.values():
            reserved = {f.name, *self.names(f)} | ({f.name + "_created"} if self.open and f.kind != "gauge" else set())
            for name in reserved:
                assert name not in taken, f"{name} belongs to {f.name} and to {taken[name]}"
                taken[name] = f.name

    @staticmethod
    def check_histogram(f):
        series = {}
        for (name, labels), value in f.samples.items():
            rest = tuple(p for p in labels if p[0] != "le")
            part = series.setdefault(rest, {"buckets": []})
            if name == f.name + "_bucket":
                part["buckets"].append((float(dict(labels)["le"]), value))
            else:
                part[name[len(f.name) + 1:]] = value
        for labels, part in series.items():
            bounds, counts = zip(*part["buckets"])
            assert list(bounds) == sorted(set(bounds)) and bounds[-1] == float("inf"), labels
            assert list(counts) == sorted(counts), labels
            assert counts[-1] == part["count"] and part["sum"] >= 0, labels

    def value(self, name, **labels):
        """The only sample of that name whose labels include these."""
        found = [v for (n, ls), v in self.samples.items() if n == name and labels.items() <= dict(ls).items()]
        assert len(found) == 1, f"{len(found)} samples of {name} {labels}"
        return found[0]

    def sum(self, name, **labels):
        return sum(v for (n, ls), v in self.samples.items() if n == name and labels.items() <= dict(ls).items())

    def grows(self):
        """What may only become more."""
        for f in self.families.values():
            if f.kind != "gauge":
                yield from f.samples.items()
