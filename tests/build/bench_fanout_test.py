"""`make bench-fanout` measures, and says no where it has to."""
import os
import re
import subprocess

import pytest
from lib.server import SOURCE


@pytest.mark.parametrize("limit,status", [("1000", 0), ("0.001", 1)])
def test_the_limit_decides(limit, status):
    argv = [os.path.join(SOURCE, "tests/bench/fanout"), "--rounds", "2", "--delays", "1,2,5", "--limit", limit]
    done = subprocess.run(argv, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert done.returncode == status, done.stdout
    figures = re.findall(r"slowest alone +([\d.]+) ms +all three +([\d.]+) ms +([\d.]+) ", done.stdout)
    assert len(figures) == 2, done.stdout
    for alone, together, ratio in figures:
        assert float(alone) >= 5 and abs(float(together) / float(alone) - float(ratio)) < 0.01
