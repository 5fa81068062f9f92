"""A reload makes the same server as a cold start with the same settings (P31). All pairs: tests/soak/same_as_restart.py."""
from lib.pairs import SETTINGS, Same

NAMES = list(SETTINGS)
MORE = ["hooks", "little", "another edition of the file", "hooks", "a socket for each worker", "a unix socket",
        "the same hooks, other settings", "more sites", "logs in JSON", "the same hooks, other settings", "little"]


def test_reloads_are_restarts(serve, tmp_path_factory):
    s = serve(www={"page.txt": "a page\n"}, start=False)
    s.has_www = False
    same = Same(s, str(tmp_path_factory.mktemp("editions")))
    for name in NAMES:
        same.start(name)
        s.stop()
    hooks = {hook for hook, *_ in same.cold["the same hooks, other settings"]["hooks"]}
    assert hooks == {"config", "worker_start", "primary_start", "access", "message", "log"}
    assert "hook=zone_init" in s.log()
    same.configure(NAMES[-1])
    s.start()
    walk = [NAMES[-1], *NAMES, *MORE]
    for before, after in zip(walk, walk[1:]):
        faults = same.warm(after)
        assert not faults, f"{before} - {after}: {faults}"
