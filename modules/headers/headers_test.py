"""headers: what answers get and lose, which scope has the last word, and what is refused."""
import itertools

import pytest
from lib.server import Server, build_module

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
    remove = Referrer-Policy, X-Shard

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
    ("set = 404 5xx Date: x", "the server's own"), ("set = 404 Content-Range: x", "the server's own"),
    ("set = 604 A: b", "Name: value"), ("set = 4x A: b", "Name: value"),
    ("set = ${path}: x", "Name: value"), ("remove = X-${path}", "is not a name"),
    ("set = X: ${pth}", "did you mean ${path}?"), ("add = X: ${path", "without its"), ("set = 404 ${host}", "Name: value"),
])
def test_settings_that_are_refused(serve, line, says):
    s = serve(CONF.replace("security = on", line).replace("    add = X-Shard: a, X-Shard: b\n", ""), www={}, start=False)
    done = s.run("-c", s.conf, "-t")
    assert done.returncode == 78 and says in done.stderr
    assert f"{s.conf}:" in done.stderr


def test_each_is_told_of_once_and_at_its_line(serve):
    s = serve("""
        [module:hello]
        [module:headers]
        [site:default]
        use = headers
        set = A: 1,
            B
        [route:x]
        match = /x
        handler = hello
        set = C: 2
        [route:y]
        match = /y
        handler = hello
        add = D: 3, Date: x
    """, start=False)
    done = s.run("-c", s.conf, "-t")
    with open(s.conf, encoding="utf-8") as f:
        lines = f.read().splitlines()
    assert done.returncode == 78 and done.stderr.count("error:") == 2, done.stderr
    assert f"cserver.ini:{lines.index('    B') + 1}:5: " in done.stderr
    assert f"cserver.ini:{lines.index('add = D: 3, Date: x') + 1}:13: " in done.stderr


# ---- P32: the scopes add up ---------------------------------------------------------------------

OPS = ("none", "set", "add", "remove")
FIELDS = """
    #include <cserver/cserver.h>
    static int handler(cs_req *r)
    {
        static const char *const names[] = {"X-none", "X-set", "X-add", "X-remove"};
        uint64_t status = 0;
        for (size_t i = 0; i < 4; i++)
            cs_set_header(r, names[i], "handler");
        if (cs_u64(cs_query(r, "page"), &status) == CS_OK)
            return (int)status;
        return cs_text(r, 200, "ok");
    }
    CS_MODULE(.name = "fields", .version = "1.0", .help = "Sets fields.", .handler = handler);
"""


def lines(op, names, value):
    if op == "none":
        return ""
    return f"{op} = " + ", ".join(n if op == "remove" else f"{n}: {value}" for n in names) + "\n"


def after(values, op, value):
    """What a scope makes of what the one around it has left."""
    return {"none": values, "set": [value], "add": [*values, value], "remove": []}[op]


@pytest.fixture(scope="module")
def scopes():
    """One field for each thing that the module's section can do, one site for each that a site can do with all of them, and
    one route of each for each that a route can do."""
    fields = ["X-" + op for op in OPS]
    conf = "[module:headers]\n" + "".join(lines(op, ["X-" + op], "module") for op in OPS)
    conf += "[module:fields]\nfile = @DIR@/fields.so\n[module:hello]\n"
    for site in OPS:
        conf += f"[site:{site}]\nhost = {site}.test\nroot = @DIR@/www\nuse = headers\nerror_pages = 410 /page, 411 /b.txt\n"
        conf += lines(site, fields, "site")
        conf += f"[route:page-{site}]\nsite = {site}\nmatch = = /page\nhandler = hello\nset = X-set: page\nremove = X-none\n"
    for site, route in itertools.product(OPS, OPS):
        conf += f"[route:{site}-{route}]\nsite = {site}\nmatch = /{route}\nhandler = fields\n" + lines(route, fields, "route")
    s = Server(conf, www={"a.txt": "file\n", "b.txt": "page\n"})
    build_module(s.folder, "fields", FIELDS)
    s.start()
    yield s
    faults = s.end()
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("query, status", [("", 200), ("?page=404", 404), ("?page=500", 500), ("?page=204", 204),
                                           ("?page=410", 410), ("?page=411", 411)])
def test_scopes_of_what_a_handler_says(scopes, query, status):
    for module, site, route in itertools.product(OPS, OPS, OPS):
        wanted = after(after(after(["handler"], module, "module"), site, "site"), route, "route")
        r = scopes.get(f"/{route}{query}", {"Host": site + ".test"})
        assert (r.status, r.all("X-" + module)) == (status, wanted), (module, site, route)


@pytest.mark.parametrize("path, status", [("/a.txt", 200), ("/missing", 404), ("/a.txt/x", 404)])
def test_scopes_of_files_and_pages(scopes, path, status):
    for module, site in itertools.product(OPS, OPS):
        wanted = after(after([], module, "module"), site, "site")
        r = scopes.get(path, {"Host": site + ".test"})
        assert (r.status, r.all("X-" + module)) == (status, wanted), (module, site)


