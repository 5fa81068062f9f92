"""configure and the Makefile: what is missing is named at once, wrong arguments are refused, and a tree whose
folders have blanks in their names builds, in and out of tree, each time only what has changed."""
import os
import shutil
import subprocess

import pytest
from lib.server import LIMIT, SOURCE

ENV = {k: v for k, v in os.environ.items()
       if k not in ("MAKEFLAGS", "MFLAGS", "CC", "CFLAGS", "CPPFLAGS", "LDFLAGS", "LIBS")}


def call(argv, cwd, **env):
    return subprocess.run(argv, cwd=cwd, env={**ENV, **env}, text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=5 * LIMIT, check=False)


def configure(folder, *args, tree=SOURCE, **env):
    return call([os.path.join(tree, "configure"), *args], folder, **env)


def test_all_missing_packages_in_one_message(folder):
    done = configure(folder, PKG_CONFIG_LIBDIR="/nonexistent", PKG_CONFIG_PATH="")
    assert done.returncode == 1
    assert "libpcre2-8 (libpcre2-dev)" in done.stdout and "inih (libinih-dev)" in done.stdout
    assert "libcares (libc-ares-dev)" in done.stdout
    if shutil.which("apt-get"):
        assert "apt-get install --no-install-recommends libpcre2-dev libinih-dev libc-ares-dev" in done.stdout
    assert not os.path.exists(os.path.join(folder, "Makefile"))


@pytest.mark.parametrize("argument, words", [
    ("--bogus", "unknown option --bogus"),
    ("bogus", "unknown option bogus"),
    ("--with-bogus", "unknown option --with-bogus"),
    ("BOGUS=1", "unknown variable BOGUS"),
    ("--prefix=here", "--prefix must be an absolute path"),
    ("--prefix", "--prefix needs a folder"),
    ("--libdir=/a\"b", "do not work in a folder name"),
    ("--enable-sanitizers=adress", 'not "adress"'),
    ("--enable-sanitizers=address,thread", "do not go together"),
    ("--install-deps=all", "takes check or bench"),
    ("CC=/nonexistent/cc", "CC=/nonexistent/cc cannot compile"),
])
def test_refuses(folder, argument, words):
    done = configure(folder, argument)
    assert done.returncode == 1 and words in done.stdout, done.stdout
    assert not os.path.exists(os.path.join(folder, "Makefile"))


