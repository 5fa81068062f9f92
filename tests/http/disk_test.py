"""A disk that hangs holds up who asks for what is on it, and nobody else: tests/lib/fuse.py is the disk."""
import contextlib
import gzip
import hashlib
import os
import random
import resource
import shutil
import socket
import subprocess
import tempfile

import pytest
from lib import fuse
from lib.cost import Heap
from lib.server import OURSELVES, Connection, Server, is_alive, wait_for

WHY_NOT = fuse.available()
pytestmark = pytest.mark.skipif(bool(WHY_NOT), reason=f"no file system of our own: {WHY_NOT}")

BIG = random.Random(8).randbytes(1_500_000)
FILES = {"/big.bin": BIG, "/small.txt": b"small", "/other.bin": BIG[::-1], "/text.css": b"a{}\n" * 50_000,
         "/sub/index.html": b"index"}
CONF = """
    [module:hello]
    [module:status]
    [module:metrics]
    [module:compress]
    [module:static]
    cache_valid = 0
    [site:default]
    root = @DIR@/www
    [site:slow]
    host = slow.example
    root = {0}
    [route:hello]
    site = default
    match = /hello
    handler = hello
    [route:status]
    site = default
    match = /status
    handler = status
    [route:metrics]
    site = default
    match = /metrics
    handler = metrics
    [route:packed]
    site = slow
    match = /text.css
    use = compress
"""
WWW = {"quick.txt": "quick", "quick.bin": BIG}


def ask(path, fields=""):
    return f"GET {path} HTTP/1.1\r\nHost: slow.example\r\n{fields}\r\n".encode()


def begin(server, path, fields=""):
    return server.connect().send(ask(path, fields))


