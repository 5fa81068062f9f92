"""The access log, in both formats, and the error log's context."""
import json
import re

from lib.server import wait_for

CONF = """
    [module:hello]
    [module:slow]
    [route:h]
    match = /hello
    handler = hello
    [route:s]
    match = /slow
    handler = slow
"""
H = b"Host: Example.COM:81\r\n"
COMBINED = re.compile(r'^127\.0\.0\.1 - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] '
                      r'"(.*)" (\d{3}) (\d+) "(.*)" "(.*)"$')


def lines(s, n):
    wait_for(lambda: s.read("access.log").count("\n") >= n, what=f"{n} lines in the access log")
    return s.read("access.log").splitlines()


def test_combined(serve):
    s = serve(CONF, server={"workers": 1})
    with s.connect() as c:
        c.send(b"GET /hello?a=b HTTP/1.1\r\n" + H + b'Referer: http://r/"x"\r\nUser-Agent: me\\\x80\r\n\r\n').response()
        c.send(b"HEAD /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").response("HEAD")
        c.send(b"nonsense\r\n\r\n").response()
    rows = [COMBINED.match(line).groups() for line in lines(s, 3)]
    assert rows[0] == ("GET /hello?a=b HTTP/1.1", "200", "14", "http://r/\\x22x\\x22", "me\\x5C\\x80")
    assert rows[1] == ("HEAD /hello HTTP/1.0", "200", "0", "-", "-")
    assert rows[2][:2] == ("-", "400")


def test_json(serve):
    s = serve(CONF, server={"workers": 1, "access_format": "json"})
    with s.connect() as c:
        c.send(b"GET /hello?a=b HTTP/1.1\r\n" + H + b'User-Agent: "me"\\\xff\r\n\r\n').response()
        c.send(b"nonsense\r\n\r\n").response()
    first, second = [json.loads(line) for line in lines(s, 2)]
    assert (first["method"], first["host"], first["path"], first["query"]) == ("GET", "example.com", "/hello", "a=b")
    assert (first["status"], first["bytes_out"], first["route"], first["module"]) == (200, 14, "h", "hello")
    assert first["worker"] == 1 and first["generation"] >= 1 and len(first["request_id"]) == 16
    assert first["ua"].startswith('"me"\\')
    assert second["status"] == 400
    assert first["request_id"] != second["request_id"]


def test_every_request_has_a_line(serve):
    s = serve(CONF)
    for _ in range(10):
        with s.connect() as c:
            c.send((b"GET /hello HTTP/1.1\r\n" + H + b"\r\n") * 2)
            c.response()
            c.response()
    assert len(lines(s, 20)) == 20


def test_client_that_left_is_499(serve):
    s = serve(CONF, server={"workers": 1})
    with s.connect() as c:
        c.send(b"GET /slow?ms=3000 HTTP/1.1\r\n" + H + b"\r\n")
        assert c.is_silent(0.2)
        c.reset()
    assert COMBINED.match(lines(s, 1)[0]).group(2) == "499"


def test_off(serve):
    s = serve(CONF, server={"access_log": "off"})
    assert s.get("/hello").status == 200
    assert s.read("access.log") == ""


def test_error_log_names_the_request(serve):
    s = serve(CONF, server={"workers": 1, "log_format": "json"})
    s.exchange(b"GET /../x HTTP/1.1\r\n" + H + b"\r\n")
    s.log_has("refused")
    entry = json.loads(next(line for line in s.log().splitlines() if "refused" in line))
    assert entry["client"] == "127.0.0.1" and entry["target"] == "/../x" and len(entry["request_id"]) == 16
