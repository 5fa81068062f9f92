"""What a request and a connection cost, by count and not by time: system calls, calls of malloc, bytes of memory."""
import os
import re
import shutil
import signal
import socket
import tempfile

import pytest

from lib.cost import Heap, calls, tracing
from lib.server import wait_for

# Files are not looked at again meanwhile: how often depends on the time.
MODULES = """
    [module:static]
    cache_valid = 1h
    [module:hello]
    [route:hello]
    match = = /hello
    handler = hello
"""
HUGE = 24 << 20
WWW = {"1k.html": "x" * 1024, "32k.html": "x" * 32768, "100k.html": "y" * 102400, "huge.bin": b"z" * HUGE}
ALONE = {"workers": 1, "access_log": "off"}

ROUNDS = 100
SPARE = 5  # calls in all that are nobody's: a second begins, an epoll_wait comes back twice


def get(path, *fields, method="GET"):
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: a", *fields, "", ""]).encode()


NONE_MATCH = "If-None-Match: *"

# name: request, how many at once, bytes of the answer's body, calls beside epoll_wait
KINDS = {
    "hello": (get("/hello"), 1, 14, {"recvfrom": 1, "sendto": 1}),
    "a small file": (get("/1k.html"), 1, 1024, {"recvfrom": 1, "sendto": 1}),
    "a file of 32 KiB": (get("/32k.html"), 1, 32768, {"recvfrom": 1, "sendmsg": 1}),
    "HEAD": (get("/32k.html", method="HEAD"), 1, 0, {"recvfrom": 1, "sendto": 1}),
    "304": (get("/32k.html", NONE_MATCH), 1, 0, {"recvfrom": 1, "sendto": 1}),
    "a part": (get("/32k.html", "Range: bytes=5-9"), 1, 5, {"recvfrom": 1, "sendto": 1}),
    "16 at once": (get("/1k.html"), 16, 1024, {"recvfrom": 1, "sendmsg": 1}),
    "16 of a module at once": (get("/hello"), 16, 14, {"recvfrom": 1, "sendmsg": 1}),
    # The file may have changed since it was opened, and its pages may have gone: two questions before it is sent.
    "a large file": (get("/100k.html"), 1, 102400,
                     {"recvfrom": 1, "newfstatat": 1, "sendto": 1, "preadv2": 1, "sendfile": 1}),
}


def ask(c, request, n, length):
    c.send(request * n)
    for _ in range(n):
        body = c.response(method="HEAD" if request.startswith(b"HEAD") else "GET").body
        assert len(body) == length


@pytest.fixture(scope="module")
def server(shared):
    return shared(MODULES, www=WWW, server=ALONE)


@pytest.mark.parametrize("kind", KINDS)
def test_system_calls_of_a_request(server, kind):
    """On a kept connection: nothing else, no timer, no epoll_ctl. The client waits for each answer, so there is one
    epoll_wait a request more; with many clients that is one for many."""
    request, n, length, want = KINDS[kind]
    with server.connect() as c:
        for _ in range(3):
            ask(c, request, n, length)
        with tracing(server.workers()[0], server.path("strace.txt")):
            for _ in range(ROUNDS):
                ask(c, request, n, length)
    found = calls(server.path("strace.txt"))
    others = {call: k for call, k in found.items() if call not in want and call != "epoll_wait"}
    assert sum(others.values()) <= SPARE, found
    assert found["epoll_wait"] <= ROUNDS + SPARE, found
    for call, k in want.items():
        assert ROUNDS * k <= found[call] <= ROUNDS * k + SPARE, found


def size_of_calls(path, call):
    with open(path, encoding="utf-8", errors="replace") as f:
        return [int(n) for n in re.findall(rf"^{call}\(.*, (\d+)\) += ", f.read(), re.M)]


def test_a_large_file_in_turns(server):
    """What is found to be in memory is sent before it can go from there."""
    with server.connect() as c:
        ask(c, get("/huge.bin"), 1, HUGE)
        with tracing(server.workers()[0], server.path("strace.txt"), "-e", "trace=sendfile"):
            ask(c, get("/huge.bin"), 1, HUGE)
    sizes = size_of_calls(server.path("strace.txt"), "sendfile")
    assert sizes and max(sizes) <= 1 << 20, sizes


