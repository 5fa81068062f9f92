"""msg send --wait=applied of a message that kills: it is not applied, and who died at it is named."""
import json
import signal
import threading

import pytest
from lib import crash
from lib.server import wait_for


@pytest.fixture
def crashing(serve, tmp_path):
    so = crash.build(str(tmp_path))

    def start(**server):
        return serve(crash.SETTINGS.format(so=so), server={"quarantine": 0, **server}, env=crash.QUIET)
    return start


def send(s, *args):
    return s.run("msg", "-c", s.conf, "send", *args, "--wait=applied", "--timeout=60s")


def test_a_message_that_kills_one(crashing):
    s = crashing()
    pid = s.workers()[0]
    done = send(s, "crash.do", "segv", "--to", "worker:1")
    assert done.returncode == 1, done
    assert done.stderr == ("cserver: number 1 of crash.do is applied by the others, but "
                           f"worker 1 (pid {pid}) was killed by SIGSEGV at it\n")
    line = wait_for(lambda: [x for x in crash.lines(s, "hook on_message") if "worker 1" in x])[0]
    assert 'from="the command line"' in line
    assert s.get("/hello").status == 200


def test_a_message_that_kills_all(crashing):
    s = crashing()
    pids = s.workers()
    done = send(s, "crash.do", "exit", "--json")
    answer = json.loads(done.stdout)
    assert done.returncode == 1 and answer["state"] == "died" and answer["number"] == 1, answer
    assert sorted(d["pid"] for d in answer["died"] if d["process"] != "primary") == sorted(pids)
    assert all(d["at_it"] and "exit" in d["how"] for d in answer["died"])


def test_a_message_that_kills_the_primary(crashing):
    s = crashing()
    pid = s.primary()
    done = send(s, "crash.do", "segv", "--to", "primary")
    assert done.returncode == 1 and f"the primary (pid {pid}) was killed by SIGSEGV at it" in done.stderr, done
    wait_for(lambda: s.primary() and s.primary() != pid)
    now = json.loads(s.ctl("status", "--json").stdout)
    assert (now["crashes"], now["primary_crashes"]) == (0, 1)
    assert "crashes: 0 of workers, 1 of the primary" in s.ctl("status").stdout


def test_one_that_dies_before_it(crashing):
    """It has never seen the message, and its successor begins with the next one."""
    s = crashing()
    pid = s.workers()[0]
    s.signal(signal.SIGSTOP, pid)
    results = []
    t = threading.Thread(target=lambda: results.append(send(s, "crash.do", "nothing of this kind")))
    t.start()

    def is_sent():
        topics = json.loads(s.run("msg", "-c", s.conf, "topics", "--json").stdout)["topics"]
        return [x for x in topics if x["name"] == "crash.do" and x["published"] == 1]
    wait_for(is_sent)
    s.signal(signal.SIGKILL, pid)
    t.join()
    assert results[0].returncode == 0, results
    assert results[0].stdout == ("number 1 of crash.do is applied, but "
                                 f"worker 1 (pid {pid}) was killed by SIGKILL before it\n")


def test_a_worker_that_is_killed_after_it(crashing):
    s = crashing()
    assert send(s, "crash.do", "nothing of this kind").stdout == "number 1 of crash.do is applied\n"
    s.signal(signal.SIGKILL, s.workers()[0])
    assert send(s, "crash.do", "nothing of this kind").stdout == "number 2 of crash.do is applied\n"