def test_install_deps_leaves_a_complete_machine_alone(folder):
    """Nothing is missing (the build of this test proves it), so no package tool may be called."""
    tools = os.path.join(folder, "tools")
    os.mkdir(tools)
    for name in ("apt-get", "sudo"):
        path = os.path.join(tools, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(f"#!/bin/sh\necho {name} >>'{folder}/called'\nexit 1\n")
        os.chmod(path, 0o755)
    done = configure(folder, "--install-deps", PATH=tools + ":" + ENV["PATH"])
    assert done.returncode == 0, done.stdout
    assert not os.path.exists(os.path.join(folder, "called"))


def test_config_status_repeats_the_arguments(folder):
    args = ["--prefix=/opt/it's not/so simple".replace("'", ""), "CFLAGS=-O1 -DX='a b'", "--sysconfdir", "/etc"]
    assert configure(folder, *args).returncode == 0
    names = ("Makefile", "config.h", "config.flags", "config.status")
    before = [read(folder, n) for n in names]
    for n in names[:-1]:
        os.remove(os.path.join(folder, n))
    done = call(["./config.status"], folder, CFLAGS="-O0", CC="false")
    assert done.returncode == 0, done.stdout
    assert [read(folder, n) for n in names] == before
    assert '"/opt/its not/so simple/sbin"' in before[1] and "-DX='a b'" in before[0]


def test_libraries_of_single_modules(folder):
    """Without its library a module is left out, or does with less; the program is linked with neither."""
    done = configure(folder, "--without-sqlite", "--without-crypt")
    assert done.returncode == 0 and "left out: the module sqlite" in done.stdout
    modules = call(["make", "print-module_files"], folder).stdout.split()
    assert "modules/auth.so" in modules and "modules/sqlite.so" not in modules
    assert "AUTH_CRYPT" not in call(["make", "-n", "modules/auth.so"], folder).stdout
    done = configure(folder, "--with-sqlite", "--with-crypt")
    assert done.returncode == 0, done.stdout
    assert "modules/sqlite.so" in call(["make", "print-module_files"], folder).stdout.split()
    assert "-DAUTH_CRYPT" in call(["make", "-n", "modules/auth.so"], folder).stdout
    assert "sqlite" not in call(["make", "print-libs"], folder).stdout


# ---- A small tree -------------------------------------------------------------------------------

MAIN = '#include "config.h"\n#include "base/two.h"\n\nint main(void)\n{\n    return two() - 2;\n}\n'
TWO = '#include "base/two.h"\n\nint two(void)\n{\n    return 2;\n}\n'
MODULE = "int x(void);\nint x(void)\n{\n    return 1;\n}\n"


def read(folder, name):
    with open(os.path.join(folder, name), encoding="utf-8") as f:
        return f.read()


def write(folder, name, text):
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


@pytest.fixture
def tree(folder):
    """A source tree with one file of each kind, in a folder with blanks."""
    path = os.path.join(folder, "a source", "tree")
    os.makedirs(path)
    for name in ("configure", "Makefile.in"):
        shutil.copy(os.path.join(SOURCE, name), path)
    write(path, "src/main.c", MAIN)
    write(path, "src/base/two.h", "int two(void);\n")
    write(path, "src/base/two.c", TWO)
    write(path, "src/base/more.c", "int more;\n")
    write(path, "modules/x/x.c", MODULE)
    return path


def make(where, *args):
    done = call(["make", *args], where)
    assert done.returncode == 0, done.stdout
    return done.stdout


def built(text):
    """Names of the lines "  CC   src/x.c"."""
    return sorted(line.split()[1] for line in text.splitlines() if line.startswith("  ") and len(line.split()) == 2)


ALL = ["cserver", "modules/x.so", "modules/x/x.c", "obj/libcserver.a", "src/base/more.c", "src/base/two.c",
       "src/main.c"]


@pytest.mark.parametrize("out_of_tree", [False, True])
def test_builds_only_what_has_changed(tree, folder, out_of_tree):
    where = os.path.join(folder, "a build  folder") if out_of_tree else tree
    os.makedirs(where, exist_ok=True)
    assert configure(where, tree=tree).returncode == 0
    assert built(make(where, "-j2")) == ALL
    assert call(["./cserver"], where).returncode == 0
    assert os.path.exists(os.path.join(where, "modules/x.so"))
    assert built(make(where)) == []

    write(tree, "src/base/two.h", "/* changed */\nint two(void);\n")
    assert built(make(where)) == ["cserver", "obj/libcserver.a", "src/base/two.c", "src/main.c"]

    os.remove(os.path.join(tree, "src/base/more.c"))
    make(where)
    assert "more.o" not in call(["ar", "t", "obj/libcserver.a"], where).stdout

    write(tree, "Makefile.in", read(tree, "Makefile.in") + "\nanswer := 42\n")
    make(where)
    assert "answer := 42" in read(where, "Makefile")

    assert call(["./config.status", "CFLAGS=-O1"], where).returncode == 0
    assert built(make(where)) == [n for n in ALL if n != "src/base/more.c"]
    make(where, "distclean")
    left = set(os.listdir(where)) - {"modules", "src", "configure", "Makefile.in"}
    assert not left


def test_the_program_is_hardened_and_exports_nothing(tree):
    assert configure(tree, tree=tree).returncode == 0
    make(tree)
    if not shutil.which("readelf"):
        pytest.skip("readelf is not there")
    dynamic = call(["readelf", "-d", "cserver"], tree).stdout
    assert "PIE" in dynamic and "NOW" in dynamic
    assert "GNU_RELRO" in call(["readelf", "-lW", "cserver"], tree).stdout
    assert " two" not in call(["readelf", "-W", "--dyn-syms", "cserver"], tree).stdout
