"""Clauses of RFC 9110 and 9112 that no other test shows, and docs/http.md: every test that its table names is there."""
import ast
import email.utils
import glob
import os
import re
import time

import pytest
from lib.server import SOURCE, Server

TEN = b"0123456789"
CONF = """
    [module:static]
    [module:hello]
    [module:echo]
    [route:hello]
    match = /hello
    handler = hello
    [route:echo]
    match = /echo
    handler = echo
"""


@pytest.fixture(scope="module")
def server():
    s = Server(CONF, www={"future": TEN, "new": TEN, "old": TEN})
    for name, age in (("future", -86400), ("old", 86400)):
        os.utime(s.path("www/" + name), (time.time() - age,) * 2)
    s.start()
    yield s
    faults = s.end()
    assert not faults, "\n".join(faults)


def ask(server, target, method="GET", version="1.1", body=b"", **fields):
    lines = "".join(f"{n.replace('_', '-')}: {v}\r\n" for n, v in fields.items())
    if body:
        lines += f"Content-Length: {len(body)}\r\n"
    return server.exchange(f"{method} {target} HTTP/{version}\r\nHost: a\r\nConnection: close\r\n{lines}\r\n".encode() + body, method)


def seconds(date):
    return email.utils.parsedate_to_datetime(date).timestamp()


def test_last_modified_is_never_later_than_date(server):
    r = ask(server, "/future")
    assert seconds(r["last-modified"]) <= seconds(r["date"])
    r = ask(server, "/future", If_None_Match=r["etag"])
    assert r.status == 304 and seconds(r["last-modified"]) <= seconds(r["date"])
    old = ask(server, "/old")
    assert 86399 <= seconds(old["date"]) - seconds(old["last-modified"]) <= 86500


def test_a_date_in_the_future_is_no_validator_for_a_range(server):
    r = ask(server, "/future")
    assert ask(server, "/future", Range="bytes=0-1", If_Range=r["last-modified"]).status == 200
    os.utime(server.path("www/new"))
    assert ask(server, "/new", Range="bytes=0-1", If_Range=email.utils.formatdate(usegmt=True)).status == 200


def test_dates_are_of_the_preferred_form(server):
    r = ask(server, "/old")
    for name in ("date", "last-modified"):
        assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", r[name])


@pytest.mark.parametrize("date", ["{0:%A, %d-%b-%y %H:%M:%S} GMT", "{0:%a %b} {0.day:2} {0:%H:%M:%S %Y}"])
def test_all_forms_of_dates_are_read(server, date):
    when = email.utils.parsedate_to_datetime(ask(server, "/old")["last-modified"])
    assert ask(server, "/old", If_Modified_Since=date.format(when)).status == 304


@pytest.mark.parametrize("method, target, fields", [
    ("GET", "/nothing", {"If_None_Match": "*"}), ("GET", "/nothing", {"If_Match": "*"}), ("GET", "/nothing", {"If_Match": '"x"'}),
    ("GET", "/nothing", {"If_Unmodified_Since": "Thu, 01 Jan 1970 00:00:00 GMT"}), ("DELETE", "/old", {"If_None_Match": "*"}),
])
def test_conditions_do_not_hide_a_failure(server, method, target, fields):
    assert ask(server, target, method, **fields).status == (404 if target == "/nothing" else 405)


@pytest.mark.parametrize("method, target", [("POST", "/hello"), ("HEAD", "/old"), ("OPTIONS", "/old")])
def test_range_is_for_get_only(server, method, target):
    r = ask(server, target, method, Range="bytes=0-1")
    assert r.status in (200, 204) and r["content-range"] is None


def test_what_304_says(server):
    full = ask(server, "/old")
    r = ask(server, "/old", If_None_Match=full["etag"])
    assert (r.status, r.body, r["etag"], r["content-type"]) == (304, b"", full["etag"], None)
    assert r["date"] and r["transfer-encoding"] is None and r["content-length"] in (None, "10")


def test_what_206_says(server):
    full = ask(server, "/old")
    r = ask(server, "/old", Range="bytes=2-3")
    assert (r.status, r.body, r["content-range"], r["content-length"]) == (206, b"23", "bytes 2-3/10", "2")
    for name in ("etag", "last-modified", "content-type"):
        assert r[name] == full[name]


