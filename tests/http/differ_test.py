"""Odd requests by the thousand: the server does what the reading of tests/differ says. `make differ` asks other servers, too."""
import os
import random
import re
import subprocess
import sys
import tempfile

import pytest
from lib.server import SOURCE

sys.path.insert(0, os.path.join(SOURCE, "tests/differ"))
import ask
import inputs
import peers
import reading

RUN = os.path.join(SOURCE, "tests/differ/run")
SEED, NUMBER = 9, 4000


@pytest.fixture(scope="module")
def mirror():
    with tempfile.TemporaryDirectory(prefix="cs-") as folder:
        os.chmod(folder, 0o755)
        server = peers.Cserver(folder)
        server.start()
        yield server
        server.stop()


def expected(data):
    return [(200, i.request if i.request[1] != b"*" else None) if i.request else (i.status, None)
            for i in reading.read(data) if i.request or i.status]


def test_the_server_reads_as_it_should(mirror):
    data = inputs.inputs(SEED, NUMBER)
    wrong = [(d, ask.understood(a), expected(d)) for d, a in zip(data, ask.ask(mirror.address, data))
             if ask.understood(a) != expected(d)]
    assert not wrong, f"{len(wrong)} of {NUMBER}, such as {min(wrong, key=lambda w: len(w[0]))}"


def test_however_the_bytes_are_cut(mirror):
    r = random.Random(SEED)
    for data in inputs.inputs(SEED + 1, 100):
        with mirror.server.connect(mirror.address) as c:
            at = 0
            try:
                while at < len(data):
                    end = at + r.choice([1, 1, 2, 5, 20, 100])
                    c.send(data[at:end])
                    at = end
                c.half_close()
            except OSError:
                pass
            assert ask.understood(c.rest()) == expected(data), data


def test_the_inputs_are_worth_it():
    """Each rule of the reading is met, and about as many requests are taken as refused."""
    items = [i for d in inputs.inputs(SEED, NUMBER) for i in reading.read(d)]
    rules = {i.rule for i in items}
    with open(os.path.join(SOURCE, "tests/differ/reading.py"), encoding="utf-8") as f:
        text = f.read()
    missing = set(re.findall(r'Refused\(\d+, "([^"]+)"', text)) - rules
    assert not missing
    taken = sum(i.request is not None for i in items)
    assert 0.3 < taken / len(items) < 0.7


def test_the_page_has_the_classes():
    table = subprocess.run([sys.executable, RUN, "--table"], stdout=subprocess.PIPE, text=True, check=True).stdout
    with open(os.path.join(SOURCE, "docs/differ.md"), encoding="utf-8") as f:
        assert table in f.read(), "tests/differ/run --table"