def others_are_served(server, n=100):
    """On one connection and on new ones: files in memory, files that are not, answers of modules."""
    with server.connect() as c:
        for i in range(n):
            path = ("/hello", "/quick.txt", "/quick.bin", "/missing")[i % 4]
            c.send(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            assert c.response().status == (404 if path == "/missing" else 200)
    assert server.get("/quick.bin").body == BIG


def total(server, name):
    return sum(int(float(line.split()[-1])) for line in server.get("/metrics").text.splitlines()
               if line.startswith(f"cserver_{name}_total{{"))


def waits(server):
    return sum(int(line.split()[-1]) for line in server.get("/metrics").text.splitlines() if "static_waits_total{" in line)


def digest(data):
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def disk():
    with fuse.SlowDisk(FILES) as d:
        yield d


@pytest.fixture
def slow(disk, serve):
    def start(**server):
        return serve(CONF.format(disk.folder), server={"workers": 1, **server}, www=WWW)
    return start


@pytest.fixture(scope="module")
def both():
    """One disk and one server for the tests that leave both as they found them."""
    with fuse.SlowDisk(FILES) as d:
        server = Server(CONF.format(d.folder), server={"workers": 1}, www=WWW)
        server.start()
        yield d, server
        d.go_on()
        faults = server.end()
        assert not faults, "\n".join(faults)


# ---- Answers that are being sent ----

def test_others_are_served_while_a_read_hangs(both):
    disk, server = both
    before = total(server, "disk_reads")
    disk.hold("read", "/big.bin")
    with begin(server, "/big.bin") as c:
        disk.wait_held(what="read")
        others_are_served(server)
        disk.go_on()
        answer = c.response()
        assert (answer.status, digest(answer.body)) == (200, digest(BIG))
    assert total(server, "disk_reads") > before


@pytest.mark.parametrize("field, parts", [("bytes=100-199", [(100, 200)]), ("bytes=-5", [(len(BIG) - 5, len(BIG))]),
                                          ("bytes=0-9,300000-900000,1499990-", [(0, 10), (300000, 900001), (1499990, 1500000)])])
def test_ranges(both, field, parts):
    _, server = both
    with begin(server, "/big.bin", f"Range: {field}\r\n") as c:
        body = c.response().body
    for first, end in parts:
        assert BIG[first:end] in body


def test_a_filter_waits_without_holding_up_others(both):
    disk, server = both
    disk.hold("read", "/text.css")
    with begin(server, "/text.css", "Accept-Encoding: gzip\r\n") as c:
        disk.wait_held(what="read")
        others_are_served(server)
        disk.go_on()
        answer = c.response()
    assert answer["content-encoding"] == "gzip"
    assert gzip.decompress(answer.body) == FILES["/text.css"]


def test_a_client_that_goes_meanwhile(both):
    disk, server = both
    pid = server.workers()[0]
    gone = total(server, "client_gone")
    for i in range(3):
        disk.hold("read", "/big.bin")
        with begin(server, "/big.bin") as c:
            c.until(b"\r\n\r\n")
            disk.wait_held(what="read")
        others_are_served(server, 4)
        disk.go_on()
        wait_for(lambda: total(server, "client_gone") > gone + i)
    with begin(server, "/big.bin") as c:
        assert digest(c.response().body) == digest(BIG)
    assert server.workers() == [pid]


# ---- Files that are being looked for ----

@pytest.mark.parametrize("what, path, asked", [
    ("lookup", "/small.txt", "/small.txt"), ("getattr", "/small.txt", "/small.txt"), ("open", "/small.txt", "/small.txt"),
    ("read", "/small.txt", "/small.txt"), ("lookup", "/none", "/none"), ("lookup", "/sub", "/sub/"), ("lookup", "/sub", "/sub"),
    ("open", "/big.bin", "/big.bin"), ("lookup", "/sub/index.html", "/sub/")])
def test_others_are_served_while_a_look_hangs(both, what, path, asked):
    """Also two that want the same."""
    disk, server = both
    disk.touch("/small.txt")
    disk.hold(what, path)
    with begin(server, asked) as first, begin(server, asked) as second:
        disk.wait_held(what=what)
        others_are_served(server, 20)
        disk.go_on()
        for c in (first, second):
            answer = c.response()
            assert answer.status == (404 if path == "/none" else 301 if asked == "/sub" else 200)
            assert answer.status != 200 or answer.body == FILES[path if path != "/sub" else "/sub/index.html"]


def test_closing_hangs(both):
    """The file has changed, so the one that is open is not wanted any more."""
    disk, server = both
    for _ in range(2):
        with begin(server, "/other.bin") as c:
            assert digest(c.response().body) == digest(BIG[::-1])
        disk.touch("/other.bin")
        disk.hold("flush", "/other.bin")
    disk.wait_held(what="flush")
    others_are_served(server, 20)
    disk.go_on()


def test_one_look_for_all_who_want_the_same(both):
    """More clients than threads: one thread looks."""
    disk, server = both
    disk.hold("lookup", "/small.txt")
    waiting = [begin(server, "/small.txt") for _ in range(30)]
    disk.wait_held()
    others_are_served(server, 4)
    with begin(server, "/sub/") as c:
        assert c.response().status == 200
    assert disk.waiting() == ["/small.txt"]
    disk.go_on()
    for c in waiting:
        with c:
            assert c.response().body == b"small"


def test_who_gave_up_waiting_is_not_answered(slow, disk):
    server = slow()
    disk.hold("lookup", "/small.txt")
    for _ in range(5):
        c = begin(server, "/small.txt")
        disk.wait_held()
        c.close()
    others_are_served(server, 4)
    disk.go_on()
    with begin(server, "/small.txt") as c:
        assert c.response().body == b"small"


def test_what_changes_while_it_is_looked_for(both):
    """A look that has begun before a change is not good enough for who comes after it."""
    disk, server = both
    disk.put("/changing", b"old", 1_700_000_000)
    disk.hold("read", "/changing")
    with begin(server, "/changing") as first:
        disk.wait_held()
        with begin(server, "/changing") as second:
            others_are_served(server, 4)
            disk.put("/changing", b"newer", 1_700_000_100)
            disk.go_on()
            first.response()
            assert second.response().body == b"newer"


def break_off(c):
    c.reset()


def test_who_goes_leaves_nothing_with_a_look_that_hangs(disk, serve, folder):
    heap = Heap(folder)
    server = serve(CONF.format(disk.folder), server={"workers": 1}, www=WWW, env=heap.env)
    pid, n = server.workers()[0], 200

    def come_and_go():
        waiting, gone = waits(server), total(server, "client_gone")
        clients = [begin(server, "/small.txt") for _ in range(n)]
        wait_for(lambda: waits(server) == waiting + n)
        for c in clients:
            break_off(c)
        wait_for(lambda: total(server, "client_gone") == gone + n)
        return heap.now(pid).bytes

    disk.hold("lookup", "/small.txt")
    with begin(server, "/small.txt") as c:
        disk.wait_held()
        bytes_out = [come_and_go() for _ in range(9)]  # the first ones fill what is kept for the next
        disk.go_on()
        assert c.response().body == b"small"
    assert min(b - a for a, b in zip(bytes_out[3:], bytes_out[4:])) < n * 16, bytes_out


# ---- No thread is free ----

def test_all_threads_hang(slow, disk):
    """Who wants something else from a disk waits, too; who wants nothing from a disk does not. What does not fit into the queue
    is answered with 503."""
    server = slow(disk_threads=2, disk_queue=3)
    assert server.get("/quick.bin").status == 200
    for name in ("a", "b", "c", "d", "e", "f"):
        disk.put(f"/{name}", name.encode(), 1_700_000_000)
        disk.hold("lookup", f"/{name}")
    waiting = [begin(server, f"/{name}") for name in "ab"]
    disk.wait_held(2)
    waiting += [begin(server, f"/{name}") for name in "cde"]
    def is_full():
        with begin(server, "/f") as c:
            c.sock.settimeout(0.5)
            try:
                answer = c.response()
            except TimeoutError:
                return None
            return answer if answer.status == 503 else None
    # The three may not have come yet when the first /f does: it then takes their place, and goes.
    answer = wait_for(is_full)
    assert answer["retry-after"] == "1"
    with server.connect() as c:
        for _ in range(100):
            c.send(b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
            assert c.response().status == 200
    assert 'name="refused"' in server.get("/metrics").text or "static_refused" in server.get("/metrics").text
    disk.go_on()
    answers = [c.response().status for c in waiting]
    assert answers[:2] == [200, 200] and set(answers) <= {200, 503}


def test_more_answers_than_may_have_a_buffer(slow, disk):
    """One thread: two of them are read for, the others wait for their turn; some go meanwhile, some are filtered."""
    server = slow(disk_threads=1, disk_queue=4)
    with begin(server, "/big.bin") as c, begin(server, "/text.css") as d:
        assert (c.response().status, d.response().status) == (200, 200)
    disk.touch("/big.bin")
    disk.hold("read", "/big.bin")
    clients = [begin(server, "/big.bin") for _ in range(12)]
    disk.wait_held(what="read")
    assert server.get("/hello").status == 200
    for c in clients[::3]:
        c.close()
    disk.go_on()
    for i, c in enumerate(clients):
        if i % 3:
            assert digest(c.response().body) == digest(BIG)
            c.close()
    with begin(server, "/text.css", "Accept-Encoding: gzip\r\n") as c:
        assert gzip.decompress(c.response().body) == FILES["/text.css"]


def test_what_is_to_be_closed_waits_for_room(disk, serve):
    """One thread, and room for one job: the other files are closed when that has been, though nobody looks for more."""
    conf = CONF.format(disk.folder).replace("cache_valid = 0", "cache_valid = 0\n    cache_files = 0")
    server = serve(conf, server={"workers": 1, "disk_threads": 1, "disk_queue": 1}, www=WWW)
    pid = server.workers()[0]

    disk.put("/huge.bin", bytes(8 << 20), 1_700_000_000)

    def is_open():
        return sum(path == disk.folder + "/huge.bin" for path in descriptors(pid).values())

    def begin_huge():
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        sock.connect(("127.0.0.1", server.port))
        c = Connection(sock).send(ask("/huge.bin"))
        c.until(b"\r\n\r\n")
        return c

    clients = [begin_huge() for _ in range(5)]
    disk.hold("lookup", "/small.txt")
    with begin(server, "/small.txt") as c:
        disk.wait_held()
        assert is_open() == 5
        gone = total(server, "client_gone")
        for i in clients:
            break_off(i)
        wait_for(lambda: total(server, "client_gone") == gone + 5)
        disk.go_on()
        assert c.response().body == b"small"
    wait_for(lambda: is_open() == 0)


PACKED = """
    [route:siblings]
    site = slow
    match = /small.txt
    headers = X-Packed
    handler = static
    precompressed = gz
"""


def test_vary_where_nobody_can_look_for_siblings(disk, serve):
    """There may be one for the next, so a cache must not give this answer to all."""
    conf = CONF.format(disk.folder).replace("cache_valid = 0", "cache_valid = 1h") + PACKED
    server = serve(conf, server={"workers": 1, "disk_threads": 1, "disk_queue": 1}, www=WWW)
    with begin(server, "/small.txt") as c:
        assert c.response()["vary"] is None
    waiting = waits(server)
    for name in ("/a", "/b"):
        disk.hold("lookup", name)
    with begin(server, "/a"):
        disk.wait_held()
        with begin(server, "/b"):
            wait_for(lambda: waits(server) == waiting + 2)
            with begin(server, "/small.txt", "X-Packed: 1\r\nAccept-Encoding: gzip\r\n") as c:
                answer = c.response()
                assert (answer.body, answer["vary"]) == (b"small", "Accept-Encoding")
            disk.go_on()


# ---- The end of a worker ----

def test_reload_while_a_read_hangs(slow, disk):
    server = slow(drain_timeout="1s")
    old = server.workers()[0]
    disk.hold("read", "/big.bin")
    disk.hold("lookup", "/small.txt")
    with begin(server, "/big.bin") as c, begin(server, "/small.txt"):
        disk.wait_held(what="read")
        disk.wait_held(what="lookup")
        server.ctl("reload")
        wait_for(lambda: not is_alive(old))
        others_are_served(server, 8)
        c.until(b"\r\n\r\n")
        with pytest.raises((EOFError, ConnectionError)):
            c.take(len(BIG))
    disk.go_on()
    with begin(server, "/big.bin") as c:
        assert digest(c.response().body) == digest(BIG)


def test_stop_while_all_hangs(slow, disk):
    server = slow(shutdown_timeout="1s")
    for what, path in (("read", "/big.bin"), ("lookup", "/small.txt"), ("open", "/other.bin")):
        disk.hold(what, path)
    waiting = [begin(server, path) for path in ("/big.bin", "/small.txt", "/other.bin")]
    disk.wait_held(3)
    server.stop()
    for c in waiting:
        c.close()


def test_disk_that_never_answers(disk, serve):
    """An answer that does not go on, and one that does not begin."""
    server = serve(CONF.format(disk.folder), server={"workers": 1}, www=WWW, limits={"write_timeout": "1s", "handler_timeout": "1s"})
    disk.hold("read", "/big.bin")
    disk.hold("lookup", "/small.txt")
    with begin(server, "/big.bin") as c, begin(server, "/small.txt") as d:
        assert d.response().status == 504
        c.until(b"\r\n\r\n")
        with pytest.raises((EOFError, ConnectionError)):
            c.take(len(BIG))
    assert total(server, "timeout_disk") == 1
    server.log_has("the disk does not give what is to be sent")
    disk.go_on()
    with begin(server, "/small.txt") as d:
        assert d.response().body == b"small"


@pytest.fixture
def layers(folder):
    """A folder seen through an overlay: (what lies below, what is seen)."""
    paths = {name: os.path.join(folder, name) for name in ("below", "above", "work", "seen")}
    for path in paths.values():
        os.mkdir(path)
    options = f"lowerdir={paths['below']},upperdir={paths['above']},workdir={paths['work']}"
    done = subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, paths["seen"]], capture_output=True, text=True,
                          check=False)
    if done.returncode:
        pytest.skip(f"no overlay: {done.stderr.strip()}")
    yield paths["below"], paths["seen"]
    subprocess.run(["umount", "-l", paths["seen"]], check=True)


