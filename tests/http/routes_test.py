"""Which route answers: one documented order, and conditions on more than the path."""
import threading

import pytest
from lib.server import wait_for

CONF = r"""
    [module:hello]
    [module:status]
    [route:status]
    match = = /status
    handler = status

    [route:exact_get]
    match = = /m
    methods = GET
    handler = hello
    greeting = exact get
    [route:exact_post]
    match = = /m
    methods = POST, PURGE
    handler = hello
    greeting = exact post

    [route:only_put]
    match = = /put
    methods = PUT
    handler = hello
    greeting = only put

    [route:beta]
    match = /app
    headers = X-Beta: yes
    handler = hello
    greeting = beta
    [route:versions]
    match = /app
    headers =
      X-Version: ~ ^[12]\.\d+$
      !X-Old
    handler = hello
    greeting = versions
    [route:app]
    match = /app
    handler = hello
    greeting = app
    [route:deep]
    match = /app/deep/
    headers = X-Deep
    handler = hello
    greeting = deep

    [route:re_query]
    match = ~ ^/q/(?<id>\d+)$
    query = id = 7, !debug
    handler = hello
    greeting = re query
    [route:re_any]
    match = ~ ^/q/
    query = "v = ~ ^(ä|a,b)$"
    handler = hello
    greeting = re any
    [route:q]
    match = /q/
    query = x
    methods = GET
    handler = hello
    greeting = q

    [route:inside]
    match = /where
    clients = 127.0.0.0/8, ::1
    handler = hello
    greeting = inside
    [route:elsewhere]
    match = /elsewhere
    clients = 10.0.0.0/8, unix
    handler = hello
    greeting = elsewhere
    [route:rest]
    match = /elsewhere/rest
    handler = hello
    greeting = rest

    [route:post_beta]
    match = = /both
    methods = POST
    headers = X-Beta
    handler = hello
    greeting = both
    [route:hungry]
    match = ~ ^/hungry/(a+)+$
    handler = hello
    [route:hungry_field]
    match = = /field
    headers = X-A: ~ ^(a+)+$
    handler = hello
"""
ROWS = [
    # label, method, target, fields, greeting or status, Allow
    ("method", "GET", "/m", "", "exact get", None),
    ("HEAD is GET", "HEAD", "/m", "", 200, None),
    ("second of the same match", "POST", "/m", "", "exact post", None),
    ("a method HTTP does not name", "PURGE", "/m", "", "exact post", None),
    ("no method fits", "PUT", "/m", "", 405, "GET, HEAD, POST, PURGE"),
    ("an unknown method", "BREW", "/m", "", 405, "GET, HEAD, POST, PURGE"),
    ("OPTIONS is a method as others are", "OPTIONS", "/put", "", 405, "PUT"),
    ("case of methods", "put", "/put", "", 405, "PUT"),
    ("header is", "GET", "/app", "X-Beta: yes", "beta", None),
    ("case of names", "GET", "/app/x", "x-bEta: yes", "beta", None),
    ("case of values", "GET", "/app", "X-Beta: Yes", "app", None),
    ("header is another", "GET", "/app", "X-Beta: no", "app", None),
    ("one of several fields", "GET", "/app", "X-Beta: no\r\nX-Beta: yes", "beta", None),
    ("header and regex", "GET", "/app", "X-Version: 2.14", "versions", None),
    ("regex does not match", "GET", "/app", "X-Version: 3.0", "app", None),
    ("no UTF-8 matches no regex", "GET", "/app", "X-Version: \xff1.0", "app", None),
    ("all have to hold", "GET", "/app", "X-Version: 2.14\r\nX-Old: ", "app", None),
    ("file order", "GET", "/app", "X-Version: 2.14\r\nX-Beta: yes", "beta", None),
    ("longest prefix", "GET", "/app/deep/x", "X-Deep: ", "deep", None),
    ("on to a shorter prefix", "GET", "/app/deep/x", "X-Beta: yes", "beta", None),
    ("query is", "GET", "/q/1?id=7", "", "re query", None),
    ("query is, decoded", "GET", "/q/1?a&%69d=%37", "", "re query", None),
    ("the first one counts", "GET", "/q/1?id=8&id=7&x", "", "q", None),
    ("query must not have", "GET", "/q/1?id=7&debug", "", 404, None),
    ("query and regex, decoded", "GET", "/q/1?v=%c3%a4", "", "re any", None),
    ("with a comma", "GET", "/q/1?v=a%2cb", "", "re any", None),
    ("no UTF-8", "GET", "/q/1?v=%ff", "", 404, None),
    ("query has", "GET", "/q/1?x", "", "q", None),
    ("query has an empty one", "GET", "/q/1?x=", "", "q", None),
    ("no query", "GET", "/q/1", "", 404, None),
    ("query holds, method does not", "POST", "/q/1?x", "", 405, "GET, HEAD"),
    ("a header and the method stand against it", "GET", "/both", "", 404, None),
    ("only the header", "POST", "/both", "", 404, None),
    ("only the method", "GET", "/both", "X-Beta: 1", 405, "POST"),
    ("client", "GET", "/where", "", "inside", None),
    ("another client", "GET", "/elsewhere", "", 404, None),
    ("passed over for its client", "GET", "/elsewhere/rest", "", "rest", None),
]