def test_a_multipart_answer_has_its_ranges_in_the_parts(server):
    r = ask(server, "/old", Range="bytes=0-0,5-6")
    assert r["content-range"] is None and r.body.count(b"Content-Range: bytes ") == 2
    assert r.body.count(b"Content-Type: ") == 2
    one = ask(server, "/old", Range="bytes=0-0,50-60")
    assert not one["content-type"].startswith("multipart/") and one["content-range"] == "bytes 0-0/10"


def test_no_body_no_framing(server):
    r = ask(server, "/old", "OPTIONS")
    assert (r.status, r["content-length"], r["transfer-encoding"], r.body) == (204, None, None, b"")


@pytest.mark.parametrize("body", [b"", b"abc"])
def test_http_1_0_gets_no_chunks_and_no_100(server, body):
    with server.connect() as c:
        c.send(b"POST /echo HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        raw = c.rest()
    assert raw.startswith(b"HTTP/1.1 200 ") and b"chunked" not in raw and raw.endswith(b"\r\n\r\n" + body)


def test_upgrade_is_not_taken_up(server):
    for version in ("1.1", "1.0"):
        r = ask(server, "/hello", version=version, Upgrade="h2c, websocket, TLS/1.2")
        assert r.status == 200 and r["upgrade"] is None


def test_a_target_of_8000_bytes(server):
    assert ask(server, "/hello?" + "x" * 8000).status == 200


def test_a_very_long_method(server):
    assert ask(server, "/nothing", "A" * 300).status == 501
    assert ask(server, "/", "A" * 20000).status == 431


def test_methods_differ_in_case(server):
    assert ask(server, "/nothing", "get").status == 501 and ask(server, "/nothing").status == 404


def test_fields_of_the_body_are_in_no_trailer(server):
    with server.connect() as c:
        c.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\n\r\n1\r\nx\r\n0\r\nHost: b\r\nContent-Type: x/y\r\n\r\n")
        r = c.response()
    assert (r.body, r["content-type"]) == (b"x", "application/octet-stream")


def test_an_answer_that_is_cut_is_seen_to_be(server):
    """The request's body ends too early: no last chunk, and less than the length announced."""
    for framing, part in ((b"Content-Length: 10", b"abc"), (b"Transfer-Encoding: chunked", b"3\r\nabc\r\n")):
        with server.connect() as c:
            c.send(b"POST /echo HTTP/1.1\r\nHost: a\r\n" + framing + b"\r\n\r\n" + part).half_close()
            raw = c.rest()
        assert b"0\r\n\r\n" not in raw and not (b"Content-Length: 3" in raw)


def test_server_and_age(server):
    r = ask(server, "/hello")
    assert r["server"] == "cserver" and r["age"] is None


# ---- The page ----------------------------------------------------------------------------------

with open(os.path.join(SOURCE, "docs/http.md"), encoding="utf-8") as page:
    CLAUSES = re.findall(r"^\| (9\d{3} [0-9.]+) \| .* \| (.*) \|$", page.read(), re.M)
NAMES = sorted({name for _, cell in CLAUSES for name in re.findall(r"`([^`]+)`", cell)})


def find(path):
    found = [p for p in (os.path.join(SOURCE, "tests", path), *glob.glob(os.path.join(SOURCE, "modules/*", path))) if os.path.exists(p)]
    assert found, f"no file {path}"
    with open(found[0], encoding="utf-8") as f:
        return f.read()


@pytest.mark.parametrize("name", NAMES)
def test_the_page_names_tests_that_exist(name):
    path, test, label = re.fullmatch(r"([\w/.]+)::(\w+)(?:\[(.*)\])?", name).groups()
    text = find(path)
    if path.endswith(".py"):
        assert test in {n.name for n in ast.walk(ast.parse(text)) if isinstance(n, ast.FunctionDef)}
    else:
        assert f"cmocka_unit_test({test})" in text
    assert not label or f'"{label}"' in text


def test_the_page_has_the_clauses():
    assert len(CLAUSES) >= 100
    assert all("`" in cell or cell.startswith("-") for _, cell in CLAUSES)
