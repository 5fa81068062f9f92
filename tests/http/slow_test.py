"""Clients that are slow, silent or endless, many at a time: the worker's memory stays within what docs/http.md promises for so many, a counter
names what was done about each of them, and others are served meanwhile. One worker, so that nobody else can serve them."""
import contextlib
import resource
import select
import selectors
import shutil
import socket
import subprocess

import pytest
from lib.crash import is_sanitized
from lib.server import LIMIT, deadline, wait_for

H = b"Host: a\r\n"
HELLO = b"GET /hello HTTP/1.1\r\n" + H + b"\r\n"
MANY = 400
CONF = """
    [module:hello]
    [module:echo]
    [module:status]
    [route:hello]
    match = /hello
    handler = hello
    [route:echo]
    match = /echo
    handler = echo
    [route:status]
    match = /status
    handler = status
"""
# What a sanitizer keeps of memory that was given back, and the walls it builds, are not the question.
SANITIZED = is_sanitized()
QUIET = {"ASAN_OPTIONS": "quarantine_size_mb=1:detect_stack_use_after_return=0"} if SANITIZED else {}
FACTOR = 4 if SANITIZED else 1


@pytest.fixture
def slow(serve):
    """slow(limits, www): a server with one worker, and all limits out of the way but those."""
    def start(limits, www=None):
        far = dict.fromkeys(("head_timeout", "body_timeout", "write_timeout", "keepalive_timeout", "handler_timeout"), "1h")
        return serve(CONF, server={"workers": 1}, limits={**far, **limits}, www=www or {}, env=QUIET)
    return start


def memory(s):
    """KiB that are the worker's own."""
    with open(f"/proc/{s.workers()[0]}/smaps_rollup", encoding="ascii") as f:
        return sum(int(line.split()[1]) for line in f if line.startswith("Private_"))


def total(s, counter):
    return s.get("/status?json").json["totals"][counter]


class Crowd:
    """Many connections that are all in the same trouble."""

    def __init__(self, s, number, receive=None):
        self.s, self.number, self.receive = s, number, receive
        self.friend = s.connect()  # somebody else, who was there before
        self.served()
        self.before = memory(s)

    def __enter__(self):
        self.socks = []
        for _ in range(self.number):
            sock = socket.socket()
            if self.receive:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.receive)
            sock.connect(("127.0.0.1", self.s.port))
            sock.setblocking(False)
            self.socks.append(sock)
        return self

    def __exit__(self, *_):
        for sock in [*self.socks, self.friend.sock]:
            sock.close()

    def send(self, data):
        """To all of them; those that the server has closed are passed over."""
        for sock in self.socks:
            with contextlib.suppress(OSError):
                sock.send(data)

    def served(self, times=10):
        """Others get their answers: on the connection that was there before, and on new ones."""
        for _ in range(times):
            assert self.friend.send(HELLO).response().status == 200
            assert self.s.get("/hello").status == 200

    def costs(self, most):
        """No more than so many KiB each, and 512 for the worker's own pools."""
        grown = memory(self.s) - self.before
        print(f"{grown} KiB more for {self.number} connections")
        assert grown < FACTOR * (self.number * most + 512), f"{grown} KiB more for {self.number} connections"

    def all_counted(self, counter, number=None):
        wait_for(lambda: total(self.s, counter) >= (number or self.number), what=f"{counter} does not reach {number or self.number}")
        assert total(self.s, counter) == (number or self.number)

    def answers(self):
        """All that each of them has got, until the server has closed."""
        got = {}
        with selectors.DefaultSelector() as selector:
            for sock in self.socks:
                got[sock] = b""
                selector.register(sock, selectors.EVENT_READ)
            while selector.get_map():
                ready = selector.select(60)
                assert ready, "not all are closed"
                for key, _ in ready:
                    piece = b""
                    with contextlib.suppress(OSError):
                        piece = key.fileobj.recv(65536)
                    got[key.fileobj] += piece
                    if not piece:
                        selector.unregister(key.fileobj)
        return list(got.values())