def test_who_takes_nothing_is_sent_nothing(server):
    """... however much he sends: the next call is made when there is room."""
    with socket.socket() as c:
        c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        c.connect(("127.0.0.1", server.port))
        c.sendall(get("/huge.bin"))

        for _ in range(5):  # the worker comes to it meanwhile
            server.get("/hello")
        with tracing(server.workers()[0], server.path("strace.txt"), "-e", "trace=sendfile,preadv2"):
            for byte in get("/hello"):
                c.sendall(bytes([byte]))
                assert server.get("/hello").status == 200
    found = calls(server.path("strace.txt"))
    assert sum(found.values()) <= SPARE, found


def test_the_last_close_of_a_large_file(shared):
    """Its blocks are given back then, which takes time: not the loop's."""
    folder = tempfile.mkdtemp(dir="/dev/shm")
    try:
        os.chmod(folder, 0o755)
        s = shared(MODULES.replace("1h", "0") + f"    [site:default]\n    root = {folder}\n", server=ALONE)

        def replace():
            with open(f"{folder}/new", "wb") as f:
                f.truncate(HUGE)
            os.rename(f"{folder}/new", f"{folder}/huge.bin")

        replace()
        with s.connect() as c:
            ask(c, get("/huge.bin"), 1, HUGE)
            with tracing(s.workers()[0], s.path("strace.txt"), "-e", "trace=close,openat2"):
                for _ in range(3):
                    replace()
                    ask(c, get("/huge.bin"), 1, HUGE)
        found = calls(s.path("strace.txt"))
        assert found["openat2"] == 3 and not found["close"], found
    finally:
        shutil.rmtree(folder)


def test_many_connections_share_a_wait(server):
    clients = [server.connect() for _ in range(64)]
    for c in clients:
        ask(c, get("/hello"), 1, 14)
    with tracing(server.workers()[0], server.path("strace.txt")):
        server.signal(signal.SIGSTOP, server.workers()[0])
        for c in clients:
            c.send(get("/hello"))
        server.signal(signal.SIGCONT, server.workers()[0])
        for c in clients:
            assert len(c.response().body) == 14
    found = calls(server.path("strace.txt"))
    assert found["recvfrom"] == found["sendto"] == 64, found
    assert found["epoll_wait"] <= 8, found
    for c in clients:
        c.close()


@pytest.mark.parametrize("kind", ["hello", "a small file", "a file of 32 KiB", "HEAD", "304", "16 at once", "a part"])
def test_no_malloc_for_a_request(counted, kind):
    """Once it has run for a while: what a request needs has come from what the last one gave back."""
    server, heap = counted
    request, n, length, _ = KINDS[kind]
    with server.connect() as c:
        for _ in range(20):
            ask(c, request, n, length)
        before = heap.now(server.workers()[0])
        for _ in range(1000 // n):
            ask(c, request, n, length)
        after = heap.now(server.workers()[0])
    assert before.calls > 100  # the counter counts
    assert after == before


@pytest.fixture(scope="module")
def counted(shared, tmp_path_factory):
    heap = Heap(str(tmp_path_factory.mktemp("heap")))
    return shared(MODULES, www=WWW, server=ALONE, env=heap.env), heap


def test_memory_of_an_idle_connection(counted):
    """All that malloc has given for it and not got back, once it has had an answer and waits for the next request."""
    server, heap = counted
    many, worker = 500, server.workers()[0]
    with server.connect() as c:
        ask(c, get("/1k.html"), 1, 1024)
        before = heap.now(worker)
        clients = [server.connect() for _ in range(many)]
        for i in clients:
            ask(i, get("/1k.html"), 1, 1024)
        ask(c, get("/1k.html"), 1, 1024)
        each = (heap.now(worker).bytes - before.bytes) / many
        for i in clients:
            i.close()
        wait_for(lambda: heap.now(worker).bytes <= before.bytes, what="the memory does not come back")
    assert 100 < each <= 300
