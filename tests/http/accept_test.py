"""The accept turn as clients and the kernel see it: who wakes for a connection, and who gets it."""
import re

HELLO = """
[module:hello]
[route:hello]
match = /hello
handler = hello
"""
VISITS = 200


def sleeps(pids):
    """How often these processes have gone to sleep, by the kernel's count: it knows of those too that it woke for
    nothing, without their epoll_wait returning."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/status", encoding="ascii") as f:
            total += int(re.search(r"^voluntary_ctxt_switches:\s*(\d+)", f.read(), re.M).group(1))
    return total


def test_a_connection_wakes_the_holder_and_the_next(serve):
    s = serve(HELLO, server={"workers": 8})
    workers = s.workers()
    assert len(workers) == 8
    before = sleeps(workers)
    for _ in range(VISITS):
        assert s.get("/hello").status == 200
    # Who accepts, who gets the turn after it, and the end of the connection. All eight would be a herd.
    assert sleeps(workers) - before < 5 * VISITS
