"""make install: the right files in the right places below DESTDIR, a server that runs from there, settings that stay."""
import glob
import os
import pwd
import re
import shutil
import signal
import subprocess

import pytest
from lib.server import BUILD, LIMIT, SOURCE, free_port, make_value, wait_for

ENV = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS")}
MODULES = sorted(os.path.basename(os.path.dirname(d)) for d in glob.glob(os.path.join(SOURCE, "modules/*/*.c")))


# Where other programs look for what they want to know of the server.
SYSTEM = {"unitdir": "cserver.service", "unitdir ": "cserver.socket", "sysusersdir": "cserver.conf",
          "tmpfilesdir": "cserver.conf", "completiondir": "cserver", "logrotatedir": "cserver"}


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
        return os.path.join(self.dest + make_value(variable.strip()), *names)

    def filled(self, variable, name):
        """The text of an installed file, with the folders of the stage instead of those it will run in."""
        with open(self.path(variable, name), encoding="utf-8") as f:
            text = f.read()
        for folder in ("sbindir", "confdir", "docdir"):
            text = text.replace(make_value(folder), self.dest + make_value(folder))
        return text


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
    for variable, name in SYSTEM.items():
        with open(stage.path(variable, name), encoding="utf-8") as f:
            assert not re.search("@[a-z]+@", f.read()), name


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


def test_a_changed_logrotate_file_stays(stage):
    path = stage.path("logrotatedir", "cserver")
    with open(path, "a", encoding="utf-8") as f:
        f.write("# mine\n")
    assert "kept your" in make("install", f"DESTDIR={stage.dest}")
    assert "kept" in make("uninstall", f"DESTDIR={stage.dest}")
    assert os.listdir(os.path.dirname(path)) == ["cserver"]
    with open(path, encoding="utf-8") as f:
        assert f.read().endswith("# mine\n")


# ---- What other programs make of it ----------------------------------------------------------------

def needs(tool):
    return pytest.mark.skipif(not shutil.which(tool), reason=f"{tool} is not there")


def run(*args, **options):
    done = subprocess.run(args, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=LIMIT, check=False, **options)
    assert done.returncode == 0, done.stdout
    return done.stdout


@needs("systemd-analyze")
def test_systemd_takes_the_units(stage, folder):
    stage_without_blanks = os.path.join(folder, "stage")
    os.rename(stage.dest, stage_without_blanks)
    stage.dest = stage_without_blanks
    units = []
    for name in ("cserver.service", "cserver.socket"):
        units.append(os.path.join(folder, name))
        with open(units[-1], "w", encoding="utf-8") as f:
            f.write(stage.filled("unitdir", name))
    said = run("systemd-analyze", "verify", "--man=no", *units, env={**ENV, "SYSTEMD_LOG_LEVEL": "notice"})
    assert not [line for line in said.splitlines() if "cserver" in line], said


@needs("systemd-analyze")
def test_the_service_is_confined(stage):
    """By the tool's own measure, from 0 (safe) to 10."""
    said = run("systemd-analyze", "security", "--offline=true", "--threshold=30", "--no-pager",
               stage.path("unitdir", "cserver.service"))
    assert "Overall exposure level" in said


@needs("systemd-sysusers")
@needs("systemd-tmpfiles")
def test_user_and_folders(stage, folder):
    if os.geteuid() != 0:
        pytest.skip("needs root")
    root = os.path.join(folder, "root")
    os.makedirs(root + "/etc")
    run("systemd-sysusers", f"--root={root}", stage.path("sysusersdir", "cserver.conf"))
    with open(root + "/etc/passwd", encoding="utf-8") as f:
        user = next(line for line in f if line.startswith("cserver:")).strip().split(":")
    assert user[5] == make_value("localstatedir") + "/lib/cserver" and user[6].endswith("nologin")
    run("systemd-tmpfiles", f"--root={root}", "--create", stage.path("tmpfilesdir", "cserver.conf"))
    for name in (make_value("runstatedir"), make_value("localstatedir") + "/log", make_value("localstatedir") + "/lib"):
        there = os.stat(f"{root}{name}/cserver")
        assert there.st_uid == int(user[2]) and there.st_mode & 0o022 == 0


@needs("logrotate")
def test_logrotate_rotates(stage, serve):
    """The installed file, with the folders of a server that runs; after it, both write to new files."""
    s = serve("[module:hello]\n[route:hello]\nmatch = /\nhandler = hello\n", start=False)
    os.mkdir(s.path("logs"), 0o755)
    s.configure(open(s.conf, encoding="utf-8").read().split("[listen:main]")[1].split("\n", 2)[2],
                error_log=s.path("logs/error.log"), access_log=s.path("logs/access.log"))
    s.start()
    with open(stage.path("logrotatedir", "cserver"), encoding="utf-8") as f:
        text = f.read()
    me = pwd.getpwuid(os.geteuid()).pw_name
    text = text.replace(make_value("localstatedir") + "/log/cserver", s.path("logs"))
    os.symlink(BUILD, s.path("sbin"))  # whose name has no blank
    text = text.replace(make_value("sbindir"), s.path("sbin"))
    text = text.replace(make_value("confdir") + "/cserver.ini", s.conf)
    text = text.replace("su cserver cserver", f"su {me} {me}").replace("0640 cserver cserver", f"0640 {me} {me}")
    conf = s.write("logrotate.conf", text)
    os.chmod(conf, 0o644)
    os.chmod(s.folder, 0o755)
    assert s.get("/").status == 200
    wait_for(lambda: "GET / " in s.read("logs/access.log"))
    run("logrotate", "--force", "--state", s.path("state"), conf)
    assert s.get("/").status == 200
    wait_for(lambda: "GET / " in s.read("logs/access.log"))
    assert s.read("logs/access.log").count("\n") == s.read("logs/access.log.1").count("\n") == 1
    assert "opened again" in s.read("logs/error.log") and "starting" in s.read("logs/error.log.1")
    assert {n for n in os.listdir(s.path("logs"))} == {"access.log", "access.log.1", "error.log", "error.log.1"}


@needs("bash")
def test_completion(stage):
    """As bash would ask for it."""
    script = """
        . "$1"
        shift
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        _cserver "$1"
        printf '%s\\n' "${COMPREPLY[@]}"
    """

    def complete(*words):
        program = stage.path("sbindir", "cserver")
        return run("bash", "-c", script, "-", stage.path("completiondir", "cserver"), program, *words).split()

    assert complete("-s", "re") == ["reload", "reopen"]
    assert "--config" in complete("--co") and "-c" in complete("-")
    assert complete("exp") == ["explain"] and "--client" in complete("explain", "--")
    assert complete("m") == ["msg", "module"]
    assert complete("msg", "t") == ["tail", "topics"]
    assert "--to" in complete("msg", "send", "x", "--")
    assert "--output" in complete("module", "build", "--")
    assert sorted(complete("-c", "/etc/passw")) == sorted(glob.glob("/etc/passw*"))


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
