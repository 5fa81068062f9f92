"""Requests that go on with another path: rewrites, and cs_jump. tests/lib/modules/jumper.c tells how a request looks to
it."""
import re
import shutil
import tempfile

import pytest
from lib.server import SOURCE, Server, build_module, wait_for

CONF = r"""
    [module:jumper]
    file = {0}/jumper.so
    [module:page]
    file = {0}/page.so
    [module:hello]
    [site:a]
    root = @DIR@/www
    [route:tell]
    match = /tell
    handler = page
    [route:work]
    match = /work
    use = jumper
    handler = page
    jumper.say = work
    [route:closed]
    match = /closed
    use = jumper
    handler = page
    [route:from]
    match = /from
    use = page
    handler = jumper
    [route:plain]
    match = /plain
    rewrite = /tell
    [route:query]
    match = /query
    rewrite = /tell?x=1
    [route:no_query]
    match = /no_query
    rewrite = /tell?
    [route:more]
    match = /more
    rewrite = /tell?${query}&y=2
    [route:named]
    match = ~ ^/user/(?<name>[^/]*)/?(.*)$
    rewrite = /tell/${capture.name}/${capture.2}?from=${path}
    [route:rest]
    match = /old/
    rewrite = /tell/new/${capture.rest}
    [route:bare]
    match = ~ ^/bare/?(.*)$
    rewrite = ${capture.1}
    [route:by_query]
    match = /by_query
    rewrite = /tell/${query.p}
    [route:twice]
    match = /twice
    rewrite = /plain/again
    [route:circle]
    match = = /circle
    rewrite = /square
    [route:square]
    match = = /square
    rewrite = /circle
    [route:itself]
    match = /itself
    rewrite = /itself/more
    [route:file]
    match = = /file
    rewrite = /there.txt
    [route:guarded]
    match = = /guarded
    rewrite = /closed/x?access=403
    [route:post]
    match = = /form
    methods = POST
    rewrite = /tell/posted
    [route:get]
    match = = /form
    methods = GET
    rewrite = /tell/form
    [route:small]
    match = /small
    handler = page
    max_body = 100
    [route:too_long]
    match = = /long
    rewrite = /tell/${header.X}${header.X}
"""


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
    s = Server(CONF.replace("{0}", modules), server={"workers": 1, "log_level": "info"}, www={"there.txt": "file"})
    s.start()
    yield s
    faults = s.end()
    assert not faults, "\n".join(faults)
    assert not re.search(r"has fired|still leads|could answer", s.log())


def ask(server, target, method="GET", body=b"", more=""):
    head = f"{method} {target} HTTP/1.1\r\nHost: a\r\n{more}"
    if body:
        head += f"Content-Length: {len(body)}\r\n"
    return server.exchange(head.encode() + b"\r\n" + body, method)


def told(r):
    """(path, query, route) as the handler has seen them."""
    m = re.match(r"page nothing: \S+ (.*)\?([^?]*) target \S+ route (\S+) ", r.text)
    assert r.status == 200 and m, r
    return m.groups()


# ---- Rewrites ----

@pytest.mark.parametrize("target, path, query", [
    ("/plain", "/tell", ""),
    ("/plain/below?a=1", "/tell", "a=1"),
    ("/query?a=1", "/tell", "x=1"),
    ("/no_query?a=1", "/tell", ""),
    ("/more?a=1", "/tell", "a=1&y=2"),
    ("/more?a=%20%2f", "/tell", "a=%20%2f&y=2"),
    ("/user/ann/x/y", "/tell/ann/x/y", "from=%2Fuser%2Fann%2Fx%2Fy"),
    ("/user/ann", "/tell/ann/", "from=%2Fuser%2Fann"),
    ("/user/a%20%3Fb/%25", "/tell/a ?b/%", "from=%2Fuser%2Fa%20%3Fb%2F%25"),
    ("/user/%E2%82%AC/a%2Fb", "/tell/\u20ac/a%2Fb", "from=%2Fuser%2F%E2%82%AC%2Fa%252Fb"),
    ("/old/a/b?q", "/tell/new/a/b", "q"),
    ("/bare/tell/1", "/tell/1", ""),
    ("/by_query?p=a/b", "/tell/a%2Fb", "p=a/b"),
    ("/by_query?p=%2e%2e", "/", "p=%2e%2e"),
    ("/by_query?p=", "/tell/", "p="),
    ("/twice", "/tell", ""),
    ("/form", "/tell/form", ""),
])
def test_rewrite(server, target, path, query):
    r = ask(server, target)
    if path == "/":  # it led out of /tell: nothing is there
        assert r.status in (403, 404)
    else:
        assert told(r) == (path, query, "tell")


