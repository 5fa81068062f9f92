"""Access logs of sites and routes: who gets which line, and rotation of all of them."""
import json
import os

from lib.server import wait_for

CONF = """
    [module:hello]
    [site:shop]
    host = shop.test
    access_log = @DIR@/log/shop.log
    access_format = json
    [site:blog]
    host = blog.test
    access_log = @DIR@/log/blog.log
    [site:quiet]
    host = quiet.test
    access_log = off
    [site:rest]
    [route:shop]
    site = shop
    match = /
    handler = hello
    [route:health]
    site = shop
    match = = /health
    handler = hello
    access_log = off
    [route:cart]
    site = shop
    match = /cart
    handler = hello
    access_log = @DIR@/log/cart.log
    [route:plain]
    site = shop
    match = /plain
    handler = hello
    access_format = combined
    [route:blog]
    site = blog
    match = /
    handler = hello
    [route:quiet]
    site = quiet
    match = /
    handler = hello
    [route:loud]
    site = quiet
    match = /loud
    handler = hello
    access_log = @DIR@/log/cart.log
    access_format = json
    [route:rest]
    site = rest
    match = /
    handler = hello
"""
ROWS = [  # host, path, the log that has its line (None: none), "json" or "combined"
    ("shop.test", "/a", "log/shop.log", "json"),
    ("shop.test", "/cart/b", "log/cart.log", "json"),
    ("shop.test", "/plain/c", "log/shop.log", "combined"),
    ("shop.test", "/health", None, None),
    ("shop.test", "/../d", "log/shop.log", "json"),  # refused, and its site's nevertheless
    ("blog.test", "/e", "log/blog.log", "combined"),
    ("quiet.test", "/f", None, None),
    ("quiet.test", "/loud/g", "log/cart.log", "json"),
    ("other.test", "/h", "access.log", "combined"),
    ("quiet.test", "/i%00", None, None),
]
FILES = ("access.log", "log/shop.log", "log/blog.log", "log/cart.log")


def ask(s, host, path):
    s.exchange(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())


def count(s):
    return sum(s.read(name).count("\n") for name in FILES)


def test_who_gets_which_line(serve):
    s = serve(CONF)
    for host, path, _, _ in ROWS:
        ask(s, host, path)
    wanted = sum(1 for row in ROWS if row[2])
    wait_for(lambda: count(s) >= wanted, what="the lines")
    assert count(s) == wanted
    for host, path, name, form in ROWS:
        found = [(f, line) for f in FILES for line in s.read(f).splitlines() if path in line]
        assert [f for f, _ in found] == ([name] if name else []), path
        if form == "json":
            entry = json.loads(found[0][1])
            assert entry["site"] == host.split(".")[0] and entry["path"] == path
        elif form:
            assert found[0][1].startswith("127.0.0.1 - - [")


def test_rotation(serve):
    """All of them at -s reopen, and one that has been moved away without a word."""
    s = serve(CONF)
    rows = [row for row in ROWS if row[2]]
    for host, path, _, _ in rows:
        ask(s, host, path)
    wait_for(lambda: count(s) >= len(rows))
    for name in FILES:
        os.rename(s.path(name), s.path(name + ".1"))
    assert s.ctl("reopen").returncode == 0
    for host, path, _, _ in rows:
        ask(s, host, path)
    wait_for(lambda: count(s) == len(rows), what="all lines in the new files")
    os.rename(s.path("log/blog.log"), s.path("log/blog.log.2"))
    s.log_has("blog.log was not where it had been opened")
    wait_for(lambda: s.log().count("the logs have been opened again") == 2)
    ask(s, "blog.test", "/again")
    wait_for(lambda: "/again" in s.read("log/blog.log"))
    for pid in s.workers():
        held = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
        assert not [f for f in held if ".log." in f], held


def test_a_reload_takes_others(serve):
    s = serve(CONF)
    s.configure(CONF.replace("log/blog.log", "log/new.log"))
    assert s.ctl("reload").returncode == 0
    ask(s, "blog.test", "/e")
    wait_for(lambda: "/e" in s.read("log/new.log"))


def test_one_that_cannot_be_written(serve):
    s = serve(CONF.replace("@DIR@/log/cart.log", "@DIR@/conf/cserver.ini/cart.log"), start=False)
    for args in (["-t"], []):
        done = s.run("-c", s.conf, *args)
        assert done.returncode != 0
        assert "cannot write the log" in done.stderr and "cserver.ini/cart.log" in done.stderr
        assert "access_log = " in done.stderr  # the line of the route


def many(n):
    return "[module:hello]\n" + "".join(
        f"[site:s{i}]\nhost = s{i}.test\naccess_log = @DIR@/log/{i}.log\n"
        f"[route:r{i}]\nsite = s{i}\nmatch = /\nhandler = hello\n" for i in range(n))


def test_as_many_as_there_may_be(serve):
    s = serve(many(127))
    for i in range(127):
        os.rename(s.path(f"log/{i}.log"), s.path(f"log/{i}.log.1"))
    assert s.ctl("reopen").returncode == 0
    ask(s, "s126.test", "/last")
    wait_for(lambda: "/last" in s.read("log/126.log"))


def test_too_many(serve):
    s = serve(many(128), start=False)
    done = s.run("-c", s.conf, "-t")
    assert done.returncode != 0 and "more than 128 different access logs" in done.stderr
    assert "cserver.ini:" in done.stderr