def ask(s, method, target, fields=""):
    head = f"{method} {target} HTTP/1.1\r\nHost: a\r\n{fields}{chr(13) + chr(10) if fields else ''}\r\n"
    return s.exchange(head.encode("latin-1"), method=method)


@pytest.mark.parametrize("row", ROWS, ids=[r[0] for r in ROWS])
def test_conditions(shared, row):
    _, method, target, fields, want, allow = row
    r = ask(shared(CONF), method, target, fields)
    got = r.text.strip() if isinstance(want, str) else r.status
    assert (got, r["Allow"]) == (want, allow)


def test_regex_that_backtracks_for_ever(shared):
    """It costs a bounded time, and a 500 that is counted and told of; others are served meanwhile."""
    s = shared(CONF)
    before = counted(s)
    evil = "a" * 60 + "!"
    hundred = [threading.Thread(target=s.get, args=(f"/hungry/{evil}",)) for _ in range(8)]
    for t in hundred:
        t.start()
    assert all(s.get("/m").text.strip() == "exact get" for _ in range(20))
    for t in hundred:
        t.join()
    assert s.get(f"/hungry/{evil}").status == 500
    assert s.get("/hungry/aaaa").status == 200
    assert ask(s, "GET", "/field", "X-A: " + evil).status == 500
    assert ask(s, "GET", "/field", "X-A: aaa").status == 200
    wait_for(lambda: counted(s) == before + 10, what="the 500s are not counted")
    s.log_has("ran into its limits")
    line = next(x for x in s.log().splitlines() if "/field" in x and "ran into its limits" in x)
    assert "hungry_field" in line and "cserver.ini:" in line, line


def counted(s):
    return next(v for k, v in s.get("/status?json").json["totals"].items() if "regex_limit" in k)


CAPTURES = r"""
    [module:hello]
    [module:headers]
    [site:s]
    use = headers
    set = X-Rest: ${capture.rest}
    [route:re]
    match = ~ ^/u/(?<id>[^/]+)(?:/(?<part>[^/]+))?(?:/(.*))?$
    handler = hello
    set = X-Got: ${capture.id}|${capture.1}|${capture.part}|${capture.3}|${capture.0}
    [route:same]
    match = ~ (?J)^/(?:a/(?<n>.)|b/(?<n>.))$
    headers = X-A: ~ ^(.)(.)(.)$
    handler = hello
    set = X-Got: ${capture.n}
    [route:below]
    match = /below
    handler = hello
    set = X-Got: ${capture.rest}
    [route:behind]
    match = /behind/
    handler = hello
    set = X-Got: ${capture.rest}
    [route:exact]
    match = = /exact
    handler = hello
"""
CAUGHT = [
    # label, target, X-Got, X-Rest of the site
    ("by name and number", "/u/7/x/y/z", "7|7|x|y/z|/u/7/x/y/z", ""),
    ("groups that took no part", "/u/7", "7|7|||/u/7", ""),
    ("decoded", "/u/%C3%A4%20b", "ä b|ä b|||/u/ä b", ""),
    ("two groups with one name, the first", "/a/1", "1", ""),
    ("two groups with one name, the second", "/b/2", "2", ""),
    ("rest of a prefix", "/below/a/b", "/a/b", "/a/b"),
    ("nothing left", "/below", "", ""),
    ("behind the slash", "/behind/a/b", "a/b", "a/b"),
    ("nothing behind the slash", "/behind/", "", ""),
    ("exact", "/exact", None, ""),
]


@pytest.mark.parametrize("row", CAUGHT, ids=[r[0] for r in CAUGHT])
def test_captures(shared, row):
    _, target, got, rest = row
    r = ask(shared(CAPTURES), "GET", target, "X-A: abc")
    assert r.status == 200
    decoded = r["X-Got"] and r["X-Got"].encode("latin-1").decode()
    assert ((decoded or "") if got is not None else r["X-Got"], r["X-Rest"] or "") == (got, rest)


