"""What explain says is what the server does: generated requests against generated settings."""
import json
import random
import subprocess

import pytest

from lib.server import LIMIT, PROGRAM

REQUESTS = 500
SEED = 20261123
WORDS = ["users", "img", "api", "docs", "a", "b"]
HOSTS = ["one.test", "www.one.test", "x.wild.test", "x.y.wild.test", "wild.test", "other.test", "127.0.0.1"]
CLIENTS = ["10.0.0.1", "10.1.2.3", "192.0.2.7", "2001:db8::7", "garbage"]
HEAD = """
    [listen:main]
    address = 127.0.0.1:@PORT@
    trusted = 127.0.0.1
    client_from = X-Forwarded-For
    [module:headers]
    set = X-Site: ${site}, X-Route: ${route}, X-Client: ${client}, X-Path: ${path}
    [module:redirect]
    [module:access]
    [module:return]
    [module:upper]
    [site:one]
    host = one.test, www.one.test
    use = headers
    root = www
    add = X-Site-Only: one
    error_pages = 404 /index.html, 4xx /api/index.html, 405 /nowhere
    [site:wild]
    host = *.wild.test
    use = headers, access
    root = www
    deny = 192.0.2.0/24
    [site:rest]
    host = *
    use = headers
    root = www
    index = none.html
"""
SITES = ["one", "wild", "rest"]
WWW = {f"{a}/{b}": f"{a}/{b}\n" for a in WORDS for b in ("index.html", "a", "b.txt")} | {"index.html": "top\n"}
CONDITIONS = [
    "methods = POST, PUT",
    "methods = GET",
    "headers = X-Beta",
    "headers = !X-Beta",
    'headers = "X-Beta: 1"',
    "headers = X-Beta: ~ ^[0-9]+$",
    "query = x",
    "query = x = 1",
    "query = !x",
    "clients = 10.0.0.0/8",
    "clients = 2001:db8::/32, 127.0.0.1",
]
ANSWERS = [
    "",
    "root = www/docs",
    "handler = redirect\nto = /index.html\nstatus = {status}",
    "handler = redirect\nto = https://other.test/\nkeep_path = on\nkeep_query = on",
    "use = access\nallow = 10.0.0.0/8",
    "use = access\nallow = all\ndeny = 10.1.0.0/16",
    "add = X-More: {n}",
    "remove = X-Path\nset = X-Site-Only: route",
    "use = -headers",
    "use = upper",
    "handler = return\nstatus = {some}\ntext = ${{method}} ${{path}} ${{query.x}}",
    "handler = redirect\nto = /${{query.x}}/${{path}}?from=${{host}}",
    "handler = static\ntry_files = ${{path}}, ${{path}}.txt, /docs/${{query.x}}, =404",
    "handler = static\ntry_files = ${{path}}, @/a/b.txt?x=${{query.x}}",
    "try_files = ${{path}}.txt, @/users/none",
    "error_pages = 404 403 /docs/a?x=1, 405 /users/",
    "error_pages = 403 405 /none",
]
JUMPS = ["rewrite = /docs/index.html", "rewrite = /users/${path}?x=${query.x}", "rewrite = /a${path}", "rewrite = /b/a?x=1"]


def some_path(rng):
    return "/" + "/".join(rng.choice(WORDS) for _ in range(rng.randint(1, 2)))


def some_match(rng):
    path = some_path(rng)
    return rng.choice([f"= {path}", f"= {path}/", path, f"{path}/", f"~ ^{path}/(?<rest>.+)$", rf"~ /{rng.choice(WORDS)}$",
                       "/", r"~ \.(txt|html)$"])


def settings(rng):
    """Some have the same match: whoever has no conditions comes last of them."""
    routes = {}
    for n in range(60):
        site, match = rng.choice(SITES), some_match(rng)
        group = routes.setdefault((site, match), [])
        condition = rng.choice(CONDITIONS) if rng.random() < 0.6 else ""
        if any(c == condition for c, _ in group):
            continue
        answer = rng.choice(ANSWERS).format(n=n, status=rng.choice([301, 302, 303, 307, 308]),
                                            some=rng.choice([200, 403, 404, 410, 503]))
        if rng.random() < 0.25:
            answer = rng.choice(JUMPS)
        if site == "wild":  # which has it for all of its routes
            answer = answer.replace("use = access\n", "")
        group.append((condition, f"[route:r{n}]\nsite = {site}\nmatch = {match}\n{condition}\n{answer}\n"))
    for group in routes.values():
        group.sort(key=lambda route: not route[0])
    return HEAD + "".join("    " + line + "\n" for group in routes.values() for _, text in group for line in text.split("\n"))


