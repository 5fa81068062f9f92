"""make bench-scan: every way to scan is measured, and the wide ones are worth having."""
import os
import subprocess

import pytest

from lib.server import BUILD

SCAN = "obj/tests/bench/scan"


@pytest.fixture(scope="module")
def program():
    made = subprocess.run(["make", "--no-print-directory", "-s", SCAN], cwd=BUILD, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)
    assert made.returncode == 0, made.stdout
    return SCAN


def rows(program, *files):
    done = subprocess.run([program, *files], cwd=BUILD, text=True, stdout=subprocess.PIPE, timeout=120, check=True)
    table = [[c.strip() for c in line.strip("|").split("|")] for line in done.stdout.splitlines()[2:]]
    return {(head, way): int(count) for head, _, way, count, *_ in table}


def test_what_is_wider_takes_fewer_instructions(program, folder):
    """Counted step by step, not timed. -1 would say that nothing was counted."""
    own = f"{folder}/head"
    with open(own, "wb") as f:
        f.write(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"abcdefgh" * 64 + b"\r\n\r\n")
    got = rows(program, own)
    heads, ways = {h for h, _ in got}, {w for _, w in got}
    assert heads == {"small", "tool", "browser", own} and "plain" in ways
    assert all(got[h, w] > 0 for h in heads for w in ways), got
    for head in ("browser", own):
        assert all(got[head, "plain"] > got[head, w] for w in ways - {"plain"}), got


def test_the_environment_may_ask_for_a_way(program):
    def taken(asked):
        env = {**os.environ, "CSERVER_SCAN": asked}
        return subprocess.run([program, "--way"], cwd=BUILD, env=env, text=True, stdout=subprocess.PIPE, timeout=60,
                              check=True).stdout.strip()

    widest = taken("none of them")
    assert taken("plain") == "plain"
    assert taken(widest) == widest


def test_what_is_no_head_is_refused(program, folder):
    with open(f"{folder}/head", "wb") as f:
        f.write(b"GET / HTTP/1.1\nHost: a\n\n")
    done = subprocess.run([program, f"{folder}/head"], cwd=BUILD, text=True, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, timeout=120, check=False)
    assert done.returncode == 2 and "a line ends with LF" in done.stderr
