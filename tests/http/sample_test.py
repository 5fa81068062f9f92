"""The sample: conf/cserver.ini as it is in the tree serves its whole site, and nothing on it leads nowhere."""
import html.parser
import os
import re
import urllib.parse

import pytest
from lib.server import SOURCE, Server


def sample(**options):
    s = Server(**options)
    s.conf = os.path.join(SOURCE, "conf", "cserver.ini")
    s.args = [word for key, value in {
        "listen:main.address": f"127.0.0.1:{s.port}", "server.workers": "2", "server.pid_file": s.pid_file,
        "server.control": s.control}.items() for word in ("-g", f"{key}={value}")]
    return s


@pytest.fixture(scope="module")
def server():
    s = sample().start()
    yield s
    faults = s.end()
    assert not faults, "\n".join(faults)


class Links(html.parser.HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.found = set()
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found |= {v for n, v in attrs if n in ("href", "src", "action")}


def test_it_is_accepted(server):
    done = server.run(*server.args, "-c", server.conf, "-t")
    assert done.returncode == 0, done.stderr


def test_every_link_leads_somewhere(server):
    links = Links(server.get("/").text).found
    assert {"/hello", "/echo", "/slow", "/status", "/redirect", "/style.css", "/logo.svg"} <= links
    for link in links:
        r = server.get(link)
        assert r.status == (302 if link == "/redirect" else 200), link
        if r.status == 302:
            assert server.get(r["location"]).status == 200


def test_nothing_comes_from_elsewhere(server):
    for path in ("/", "/style.css", "/logo.svg"):
        for address in re.findall(r"""(?:href|src|action)="([^"]*)"|url\(([^)]*)\)""", server.get(path).text):
            assert not urllib.parse.urlsplit("".join(address)).netloc


def test_every_module_of_the_tree_is_shown():
    folder = os.path.join(SOURCE, "modules")
    modules = {m for m in os.listdir(folder) if os.path.exists(os.path.join(folder, m, m + ".c"))}
    with open(os.path.join(SOURCE, "conf/cserver.ini"), encoding="utf-8") as f:
        shown = set(re.findall(r"^;?\[module:(\w+)\]", f.read(), re.M))
    assert shown == modules and len(modules) >= 6


def test_the_form_works_without_javascript(server):
    r = server.post("/echo", b"words=One turn.\r\n", {"Content-Type": "text/plain"})
    assert (r.status, r.text, r["content-type"]) == (200, "words=One turn.\r\n", "text/plain")
