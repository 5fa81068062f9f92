"""What the pages say is true: their C compiles, their modules load and answer, their settings are good, their links lead
somewhere, and the modules that are said to be small are as small as that."""
import contextlib
import glob
import os
import re
import shutil
import socket
import subprocess

import pytest
from lib.server import BUILD, LIMIT, SOURCE, deadline, make_value

PAGES = [os.path.join(SOURCE, "README.md"), *sorted(glob.glob(os.path.join(SOURCE, "docs/*.md")))]
GUIDE = os.path.join(SOURCE, "docs/modules.md")
SIZES = {"hello": 6, "count": 25, "board": 40}  # lines that are not empty
STRICT = ["-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-I" + os.path.join(SOURCE, "src/api")]
C = ["-std=c11", "-D_GNU_SOURCE", *STRICT]
CPP = ["-std=c++17", *STRICT]


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def blocks(path):
    """(language, text) of the fenced blocks; what is indented and begins with #include counts as C."""
    text = read(path)
    yield from re.findall(r"^```(\w+)\n(.*?)^```$", text, re.M | re.S)
    for block in re.findall(r"^    #include.*\n(?:(?:    .*)?\n)*", text, re.M):
        yield "c", re.sub(r"^    ", "", block, flags=re.M)


def name_of(text):
    found = re.search(r'CS_MODULE\(\.name = "(\w+)"', text)
    return found.group(1) if found else ""


def programs():
    """(page, language, text) of all that is a whole file."""
    for path in PAGES:
        for language, text in blocks(path):
            if language in ("c", "cpp") and text.startswith("#include"):
                yield os.path.basename(path), language, text


PROGRAMS = list(programs())
IDS = [f"{page}-{name_of(text) or 'other'}-{i}" for i, (page, _, text) in enumerate(PROGRAMS)]
MODULES = {name_of(text): (language, text) for page, language, text in PROGRAMS if page == "modules.md" and name_of(text)}


def build(folder, name, language, text, compiler=None):
    """NAME.so in the folder; fails with what the compiler says."""
    source = os.path.join(folder, name + (".c" if language == "c" else ".cc"))
    with open(source, "w", encoding="utf-8") as f:
        f.write(text)
    argv = compiler or (make_value("CC").split() if language == "c" else ["g++"])
    done = subprocess.run([*argv, *(C if language == "c" else CPP), "-o", os.path.join(folder, name + ".so"), source],
                          text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("page, language, text", PROGRAMS, ids=IDS)
def test_compiles(folder, page, language, text):
    found = [c for c in (("gcc", "clang") if language == "c" else ("g++", "clang++")) if shutil.which(c)]
    assert found or language == "cpp"
    for compiler in found:
        build(folder, name_of(text) or "x", language, text, [compiler])


@pytest.mark.parametrize("name", SIZES)
def test_is_as_small_as_that(name):
    lines = [line for line in MODULES[name][1].splitlines() if line.strip()]
    assert len(lines) == SIZES[name]
    assert max(map(len, lines)) <= 118


# ---- In a server --------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def modules(tmp_path_factory):
    """A folder with all modules of the guide, and those of the build under other names."""
    folder = str(tmp_path_factory.mktemp("modules"))
    for so in glob.glob(os.path.join(BUILD, "modules/*.so")):
        os.symlink(so, os.path.join(folder, os.path.basename(so)))
    for name, (language, text) in MODULES.items():
        if language == "cpp" and not shutil.which("g++"):
            continue
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(folder, name + ".so"))
        build(folder, name, language, text)
    return folder


def ask_hello(s):
    assert (s.get("/hello").status, s.get("/hello").text) == (200, "Hello, world!\n")


def ask_greet(s):
    assert s.get("/greet").text == "Hello.\nHello.\n"
    s.configure("[module:greet]\ntimes = 9\nloud = on\n")
    done = s.run("-c", s.conf, "-t")
    assert done.returncode == 78
    assert "times: " in done.stderr and "nobody wants to hear it" in done.stderr and ".ini:" in done.stderr


