"""make bench-accept: its pieces fit together, and its page has only figures that it can fill in."""
import os
import re
import subprocess
import sys

from lib.server import BUILD, SOURCE

BENCH = os.path.join(SOURCE, "tests", "bench")
PAGE = os.path.join(SOURCE, "docs", "accept.md")
sys.path.insert(0, BENCH)
import accept_report  # noqa: E402
import contenders  # noqa: E402
import grid  # noqa: E402
import plot  # noqa: E402


def test_one_server_is_measured_and_its_counters_agree(folder):
    """It ends with an error where the server's own counters say otherwise than the tally."""
    argv = [sys.executable, os.path.join(BENCH, "accept"), "--quick", "--servers", "turn", "--workers", "2"]
    done = subprocess.run(argv, cwd=folder, env={**os.environ, "CSERVER_BUILD": BUILD, "TMPDIR": folder}, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    row = re.search(r"### Idle, short connections, 2 workers\n(?:.*\n){3}(\| cserver turn .*)", done.stdout)
    cells = [c.strip() for c in row[1].strip("|").split("|")]
    assert len(cells) == 9 and "–" not in cells and cells[-1] == "0", row[1]


def page():
    with open(PAGE, encoding="utf-8") as f:
        return f.read()


def test_every_figure_of_the_page_can_be_measured():
    cells = {c.name() for n in (1, 2, 4, 8) for c in grid.grid(n)}
    found = accept_report.FIGURE.findall(page())
    assert len(found) > 10 and len(found) == page().count("<!--=")
    for _, cell, server, field, _ in found:
        assert cell in cells and server in contenders.ALL and field in accept_report.COLUMNS, (cell, server, field)


def test_no_line_of_the_page_begins_with_a_figure():
    """Markdown would take it for a block of HTML."""
    assert not re.search(r"^ *<!--=", page(), re.M)


def test_figures_are_filled_in_once_and_again():
    run = {"jain": 0.987, "first50": 1234.0, "errors": {}}
    figures = {"cells": {"4 idle short turn": [run]}}
    text = "x <!--= 4 idle short: turn jain -->–<!--/--> y <!--= 4 idle short: turn first50 --><!--/-->, <!--= 4 a: b rate -->7<!--/-->"
    once = accept_report.fill_in(text, figures)
    assert re.sub(r"<!--.*?-->", "", once) == "x 0.99 y 1.2 ms, –"
    assert accept_report.fill_in(once, figures) == once


def test_a_plot_without_figures_is_still_one():
    assert plot.draw({"servers": ["turn", "node-rr"], "cells": {}}).count("not measured") == 2 * len(plot.PANELS)
