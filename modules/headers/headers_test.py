"""headers: what answers get and lose, and what is refused."""
import pytest
from lib.server import Server

CONF = """
    [module:hello]
    [module:echo]
    [module:headers]
    security = on
    add = X-Shard: a, X-Shard: b
    [site:default]
    host = *
    root = @DIR@/www
    use = headers

    [route:hello]
    match = = /hello
    handler = hello

    [route:own]
    match = = /own
    handler = hello
    set = "Content-Security-Policy: default-src 'self'; img-src *"
          "Permissions-Policy: camera=(), microphone=()"
          Content-Type: text/html
          X-Frame-Options:DENY
          Empty:
    add =
    remove = Referrer-Policy

    [route:echo]
    match = = /echo
    handler = echo
    remove = X-Content-Type-Options, Cache-Control

    [route:server]
    match = /a.txt
    handler = static
    set = Server: ours, ETag: W/"1"
    remove = Last-Modified, Accept-Ranges

    [route:secret]
    match = /b.txt
    handler = static
    remove = Server, ETag

    [route:none]
    match = = /none
    use = -headers
    handler = hello
"""
SECURITY = {"x-content-type-options": "nosniff", "x-frame-options": "SAMEORIGIN",
            "referrer-policy": "strict-origin-when-cross-origin"}


@pytest.fixture(scope="module")
def server():
    s = Server(CONF, files={"www/a.txt": "text\n", "www/b.txt": "text\n", "www/c.txt": "text\n"}).start()
    yield s
    faults = s.end()
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("path, status", [("/hello", 200), ("/c.txt", 200), ("/nowhere", 404)])
def test_all_answers_of_the_site(server, path, status):
    r = server.get(path)
    assert r.status == status and {n: r[n] for n in SECURITY} == SECURITY
    assert r.all("X-Shard") == ["a", "b"]


def test_also_without_a_body(server):
    etag = server.get("/c.txt")["etag"]
    r = server.get("/c.txt", {"If-None-Match": etag})
    assert (r.status, r["x-frame-options"]) == (304, "SAMEORIGIN")
    assert server.head("/c.txt")["x-frame-options"] == "SAMEORIGIN"


def test_a_route_has_its_own(server):
    r = server.get("/own")
    assert r["content-security-policy"] == "default-src 'self'; img-src *"
    assert r["permissions-policy"] == "camera=(), microphone=()"
    assert r.all("Content-Type") == ["text/html"] and r.all("X-Frame-Options") == ["DENY"]
    assert r["x-content-type-options"] == "nosniff"
    assert r["referrer-policy"] is None and r["empty"] is None and not r.all("X-Shard")


def test_what_the_handler_has_set_goes_too(server):
    r = server.post("/echo", b"x")
    assert r["cache-control"] is None and r["x-content-type-options"] is None and r["x-frame-options"] == "SAMEORIGIN"


def test_what_the_server_makes_itself(server):
    r = server.get("/a.txt")
    assert r.all("Server") == ["ours"] and r.all("ETag") == ['W/"1"'] and r.text == "text\n"
    assert r["last-modified"] is None and r["accept-ranges"] is None
    r = server.get("/b.txt")
    assert r["server"] is None and r["etag"] is None and r["last-modified"] and r["accept-ranges"] == "bytes"
    r = server.get("/c.txt")
    assert r.all("Server") == ["cserver"] and r["etag"]


def test_not_where_it_is_taken_away(server):
    r = server.get("/none")
    assert r.status == 200 and r["x-frame-options"] is None


@pytest.mark.parametrize("line, says", [
    ("set = X-Frame-Options", "Name: value"), ("set = : x", "Name: value"), ("add = A b: c", "Name: value"),
    ("set = Content-Length: 5", "the server's own"), ("add = connection: close", "the server's own"),
    ("remove = date", "the server's own"), ("remove = A: b", "is not a name"), ("remove = ü", "is not a name"),
])
def test_settings_that_are_refused(serve, line, says):
    s = serve(CONF.replace("security = on", line).replace("    add = X-Shard: a, X-Shard: b\n", ""), www={}, start=False)
    done = s.run("-c", s.conf, "-t")
    assert done.returncode == 78 and says in done.stderr
