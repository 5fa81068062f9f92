"""Who takes part in a request: access hooks, handlers that leave it to the next, on_log; and the calls about what a client
has sent. tests/lib/modules/gate.c does what the field X-gate (X-second: the same module by another name) says."""
import json
import os
import re
import shutil
import socket
import tempfile
import time

import pytest
from lib import crash
from lib.server import SOURCE, Connection, Server, build_module, wait_for

CONF = """
    [module:hello]
    [module:gate]
    file = {0}/gate.so
    [module:second]
    file = {0}/second.so
    [module:app]
    file = {0}/app.so
    [module:whole]
    file = {0}/whole.so
    [site:a]
    root = @DIR@/www
    use = gate
    [route:app]
    match = /app
    handler = app, hello
    use = second
    [route:whole]
    match = /whole
    handler = whole
    [route:turned]
    match = /turned
    use = second, -gate, gate
    handler = hello
    [route:open]
    match = /open
    use = -gate
    handler = hello
"""


@pytest.fixture(scope="module")
def modules():
    folder = tempfile.mkdtemp(prefix="cs-")
    for name, source in (("gate", "gate"), ("second", "gate"), ("app", "app"), ("whole", "whole")):
        with open(f"{SOURCE}/tests/lib/modules/{source}.c", encoding="utf-8") as f:
            build_module(folder, name, f.read(), f'-DNAME="{name}"')
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def server(modules):
    s = Server(CONF.format(modules), server={"workers": 1}, limits={"handler_timeout": "60s"},
               www={"file.txt": "a file"})
    s.start()
    yield s
    faults = s.end()
    assert not faults, "\n".join(faults)
    # The modules complain on their own.
    assert not re.search(r"on_log can change|proceed said|before there is one|gone on from", s.log())


def request(path, method="GET", body=b"", **fields):
    """HTTP/1.1 bytes; fields: gate="later" is X-gate: later."""
    head = f"{method} {path} HTTP/1.1\r\nHost: a\r\n" + "".join(f"X-{n}: {v}\r\n" for n, v in fields.items())
    if body:
        head += f"Content-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


# ---- Access ----

@pytest.mark.parametrize("path, answer", [("/app/text", "Hello, app"), ("/open", None), ("/file.txt", "a file")])
def test_lets_pass(server, path, answer):
    r = server.get(path)
    assert r.status == 200 and (answer is None or r.text == answer)


@pytest.mark.parametrize("what, status, text", [
    ("=403", 403, "Forbidden"),
    ("=204", 204, ""),
    ("answer", 401, "who are you?"),
    ("later401", 401, "later"),
    ("start", 200, "begun and done"),
    ("not_pending", 403, "Forbidden"),
    ("fail", 502, "Bad Gateway"),
    ("=0", 500, "Internal Server Error"),    # CS_OK without an answer
    ("=-2", 500, "Internal Server Error"),
    ("=-1", 503, "Service Unavailable"),     # CS_AGAIN
    ("=-3", 503, "Service Unavailable"),     # CS_NOMEM
    ("=7", 500, "Internal Server Error"),
    ("body", 200, "-2, 0"),                  # no body for access hooks
])
def test_denies(server, what, status, text):
    """The handler is not asked, whatever the hook has said, and the connection serves again."""
    with server.connect() as c:
        r = c.send(request("/app/text", gate=what)).response()
        assert r.status == status and text in r.text
        assert r["retry-after"] == ("1" if what in ("=-1", "=-3") else None)
        assert c.send(request("/app/text")).response().text == "Hello, app"


@pytest.mark.parametrize("what", ["later", "job", "at_once", "user"])
def test_passes_later(server, what):
    with server.connect() as c:
        for _ in range(3):
            assert c.send(request("/app/text", gate=what)).response().text == "Hello, app"
            assert c.send(request("/app/text", gate=what, second=what)).response().text == "Hello, app"


def test_answer_before_declining_is_kept(server):
    with server.connect() as c:
        r = c.send(request("/app/text", gate="declined_too_late")).response()
        assert r.status == 200 and r.text == "all the same"


