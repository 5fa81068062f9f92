"""compress: every byte comes back, in the coding that the client likes; what must stay as it is stays; nobody waits."""
import random
import re
import shutil
import subprocess
import tempfile

import pytest
from lib.codings import decode, decoder
from lib.server import SOURCE, Server, build_module, make_value, wait_for

RNG = random.Random(5)
WORDS = [bytes(RNG.choices(b"abcdefghijklmnopqrstuvwxyz", k=RNG.randint(2, 9))) for _ in range(800)]
PROSE = b" ".join(RNG.choices(WORDS, k=400000))
NOISE = RNG.randbytes(300001)
SIZES = [0, 1, 2, 999, 1023, 1024, 1025, 4096, 16383, 16384, 16385, 65535, 65536, 65537, 131071, 131073, 262145, 1000003]
CODINGS = ["zstd", "br", "gzip"]
TYPES = {"a.html": 1, "a.css": 1, "a.js": 1, "a.json": 1, "a.svg": 1, "a.txt": 1, "a.xml": 1, "a.wasm": 1, "a.png": 0,
         "a.jpg": 0, "a.webp": 0, "a.woff2": 0, "a.mp4": 0, "a.zip": 0, "a.gz": 0, "a.bin": 0, "a.pdf": 0}

CONF = """
    [module:static]
    [module:echo]
    [module:sse]
    [module:metrics]
    [module:upper]
    [module:headers]
    [module:hello]
    [module:app]
    file = {0}/app.so
    [module:compress]

    [site:a]
    root = @DIR@/www
    use = compress

    [route:echo]
    match = /echo
    handler = echo
    min_length = 0
    [route:app]
    match = /app
    handler = app
    [route:sse]
    match = /sse
    handler = sse
    [route:metrics]
    match = /metrics
    handler = metrics
    use = -compress
    [route:all]
    match = /all/
    rewrite = /${{capture.rest}}
    [route:noise]
    match = /noise.bin
    types = application/octet-stream
    handler = static
    [route:zero]
    match = /zero/
    handler = static
    min_length = 0
    [route:short]
    match = /most/
    handler = static
    max_length = 2000
    [route:order]
    match = /order/
    handler = static
    codings = gzip, zstd
    [route:one]
    match = /one/
    handler = static
    codings = br
    [route:done]
    match = /done/
    use = -compress, headers, compress
    handler = hello
    set = Content-Encoding: x-mine
    min_length = 0
    [route:secret]
    match = /secret/
    handler = static
    cache_control = private, no-transform
    [route:upper]
    match = /upper/
    use = -compress, upper, compress
    handler = static
    [route:star]
    match = /star/
    handler = static
    types = *
    [route:hard]
    match = /hard/
    handler = static
    zstd_level = 9
    br_level = 6
    gzip_level = 9
"""


@pytest.fixture(scope="module")
def server():
    folder = tempfile.mkdtemp(prefix="cs-")
    with open(f"{SOURCE}/tests/lib/modules/app.c", encoding="utf-8") as f:
        build_module(folder, "app", f.read(), '-DNAME="app"')
    files = {f"www/n{n}.txt": PROSE[:n] for n in SIZES}
    files.update({"www/" + n: PROSE[:5000] for n in TYPES})
    files["www/noise.bin"] = NOISE
    for name in ("zero/a.txt", "zero/empty.txt", "most/a.txt", "order/a.txt", "one/a.txt", "secret/a.txt", "upper/a.txt", "star/a.png",
                 "hard/a.txt"):
        files["www/" + name] = b"" if "empty" in name else PROSE[:200] if "zero" in name else PROSE[:150000]
    s = Server(CONF.format(folder), files=files).start()
    yield s
    faults = s.end()
    shutil.rmtree(folder)
    assert not faults, "\n".join(faults)


def get(server, path, accept, **fields):
    headers = {k.replace("_", "-"): v for k, v in fields.items()}
    if accept is not None:
        headers["Accept-Encoding"] = accept
    return server.get(path, headers)


def metric(server, name):
    """The sum over all processes."""
    return sum(map(int, re.findall(rf"^compress_{name}\S* (\d+)", server.get("/metrics").text, re.M)))


# ---- Which coding ------------------------------------------------------------------------------

