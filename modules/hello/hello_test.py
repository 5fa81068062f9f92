"""hello: what it says, and where its setting may stand."""
import pytest
from lib.server import Server

CONF = """
    [module:hello]

    [route:plain]
    match = = /plain
    handler = hello

    [route:said]
    match = = /said
    handler = hello
    greeting = "Grüße; <b>100 %</b>"

    [route:silent]
    match = = /silent
    handler = hello
    greeting = ""
"""


@pytest.fixture(scope="module")
def server():
    s = Server(CONF).start()
    yield s
    faults = s.end()
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("path, body", [
    ("/plain", "Hello, world!\n"),
    ("/plain?x=1", "Hello, world!\n"),
    ("/said", "Grüße; <b>100 %</b>\n"),
    ("/silent", "\n"),
])
def test_says(server, path, body):
    r = server.get(path)
    assert (r.status, r.text) == (200, body)
    assert r["content-type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS"])
def test_every_method(server, method):
    r = server.request(method, "/plain", body=b"x" * 1000 if method in ("POST", "PUT") else None)
    assert (r.status, r.text) == (200, "Hello, world!\n")


def test_head_has_the_length_only(server):
    r = server.exchange(b"HEAD /plain HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HEAD")
    assert (r.status, r["content-length"]) == (200, "14")


def test_greeting_of_the_module_holds_everywhere(serve):
    s = serve("""
        [module:hello]
        greeting = Moin
        [route:one]
        match = = /one
        handler = hello
    """)
    assert s.get("/one").text == "Moin\n"


def test_too_long_a_greeting_is_refused(serve):
    s = serve(f"""
        [module:hello]
        greeting = {'x' * 1025}
    """, start=False)
    done = s.run("-c", s.conf, "-t")
    assert done.returncode == 78 and "greeting" in done.stderr
