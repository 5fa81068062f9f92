"""[reload] probe: the first worker of new settings is asked before they go live, at a reload and at a start."""
import contextlib
import os
import signal
import subprocess

import pytest
import refused
from lib.server import PROGRAM, Server, build_module, title, process_table, wait_for

HELLO = refused.GOOD
SLOW = "[module:slow]\n[route:slow]\nmatch = /slow\nhandler = slow\n"
ODD = """
    #include <cserver/cserver.h>
    #include <signal.h>
    #include <unistd.h>
    static int handler(cs_req *r)
    {
        const cs_str q = cs_info(r)->query;
        if (!q.n) return cs_text(r, 200, "odd");
        if (q.p[0] == 'c') { signal(SIGSEGV, SIG_DFL); raise(SIGSEGV); }
        if (q.p[0] == 'e') _exit(3);
        for (;;) pause();
    }
    CS_MODULE(.name = "odd", .version = "1.0", .help = "Crashes, exits or hangs when it is asked.", .handler = handler);
"""
GET = "GET {} HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture(scope="session")
def odd(tmp_path_factory):
    path = build_module(str(tmp_path_factory.mktemp("odd")), "odd", ODD)
    return f"[module:odd]\nfile = {path}\n[route:odd]\nmatch = /odd\nhandler = odd\n"


def asking(*requests, timeout="50s", conf=HELLO):
    return f"{conf}[reload]\nprobe = {', '.join(requests)}\nprobe_timeout = {timeout}\n"


def rolled_back(s, *words):
    """Asks for a reload, which must not go live; the old workers and settings stay."""
    workers = s.workers()
    done = s.ctl("reload")
    assert done.returncode == 70, done.stdout + done.stderr
    for word in (*words, "generation 1 goes on with the old settings"):
        assert word in done.stderr, done.stderr
    s.log_has("reload failed: ")
    assert set(workers) <= set(s.workers())
    wait_for(lambda: s.workers() == workers, what="the new worker is still there")
    assert s.get("/hello").status == 200
    return done


def asker(s):
    """The pid of the process that asks, while there is one."""
    found = [p for p, entry in process_table().items() if entry[0] == s.pid and title(p).startswith("cserver: probe of")]
    return found[0] if found else None


