"""What becomes of a path, as routing, access rules and files see it: all three the same. The rows are those of docs/http.md."""
import pytest

CONF = """
    [module:headers]
    [module:access]
    [module:static]
    [site:default]
    root = @DIR@/www
    dotfiles = on
    use = headers, access
    set = X-Path: ${path}, X-Route: r/${route}
    deny = unix
    [route:private]
    match = /private
    handler = static
    deny = all
    [route:exact]
    match = = /a b
    handler = static
    [route:regex]
    match = ~ ^/r/.*%2F
    handler = static
"""
FILES = {"open.txt": "open", "private/key.txt": "secret", "a b": "blank", "a%2Fb": "a slash in a name", "a\\b": "backslash",
         "ä.txt": "letter", "a?b": "question", "sub/file.txt": "file", "r/x%2Fy": "regex", "...": "three dots",
         "private%2Fkey.txt": "a name"}
LONG = "/" + "s/../" * 1000 + "open.txt"
ROWS = [  # target, status, path (None: refused before there is one), route, text of the file
    ("/open.txt", 200, "/open.txt", "", "open"),
    ("/%6fpen.txt", 200, "/open.txt", "", "open"),
    ("//open.txt", 200, "/open.txt", "", "open"),
    ("/sub//file.txt", 200, "/sub/file.txt", "", "file"),
    ("/sub/./file.txt", 200, "/sub/file.txt", "", "file"),
    ("/sub/../open.txt", 200, "/open.txt", "", "open"),
    ("/sub/%2e%2e/open.txt", 200, "/open.txt", "", "open"),
    ("/sub/.%2E/open.txt", 200, "/open.txt", "", "open"),
    ("/...", 200, "/...", "", "three dots"),
    ("/a%20b", 200, "/a b", "exact", "blank"),
    ("/a%2Fb", 200, "/a%2Fb", "", "a slash in a name"),
    ("/a%2fb", 200, "/a%2Fb", "", "a slash in a name"),
    ("/a%252Fb", 200, "/a%2Fb", "", "a slash in a name"),
    ("/a%252fb", 404, "/a%2fb", "", None),
    ("/a%3Fb", 200, "/a?b", "", "question"),
    ("/open.txt?/../private/key.txt", 200, "/open.txt", "", "open"),
    ("/open.txt?a=%2f%00&b=/../..", 200, "/open.txt", "", "open"),
    ("/a\\b", 200, "/a\\b", "", "backslash"),
    ("/a%5Cb", 200, "/a\\b", "", "backslash"),
    ("/sub%5C..%5Copen.txt", 404, "/sub\\..\\open.txt", "", None),
    ("/%C3%A4.txt", 200, "/ä.txt", "", "letter"),
    ("/r/x%2fy", 200, "/r/x%2Fy", "regex", "regex"),
    (LONG, 200, "/open.txt", "", "open"),
    ("/" + "x" * 9000, 414, None, None, None),
    # what is private stays so, however it is written
    ("/private/key.txt", 403, "/private/key.txt", "private", None),
    ("//private//key.txt", 403, "/private/key.txt", "private", None),
    ("/%70rivate/key.txt", 403, "/private/key.txt", "private", None),
    ("/./private/key.txt", 403, "/private/key.txt", "private", None),
    ("/sub/../private/key.txt", 403, "/private/key.txt", "private", None),
    ("/sub/%2e%2e/private/key.txt", 403, "/private/key.txt", "private", None),
    ("/private/../private/key.txt", 403, "/private/key.txt", "private", None),
    ("/private/%2e/key.txt", 403, "/private/key.txt", "private", None),
    ("/private/x/..", 403, "/private/", "private", None),
    ("/private?x", 403, "/private", "private", None),
    ("http://x//private/key.txt", 403, "/private/key.txt", "private", None),
    # ... and what only looks like it is another name
    ("/private%2Fkey.txt", 200, "/private%2Fkey.txt", "", "a name"),
    ("/private%252Fkey.txt", 200, "/private%2Fkey.txt", "", "a name"),
    ("/private%5Ckey.txt", 404, "/private\\key.txt", "", None),
    ("/Private/key.txt", 404, "/Private/key.txt", "", None),
    ("/private;/key.txt", 404, "/private;/key.txt", "", None),
    ("/%252e%252e/private/key.txt", 404, "/%2e%2e/private/key.txt", "", None),
    # refused, by a site that is known
    ("/open.txt%00", 400, None, "", None),
    ("/open.txt%00.html", 400, None, "", None),
    ("/private%00/key.txt", 400, None, "", None),
    ("/open.txt%0d%0aX:1", 400, None, "", None),
    ("/%7f", 400, None, "", None),
    ("/..", 400, None, "", None),
    ("/../open.txt", 400, None, "", None),
    ("/sub/../../open.txt", 400, None, "", None),
    ("/%2e%2e/%2e%2e/etc/passwd", 400, None, "", None),
    ("/%c0%ae%c0%ae/open.txt", 400, None, "", None),
    ("/sub%c0%afopen.txt", 400, None, "", None),
    ("/%e0%80%af", 400, None, "", None),
    ("/%ff", 400, None, "", None),
    ("/%u002e", 400, None, "", None),
    ("/%", 400, None, "", None),
    ("/%4", 400, None, "", None),
    # ... or before there is one
    ("/ä.txt", 400, None, None, None),
    ("%2fopen.txt", 400, None, None, None),
]


@pytest.mark.parametrize("row", ROWS, ids=[row[0][:40] for row in ROWS])
def test_path(shared, row):
    target, status, path, route, text = row
    s = shared(CONF, www=FILES)
    r = s.exchange(f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    got = r["x-path"] and r["x-path"].encode("latin-1").decode(), r["x-route"] and r["x-route"][2:]
    assert (r.status, *got) == (status, path, route)
    if text:
        assert r.text == text
    assert b"secret" not in r.body