NO_CAPTURE = [
    # the route's match, its line of set, words
    ("~ ^/(?<id>.)$", "X: ${capture.id2}", ["set", "${capture.id2}", "0, 1, id", "cserver.ini:"]),
    ("~ ^/(?<id>.)$", "X: ${capture.2}", ["${capture.2}", "0, 1, id"]),
    ("/x", "X: ${capture.1}", ["${capture.1}", "${capture.rest} only"]),
    ("= /x", "X: ${capture.rest}", ["${capture.rest}", "catches nothing"]),
]


@pytest.mark.parametrize("match,value,words", NO_CAPTURE, ids=[r[1] for r in NO_CAPTURE])
def test_captures_that_are_not_there(serve, match, value, words):
    s = serve(f"[module:hello]\n[module:headers]\n[route:r]\nmatch = {match}\nhandler = hello\nuse = headers\n"
              f"set =\n  A: ${{path}}\n  {value}\n", start=False)
    done = s.run("-c", s.conf, "-t")
    assert done.returncode == 78, done.stderr
    for word in [*words, value]:
        assert word in done.stderr


REFUSED = [
    # words of the report, keys of the second route (the first one is /x without conditions behind it)
    (["methods", '"get"', "small letters"], "match = /y\nmethods = get"),
    (["methods", '"A B"', "no method"], 'match = /y\nmethods = "A B"'),
    (["methods", '"TRACE"', "refuses"], "match = /y\nmethods = GET, TRACE"),
    (["methods", '"GET"', "twice"], "match = /y\nmethods = GET, GET"),
    (["headers", '"X A: 1"', "field"], 'match = /y\nheaders = "X A: 1"'),
    (["headers", '": 1"', "no name"], 'match = /y\nheaders = ": 1"'),
    (["headers", '"!"', "no name"], "match = /y\nheaders = !"),
    (["headers", "!X", "a value"], 'match = /y\nheaders = "!X: 1"'),
    (["headers", "no expression"], 'match = /y\nheaders = "X: ~"'),
    (["headers", "bad regex", "(a"], 'match = /y\nheaders = "X: ~ ^(a"'),
    (["query", "bad regex", "[a"], 'match = /y\nquery = "x = ~ [a"'),
    (["query", '"a&b = 1"', "one element"], 'match = /y\nquery = "a&b = 1"'),
    (["query", '"= 1"', "no name"], 'match = /y\nquery = "= 1"'),
    (["clients", "10.0.0.1/8"], "match = /y\nclients = 10.0.0.1/8"),
    (["clients", "here"], "match = /y\nclients = here"),
    (["method", "methods"], "match = /y\nmethod = GET"),
    (["[route:first]", "[route:second]", "no conditions", "behind the other"], "match = /x\nmethods = GET"),
    (["[route:first]", "[route:second]", "first time"], "match = /x"),
]


@pytest.mark.parametrize("row", REFUSED, ids=[r[1].replace("\n", " ") for r in REFUSED])
def test_refused(serve, row):
    words, keys = row
    s = serve(f"[module:hello]\n[route:first]\nmatch = /x\nhandler = hello\n"
              f"[route:second]\nhandler = hello\n{keys}\n", start=False)
    done = s.run("-c", s.conf, "-t")
    assert done.returncode == 78, done.stderr
    for word in ["cserver.ini:", *words]:
        assert word in done.stderr


def test_same_conditions(serve):
    s = serve("[module:hello]\n[route:a]\nmatch = /x\nmethods = GET\nhandler = hello\n"
              "[route:b]\nmatch = /x\nmethods = GET\nhandler = hello\n", start=False)
    done = s.run("-c", s.conf, "-t")
    assert done.returncode == 78 and "with the same conditions" in done.stderr


GIVING_UP = """
    [module:hello]
    [module:metrics]
    [site:a]
    error_pages = 500 /page
    [route:field]
    match = /
    headers = X: ~ ^(a+)+[bc]
    handler = hello
    [route:anywhere]
    match = ~ (?=a*)a{1,90}?(?=a*)(\\w{1,30})[bc]$
    handler = hello
    [route:metrics]
    match = = /metrics
    handler = metrics
"""


def test_who_gives_up_is_counted_once(serve):
    """Also where the search for the page of that error meets the same regex; and on a long path, where each place to begin
    at costs little, and all of them together too much."""
    s = serve(GIVING_UP, server={"workers": 1})

    def count():
        text = s.raw(b"GET /metrics HTTP/1.0\r\n\r\n").decode()
        return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("cserver_regex_limit_total{"))

    assert s.get("/y", {"X": "a" * 3000 + "d"}).status == 500
    assert count() == 1
    assert s.get("/" + "a" * 7000).status == 500
    assert count() == 2
    assert s.get("/y").status == 404
