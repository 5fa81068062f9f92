"""A reload makes the same server as a cold start with the same settings (P31). All pairs: tests/soak/same_as_restart.py."""
import pytest
from lib.pairs import SETTINGS, Same

NAMES = list(SETTINGS)
PAIRS = list(zip(NAMES, NAMES[1:] + NAMES[:1])) + [
    ("hooks", "little"), ("another edition of the file", "hooks"), ("a socket for each worker", "a unix socket"),
    ("the same hooks, other settings", "more sites"), ("logs in JSON", "the same hooks, other settings")]


@pytest.mark.parametrize("before,after", PAIRS, ids=[f"{a} - {b}" for a, b in PAIRS])
def test_reload_is_a_restart(serve, tmp_path_factory, before, after):
    s = serve(www={"page.txt": "a page\n"}, start=False)
    s.has_www = False
    same = Same(s, str(tmp_path_factory.getbasetemp() / "editions"))
    same.configure(before)
    s.start()
    assert same.differences(after) == []


def test_the_test_sees_hooks(serve, tmp_path_factory):
    """Each kind of call is among what is compared."""
    s = serve(start=False)
    same = Same(s, str(tmp_path_factory.getbasetemp() / "editions"))
    same.start("the same hooks, other settings")
    seen = {hook for hook, *_ in same.cold["the same hooks, other settings"]["hooks"]}
    assert seen == {"config", "worker_start", "primary_start", "access", "message", "log"}
    assert "hook=zone_init" in s.log()
