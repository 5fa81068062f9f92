"""Error pages: which one comes, who makes it, and what becomes of those who were at work. tests/lib/modules/jumper.c does
what the query says, and tells how a request looks to it."""
import re
import shutil
import tempfile

import pytest
from lib.server import SOURCE, Server, build_module, wait_for

CONF = """
    [module:jumper]
    file = {0}/jumper.so
    [module:page]
    file = {0}/page.so
    [module:hello]
    [site:a]
    root = @DIR@/www
    use = jumper
    jumper.say = site
    error_pages = 404 /404.html, 500 502 413 /tell?a=1, 5xx /50x.html, 410 /not/there.html, 411 /page?do=decline
        412 /page?do=fail&status=501, 414 /page?do=own&status=403, 415 /page?do=fields&status=404, 416 /page?do=redirect, 418 /page?do=later
        422 /guarded?access=403, 423 /page?do=never, 424 /page?do=pieces, 426 /page?do=status&status=200
        428 /page?do=detach, 429 /page?do=stream_body, 431 /page?do=leave_traces&status=404, 451 /page?filter=1
    [route:work]
    match = /work
    handler = jumper
    jumper.say = work
    [route:other]
    match = /other
    handler = jumper
    error_pages = 404 /tell?other, 500 off, 4xx /410.html
    [route:tell]
    match = /tell
    handler = page
    page.say = told
    [route:guarded]
    match = /guarded
    use = page
    handler = hello
    greeting = no access hooks
    [route:page]
    match = /page
    handler = page
    jumper.say = page's own
    [route:greeting]
    match = /greeting
    handler = hello
    greeting = a page of its own
"""
WWW = {"404.html": "<p>lost</p>", "50x.html": "<p>broken</p>", "410.html": "<p>gone</p>", "x.txt": "x"}


@pytest.fixture(scope="module")
def modules():
    folder = tempfile.mkdtemp(prefix="cs-")
    with open(f"{SOURCE}/tests/lib/modules/jumper.c", encoding="utf-8") as f:
        text = f.read()
    for name in ("jumper", "page"):
        build_module(folder, name, text, f'-DNAME="{name}"')
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def server(modules):
    s = Server(CONF.format(modules), server={"workers": 1, "log_level": "info"},
               limits={"handler_timeout": "60s", "max_body": "1m"}, www=WWW)
    s.start()
    yield s
    faults = s.end()
    assert not faults, "\n".join(faults)
    # The modules complain on their own.
    assert not re.search(r"has fired|can be answered|still leads|could answer", s.log())


def ask(server, target, method="GET", body=b"", more=""):
    head = f"{method} {target} HTTP/1.1\r\nHost: a\r\n{more}"
    if body:
        head += f"Content-Length: {len(body)}\r\n"
    return server.exchange(head.encode() + b"\r\n" + body, method)


@pytest.mark.parametrize("target, status, text", [
    ("/missing", 404, "<p>lost</p>"),
    ("/missing?x=1", 404, "<p>lost</p>"),
    ("/404.html", 200, "<p>lost</p>"),
    ("/work?do=status&status=404", 404, "<p>lost</p>"),
    ("/work?do=fail&status=404", 404, "<p>lost</p>"),
    ("/work?do=fail_twice&status=404", 404, "<p>lost</p>"),
    ("/work?do=timer&status=404", 404, "<p>lost</p>"),
    ("/work?do=job&status=404", 404, "<p>lost</p>"),
    ("/work?do=detach&status=404", 404, "<p>lost</p>"),
    ("/work?do=decline", 404, "<p>lost</p>"),
    ("/work?access=404", 404, "<p>lost</p>"),
    ("/work?do=status&status=503", 503, "<p>broken</p>"),
    ("/other?do=status&status=404", 404, "page told: GET /tell?other target /other?do=status&status=404 "
                                         "route tell ctx 0/1 body 0/0"),
    ("/other?do=status&status=403", 403, "<p>gone</p>"),
    ("/other?do=status&status=410", 410, "<p>gone</p>"),
    ("/other?do=status&status=500", 500, "500 Internal Server Error"),
    ("/other?do=status&status=502", 502, "page told: GET /tell?a=1 target /other?do=status&status=502 "
                                         "route tell ctx 0/1 body 0/0"),
    ("/work?do=own&status=404", 404, "my own words"),
    ("/work?do=status&status=418", 418, "page nothing: GET /page?do=later target /work?do=status&status=418 "
                                        "route page ctx 0/1 body 0/0"),
    ("/work?do=leave_traces&status=418", 418, "GET /page?do=later"),
    ("/work?do=leave_traces&status=424", 424, "piece by piece"),
    ("/work?do=status&status=414", 414, "my own words"),
    ("/work?do=status&status=426", 426, "426 Upgrade Required"),
    ("/work?do=status&status=410", 410, "410 Gone"),
    ("/work?do=status&status=411", 411, "411 Length Required"),
    ("/work?do=status&status=412", 412, "412 Precondition Failed"),
    ("/work?do=status&status=428", 428, "428 Precondition Required"),
    ("/work?do=status&status=429", 429, "429 Too Many Requests"),
    ("/work?do=status&status=431", 431, "431 "),
    ("/work?do=status&status=451", 451, "page nothing: GET /page?filter=1"),
    ("/work?do=status&status=422", 422, "no access hooks"),
    ("/work?do=status&status=403", 403, "403 Forbidden"),
    ("/work?filter=1", 500, "page told: GET /tell?a=1 target /work?filter=1"),
], ids=str)
def test_which_page(server, target, status, text):
    r = ask(server, target)
    assert (r.status, text in r.text) == (status, True), r
    assert not r["etag"] or status == 200
    assert r["transfer-encoding"] or r["content-length"] == str(len(r.body))