def test_order_is_that_of_the_settings(server):
    """The site's first, unless the route has moved it."""
    server.exchange(request("/app/text", Who="order-a"))
    server.log_has("closed order-a ")
    log = [line for line in server.log().split("\n") if "access of order-a" in line]
    assert len(log) == 2 and "gate" in log[0] and "second" in log[1]
    server.exchange(request("/turned", Who="order-b"))
    server.log_has("closed order-b ")
    log = [line for line in server.log().split("\n") if "access of order-b" in line]
    assert len(log) == 2 and "second" in log[0] and "gate" in log[1]


def test_first_that_denies_wins(server):
    r = server.exchange(request("/app/text", gate="=403", second="answer"))
    assert r.status == 403
    assert server.exchange(request("/app/text", second="answer")).status == 401


def test_site_without_route_is_guarded(server):
    assert server.exchange(request("/file.txt", gate="=403")).status == 403
    assert server.exchange(request("/nothing", gate="=403")).status == 403
    assert server.exchange(request("/nothing")).status == 404


def test_pipelined(server):
    """Those that wait hold up those behind them, and nothing gets mixed up."""
    with server.connect() as c:
        c.send(request("/app/text", gate="later") + request("/app/text", gate="=403") +
               request("/app/text", gate="later401") + request("/file.txt"))
        assert [c.response().status for _ in range(4)] == [200, 403, 401, 200]


def test_goes_on_while_the_client_takes_nothing(server):
    """What waits behind large answers passes at once, not when they have left."""
    n, looks = 60, []
    before = server.log().count("left with 0")
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    sock.connect(("127.0.0.1", server.port))
    with Connection(sock) as c:
        c.send((request("/app/ref?n=250000") + request("/app/next", gate="later", Who="behind")) * n)

        def all_have_passed():
            log = server.log()
            looks.append((log.count("access of behind module=gate"), log.count("left with 0") - before))
            return len(looks) > 10 and len({*looks[-10:]}) == 1 and looks[-1][0] == looks[-1][1]

        wait_for(all_have_passed, 20)
        assert 0 < looks[-1][1] < n, "the client was not slow enough"
        assert [c.response().status for _ in range(2 * n)] == [200] * (2 * n)


def test_http_1_0(server):
    head = b"GET /app/text HTTP/1.0\r\nX-gate: later\r\n\r\n"
    assert server.raw(head).endswith(b"\r\n\r\nHello, app")


# ---- Bodies and access ----

def test_denied_before_the_body_is_sent(server):
    """A client that asks first is told no, without 100 Continue."""
    with server.connect() as c:
        c.send(b"POST /whole HTTP/1.1\r\nHost: a\r\nX-gate: =403\r\nContent-Length: 1000000\r\n"
               b"Expect: 100-continue\r\n\r\n")
        assert c.response().status == 403
        assert c.eof()


def test_denied_with_a_small_body(server):
    """It is read and dropped, and the connection goes on."""
    with server.connect() as c:
        c.send(request("/whole", "POST", b"x" * 20000, gate="=403") + request("/app/text"))
        assert c.response().status == 403
        assert c.response().text == "Hello, app"


def test_denied_with_a_large_body(server):
    """The connection ends, but the answer arrives."""
    with server.connect() as c:
        c.send(b"POST /whole HTTP/1.1\r\nHost: a\r\nX-gate: =403\r\nContent-Length: 900000\r\n\r\n" + b"x" * 100000)
        r = c.response()
        assert r.status == 403 and r["connection"] == "close"


@pytest.mark.parametrize("gate", ["", "later", "job"])
def test_body_is_read_behind_access(server, gate):
    with server.connect() as c:
        assert c.send(request("/whole", "POST", b"x" * 30000, gate=gate)).response().text == "30000 bytes, room"
        c.send(b"POST /whole HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nX-gate: " + gate.encode() +
               b"\r\nContent-Length: 5\r\n\r\n")
        assert c.response().status == 100
        assert c.send(b"hello").response().text == "5 bytes, room"


