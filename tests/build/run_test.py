"""tests/run: what fails once more, alone, has failed; what does not is told of."""
import importlib.machinery
import importlib.util
import os

import pytest
from lib.server import SOURCE

ONCE = "if [ -e {0} ]; then echo '3 passed in 0.1s'; else touch {0}; echo '{1}, 2 passed in 0.1s'; exit 1; fi"


@pytest.fixture
def runner(tmp_path):
    loader = importlib.machinery.SourceFileLoader("tests_run", os.path.join(SOURCE, "tests", "run"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("tests_run", loader))
    loader.exec_module(module)
    module.LOGS = str(tmp_path)
    return module


def job(runner, name, script, judge=None):
    return runner.Job(name, ["sh", "-c", script], judge or runner.judge_pytest)


def test_once(runner, tmp_path, capsys):
    total = runner.run_all([job(runner, "a", ONCE.format(tmp_path / "mark", "1 failed")), job(runner, "b", "echo '4 passed in 1.0s'")], 2)
    assert (total.passed, total.failed) == (7, 0)
    assert total.unsteady == f"  unsteady: a: 1 failed beside other tests and passed alone, see {tmp_path}/a.log.first\n"
    assert "1 failed" in (tmp_path / "a.log.first").read_text() and "FAIL  a" in capsys.readouterr().out


@pytest.mark.parametrize("script", [
    "echo '1 failed, 2 passed in 0.1s'; exit 1", ONCE.format("@MARK@", "3 failed"),
    ONCE.format("@MARK@", "1 failed").replace("; exit", "; echo ERROR: AddressSanitizer: heap-use-after-free; exit")],
    ids=["twice", "more than two", "a sanitizer"])
def test_what_has_failed(runner, tmp_path, script):
    total = runner.run_all([job(runner, "a", script.replace("@MARK@", str(tmp_path / "mark")))], 1)
    assert total.failed and not total.unsteady


def test_only_scenarios(runner, tmp_path):
    total = runner.run_all([job(runner, "a", ONCE.format(tmp_path / "mark", "1 failed"), runner.judge_plain)], 1)
    assert (total.passed, total.failed) == (0, 1)


def test_many_are_no_accident(runner, tmp_path):
    total = runner.run_all([job(runner, str(i), ONCE.format(tmp_path / f"mark{i}", "1 failed")) for i in range(4)], 2)
    assert total.failed == 4 and not total.unsteady