@pytest.mark.parametrize("accept, coding", [
    (None, None),
    ("", None),
    ("gzip", "gzip"),
    ("GZIP", "gzip"),
    ("x-gzip", "gzip"),
    ("br", "br"),
    ("zstd", "zstd"),
    ("gzip, deflate, br, zstd", "zstd"),
    ("gzip, deflate, br", "br"),
    ("deflate", None),
    ("*", "zstd"),
    ("*;q=0", None),
    ("br;q=0, *", "zstd"),
    ("zstd;q=0, *", "br"),
    ("zstd;q=0.5, br;q=0.6, gzip;q=0.7", "gzip"),
    ("gzip;q=0.001", "gzip"),
    ("gzip;q=0", None),
    ("gzip;q=2", None),
    ("identity", None),
    ("identity, gzip;q=0.5", None),
    ("identity;q=0.5, gzip;q=0.5", "gzip"),
    ("identity;q=0.2, gzip;q=0.5", "gzip"),
    ("identity;q=0, gzip", "gzip"),
    ("identity;q=0", None),
    ("gzip;q=0.5;x=1, br", "br"),
], ids=str)
def test_what_the_client_likes(server, accept, coding):
    r = get(server, "/n65537.txt", accept)
    assert (r.status, r["content-encoding"], r["vary"]) == (200, coding, "Accept-Encoding")
    assert decode(coding, r.body) == PROSE[:65537]
    assert not coding or (len(r.body) < 40000 and r["content-length"] is None and r["accept-ranges"] is None)


def test_several_fields_are_one_list(server):
    r = server.exchange(b"GET /n65537.txt HTTP/1.1\r\nHost: x\r\nAccept-Encoding: zstd;q=0.1, br;q=0\r\nAccept-Encoding: gzip\r\n\r\n")
    assert r["content-encoding"] == "gzip"


@pytest.mark.parametrize("path, coding", [("/order/a.txt", "gzip"), ("/one/a.txt", "br")])
def test_the_order_of_the_settings(server, path, coding):
    assert get(server, path, "zstd, br, gzip")["content-encoding"] == coding


def test_a_coding_that_the_route_does_not_have(server):
    assert get(server, "/one/a.txt", "gzip, zstd")["content-encoding"] is None


# ---- What is compressed ------------------------------------------------------------------------

@pytest.mark.parametrize("name", TYPES)
def test_types(server, name):
    r = get(server, "/" + name, "gzip")
    assert (r["content-encoding"], r["vary"]) == (("gzip", "Accept-Encoding") if TYPES[name] else (None, None))
    assert decode(r["content-encoding"], r.body) == PROSE[:5000]


def test_all_types(server):
    assert get(server, "/star/a.png", "gzip")["content-encoding"] == "gzip"


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("size", SIZES)
def test_files_of_all_sizes(server, size, coding):
    r = get(server, f"/n{size}.txt", coding)
    assert r["content-encoding"] == (coding if size >= 1024 else None)
    assert decode(r["content-encoding"], r.body) == PROSE[:size]


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("path, body", [("/zero/a.txt", PROSE[:200]), ("/zero/empty.txt", b""), ("/noise.bin", NOISE),
                                        ("/hard/a.txt", PROSE[:150000])])
def test_odd_bodies(server, path, body, coding):
    r = get(server, path, coding)
    assert r["content-encoding"] == coding and decode(coding, r.body) == body


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("size", [0, 1, 8191, 65536, 700001])
def test_answers_in_pieces(server, size, coding):
    r = server.post("/echo", PROSE[:size], {"Content-Type": "text/plain", "Accept-Encoding": coding})
    assert r["content-encoding"] == coding and decode(coding, r.body) == PROSE[:size]


@pytest.mark.parametrize("how", ["text", "ref?n=300000", "file?n=300000", "pieces?n=300000&size=777", "pieces?n=300000&size=65536"])
def test_all_ways_to_answer(server, how):
    plain = server.get("/app/" + how)
    for coding in CODINGS:
        r = get(server, "/app/" + how, coding)
        assert decode(r["content-encoding"], r.body) == plain.body
        assert r["content-encoding"] == (coding if how != "text" else None)


def test_the_longest(server):
    assert get(server, "/most/a.txt", "gzip")["content-encoding"] is None


def test_short_ones_where_they_must(server):
    r = get(server, "/n999.txt", "gzip, identity;q=0")
    assert r["content-encoding"] == "gzip" and decode("gzip", r.body) == PROSE[:999]


def test_what_is_encoded_already(server):
    r = get(server, "/done/", "gzip")
    assert r.all("content-encoding") == ["x-mine"] and b"\x1f\x8b" not in r.body


def test_no_transform(server):
    r = get(server, "/secret/a.txt", "gzip")
    assert r["content-encoding"] is None and r.body == PROSE[:150000] and r["vary"] is None


def test_behind_another_filter(server):
    r = get(server, "/upper/a.txt", "br")
    assert decode("br", r.body) == PROSE[:150000].upper()


