"""cserver explain: what it says of a request, and that a server does the same. tests/http/explain_same_test.py is for many."""
import json
import os
import re
import shlex
import subprocess

import pytest

from lib.server import LIMIT, PROGRAM, SOURCE

CONF = r"""
    [listen:main]
    address = 127.0.0.1:@PORT@
    [listen:side]
    address = unix:@DIR@/side.sock
    [module:echo]
    [module:hello]
    [module:access]
    [module:headers]
    [module:redirect]
    [module:ratelimit]
    [site:main]
    host = main.test, *.main.test
    root = www
    use = headers
    set = X-Site: ${site}
    [site:rest]
    listen = main
    host = *
    root = www
    [site:side]
    listen = side
    host = side.test
    [route:user]
    site = main
    match = ~ ^/user/(?<id>\d+)$
    handler = hello
    [route:post]
    site = main
    match = /api
    methods = POST
    headers = X-Key
    handler = echo
    [route:about]
    site = main
    match = = /about
    handler = redirect
    to = /index.html
    [route:inner]
    site = main
    match = /inner
    use = access
    allow = 10.0.0.0/8
    handler = hello
    add = X-Inner: yes
    max_body = 1k
    set = X-Site-Inner: 1
"""
WWW = {"index.html": "<p>hello\n", "a.txt": "text\n", "sub/index.html": "sub\n"}


@pytest.fixture(scope="module")
def server(shared):
    return lambda: shared(CONF, www=WWW)


def explain(s, request, *more, code=0):
    r = s.run("explain", request, "-c", s.conf, *more)
    assert r.returncode == code, r.stdout + r.stderr
    return r


def told(s, request, *more):
    return json.loads(explain(s, request, "--json", *more).stdout)


# request, options, what the object has (dots lead into it)
ROWS = [
    ("http://main.test/", {}, {"site.label": "main", "site.why": "its host main.test", "status": 200,
                               "handler": "static", "route": "", "client": "127.0.0.1"}),
    ("http://a.main.test/", {}, {"site.label": "main", "site.why": "its host *.main.test"}),
    ("http://MAIN.test./", {}, {"site.label": "main"}),
    ("http://other.test/", {}, {"site.label": "rest", "site.why": "its host *, for names that no other site has"}),
    ("/", {"headers": ["Host: main.test"]}, {"site.label": "main"}),
    ("main.test/a.txt?x=1", {}, {"site.label": "main", "path": "/a.txt", "query": "x=1", "status": 200}),
    ("http://main.test", {}, {"path": "/"}),
    ("http://main.test/%75ser//7", {}, {"path": "/user/7", "route": "user", "searches.0.captures.id": "7"}),
    ("http://main.test/user/x", {}, {"route": "", "searches.0.near.0.verdict": "differs"}),
    ("http://main.test/About", {}, {"route": "", "searches.0.near.0.label": "about", "searches.0.near.0.verdict": "near"}),
    ("http://main.test/about/", {}, {"route": "", "searches.0.near.0.label": "about"}),
    ("http://main.test/about", {}, {"status": 302, "location": "/index.html", "handler": "redirect"}),
    ("GET http://main.test/api", {}, {"status": 404, "searches.0.near.0.verdict": "header"}),
    ("GET http://main.test/api", {"headers": ["X-Key: 1"]}, {"status": 405, "searches.0.near.0.verdict": "method"}),
    ("POST http://main.test/api", {}, {"route": "", "searches.0.near.0.verdict": "header"}),
    ("POST http://main.test/api", {"headers": ["X-Key: 1"]}, {"route": "post", "handler": "echo", "status": None}),
    ("http://main.test/inner", {}, {"route": "inner", "status": 403, "handler": "access"}),
    ("http://main.test/inner", {"client": "10.1.2.3"}, {"route": "inner", "handler": "hello", "client": "10.1.2.3"}),
    ("http://main.test/inner", {"client": "::ffff:10.1.2.3"}, {"handler": "hello", "client": "10.1.2.3"}),
    ("http://main.test/inner", {"client": "2001:db8::1"}, {"status": 403, "client": "2001:db8::1"}),
    ("POST http://main.test/inner", {"headers": ["Content-Length: 2000"]}, {"status": 413, "limits.0.value": "1k"}),
    ("POST http://main.test/a.txt", {"headers": ["Content-Length: 2000"]}, {"status": 405, "limits.0.value": "1m"}),
    ("http://main.test/../x", {}, {"status": 400}),
    ("http://main.test/%zz", {}, {"status": 400}),
    ("http://main.test/a b", {}, {"status": 400}),
    ("http://main.test/sub", {}, {"status": 301, "location": "/sub/"}),
    ("http://main.test/none", {}, {"status": 404, "handler": ""}),
    ("HEAD http://main.test/a.txt", {}, {"status": 200}),
    ("http://main.test/a.txt", {"headers": ["Range: bytes=0-1"]}, {"status": 206}),
    ("PROPFIND http://main.test/a.txt", {}, {"status": 501}),
    ("http://side.test/", {"listen": "side"}, {"listener.label": "side", "listener.why": "by --listen",
                                                 "client": "unix:", "site.label": "side"}),
    ("http://side.test/", {}, {"listener.label": "side", "status": 404}),
    ("OPTIONS *", {}, {"status": 200}),
]


