"""The test module mail (tests/lib/modules/mail.c) from outside: telling a process what to do, reading what it has seen.

    mail = Mail(serve, folder, workers=3)              a server with the module, and its primary
    mail.do(1, "pub a all hello")                      worker 1 runs it in a request; the results as a list of texts
    mail.primary("pub a all hello")                    the primary runs it from a timer
    mail.got(2, "a")                                   messages of the topic that the process in slot 2 has had
"""
import glob
import os
import re
import shutil
import textwrap
import time

from .server import OURSELVES, SOURCE, build_module, wait_for

OK, AGAIN, ERROR, TOOBIG, CLOSED, TIMEOUT, LOOP = "0", "-1", "-2", "-4", "-5", "-7", "-8"
LINE = re.compile(r"(\w+) (\w+) ?(.*)")
NUMBERS = {"hops", "seq", "number", "lost", "retained", "call", "len", "incarnation", "slot", "signal", "result", "pid",
           "generation", "workers", "count", "agains"}


def source():
    with open(f"{SOURCE}/tests/lib/modules/mail.c", encoding="utf-8") as f:
        return f.read()


def build(folder, name="mail", flags=""):
    return build_module(folder, name, source(), flags)


class Event:
    """One line: `what` (start, msg, join ...), `module`, and its fields as attributes."""

    def __init__(self, line):
        self.line = line
        self.module, self.what, rest = LINE.fullmatch(line).groups()
        self.text = rest
        if self.what == "did":
            self.command, self.result = rest.rsplit(" = ", 1)
            return
        rest, mark, data = rest.partition("data=")
        if mark:
            self.data = data
        for field in rest.split():
            name, _, value = field.partition("=")
            setattr(self, "sender" if name == "from" else name, int(value) if name in NUMBERS else value)

    def __repr__(self):
        return self.line


def settings(modules, more="", **keys):
    """modules: name -> file. keys: settings of the module mail."""
    text = textwrap.dedent(more)
    for name, path in modules.items():
        lines = "".join(f"{k} = {v}\n" for k, v in keys.items()) if name == "mail" else ""
        text += f"\n[module:{name}]\nfile = {path}\n{lines}\n[route:{name}]\nmatch = = /{name}\nhandler = {name}\n"
    return text


class Mail:
    def __init__(self, serve, modules, workers=3, more="", server=None, keys=None, primary=True, env=None, **options):
        """serve: makes a Server and starts it (the fixture, or soak's)."""
        self.modules, self.more, self.keys = modules, more, keys or {}
        self.connections = {}
        self.folder = os.path.join(os.path.dirname(next(iter(modules.values()))), f"events-{time.monotonic_ns()}")
        os.makedirs(self.folder)
        self.name = next(iter(modules))
        self.server = serve(settings(modules, more, **self.keys), env={"CS_EVENTS": self.folder, **(env or {})},
                            server={"workers": workers, **OURSELVES, **(server or {})}, **options)
        if primary:
            self.wait_primary()

    def wait_primary(self):
        """Until the primary has run its start hook; its pid."""
        def there():
            pid = self.server.primary()
            starts = [e.pid for e in self.events(0) if e.what == "start"]
            return pid if pid and pid in starts else None
        return wait_for(there, 20, "there is no primary")

    def tail(self, lines=15):
        """The end of all files, for a test that has failed."""
        text = ""
        for path in sorted(glob.glob(f"{self.folder}/*")):
            with open(path, encoding="utf-8") as f:
                last = f.read().splitlines()
            text += f"--- {os.path.basename(path)}, {len(last)} events\n" + "\n".join(last[-lines:]) + "\n"
        return text

    def end(self):
        for c in self.connections.values():
            c.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    # -- reading

    def incarnations(self, slot):
        """Those that have left a file, in order."""
        return sorted(int(p.rsplit(".", 1)[1]) for p in glob.glob(f"{self.folder}/{slot}.*"))

    def slots(self):
        return sorted({int(os.path.basename(p).split(".")[0]) for p in glob.glob(f"{self.folder}/*.*")})

    def events(self, slot, incarnation=None, module=None):
        """Of this incarnation of the slot; by default the last one."""
        if incarnation is None:
            all_of_it = self.incarnations(slot)
            if not all_of_it:
                return []
            incarnation = all_of_it[-1]
        try:
            with open(f"{self.folder}/{slot}.{incarnation}", encoding="utf-8") as f:
                lines = f.read().split("\n")[:-1]
        except FileNotFoundError:
            return []
        return [e for e in map(Event, lines) if module in (None, e.module)]

    def got(self, slot, topic=None, incarnation=None, module="mail"):
        return [e for e in self.events(slot, incarnation, module)
                if e.what == "msg" and topic in (None, e.topic)]

    def data(self, slot, topic=None, **more):
        return [e.data for e in self.got(slot, topic, **more)]

    def wait_got(self, slot, topic, n, seconds=60, **more):
        """Until the process has had n messages of the topic; all of them."""
        def enough():
            found = self.got(slot, topic, **more)
            return found if len(found) >= n else None
        return wait_for(enough, seconds, f"{slot} has not had {n} messages of {topic}")

    def wait_event(self, at, seconds=60, **fields):
        """Until the last process of the slot `at` has had an event with these fields; the event."""
        def look():
            for e in self.events(at):
                if all(getattr(e, k, None) == v for k, v in fields.items()):
                    return e
            return None
        return wait_for(look, seconds, f"slot {at}: no event {fields}")

    def done(self, slot, name, seconds=60):
        """The end of the call or publish_applied of that id."""
        return self.wait_event(slot, seconds, what="done", id=name)

    def pid(self, slot):
        return next(e.pid for e in self.events(slot) if e.what == "start")

    def incarnation(self, slot):
        return self.incarnations(slot)[-1]

    # -- telling

    def ask(self, c, lines):
        body = "\n".join(lines).encode()
        c.send(b"POST /%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (self.name.encode(), len(body)) + body)
        return c.response()

    def connect(self, slot):
        """A connection that this worker has taken; others that come up are kept for later."""
        spare = []

        def found():
            if slot not in self.connections:
                spare.append(self.server.connect())
                at = int(self.ask(spare[-1], ["who"]).text.split(".")[0])
                if at not in self.connections:
                    self.connections[at] = spare.pop()
            return slot in self.connections

        wait_for(found, 20, f"worker {slot} takes no connection")
        for c in spare:
            c.close()
        return self.connections[slot]

    def forget(self, *slots):
        """The worker has died: its connection too."""
        for slot in slots or list(self.connections):
            if slot in self.connections:
                self.connections.pop(slot).close()

    def do(self, slot, *lines):
        """Runs the commands in one request of the worker; their results."""
        r = self.ask(self.connect(slot), lines)
        assert r.status == 200, r
        return r.text.split(" ") if len(lines) > 1 else [r.text]

    def one(self, slot, line):
        return self.do(slot, line)[0]

    def tell(self, slot, *lines):
        """Sends the commands without waiting for an answer."""
        body = "\n".join(lines).encode()
        self.connect(slot).send(b"POST /%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
                                % (self.name.encode(), len(body)) + body)

    def primary(self, line, via=1):
        """The primary runs the command, from a timer; the result."""
        before = len(self.events(0))
        assert self.one(via, f"pub ask primary !after 0 {line}") == OK
        def result():
            for e in self.events(0)[before:]:
                if e.what == "did" and e.command == line:
                    return e
            return None
        return wait_for(result, 20, f"the primary did not do {line!r}").result
