"""cs_fetch and cs_subrequest, as callbacks and as tasks: what is asked, what comes back, what becomes of it when somebody goes."""
import os
import re
import threading
import urllib.parse

import pytest
from lib.origin import Origin, ok
from lib.server import OURSELVES, SOURCE, build_module, free_port, wait_for

SETTINGS = """
[module:fetcher]
file = {so}
[module:metrics]
[route:metrics]
match = = /metrics
handler = metrics
[module:hello]
[route:hello]
match = = /hello
handler = hello
[module:echo]
[route:echo]
match = = /echo
handler = echo
[route:fetch]
match = /
handler = fetcher
"""
WAYS = ["task", "callback"]


@pytest.fixture(scope="session")
def so(tmp_path_factory):
    with open(os.path.join(SOURCE, "tests/lib/modules/fetcher.c"), encoding="utf-8") as f:
        return build_module(str(tmp_path_factory.mktemp("fetcher")), "fetcher", f.read(), "-g")


@pytest.fixture
def fetcher(serve, so):
    def start(env=None, **server):
        return serve(SETTINGS.format(so=so), server={"workers": 1, **server}, env=env)
    return start


def metric(s, name):
    found = re.findall(rf"^{name}(?:{{.*}})? (\d+)$", s.get("/metrics").text, re.M)
    assert found, name
    return sum(map(int, found))


def path_of(way, url, **more):
    return f"/{way}?" + urllib.parse.urlencode({"url": url, **more})


def ask(s, way, url, fields=None, **more):
    """(result, status, length, why, body)"""
    answer = s.get(path_of(way, url, **more), headers=fields)
    assert answer.status == 200, answer
    found = re.fullmatch(r"(-?\d+) (\d+) (-?\d+) \[(.*?)\] (.*)", answer.text, re.S)
    return int(found[1]), int(found[2]), int(found[3]), found[4], found[5]


