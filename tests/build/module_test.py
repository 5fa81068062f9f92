"""Writing a module with nothing but what `make install` has put somewhere: module new, build, check, info, list, --dev.

The root of the installation has a blank in its name, no cserver is in PATH, and pkg-config does not know one, unless a
test says so."""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import textwrap
import time
import urllib.error
import urllib.request

import pytest
from lib.server import BUILD, LIMIT, SOURCE, free_port, make_value, wait_for

SANITIZE = [w for w in make_value("link_module").split() if w.startswith("-fsanitize")]
CC = make_value("CC")
CFLAGS = " ".join(["-O1 -g -Wall -Wextra -Wpedantic -Werror", *SANITIZE])


class Stage:
    """What make install has left, and nothing of it known to the environment."""

    def __init__(self, folder):
        self.dest = os.path.join(folder, "a stage")
        self.env = {k: v for k, v in os.environ.items() if not re.match("MAKE|MFLAGS|PKG_CONFIG|CSERVER|C.*FLAGS|LD", k)}
        self.env.update(PATH="/usr/local/bin:/usr/bin:/bin", CC=CC, ASAN_OPTIONS="detect_stack_use_after_return=1")
        subprocess.run(["make", "-s", "--no-print-directory", "install", f"DESTDIR={self.dest}"], cwd=BUILD,
                       env=self.env, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        self.program = self.path("sbindir", "cserver")

    def path(self, variable, *names):
        return os.path.join(self.dest + make_value(variable), *names)

    def run(self, cwd, *words, env=None):
        return subprocess.run(words, cwd=cwd, env={**self.env, **(env or {})}, text=True, errors="replace",
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=LIMIT, check=False)

    def cserver(self, cwd, *words, env=None):
        return self.run(cwd, self.program, *words, env=env)

    def make(self, cwd, *words, env=None):
        return self.run(cwd, "make", *([f"CC={CC}", f"CFLAGS={CFLAGS}"] if SANITIZE or CC != "cc" else []), *words,
                        env=env)


@pytest.fixture(scope="module")
def stage():
    path = tempfile.mkdtemp(prefix="cs-")
    yield Stage(path)
    shutil.rmtree(path, ignore_errors=True)


def good(done):
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def write(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as f:
        f.write(textwrap.dedent(text))
    return path


def read(*names):
    with open(os.path.join(*names), encoding="utf-8") as f:
        return f.read()


def settings(folder, port, more):
    """A whole file of settings, with `more` at its end."""
    lines = ["[server]", "workers = 1", f"pid_file = {folder}/pid", f"control = {folder}/control", "error_log = stderr",
             "[listen:main]", f"address = 127.0.0.1:{port}"]
    return write(folder, "cserver.ini", "\n".join(lines) + "\n" + more)


def get(port, path="/"):
    """Status and body; None as long as nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=LIMIT) as r:
            return r.status, r.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, e.read().decode()
    except OSError:
        return None


class Running:
    """A server in the foreground, ended by Ctrl-C."""

    def __init__(self, stage, cwd, *words):
        self.log_path = os.path.join(cwd, "log")
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen([stage.program, *words], cwd=cwd, env=stage.env, stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, start_new_session=True)

    def __enter__(self):
        return self

    def log(self):
        return read(self.log_path)

    def answer(self, port, path="/"):
        def ask():
            assert self.process.poll() is None, self.log()
            return get(port, path)
        return wait_for(ask, what="no answer")

    def __exit__(self, *what):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            code = self.process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            raise
        assert code == 0 or what[0], self.log()
        assert "Sanitizer" not in self.log(), self.log()


# ---- From nothing to a module that serves ------------------------------------------------------

def test_a_minute(stage, folder):
    """module new, make, make check, then the developer's server and the installed one."""
    began = time.monotonic()
    said = good(stage.cserver(folder, "module", "new", "hello"))
    mine = os.path.join(folder, "hello")
    assert "cd hello\n" in said and "make && make check" in said
    assert {"hello.c", "hello_test.c", "Makefile", "README.md", "hello.ini", ".gitignore"} < set(os.listdir(mine))
    assert SOURCE not in read(mine, "local.mk")
    good(stage.make(mine))
    checked = good(stage.make(mine, "check"))
    assert time.monotonic() - began < 60
    assert "hello.so: good" in checked

    port = free_port()
    with Running(stage, mine, "--dev", "hello.so", "-l", str(port)) as s:
        assert s.answer(port, "/any") == (200, "Hello, world!\n")
        text = read(mine, "hello.c").replace("Hello, world!", "Moin!")
        write(mine, "hello.c", text)
        good(stage.make(mine))
        again = good(stage.make(mine, "dev", f"LISTEN=127.0.0.1:{port}"))
        assert "generation 2 is live" in again
        assert s.answer(port) == (200, "Moin!\n")

    sample, ours = stage.path("moduledir", "hello.so"), os.path.join(folder, "sample.so")
    os.rename(sample, ours)
    good(stage.make(mine, "install"))
    conf = settings(folder, port, re.sub("file = .*", "", read(mine, "hello.ini")))
    with Running(stage, folder, "-c", conf) as s:
        assert s.answer(port, "/hello") == (200, "Hello, world!\n")
    os.rename(ours, sample)


def test_the_settings_snippet_serves_from_the_folder(stage, folder):
    good(stage.cserver(folder, "module", "new", "mine", "a \"b\" \\c"))
    mine = os.path.join(folder, "a \"b\" \\c")
    good(stage.cserver(mine, "module", "build", "-o", "mine.so"))
    port = free_port()
    conf = settings(folder, port, read(mine, "mine.ini"))
    with Running(stage, folder, "-c", conf) as s:
        assert s.answer(port, "/mine/x") == (200, "Hello, world!\n")


def test_pkg_config_and_path_are_enough(stage, folder):
    """With the variables that module new prints there is no local.mk."""
    said = good(stage.cserver(folder, "module", "new", "one"))
    env = dict(re.findall(r"export (PKG_CONFIG_\w+)='(.*)'", said))
    assert set(env) == {"PKG_CONFIG_PATH", "PKG_CONFIG_SYSROOT_DIR"}
    env["PATH"] = os.path.dirname(stage.program) + ":" + stage.env["PATH"]
    said = good(stage.run(folder, "cserver", "module", "new", "two", env=env))
    mine = os.path.join(folder, "two")
    assert "export" not in said and "local.mk" not in os.listdir(mine)
    assert "two.so: good" in good(stage.make(mine, "check", env=env))
    dest = os.path.join(folder, "package")
    good(stage.make(mine, "install", f"DESTDIR={dest}", env=env))
    found = [n for _, _, names in os.walk(dest) for n in names]
    assert found == ["two.so"]


def test_variables_of_make_are_enough(stage, folder):
    good(stage.cserver(folder, "module", "new", "one"))
    mine = os.path.join(folder, "one")
    os.unlink(os.path.join(mine, "local.mk"))
    lost = stage.make(mine)
    assert lost.returncode != 0 and "cserver" in lost.stderr and "PKG_CONFIG_PATH" in lost.stderr
    good(stage.make(mine, "clean"))
    good(stage.make(mine, "check", f"CSERVER={stage.program}", f"PKG_CONFIG_SYSROOT_DIR={stage.dest}",
                    f"PKG_CONFIG_PATH={stage.path('libdir', 'pkgconfig')}"))
    good(stage.make(mine, "clean"))
    assert not [n for n in os.listdir(mine) if n.endswith((".so", "_test"))]


def test_a_changed_module_fails_its_test(stage, folder):
    good(stage.cserver(folder, "module", "new", "one"))
    mine = os.path.join(folder, "one")
    write(mine, "one.c", read(mine, "one.c").replace("200,", "201,"))
    done = stage.make(mine, "check")
    assert done.returncode != 0 and "201" in done.stdout + done.stderr


@pytest.mark.parametrize("words, code, says", [
    (["Hello"], 2, "Hello: a module's name is a letter and up to 30 of a-z"),
    (["7up"], 2, "7up: a module's name"),
    (["cserver"], 2, "cserver: names that begin with cserver are the server's own"),
    (["cserver_x"], 2, "the server's own: choose another name"),
    (["a-b"], 2, "a-b: a module's name"),
    (["../x"], 2, "../x: a module's name"),
    (["a" * 32], 2, "a module's name"),
    ([""], 2, "a module's name"),
    (["my_test"], 2, "my_test: files that end in _test.c are tests"),
    (["there"], 1, "there: is there already: name another folder"),
    (["x", "there"], 1, "there: is there already"),
    (["x", "no/where"], 1, "no/where: cannot be made: No such file or directory; make the folder above it first"),
])
def test_new_refuses(stage, folder, words, code, says):
    os.mkdir(os.path.join(folder, "there"))
    done = stage.cserver(folder, "module", "new", *words)
    assert done.returncode == code and says in done.stderr
    assert os.listdir(folder) == ["there"] and not os.listdir(os.path.join(folder, "there"))


# ---- build -------------------------------------------------------------------------------------

PLAIN = """
    #include <cserver/cserver.h>
    static int handler(cs_req *r) { return cs_text(r, 200, "ok\\n"); }
    CS_MODULE(.name = "plain", .version = "1.0", .help = "Says ok.", .handler = handler);
"""


@pytest.fixture
def env():
    return {"CC": CC, "CFLAGS": " ".join(SANITIZE)}


def test_build_a_folder_and_files(stage, folder, env):
    mine = os.path.join(folder, "plain")
    os.mkdir(mine)
    write(mine, "plain.c", PLAIN)
    write(mine, "more.c", "#include <cserver/cserver.h>\nlong more(void);\nlong more(void) { return cs_now_ms(); }\n")
    write(mine, "plain_test.c", "#error not this one\n")
    assert "plain/plain.so: good" in good(stage.cserver(folder, "module", "build", "plain", env=env))
    assert "./plain.so: good" in good(stage.cserver(mine, "module", "build", env=env))
    assert "plain.so: good" in good(stage.cserver(mine, "module", "build", "plain.c", "more.c", env=env))
    said = good(stage.cserver(mine, "module", "build", "-v", "-o", "../x y.so", "plain.c", "--", "-lm", env=env))
    assert said.startswith(CC.split()[0]) and " -shared " in said and " -lm" in said and "'../x y.so'" in said
    assert os.path.exists(os.path.join(folder, "x y.so"))


@pytest.mark.parametrize("words, more, says", [
    (["plain.c"], {"CC": "no-such-compiler"}, "no-such-compiler: No such file or directory; install a C compiler"),
    (["bad.c"], {}, "nonsense"),
    (["none.c"], {}, "none.c: No such file or directory; module build takes one folder, or C files"),
    (["empty"], {}, "empty: there is no C file of a module here"),
    (["plain.c", "empty"], {}, "empty: this is a folder"),
])
def test_build_says_what_is_wrong(stage, folder, env, words, more, says):
    write(folder, "plain.c", PLAIN)
    write(folder, "bad.c", "nonsense\n")
    os.mkdir(os.path.join(folder, "empty"))
    done = stage.cserver(folder, "module", "build", *words, env={**env, **more})
    assert done.returncode == 1 and says in done.stderr


def test_build_ends_with_the_check(stage, folder, env):
    write(folder, "x.c", '#include <cserver/cserver.h>\nCS_MODULE(.name = "X", .version = "1");\n')
    done = stage.cserver(folder, "module", "build", "x.c", env=env)
    assert done.returncode == 1 and 'its .name is "X"' in done.stdout


# ---- check, info, list -------------------------------------------------------------------------

def compile_to(folder, name, source, *flags, hidden=True):
    c_file = write(folder, name + ".c", source)
    so_file = os.path.join(folder, name + ".so")
    subprocess.run(["cc", "-w", "-shared", "-fPIC", *(["-fvisibility=hidden"] if hidden else []),
                    f"-I{os.path.join(SOURCE, 'src/api')}", "-o", so_file, c_file, *flags], check=True)
    return so_file


HARD = ["-Wl,-z,relro", "-Wl,-z,now", "-Wl,-z,noexecstack"]
CHECKS = [
    # label, source, flags, hidden, exit status, what is said
    ("good", PLAIN, HARD, True, 0, ["x.so: good", "hooks       handler", "no keys of its own"]),
    ("names", PLAIN + "int seen(void) { return 1; }", HARD, False, 0,
     ["1 name beside its descriptor, seen:", "-fvisibility=hidden", "takes it; 1 warning"]),
    ("lazy", PLAIN, ["-Wl,-z,norelro", "-Wl,-z,lazy", "-Wl,-z,noexecstack"], True, 0,
     ["no RELRO", "-Wl,-z,relro", "no BIND_NOW", "-Wl,-z,now", "takes it; 2 warnings"]),
    ("no hooks", '#include <cserver/cserver.h>\nCS_MODULE(.name = "x", .version = "1");', HARD, True, 0,
     ["it has none, and so does nothing", "it does not say what it is for"]),
    ("constructor", PLAIN + "__attribute__((constructor)) static void c(void) { __builtin_abort(); }", HARD, True,
     1, ["loading it (its constructors run then): the process that tried it was killed by SIGABRT", "would refuse it"]),
    ("destructor", PLAIN + "__attribute__((destructor)) static void c(void) { __builtin_trap(); }", HARD, True,
     1, ["unloading it (its destructors run then): the process that tried it was killed by"]),
    ("exit", PLAIN + "void _exit(int); __attribute__((constructor)) static void c(void) { _exit(0); }", HARD, True,
     1, ["the process that tried it exited with status 0"]),
    ("talks", PLAIN + "int puts(const char *); __attribute__((constructor)) static void c(void) { puts(\"noise\"); }",
     HARD, True, 0, ["x.so: good"]),
    ("undefined", "#include <cserver/cserver.h>\nint cs_frob(cs_req *r);\n"
     'CS_MODULE(.name = "x", .version = "1", .handler = cs_frob);', HARD, True, 1,
     ["undefined symbol: cs_frob", "cs_frob: this cserver.h has no call of that name"]),
    ("abi", '#include <cserver/cserver.h>\nCS_MODULE(.name = "x", .version = "1", .abi_minor = 99);', HARD, True, 1,
     ["needs module ABI 1.99", "would refuse it"]),
    ("default", '#include <cserver/cserver.h>\nstruct c { int64_t n; };\nstatic const cs_directive d[] = {'
     'CS_INT(struct c, n, "ten", 0, 9, 0, "A number."), CS_END};\n'
     'CS_MODULE(.name = "x", .version = "1", .directives = d, .conf_size = sizeof(struct c));', HARD, True, 1,
     ['the default of the key "n"']),
    ("names of a library", PLAIN + "int pcre2_compile_8(void) { return 1; }", HARD, False, 1,
     ["it defines pcre2_compile_8 that this program has from /", "-fvisibility=hidden"]),
    ("half of a move", PLAIN.replace(".handler", ".on_save = save, .handler").replace(
        "CS_MODULE", "static int save(cs_stream *s, void *to, size_t n) { return 0; } CS_MODULE"), HARD, True, 0,
     ["on_save and on_adopt go together"]),
]


@pytest.mark.parametrize("label, source, flags, hidden, code, says", CHECKS, ids=[c[0] for c in CHECKS])
def test_check(stage, folder, label, source, flags, hidden, code, says):
    compile_to(folder, "x", source, *flags, hidden=hidden)
    done = stage.cserver(folder, "module", "check", "x.so")
    assert done.returncode == code, done.stdout
    for sentence in says:
        assert sentence in done.stdout
    assert "noise" not in done.stdout
    told = json.loads(stage.cserver(folder, "module", "check", "x.so", "--json").stdout)
    assert told["good"] == (code == 0) and told["file"] == "x.so"
    kinds = [f["kind"] for f in told["findings"]]
    assert kinds.count("error") == told["errors"] and kinds.count("warning") == told["warnings"]
    assert (told["errors"] > 0) == (code != 0)


def test_check_of_another_copy_of_a_library(stage, folder):
    library = compile_to(folder, "copy", "int pcre2_compile_8(void) { return 7; }", hidden=False)
    os.rename(library, os.path.join(folder, "libpcre2-8.so.0"))
    compile_to(folder, "x", "int pcre2_compile_8(void);\n" + PLAIN.replace("200", "pcre2_compile_8()"),
               os.path.join(folder, "libpcre2-8.so.0"), *HARD)
    done = stage.cserver(folder, "module", "check", "x.so")
    assert done.returncode == 1 and f"it brings {folder}/libpcre2-8.so.0, another copy of /" in done.stdout
    conf = write(folder, "x.ini", "[module:plain]\nfile = ./x.so\n")
    done = stage.cserver(folder, "-t", "-c", conf)
    assert done.returncode == 78 and "another copy of /" in done.stderr


def test_check_of_what_is_no_module(stage, folder):
    write(folder, "text.so", "just text\n")
    done = stage.cserver(folder, "module", "check", "text.so", "none.so", ".")
    assert done.returncode == 1
    assert "not a shared object" in done.stdout and "there is no such file" in done.stdout
    assert "this is a folder" in done.stdout


FULL = """
    #include <cserver/cserver.h>
    struct conf { cs_str word; int64_t n; };
    static cs_counter *hits; static cs_zone *zone; static cs_topic *news;
    static int handler(cs_req *r) { return cs_text(r, 200, "ok"); }
    static void on_news(const cs_msg *m) { (void)m; }
    static const cs_directive d[] = {
        CS_STRING(struct conf, word, "a | b", 0, 9, CS_PER_ROUTE, "What to say."),
        CS_INT(struct conf, n, NULL, 1, 9, CS_REQUIRED, "How often."), CS_END};
    static const cs_counter_def c[] = {{&hits, "hits_total", "Requests."}, {0}};
    static const cs_zone_def z[] = {{&zone, "state", 128, 0, 0}, {0}};
    static const cs_topic_def t[] = {{&news, "news", on_news, 0, CS_LATEST}, {0}};
    CS_MODULE(.name = "full", .version = "2.5", .help = "Has all.", .directives = d, .conf_size = sizeof(struct conf),
              .counters = c, .zones = z, .topics = t, .handler = handler, .access = handler);
"""


def test_info(stage, folder):
    compile_to(folder, "anyname", FULL)
    text = good(stage.cserver(folder, "module", "info", "anyname.so"))
    for part in ("full 2.5  Has all.", "hooks       access, handler", "in [module:full]", "default a | b; also in sites",
                 "; required", "counter     full_hits_total: Requests.", "zone        state: 128 bytes",
                 "topic       news: up to 4096 bytes, taken, keeps its latest value"):
        assert part in text, text
    md = good(stage.cserver(folder, "module", "info", "anyname.so", "--md"))
    assert "## [module:full]" in md and "| `word` |" in md and "*(route)*" in md and "*required*" in md
    assert "| topic | `news` |" in md
    told = json.loads(good(stage.cserver(folder, "module", "info", "anyname.so", "--json")))
    assert told["hooks"] == ["access", "handler"] and told["abi_major"] == 1
    assert [s["name"] for s in told["settings"]] == ["word", "n"] and told["settings"][1]["required"]
    assert (told["counters"][0]["name"], told["zones"][0]["size"], told["topics"][0]["latest"]) == ("hits_total", 128,
                                                                                                 True)


def test_info_of_the_manual(stage, folder):
    """What --md says is the section of the manual."""
    md = good(stage.cserver(folder, "module", "info", stage.path("moduledir", "hello.so"), "--md"))
    manual = good(stage.cserver(folder, "--reference"))
    assert md.split("\nVersion ")[0] in manual


def test_info_of_what_is_broken(stage, folder):
    write(folder, "text.so", "just text\n")
    compile_to(folder, "boom", PLAIN + "__attribute__((constructor)) static void c(void) { __builtin_trap(); }")
    done = stage.cserver(folder, "module", "info", "text.so", "boom.so", "none.so")
    assert done.returncode == 1 and not done.stdout
    assert "text.so: not a shared object" in done.stderr and "none.so: there is no such file" in done.stderr
    assert "boom.so: loading it (its constructors run then): the process that tried it was killed by" in done.stderr


def test_list(stage, folder):
    installed = {n[:-3] for n in os.listdir(stage.path("moduledir"))}
    told = [json.loads(line) for line in good(stage.cserver(folder, "module", "list", "--json")).splitlines()]
    assert {m["name"] for m in told} == installed and all(m["good"] for m in told)
    text = good(stage.cserver(folder, "module", "list"))
    assert "hello" in text and "handler" in text and "broken" not in text


def test_list_of_settings(stage, folder):
    """Its own folder, and what lies elsewhere; broken ones with the reason."""
    os.makedirs(os.path.join(folder, "mods"))
    compile_to(os.path.join(folder, "mods"), "plain", PLAIN)
    write(folder, "mods/text.so", "just text\n")
    compile_to(folder, "elsewhere", FULL)
    conf = write(folder, "x.ini", """
        [server]
        modules = mods
        [module:plain]
        [module:full]
        file = ./elsewhere.so
        [module:gone]
    """)
    told = [json.loads(line)
            for line in good(stage.cserver(folder, "module", "list", "-c", conf, "--json")).splitlines()]
    assert [(os.path.basename(m["file"]), m["good"]) for m in told] == [
        ("plain.so", True), ("elsewhere.so", True), ("gone.so", False), ("text.so", False)]
    text = good(stage.cserver(folder, "module", "list", "-c", conf))
    assert "broken: there is no such file" in text and "broken: not a shared object" in text
    done = stage.cserver(folder, "module", "list", "-c", "none.ini")
    assert done.returncode == 1 and "none.ini" in done.stderr


# ---- --dev -------------------------------------------------------------------------------------

def test_dev_tells_what_is_wrong(stage, folder):
    so = compile_to(folder, "full", FULL)
    port = free_port()
    done = stage.cserver(folder, "--dev", so, "-l", str(port))
    assert done.returncode == 78 and "module:full" in done.stderr and '"n"' in done.stderr
    done = stage.cserver(folder, "--dev", "none.so", "-l", str(port))
    assert done.returncode == 78 and "none.so: there is no such file" in done.stderr
    done = stage.cserver(folder, "--dev", so, "-l", "nonsense")
    assert done.returncode == 2 and "-l nonsense" in done.stderr
    with Running(stage, folder, "--dev", so, "-l", str(port), "-g", "module:full.n=3") as s:
        assert s.answer(port) == (200, "ok")
        plain = compile_to(folder, "plain", PLAIN)
        done = stage.cserver(folder, "--dev", plain, "-l", str(port))
        assert done.returncode == 1 and f"127.0.0.1:{port} is in use by another program" in done.stderr
        assert "choose an address with -l" in done.stderr


def test_dev_takes_a_rebuilt_module_on_sighup_and_leaves_nothing(stage, folder):
    stage.env["TMPDIR"] = folder
    try:
        so = compile_to(folder, "plain", PLAIN)
        port = free_port()
        with Running(stage, folder, "--dev", so, "-l", f"127.0.0.1:{port}") as s:
            assert s.answer(port) == (200, "ok\n")
            assert [n for n in os.listdir(folder) if n.startswith("cserver-dev-")]
            compile_to(folder, "plain", PLAIN.replace("ok", "new"))
            s.process.send_signal(signal.SIGHUP)
            wait_for(lambda: get(port) == (200, "new\n"), what="the new module does not answer")
            done = stage.cserver(folder, "--dev", so, "-l", f"127.0.0.1:{port}", "-g", "limits.max_uri=4k")
            assert done.returncode == 0 and "-g is for the start: end the server that runs" in done.stderr
            compile_to(folder, "plain", PLAIN.replace('"plain"', '"X"'))
            assert stage.cserver(folder, "--dev", so, "-l", f"127.0.0.1:{port}").returncode == 78
            assert get(port) == (200, "new\n")
            assert " debug " in s.log()
    finally:
        del stage.env["TMPDIR"]
    assert not [n for n in os.listdir(folder) if n.startswith("cserver-dev-")]


def test_new_with_the_name_of_another(stage, folder):
    done = stage.cserver(folder, "module", "new", "hello")
    assert done.returncode == 0
    assert f"hello already, {stage.path('moduledir', 'hello.so')}: `make install` of this one would overwrite" in done.stderr
    done = stage.cserver(folder, "module", "new", "cserverx")
    assert done.returncode == 0 and "warning" not in done.stderr


def test_dev_in_a_folder_with_any_name(stage, folder):
    odd = os.path.join(folder, 'a "${b}" ;c')
    os.mkdir(odd)
    so, port = compile_to(odd, "plain", PLAIN), free_port()
    stage.env["TMPDIR"] = odd
    try:
        with Running(stage, odd, "--dev", so, "-l", str(port)) as s:
            assert s.answer(port) == (200, "ok\n")
            assert good(stage.cserver(folder, "--dev", so, "-l", str(port)))
    finally:
        del stage.env["TMPDIR"]


def test_dev_speaks_to_no_stranger(stage, folder):
    """A folder that others may write to: whoever has made the socket in it is not asked."""
    stage.env["TMPDIR"] = folder
    try:
        so, port = compile_to(folder, "plain", PLAIN), free_port()
        with Running(stage, folder, "--dev", so, "-l", str(port)) as s:
            s.answer(port)
            name, = (n for n in os.listdir(folder) if n.startswith("cserver-dev-"))
        os.mkdir(os.path.join(folder, name))
        os.chmod(os.path.join(folder, name), 0o777)
        with socket.socket(socket.AF_UNIX) as stranger:
            stranger.bind(os.path.join(folder, name, "control"))
            stranger.listen()
            stranger.setblocking(False)
            done = stage.cserver(folder, "--dev", so, "-l", str(port))
            with pytest.raises(BlockingIOError):
                stranger.accept()
        assert done.returncode == 1 and "it is not this user's alone" in done.stderr
    finally:
        del stage.env["TMPDIR"]


def test_dev_of_a_module_without_a_handler(stage, folder):
    """It works on the files of the folder."""
    so = compile_to(folder, "gate", """
        #include <cserver/cserver.h>
        static int access(cs_req *r) { return cs_query(r, "in").p ? CS_DECLINED : 403; }
        CS_MODULE(.name = "gate", .version = "1", .access = access);
    """)
    write(folder, "page.txt", "a page\n")
    os.chmod(folder, 0o755)  # root steps down for its workers
    port = free_port()
    with Running(stage, folder, "--dev", so, "-l", str(port)) as s:
        assert s.answer(port, "/page.txt?in=1") == (200, "a page\n")
        assert s.answer(port, "/page.txt")[0] == 403


def test_dev_on_a_unix_socket(stage, folder):
    so = compile_to(folder, "plain", PLAIN)
    path = os.path.join(folder, "s")
    with Running(stage, folder, "--dev", so, "-l", f"unix:{path}") as s:
        wait_for(lambda: os.path.exists(path) and "ready" in s.log())
        done = subprocess.run(["curl", "-s", "--unix-socket", path, "http://x/"], stdout=subprocess.PIPE, check=True)
        assert done.stdout == b"ok\n"