@pytest.mark.parametrize("target, method, status, text", [
    ("/file", "GET", 200, "file"),
    ("/guarded", "GET", 403, "403 Forbidden"),
    ("/form", "POST", 200, "POST /tell/posted"),
    ("/form", "DELETE", 405, ""),
    ("/circle", "GET", 500, ""),
    ("/itself", "GET", 500, ""),
    ("/by_query?p=%00", "GET", 400, ""),
    ("/by_query?p=%ff", "GET", 400, ""),
    ("/bare", "GET", 403, ""),
])
def test_what_comes_of_it(server, target, method, status, text):
    r = ask(server, target, method)
    assert r.status == status and text in r.text


def test_a_circle_is_told(server):
    mark = len(server.log())
    ask(server, "/circle")
    wait_for(lambda: re.search(r"10 times, the last one is \"/(circle|square)\": rewrite leads round in a circle",
                               server.log()[mark:]))


def test_the_log_has_what_the_client_sent(serve, modules):
    s = serve(CONF.replace("{0}", modules), www={"there.txt": "file"}, server={"access_log": "@DIR@/access.log"})
    assert ask(s, "/user/ann?x").status == 200
    wait_for(lambda: '"GET /user/ann?x HTTP/1.1" 200' in s.read("access.log"))


# ---- cs_jump ----

@pytest.mark.parametrize("to, path, query, route, ctx", [
    ("/tell/x", "/tell/x", "to=/tell/x", "tell", "-1/1"),
    ("/tell?a=1", "/tell", "a=1", "tell", "-1/1"),
    ("/tell?", "/tell", "", "tell", "-1/1"),
    ("/plain", "/tell", "to=/plain", "tell", "-1/1"),
    ("/work?x", "/work", "x", "work", "-1/1"),
])
def test_jump(server, to, path, query, route, ctx):
    mark = len(server.log())
    r = ask(server, "/from?to=" + to.replace("?", "%3F").replace("=", "%3D"))
    got = told(r)
    assert (got[0], got[1].replace("%3F", "?"), got[2]) == (path, query, route)
    assert "closed jumper" in server.log()[mark:] or wait_for(lambda: "closed jumper" in server.log()[mark:])


def test_access_hooks_run_for_the_route_that_is_found(server):
    r = ask(server, "/from?to=/closed%3Faccess%3D403")
    # jumper has been asked on both routes, and has found its cs_ctx again.
    assert r.status == 403 and r.all("x-filter") == ["jumper nothing GET /closed 403 ctx 2",
                                                     "page nothing GET /closed 403 ctx 1"]


@pytest.mark.parametrize("to", ["tell", "https%3A//example.com/", "/..", "/%2500", "/%25zz"])
def test_no_path(server, to):
    r = ask(server, f"/from?to={to}")
    assert r.text == "cs_jump said -2"


def test_a_jump_in_a_circle(server):
    r = ask(server, "/from?to=/from")
    assert r.status == 500 and "10 times" in server.log()


def test_the_body_goes_along(server):
    r = ask(server, "/from?to=/tell", "POST", b"x" * 5000)
    assert "POST /tell?" in r.text and r.text.endswith("body 5000/5000")


@pytest.mark.parametrize("size, status", [(100, 200), (101, 413)])
def test_a_body_that_is_too_large_for_where_it_goes(server, size, status):
    """Though all of it has been read for the first route."""
    r = ask(server, "/from?to=/small", "POST", b"x" * size)
    assert r.status == status and (status == 413 or r.text.endswith(f"body {size}/{size}"))


# ---- Texts ----

@pytest.mark.parametrize("where, text", [(0, "/tell/a%3Cb"), (6, "/tell/a%3Cb"), (7, "nothing"), (-1, "nothing"), (99, "nothing")])
def test_expand(server, where, text):
    """A place that there is not is the module's mistake, and costs no worker."""
    assert ask(server, f"/tell/a%3Cb?do=expand&where={where}").text == text


# ---- Settings ----

@pytest.mark.parametrize("keys, word", [
    ("rewrite = new", "is no path"),
    ("rewrite = https://example.com/", "use the module redirect"),
    ("rewrite = ${host}/x", "is no path"),
    ("rewrite = /x#y", "%23"),
    ("rewrite = /${hosts}", "did you mean ${host}?"),
    ("rewrite = /${capture.id}", "capture"),
    ("rewrite = /x\nhandler = hello", "leave out one of the two"),
    ("rewrite = /x\nuse = headers", "only the modules"),
    ("rewrite = /x\nroot = www", "does nothing"),
    ("rewrite = /x\nerror_pages = 404 /x", "does nothing"),
    ("rewrite = /x\nrewrite = /y", "rewrite"),
])
def test_settings_refused(serve, keys, word):
    s = serve(f"[module:hello]\n[module:headers]\n[route:r]\nmatch = /r\n{keys}\n", start=False, www={"x": "x"})
    done = s.run("-c", s.conf, "-t")
    assert done.returncode == 78 and word in done.stderr and re.search(r":\d+:\d+: ", done.stderr), done.stderr