def test_an_overlay_is_asked_through_a_mapping(layers, serve):
    """The file systems of containers know no RWF_NOWAIT. What is in memory there is sent as it is everywhere; what is not is
    only told to who owns the file."""
    below, seen = layers
    with open(f"{below}/big.bin", "wb") as f:
        f.write(BIG)
        f.flush()
        os.fsync(f.fileno())
    s = serve(CONF.format(seen), www=WWW, server={"workers": 1, **OURSELVES})

    def read():
        before = total(s, "disk_reads")
        with begin(s, "/big.bin") as c:
            assert digest(c.response().body) == digest(BIG)
        return total(s, "disk_reads") - before

    read()  # it is the first file of this file system: a thread finds out what that is
    assert read() == 0
    with open(f"{below}/big.bin", "rb") as f:
        os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    assert read() > 0
    assert read() == 0


def descriptors(pid):
    fds = {}
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            fds[int(fd)] = os.readlink(f"/proc/{pid}/fd/{fd}")
    return fds


def fill_gaps(server, pid, folder, idle):
    """Connects until no descriptor below those of the files in `folder` is free. The lowest one that is."""
    for _ in range(100):
        fds = descriptors(pid)
        free = next(fd for fd in range(100_000) if fd not in fds)
        if all(fd < free for fd, path in fds.items() if path.startswith(folder)):
            return free
        idle.append(server.connect())
        wait_for(lambda: free in descriptors(pid))
    raise AssertionError("descriptors without end")


