"""Sites by name, routes in their order, and chains of handlers."""
import pytest

CONF = r"""
    [module:hello]
    [site:one]
    host = one.test, www.one.test
    [site:wild]
    host = *.one.test
    [site:rest]
    host = *
    [route:one]
    site = one
    match = /
    handler = hello
    greeting = one
    [route:wild]
    site = wild
    match = /
    handler = hello
    greeting = wild
    [route:rest]
    site = rest
    match = /
    handler = hello
    greeting = rest
    [route:re]
    site = rest
    match = ~ ^/u/(?<id>\d+)$
    handler = hello
    greeting = regex
    [route:exact]
    site = rest
    match = = /u/7
    handler = hello
    greeting = exact
"""
ROWS = [
    ("one.test", "/", "one"),
    ("ONE.test", "/", "one"),
    ("one.test:8080", "/x", "one"),
    ("www.one.test", "/", "one"),
    ("a.one.test", "/", "wild"),
    ("a.b.one.test", "/", "wild"),
    ("other.test", "/", "rest"),
    ("127.0.0.1", "/", "rest"),
    ("[::1]:80", "/", "rest"),
    ("other.test", "/u/8", "regex"),
    ("other.test", "/u/7", "exact"),
    ("other.test", "/u/x", "rest"),
]


@pytest.mark.parametrize("host,path,greeting", ROWS, ids=[f"{h}{p}" for h, p, _ in ROWS])
def test_site(shared, host, path, greeting):
    r = shared(CONF).exchange(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    assert r.text.strip() == greeting


def test_a_handler_that_declines_passes_on(serve):
    s = serve("""
        [module:static]
        [module:hello]
        [route:both]
        match = /
        handler = static, hello
    """, www={"there.txt": "file"})
    assert s.get("/there.txt").text == "file"
    assert s.get("/missing.txt").text.startswith("Hello")