def ask_count(s):
    assert s.get("/count").text.startswith("numReqs = 1, worker ")
    assert s.get("/count").text.startswith("numReqs = 2, worker ")
    s.log_has("numReqs = 2")


def ask_who(s):
    r = s.get("/who?name=J%C3%BCrgen+%3Cb%3E", {"User-Agent": "me", "Cookie": "a=b; session=1"})
    assert (r.status, r.text) == (200, "<p>Jürgen &lt;b&gt;, at /who with me\n")
    assert r["cache-control"] == "private"
    assert s.get("/who").status == 400
    assert s.post("/who", b"123").text == "3 bytes\n"


def ask_lookup(s):
    assert s.get("/lookup?name=127.0.0.1").text == "127.0.0.1\n"
    assert s.get("/lookup").status == 400


def ask_wait(s):
    waiting = [s.connect().send(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n") for _ in range(6)]
    for client in waiting:  # it may not have sat down yet when the first call comes
        for _ in deadline(LIMIT, "nobody is called"):
            assert s.post("/wait", b"dinner").status == 204
            if not client.is_silent(0.01):
                break
        assert client.response().text == "dinner"
        client.close()


def ask_weather(s):
    port = int(re.search(r"port = (\d+)", read(s.conf)).group(1))
    assert s.get("/weather").text == "nothing yet"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        for _ in deadline(LIMIT, "the datagram is not shown"):
            with contextlib.suppress(ConnectionRefusedError):
                out.sendto(b"sunny", ("127.0.0.1", port))
            if all(s.get("/weather").text == "sunny" for _ in range(8)):
                break


def ask_wc(s):
    assert s.post("/wc", b"one\ntwo\n...").text == "11 bytes, 2 lines\n"
    assert s.post("/wc", b"x\n" * 1000000).text == "2000000 bytes, 1000000 lines\n"
    assert s.get("/wc").text == "0 bytes, 0 lines\n"


def ask_numbers(s):
    assert s.get("/numbers?to=3").text == "1\n2\n3\n"
    assert s.get("/numbers").status == 400
    body = s.get("/numbers?to=500000").text
    assert body.count("\n") == 500000 and body.endswith("\n499999\n500000\n")


def ask_board(s):
    clients = [s.connect().send(b"GET /board HTTP/1.1\r\nHost: x\r\n\r\n") for _ in range(8)]
    for client in clients:
        head = client.until(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ") and b"text/event-stream" in head
    assert s.post("/board", b'say "hi"\n').status == 204
    for client in clients:
        client.until(b'id: 1\ndata: "say \\"hi\\"\\n"\n\n')
        client.close()


def ask_gate(s):
    assert s.get("/gate").status == 403
    assert s.get("/gate", {"X-Key": "sesamf"}).status == 403
    assert s.get("/gate", {"X-Key": "sesame"}).text == "Hello, world!\n"


def ask_shout(s):
    r = s.get("/shout")
    assert (r.text, r["x-loud"]) == ("HELLO, WORLD!\n", "yes")
    assert s.get("/nothing").status == 404
    r = s.exchange(b"HEAD /shout HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HEAD")
    assert (r.status, r["x-loud"]) == (200, "yes")


def ask_slowlog(s):
    assert s.get("/slowlog?x").status == 200
    s.log_has("/slowlog?x took ")
    assert re.search(r'took \d+ ms: status 200, \d+ bytes, user ""', s.log())


def ask_guests(s):
    assert s.get("/guests").text == "You are number 1, after nobody.\n"
    assert s.get("/guests").text == "You are number 2, after 127.0.0.1.\n"


def ask_hello_cpp(s):
    assert s.get("/hello_cpp").text == "Hello, world\n"


# Settings of [module:NAME] and of its route, where they need any.
SETTINGS = {
    "greet": ("times = 2", ""),
    "count": ("interval = 100ms", ""),
    "weather": ("port = @UDP@", ""),
    "gate": ("key = sesame", "use = gate\nhandler = hello"),
    "shout": ("", "use = shout\nhandler = hello"),
    "slowlog": ("above = 0", "use = slowlog\nhandler = hello"),
}


@pytest.mark.parametrize("name", MODULES)
def test_answers(serve, modules, name):
    if not os.path.exists(os.path.join(modules, name + ".so")):
        pytest.skip("no C++ compiler")
    of_module, of_route = SETTINGS.get(name, ("", ""))
    of_route = of_route or "handler = " + name
    other = "" if name == "hello" else "[module:hello]\n"
    conf = f"[module:{name}]\n{of_module}\n{other}\n[route:all]\nmatch = /{name}\n{of_route}\n"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        udp = probe.getsockname()[1]
    s = serve(conf.replace("@UDP@", str(udp)), server={"modules": modules}, limits={"max_body": "16m"})
    globals()["ask_" + name](s)


def test_every_module_of_the_guide_is_asked():
    assert {n[4:] for n in globals() if n.startswith("ask_")} == set(MODULES)


TESTS = [(page, re.search(r"/(\w+)\.so", text).group(1), text) for page, _, text in PROGRAMS if "<cserver/test.h>" in text]


def test_pages_that_have_tests():
    assert {page for page, _, _ in TESTS} == {"modules.md", "tasks.md"}


@pytest.mark.parametrize("page, name, text", TESTS, ids=[name for _, name, _ in TESTS])
def test_tests_of_the_guide_pass(folder, page, name, text):
    """Where the module lies, as its author would run it."""
    language, module = next((l, t) for p, l, t in PROGRAMS if p == page and name_of(t) == name)
    build(folder, name, language, module)
    source, program = os.path.join(folder, "a_test.c"), os.path.join(folder, "a_test")
    with open(source, "w", encoding="utf-8") as f:
        f.write(text)
    with open(os.path.join(BUILD, "config.flags"), encoding="utf-8") as f:
        flags = re.findall(r"-fsanitize=[\w,]+", f.read())[:1]
    done = subprocess.run([*make_value("CC").split(), "-std=c11", "-I" + os.path.join(SOURCE, "src/api"), *flags, "-o",
                           program, source, "-L" + BUILD, "-lcstest", "-lpthread", "-ldl"], text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert done.returncode == 0, done.stdout
    done = subprocess.run([program], cwd=folder, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=LIMIT, check=False)
    assert done.returncode == 0, done.stdout


# ---- Settings and links -------------------------------------------------------------------------

INIS = [text for language, text in blocks(GUIDE) if language == "ini"]


@pytest.mark.parametrize("text", INIS, ids=[t.split("]")[0][1:] for t in INIS])
def test_settings_of_the_guide_are_good(folder, modules, text):
    for name in ("www", "conf"):
        os.mkdir(os.path.join(folder, name))
    conf = os.path.join(folder, "conf/cserver.ini")
    with open(conf, "w", encoding="utf-8") as f:
        f.write(text)
    done = subprocess.run([os.path.join(BUILD, "cserver"), "-c", conf, "-t", "-g", "server.modules=" + modules], text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert done.returncode == 0, done.stdout


def anchors(path):
    """Of the headings of a page, as the web pages of repositories make them."""
    text = re.sub(r"^```.*?^```$", "", read(path), flags=re.M | re.S)
    return {re.sub(r"[^\w\- ]", "", re.sub(r"[`*]", "", h).strip().lower()).replace(" ", "-")
            for h in re.findall(r"^#+ (.*)$", text, re.M)}


LINKED = [*PAGES, *sorted(glob.glob(os.path.join(SOURCE, "modules/*/README.md")))]


@pytest.mark.parametrize("path", LINKED, ids=[os.path.relpath(p, SOURCE) for p in LINKED])
def test_links_lead_somewhere(path):
    text = re.sub(r"^```.*?^```$|`[^`\n]*`", "", read(path), flags=re.M | re.S)
    dead = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"\w+:", target):
            continue
        file, _, anchor = target.partition("#")
        to = os.path.normpath(os.path.join(os.path.dirname(path), file)) if file else path
        if not os.path.exists(to) or anchor and anchor not in anchors(to):
            dead.append(target)
    assert not dead
