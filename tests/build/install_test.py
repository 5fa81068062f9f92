"""make install: the right files in the right places below DESTDIR, a server that runs from there, settings that stay."""
import glob
import os
import shutil
import signal
import subprocess

import pytest
from lib.server import BUILD, LIMIT, SOURCE, free_port, make_value, wait_for

ENV = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS")}
MODULES = sorted(os.path.basename(os.path.dirname(d)) for d in glob.glob(os.path.join(SOURCE, "modules/*/*.c")))


def make(*args):
    done = subprocess.run(["make", "--no-print-directory", *args], cwd=BUILD, env=ENV, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert done.returncode == 0, done.stdout
    return done.stdout


class Stage:
    def __init__(self, folder):
        self.dest = os.path.join(folder, "a stage")
        self.said = make("install", f"DESTDIR={self.dest}")

    def path(self, variable, *names):
        return os.path.join(self.dest + make_value(variable), *names)


@pytest.fixture
def stage(folder):
    return Stage(folder)


def files(folder):
    return {os.path.relpath(os.path.join(where, n), folder) for where, _, names in os.walk(folder) for n in names}


def test_files(stage):
    assert os.access(stage.path("sbindir", "cserver"), os.X_OK)
    assert {"cserver.h", "test.h"} <= files(stage.path("includedir", "cserver"))
    assert {"libcstest.a", "pkgconfig/cserver.pc", "pkgconfig/cserver-test.pc"} <= files(stage.path("libdir"))
    assert files(stage.path("moduledir")) == {m + ".so" for m in MODULES}
    assert files(stage.path("datadir", "cserver", "www")) == files(os.path.join(SOURCE, "conf/www"))
    assert {"README.md", "LICENSE", "CHANGELOG.md"} <= files(stage.path("docdir"))
    assert files(stage.path("confdir")) == {"cserver.ini"}


def test_settings_that_are_there_stay(stage):
    ini = stage.path("confdir", "cserver.ini")
    with open(ini, encoding="utf-8") as f:
        sample = f.read()
    assert "conf/www" not in sample
    with open(ini, "w", encoding="utf-8") as f:
        f.write("; mine\n")
    assert "kept your" in make("install", f"DESTDIR={stage.dest}")
    with open(ini, encoding="utf-8") as f:
        assert f.read() == "; mine\n"
    with open(ini + ".new", encoding="utf-8") as f:
        assert f.read() == sample
    make("uninstall", f"DESTDIR={stage.dest}")
    assert files(stage.dest) == {os.path.relpath(ini, stage.dest)}


def test_pkg_config_finds_the_header(stage):
    env = {**ENV, "PKG_CONFIG_LIBDIR": stage.path("libdir", "pkgconfig")}

    def ask(*args):
        return subprocess.run(["pkg-config", *args, "cserver"], env=env, text=True, check=True,
                              stdout=subprocess.PIPE).stdout.strip()

    assert ask("--modversion") == make_value("version")
    assert ask("--variable=moduledir") == make_value("moduledir")
    assert ask("--variable=abi").count(".") == 1
    assert make_value("includedir").split()[-1] in ask("--cflags")
    assert ask("--variable=testlib") == make_value("libdir") + "/libcstest.a"


def test_a_staged_server_runs_as_a_plain_user(stage, folder):
    """From where it lies, with its own settings, modules and site; root steps down for it."""
    plain = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
    own = os.path.join(folder, "own")
    subprocess.run(["cp", "-R", stage.dest, own], check=True)
    if plain:
        subprocess.run(["chown", "-R", "65534:65534", own], check=True)
        os.chmod(folder, 0o755)
    port = free_port()
    conf = os.path.join(own + make_value("confdir"), "cserver.ini")
    program = os.path.join(own + make_value("sbindir"), "cserver")
    url = f"http://127.0.0.1:{port}/"
    log_path = os.path.join(folder, "log")
    with open(log_path, "wb") as log:
        server = subprocess.Popen([program, "-c", conf, "-g", f"listen:main.address=127.0.0.1:{port}"],
                                  cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log, **plain)
    try:
        def page():
            with open(log_path, encoding="utf-8", errors="replace") as f:
                assert server.poll() is None, f.read()
            done = subprocess.run(["curl", "-sf", url], stdout=subprocess.PIPE, check=False)
            return done.stdout

        assert shutil.which("curl")
        with open(os.path.join(SOURCE, "conf/www/index.html"), "rb") as f:
            assert wait_for(page, LIMIT, "the staged server does not answer") == f.read()
    finally:
        if server.poll() is None:
            server.send_signal(signal.SIGTERM)
        try:
            code = server.wait(LIMIT)
        except subprocess.TimeoutExpired:
            server.kill()
            raise
    assert code == 0