# ---- What comes back -----------------------------------------------------------------------------

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
ANSWERS = [
    ("length", ok(b"hello"), (0, 200, 5, "", "hello")),
    ("status", ok(b"no", "404 Not Found"), (0, 404, 2, "", "no")),
    ("chunked", CHUNKED, (0, 200, -1, "", "abcde")),
    ("to the end", b"HTTP/1.1 200 OK\r\n\r\nrest", (0, 200, -1, "", "rest")),
    ("no body", b"HTTP/1.1 204 No Content\r\n\r\n", (0, 204, 0, "", "")),
    ("interim", b"HTTP/1.1 103 Early Hints\r\n\r\n" + ok(b"x"), (0, 200, 1, "", "x")),
    ("cut", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", (-9, 200, 9, None, None)),
    ("nothing", b"", (-9, 0, -1, None, "")),
    ("no HTTP", b"hello\r\n\r\n", (-2, 0, -1, None, "")),
    ("two lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", (-2, 0, -1, None, "")),
]


@pytest.mark.parametrize("way", WAYS)
def test_answers(fetcher, way):
    s = fetcher()
    for label, answer, want in ANSWERS:
        def once(_, c, answer=answer):
            c.send(answer)
        with Origin(once) as o:
            got = ask(s, way, o.url + "/x")
            assert all(w is None or g == w for g, w in zip(got, want)), (label, got)
            assert bool(got[3]) == (want[0] != 0), (label, got)
            assert o.asked[0].line == "GET /x HTTP/1.1" and o.asked[0].field("host") == f"127.0.0.1:{o.port}"


@pytest.mark.parametrize("way", WAYS)
def test_what_cannot_be_asked(fetcher, way):
    s = fetcher()
    nobody = f"http://127.0.0.1:{free_port()}/"
    for url, more, result, why in [
            ("", {}, -2, "\"\": "), ("/x", {}, -2, "\"/x\": "), ("https://a/", {}, -2, "https"), ("ftp://a/", {}, -2, "ftp://a/"),
            ("http://a b/", {}, -2, "http://a b/"), ("http://u@a/", {}, -2, "user name"), (nobody, {}, -9, "refused"),
            ("http://a/", {"headers": "no colon here"}, -2, "colon"), ("http://a/", {"headers": "Host: b"}, -2, "Host"),
            ("http://a/", {"headers": "A: b\rC: d"}, -2, ""), ("http://a/", {"method": "GET /x"}, -2, ""),
            ("x", {"sub": 1}, -2, "begin with"), ("http://a/", {"sub": 1}, -2, "begin with")]:
        got = ask(s, way, url, **more)
        assert got[0] == result and got[1] == 0 and why in got[3] and got[3], (url, more, got)


@pytest.mark.parametrize("way", WAYS)
def test_what_is_sent(fetcher, way):
    s = fetcher()
    with Origin() as o:
        assert ask(s, way, o.url + "?a=1", fields={"X-Mine": "1", "Connection": "X-Mine"}, forward=1)[0] == 0
        assert ask(s, way, o.url + "/p", fields={"A": "b"}, method="PUT", body="words")[0] == 0
        first, second = o.asked
        assert first.line == "GET /?a=1 HTTP/1.1"
        assert first.field("x-mine") == "" and first.field("x-forwarded-for") == "127.0.0.1"
        assert first.field("x-forwarded-proto") == "http" and first.field("x-forwarded-host") == "127.0.0.1"
        assert second.line == "PUT /p HTTP/1.1" and second.body == b"words" and second.field("a") == ""
        assert o.connections == 1


@pytest.mark.parametrize("way", WAYS)
def test_fields(fetcher, way):
    s = fetcher()
    with Origin(lambda a, c: ok(b"x", fields="X-Mark: yes\r\n")) as o:
        path = path_of(way, o.url, headers="X-A: 1\nX-B:  2 \n", host="other.example", method="DELETE")
        assert s.get(path)["X-Mark"] == "yes"
        assert o.asked[0].method == "DELETE" and o.asked[0].field("host") == "other.example"
        assert (o.asked[0].field("x-a"), o.asked[0].field("x-b")) == ("1", "2")


@pytest.mark.parametrize("way", WAYS)
def test_limits(fetcher, way):
    s = fetcher()
    hold = threading.Event()

    def answer(asked, c):
        if asked.target == "/slow":
            hold.wait(60)
        if asked.target == "/half":
            c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
            hold.wait(60)
        return ok(b"x" * 2000)
    with Origin(answer) as o:
        assert ask(s, way, o.url, max=1999)[0] == -4
        assert ask(s, way, o.url, max=2000)[0] == 0
        assert ask(s, way, o.url + "/slow", timeout=100)[:2] == (-7, 0)
        assert ask(s, way, o.url + "/half", timeout=100)[:2] == (-7, 200)
        assert ask(s, way, o.url + "/half", idle=100)[:2] == (-7, 200)
        assert ask(s, way, o.url + "/half", idle=100, stream=1)[:2] == (-7, 200)
        hold.set()


@pytest.mark.parametrize("way", WAYS)
def test_pieces_come_as_they_are_taken(fetcher, way):
    s = fetcher()
    body = b"0123456789" * 20000
    with Origin(lambda a, c: ok(body)) as o:
        assert ask(s, way, o.url, stream=1)[4] == "200000 bytes"
        assert ask(s, way, o.url, stream=1, pause=2)[4] == "200000 bytes"
        assert ask(s, way, o.url, max=300000)[4] == body.decode()


# ---- Connections ---------------------------------------------------------------------------------

def test_connections_are_kept(fetcher):
    s = fetcher()
    with Origin() as o:
        for way in WAYS * 5:
            assert ask(s, way, o.url)[0] == 0
        assert o.connections == 1 and len(o.asked) == 10
        assert metric(s, "cserver_fetches_total") == 10 and metric(s, "cserver_fetch_reuses_total") == 9
        assert metric(s, "cserver_fetch_connections") == metric(s, "cserver_fetch_connections_idle") == 1
    wait_for(lambda: metric(s, "cserver_fetch_connections") == 0)


@pytest.mark.parametrize("method,times", [("GET", 2), ("PUT", 2), ("POST", 1)])
def test_a_kept_connection_that_was_closed(fetcher, method, times):
    """The server closes it when the second request comes, as one does whose time for idle connections is over just then."""
    s = fetcher()

    def answer(asked, c):
        first = c not in seen
        seen.append(c)
        return ok() if first else None
    seen = []
    with Origin(answer) as o:
        assert ask(s, "task", o.url, method=method)[0] == 0
        got = ask(s, "task", o.url, method=method)
        assert got[0] == (0 if times == 2 else -9), got
        assert len(o.asked) == 1 + times and o.connections == times
        assert metric(s, "cserver_fetch_repeats_total") == times - 1


def test_a_name_is_looked_up_while_it_runs(fetcher, folder):
    hosts = os.path.join(folder, "hosts")
    with Origin() as o, open(hosts, "w", encoding="utf-8") as f:
        f.write("127.0.0.1 backend.test\n")
        f.flush()
        s = fetcher(env={"CARES_HOSTS": hosts}, **OURSELVES)
        assert ask(s, "task", f"http://backend.test:{o.port}/")[0] == 0
        assert o.asked[0].field("host") == f"backend.test:{o.port}"


BALANCED = """
[listen:main]
address = 127.0.0.1:@PORT@
proxy_protocol = on
"""


def test_whom_a_proxy_header_names_is_told_on(serve, so):
    """Not the balancer: no field would have the client. A subrequest tells nobody twice."""
    s = serve(SETTINGS.format(so=so) + BALANCED, server={"workers": 1})
    with Origin() as o:
        inner = path_of("task", o.url, forward=1)
        for path in (inner, path_of("task", inner, sub=1), path_of("task", inner, sub=1, forward=1)):
            head = f"PROXY TCP4 192.0.2.7 192.0.2.1 1234 80\r\nGET {path} HTTP/1.1\r\nHost: x\r\n\r\n"
            assert s.exchange(head.encode()).status == 200
            assert o.asked[-1].field("x-forwarded-for") == "192.0.2.7", path


# ---- Somebody goes -------------------------------------------------------------------------------

@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("stage", ["head", "body", "stream", "sub"])
def test_the_client_goes(fetcher, way, stage):
    s = fetcher()
    hold = threading.Event()

    def answer(_, c):
        if stage in ("body", "stream"):
            c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
        hold.wait(60)
    with Origin(answer) as o:
        path = path_of(way, o.url, stream=int(stage == "stream"))
        if stage == "sub":
            path = path_of(way, path, sub=1)
        c = s.connect()
        c.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        wait_for(lambda: o.asked)
        c.reset()
        wait_for(lambda: metric(s, "cserver_fetch_connections") == 0)
        wait_for(lambda: metric(s, "fetcher_begun_total") == metric(s, "fetcher_ended_total"))
        assert metric(s, "fetcher_called_total") == 0
        hold.set()
    assert s.get("/hello").status == 200 and metric(s, "cserver_worker_crashes_total") == 0


def test_the_server_stops(fetcher):
    s = fetcher(shutdown_timeout="1s")
    hold = threading.Event()
    with Origin(lambda a, c: hold.wait(60) and None) as o:
        with s.connect() as one, s.connect() as two:
            for c, way in ((one, "task"), (two, "callback")):
                c.send(f"GET {path_of(way, o.url)} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            wait_for(lambda: len(o.asked) == 2)
            s.signal(15)
            assert s.wait() == 0
        hold.set()


# ---- Routes of this server -----------------------------------------------------------------------

@pytest.mark.parametrize("way", WAYS)
def test_subrequests(fetcher, way):
    s = fetcher(access_log="off")
    assert ask(s, way, "/hello", sub=1)[:2] == (0, 200)
    assert ask(s, way, "/echo", sub=1, method="POST", body="words")[4].endswith("words")
    assert ask(s, way, "/hello", sub=1, method="HEAD")[:2] == (0, 200)
    assert metric(s, "cserver_subrequests_total") == 3
    before = metric(s, "cserver_requests_total")
    ask(s, way, "/hello", sub=1)
    assert metric(s, "cserver_requests_total") == before + 2  # that of `ask`, and of the metrics before
    wait_for(lambda: metric(s, "cserver_connections") == 1)


@pytest.mark.parametrize("way", WAYS)
def test_subrequests_end_somewhere(fetcher, way):
    """Each asks for one more."""
    s = fetcher()
    path = "/hello"
    for _ in range(10):
        path = path_of(way, path, sub=1)
    assert s.get(path).text.count("0 200") == 10
    answer = s.get(path_of(way, path, sub=1)).text
    assert "-8 0" in answer and "10 deep" in answer, answer


def test_a_page_that_asks_for_itself(serve, folder):
    """Three times, each of which does the same: 10 deep that would be 88,572 subrequests."""
    so = build_module(folder, "again", """
        #include <cserver/cserver.h>
        static int handler(cs_req *r)
        {
            cs_fetching *f[3];
            int loops = 0;
            for (int i = 0; i < 3; i++)
                f[i] = cs_subrequest(r, NULL, NULL, .url = CS_S("/again"));
            if (cs_await_all(r, f, 3, 5000) < 0)
                return CS_CLOSED;
            for (int i = 0; i < 3; i++)
                loops += !cs_fetch_answer(f[i]) || cs_fetch_answer(f[i])->result == CS_LOOP;
            return cs_textf(r, 200, "%d\\n", loops);
        }
        CS_MODULE(.name = "again", .version = "1", .flags = CS_TASK, .handler = handler);
        """)
    s = serve(SETTINGS.replace("[module:fetcher]", "[module:again]").replace("= fetcher", "= again").format(so=so),
              server={"workers": 1})
    for times in (1, 2):
        assert s.get("/again").status == 200
        assert metric(s, "cserver_subrequests_total") == 200 * times
        assert s.log().count("does a page ask for itself?") == times


MISUSES = [
    ("streamed", ".streamed = 1", "cs_await_fetch waits for a streamed answer"),
    ("follows", ".body_follows = 1, .body_len = -1", "cs_await_fetch waits for the answer to a body that nobody sends"),
    ("piece", "", "cs_await_piece is for fetches with .streamed = 1"),
    ("body", "", "cs_await_body is for handlers"),
    ("null", "", "cs_sleep was called where nothing may wait"),
]


@pytest.mark.parametrize("name,opts,said", MISUSES, ids=[m[0] for m in MISUSES])
def test_what_would_never_come_is_refused(serve, folder, name, opts, said):
    wait = {"piece": "rc = cs_await_piece(r, f, &piece);", "body": "rc = cs_await_body(r, &piece);", "null": "rc = cs_sleep(NULL, 1);"}
    with Origin() as o:
        so = build_module(folder, "misuse", f"""
            #include <cserver/cserver.h>
            static int handler(cs_req *r)
            {{
                cs_str piece = CS_S("");
                int rc = CS_OK;
                cs_fetching *f = cs_fetch(r, NULL, NULL, .url = CS_S("{o.url}"){", " + opts if opts else ""});
                {wait.get(name, "rc = cs_await_fetched(r, f)->result;")}
                (void)piece;
                return cs_textf(r, 200, "%d", rc);
            }}
            CS_MODULE(.name = "misuse", .version = "1", .flags = CS_TASK, .handler = handler);
            """)
        s = serve(SETTINGS.replace("[module:fetcher]", "[module:misuse]").replace("= fetcher", "= misuse").format(so=so),
                  server={"workers": 1})
        assert s.post("/", b"abc").text == "-2"
        s.log_has(said)


def test_a_task_that_does_not_look(serve, folder):
    """It goes on waiting when nobody wants it any more: the log says what it has missed."""
    so = build_module(folder, "blind", """
        #include <cserver/cserver.h>
        static int handler(cs_req *r)
        {
            for (int i = 0; i < 3000; i++)
                (void)!cs_sleep(r, 100);
            return CS_ERROR;
        }
        CS_MODULE(.name = "blind", .version = "1", .flags = CS_TASK, .handler = handler);
        """)
    s = serve(SETTINGS.replace("[module:fetcher]", "[module:blind]").replace("= fetcher", "= blind").format(so=so),
              server={"workers": 1}, limits={"handler_timeout": "300ms"})
    assert s.get("/").status == 504
    s.log_has("goes on and on waiting though cs_sleep says CS_CLOSED: look at each result")
    assert s.get("/hello").status == 200


def test_a_subrequest_has_its_clients_address_and_no_line_in_the_log(fetcher):
    s = fetcher(access_log="access.log", access_format="combined")
    with Origin() as o:
        inner = path_of("task", o.url, forward=1)
        assert ask(s, "task", inner, sub=1)[0] == 0
        assert o.asked[0].field("x-forwarded-for") == "127.0.0.1"
    wait_for(lambda: "/task" in s.read("access.log"))
    assert s.get("/hello").status == 200
    wait_for(lambda: "/hello" in s.read("access.log"))
    assert len(s.read("access.log").splitlines()) == 2


SITES = """
    [site:a]
    host = a.test
    [site:b]
    host = b.test
    [module:fetcher]
    file = {so}
    [module:return]
    [route:a]
    site = a
    match = = /who
    handler = return
    status = 200
    text = site a
    [route:b]
    site = b
    match = = /who
    handler = return
    status = 200
    text = site b
    [route:fetch]
    site = a
    match = /
    handler = fetcher
"""


def test_a_subrequest_goes_to_the_site_of_its_request(serve, so):
    """Whatever the client says in Host: the target counts where it names a host."""
    s = serve(SITES.format(so=so), server={"workers": 1})
    path = path_of("task", "/who", sub=1)
    for head in (f"GET {path} HTTP/1.1\r\nHost: a.test\r\n", f"GET http://a.test{path} HTTP/1.1\r\nHost: b.test\r\n",
                 f"GET http://a.test:81{path} HTTP/1.1\r\nHost: b.test:82\r\n", f"GET {path} HTTP/1.0\r\nHost: a.test\r\n"):
        with s.connect() as c:
            c.send(head.encode() + b"\r\n")
            assert c.response().text.endswith("site a"), head
    other = path_of("task", "/who", sub=1, host="b.test")
    assert s.get(other, headers={"Host": "a.test"}).text.endswith("site b")


def test_a_request_with_as_many_fields_as_it_may_have_can_be_passed_on(fetcher):
    s = fetcher()
    fields = "".join(f"X-{i}: {i}\r\n" for i in range(98))
    with Origin() as o:
        for path in (path_of("task", o.url, forward=1), path_of("task", "/hello", sub=1, forward=1)):
            with s.connect() as c:
                c.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n{fields}\r\n".encode())
                assert c.response().text.startswith("0 200"), path


def test_a_subrequest_waits_for_who_has_asked(serve, so):
    """write_timeout is for clients: the task pauses for longer than that."""
    big = "[module:static]\n[route:big]\nmatch = = /big.bin\nhandler = static\n"
    s = serve(SETTINGS.format(so=so) + big, server={"workers": 1}, limits={"write_timeout": "300ms"}, www={"big.bin": "x" * 1_000_000})
    assert ask(s, "task", "/big.bin", sub=1, stream=1, pause=5)[4] == "1000000 bytes"
    with s.connect() as c:
        c.send(f"GET {path_of('task', '/big.bin', sub=1, stream=1, pause=1200)} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert c.is_silent(1)
        c.reset()
    assert "takes nothing" not in s.log()


def test_the_fetch_of_another_request_is_not_waited_for(serve, folder):
    with Origin(lambda a, c: threading.Event().wait(60) and None) as o:
        so = build_module(folder, "thief", f"""
            #include <cserver/cserver.h>
            static cs_fetching *kept;
            static int handler(cs_req *r)
            {{
                if (!kept) {{
                    kept = cs_fetch(r, NULL, NULL, .url = CS_S("{o.url}"));
                    return cs_await_fetched(r, kept)->result;
                }}
                return cs_textf(r, 200, "%d %d", cs_await_fetched(r, kept)->result, cs_await_all(r, &kept, 1, 1000));
            }}
            CS_MODULE(.name = "thief", .version = "1", .flags = CS_TASK, .handler = handler);
            """)
        s = serve(SETTINGS.replace("[module:fetcher]", "[module:thief]").replace("= fetcher", "= thief").format(so=so),
                  server={"workers": 1})
        with s.connect() as c:
            c.send(b"GET /one HTTP/1.1\r\nHost: x\r\n\r\n")
            wait_for(lambda: o.asked)
            assert s.get("/two").text == "-2 -2"
            s.log_has("a task can only wait for what its own request has asked for")
            c.reset()