def test_pages_of_the_server(server):
    r = get(server, "/zero/none", "gzip")
    assert r.status == 404 and r["content-encoding"] == "gzip" and b"404" in decode("gzip", r.body)


def test_streams_stay(server):
    with server.connect() as c:
        c.send(b"GET /sse HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n")
        head = c.until(b"\r\n\r\n").lower()
        assert b"text/event-stream" in head and b"content-encoding" not in head


# ---- Validators, conditions, ranges ------------------------------------------------------------

def test_a_strong_etag_becomes_weak(server):
    plain, packed = get(server, "/n16385.txt", None), get(server, "/n16385.txt", "br")
    assert packed["etag"] == "W/" + plain["etag"] and packed["last-modified"] == plain["last-modified"]


@pytest.mark.parametrize("accept, weak", [("gzip", True), (None, False)])
@pytest.mark.parametrize("given", ["%s", "W/%s", '"x", %s', "*"])
def test_not_modified(server, given, accept, weak):
    etag = get(server, "/n16385.txt", None)["etag"]
    r = get(server, "/n16385.txt", accept, If_None_Match=given.replace("%s", etag))
    assert (r.status, r.body, r["vary"], r["content-encoding"]) == (304, b"", "Accept-Encoding", None)
    assert r["etag"] == ("W/" if weak else "") + etag


def test_a_304_of_what_is_never_compressed(server):
    r = get(server, "/a.png", "gzip", If_None_Match=get(server, "/a.png", None)["etag"])
    assert r.status == 304 and r["vary"] is None and not r["etag"].startswith("W/")


def test_head_is_that_of_get(server):
    got = get(server, "/n16385.txt", "zstd")
    r = server.head("/n16385.txt", {"Accept-Encoding": "zstd"})
    names = ("content-encoding", "vary", "etag", "content-type", "content-length", "accept-ranges")
    assert r.body == b"" and [r[n] for n in names] == [got[n] for n in names]
    r = server.head("/n16385.txt")
    assert r["content-length"] == "16385" and r["content-encoding"] is None


def test_a_range_is_one_of_the_file(server):
    r = get(server, "/n16385.txt", "gzip", Range="bytes=100-199")
    assert (r.status, r.body, r["content-encoding"], r["vary"]) == (206, PROSE[100:200], None, "Accept-Encoding")
    assert not r["etag"].startswith("W/")
    r = get(server, "/n16385.txt", "gzip", Range="bytes=20000-")
    assert r.status == 416


@pytest.mark.parametrize("validator", ["etag", "last-modified"])
def test_no_range_behind_the_beginning_of_something_else(server, validator):
    first = get(server, "/n16385.txt", "gzip")
    r = get(server, "/n16385.txt", "gzip", Range="bytes=100-199", If_Range=first[validator])
    assert r.status == 200 and decode("gzip", r.body) == PROSE[:16385]


# ---- Pieces that are waited for ----------------------------------------------------------------

@pytest.mark.parametrize("coding", CODINGS)
def test_nobody_waits_for_the_next_piece(server, coding):
    d = decoder(coding)
    with server.connect() as c:
        c.send(f"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nAccept-Encoding: {coding}\r\n"
               "Transfer-Encoding: chunked\r\n\r\n".encode())
        for i in range(20):
            line = f"line {i} {PROSE[i * 50:i * 50 + 40 * (i % 5)].decode()}\n".encode()
            c.send(b"%x\r\n%b\r\n" % (len(line), line))
            if i == 0:
                assert f"content-encoding: {coding}" in c.until(b"\r\n\r\n").decode().lower()
            got = b""
            while len(got) < len(line):
                got += d.feed(c.take(int(c.until(b"\r\n"), 16)))
                assert c.take(2) == b"\r\n"
            assert got == line
        c.send(b"0\r\n\r\n")
        r = b""
        while size := int(c.until(b"\r\n"), 16):
            r += d.feed(c.take(size))
            assert c.take(2) == b"\r\n"
        assert not r and d.ended()


def test_http_1_0(server):
    with server.connect() as c:
        c.send(b"GET /n262145.txt HTTP/1.0\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n")
        r = c.response()
        assert r["transfer-encoding"] is None and decode("gzip", r.body) == PROSE[:262145]


def test_pipelined(server):
    with server.connect() as c:
        for i in range(12):
            c.send(f"GET /n131073.txt HTTP/1.1\r\nHost: x\r\nAccept-Encoding: {(CODINGS + ['x'])[i % 4]}\r\n\r\n".encode())
        for i in range(12):
            r = c.response()
            assert decode(r["content-encoding"], r.body) == PROSE[:131073]


