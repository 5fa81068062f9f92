"""Variables of a request in each place that a setting gives them, with what hostile clients send."""
import json
import re

import pytest
from lib.server import Server

# (variable, how a request brings a value into it) ; @V@ is the value as it goes over the wire.
SOURCES = {
    "query.v": ("/{place}?v=@V@", ""),
    "query": ("/{place}?@V@", ""),
    "header.X-V": ("/{place}", "X-V: @V@\r\n"),
    "cookie.v": ("/{place}", "Cookie: a=b; v=@V@\r\n"),
    "path": ("/{place}/@V@", ""),
    "target": ("/{place}/@V@", ""),
    "capture.rest": ("/{place}/@V@", ""),
    "host": ("/{place}", ""),
    "client": ("/{place}", ""),
    "peer": ("/{place}", ""),
    "method": ("/{place}", ""),
    "scheme": ("/{place}", ""),
    "user": ("/{place}", ""),
    "site": ("/{place}", ""),
    "route": ("/{place}", ""),
    "request_id": ("/{place}", ""),
}
# What is sent, in the form that the wire allows there: in a URL encoded, in a field as it is.
VALUES = {
    "crlf": ("%0d%0aX-Evil:%20yes%0d%0a%0d%0aHTTP/1.1", None),
    "lf": ("a%0aX-Evil:%20yes", None),
    "nul": ("a%00b", None),
    "slashes": ("//evil.example", "//evil.example"),
    "scheme": ("https://evil.example/", "https://evil.example/"),
    "backslash": ("%5cevil.example", "\\\\evil.example"),
    "at": ("@evil.example", "@evil.example"),
    "dot": (".evil.example", ".evil.example"),
    "tab": ("a%09b", "a\tb"),
    "script": ("%3cscript%3ealert(1)%3c/script%3e", "<script>alert(1)</script>"),
    "quote": ("%22%27%5c", "\"'\\"),
    "utf8": ("%e2%82%ac", "\u20ac"),
    "no utf8": ("%ff%fe", "\xff\xfe"),
    "template": ("$%7bhost%7d", "${host}"),
    "percent": ("%2541", "%41"),
    "long": ("x" * 3000, "x" * 3000),
    "empty": ("", ""),
}
PLACES = {
    "field": "handler = hello\nuse = headers\nset = X-Out: [{v}]",
    "address": "handler = redirect\nto = {v}",
    "behind": "handler = redirect\nto = /{v}",
    "host": "handler = redirect\nto = https://safe.example{v}",
    "within": "handler = redirect\nto = https://{v}.safe.example/",
    "text": "handler = return\ntext = [{v}]",
    "html": "handler = return\ntype = text/html\ntext = <p title=\"{v}\">{v}</p>",
    "json": "handler = return\ntype = application/json\ntext = \"{{\\\"v\\\": \\\"{v}\\\"}}\"",
    "rewrite": "rewrite = /got/{v}",
    "file": "handler = static\ntry_files = /{v}, =410",
}


def name_of(variable, place):
    return f"{place}-{list(SOURCES).index(variable)}"


def settings():
    text = "[module:headers]\n[module:hello]\n[module:redirect]\n[module:return]\n[module:static]\n[site:a]\nroot = @DIR@/www\n"
    for variable in SOURCES:
        for place, keys in PLACES.items():
            name = name_of(variable, place)
            text += f"[route:{name}]\nmatch = /{name}\n" + keys.format(v="${" + variable + "}") + "\n"
    return text + "[route:got]\nmatch = /got\nhandler = return\ntext = ${path}\n"


@pytest.fixture(scope="module")
def server():
    s = Server(settings(), server={"workers": 1}, files={"www/x": "inside", "secret": "outside"}).start()
    yield s
    faults = s.end()
    assert not faults, "\n".join(faults)


def exchange(server, variable, place, value):
    """None where the wire has no such value."""
    target, field = SOURCES[variable]
    encoded, plain = VALUES[value]
    if "@V@" in field:
        if plain is None:
            return None
        field = field.replace("@V@", plain)
    target = target.format(place=name_of(variable, place)).replace("@V@", encoded)
    method = "FROB" if variable == "method" else "GET"
    head = f"{method} {target} HTTP/1.1\r\nHost: a.example\r\n{field}Connection: close\r\n\r\n"
    return server.exchange(head.encode("latin-1", "replace") if value == "no utf8" else head.encode())


def host_of(location):
    """As a browser reads it: backslashes are slashes, blanks are dropped."""
    location = re.sub(r"[\t\r\n]", "", location.strip()).replace("\\", "/")
    m = re.match(r"(?:[A-Za-z][A-Za-z0-9+.-]*:)?/{2,}([^/?#]*)", location)
    if m:
        return m.group(1).rpartition("@")[2]
    assert not re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", location), location  # javascript: and the like
    return None


def check(place, variable, value, r):
    assert r.status < 500 and r["x-evil"] is None and b"\0" not in b"".join(v.encode() for _, v in r.headers)
    assert all(not re.search(r"[\x00-\x08\x0a-\x1f\x7f]", v) for _, v in r.headers)
    if r.status in (400, 413, 414, 431):
        assert variable in ("path", "target", "capture.rest") or place == "rewrite" or value == "long"
    elif place in ("address", "behind"):
        assert r.status == 302 and r["location"] and host_of(r["location"]) is None, r["location"]
    elif place == "host":
        assert host_of(r["location"]) == ("safe.examplea.example" if variable == "host" else "safe.example"), r["location"]
    elif place == "within":
        assert host_of(r["location"]).endswith(".safe.example"), r["location"]
    elif place == "html":
        assert b"<script" not in r.body and r.body.count(b"<") == 2 and r.body.count(b'"') == 2
    elif place == "json":
        assert set(json.loads(r.body)) == {"v"}
    elif place == "field":
        assert r["x-out"].startswith("[") and r["x-out"].endswith("]")
    elif place == "file":
        assert b"outside" not in r.body and r.status in (200, 301, 403, 404, 405, 410, 501)
    elif place == "rewrite":
        assert r.status in (200, 403, 404) and (r.status != 200 or r.text == "inside" or r.text.startswith("/got"))


@pytest.mark.parametrize("place", PLACES)
def test_each_variable_with_each_value(server, place):
    rows = 0
    for variable, (target, field) in SOURCES.items():
        for value in VALUES if "@V@" in target + field else ["empty"]:
            r = exchange(server, variable, place, value)
            if r:
                try:
                    check(place, variable, value, r)
                except (AssertionError, ValueError, TypeError) as e:
                    raise AssertionError(f"${{{variable}}} with {value}: {e!r} {r!r} {r.headers}") from e
                rows += 1
    assert rows > 100


@pytest.mark.parametrize("variable, text", [
    ("host", "[a.example]"), ("client", "[127.0.0.1]"), ("peer", "[127.0.0.1]"), ("method", "[FROB]"), ("scheme", "[http]"),
    ("user", "[]"), ("site", "[a]"), ("route", "[text-14]"), ("query.v", "[]"), ("header.X-V", "[]"), ("cookie.v", "[]"),
])
def test_values(server, variable, text):
    assert exchange(server, variable, "text", "empty").text == text


def test_an_id_is_the_log_s(server):
    assert re.fullmatch(r"\[[0-9a-f]{16}\]", exchange(server, "request_id", "text", "empty").text)
