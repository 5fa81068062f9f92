"""Sites by listener and name, routes in their order, and chains of handlers."""
import pytest

CONF = r"""
    [listen:main]
    address = 127.0.0.1:@PORT@
    [listen:second]
    address = 127.0.0.2:@PORT@
    [listen:inside]
    address = 127.0.0.3:@PORT@, unix:@DIR@/inside.sock
    [module:hello]
    [site:one]
    listen = main, second
    host = one.test, www.one.test
    [site:wild]
    listen = main, second
    host = *.one.test
    [site:deep]
    listen = main, second
    host = *.deep.one.test
    [site:six]
    listen = main
    host = [2001:db8:0::1], 192.0.2.1
    [site:rest]
    listen = main
    host = *
    [site:inside]
    listen = inside
    host = inside.test
    [site:also]
    listen = inside, second
    host = one.inside.test
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
    [route:deep]
    site = deep
    match = /
    handler = hello
    greeting = deep
    [route:six]
    site = six
    match = /
    handler = hello
    greeting = six
    [route:inside]
    site = inside
    match = /
    handler = hello
    greeting = inside
    [route:also]
    site = also
    match = /
    handler = hello
    greeting = also
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
MAIN, SECOND, INSIDE, UNIX = "127.0.0.1", "127.0.0.2", "127.0.0.3", "inside.sock"
ROWS = [
    (MAIN, "one.test", "/", "one"),
    (MAIN, "ONE.test", "/", "one"),
    (MAIN, "one.test.", "/", "one"),
    (MAIN, "One.Test.:8080", "/", "one"),
    (MAIN, "one.test..", "/", "rest"),
    (MAIN, "one.test:8080", "/x", "one"),
    (MAIN, "one.test:1", "/x", "one"),
    (MAIN, "one.test:", "/x", "one"),
    (MAIN, "www.one.test", "/", "one"),  # a name before any wildcard
    (MAIN, "a.one.test", "/", "wild"),
    (MAIN, "A.B.One.test", "/", "wild"),
    (MAIN, "a.one.test.", "/", "wild"),
    (MAIN, "a.deep.one.test", "/", "deep"),  # the longest wildcard
    (MAIN, "a.b.deep.one.test", "/", "deep"),
    (MAIN, "deep.one.test", "/", "wild"),  # "*." stands for something
    (MAIN, "xdeep.one.test", "/", "wild"),
    (MAIN, ".one.test", "/", "rest"),
    (MAIN, "xone.test", "/", "rest"),
    (MAIN, "one.test.other", "/", "rest"),
    (MAIN, "other.test", "/", "rest"),
    (MAIN, "one%2etest", "/", "rest"),
    (MAIN, "", "/", "rest"),
    (MAIN, None, "/", "rest"),  # HTTP/1.0
    (MAIN, "127.0.0.1", "/", "rest"),
    (MAIN, "192.0.2.1:80", "/", "six"),
    (MAIN, "[2001:db8::1]", "/", "six"),
    (MAIN, "[2001:DB8:0:0::0001]:443", "/", "six"),
    (MAIN, "[::1]:80", "/", "rest"),
    (MAIN, "inside.test", "/", "rest"),  # the site is not reached here
    (MAIN, "other.test", "http://one.test:99/", "one"),  # the target's host wins
    (SECOND, "one.test", "/", "one"),
    (SECOND, "a.deep.one.test", "/", "deep"),
    (SECOND, "one.inside.test", "/", "also"),
    (SECOND, "other.test", "/", "one"),  # no "*" here: the first site of the file
    (SECOND, "[2001:db8::1]", "/", "one"),
    (INSIDE, "inside.test", "/", "inside"),
    (INSIDE, "one.inside.test", "/", "also"),
    (INSIDE, "one.test", "/", "inside"),
    (UNIX, "one.inside.test", "/", "also"),
    (UNIX, "x", "/", "inside"),
    (MAIN, "other.test", "/u/8", "regex"),
    (MAIN, "other.test", "/u/7", "exact"),
    (MAIN, "other.test", "/u/x", "rest"),
]


@pytest.mark.parametrize("listener,host,path,greeting", ROWS, ids=[f"{a} {h} {p}" for a, h, p, _ in ROWS])
def test_site(shared, listener, host, path, greeting):
    s = shared(CONF)
    head = f"GET {path} HTTP/1.0\r\n\r\n" if host is None else f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"
    address = s.path(listener) if listener == UNIX else (listener, s.port)
    assert s.exchange(head.encode(), address=address).text.strip() == greeting


def test_listener_that_leads_nowhere(serve):
    s = serve("[listen:main]\naddress = 127.0.0.1:@PORT@\n[listen:spare]\naddress = 127.0.0.2:@PORT@\n"
              "[site:a]\nlisten = main\nroot = @DIR@\n", start=False)
    done = s.run("-c", s.conf, "-t")
    assert done.returncode != 0 and "[listen:spare] leads to no site" in done.stderr


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
