"""What users have asked for, in short: the long runs are in tests/soak.

P1, P2: ten broken settings are refused with the reason while clients notice nothing. P29: TERM lets requests end. P30: no
request fails over reloads, on new connections or kept ones."""
import contextlib
import signal
import threading

import pytest
from lib import ten
from lib.clients import Clients
from lib.server import LIMIT, wait_for

SLOW = """
[module:slow]
[route:slow]
match = = /slow
handler = slow
"""


@contextlib.contextmanager
def fresh(server, path, n=2):
    """Clients that make a connection for each request; the list of what went wrong, and how many were answered."""
    over, wrong, done = threading.Event(), [], []

    def run():
        while not over.is_set():
            try:
                status = server.get(path).status
                (done if status == 200 else wrong).append(status)
            except OSError as e:
                wrong.append(repr(e))
    threads = [threading.Thread(target=run) for _ in range(n)]
    for t in threads:
        t.start()
    try:
        yield wrong, done
    finally:
        over.set()
        for t in threads:
            t.join()


# ---- P1, P2: ten broken settings -------------------------------------------------------------------

@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    t = ten.Ten(str(tmp_path_factory.mktemp("ten")))
    yield t.cases
    t.close()


def is_refused(case, done, codes):
    assert done.returncode in codes, f"{case.name}: {done}"
    for word in case.words:
        assert word in done.stderr, f"{case.name}: {word!r} is not in:\n{done.stderr}"


def test_ten_broken_settings(serve, status, cases):
    s = serve(ten.GOOD.format(greeting="first"))
    workers = s.workers()
    with fresh(s, "/hello") as (wrong, answered), Clients(s, "/hello", connections=2) as kept:
        for n, case in enumerate(cases, 1):
            case.write(s)
            undo = ten.fill(s.pid) if case.full else None
            done = s.ctl("reload")
            if undo:
                undo()
            is_refused(case, done, case.codes)
            now = status(s)
            assert now["generation"] == 1 and now["reloads_failed"] == n, case.name
            assert s.get("/hello").text == "first\n"
            if case.test is not None:
                done = s.run("-c", s.conf, "-t")
                assert done.returncode == case.test, f"{case.name}: {done}"
        assert [p for p in s.workers() if p in workers] == workers
        s.configure(ten.GOOD.format(greeting="second"))
        assert s.ctl("reload").returncode == 0
        assert status(s)["generation"] > 1 and s.get("/hello").text == "second\n"
        seen = len(answered)
        wait_for(lambda: len(answered) > seen)
    assert not wrong and not kept.wrong and not kept.broken and kept.answered


# ---- P29: TERM lets requests end -------------------------------------------------------------------

def test_term_with_requests_in_flight(serve, status):
    s = serve(SLOW)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(s.connect()) for _ in range(60)]
        for c in clients:
            c.send(b"GET /slow?ms=3000 HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_for(lambda: status(s)["connections"] == len(clients))
        s.signal(signal.SIGTERM)
        answers = [c.response() for c in clients]
        assert [(a.status, a["connection"]) for a in answers] == [(200, "close")] * len(clients)
        assert all(c.eof() for c in clients)
    assert s.wait() == 0


# ---- P30: no request fails over reloads ------------------------------------------------------------

def test_requests_over_reloads(serve, status):
    s = serve(ten.GOOD.format(greeting="0") + SLOW)
    with fresh(s, "/hello", 3) as (wrong, answered), Clients(s, "/hello", connections=4) as kept, \
            Clients(s, "/slow?ms=50", connections=4) as slow:
        for n in range(1, 7):
            s.configure(ten.GOOD.format(greeting=n) + SLOW)
            before = len(answered), kept.answered
            done = s.ctl("reload")
            assert done.returncode == 0, done
            assert s.get("/hello").text == f"{n}\n"
            wait_for(lambda: len(answered) > before[0] and kept.answered > before[1])
        wait_for(lambda: len(answered) + kept.answered > 2000, 2 * LIMIT)
    assert not wrong
    for clients in kept, slow:
        assert not clients.wrong and not clients.broken and clients.answered
    assert status(s)["crashes"] == 0