def test_body_waits_in_the_socket(server):
    """While access is pending nothing is read: a large body stays with the client."""
    with server.connect() as c:
        c.send(request("/whole", "POST", b"y" * 500000, gate="later", second="later"))
        assert c.response().text == "500000 bytes, room"


# ---- Handlers that go on ----

def test_handler_leaves_it_to_the_next(server):
    with server.connect() as c:
        for _ in range(2):
            assert c.send(request("/app/next")).response().text.startswith("Hello")
        assert c.send(request("/app/nothing")).response().text.startswith("Hello")
    server.log_has("left with 0")


def test_handler_that_has_read_cannot(server):
    """The next one would miss the body."""
    with server.connect() as c:
        r = c.send(request("/app/drink", "POST", b"z" * 5000)).response()
        assert r.text == "drunk, proceed says -2"
        assert c.send(request("/app/text")).response().text == "Hello, app"


# ---- Time limits ----

def test_nobody_waits_for_ever(modules, serve):
    s = serve(CONF.format(modules), server={"workers": 1}, limits={"handler_timeout": "200ms"}, www={"a": "a"})
    with s.connect() as c:
        assert c.send(request("/app/text", gate="never")).response().status == 504
        assert c.send(request("/app/text", second="never")).response().status == 504
        assert c.send(request("/app/text")).response().text == "Hello, app"
    lines = [line for line in s.log().split("\n") if "handler_timeout" in line]
    assert len(lines) == 2 and "gate" in lines[0] and "second" in lines[1]


# ---- The end ----

def test_log_comes_before_the_closers(server):
    """Both hooks, with what the access hook has kept in the request's memory."""
    r = server.exchange(request("/app/text", gate="user", Who="end-a"))
    assert r.text == "Hello, app"
    wait_for(lambda: server.log().count("closed end-a after 2") == 2)
    log = [re.search(r"(access of|log of|closed) end-a.*", line).group() for line in server.log().split("\n")
           if " end-a" in line]
    assert [line.split(" ")[0] for line in log] == ["access", "access", "log", "log", "closed", "closed"]
    total = len("Hello, app")
    said = re.search(r'200, (\d+) bytes, user "(.*?)", type "(.*?)"', log[2])
    assert said and int(said.group(1)) > total


def test_log_of_a_client_that_has_gone(server):
    """It leaves while access is pending: status 499."""
    c = server.connect()
    c.send(request("/app/text", gate="never", Who="gone-a"))
    server.log_has("access of gone-a")
    c.reset()
    server.log_has("log of gone-a: 499, 0 bytes")
    server.log_has("closed gone-a after 2")


def test_log_of_a_client_that_leaves_its_answer(server):
    """Most of it has not left."""
    c = server.connect()
    c.send(request("/app/pieces?n=50000000&size=60000", Who="gone-b"))
    c.until(b"\r\n\r\n")
    c.close()
    server.log_has("log of gone-b: 200, ")


def test_user_in_both_logs(server, modules, serve):
    server.exchange(request("/app/text?one", gate="user"))
    wait_for(lambda: "GET /app/text?one" in server.read("access.log"))
    line = next(line for line in server.read("access.log").split("\n") if "/app/text?one" in line)
    assert re.match(r'127\.0\.0\.1 - me & \\x22you\\x22 \[', line)
    assert server.exchange(request("/app/user", gate="user")).text == '[me & "you"]'
    assert server.exchange(request("/app/user")).text == "none"
    s = serve(CONF.format(modules), server={"access_format": "json"}, www={"a": "a"})
    s.exchange(request("/app/text", gate="user"))
    s.exchange(request("/app/text", gate="=403"))
    lines = [json.loads(line) for line in wait_for(lambda: [x for x in s.read("access.log").split("\n") if x][1:] and
                                                  [x for x in s.read("access.log").split("\n") if x])]
    found = {(x["user"], x["status"], x["module"]) for x in lines}  # of two workers, in any order
    assert found == {('me & "you"', 200, "app"), ("", 403, "gate")}