@contextlib.contextmanager
def asked_slowly(s, conf=HELLO + SLOW):
    """A reload is under way whose first worker is being asked, and takes its time."""
    s.configure(asking("GET /slow?ms=59000 200", conf=conf))
    p = subprocess.Popen([PROGRAM, "-c", s.conf, "-s", "reload"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         text=True)
    wait_for(lambda: asker(s), what="nobody asks")
    p.end = lambda: (*p.communicate(timeout=60), p.returncode)
    yield p
    if p.poll() is None:
        p.kill()
        p.communicate()


def test_good_answers(serve, status):
    s = serve(HELLO)
    s.configure(asking("GET /hello 200", "HEAD http://x/nothing 4xx"), workers=3)
    done = s.ctl("reload")
    assert done.returncode == 0, done.stderr
    steps = ["reading and trying the settings", "3 changes: with new workers", "starting the first new worker",
             "is ready; asking it",
             "answers GET /hello with 200 OK", "answers HEAD http://x/nothing with 404 Not Found",
             "starting 2 more workers", "all 3 new workers are ready", "generation 2 is live with 3 workers"]
    lines = done.stdout.splitlines()
    assert len(lines) == len(steps), lines
    for line, step in zip(lines, steps):
        assert step in line
        s.log_has("reload: " + line)
    assert status(s)["generation"] == 2


def test_without_probe(serve):
    s = serve(HELLO)
    done = s.ctl("reload")
    assert "is ready\nstarting 1 more worker\nall 2 new workers are ready\n" in done.stdout, done.stdout
    assert "asking" not in done.stdout


def test_one_worker(serve):
    s = serve(HELLO, server={"workers": 1})
    s.configure(asking("GET /hello 200"))
    done = s.ctl("reload")
    assert done.returncode == 0 and "more worker" not in done.stdout and "generation 2 is live with 1 worker" in done.stdout


@pytest.mark.parametrize("workers", [1, 3])
def test_wrong_status(serve, status, workers):
    s = serve(HELLO, server={"workers": workers})
    s.configure(asking("GET /hello 200", "GET /hello 503"))
    done = rolled_back(s, "cserver.ini:", "answers GET /hello with 200 OK, not with 503")
    line = next(i for i, t in enumerate(s.read("conf/cserver.ini").splitlines(), 1) if t.startswith("probe ="))
    assert f"cserver.ini:{line}: worker" in done.stderr
    now = status(s)
    assert now["generation"] == 1 and now["reloads_failed"] == 1 and "not with 503" in now["last_reload"]["message"]
    s.configure(asking("GET /hello 200"))
    assert s.ctl("reload").returncode == 0


def test_place_of_each_element(serve):
    s = serve(HELLO)
    s.configure(HELLO + "[reload]\nprobe = GET /hello 200\n    GET /hello 2xx\n    GET /gone 200\n")
    text = s.read("conf/cserver.ini").splitlines()
    rolled_back(s, f"cserver.ini:{text.index('    GET /gone 200') + 1}: worker", "with 404 Not Found, not with 200")


def test_answers_of_old_workers_do_not_count(serve):
    new = HELLO + "[route:new]\nmatch = = /new\nhandler = hello\n"
    s = serve(HELLO)
    s.configure(asking("GET /new 200", conf=new))  # the old ones say 404
    assert s.ctl("reload").returncode == 0
    s.configure(asking("GET /new 200"))  # the old ones say 200
    done = s.ctl("reload")
    assert done.returncode == 70 and "answers GET /new with 404" in done.stderr
    assert s.get("/new").status == 200


def test_host_chooses_the_site(serve):
    sites = """
        [site:a]
        host = a.example
        [site:b]
        host = b.example
        [module:hello]
        [route:b]
        site = b
        match = /only
        handler = hello
    """
    s = serve(sites)
    conf = "\n".join(line.strip() for line in sites.splitlines())
    s.configure(conf + "[reload]\nprobe = GET http://b.example/only 200, GET http://a.example/only 404\n")
    assert s.ctl("reload").returncode == 0


def test_too_late(serve):
    s = serve(HELLO + SLOW)
    s.configure(asking("GET /slow?ms=59000 200", conf=HELLO + SLOW, timeout="300ms"))
    rolled_back(s, "cserver.ini:", "has not answered GET /slow?ms=59000 after 3")


@pytest.mark.parametrize("how,words", [("c", ["SIGSEGV", "odd"]), ("e", ["status 3"])])
def test_dies_of_it(serve, odd, how, words):
    s = serve(HELLO)
    s.configure(asking("GET /odd 200", f"GET /odd?{how} 200", conf=HELLO + odd))
    rolled_back(s, *words, "while it was asked for GET /odd?", "cserver.ini:")


def test_crashes_at_probes_put_nothing_into_quarantine(serve, status, odd):
    s = serve(HELLO + odd)
    for _ in range(4):
        s.configure(asking("GET /odd?c 200", conf=HELLO + odd))
        assert s.ctl("reload").returncode == 70
    assert s.get("/odd").status == 200
    assert not any(m["quarantined"] for m in status(s)["modules"])


def test_hangs(serve, odd):
    s = serve(HELLO)
    s.configure(asking("GET /odd?h 200", conf=HELLO + odd, timeout="300ms"))
    rolled_back(s, "has not answered GET /odd?h")  # and it is killed soon, whatever drain_timeout is
    s.configure(HELLO)
    assert s.ctl("reload").returncode == 0


def test_a_failed_reload_hurries_nobody(serve, odd, status):
    """Its worker, which hangs yet, is none of those two generations that may drain, and is not waited for."""
    s = serve(HELLO + SLOW)
    c = s.connect().send(GET.format("/slow?ms=59000").encode())
    wait_for(lambda: status(s)["connections"] >= 1)
    assert s.ctl("reload").returncode == 0
    s.configure(asking("GET /odd?h 200", conf=HELLO + SLOW + odd, timeout="300ms"))
    done = s.ctl("reload")
    assert done.returncode == 70, done
    s.configure(HELLO + SLOW)
    done = s.ctl("reload")
    assert done.returncode == 0 and "had to end" not in done.stdout, done.stdout
    assert "does not react" not in s.log()
    assert {w["drains"]["why"] for w in status(s)["workers"] if w["generation"] == 3 and "drains" in w} <= {"rollback"}
    c.close()


def test_a_stream_answers_too(serve):
    conf = HELLO + "[module:sse]\n[route:chat]\nmatch = = /chat\nhandler = sse\n"
    s = serve(conf)
    s.configure(asking("GET /chat 200", conf=conf))
    assert s.ctl("reload").returncode == 0


def test_the_asking_process_dies(serve):
    s = serve(HELLO + SLOW)
    with asked_slowly(s) as reload:
        os.kill(asker(s), signal.SIGKILL)
        _, err, code = reload.end()
        assert code == 70 and "was not able to (killed by SIGKILL)" in err, err
    assert s.get("/hello").status == 200


def test_it_has_no_rights(serve, as_root):
    s = serve(HELLO + SLOW, server={"user": "nobody"})
    with asked_slowly(s):
        pid = asker(s)
        wait_for(lambda: "Uid:\t65534\t65534\t65534\t65534" in s.read(f"/proc/{pid}/status"))
        links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
        with open("/proc/net/tcp", encoding="ascii") as f:
            listening = {f"socket:[{line.split()[9]}]" for line in f if line.split()[3] == "0A"}
        assert not listening & set(links)


def test_clients_meet_old_workers_until_it_is_live(serve, status):
    s = serve(HELLO + SLOW)
    old = s.workers()
    with asked_slowly(s):
        assert len(s.workers()) == 3
        for _ in range(30):
            assert s.get("/hello").status == 200
        new = next(w for w in status(s)["workers"] if w["generation"] == 2)
        assert new["pid"] not in old and new["requests"] == 0 and new["connections"] == 1


def test_reopen_meanwhile(serve):
    s = serve(HELLO + SLOW)
    with asked_slowly(s) as reload:
        os.rename(s.access_log, s.path("rotated.log"))
        assert s.ctl("reopen").returncode == 0
        assert os.path.exists(s.access_log) and reload.poll() is None


def test_stop_meanwhile(serve):
    s = serve(HELLO + SLOW)
    with asked_slowly(s) as reload:
        assert s.stop() == 0
        _, err, code = reload.end()
        assert code == 1 and "the server is stopping" in err and "goes on" not in err, err


def test_another_reload_meanwhile(serve):
    s = serve(HELLO + SLOW)
    s.configure(asking("GET /slow?ms=1500 200", conf=HELLO + SLOW))
    both = [subprocess.Popen([PROGRAM, "-c", s.conf, "-s", "reload"], stdout=subprocess.PIPE, text=True)
            for _ in range(2)]
    said = sorted(p.communicate(timeout=60)[0] for p in both)
    assert all(p.returncode == 0 for p in both), said
    assert "generation 3 is live" in said[0] + said[1]


@pytest.mark.parametrize("probe,words", [
    ("GET /hello", "has not three words"), ("GET hello 200", "is no target"), ("GET /hello 200, GET / 99", '"99" is no'),
    (", ".join(["GET / 200"] * 17), "at most 16")])
def test_bad_settings(serve, probe, words):
    s = serve(HELLO)
    s.configure(asking(probe))
    done = s.ctl("reload")
    assert done.returncode == 78 and words in done.stderr and "cserver.ini:" in done.stderr, done.stderr
    assert s.run("-c", s.conf, "-t").returncode == 78


# ---- At a start -----------------------------------------------------------------------------------

def test_start_is_asked(serve, status):
    s = serve(asking("GET /hello 200", "GET /no 404"))
    assert s.get("/hello").status == 200 and status(s)["generation"] == 1 and status(s)["state"] == "running"
    log = s.log()
    assert log.index("answers GET /no with 404") < log.index("info master") + len(log) and "ready: 2 workers" in log
    assert log.index("answers GET /no with 404") < log.index("ready: 2 workers")


def test_start_fails(serve):
    s = serve(asking("GET /hello 503"), start=False)
    done = s.run("-c", s.conf)
    assert done.returncode == 70
    assert "cserver.ini:" in done.stderr and "answers GET /hello with 200 OK, not with 503" in done.stderr
    assert "without having served anybody" in done.stderr
    assert not os.path.exists(s.pid_file) and not os.path.exists(s.control)
    s.configure(asking("GET /hello 503"), error_log=s.error_log)
    assert "not with 503" in s.run("-c", s.conf).stderr
    assert "not with 503" in s.read("error.log")


def test_start_fails_by_a_crash(serve, odd):
    s = serve(asking("GET /odd?c 200", conf=HELLO + odd), start=False)
    done = s.run("-c", s.conf)
    assert done.returncode == 70
    assert "start failed" in done.stderr and "SIGSEGV" in done.stderr and "while it was asked for GET /odd?c" in done.stderr


def test_start_in_the_background(serve):
    s = serve(asking("GET /hello 503"), server={"error_log": "error.log"}, start=False)
    done = s.run("-c", s.conf, "-D", "-p", s.folder)
    assert done.returncode == 70 and "[reload] probe" in done.stderr, done.stderr
    s.configure(asking("GET /hello 200"))
    assert s.run("-c", s.conf, "-D", "-p", s.folder).returncode == 0
    assert s.get("/hello").status == 200


def test_no_client_is_served_before(serve, status):
    s = serve(asking("GET /slow?ms=59000 200", conf=HELLO + SLOW), ready=False)
    wait_for(lambda: asker(s), what="nobody asks")
    with s.connect() as c:
        c.send(GET.format("/hello").encode())
        now = status(s)
        assert now["state"] == "starting" and not os.path.exists(s.pid_file)
        assert c.is_silent(0.2) and sum(w["connections"] for w in now["workers"]) == 1
        assert s.stop() == 0
        assert c.eof()


def test_client_waits_for_a_slow_start(serve):
    s = serve(asking("GET /slow?ms=700 200", conf=HELLO + SLOW), ready=False)
    for _ in iter(s.accepts, True):
        assert s.process.poll() is None
    assert s.get("/hello").status == 200
    s.log_has("ready: 2 workers")


def test_reload_during_a_start(serve):
    s = serve(asking("GET /slow?ms=1500 200", conf=HELLO + SLOW), ready=False)
    wait_for(lambda: asker(s), what="nobody asks")
    done = s.ctl("reload")
    assert done.returncode == 0 and "generation 2 is live" in done.stdout, done.stderr
    assert "the start is under way" in done.stdout


def test_a_new_program_is_asked(serve, status):
    s = serve(HELLO)
    s.configure(asking("GET /hello 200"))
    done = s.ctl("upgrade")
    assert done.returncode == 0 and "answers GET /hello with 200 OK" in done.stdout, done.stdout + done.stderr
    assert s.get("/hello").status == 200
    old = s.follow()
    assert old.wait(60) == 0
    s.configure(asking("GET /hello 503"))
    done = s.ctl("upgrade")
    assert done.returncode == 70 and "answers GET /hello with 200 OK, not with 503" in done.stderr, done.stderr
    assert s.get("/hello").status == 200 and status(s)["pid"] == s.pid


def test_it_is_not_asked_by_a_test(serve):
    s = serve(asking("GET /hello 503"), start=False)
    assert s.run("-c", s.conf, "-t").returncode == 0


def test_restarted_workers_are_not_asked(serve):
    s = serve(asking("GET /hello 200"))
    old = s.workers()
    os.kill(old[0], signal.SIGKILL)
    wait_for(lambda: len(s.workers()) == 2 and old[0] not in s.workers())
    assert s.log().count("answers GET /hello") == 1
