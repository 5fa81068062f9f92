"""static: compressed siblings, Cache-Control by type, links, and files that change under an open descriptor."""
import hashlib
import os
import random

import pytest
from lib.codings import decode
from lib.server import Server

TEXT = b" ".join(random.Random(9).choices([b"alpha", b"beta", b"gamma", b"delta"], k=30000))
FORMS = {"zst": b"zst form " * 20000, "br": b"br form " * 20000, "gz": b"gz form " * 20000}
CONF = """
    [module:static]
    precompressed = br, zst, gz
    cache_valid = 0
    [module:compress]
    [site:a]
    root = @DIR@/www
    cache_control = max-age=60
    cache_by = text/html: no-cache, image/*: max-age=86400, ".js: max-age=31536000, immutable"
    [route:valid]
    match = /valid/
    handler = static
    cache_valid = 1h
    [route:order]
    match = /order/
    handler = static
    precompressed = gz, br
    [route:none]
    match = /none/
    handler = static
    precompressed =
    [route:both]
    match = /both/
    use = compress
    handler = static
    [route:app]
    match = /app/
    handler = static
    try_files = /a.js
    [route:lost]
    match = /lost/
    error_pages = 404 /404.html
    [route:links]
    match = /links/
    handler = static
    symlinks = off
"""


def lay(server, name, content, **forms):
    """A file with siblings that are as old as it is, but for those that have an age of their own: (content, seconds older)."""
    server.write("www/" + name, content)
    now = os.stat(server.path("www/" + name)).st_mtime_ns
    for suffix, form in forms.items():
        form, age = form if isinstance(form, tuple) else (form, 0)
        server.write(f"www/{name}.{suffix}", form)
        os.utime(server.path(f"www/{name}.{suffix}"), ns=(now - int(age * 1e9), now - int(age * 1e9)))


@pytest.fixture(scope="module")
def server():
    s = Server(CONF, files={"www/x": "x"})
    lay(s, "a.js", TEXT, **FORMS)
    lay(s, "two.css", TEXT, br=FORMS["br"], gz=FORMS["gz"])
    lay(s, "old.css", TEXT, br=(FORMS["br"], 0.01), gz=FORMS["gz"])
    lay(s, "alone.css", TEXT, br=(FORMS["br"], 1))
    lay(s, "plain.css", TEXT)
    lay(s, "index.html", b"<p>home", gz=b"packed home")
    lay(s, "empty.js", b"", gz=b"")
    lay(s, "404.html", b"lost", gz=b"packed lost")
    for folder in ("valid", "order", "none", "both"):
        lay(s, folder + "/a.js", TEXT, **FORMS)
    lay(s, "both/b.js", TEXT)
    s.write("www/links/real.txt", "real")
    os.symlink("real.txt", s.path("www/links/soft.txt"))
    os.symlink("links", s.path("www/other"))
    os.symlink(".", s.path("www/links/loop"))
    os.makedirs(s.path("www/folder.css.br"))
    s.write("www/folder.css", "folder")
    s.start()
    yield s
    faults = s.end()
    assert not faults, "\n".join(faults)


def get(server, path, accept=None, **fields):
    headers = {k.replace("_", "-"): v for k, v in fields.items()}
    if accept is not None:
        headers["Accept-Encoding"] = accept
    return server.get(path, headers)


CODING = {"zst": "zstd", "br": "br", "gz": "gzip", None: None}


@pytest.mark.parametrize("path, accept, form", [
    ("/a.js", None, None),
    ("/a.js", "", None),
    ("/a.js", "gzip, deflate, br, zstd", "br"),
    ("/a.js", "gzip, zstd", "zst"),
    ("/a.js", "gzip", "gz"),
    ("/a.js", "x-gzip", "gz"),
    ("/a.js", "deflate", None),
    ("/a.js", "*", "br"),
    ("/a.js", "*, br;q=0", "zst"),
    ("/a.js", "*;q=0", None),
    ("/a.js", "br;q=0.5, gzip;q=0.6", "gz"),
    ("/a.js", "br;q=0.5, identity", None),
    ("/a.js", "br, identity;q=0", "br"),
    ("/a.js", "identity;q=0", None),
    ("/a.js?x", "br", "br"),
    ("/order/a.js", "br, gzip, zstd", "gz"),
    ("/order/a.js", "zstd", None),
    ("/none/a.js", "br, gzip, zstd", None),
    ("/valid/a.js", "br, gzip", "br"),
    ("/two.css", "zstd, gzip;q=0.1", "gz"),
    ("/old.css", "br", None),
    ("/old.css", "br, gzip", "gz"),
    ("/both/a.js", "br", "br"),
], ids=str)
def test_the_sibling(server, path, accept, form):
    for _ in range(2):
        r = get(server, path, accept)
        assert (r.status, r["content-encoding"]) == (200, CODING[form])
        assert r.body == (FORMS[form] if form else TEXT) and r["content-length"] == str(len(r.body))
        assert r["content-type"].startswith("text/css" if path.endswith("css") else "text/javascript")
        assert r.all("vary") == ([] if "none" in path else ["Accept-Encoding"])