def at(value, path):
    for step in path.split("."):
        value = value[int(step)] if isinstance(value, list) else value.get(step)
    return value


def in_lines(s, lines, code=0):
    r = subprocess.run([PROGRAM, "explain", "-", "-c", s.conf], input="\n".join(lines), text=True, cwd=s.folder,
                       env=s.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=LIMIT, check=False)
    assert r.returncode == code, r.stdout + r.stderr
    return [json.loads(text) for text in r.stdout.splitlines()]


@pytest.fixture(scope="module")
def answers(server):
    """One process for all rows."""
    return in_lines(server(), [json.dumps({"request": request, **options}) for request, options, _ in ROWS])


@pytest.mark.parametrize("row", range(len(ROWS)), ids=[f"{r} {o}" if o else r for r, o, _ in ROWS])
def test_rows(answers, row):
    expected = ROWS[row][2]
    assert {key: at(answers[row], key) for key in expected} == expected


def test_options_are_the_same(server):
    s = server()
    x = told(s, "POST http://main.test/api", "-H", "X-Key: 1", "-H", "X-Forwarded-For: 1.2.3.4", "--client", "10.1.2.3",
             "-l", "main", "--user", "jo")
    assert (x["route"], x["client"], x["listener"]["label"]) == ("post", "10.1.2.3", "main")


def test_the_listener_is_that_of_the_port(server):
    s = server()
    x = told(s, f"http://main.test:{s.port}/")
    assert x["listener"]["label"] == "main" and x["listener"]["why"] == "by its port"
    assert x["listener"]["at"].endswith(f":{line(s, '[listen:main]')}")


def line(s, text):
    return s.read(s.conf).split("\n").index(text) + 1


def test_fields_have_their_origin(server):
    s = server()
    x = told(s, "http://main.test/inner", "--client", "10.0.0.1")
    by = {h["name"]: h for h in x["headers"]}
    assert by["X-Site"]["value"] == "main" and by["X-Site"]["by"] == "headers"
    assert by["X-Site"]["at"].endswith(f":{line(s, 'set = X-Site: ${site}')}")
    assert by["X-Inner"]["at"].endswith(f":{line(s, 'add = X-Inner: yes')}")
    assert by["Server"]["by"] == "server"


def test_near_each_other(serve):
    """Routes that differ by a number are no news where one of them was meant, and few are enough where none was."""
    s = serve("[module:hello]\n" + "".join(
        f"[route:old{i}]\nmatch = = /old{i}.php\nhandler = hello\n" for i in range(30)), start=False)
    assert told(s, "/old7.php")["searches"][0]["near"] == []
    assert [n["label"] for n in told(s, "/oldx.php")["searches"][0]["near"]] == ["old0", "old1", "old2"]


FORWARDED = [  # listener's keys, field, who is told of, why
    ("", "X-Forwarded-For: 192.0.2.1", "10.0.0.1", "X-Forwarded-For does not count: [listen:main] has nobody in trusted"),
    ("trusted = 10.0.0.2", "X-Forwarded-For: 192.0.2.1", "10.0.0.1", "X-Forwarded-For does not count: 10.0.0.1 is not in trusted"),
    ("trusted = 10.0.0.1", "X-Forwarded-For: 192.0.2.1", "192.0.2.1", "X-Forwarded-For of 10.0.0.1 says so"),
    ("trusted = 10.0.0.1", "X-Forwarded-For: who knows", "10.0.0.1", "X-Forwarded-For has no address at its end"),
    ("trusted = 10.0.0.1", "Forwarded: for=192.0.2.1", "10.0.0.1", "Forwarded does not count: client_from says so"),
    ("trusted = 10.0.0.1\nclient_from = Forwarded", "Forwarded: for=192.0.2.1", "192.0.2.1", "Forwarded of 10.0.0.1 says so"),
    ("trusted = 10.0.0.1\nproxy_protocol = on", "X-Forwarded-For: 192.0.2.1", "10.0.0.1",
     "X-Forwarded-For does not count: client_from says so"),
    ("trusted = 10.0.0.1", "X-Other: 1", "10.0.0.1", ""),
]


@pytest.mark.parametrize("row", FORWARDED, ids=[f"{keys} {field}" for keys, field, _, _ in FORWARDED])
def test_who_the_client_is(serve, row):
    keys, field, client, why = row
    s = serve(f"[listen:main]\naddress = 127.0.0.1:@PORT@\n{keys}\n[module:hello]\n[route:a]\nmatch = /\nhandler = hello\n",
              start=False)
    x = told(s, "/", "-H", field, "--client", "10.0.0.1")
    assert (x["client"], x.get("client_why", "")) == (client, why)
    assert f"{client}{': ' if why else ''}{why}\n" in explain(s, "/", "-H", field, "--client", "10.0.0.1").stdout