def mangled(rng, path):
    return rng.choice([path, path, path, path + "/", path + "/index.html", path + "/b.txt", path + "/a", path.upper(),
                       path.replace("/", "//"), path.replace("a", "%61"), path + "/../a", path + "/./b", path + "%2fa",
                       path + "/%00", "/.." + path, path + "\\a", path + "/none", "/"])


def some_request(rng):
    method = rng.choice(["GET"] * 6 + ["HEAD", "POST", "PUT", "DELETE", "OPTIONS", "BREW"])
    query = rng.choice(["", "", "?x", "?x=1", "?y=2&x=1", "?x=%31", "?"])
    headers = []
    if rng.random() < 0.3:
        headers.append("X-Beta: " + rng.choice(["1", "22", "no"]))
    if rng.random() < 0.6:
        headers.append("X-Forwarded-For: " + ", ".join(rng.sample(CLIENTS, rng.randint(1, 2))))
    if rng.random() < 0.1:
        headers.append(rng.choice(["Range: bytes=0-1", "Range: bytes=99-", 'If-Match: "x"', "If-None-Match: *",
                                   "If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT"]))
    host = rng.choice(HOSTS + [h.upper() for h in HOSTS[:2]])
    return {"request": f"{method} http://{host}{mangled(rng, some_path(rng))}{query}", "headers": headers}


def said(s, requests):
    lines = "\n".join(json.dumps({**r, "listen": "main"}) for r in requests)
    r = subprocess.run([PROGRAM, "explain", "-", "-c", s.conf], input=lines, text=True, cwd=s.folder, env=s.env,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=LIMIT, check=False)
    assert r.returncode == 0, r.stderr
    return [json.loads(line) for line in r.stdout.splitlines()]


def done(s, request):
    method, url = request["request"].split(" ")
    host, path = url[len("http://"):].split("/", 1)
    head = [f"{method} /{path} HTTP/1.1", f"Host: {host}", *request["headers"], "", ""]
    return s.exchange("\r\n".join(head).encode(), method=method)


def fields(pairs):
    """What an answer says of itself; Date is its time, Connection the connection's affair."""
    return sorted((name.lower(), value) for name, value in pairs if name.lower() not in ("date", "connection"))


def differences(x, r):
    """Of one request: what is told, what was done."""
    route = r["X-Route"]
    pairs = {
        "status": (x["status"], r.status),
        "headers": (fields((h["name"], h["value"]) for h in x["headers"]), fields(r.headers)),
        "location": (x.get("location"), r["Location"]),
    }
    if r["X-Site"] is not None:
        pairs["site"] = (x["site"]["label"], r["X-Site"])
        pairs["route"] = (x.get("route", ""), route or "")
    if x.get("file") and x["status"] not in (206, 304) and not x["request"].startswith("HEAD"):
        with open(x["file"], encoding="utf-8") as f:
            pairs["file"] = (f.read(), r.text.lower())  # upper may have been there
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}


@pytest.mark.parametrize("seed", [SEED])
def test_explain_says_what_the_server_does(serve, seed):
    rng = random.Random(seed)
    s = serve(settings(rng), www=WWW)
    requests = [some_request(rng) for _ in range(REQUESTS)]
    told = said(s, requests)
    assert len(told) == REQUESTS
    wrong = []
    for request, x in zip(requests, told):
        found = differences(x, done(s, request))
        if found:
            wrong.append(f"{request}: {found}")
    assert not wrong, f"{len(wrong)} of {REQUESTS}:\n" + "\n".join(wrong[:10])
    check_variety(told)


def check_variety(told):
    """Requests that all come to the same would show nothing."""
    statuses = {x["status"] for x in told}
    routes = {x.get("route") for x in told}
    files = {x.get("file") for x in told}
    verdicts = {near["verdict"] for x in told for search in x["searches"] for near in search["near"]}
    jumps = {search["jump"]["by"] for x in told for search in x["searches"] if "jump" in search}
    assert {"rewrite", "error_pages", "static"} <= jumps, jumps
    assert {200, 301, 302, 400, 403, 404, 405} <= statuses, statuses
    assert len(routes) > 20 and len(files) > 10, (routes, files)
    assert {"method", "header", "query", "client", "behind"} <= verdicts, verdicts
