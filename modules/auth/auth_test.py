"""auth: who passes, who does not, and what later hooks and the log know of it."""
import base64
import os
import re
import subprocess

import pytest
from lib.clients import Clients
from lib.exposition import Exposition
from lib.server import OURSELVES, Server, wait_for

CONF = """
    [module:hello]
    [module:auth]
    users = @ALICE@, @BOB@

    [route:all]
    match = = /all
    use = auth
    handler = hello

    [route:plain]
    match = = /plain
    use = auth
    handler = hello
    users = carol:kéy, "dora:a, b"
    realm = Only for two

    [route:open]
    match = = /open
    handler = hello
"""


def openssl_hash(password):
    done = subprocess.run(["openssl", "passwd", "-6", "-salt", "saltsalt", password], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def basic(user, password):
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


USERS = "@ALICE@, @BOB@"


def conf():
    return CONF.replace("@ALICE@", "alice:" + openssl_hash("wonder:land")).replace("@BOB@", "bob:" + openssl_hash("open sesame"))


@pytest.fixture(scope="module")
def server():
    s = Server(conf()).start()
    yield s
    faults = s.end()
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("path, user, password", [
    ("/all", "alice", "wonder:land"),
    ("/all", "bob", "open sesame"),
    ("/plain", "carol", "kéy"),
    ("/plain", "dora", "a, b"),
])
def test_passes(server, path, user, password):
    r = server.get(path, basic(user, password))
    assert (r.status, r.text) == (200, "Hello, world!\n")
    wait_for(lambda: re.search(rf' {user} \[.*"GET {path} HTTP/1.1" 200 ', server.read("access.log")))


@pytest.mark.parametrize("path, user, password", [
    ("/all", "alice", ""), ("/all", "alice", "wonder"), ("/all", "alice", "wonder:land "), ("/all", "alice", "wonder:lanD"),
    ("/all", "", "wonder:land"), ("/all", "alic", "wonder:land"), ("/all", "alicee", "wonder:land"),
    ("/all", "nobody", "wonder:land"), ("/all", "nobody", "open sesame"), ("/all", "bob", "open sesam"),
    ("/all", "bob", "x" * 5000), ("/all", "carol", "kéy"), ("/all", "bob", ""), ("/plain", "alice", "wonder:land"),
])
def test_does_not_pass(server, path, user, password):
    r = server.get(path, basic(user, password))
    assert r.status == 401
    realm = "Only for two" if path == "/plain" else "Restricted"
    assert r["www-authenticate"] == f'Basic realm="{realm}", charset="UTF-8"'


def test_the_hash_itself_is_no_password(server):
    assert server.get("/all", basic("bob", openssl_hash("open sesame"))).status == 401


@pytest.mark.parametrize("field", [
    None, "", "Basic", "Basic ", "Basic !", "Basic YWxpY2U=", "Bearer YWxpY2U6d29uZGVyOmxhbmQ=", "Basic OndvbmRlcjpsYW5k",
    "Basic YWxpY2UAOndvbmRlcjpsYW5k", "Basic\tYWxpY2U6d29uZGVyOmxhbmQ=", "YWxpY2U6d29uZGVyOmxhbmQ=", "Basic " + "A" * 4000,
    "Basic YWxpY2U6d29uZGVyOmxhbmQAAA==", "Basic YWxpY2U6d29uZGVyOmxhbmQ x", "Basic YWxpY2U6d29uZGVyOmxhbmQ!",
    "Basic YWxpY2U6d29uZGVyOmxhbmQ===", "Basic YWxpY2U6d29uZGVyOmxhbmQ=x", "Basic YWxpY2U6d29uZGVyOmxhbmQAZ2FyYmFnZQ==",
    "Basic YWxpY2UAOndvbmRlcjpsYW5k",
])
def test_what_is_no_password(server, field):
    assert server.get("/all", {"Authorization": field} if field is not None else {}).status == 401


def test_blanks_and_padding(server):
    for field in ("Basic   YWxpY2U6d29uZGVyOmxhbmQ=", "Basic YWxpY2U6d29uZGVyOmxhbmQ", "Basic YWxpY2U6d29uZGVyOmxhbmQ= "):
        assert server.get("/all", {"Authorization": field}).status == 200


@pytest.mark.parametrize("scheme", ["basic", "BASIC", "Basic"])
def test_the_scheme_in_any_case(server, scheme):
    assert server.get("/all", {"Authorization": f"{scheme} YWxpY2U6d29uZGVyOmxhbmQ="}).status == 200


def test_the_body_is_not_awaited(server):
    with server.connect() as c:
        c.send(b"POST /all HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\nExpect: 100-continue\r\n\r\n")
        assert c.response().status == 401


def test_a_route_without_it_is_open(server):
    assert server.get("/open").status == 200
    wait_for(lambda: re.search(r' - \[.*"GET /open HTTP/1.1" 200 ', server.read("access.log")))


def test_others_are_served_while_hashes_are_computed(server):
    """More than there are threads; and everybody gets an answer."""
    with server.connect() as slow:
        slow.send(("GET /all HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\n\r\n" % basic("bob", "open sesame")["Authorization"]
                   * 30).encode())
        with Clients(server, "/open", limit=300) as c:
            pass
        assert [slow.response().status for _ in range(30)] == [200] * 30
    assert (c.answered, c.broken, c.wrong) == (300, 0, [])


def test_who_goes_away_meanwhile_harms_nobody(server):
    for _ in range(50):
        with server.connect() as c:
            c.send(("GET /all HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\n\r\n" %
                    basic("bob", "open sesame")["Authorization"]).encode())
    assert server.get("/all", basic("bob", "open sesame")).status == 200


HASH = "$6$salt$" + "x" * 86  # crypt could have made it
BCRYPT = "$2b$04$KBCwKxOzLha2MUDgW0PjXeAs1CLKnE00SoLkNZNyQc3qYbEs7Dnoa"  # of "open"
YESCRYPT = "$y$j75$k2XAnEHBqQ1Ct2aMXFKNa/HAmA1BpMnBsYHMWB4NZN4$LjD6AYdIncq0hFbkNlK02FVGkafzJ.SYYHvgRJ3uP04"
MORE = "$6$rounds=9000$salt$" + "x" * 86


@pytest.mark.parametrize("users, says", [
    ("alice", "name:password"), ("alice:", "has no password"), (":secret", "name:password"),
    ("alice:$1$abc$def", "is not bcrypt"), ("bob:x, alice:$2y$10$abc", "2. one (alice)"), ("", "users"),
    ("alice:x, bob:y, alice:z", "the 3. one (alice) has the name of the 1."),
    (", ".join(f"u{i}:{MORE.replace('9000', str(9000 + i))}" for i in range(5)), "more than 4 methods and costs"),
])
def test_settings_that_are_refused(serve, users, says):
    s = serve(CONF.replace(USERS, users), start=False)
    done = s.run("-c", s.conf, "-t")
    assert done.returncode == 78 and says in done.stderr, done.stderr


@pytest.mark.parametrize("hash, says", [
    ("$6$", "cut off"), ("$6$xx", "cut off"), ("$6$salt$", "cut off"), ("$6$salt$hash", "cut off"), (HASH[:-1], "cut off"),
    (HASH + "x", "too long"), (HASH[:-1] + "!", "a character"), (HASH + "$", "a character"), (HASH[:-9] + "é" + HASH[-8:], "a character"),
    (HASH.replace("salt", "s" * 17), "salt"), (MORE.replace("9000", "999"), "rounds"), (MORE.replace("9000", "09000"), "rounds"),
    (MORE.replace("9000", "9e3"), "rounds"), (MORE.replace("9000", "1000000000"), "rounds"), ("$6$rounds=5000", "rounds"),
    ("$5$salt$" + "x" * 42, "cut off"), ("$5$salt$" + "x" * 44, "too long"), ("$5$rounds=1$salt$" + "x" * 43, "rounds"),
    ("$y$j9T$salt$" + "x" * 42, "cut off"), ("$y$j9T$salt$" + "x" * 44, "too long"), ("$y$j9T", "cut off"), ("$y$", "cut off"),
    ("$y$j=T$salt$" + "x" * 43, "parameters"), ("$2b$10$" + "x" * 52, "cut off"), ("$2b$10$" + "x" * 54, "too long"),
    ("$2b$03$" + "x" * 53, "cost"), ("$2b$32$" + "x" * 53, "cost"), ("$2b$9$" + "x" * 53, "cost"), ("$2b$10$" + "x" * 52 + "!", "a character"),
    ("$2x$10$" + "x" * 53, "not bcrypt"), ("$apr1$salt$" + "x" * 22, "not bcrypt"), ("$1$salt$" + "x" * 22, "not bcrypt"),
])
def test_hashes_that_nothing_has_made(serve, hash, says):
    s = serve(CONF.replace(USERS, f"alice:{HASH}, bob:{hash}"), start=False)
    done = s.run("-c", s.conf, "-t")
    assert done.returncode == 78
    assert "the 2. one (bob) has a hash" in done.stderr and says in done.stderr, done.stderr
    assert HASH not in done.stderr  # reports go to the log, too


@pytest.mark.parametrize("users", ["alice:x, bob:y", f"alice:{HASH}, bob:{MORE}", f"alice:{HASH}, bob:x",
                                   f"alice:{HASH.replace('salt', 's' * 16)}, bob:{BCRYPT}, carol:{YESCRYPT}"])
def test_users_of_different_kinds(serve, users):
    s = serve(CONF.replace(USERS, users), start=False)
    done = s.run("-c", s.conf, "-t")
    assert done.returncode == 0, done.stderr


# ---- A file of users ---------------------------------------------------------------------------

FILE = """
    [module:hello]
    [module:metrics]
    [module:auth]
    users_file = @DIR@/users
    [route:all]
    match = = /all
    use = auth
    handler = hello
    [route:metrics]
    match = = /metrics
    handler = metrics
"""


def count(server, name):
    return Exposition(server.get("/metrics")).sum("auth_" + name)


def test_file_that_changes(serve):
    s = serve(FILE, files={"users": f"# who\nann:{BCRYPT}\n"}, server=OURSELVES)
    assert [s.get("/all", basic(*who)).status for who in (("ann", "open"), ("bob", "open"), ("ann", "opan"))] == [200, 401, 401]
    s.write("users.new", f"ann:{YESCRYPT}\nbob:{BCRYPT}\n")
    os.rename(s.path("users.new"), s.path("users"))
    wait_for(lambda: s.get("/all", basic("bob", "open")).status == 200)
    assert s.get("/all", basic("ann", "open")).status == 200
    s.write("users", f"bob:{BCRYPT[:-1]}\n")
    complaint = f"{s.path('users')}:1: bob has a hash that is cut off"
    wait_for(lambda: s.get("/all", basic("bob", "open")).status == 200 and complaint in s.log())
    os.unlink(s.path("users"))
    assert s.get("/all", basic("bob", "open")).status == 200
    s.write("users", f"ann:{YESCRYPT}\n")
    wait_for(lambda: s.get("/all", basic("bob", "open")).status == 401)


def test_hashes_are_remembered(serve):
    s = serve(FILE, files={"users": f"ann:{BCRYPT}\nbob:{BCRYPT}\n"}, server={"workers": 1, **OURSELVES})
    with s.connect() as c:
        for who in (["ann"] * 10 + ["bob"] * 10) * 2:
            c.send(("GET /all HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\n\r\n" % basic(who, "open")["Authorization"]).encode())
            assert c.response().status == 200
    assert (count(s, "computed_total"), count(s, "remembered_total")) == (2, 38)
    for _ in range(5):
        assert s.get("/all", basic("ann", "opan")).status == 401
    assert (count(s, "computed_total"), count(s, "refused_total")) == (7, 5)
    assert s.ctl("reload").returncode == 0
    assert s.get("/all", basic("ann", "open")).status == 200
    assert count(s, "computed_total") == 8


@pytest.mark.parametrize("content, says", [
    ("", "there is nobody in it"), (f"ann:{BCRYPT}\nbob:open\n", ":2: bob has no hash"), (f"ann:{BCRYPT[:-2]}\n", ":1: ann has a hash that is cut off"),
    (f"ann:{BCRYPT}\n\nann:{BCRYPT}\n", ":3: ann is in line 1 too"), ("ann\n", ":1: this is not name:hash"), ("a\0b:c\n", ":1: there is a NUL"),
    (None, "No such file"), ("#" * 70, "larger than 4 MiB"),
])
def test_files_that_are_refused(serve, content, says):
    content = content and content * (60000 if "larger" in says else 1)
    s = serve(FILE, files={"users": content} if content is not None else {}, server=OURSELVES, start=False)
    done = s.run("-c", s.conf, "-t")
    assert done.returncode == 78 and says in done.stderr and s.path("users") in done.stderr, done.stderr
    assert "users_file" in done.stderr and "cserver.ini:" in done.stderr


def test_a_file_that_the_workers_may_not_read(serve):
    s = serve(FILE, files={"users": f"ann:{BCRYPT}\n"}, server={"user": "nobody"}, start=False)
    if os.getuid():
        pytest.skip("only root has something to lose")
    os.chmod(s.path("users"), 0o600)
    os.chmod(s.folder, 0o755)
    done = s.run("-c", s.conf, "-t")
    assert done.returncode == 78 and "the user of the workers has to be able to read it" in done.stderr


def test_a_slow_hash_holds_up_nobody(serve):
    """It takes so long that it cannot have ended: others are answered by the only worker while it runs."""
    endless = "$6$rounds=900000000$salt$" + "x" * 86
    s = serve(CONF.replace(USERS, f"alice:{endless}"), server={"workers": 1, "threads": 2, "shutdown_timeout": "1s"}, limits={"handler_timeout": "1h"})
    with s.connect() as slow:
        slow.send(("GET /all HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\n\r\n" % basic("alice", "x")["Authorization"]).encode())
        with Clients(s, "/open", connections=4, limit=200) as c:
            pass
        assert (c.answered, c.broken, c.wrong) == (200, 0, []) and slow.is_silent(0)


@pytest.mark.parametrize("users, who", [(f"ann:{BCRYPT}", ("ann", "opan")), ("ann:open", ("ann", "opan")), (f"ann:{BCRYPT}", None)])
def test_a_page_for_who_is_not_let_in(serve, users, who):
    s = serve("""
        [module:hello]
        [module:auth]
        users = @USERS@
        [site:default]
        root = @DIR@/www
        error_pages = 401 /who.html
        [route:all]
        match = = /all
        use = auth
        handler = hello
    """.replace("@USERS@", users), www={"who.html": "<p>Who are you?"})
    r = s.get("/all", basic(*who) if who else {})
    assert (r.status, r.text, r["www-authenticate"]) == (401, "<p>Who are you?", 'Basic realm="Restricted", charset="UTF-8"')


def test_passwords_are_not_shown(serve):
    s = serve(CONF.replace(USERS, "alice:wonder, bob:sesame"), start=False)
    done = s.run("-c", s.conf, "-T")
    assert done.returncode == 0 and "; users is a secret and not shown: *** has to be replaced" in done.stdout
    assert not re.search("wonder|sesame|kéy", done.stdout + done.stderr)