def test_heads_that_never_end(slow):
    """Slowloris: a field now and then."""
    s = slow({"head_timeout": "3s"})
    with Crowd(s, MANY) as crowd:
        crowd.send(b"GET /hello HTTP/1.1\r\n" + H)
        for i in range(10):
            crowd.send(b"X-%d: y\r\n" % i)
            crowd.served(2)
        crowd.costs(20)
        assert all(a.startswith(b"HTTP/1.1 408 ") for a in crowd.answers())
        crowd.served()
        crowd.all_counted("timeout_head")


def test_bodies_that_never_end(slow):
    """R.U.D.Y.: a large body is announced, a byte comes now and then, and then none."""
    s = slow({"body_timeout": "2s", "max_body": "1m"})
    with Crowd(s, MANY) as crowd:
        crowd.send(b"POST /echo HTTP/1.1\r\n" + H + b"Content-Length: 1000000\r\n\r\n")
        for _ in range(10):
            crowd.send(b"x")
            crowd.served(2)
        crowd.costs(24)
        crowd.answers()
        crowd.served()
        crowd.all_counted("timeout_body")


def test_clients_that_do_not_read(slow):
    """Each asks for much more than sockets hold. The file is not copied for them."""
    s = slow({"write_timeout": "2s"}, www={"big": bytes(16 << 20)})
    with Crowd(s, 100, receive=4096) as crowd:
        crowd.send(b"GET /big HTTP/1.1\r\n" + H + b"\r\n")
        crowd.served()
        crowd.costs(16)
        crowd.all_counted("timeout_write")
        crowd.served()


def test_requests_without_end_from_a_client_that_does_not_read(slow):
    """Answers that nobody takes stop the reading of requests: at most a batch of them is kept."""
    s = slow({"write_timeout": "5s"})
    with Crowd(s, 8, receive=4096) as crowd:
        batch = HELLO * 500
        sent = dict.fromkeys(crowd.socks, 0)
        for _ in deadline(LIMIT, "the server reads on"):
            ready = select.select([], list(sent), [], 0.5)[1]
            for sock in ready:
                try:
                    sent[sock] += sock.send(batch[sent[sock] % len(batch):])
                except OSError:  # on a busy machine its time may be over already
                    del sent[sock]
            if not ready:
                break
        crowd.served()
        crowd.costs(640)
        crowd.all_counted("timeout_write")
        crowd.served()


def test_byte_by_byte(slow):
    """All of them at the same pace; all get their answer."""
    s = slow({})
    head = b"POST /echo HTTP/1.1\r\n" + H + b"Transfer-Encoding: chunked\r\n\r\n1;a=b\r\nZ\r\n0\r\nX: y\r\n\r\n"
    with Crowd(s, 50) as crowd:
        for byte in head[:-1]:
            crowd.send(bytes([byte]))
        crowd.served()
        crowd.costs(24)
        crowd.send(head[-1:] + b"GET /hello HTTP/1.1\r\n" + H + b"Connection: close\r\n\r\n")
        answers = crowd.answers()
        wrong = [a for a in answers if a.count(b"HTTP/1.1 200 ") != 2 or b"\r\nZ\r\n" not in a]
        assert not wrong


@pytest.mark.parametrize("piece, status", [
    (b"X: y\r\n", 431), (b"X-Name: " + b"v" * 1000 + b"\r\n", 431), (b"y" * 1000, 431), (b"X" * 4 + b":\r\n", 431),
], ids=["many fields", "long fields", "one field", "empty fields"])
def test_floods_of_fields(slow, piece, status):
    s = slow({})
    with Crowd(s, 100) as crowd:
        crowd.send(b"GET /hello HTTP/1.1\r\n" + H + (b"Y: " if piece[:1] == b"y" else b""))
        for _ in range(10):
            crowd.send(piece)
        crowd.costs(48)
        for _ in range(100):
            crowd.send(piece)
        assert all(a.startswith(b"HTTP/1.1 %d " % status) for a in crowd.answers())
        crowd.served()
        crowd.all_counted("limit_head")