# ---- Crashes tell who it was ----

def test_the_module_that_runs_is_named(server):
    server.exchange(request("/app/text", second="fail"))
    line = wait_for(lambda: [x for x in server.log().split("\n") if "the door is stuck" in x])[-1]
    assert "second" in line


# ---- What the client has sent ----

@pytest.mark.parametrize("query, value", [
    ("a=1", "[1]"),
    ("b=2&a=1&a=3", "[1]"),
    ("a", "[]"),
    ("a=", "[]"),
    ("", "none"),
    ("aa=1", "none"),
    ("a=x%20y+z", "[x y z]"),
    ("%61=1", "[1]"),
    ("a=%", "[%]"),
    ("a=%4", "[%4]"),
    ("a=%zz%41", "[%zzA]"),
    ("a=b=c", "[b=c]"),
    ("&&a=1&", "[1]"),
])
def test_query(server, query, value):
    assert server.exchange(request("/app/query?" + query)).text == value


@pytest.mark.parametrize("cookies, value", [
    ([b"a=1"], "[1]"),
    ([b"b=2; a=1"], "[1]"),
    ([b"b=2", b"a=1"], "[1]"),
    ([b'a="q"'], '["q"]'),
    ([b"A=1"], "none"),
    ([b"aa=1;ba=2"], "none"),
    ([b" a = 1"], "none"),
    ([b"a"], "[]"),
    ([], "none"),
])
def test_cookie(server, cookies, value):
    lines = b"".join(b"Cookie: " + c + b"\r\n" for c in cookies)
    assert server.exchange(b"GET /app/cookie HTTP/1.1\r\nHost: a\r\n" + lines + b"\r\n").text == value


@pytest.mark.parametrize("where, text, value", [
    (0, "/a%20b/%25", "/a%20b/%25"),
    (1, "a%26b%3Dc%20%2F", "a%26b%3Dc%20%2F"),
    (2, "%3Ca%20href='x'%3E%26", "&lt;a href=&#39;x&#39;&gt;&amp;"),
    (3, "%22%5C%0A%ff", '\\"\\\\\\n\ufffd'),
    (9, "a", "none"),
])
def test_escape(server, where, text, value):
    assert server.exchange(request(f"/app/escape?where={where}&text={text}")).text == value


def test_fields(server):
    r = server.exchange(b"GET /app/fields HTTP/1.1\r\nHost: a\r\nX-B: 2\r\nx-b:  3 \r\nX-C: stop\r\nX-D: 4\r\n\r\n")
    assert r.text == "Host=a\nX-B=2\nx-b=3\nX-C=stop\n7"


def test_nothing_left_behind(server):
    """A few hundred of each kind: what is not given back shows under a sanitizer."""
    with server.connect() as c:
        for what in ("later", "job", "=403", "answer", "at_once") * 40:
            c.send(request("/app/text", gate=what)).response()


# ---- Modules in quarantine ----

