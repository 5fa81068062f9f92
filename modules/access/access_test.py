"""access: who may come from where. Each row is a route, and each of its clients asks it once."""
import contextlib
import re
import socket

import pytest
from lib.server import LIMIT, Connection, Server, free_port

# Settings of the route, clients that pass, clients that do not. Clients: an address that we connect from, "mapped" is
# 127.0.0.1 at the listener for both families, "unix" the unix socket.
ALL = ["127.0.0.1", "127.1.2.3", "127.9.9.9", "::1", "mapped", "unix"]
ROWS = {
    "nothing is said": ("", ALL),
    "one address": ("allow = 127.0.0.1", ["127.0.0.1", "mapped"]),
    "one block": ("allow = 127.1.0.0/16", ["127.1.2.3"]),
    "several": ("allow = 127.1.0.0/16, ::1", ["127.1.2.3", "::1"]),
    "IPv6 of an IPv4 address": ("allow = ::ffff:127.0.0.1", ["127.0.0.1", "mapped"]),
    "a block of IPv6": ("allow = ::/64", ["::1"]),
    "all of IPv4": ("allow = 0.0.0.0/0", ["127.0.0.1", "127.1.2.3", "127.9.9.9", "mapped"]),
    "all of IP": ("allow = ::/0, 0.0.0.0/0", ["127.0.0.1", "127.1.2.3", "127.9.9.9", "::1", "mapped"]),
    "the unix socket": ("allow = unix", ["unix"]),
    "everybody": ("allow = all", ALL),
    "nobody": ("deny = all", []),
    "not that address": ("deny = 127.0.0.1", ["127.1.2.3", "127.9.9.9", "::1", "unix"]),
    "not the unix socket": ("deny = unix", ["127.0.0.1", "127.1.2.3", "127.9.9.9", "::1", "mapped"]),
    "the longer block allows": ("allow = 127.1.0.0/16\ndeny = 127.0.0.0/8", ["127.1.2.3"]),
    "the longer block denies": ("allow = 127.0.0.0/8\ndeny = 127.1.0.0/16", ["127.0.0.1", "127.9.9.9", "mapped"]),
    "three lengths": ("allow = 127.1.2.3, 127.0.0.0/8\ndeny = 127.1.0.0/16",
                      ["127.0.0.1", "127.1.2.3", "127.9.9.9", "mapped"]),
    "a tie is denied": ("allow = 127.0.0.1, 127.9.9.9\ndeny = 127.0.0.1", ["127.9.9.9"]),
    "all but some": ("allow = all\ndeny = 127.0.0.0/8, ::ffff:0:0/96", ["::1", "unix"]),
    "some but all": ("allow = ::1, unix\ndeny = all", ["::1", "unix"]),
    "IPv6 is more exact than all": ("allow = ::/0\ndeny = all", ["::1"]),
    "all and all": ("allow = all\ndeny = all", []),
}
# The same for routes of a site that says allow = 127.0.0.0/8 and deny = 127.9.0.0/16.
INNER = {
    "as the site": ("", ["127.0.0.1", "127.1.2.3", "mapped"]),
    "more": ("allow = ::1", ["127.0.0.1", "127.1.2.3", "mapped", "::1"]),
    "for all": ("allow = all", ["127.0.0.1", "127.1.2.3", "mapped", "::1", "unix"]),
    "less": ("deny = 127.1.0.0/16", ["127.0.0.1", "mapped"]),
    "only": ("deny = 127.0.0.0/8\nallow = 127.1.2.3", ["127.1.2.3"]),
    "against the site": ("allow = 127.9.9.9", ["127.0.0.1", "127.1.2.3", "mapped", "127.9.9.9"]),
    "an empty list takes nothing away": ("allow =\ndeny =", ["127.0.0.1", "127.1.2.3", "mapped"]),
    "without it": ("use = -access", ALL),
}


def routes(site, rows):
    for name, (settings, _) in rows.items():
        use = "" if "use =" in settings or site == "inner" else "use = access\n"
        label = name.replace(" ", "-")
        yield f"[route:{site}-{label}]\nsite = {site}\nmatch = = /{label}\nhandler = hello\n{use}{settings}\n"


CONF = """
[listen:v4]
address = 127.0.0.1:@PORT@
[listen:others]
address = @BOTH@, unix:@DIR@/web.sock
[module:hello]
[module:access]
[module:metrics]
[site:outer]
host = outer
root = @DIR@/www
[site:inner]
host = inner
use = access
root = @DIR@/www
allow = 127.0.0.0/8
deny = 127.9.0.0/16
[route:metrics]
site = outer
match = = /metrics
handler = metrics
""" + "\n".join([*routes("outer", ROWS), *routes("inner", INNER)])


class Asker:
    """A server, and a way to ask it from an address."""

    def __init__(self):
        self.both = free_port()
        self.has_v6 = self.knows_v6()
        self.server = Server(CONF.replace("@BOTH@", f":{self.both}" if self.has_v6 else f"127.0.0.1:{self.both}"), www={})
        self.server.start()

    @staticmethod
    def knows_v6():
        with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as s:
            s.bind(("::1", 0))
            return True
        return False

    def connect(self, client):
        if client == "unix":
            return self.server.connect(self.server.path("web.sock"))
        if client == "::1":
            return Connection(socket.create_connection(("::1", self.both), LIMIT))
        if client == "mapped":
            return Connection(socket.create_connection(("127.0.0.1", self.both), LIMIT))
        return Connection(socket.create_connection(("127.0.0.1", self.server.port), LIMIT, source_address=(client, 0)))

    def statuses(self, site, label):
        """client -> status"""
        found = {}
        for client in ALL:
            if client == "::1" and not self.has_v6:
                continue
            with self.connect(client) as c:
                c.send(f"GET /{label} HTTP/1.1\r\nHost: {site}\r\nConnection: close\r\n\r\n".encode())
                found[client] = c.response().status
        return found


@pytest.fixture(scope="module")
def asker():
    a = Asker()
    yield a
    faults = a.server.end()
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("site, name", [("outer", n) for n in ROWS] + [("inner", n) for n in INNER])
def test_who_passes(asker, site, name):
    passes = (ROWS if site == "outer" else INNER)[name][1]
    found = asker.statuses(site, name.replace(" ", "-"))
    assert found == {c: 200 if c in passes else 403 for c in found}


def test_they_are_counted(asker):
    def count():
        text = asker.server.get("/metrics", {"Host": "outer"}).text
        return sum(int(n) for n in re.findall(r"^access_refused_total\S* (\d+)$", text, re.M))
    before = count()
    refused = list(asker.statuses("outer", "nobody").values()) + list(asker.statuses("outer", "everybody").values())
    assert count() - before == refused.count(403) == len(refused) / 2


@pytest.mark.parametrize("line, words", [
    ("allow = 10.0.0.0/33", ["from 0 to 32"]),
    ("allow = 10.0.0.1/8", ["bits behind its length"]),
    ("deny = 2001:db8::/200", ["from 0 to 128"]),
    ("deny = example.com", ["no IP address"]),
    ("allow = 10.0.0.0/8, 10.0.0.256", ["10.0.0.256"]),
    ("allow = ${client}", ["${client}"]),
    ("alow = all", ["alow", "allow"]),
])
def test_settings_that_are_refused(serve, line, words):
    s = serve(f"[module:access]\n{line}\n", start=False)
    done = s.run("-c", s.conf, "-t")
    assert done.returncode == 78
    for word in [*words, "cserver.ini:"]:
        assert word in done.stderr, done.stderr