@pytest.mark.parametrize("piece", [b"1;" + b"a" * 1000 + b"\r\nx\r\n", b"1;a=b;c=d;e=\"f\"\r\nx\r\n", b"a" * 1000], ids=["long", "many", "one"])
def test_chunk_extensions_without_end(slow, piece):
    s = slow({})
    with Crowd(s, 100) as crowd:
        crowd.send(b"POST /echo HTTP/1.1\r\n" + H + b"Transfer-Encoding: chunked\r\n\r\n" + (b"1;" if piece[:1] == b"a" else b""))
        for _ in range(20):
            crowd.send(piece * max(1, 2000 // len(piece)))
            crowd.served(1)
        crowd.costs(48)
        crowd.send(piece * 200)
        answers = crowd.answers()
        # echo has begun its answer where there was some body: it is cut then.
        assert all(b"0\r\n\r\n" not in a for a in answers)
        crowd.served()
        crowd.all_counted("limit_head")


def test_trailers_without_end(slow):
    s = slow({})
    with Crowd(s, 100) as crowd:
        crowd.send(b"POST /echo HTTP/1.1\r\n" + H + b"Transfer-Encoding: chunked\r\n\r\n0\r\n")
        for _ in range(20):
            crowd.send(b"X-Name: " + b"v" * 1000 + b"\r\n")
        crowd.served()
        crowd.costs(48)
        crowd.answers()
        crowd.all_counted("limit_head")


def test_ten_thousand_that_idle(slow):
    """Each has had an answer and stays."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    number = min(10_000, most - 500)
    if number < 1000:
        pytest.skip(f"only {most} files may be open")
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    try:
        s = slow({})
        with Crowd(s, number) as crowd:
            crowd.send(HELLO)
            for sock in crowd.socks:
                sock.setblocking(True)
                assert sock.recv(4096).startswith(b"HTTP/1.1 200 ")
            crowd.served()
            wait_for(lambda: total(s, "connections_idle") >= number + 1)
            crowd.costs(1)
            crowd.send(HELLO)
            for sock in crowd.socks[::100]:
                assert sock.recv(4096).startswith(b"HTTP/1.1 200 ")
        wait_for(lambda: total(s, "connections") == 1, what="connections stay")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_silent_connections_are_counted(slow):
    """Those that have asked once, and those that never do."""
    s = slow({"keepalive_timeout": "5s", "head_timeout": "5s"})
    with Crowd(s, MANY) as crowd:
        crowd.send(HELLO)
        answers = crowd.answers()
        assert all(a.startswith(b"HTTP/1.1 200 ") for a in answers)
        crowd.friend = s.connect()
        crowd.served()
        assert total(s, "timeout_idle") >= MANY


@pytest.mark.skipif(not shutil.which("slowhttptest"), reason="slowhttptest is not installed: ./configure --install-deps=check")
@pytest.mark.parametrize("options", [["-H", "-i", "1"], ["-B", "-i", "1"], ["-R", "-b", "2000", "-t", "HEAD"], ["-X", "-w", "10", "-y", "20", "-n", "1", "-z", "5", "-k", "3"]],
                         ids=["heads", "bodies", "ranges", "readers"])
def test_slowhttptest(slow, options):
    """A short run of each; make soak has longer ones."""
    s = slow({"head_timeout": "2s", "body_timeout": "1s", "write_timeout": "1s"}, www={"big": bytes(1 << 20)})
    target = "/echo" if "-B" in options else "/big"
    with Crowd(s, 0) as crowd:
        with subprocess.Popen(["slowhttptest", *options, "-c", "100", "-r", "100", "-l", "3", "-v", "0", "-u", f"http://127.0.0.1:{s.port}{target}"],
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT) as attacker:
            try:
                for _ in deadline(LIMIT, "slowhttptest does not end"):
                    crowd.served(1)
                    if attacker.poll() is not None:
                        break
            finally:
                attacker.kill()
        crowd.number = 100
        crowd.costs(48)
        crowd.served()
    wait_for(lambda: total(s, "connections") <= 2, what="connections stay")
    assert total(s, "connections_opened") > 50