# ---- Variables and statuses ---------------------------------------------------------------------

STATUS = """
    [module:headers]
    [module:hello]
    [site:default]
    host = *
    root = @DIR@/www
    use = headers
    set = X-Path: at ${path} of ${host}
          2xx Cache-Control: max-age=60
          404 X-Missing: yes
          4xx 5xx X-Sorry: ${header.X-Name}
          X-Query: ${query.q}
          X-Plain: $${path}
          "X-Cookie: [${cookie.c}], [${cookie.d}]"
    add = 200 Vary: Cookie
    remove = 404 Content-Type
"""


@pytest.fixture(scope="module")
def status():
    s = Server(STATUS, www={"a.txt": "file\n"}).start()
    yield s
    faults = s.end()
    assert not faults, "\n".join(faults)


def test_by_status(status):
    r = status.get("/a.txt")
    assert (r["cache-control"], r["x-missing"], r["x-sorry"], r["vary"]) == ("max-age=60", None, None, "Cookie")
    assert r["content-type"].startswith("text/plain")
    r = status.get("/b.txt", {"X-Name": "me"})
    assert (r["cache-control"], r["x-missing"], r["x-sorry"], r["vary"]) == (None, "yes", "me", None)
    assert r.status == 404 and r["content-type"] is None
    r = status.post("/a.txt")
    assert (r.status, r["x-missing"], r["x-sorry"]) == (405, None, None)  # an empty one is not sent
    r = status.get("/a.txt", {"Range": "bytes=1-2"})
    assert (r.status, r["cache-control"], r.text) == (206, "max-age=60", "il")
    r = status.get("/a.txt", {"Range": "bytes=100-", "X-Name": "me"})
    assert (r.status, r["cache-control"], r["x-sorry"], r["content-range"]) == (416, None, "me", "bytes */5")


def test_variables(status):
    r = status.get("/a.txt?q=one%20two", {"Host": "Example.com:80", "Cookie": "c=1; e=2"})
    assert r["x-path"] == "at /a.txt of example.com" and r["x-query"] == "one two" and r["x-plain"] == "${path}"
    assert r["x-cookie"] == "[1], []"


@pytest.mark.parametrize("sent, got", [
    ("a%0d%0aX-Evil:%201", "a  X-Evil: 1"), ("%0a", None), ("%00x", "x"), ("a%09b", "a b"), ("%7f%1b[31m!", "[31m!"),
    ("%24%7Bpath%7D", "${path}"), ("", None), ("%20", None), ("404%20x", "404 x"), (",%22", ',"'),
])
def test_nothing_gets_out_of_a_field(status, sent, got):
    r = status.get(f"/a.txt?q={sent}")
    assert (r.status, r["x-query"], r["x-evil"]) == (200, got, None)


def test_every_byte_in_a_field(status):
    for byte in range(256):
        raw = status.raw(f"GET /a.txt?q=a%{byte:02x}b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        shown = b" " if byte < 32 or byte == 127 else bytes([byte])
        assert b"\r\nX-Query: a" + shown + b"b\r\n" in raw, byte


def test_what_holds_is_shown_and_reads_back(serve):
    s = serve(STATUS, www={}, start=False)
    first = s.run("-c", s.conf, "-T")
    assert first.returncode == 0 and "X-Plain: $${path}" in first.stdout
    second = s.run("-c", s.write("conf/again.ini", first.stdout), "-T")
    assert second.returncode == 0, second.stderr

    def values(text):
        return [line.split(" ; ")[0] for line in text.splitlines()]
    assert values(first.stdout) == values(second.stdout)


EARLY = [
    ("method", b"POST /only-get HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", 405),
    ("path", b"GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("trace", b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 405),
    ("server as a whole", b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 200),
    ("body", b"POST /none HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\n", 413),
    ("regex", b"GET /" + b"a" * 60 + b"! HTTP/1.1\r\nHost: a\r\n\r\n", 500),
]


@pytest.mark.parametrize("request_,status", [e[1:] for e in EARLY], ids=[e[0] for e in EARLY])
def test_also_where_no_route_is_found(early, request_, status):
    r = early.connect().send(request_).response()
    assert (r.status, r["x-site"]) == (status, "s")


@pytest.fixture(scope="module")
def early():
    s = Server("""
        [module:headers]
        [module:hello]
        [site:s]
        use = headers
        set = X-Site: ${site}
        max_body = 10
        [route:get]
        match = = /only-get
        methods = GET
        handler = hello
        [route:slow]
        match = ~ ^/(a+)+$
        handler = hello
        """)
    s.start()
    yield s
    faults = s.end()
    assert not faults, "\n".join(faults)