@pytest.mark.parametrize("method, text", [("HEAD", ""), ("POST", "<p>lost</p>"), ("DELETE", "<p>lost</p>"), ("FROB", "")])
def test_every_method(server, method, text):
    r = ask(server, "/missing", method)
    want = 501 if method == "FROB" else 404
    assert r.status == want and (text in r.text if text else True)
    if method == "HEAD":
        assert r["content-length"] == "11" and not r.body


def test_a_redirect_is_one(server):
    r = ask(server, "/work?do=status&status=416")
    assert (r.status, r["location"]) == (302, "/login")


def test_fields_of_before(server):
    """What the request has been told stays, but for what describes the body that is not sent."""
    r = ask(server, "/work?do=fields&status=404")
    assert r.status == 404 and r["x-kept"] == "yes" and r["content-type"] == "text/html; charset=utf-8"
    assert r["content-language"] is None and r["cache-control"] == "max-age=1000"
    r = ask(server, "/work?do=fields&status=503")
    assert r.text == "<p>broken</p>" and r["x-kept"] == "yes" and r["cache-control"] is None


def test_fields_of_a_page_that_fails(server):
    r = ask(server, "/work?do=status&status=415")
    assert r.status == 415 and "415 Unsupported Media Type" in r.text
    assert r["x-kept"] is None and r["cache-control"] is None


def test_filters_and_log_are_the_request_s_own(server):
    mark = len(server.log())
    r = ask(server, "/work?do=status&status=418", "PUT")
    assert r.all("x-filter") == ["jumper work PUT /work 418 ctx 1"]
    wait_for(lambda: "logged work PUT /work?do=status&status=418 418" in server.log()[mark:])
    assert "page's own" not in server.log()[mark:]


def test_what_has_failed_is_told(server):
    mark = len(server.log())
    for status, came in ((410, 404), (411, 404), (412, 501)):
        ask(server, f"/work?do=status&status={status}")
        wait_for(lambda s=status, c=came: re.search(rf"the error page /\S+ for {s} came to {c}", server.log()[mark:]))


# ---- The body of the request ----

@pytest.mark.parametrize("do, size", [("status", 10), ("status", 60000), ("status", 300000), ("stream_body", 10),
                                      ("stream_body", 300000), ("timer", 5000)])
def test_a_body_in_between(server, do, size):
    """It is none of the page's, and what follows on the connection is a request again, where it goes on."""
    with server.connect() as c:
        head = f"POST /work?do={do}&status=418 HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n"
        c.send(head.encode() + b"x" * size)
        r = c.response()
        assert r.status == 418 and r.text.endswith("body 0/0") and "GET /page?do=later" in r.text
        if r["connection"] != "close":
            c.send(b"GET /x.txt HTTP/1.1\r\nHost: a\r\n\r\n")
            assert c.response().text == "x"


