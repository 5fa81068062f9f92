"""slow: it waits as long as it should, and nobody else waits with it."""
import threading
import time

import pytest
from lib.server import Server

CONF = """
    [module:slow]
    max_delay = 400ms

    [route:slow]
    match = = /slow
    handler = slow
    delay = 150ms

    [route:none]
    match = = /none
    handler = slow
    delay = 0
"""


@pytest.fixture(scope="module")
def server():
    s = Server(CONF, server={"workers": 1}).start()
    yield s
    faults = s.end()
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("path, ms", [
    ("/slow", 150),
    ("/none", 0),
    ("/slow?ms=250", 250),
    ("/slow?ms=0", 0),
    ("/slow?a=b&ms=20", 20),
    ("/slow?ms=20&ms=300", 20),
    ("/slow?xms=300", 150),
    ("/slow?ms=400", 400),
    ("/slow?ms=99999", 400),
    ("/slow?ms=99999999999999999999999999", 400),
])
def test_waits(server, path, ms):
    start = time.monotonic()
    r = server.get(path)
    took = time.monotonic() - start
    assert (r.status, r.text) == (200, f"Waited {ms} ms.\n")
    assert took >= ms / 1000 - 0.002


@pytest.mark.parametrize("query", ["ms=", "ms=x", "ms=1s", "ms=-5", "ms=1.5"])
def test_refuses_what_is_no_number(server, query):
    assert server.get("/slow?" + query).status == 400


def test_one_worker_waits_for_many_at_once(server):
    answers = []

    def ask():
        answers.append(server.get("/slow?ms=300").status)

    threads = [threading.Thread(target=ask) for _ in range(40)]
    start = time.monotonic()
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert answers == [200] * 40
    assert time.monotonic() - start < 40 * 0.3 / 2, "one after the other"


def test_a_client_that_goes_away_harms_nobody(server):
    for _ in range(20):
        with server.connect() as c:
            c.send(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
    assert server.get("/slow").status == 200


def test_answers_come_in_the_order_of_the_requests(server):
    with server.connect() as c:
        c.send(b"GET /slow?ms=200 HTTP/1.1\r\nHost: x\r\n\r\nGET /slow?ms=1 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert [c.response().text, c.response().text] == ["Waited 200 ms.\n", "Waited 1 ms.\n"]


def test_handler_timeout_ends_a_wait(serve):
    s = serve("""
        [module:slow]
        [route:slow]
        match = /
        handler = slow
        delay = 20s
    """, limits={"handler_timeout": "200ms"})
    assert s.get("/").status == 504