REFUSED = """
    #include <cserver/cserver.h>
    #include <signal.h>
    #include <unistd.h>
    #define NEW(name) ("@DIR@/" name)
    static int is(cs_req *r, const char *path) { return cs_eq(cs_info(r)->path, path); }
    static void look(void *arg) { (void)arg; if (!access(NEW("crash"), F_OK)) raise(SIGSEGV); }
    static int primary_start(cs_proc *p) { return cs_every(p, 10, look, 0) ? CS_OK : CS_NOMEM; }
    static void tell(cs_req *r, const char *hook) { cs_log(CS_INFO, "%s called for %s", hook, cs_info(r)->path.p); }
    static void wait(cs_req *r, void *arg) {
        (void)arg;
        if (access(NEW("go"), F_OK)) cs_req_after(r, 10, wait, 0);
        else cs_text(r, 200, "late");
    }
    static int pass(cs_req *r) { tell(r, "access"); return CS_DECLINED; }
    static int handler(cs_req *r) {
        tell(r, "handler");
        if (!is(r, "/own")) return cs_text(r, 200, "answered");
        cs_req_after(r, 10, wait, 0);
        return CS_PENDING;
    }
    static int header_filter(cs_req *r) { tell(r, "header_filter"); return cs_filter_body(r, -1) < 0 ? CS_ERROR : CS_OK; }
    static int body_filter(cs_req *r, cs_str d, int last) { tell(r, "body_filter"); return cs_send(r, d, last); }
    static void on_log(cs_req *r) { tell(r, "on_log"); }
    CS_MODULE(.name = "refused", .version = "1.0", .help = "Crashes in the primary.", .primary_start = primary_start,
              .access = pass, .handler = handler, .header_filter = header_filter, .body_filter = body_filter,
              .on_log = on_log);
"""
# Does not crash, and waits until there is a file `go`.
HOLD = """
    #include <cserver/cserver.h>
    #include <unistd.h>
    static int is(cs_req *r, const char *path) { return cs_eq(cs_info(r)->path, path); }
    static void go_on(cs_req *r, void *arg) {
        if (access("@DIR@/go", F_OK)) cs_req_after(r, 10, go_on, arg);
        else if (is(r, "/pieces")) cs_send(r, CS_S("two"), 1);
        else if (is(r, "/head")) cs_text(r, 200, "answered");
        else cs_proceed(r);
    }
    static int hold(cs_req *r) { cs_log(CS_INFO, "held %s", cs_info(r)->path.p); cs_req_after(r, 10, go_on, 0); return CS_PENDING; }
    static int pass(cs_req *r) { return is(r, "/access") ? hold(r) : CS_DECLINED; }
    static int handler(cs_req *r) {
        if (is(r, "/access")) return cs_text(r, 200, "passed");
        if (is(r, "/pieces")) { cs_start(r, 200, NULL, -1); cs_send(r, CS_S("one"), 0); }
        return hold(r);
    }
    CS_MODULE(.name = NAME, .version = "1.0", .help = "Holds requests.", .access = pass, .handler = handler);
"""
REFUSING = """
    [module:refused]
    file = @DIR@/refused.so
    [module:hold]
    file = @DIR@/hold.so
    [module:door]
    file = @DIR@/door.so
    [route:access]
    match = /access
    use = door, refused
    handler = hold
    [route:next]
    match = /next
    handler = hold, refused
    [route:head]
    match = /head
    use = refused
    handler = hold
    [route:pieces]
    match = /pieces
    use = refused
    handler = hold
    [route:own]
    match = /own
    handler = refused
    [route:body]
    match = /body
    handler = refused
"""


def test_quarantine_holds_for_requests_that_have_begun(serve, folder):
    """The module crashes in the primary; the only worker has requests that were on their way to it."""
    os.chmod(folder, 0o755)  # the workers look into it
    for name, code in (("refused", REFUSED), ("hold", HOLD), ("door", HOLD)):
        build_module(folder, name, code.replace("@DIR@", folder), f'-DNAME="{name}"')
    s = serve(REFUSING.replace("@DIR@", folder), server={"workers": 1, "quarantine": 1}, env=crash.QUIET,
              limits={"handler_timeout": "60s"})
    held = {path: s.connect() for path in ("/access", "/next", "/head", "/pieces", "/own", "/body")}
    for path, c in held.items():
        c.send(request(path) if path != "/body" else request(path, "POST", b"12345")[:-1])
        s.log_has(f"access called for {path}" if path in ("/own", "/body") else f"held {path}")
    s.log_has("handler called for /own")
    held["/pieces"].until(b"3\r\none\r\n")
    with open(f"{folder}/crash", "w", encoding="utf-8"):
        s.log_has("in quarantine after")
    before = len(s.log())
    with open(f"{folder}/go", "w", encoding="utf-8"):
        held["/body"].send(b"5")
    with held.pop("/pieces") as c:
        assert c.rest() == b""
    for path, c in held.items():
        with c:
            r = c.response()
            assert (path, r.status, r["retry-after"]) == (path, 503, "60")
            assert c.send(request(path)).response().status == 503
    assert "called for" not in s.log()[before:]