@pytest.mark.parametrize("path", ["/alone.css", "/plain.css", "/folder.css"])
def test_without_a_good_sibling_nothing_varies(server, path):
    r = get(server, path, "br")
    assert r["vary"] is None and r["content-encoding"] is None and r.status == 200


def test_the_index_of_a_folder_and_an_empty_file(server):
    assert get(server, "/", "gzip").body == b"packed home"
    assert get(server, "/empty.js", "gzip")["content-encoding"] == "gzip"


def test_try_files_and_error_pages(server):
    r = get(server, "/app/users/7", "br")
    assert (r.status, r["content-encoding"], r.body) == (200, "br", FORMS["br"])
    r = get(server, "/lost/x", "gzip")
    assert (r.status, r["content-encoding"], r.body, r["etag"]) == (404, "gzip", b"packed lost", None)
    r = get(server, "/lost/x")
    assert (r.status, r["content-encoding"], r.body) == (404, None, b"lost")


def test_each_form_has_its_own_validators(server):
    tags = {a: get(server, "/a.js", a)["etag"] for a in ("br", "zstd", "gzip", "identity")}
    assert len(set(tags.values())) == 4 and not any(t.startswith("W/") for t in tags.values())
    for accept, tag in tags.items():
        for other, its in tags.items():
            r = get(server, "/a.js", accept, If_None_Match=its)
            assert r.status == (304 if other == accept else 200)
            if r.status == 304:
                assert (r["etag"], r["vary"], r["content-encoding"]) == (tag, "Accept-Encoding", None)


def test_ranges_are_those_of_the_form(server):
    r = get(server, "/a.js", "br", Range="bytes=10-29")
    assert (r.status, r.body, r["content-encoding"]) == (206, FORMS["br"][10:30], "br")
    assert r["content-range"] == f"bytes 10-29/{len(FORMS['br'])}"
    tag = get(server, "/a.js", "br")["etag"]
    assert get(server, "/a.js", "br", Range="bytes=1-2", If_Range=tag).status == 206
    assert get(server, "/a.js", "gzip", Range="bytes=1-2", If_Range=tag).status == 200


def test_head(server):
    r = server.head("/a.js", {"Accept-Encoding": "br"})
    assert (r["content-encoding"], r["content-length"]) == ("br", str(len(FORMS["br"])))


def test_compress_takes_what_has_no_sibling(server):
    r = get(server, "/both/b.js", "br")
    assert r["content-encoding"] == "br" and decode("br", r.body) == TEXT and r.all("vary") == ["Accept-Encoding"]
    r = get(server, "/both/a.js", None)
    assert r.body == TEXT and r.all("vary") == ["Accept-Encoding"]


def test_a_file_that_is_changed_leaves_its_sibling_behind(server):
    lay(server, "new.css", b"one" * 1000, br=b"br of one")
    assert get(server, "/new.css", "br").body == b"br of one"
    at = os.stat(server.path("www/new.css")).st_mtime_ns + 5_000_000
    server.write("www/new.css", b"two" * 1000)
    os.utime(server.path("www/new.css"), ns=(at, at))
    assert get(server, "/new.css", "br").body == b"two" * 1000
    server.write("www/new.css.br", b"br of two")
    os.utime(server.path("www/new.css.br"), ns=(at, at))
    assert get(server, "/new.css", "br").body == b"br of two"
    os.unlink(server.path("www/new.css.br"))
    assert get(server, "/new.css", "br").body == b"two" * 1000


@pytest.mark.parametrize("path, value", [("/", "no-cache"), ("/index.html", "no-cache"), ("/a.js", "max-age=31536000, immutable"),
                                         ("/plain.css", "max-age=60")])
def test_cache_control_by_type(server, path, value):
    assert get(server, path).all("cache-control") == [value] == get(server, path, "gzip").all("cache-control")


@pytest.mark.parametrize("path, status", [("/links/real.txt", 200), ("/links/soft.txt", 404), ("/links/loop/real.txt", 404),
                                          ("/other/real.txt", 200), ("/other/soft.txt", 200), ("/other/loop/real.txt", 200)])
def test_links(server, path, status):
    for _ in range(2):
        assert get(server, path).status == status