# ---- Memory ------------------------------------------------------------------------------------

def test_encoders_keep_their_word(tmp_path):
    """In a program of its own, which counts."""
    program = str(tmp_path / "need")
    flags = make_value("flags_compress").split()
    done = subprocess.run(["cc", "-O1", "-fno-builtin", "-D_GNU_SOURCE", f"-I{SOURCE}/src/api", f"-I{SOURCE}/modules/compress", *flags,
                           "-o", program, f"{SOURCE}/tests/lib/modules/need.c", f"{SOURCE}/modules/compress/codec.c",
                           *make_value("libs_compress").split(), "-ldl"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    done = subprocess.run([program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_memory_is_bounded_and_comes_back(serve):
    """Many clients that take nothing: only as many answers are compressed as there is memory for."""
    s = serve("[module:static]\n[module:metrics]\n[module:compress]\nmemory = 8m\n[site:a]\nroot = @DIR@/www\nuse = compress\n"
              "[route:m]\nmatch = /metrics\nhandler = metrics\nuse = -compress\n[route:noise]\nmatch = /noise.txt\nhandler = static\n",
              server={"workers": 1}, files={"www/noise.txt": random.Random(6).randbytes(8 << 20), "www/a.txt": PROSE[:100000]})
    slow = [s.connect() for _ in range(20)]
    for c in slow:
        c.send(b"GET /noise.txt HTTP/1.1\r\nHost: x\r\nAccept-Encoding: zstd\r\n\r\n")
    heads = [c.until(b"\r\n\r\n").lower() for c in slow]
    packed = sum(b"content-encoding: zstd" in h for h in heads)
    assert 1 <= packed <= 8 and metric(s, "refused_total") == 20 - packed
    assert all((b"etag: w/" in h) == (b"content-encoding" in h) for h in heads)
    for c in slow:
        c.close()
    wait_for(lambda: get(s, "/a.txt", "zstd")["content-encoding"] == "zstd", what="the memory does not come back")
    assert decode("zstd", get(s, "/noise.txt", "zstd").body) == random.Random(6).randbytes(8 << 20)


def test_counters(server):
    before = [metric(server, n) for n in ("answers_total", "in_bytes_total", "out_bytes_total")]
    n = len(get(server, "/n1000003.txt", "br").body)
    after = [metric(server, n) for n in ("answers_total", "in_bytes_total", "out_bytes_total")]
    assert [a - b for a, b in zip(after, before)] == [1, 1000003, n]


# ---- Clients, settings -------------------------------------------------------------------------

def test_curl(server, tmp_path):
    done = subprocess.run(["curl", "-s", "--compressed", f"http://127.0.0.1:{server.port}/n1000003.txt"], stdout=subprocess.PIPE,
                          check=True)
    assert done.stdout == PROSE[:1000003]


@pytest.mark.parametrize("tool, coding", [("zstd", "zstd"), ("brotli", "br"), ("gzip", "gzip")])
def test_tools(server, tool, coding):
    if not shutil.which(tool):
        pytest.skip(f"{tool} is not installed")
    body = get(server, "/n1000003.txt", coding).body
    done = subprocess.run([tool, "-dc"], input=body, stdout=subprocess.PIPE, check=True)
    assert done.stdout == PROSE[:1000003]


@pytest.mark.parametrize("line, words", [
    ("codings = gzip, deflate", ["deflate", "zstd, br and gzip"]),
    ("types = html", ["no media type"]),
    ("min_length = 2g", ["min_length"]),
    ("min_length = 2k\nmax_length = 1k", ["larger than max_length"]),
    ("br_level = 11", ["0 to 6"]),
    ("zstd_level = 0", ["1 to 9"]),
    ("level = 3", ["level"]),
])
def test_settings_that_are_refused(serve, line, words):
    s = serve(f"[module:compress]\n{line}\n", start=False)
    done = s.run("-c", s.conf, "-t")
    assert done.returncode == 78
    for word in [*words, "cserver.ini:"]:
        assert word in done.stderr, done.stderr


@pytest.mark.parametrize("path, accept, text", [
    ("/n65537.txt", "br", "br, level 4"),
    ("/n65537.txt", "deflate", "the client takes no coding that there is"),
    ("/a.png", "br", "its type is not among"),
    ("/n999.txt", "br", "shorter than min_length"),
    ("/most/a.txt", "br", "longer than max_length"),
])
def test_explain(server, path, accept, text):
    done = server.run("explain", f"GET http://x{path}", "-c", server.conf, "-H", f"Accept-Encoding: {accept}")
    assert done.returncode == 0 and text in done.stdout, done.stdout + done.stderr