def test_a_body_that_is_too_large(server):
    r = ask(server, "/work?do=tell", "POST", b"x" * 10, "Content-Length: 2000000\r\n".replace("Content-Length", "X-No"))
    assert r.status == 200
    with server.connect() as c:
        c.send(b"POST /work HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n")
        r = c.response()
        assert (r.status, r["connection"]) == (413, "close") and "page told: GET /tell?a=1" in r.text
        assert c.eof()


def test_pipelined(server):
    """Pages that come at once and later, in the order of the requests."""
    targets = ["/missing", "/work?do=status&status=418", "/x.txt", "/work?do=timer&status=404", "/work?do=status&status=410"]
    with server.connect() as c:
        c.send(b"".join(f"GET {t} HTTP/1.1\r\nHost: a\r\n\r\n".encode() for t in targets))
        assert [c.response().status for _ in targets] == [404, 418, 200, 404, 410]


def test_the_past_has_no_say(server):
    """Neither by a timer, nor by a token, nor by the pointer."""
    mark = len(server.log())
    r = ask(server, "/work?do=leave_traces&status=418")
    assert r.status == 418 and "GET /page?do=later" in r.text
    wait_for(lambda: "the past was" in server.log()[mark:])


def leave(server, status):
    """A client that goes while the page is being made."""
    with server.connect() as c:
        c.send(f"GET /work?do=status&status={status} HTTP/1.1\r\nHost: a\r\n\r\n".encode())


def test_clients_that_leave(server):
    for _ in range(5):
        leave(server, 418)
    assert ask(server, "/missing").status == 404


def test_time_is_up(modules):
    """First for the handler, then for the page."""
    text = CONF.format(modules).replace("5xx /50x.html", "504 /page?do=later, 503 /page?do=never")
    s = Server(text, server={"workers": 1}, limits={"handler_timeout": "300ms"}, www=WWW).start()
    r = ask(s, "/work?do=never")
    assert r.status == 504 and "GET /page?do=later" in r.text
    r = ask(s, "/work?do=status&status=503")
    assert r.status == 503 and "503 Service Unavailable" in r.text
    leave(s, 503)
    assert "came to 504" in s.log() and not re.search(r"has fired|still leads|could answer", s.log())
    assert not s.end()


# ---- Settings ----

@pytest.mark.parametrize("value, word", [
    ("404", "names no page"),
    ("/404.html", "has no status"),
    ("404 404.html", "names no page"),
    ("302 /x", "no status: 400 to 599"),
    ("600 /x", "no status"),
    ("3xx /x", "no status"),
    ("404 gone /x", "no status"),
    ("404 /../x", "leads above the root"),
    ("404 /x#y", "never reaches a server"),
    ("404 /x%zz", "without two hex digits"),
    ("404 /a, 404 /b", "404 has two pages"),
    ("4xx /a, 404 403 4xx /b", "4xx has two pages"),
    ("404 https://example.com/", "names no page"),
])
@pytest.mark.parametrize("section", ["site", "route"])
def test_settings_refused(serve, section, value, word):
    site, route = (f"error_pages = {value}" if section == s else "" for s in ("site", "route"))
    s = serve(f"[module:hello]\n[site:a]\n{site}\n[route:r]\nmatch = /r\nhandler = hello\n{route}\n", start=False)
    done = s.run("-c", s.conf, "-t")
    assert done.returncode == 78 and word in done.stderr and re.search(r":\d+:\d+: ", done.stderr), done.stderr


@pytest.mark.parametrize("more, warned", [
    ("", ["/none.html"]),
    ("[route:n]\nmatch = /none.html\nhandler = hello\n", []),
    ("[route:n]\nmatch = = /none\nhandler = hello\n", ["/none.html"]),
    ("[route:n]\nmatch = ~ x\nhandler = hello\n", []),
    ("[route:n]\nmatch = /n\nhandler = hello\nerror_pages = 410 /gone/page, 404 off, 4xx /a.html\n", ["/none.html", "/gone/page"]),
])
def test_pages_that_are_not_there(serve, more, warned):
    """They are no mistake, since they may come later: -t warns."""
    s = serve(f"[module:hello]\n[site:a]\nroot = @DIR@/www\nerror_pages = 404 /none.html, 500 502 /a.html\n{more}",
              www={"a.html": "a"}, start=False)
    done = s.run("-c", s.conf, "-t")
    assert done.returncode == 0
    assert re.findall(r":\d+:\d+: warning: error_pages: (\S+) is no file below \S+/www, and no route of \[site:a\]", done.stderr) == warned
