"""Every reload is judged right, whatever is wrong and whatever went before it (P35). More of it: tests/soak/verdicts.py."""
from lib.server import wait_for
from lib.verdicts import BAD, Rounds


def test_fifty_in_turn(serve, status, tmp_path_factory):
    s = serve(start=False)
    rounds = Rounds(s, str(tmp_path_factory.mktemp("verdicts")))
    s.start()
    wait_for(lambda: status(s)["state"] == "running", what="not all workers are ready")
    assert rounds.go(50) == []
    assert 25 >= len(BAD)  # each of them was there
    now = status(s)
    assert (now["reloads"], now["reloads_failed"]) == (25, 25)
    wait_for(lambda: len(s.workers()) == 2, what="workers are left over")
