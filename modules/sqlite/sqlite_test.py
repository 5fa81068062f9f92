"""sqlite: what is added is there, for all workers, whoever is killed; and no text spoils the JSON."""
import concurrent.futures
import contextlib
import json
import os
import signal
import sqlite3
import time

import pytest
from lib.server import BUILD, OURSELVES, Server, wait_for

pytestmark = pytest.mark.skipif(not os.path.exists(os.path.join(BUILD, "modules/sqlite.so")),
                                reason="this server was built without SQLite")
CONF = """
    [module:sqlite]
    database = @DIR@/notes.db
    [module:hello]
    [route:notes]
    match = /notes
    handler = sqlite
    [route:hello]
    match = /hello
    handler = hello
"""


# Workers of a server that root has started would be somebody else, who may not write here.
USER = OURSELVES


@pytest.fixture(scope="module")
def server():
    s = Server(CONF, server=USER).start()
    yield s
    faults = s.end()
    assert not faults, "\n".join(faults)


def add(server, text):
    r = server.post("/notes", text if isinstance(text, bytes) else text.encode())
    assert r.status == 201 and r["content-type"] == "application/json"
    assert r["location"] == f"/notes/{r.json['id']}"
    return r.json


def test_the_life_of_a_note(server):
    note = add(server, "buy milk")
    path = f"/notes/{note['id']}"
    assert note == {"id": note["id"], "text": "buy milk"} == server.get(path).json
    assert note in server.get("/notes").json
    r = server.request("DELETE", path)
    assert (r.status, r.body) == (204, b"")
    assert server.request("DELETE", path).status == server.get(path).status == 404
    assert server.get(path).json == {"error": "no such note"}
    assert note not in server.get("/notes").json
    assert add(server, "next")["id"] > note["id"], "no number is given twice"


@pytest.mark.parametrize("text", [
    'with "quotes" and \\ in it', "two\nlines\r\n\tand a tab", "Grüße, 東京, 🎉", "</script>", "'); DROP TABLE notes; --",
    "\x01\x1f\x7f", "\\u0041", "x" * 200000, "null", "0", " ",
], ids=range(11))
def test_texts(server, text):
    note = add(server, text)
    assert note["text"] == server.get(f"/notes/{note['id']}").json["text"] == text
    assert server.get("/notes").json[0]["text"] == text


@pytest.mark.parametrize("data, text", [(b"a\xffb", "a�b"), (b"\xed\xa0\x80", "���"), (b"end\xc3", "end�")])
def test_what_is_no_utf8(server, data, text):
    assert add(server, data)["text"].replace("�", "") == text.replace("�", "")
    json.loads(server.get("/notes").body.decode())


@pytest.mark.parametrize("data", [b"", b"a\0b", b"\0"])
def test_what_is_refused(server, data):
    assert server.post("/notes", data).status == 400


@pytest.mark.parametrize("method, path, status, allow", [
    ("GET", "/notes/0", 404, None), ("GET", "/notes/999999", 404, None), ("GET", "/notes/abc", 404, None),
    ("GET", "/notes/99999999999999999999999", 404, None), ("GET", "/notes/-1", 404, None), ("GET", "/notes/", 200, None),
    ("GET", "/notes/9223372036854775807", 404, None), ("GET", "/notes/9223372036854775808", 404, None),
    ("GET", "/notes/1/2", 404, None), ("GET", "/notes/1x", 404, None), ("POST", "/notes/abc", 404, None),
    ("DELETE", "/notes/abc", 404, None), ("PUT", "/notes/0", 404, None), ("GET", "/notes?before=abc", 400, None),
    ("GET", "/notes?before=", 400, None), ("GET", "/notes?before=0", 400, None), ("GET", "/notes?before=-1", 400, None),
    ("GET", "/notes?before=18446744073709551616", 400, None), ("GET", "/notes?before=1", 200, None),
    ("PUT", "/notes", 405, "GET, HEAD, POST"), ("DELETE", "/notes", 405, "GET, HEAD, POST"),
    ("POST", "/notes/1", 405, "GET, HEAD, DELETE"), ("PATCH", "/notes/1", 405, "GET, HEAD, DELETE"),
])
def test_paths_and_methods(server, method, path, status, allow):
    r = server.request(method, path)
    assert (r.status, r["allow"]) == (status, allow)


