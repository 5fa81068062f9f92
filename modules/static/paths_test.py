"""static: where paths lead to that are no file of that name: try_files with variables, jumps, slashes."""
import pytest
from lib.server import Server

FILES = {"index.html": "home", "about.html": "about", "docs/index.html": "docs", "docs/a.txt": "a", "none/x.txt": "x",
         "de/about.html": "ueber", ".env": "hidden", ".well-known/x.html": "known", "img/cat.jpg": "cat", "a b/c.html": "blank",
         "404.html": "lost", "..html": "dots", "form.html": "form"}
CONF = r"""
    [module:static]
    [module:hello]
    [module:return]
    [site:default]
    root = @DIR@/www
    error_pages = 404 /404.html
    [route:clean]
    match = /
    handler = static
    try_files = ${path}.html, =404
    [route:lang]
    match = /lang/
    handler = static
    try_files = /${query.l}/about.html, /${cookie.l}/about.html, /about.html
    [route:capture]
    match = ~ ^/of/(?<name>.*)$
    handler = static
    try_files = /${capture.name}, /img/${capture.name}.jpg, =410
    [route:app]
    match = /app
    handler = return
    text = app ${method} ${path}?${query} for ${target}
    [route:front]
    match = /front
    handler = static
    try_files = ${path}.html, @/app?from=${path}&${query}
    [route:front_end]
    match = /stays
    handler = static
    try_files = @/app/${capture.rest}
    [route:self]
    match = /self
    handler = static
    try_files = @/self/more
    [route:more]
    match = /more
    handler = static
    try_files = @${path}/more
    [route:keep]
    match = ~ ^/docs/?$
    handler = static
    slash = keep
    [route:canonical]
    match = ~ ^/(about.html|none|img/cat.jpg|missing.txt|docs/a.txt)/?$
    handler = static
    slash = canonical
"""


@pytest.fixture(scope="module")
def server():
    s = Server(CONF, files={"www/" + n: c for n, c in FILES.items()}).start()
    yield s
    faults = s.end()
    assert not faults, "\n".join(faults)


def ask(server, target, method="GET", fields=""):
    return server.exchange(f"{method} {target} HTTP/1.1\r\nHost: x\r\n{fields}Connection: close\r\n\r\n".encode(), method)


@pytest.mark.parametrize("target, status, text", [
    ("/about", 200, "about"),
    ("/about.html", 200, "about"),
    ("/form", 200, "form"),
    ("/a%20b/c", 200, "blank"),
    ("/nothing", 404, "lost"),
    ("/nothing/", 404, "lost"),
    ("/.well-known/x", 200, "known"),
    ("/.", 200, "home"),
    ("/lang/x?l=de", 200, "ueber"),
    ("/lang/x?l=fr", 200, "about"),
    ("/lang/x?l=de/../de", 200, "about"),
    ("/lang/x?l=../www/de", 200, "about"),
    ("/lang/x?l=%2e%2e", 200, "about"),
    ("/lang/x?l=de%00", 200, "about"),
    ("/lang/x?l=de%0a", 200, "about"),
    ("/lang/x?l=", 200, "about"),
    ("/of/cat", 200, "cat"),
    ("/of/about.html", 200, "about"),
    ("/of/.env", 404, "lost"),
    ("/of/dog", 410, ""),
    ("/of/", 200, "home"),
    ("/front/x?y=1", 200, "app GET /app?from=%2Ffront%2Fx&y=1 for /front/x?y=1"),
    ("/front/a%20%26b", 200, "app GET /app?from=%2Ffront%2Fa%20%26b& for /front/a%20%26b"),
    ("/stays/a/b?q", 200, "app GET /app/a/b?q for /stays/a/b?q"),
    ("/stays/", 200, "app GET /app/? for /stays/"),
    ("/self/x", 404, "lost"),
    ("/more", 500, "500"),
], ids=str)
def test_try_files(server, target, status, text):
    r = ask(server, target)
    assert r.status == status and (r.text == text if status == 200 else text in r.text), r


def test_a_jump_takes_every_method_and_its_body(server):
    body = b"x" * 3000
    r = server.exchange(b"POST /front/form HTTP/1.1\r\nHost: x\r\nContent-Length: 3000\r\n\r\n" + body)
    assert r.text.startswith("app POST /app?from=%2Ffront%2Fform&")


@pytest.mark.parametrize("target, status, location", [
    ("/docs", 200, None),
    ("/docs/", 200, None),
    ("/none", 301, "/none/"),
    ("/about.html/", 301, "/about.html"),
    ("/about.html/?x=1", 301, "/about.html?x=1"),
    ("/img/cat.jpg/", 301, "/img/cat.jpg"),
    ("/docs/a.txt/", 301, "/docs/a.txt"),
    ("/missing.txt/", 404, None),
    ("/form.html/", 404, None),
    ("/img", 301, "/img/"),
    ("/img?x=1", 301, "/img/?x=1"),
    ("/a%20b", 301, "/a%20b/"),
    ("//img", 301, "/img/"),
])
def test_slashes(server, target, status, location):
    r = ask(server, target)
    assert (r.status, r["location"]) == (status, location)
    if target.startswith("/docs") and status == 200:
        assert r.text == "docs"


@pytest.mark.parametrize("keys, word", [
    ("try_files = ${host}/x", "neither a path"),
    ("try_files = /${pth}", "did you mean ${path}?"),
    ("try_files = @/app, /x", "ends the search"),
    ("try_files = @app", "neither a path"),
    ("try_files = /app?x=1", "write @/app?x=1"),
    ("slash = remove", "redirect, canonical or keep"),
])
def test_settings_refused(serve, keys, word):
    s = serve(f"[module:static]\n[site:default]\nroot = @DIR@/www\n{keys}\n", files={"www/x": "x"}, start=False)
    done = s.run("-c", s.conf, "-t")
    assert done.returncode == 78 and word in done.stderr, done.stderr