def test_a_rate_reads_as_it_is_written(serve):
    s = serve("[module:hello]\n[module:ratelimit]\n[route:a]\nmatch = /\nuse = ratelimit\nhandler = hello\n"
              "requests = 3\nper = 1h\n", start=False)
    assert "3 requests in 1h, 3 at once" in explain(s, "/").stdout


def test_for_eyes(server):
    s = server()
    text = explain(s, "POST http://main.test/api").stdout
    assert "header X-Key is missing" in text and "post, match = /api" in text
    assert f":{line(s, 'headers = X-Key')}" in text
    assert "max_body = 1m" in text
    text = explain(s, "http://main.test/a.txt").stdout
    assert s.path("www/a.txt") in text
    assert "200 by static" in text


BAD = [
    (["GET http://ma in:x/"], 2, "is no host and port"),
    (["get http://main.test/"], 2, "capital letters"),
    (["http://main.test/", "-H", "X"], 2, "no header field"),
    (["http://main.test/", "-H", "X: a\r\nY: b"], 2, "no header field"),
    (["http://main.test/\r\nX: y"], 2, "control bytes"),
    (["http://main.test/", "--client", "here"], 2, "is no address"),
    (["http://main.test/", "--listen", "nix"], 2, "there is no [listen:nix]; there is [listen:main], [listen:side]"),
]


@pytest.mark.parametrize("args, code, text", BAD, ids=[" ".join(a) for a, _, _ in BAD])
def test_what_is_no_request(server, args, code, text):
    r = explain(server(), *args, code=code)
    assert text in r.stderr and not r.stdout


def test_settings_that_are_refused(server):
    s = server()
    s.write("bad.ini", "[server]\nwokers = 4\n")
    r = s.run("explain", "/", "-c", s.path("bad.ini"))
    assert r.returncode == 78 and not r.stdout
    assert "bad.ini:2:1: error: unknown key" in r.stderr and "settings are refused" in r.stderr


def test_lines_of_standard_input(server):
    s = server()
    lines = [
        "http://main.test/a.txt",
        json.dumps({"request": "POST http://main.test/api", "headers": ["X-Key: ä \"q\""], "client": "10.0.0.1"}),
        "",
        '{"no": "request"}',
        json.dumps({"request": "http://side.test/", "listen": "side"}),
        "not one",
        json.dumps({"request": "http://main.test/", "headers": {"X-Key": "1"}}),
        "GET http://main.test/a.txt HTTP/1.1",
    ]
    got = in_lines(s, lines, code=2)
    assert ["error" if "error" in x else x["path"] for x in got] == [
        "/a.txt", "/api", "error", "/", "error", "error", "/a.txt"]
    assert got[1]["route"] == "post" and got[1]["client"] == "10.0.0.1"
    assert "has no \"request\"" in got[2]["error"]
    assert "is an array" in got[5]["error"]
    assert got[6]["status"] == 200


def test_all_settings_have_their_origin(server):
    s = server()
    done = s.run("-T", "-c", s.conf)
    assert done.returncode == 0, done.stderr
    for key in ("methods = POST", "headers = X-Key", "allow = 10.0.0.0/8", "max_body = 1k", "set = X-Site: ${site}"):
        assert re.search(rf"^(\w+\.)?{re.escape(key)} ; \S+cserver\.ini:{line(s, key)}$", done.stdout, re.M), key


def page_blocks():
    with open(os.path.join(SOURCE, "docs/explain.md"), encoding="utf-8") as f:
        return re.findall(r"^```(ini|console)\n(.*?)^```$", f.read(), re.M | re.S)


def test_the_page_shows_what_it_prints(serve):
    """docs/explain.md: "..." alone is for any number of lines."""
    (first, settings), *asks = page_blocks()
    assert first == "ini" and len(asks) >= 3
    s = serve("", files={"www/app.html": "app\n", "www/404.html": "gone\n"}, start=False)
    s.write("conf/cserver.ini", settings)
    for _, shown in asks:
        command, *lines = shown.splitlines()
        words = shlex.split(command)
        assert words[:3] == ["$", "cserver", "explain"]
        done = s.run(*words[2:])
        pattern = "".join(r"(?:.*\n)*?" if text == "..." else re.escape(text) + r"\n" for text in lines)
        assert re.fullmatch(pattern, done.stdout), done.stdout + done.stderr


def test_nothing_is_started_or_counted(server):
    """The address is in use by the server, and its log grows no line."""
    s = server()
    before = s.log()
    told(s, "http://main.test/none")
    assert s.log() == before


def test_the_debug_log_has_the_same(serve):
    s = serve("""
        [module:hello]
        [route:hello]
        match = /hello
        handler = hello
    """, server={"log_level": "debug"})
    assert s.get("/hello/x").status == 200
    assert s.log_has("path /hello/x; route hello")
    assert "hello (handler) answers with 200" in s.log()
