"""The switch of fibers is assembly, which no build tries in more than one way: here it is compiled by each compiler with
each protection of branches, for arm64 too (which qemu runs), and as what takes its place elsewhere, and does all its cases."""
import os
import platform
import re
import shutil
import subprocess

import pytest
from lib.server import LIMIT, SOURCE

FILES = [os.path.join(SOURCE, f) for f in ("tests/build/fiber_main.c", "src/os/fiber.c", "src/os/stack.c")]
FLAGS = ["-std=c11", "-D_GNU_SOURCE", "-DCS_NO_SHORT_NAMES", "-Wall", "-Wextra", "-Werror", "-fPIE", "-g",
         *(f"-I{SOURCE}/{d}" for d in ("src", "src/api", "tests"))]
UCONTEXT = "-DCSERVER_FIBER_UCONTEXT"
ASAN = "-fsanitize=address,undefined -fno-sanitize-recover=all -O1"
ARM = "aarch64-linux-gnu"
INSTALL = "./configure --install-deps=check brings it"

# ASan says so once of every program that takes ucontext.
EXPECTED = re.compile(r"==\d+==WARNING: ASan doesn't fully support makecontext/swapcontext functions.*\n")


def call(argv, **env):
    done = subprocess.run(argv, env={**os.environ, **env}, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=LIMIT, check=False)
    assert done.returncode == 0, " ".join(argv) + "\n" + done.stdout + done.stderr
    return done


def run_cases(folder, compiler, flags, *runner):
    """Compiled and run, without a word but the last."""
    program = os.path.join(folder, "fiber")
    call([*compiler, *FLAGS, *flags.split(), "-pie", "-o", program, *FILES])
    for second_stack in range(2 if "address" in flags else 1):
        done = call([*runner, program], ASAN_OPTIONS=f"detect_stack_use_after_return={second_stack}:detect_leaks=1")
        assert EXPECTED.sub("", done.stderr) == ""
        way = re.fullmatch(r"[1-9]\d* cases, by (\w+)\n", done.stdout)
        assert way, done.stdout
    return way[1]


def expected_way(flags):
    return "ucontext" if UCONTEXT in flags or platform.machine() not in ("x86_64", "aarch64") else "assembly"


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("flags", ["-O0", "-O2", f"-O0 {UCONTEXT}", f"-O2 {UCONTEXT}", ASAN, f"{ASAN} {UCONTEXT}"])
def test_here(folder, compiler, flags):
    if not shutil.which(compiler):
        pytest.skip(f"{compiler} is not there: {INSTALL}")
    assert run_cases(folder, [compiler], flags) == expected_way(flags)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="a protection of x86")
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("protection, words", [("none", set()), ("branch", {"IBT"}), ("full", {"IBT", "SHSTK"})])
def test_protection(folder, compiler, protection, words):
    """What the object says of itself stays what was asked for: assembly of its own would not say it."""
    if not shutil.which(compiler):
        pytest.skip(f"{compiler} is not there: {INSTALL}")
    flags = f"-fcf-protection={protection}"
    assert run_cases(folder, [compiler], f"-O2 {flags}") == "assembly"
    made = os.path.join(folder, "fiber.o")
    call([compiler, *FLAGS, flags, "-c", "-o", made, FILES[1]])
    notes = call(["readelf", "-n", made]).stdout
    assert {w for w in ("IBT", "SHSTK") if re.search(rf"x86 feature:.*\b{w}\b", notes)} == words, notes
    assert ".note.GNU-stack" in call(["readelf", "-SW", made]).stdout


@pytest.mark.parametrize("compiler", [f"{ARM}-gcc", "clang"])
@pytest.mark.parametrize("flags", ["-O0", "-O2 -mbranch-protection=none", "-O2 -mbranch-protection=standard",
                                   f"-O2 {UCONTEXT}"])
def test_arm64(folder, compiler, flags):
    for tool in (f"{ARM}-gcc", "qemu-aarch64", compiler):
        if not shutil.which(tool):
            pytest.skip(f"{tool} is not there: {INSTALL}")
    argv = [compiler, f"--target={ARM}"] if compiler == "clang" else [compiler]
    at = f"/usr/{ARM}"
    runner = ["qemu-aarch64", *(["-L", at] if os.path.isdir(at) else [])]
    way = run_cases(folder, argv, flags, *runner)
    assert way == ("ucontext" if UCONTEXT in flags else "assembly")
