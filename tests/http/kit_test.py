"""The test kit and a server answer the same requests with the same bytes: what modules are tested with is the server."""
import os
import subprocess

import pytest
from lib.server import BUILD, LIMIT, SOURCE, Connection, make_value

CONF = """
    [module:hello]
    [module:echo]
    [module:redirect]
    [module:maintenance]
    [module:static]
    [module:auth]
    users = ann:open
    [module:headers]
    set = X-Set: yes
    [module:upper]
    [site:default]
    root = @DIR@/www
    [route:hello]
    match = /hello
    handler = hello
    [route:echo]
    match = /echo
    handler = echo
    [route:off]
    match = = /off
    handler = maintenance, hello
    greeting = not yet
    [route:none]
    match = = /none
    root = @DIR@/empty
    handler = maintenance
    [route:away]
    match = /away
    handler = redirect
    to = https://example.com/base?a=1
    keep_path = on
    keep_query = on
    [route:upper]
    match = /upper
    use = headers, upper
    handler = echo
    [route:private]
    match = /private
    use = auth
    handler = hello
"""
MODULES = ["hello", "echo", "redirect", "maintenance", "static", "auth", "headers", "upper"]
LARGE = bytes(range(256)) * 1200
WWW = {"index.html": "<p>index</p>\n", "large.bin": LARGE, "folder/a b.txt": "blank"}
OLD = 1700000000  # of the files, so that both send the same Last-Modified


def request(line, *fields, body=b"", host="Host: example.com"):
    lines = [line + " HTTP/1.1", *([host] if host else []), *fields]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


REQUESTS = {
    "get": request("GET /hello"),
    "head": request("HEAD /hello"),
    "query": request("GET /hello?x=%41&y"),
    "1.0": b"GET /hello HTTP/1.0\r\n\r\n",
    "close": request("GET /hello", "Connection: close"),
    "post": request("POST /hello", "Content-Length: 3", body=b"abc"),
    "echo": request("POST /echo", "Content-Length: 5", "Content-Type: text/x", body=b"\0\1\2\3\4"),
    "echo-chunked": request("POST /echo", "Transfer-Encoding: chunked", body=b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"),
    "echo-large": request("PUT /echo", "Content-Length: 307200", body=LARGE),
    "bad-chunk": request("POST /echo", "Transfer-Encoding: chunked", body=b"x\r\n"),
    "declined": request("GET /off"),
    "declined-by-all": request("GET /none"),
    "redirect": request("GET /away/b%20c?d=e"),
    "filter": request("PUT /upper", "Content-Length: 5", "Content-Type: text/plain", body=b"Small"),
    "filter-head": request("HEAD /upper"),
    "no-password": request("GET /private"),
    "password": request("GET /private", "Authorization: Basic YW5uOm9wZW4="),
    "wrong-password": request("GET /private", "Authorization: Basic YW5uOnNodXQ="),
    "index": request("GET /"),
    "file": request("GET /large.bin"),
    "file-with-blank": request("GET /folder/a%20b.txt"),
    "range": request("GET /large.bin", "Range: bytes=1000-1999"),
    "bad-range": request("GET /large.bin", "Range: bytes=9999999-"),
    "not-modified": request("GET /large.bin", "If-Modified-Since: Tue, 14 Nov 2023 22:13:20 GMT"),
    "changed-since": request("GET /large.bin", "If-Unmodified-Since: Tue, 14 Nov 2000 22:13:20 GMT"),
    "folder": request("GET /folder"),
    "not-found": request("GET /nothing"),
    "other-method": request("BREW /index.html"),
    "options": request("OPTIONS *"),
    "trace": request("TRACE /"),
    "no-host": request("GET /hello", host=""),
    "two-hosts": request("GET /hello", "Host: b"),
    "bad-path": request("GET /a%00b"),
    "dots": request("GET /folder/../../hello"),
    "long-target": request("GET /" + "x" * 9000),
    "too-large": request("POST /echo", "Content-Length: 99999999"),
    "two-lengths": request("POST /echo", "Content-Length: 1", "Content-Length: 1", body=b"a"),
    "continue": request("POST /hello", "Content-Length: 1", "Expect: 100-continue", body=b"a"),
    "no-http": b"hello\r\n\r\n",
}


def fields_of(head):
    lines = head.decode("latin-1").split("\r\n")
    return [lines[0]] + [line for line in lines[1:] if not line.startswith("Date: ")]


def by_server(server, data, is_head):
    """Status line and fields, and the body."""
    with server.connect() as c:
        c.send(data)
        while True:
            first = c.response("HEAD" if is_head else "GET")
            if first.status >= 200:
                break
    line = f"{first.version} {first.status} {first.reason}"
    return [line] + [f"{n}: {v}" for n, v in first.headers if n != "Date"], first.body


@pytest.fixture(scope="module")
def server(shared):
    s = shared(CONF, www=WWW, files={"empty/x": ""})
    for folder, _, names in os.walk(s.path("www")):
        for name in names:
            os.utime(os.path.join(folder, name), (OLD, OLD))
    return s


@pytest.fixture(scope="module")
def kit(server):
    """label -> (status line and fields, body)"""
    program = server.path("ask")
    words = make_value("kit_cc").split() + make_value("link_program").split()[1:]
    subprocess.run([*words, "-o", program, os.path.join(SOURCE, "tests/lib/kit/ask.c"), "libcstest.a", "-lpthread",
                    "-ldl"], cwd=BUILD, check=True, timeout=LIMIT)
    paths = [server.write("requests/" + label, data) for label, data in REQUESTS.items()]
    modules = [os.path.join(BUILD, "modules", name + ".so") for name in MODULES]
    done = subprocess.run([program, server.conf, *paths, "--", *modules], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, timeout=LIMIT)
    assert done.returncode == 0, done.stderr.decode()
    out, answers = done.stdout, {}
    for label in REQUESTS:
        line, out = out.split(b"\n", 1)
        status, whole, _, head, body = map(int, line.split())
        assert whole, f"{label}: {status} is not whole"
        answers[label] = fields_of(out[:head]), out[head:head + body]
        out = out[head + body:]
    assert not out
    return answers


@pytest.mark.parametrize("label", REQUESTS)
def test_same_answer(server, kit, label):
    data = REQUESTS[label]
    fields, body = by_server(server, data, data.startswith(b"HEAD "))
    kit_fields, kit_body = kit[label]
    assert kit_fields == fields
    assert kit_body == body
