"""redirect: where it sends to, and that nobody can make it send anywhere else."""
import pytest
from lib.server import Server

ROUTES = {
    "plain": "to = /new",
    "whole": "to = https://example.com/x?y=1#z",
    "s301": "to = /new\nstatus = 301",
    "s303": "to = /new\nstatus = 303",
    "s307": "to = /new\nstatus = 307",
    "s308": "to = /new\nstatus = 308",
    "path": "to = https://example.com\nkeep_path = on",
    "slash": "to = https://example.com/\nkeep_path = on",
    "query": "to = /new\nkeep_query = on",
    "all": "to = https://example.com/base/?a=1#end\nkeep_path = on\nkeep_query = on",
    "self": "to = /\nkeep_path = on",
    "moved": "moved = /moved/a.html /a, /moved/b   /c\n  /moved/d /d?x=1\nkeep_query = on",
    "either": "moved = /either/a /a\nto = /else\nkeep_path = on",
}
CONF = "[module:redirect]\n" + "".join(
    f"[route:{name}]\nmatch = /{name}\nhandler = redirect\n{keys}\n" for name, keys in ROUTES.items())


@pytest.fixture(scope="module")
def server():
    s = Server(CONF).start()
    yield s
    faults = s.end()
    assert not faults, "\n".join(faults)


def ask(server, target, method="GET"):
    line = f"{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    return server.exchange(line.encode("latin-1"), method)


@pytest.mark.parametrize("target, status, location", [
    ("/plain", 302, "/new"),
    ("/plain/more?x=1", 302, "/new"),
    ("/whole", 302, "https://example.com/x?y=1#z"),
    ("/s301", 301, "/new"),
    ("/s303", 303, "/new"),
    ("/s307", 307, "/new"),
    ("/s308", 308, "/new"),
    ("/path/a/b?x=1", 302, "https://example.com/path/a/b"),
    ("/path/a%20b", 302, "https://example.com/path/a%20b"),
    ("/path/gr%C3%BC%C3%9Fe", 302, "https://example.com/path/gr%C3%BC%C3%9Fe"),
    ("/path/100%25", 302, "https://example.com/path/100%25"),
    ("/path/a%2Fb", 302, "https://example.com/path/a%2Fb"),
    ("/path/a%3Fb%23c", 302, "https://example.com/path/a%3Fb%23c"),
    ("/path/x/../y", 302, "https://example.com/path/y"),
    ("/path/%22%3E%3Cb%3E", 302, "https://example.com/path/%22%3E%3Cb%3E"),
    ("/slash/a", 302, "https://example.com/slash/a"),
    ("/query?x=1&y=%20", 302, "/new?x=1&y=%20"),
    ("/query?", 302, "/new"),
    ("/query", 302, "/new"),
    ("/query?x=?/:@", 302, "/new?x=?/:@"),
    ("/all/p?q=2", 302, "https://example.com/base/all/p?a=1&q=2#end"),
    ("/all", 302, "https://example.com/base/all?a=1#end"),
    ("/self//evil.example", 302, "/self/evil.example"),
    ("/moved/a.html", 302, "/a"),
    ("/moved/./%61.html?y=%20", 302, "/a?y=%20"),
    ("/moved/d?y=2", 302, "/d?x=1&y=2"),
    ("/moved/a.htm", 404, None),
    ("/moved/a.html/", 404, None),
    ("/moved/b", 302, "/c"),
    ("/moved", 404, None),
    ("/either/a", 302, "/a"),
    ("/either/b", 302, "/else/either/b"),
    ("/self/\\evil.example", 302, "/self/%5Cevil.example"),
])
def test_location(server, target, status, location):
    r = ask(server, target)
    assert (r.status, r["location"]) == (status, location)


@pytest.mark.parametrize("target", [
    "/path/%0d%0aSet-Cookie:%20a=b",
    "/path/%0aSet-Cookie:%20a=b",
    "/path/%00",
])
def test_a_line_end_never_gets_in(server, target):
    r = ask(server, target)
    assert r.status == 400 and r["location"] is None and r["set-cookie"] is None


def test_an_encoded_line_end_in_the_query_stays_encoded(server):
    r = ask(server, "/query?x=%0d%0aSet-Cookie:%20a=b")
    assert r["location"] == "/new?x=%0d%0aSet-Cookie:%20a=b" and r["set-cookie"] is None


@pytest.mark.parametrize("method", ["POST", "HEAD", "DELETE"])
def test_every_method(server, method):
    r = ask(server, "/s308", method)
    assert (r.status, r["location"]) == (308, "/new")


@pytest.mark.parametrize("keys, word", [
    ("", "to"),
    ("to = ", "to"),
    ("to = example.com/x", "https://example.com/x"),
    ("to = /a b", "%20"),
    ("to = /new\nstatus = 200", "status"),
    ("moved = /a", "/old.html /new"),
    ("moved = a /b", "/old.html /new"),
    ("moved = /a /b c", "%20"),
    ("moved = /a example.com/x", "https://example.com/x"),
    ("moved = /a?x=1 /b", "without its query"),
    ("moved = /a%20b /b", "decoded"),
    ("moved = /a /b, /c /d, /a /e", "stands in the list before"),
    ("moved = /a ${query.x}", "${query.x} is not known here"),
])
def test_settings_refused(serve, keys, word):
    s = serve(f"[module:redirect]\n[route:r]\nmatch = /r\nhandler = redirect\n{keys}\n", start=False)
    done = s.run("-c", s.conf, "-t")
    assert done.returncode == 78 and word in done.stderr, done.stderr
