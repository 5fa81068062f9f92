"""static: what is in a folder: only what a client could ask for, sorted, escaped, and never more than said."""
import html
import json
import os
import re
import urllib.parse

import pytest
from lib.server import Server

ODD = ["a b.txt", "a&b.txt", "<script>alert(1).txt", "quote\"s.txt", "single'.txt", "100%.txt", "grüße.txt", "a?b#c.txt", "c:d.txt",
       "back\\slash.txt", "日本.txt", "%2e%2e", "semi;colon", "plus+", "..b"[2:] + ".txt", "'\"><img src=x onerror=alert(1)>"]
CONF = """
    [module:static]
    [site:a]
    root = @DIR@/www
    [route:html]
    match = /h/
    handler = static
    listing = html
    cache_control = no-cache
    [route:json]
    match = /j/
    handler = static
    listing = json
    [route:dots]
    match = /j/dots/
    handler = static
    listing = json
    dotfiles = on
    [route:few]
    match = /j/many/
    handler = static
    listing = json
    listing_most = 100
    [route:nolinks]
    match = /j/links/off/
    handler = static
    listing = json
    symlinks = off
    [route:top]
    match = = /
    handler = static
    listing = html
"""


def make(server):
    for top in ("h", "j"):
        for name in ODD:
            server.write(f"www/{top}/odd/{name}", "x" * len(name))
        server.write(f"www/{top}/index/index.html", "the index")
        for name in ("b.txt", "a.txt", "B.txt", "z/x", "y/x", ".hidden", ".git/config", ".well-known/x"):
            server.write(f"www/{top}/sorted/{name}", name)
    server.write("www/j/dots/.env", "x")
    for i in range(300):
        server.write(f"www/j/many/{i:03}", "x" * i)
    server.write("secret.txt", "secret" * 100)
    server.write("www/j/links/in.txt", "inside")
    server.write("www/j/links/off/real.txt", "inside")
    for folder, up in (("www/j/links", ""), ("www/j/links/off", "../")):
        for name, target in (("to-in", up + "in.txt"), ("to-out", up + "../../../secret.txt"), ("to-etc", "/etc/passwd"), ("to-none", "nowhere"),
                             ("to-dir", up + "../sorted"), ("to-root", "/"), ("to-self", "to-self")):
            os.symlink(target, server.path(f"{folder}/{name}"))
    os.mkfifo(server.path("www/j/links/fifo"))
    with open(os.fsencode(server.path("www/j/odd/")) + b"not-utf8-\xff", "wb"), \
            open(os.fsencode(server.path("www/j/odd/")) + b"line\nbreak", "wb"), \
            open(os.fsencode(server.path("www/j/odd/")) + b"overlong-\xc0\xaf", "wb"):
        pass
    os.utime(server.path("www/j/sorted/a.txt"), (1_600_000_000, 1_600_000_000))
    os.makedirs(server.path("www/j/empty"))
    os.makedirs(server.path("www/plain"))


@pytest.fixture(scope="module")
def server():
    s = Server(CONF)
    make(s)
    s.start()
    yield s
    faults = s.end()
    assert not faults, "\n".join(faults)


def entries(server, path):
    r = server.get(path)
    assert r.status == 200 and r["content-type"] == "application/json", r
    told = json.loads(r.body)
    assert told["path"] == urllib.parse.unquote(path)
    return told


def names(server, path):
    return [e["name"] for e in entries(server, path)["entries"]]


def links(r):
    return [(html.unescape(a), html.unescape(t)) for a, t in re.findall(r'<a href="([^"]*)">([^<]*)</a>', r.text)]


def test_sorted_folders_first_and_nothing_hidden(server):
    assert names(server, "/j/sorted/") == [".well-known", "y", "z", "B.txt", "a.txt", "b.txt"]
    r = server.get("/h/sorted/")
    assert [t for _, t in links(r)] == ["../", ".well-known/", "y/", "z/", "B.txt", "a.txt", "b.txt"]
    assert r["content-type"] == "text/html; charset=utf-8" and r["cache-control"] == "no-cache"


def test_sizes_and_times(server):
    told = {e["name"]: e for e in entries(server, "/j/sorted/")["entries"]}
    assert told["a.txt"] == {"name": "a.txt", "type": "file", "size": 5, "time": "2020-09-13T12:26:40Z"}
    assert told["y"]["type"] == "folder" and "size" not in told["y"]


def test_dotfiles_where_they_are_served(server):
    assert names(server, "/j/dots/") == [".env"]


def test_every_name_leads_to_its_file(server):
    r = server.get("/h/odd/")
    found = links(r)[1:]
    assert sorted(t for _, t in found) == sorted(ODD)
    assert "<script>" not in r.text and "<img" not in r.text
    for address, name in found:
        target = urllib.parse.urljoin("/h/odd/", address)
        got = server.exchange(f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        assert got.status == 200 and got.body == b"x" * len(name), (name, target)


def test_names_that_nobody_could_ask_for_are_left_out(server):
    assert sorted(names(server, "/j/odd/")) == sorted(ODD)


def test_links_only_where_they_lead_inside(server):
    assert names(server, "/j/links/") == ["off", "to-dir", "in.txt", "to-in"]
    assert {e["name"]: e.get("size") for e in entries(server, "/j/links/")["entries"]}["to-in"] == 6
    assert names(server, "/j/links/off/") == ["real.txt"]


def test_no_more_than_said(server):
    told = entries(server, "/j/many/")
    assert len(told["entries"]) == 100 and told["more"] is True
    assert told["entries"] == sorted(told["entries"], key=lambda e: e["name"])
    assert entries(server, "/j/sorted/")["more"] is False and entries(server, "/j/empty/") == {"path": "/j/empty/", "entries": [], "more": False}


@pytest.mark.parametrize("path, status, text", [
    ("/h/index/", 200, "the index"),
    ("/plain/", 403, ""),
    ("/h/none/", 404, ""),
    ("/h/sorted/.git/", 404, ""),
])
def test_where_there_is_none(server, path, status, text):
    r = server.get(path)
    assert r.status == status and text in r.text and "href" not in r.text


def test_other_ways_to_ask(server):
    r = server.get("/h/sorted")
    assert (r.status, r["location"]) == (301, "/h/sorted/")
    assert server.request("POST", "/h/sorted/").status == 405
    r = server.head("/h/sorted/")
    assert r.status == 200 and int(r["content-length"]) == len(server.get("/h/sorted/").body)
    assert links(server.get("/"))[0] != ("../", "../")
    r = server.get("/j/many/", {"Range": "bytes=0-9"})
    assert r.status == 206 and len(r.body) == 10


def test_a_client_that_goes_while_the_folder_is_read(server):
    for _ in range(50):
        with server.connect() as c:
            c.send(b"GET /j/many/ HTTP/1.1\r\nHost: x\r\n\r\n")
    assert len(names(server, "/j/many/")) == 100


def test_explain(server):
    done = server.run("explain", "GET http://x/h/sorted/", "-c", server.conf)
    assert done.returncode == 0 and "/h/sorted/, at most 5000 names" in done.stdout, done.stdout