def test_no_descriptor_is_left_to_look_again(serve):
    """The cache lets go of files that it holds open: also of the one that is being looked for."""
    folder = tempfile.mkdtemp(dir="/dev/shm")
    try:
        for name in ("one.bin", "two.bin"):
            with open(f"{folder}/{name}", "wb") as f:
                f.write(BIG)
        os.chmod(folder, 0o755)
        s = serve(CONF.format(folder), www=WWW, server={"workers": 1, **OURSELVES})
        pid = s.workers()[0]
        usual = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        idle = []
        for _ in range(3):
            with begin(s, "/one.bin") as c:
                for name in ("/two.bin", "/one.bin"):
                    assert digest(c.response().body) == digest(BIG)
                    c.send(ask(name))
                assert digest(c.response().body) == digest(BIG)
                fds = fill_gaps(s, pid, folder, idle)
                resource.prlimit(pid, resource.RLIMIT_NOFILE, (fds, usual[1]))
                for name in ("/one.bin", "/two.bin"):
                    c.send(ask(name))
                    answer = c.response()
                    assert (answer.status, digest(answer.body)) == (200, digest(BIG))
                resource.prlimit(pid, resource.RLIMIT_NOFILE, usual)
        assert s.workers() == [pid]
        for c in idle:
            c.close()
    finally:
        shutil.rmtree(folder)