@pytest.mark.parametrize("accept, text", [("br", "a.js.br, with weight 1000"), ("gzip", "a.js.gz, with weight 1000")])
def test_explain(server, accept, text):
    done = server.run("explain", "GET http://x/a.js", "-c", server.conf, "-H", f"Accept-Encoding: {accept}")
    assert text in done.stdout and f"/a.js.{accept[:2]}" in done.stdout
    done = server.run("explain", "GET http://x/old.css", "-c", server.conf, "-H", f"Accept-Encoding: {accept}")
    assert "/old.css.br: older than the file" in done.stdout and "/old.css.zst: not there" in done.stdout


# ---- Files that change -------------------------------------------------------------------------

def test_a_kept_descriptor_never_tells_an_old_length(serve):
    """In place, within cache_valid: longer, shorter, as long as before with other bytes."""
    s = serve("[module:static]\ncache_valid = 1h\ncache_small = 0\n", www={"a.bin": b"a" * 100000})
    for n, byte in ((100000, b"a"), (250000, b"b"), (3, b"c"), (250000, b"d"), (250000, b"e")):
        with open(s.path("www/a.bin"), "r+b") as f:
            f.truncate(n)
            f.write(byte * n)
        os.utime(s.path("www/a.bin"), ns=(n * 1000 + byte[0],) * 2)
        r = s.get("/a.bin")
        assert (r.status, r.body) == (200, byte * n) and r["content-length"] == str(n)
    new = s.path("www/b.bin")
    with open(new, "wb") as f:
        f.write(b"f" * 70)
    os.rename(new, s.path("www/a.bin"))
    assert s.get("/a.bin").body == b"f" * 70


def test_a_huge_file_with_holes(serve):
    """16 GiB of nothing, with some bytes in it."""
    s = serve("[module:static]\n", www={"x": "x"})
    size, marks = 1 << 34, {0: b"begin", (1 << 31) - 2: b"2G border", (1 << 32) - 3: b"4G border", (1 << 34) - 3: b"end"}
    with open(s.path("www/huge.bin"), "wb") as f:
        f.truncate(size)
        for at, text in marks.items():
            f.seek(at)
            f.write(text)
    assert s.head("/huge.bin")["content-length"] == str(size)
    for at, text in marks.items():
        r = s.get("/huge.bin", {"Range": f"bytes={at}-{at + len(text) - 1}"})
        assert (r.status, r.body, r["content-range"]) == (206, text, f"bytes {at}-{at + len(text) - 1}/{size}")
    assert s.get("/huge.bin", {"Range": "bytes=-3"}).body == b"end"
    assert s.get("/huge.bin", {"Range": f"bytes={size}-"}).status == 416
    r = s.get("/huge.bin", {"Range": f"bytes={1 << 33}-{(1 << 33) + (8 << 20) - 1}"})
    assert hashlib.sha256(r.body).digest() == hashlib.sha256(bytes(8 << 20)).digest()
    with s.connect() as c:
        c.send(b"GET /huge.bin HTTP/1.1\r\nHost: x\r\n\r\n")
        c.until(b"\r\n\r\n")
        assert c.take(1 << 20) == b"begin" + bytes((1 << 20) - 5)


def test_overlapping_ranges_send_no_byte_twice(serve):
    s = serve("[module:static]\n", www={"a.bin": bytes(range(256)) * 1000})
    r = s.get("/a.bin", {"Range": "bytes=0-99,1000-1099,50-149,1050-1200"})
    assert r.status == 206 and r.body.count(b"Content-Range: bytes ") == 2
    assert b"bytes 0-149/256000" in r.body and b"bytes 1000-1200/256000" in r.body
    assert s.get("/a.bin", {"Range": "bytes=" + ",".join(f"{i}-" for i in range(17))}).status == 200


@pytest.mark.parametrize("line, words", [
    ("precompressed = gz, bz2", ["bz2", "zst, br and gz"]),
    ("cache_by = max-age=60", ["TYPE: VALUE"]),
    ("cache_by = text/css:", ["TYPE: VALUE"]),
    ("cache_by = \"js: max-age=60\"", ["TYPE: VALUE"]),
    ("symlinks = owner", ["beneath or off"]),
    ("listing = on", ["off, html or json"]),
    ("listing_most = 0", ["listing_most"]),
])
def test_settings_that_are_refused(serve, line, words):
    s = serve(f"[module:static]\n{line}\n", start=False)
    done = s.run("-c", s.conf, "-t")
    assert done.returncode == 78
    for word in [*words, "cserver.ini:"]:
        assert word in done.stderr, done.stderr