def test_head(server):
    note = add(server, "head")
    r = server.head(f"/notes/{note['id']}")
    assert r.status == 200 and int(r["content-length"]) == len(server.get(f"/notes/{note['id']}").body)


def test_notes_at_another_place(serve):
    s = serve(CONF.replace("match = /notes", "match = /a/b\n    path = /a/b/"), server=USER)
    r = s.post("/a/b", b"there")
    assert (r.status, r["location"]) == (201, "/a/b/1")
    assert s.get("/a/b/1").json == r.json and s.get("/a/b").json == [r.json]
    assert s.get("/a/b/c").status == 404


def test_page_by_page(serve):
    s = serve(CONF, server=USER)
    added = [add(s, f"note {i}")["id"] for i in range(250)]
    seen, page = [], s.get("/notes").json
    while page:
        assert len(page) <= 100
        seen += [note["id"] for note in page]
        page = s.get(f"/notes?before={seen[-1]}").json
    assert seen == added[::-1]


def test_all_workers_at_once(serve):
    """The file is new, and everybody opens it; then everybody writes."""
    s = serve(CONF, server={"workers": 8, **USER})
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        notes = list(pool.map(lambda i: add(s, f"note {i}"), range(200)))
    assert len({n["id"] for n in notes}) == 200
    with sqlite3.connect(s.path("notes.db")) as db:
        assert {t for (t,) in db.execute("SELECT text FROM notes")} == {f"note {i}" for i in range(200)}


def test_while_somebody_else_has_the_database(serve):
    """Requests for it wait; all others go on."""
    s = serve(CONF, server=USER)
    with sqlite3.connect(s.path("notes.db"), isolation_level=None) as db, s.connect() as c:
        db.execute("BEGIN IMMEDIATE")
        c.send(b"POST /notes HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nwait")
        for _ in range(20):
            assert s.get("/hello").status == 200
        db.execute("COMMIT")
        assert c.response().status == 201


def has_open(pid, file):
    try:
        return file in (os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return False


def test_a_new_file_that_somebody_else_makes(serve):
    """The change to WAL has to wait for that, which SQLite does not do by itself."""
    s = serve(CONF, server=USER, start=False, ready=False)
    with contextlib.closing(sqlite3.connect(s.path("notes.db"), isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        s.start()
        wait_for(lambda: any(has_open(pid, s.path("notes.db")) for pid in s.workers()))
        time.sleep(0.3)  # time to fail; who needs longer waits all the same
        db.execute("COMMIT")
    s.wait_ready()
    assert add(s, "first")["id"] == 1
    assert "locked" not in s.log()


def test_what_was_added_outlives_its_worker(serve):
    s = serve(CONF, server=USER)
    added = []
    for i in range(6):
        added.append(add(s, f"note {i}")["id"])
        for pid in s.workers():
            os.kill(pid, signal.SIGKILL)
        wait_for(lambda: len(s.workers()) == 2)
    assert [n["id"] for n in s.get("/notes").json] == added[::-1]
    assert s.stop() == 0
    with sqlite3.connect(s.path("notes.db")) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_who_goes_away_harms_nobody(serve):
    s = serve(CONF, server=USER)
    for _ in range(100):
        with s.connect() as c:
            c.send(b"GET /notes HTTP/1.1\r\nHost: x\r\n\r\n" * 3)
    assert s.get("/notes").json == []


def test_a_file_that_cannot_be_opened(serve):
    s = serve(CONF.replace("@DIR@", "/nowhere"), start=False, ready=False)
    s.start()
    s.log_has("/nowhere/notes.db: unable to open database file")


def test_a_database_is_needed(serve):
    s = serve(CONF.replace("database = @DIR@/notes.db", ""), start=False)
    done = s.run("-c", s.conf, "-t")
    assert done.returncode == 78 and "database" in done.stderr
