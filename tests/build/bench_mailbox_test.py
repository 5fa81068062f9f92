"""make bench-mailbox: its pieces fit together, nothing that could not be measured counts as passed, and its page has only
figures that it can fill in."""
import json
import os
import re
import subprocess
import sys

import pytest
from lib.server import BUILD, SOURCE

BENCH = os.path.join(SOURCE, "tests", "bench")
PAGE = os.path.join(SOURCE, "docs", "mailbox.md")
WIRE = "obj/tests/bench/mailbox/wire"
sys.path[:0] = [os.path.join(BENCH, "mailbox"), BENCH]
import accept_report  # noqa: E402
import mail_plot  # noqa: E402
import mail_report  # noqa: E402
import targets  # noqa: E402
import tutorial  # noqa: E402
import ways  # noqa: E402


@pytest.fixture(scope="session")
def wire():
    made = subprocess.run(["make", "--no-print-directory", "-s", WIRE], cwd=BUILD, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=300, check=False)
    assert made.returncode == 0, made.stdout
    return os.path.join(BUILD, WIRE)


def run(folder, *options):
    env = {**os.environ, "CSERVER_BUILD": BUILD, "TMPDIR": str(folder)}
    return subprocess.run([sys.executable, os.path.join(BENCH, "mailbox", "run"), *options], cwd=folder, env=env,
                          text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120, check=False)


@pytest.mark.parametrize("way", ["mail", "channel", "pipe"])
@pytest.mark.parametrize("how", ["flood", "busy"])
def test_each_way_brings_every_message_to_three_receivers(wire, way, how):
    """65536 bytes: a pipe takes them in several pieces. The numbers in the messages are checked by the program."""
    for size in ("64", "65536"):
        for seconds in ("0.05", "2", "20"):  # on a busy machine few messages go in the first of them
            done = subprocess.run([wire, way, how, size, "3", seconds], text=True, stdout=subprocess.PIPE, timeout=60, check=True)
            found = json.loads(done.stdout)
            assert found["errors"] == 0
            if found["messages"] > 1:
                break
        assert found["messages"] > 1 and found["cpu"] > 0, found
        assert (found["p50"] > 0) == (how == "busy")


def test_ways_are_measured_and_the_figures_kept(wire, folder):
    kept = os.path.join(folder, "kept.json")
    done = run(folder, "--quick", "--seconds", "0.1", "--only", "ways", "--ways", "mail,bare", "--save", kept)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^\| cserver mailbox \| [\d,]+ \| [\d,]+ \| [\d,]+ \| [\d.]+ ", done.stdout, re.M), done.stdout
    with open(kept, encoding="utf-8") as f:
        figures = json.load(f)
    assert len(figures["cells"]["flood 64 1 mail"]) == 1 and figures["cells"]["asleep 64 1 bare"][0]["p50"] > 0
    again = run(folder, "--load", kept)
    assert again.returncode == 0 and again.stdout == done.stdout


def figures(node=True, free=2.0):
    """What a run on a good machine would say."""
    good = {"rate": 5e6, "cpu": 0.3, "calls": 0.01, "sleeps": 0.01, "p50": 30.0, "p99": 90.0, "turn": 50.0, "errors": 0,
            "free": free}
    keys = [k for k in ways.WAYS if node or k not in ways.NODE]
    cells = {f"{c.name()} {k}": [dict(good, rate=5e4) if k in ways.NODE else dict(good) for _ in range(3)]
             for c in ways.FLOODS + ways.PACED for k in keys if c.takes(k)}
    for one in cells[f"{mail_report.ASLEEP} bare"]:
        one["p50"] = 25.0
    cells[f"{mail_report.SERVER} pace"] = [{"rate": 980.0, "p50": 60, "p99": 300, "most": 500, "errors": 0}]
    return {"machine": "m", "asked": list(ways.WAYS), "versions": {k: "1" for k in [*keys, "pace"]}, "rounds": 3,
            "seconds": 1, "paced": 3, "web": 6, "wrong": [], "cells": cells}


def test_a_good_run_passes():
    text, good = targets.verdict(figures())
    assert good and "FAIL" not in text and text.count("| pass |") == 15, text


def test_without_node_its_rows_are_missing_and_fail():
    f = figures(node=False)
    text, good = targets.verdict(f)
    assert not good and text.count("| missing |") == 2 and text.count("**FAIL**") == 2, text
    assert "| Node, to workers, JSON | missing |" in mail_report.text(f) and "Missing: Node." in mail_report.text(f)


@pytest.mark.parametrize("free", [1.2, None])
def test_latency_counts_only_with_free_cpus(free):
    text, good = targets.verdict(figures(free=free))
    assert not good and text.count("**not judged**") == 2 and text.count("| pass |") == 13, text


def test_what_is_too_slow_fails():
    for cell, field, bad in (("flood 64 1 mail", "rate", 1.9e6), ("flood 64 3 mail", "rate", 0.9e6),
                             ("flood 64 1 mail", "calls", 0.06), ("busy 64 1 mail", "p50", 51.0),
                             ("asleep 64 1 mail", "p50", 36.0), ("asleep 64 1 mail", "p99", 201.0),
                             ("asleep 64 1 mail", "calls", 1.01), ("flood 64 1 up-json", "rate", 6e5),
                             ("server 64 8 pace", "p99", 2000), ("flood 64 8 pipe", "errors", 1)):
        f = figures()
        for one in f["cells"][cell]:
            one[field] = bad
        text, good = targets.verdict(f)
        assert not good and text.count("**FAIL**") == 1, (cell, field, text)


def test_the_count_of_a_server_may_only_be_more_by_what_was_under_way(monkeypatch):
    monkeypatch.setattr(tutorial.time, "sleep", lambda _: None)

    class Counted:
        title, counts = "it", True

        def __init__(self, *said):
            said = list(said)
            self.counted = lambda: said.pop(0) if len(said) > 1 else said[0]

    runs = [{"requests": 1000}, {"requests": 500}]
    most = 1500 + 3 * tutorial.CONNECTIONS
    assert all(tutorial.disagreement(Counted(n), runs) for n in (-1, 1499, most + 1))
    assert not any(tutorial.disagreement(Counted(n), runs) for n in (1500, most))
    assert tutorial.disagreement(Counted(1400, 1500), runs) is None  # it had not finished


def page():
    with open(PAGE, encoding="utf-8") as f:
        return f.read()


def test_every_figure_of_the_page_can_be_measured():
    cells = {c.name() for c in ways.FLOODS + ways.PACED} | {mail_report.SERVER, "tutorial"}
    found = accept_report.FIGURE.findall(page())
    assert len(found) == page().count("<!--=")
    for _, cell, way, field, _ in found:
        assert cell in cells and way in {*ways.WAYS, *tutorial.SERVERS, "pace"}, (cell, way)
        assert field in ("rate", "cpu", "calls", "sleeps", "p50", "p99", "most", "turn"), field


def test_the_measured_part_can_be_replaced():
    old = f"# x\n<!--= flood 64 1: mail rate -->–<!--/-->\n{mail_report.BEGIN}\nold\n{mail_report.END}\nend\n"
    assert page().count(mail_report.BEGIN) == page().count(mail_report.END) == 1
    new = mail_report.page(old, "new", figures())
    assert new == old.replace("old", "new").replace("–", "5,000,000")


def test_a_plot_without_figures_is_still_one():
    assert mail_plot.draw({"cells": {}}).count("not measured") == len(ways.WAYS) * len(mail_plot.PANELS)
    assert "not measured" in mail_plot.draw(figures())  # the bare eventfd is no way to send many
