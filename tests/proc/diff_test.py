"""cserver diff: what a reload would change, and nothing changes."""
import json
import os
import signal
import socket
import threading

import pytest
from lib import crash
from lib.server import build_module, is_alive, wait_for

HELLO = "[module:hello]\n[route:hello]\nmatch = /hello\nhandler = hello\n"
KEY = """
    #include <cserver/cserver.h>
    typedef struct { cs_str key; } settings;
    static const cs_directive directives[] = {
        CS_STRING(settings, key, "none", 0, 100, CS_SECRET, "A secret."), CS_END};
    static int handler(cs_req *r) { return cs_text(r, 200, "%s"); }
    CS_MODULE(.name = "key", .version = "1.0", .help = "Has a secret.", .directives = directives,
              .conf_size = sizeof(settings), .handler = handler);
"""
CRASH = """
    #include <cserver/cserver.h>
    #include <signal.h>
    static int check(cs_conf *c, const void *conf) { (void)conf; (void)c; raise(SIGSEGV); return CS_OK; }
    CS_MODULE(.name = "crash", .version = "1.0", .help = "Crashes.", .on_config = check);
"""


def diff(s, *args, code=0):
    done = s.run("-c", s.conf, "diff", *args)
    assert done.returncode == code, done.stdout + done.stderr
    return done


def changes(s, *args):
    answer = json.loads(diff(s, "--json", *args).stdout)
    return answer, [(c["need"], c["section"], c.get("key"), c.get("before"), c.get("after")) for c in answer["changes"]]


def test_no_difference(serve):
    s = serve(HELLO)
    assert diff(s).stdout == "no difference; a reload starts new workers\n"
    answer, found = changes(s)
    assert found == [] and answer["differs"] is False and answer["reload"] == "new workers"
    diff(s, "--exit-code")


def test_differences(serve, status):
    s = serve(HELLO)
    before, workers = status(s), s.workers()
    s.configure(HELLO + "greeting = Hi\n[limits]\nmax_body = 2m\n", max_workers=30)
    text = diff(s).stdout
    at = s.read("conf/cserver.ini").split("\n").index("max_body = 2m") + 1
    assert f"run-time     [limits] max_body: 1m -> 2m ({s.conf}:{at})\n" in text
    assert "new workers  [route:hello] hello.greeting: (not set) -> Hi (" in text
    assert "restart      [server] max_workers: auto -> 30 (" in text
    assert text.endswith("a reload starts new workers\n")
    answer, found = changes(s)
    assert found == [("restart", "server", "max_workers", "auto", "30"),
                     ("run-time", "limits", "max_body", "1m", "2m"),
                     ("new workers", "route:hello", "hello.greeting", None, "Hi")]
    assert (answer["generation"], answer["revision"], answer["differs"]) == (1, 0, True)
    diff(s, "--exit-code", code=1)
    assert diff(s, "-q").stdout == ""
    after = status(s)
    assert s.workers() == workers
    assert all(before[k] == after[k] for k in ("generation", "revision", "reloads", "reloads_failed"))
    assert "Hello" in s.get("/hello").text


def test_it_is_what_the_reload_does(serve, status):
    """What diff says is what then happens, and afterwards there is no difference."""
    s = serve(HELLO)
    steps = ["[limits]\nmax_body = 2m\n", "[limits]\nmax_body = 2m\n[site:default]\nroot = @DIR@/www\n",
             "[limits]\nmax_body = 2m\nmax_uri = 1k\n[site:default]\nroot = @DIR@/www\n",
             "[site:default]\nroot = @DIR@/www\n", ""]
    os.makedirs(s.path("www"))
    for more in steps:
        s.configure(HELLO + more)
        answer, found = changes(s)
        assert found
        old = s.workers()
        done = s.ctl("reload", "--wait=drained")
        assert done.returncode == 0, done.stderr
        assert (s.workers() == old) == (answer["reload"] == "run-time")
        assert changes(s)[1] == []
    assert status(s)["generation"] == 3


def test_another_file(serve):
    """Relative paths in it begin where those of the server's own file do."""
    s = serve(HELLO + "[site:default]\nroot = www\n", www={"a": "a"})
    text = s.read("conf/cserver.ini")
    s.write("elsewhere/deep/other.ini", text.replace("workers = 2", "workers = 3"))
    answer, found = changes(s, "elsewhere/deep/other.ini")
    assert found == [("new workers", "server", "workers", "2", "3")]
    assert answer["changes"][0]["at"] == s.path("elsewhere/deep/other.ini") + ":2"
    done = diff(s, "nowhere.ini", code=78)
    assert "nowhere.ini" in done.stderr and "cannot be read" in done.stderr


def test_refused(serve, status):
    s = serve(HELLO)
    s.configure(HELLO + "[limits]\nmax_bodi = 1\n")
    done = diff(s, code=78)
    assert "did you mean \"max_body\"?" in done.stderr and "cserver.ini:" in done.stderr
    answer = json.loads(diff(s, "--json", code=78).stdout)
    assert not answer["ok"] and answer["code"] == 78 and "max_bodi" in answer["report"]
    assert status(s)["reloads_failed"] == 0


def test_what_only_a_trial_shows(serve, busy):
    s = serve(HELLO)
    s.configure(HELLO + f"[listen:a]\naddress = 127.0.0.1:{s.port}\n[listen:b]\naddress = 127.0.0.1:{busy}\n")
    assert "in use" in diff(s, code=78).stderr


def test_a_module_that_crashes_when_asked(serve, tmp_path):
    so = build_module(str(tmp_path), "crash", CRASH)
    s = serve(HELLO, env=crash.QUIET)
    s.configure(HELLO + f"[module:crash]\nfile = {so}\n")
    assert "was killed by SIGSEGV" in diff(s, code=78).stderr
    assert s.get("/hello").status == 200


def test_secrets_are_not_told(serve, tmp_path):
    so = build_module(str(tmp_path), "key", KEY % "key")
    conf = f"[module:key]\nfile = {so}\nkey = %s\n"
    s = serve(conf % "sesame")
    s.configure(conf % "abracadabra")
    text = diff(s).stdout + diff(s, "--json").stdout
    assert "[module:key] key: *** -> *** (" in text
    assert s.ctl("reload").returncode == 0
    text += s.log()
    assert "sesame" not in text and "abracadabra" not in text


def test_a_module_with_other_content(serve, tmp_path):
    """The file has the same name; only new workers can run it."""
    so = build_module(str(tmp_path), "key", KEY % "one")
    conf = f"[module:key]\nfile = {so}\n[route:key]\nmatch = /key\nhandler = key\n"
    s = serve(conf)
    os.unlink(so)
    build_module(str(tmp_path), "key", KEY % "two")
    assert "new workers  [module:key] key.so: the file has changed\n" in diff(s).stdout
    s.configure(conf + "[limits]\nmax_body = 2m\n")
    assert s.ctl("reload").returncode == 0
    assert s.get("/key").text == "two"
    assert diff(s).stdout.startswith("no difference")


def test_another_folder_of_the_same_name(serve):
    """As those do who switch a symbolic link from one release to the next."""
    s = serve(HELLO + "[site:default]\nroot = @DIR@/current\n", start=False)
    s.write("one/x", "one")
    s.write("two/x", "two")
    os.symlink("one", s.path("current"))
    s.start()
    assert s.get("/x").text == "one"
    os.symlink("two", s.path("next"))
    os.rename(s.path("next"), s.path("current"))
    assert f"new workers  [root] {s.path('current')}: another folder has this name now\n" in diff(s).stdout
    s.configure(HELLO + "[site:default]\nroot = @DIR@/current\n[limits]\nmax_body = 2m\n")
    assert s.ctl("reload").returncode == 0
    assert s.get("/x").text == "two"


def test_nobody_to_compare_with(serve):
    s = serve(HELLO, start=False)
    assert "no server is running" in diff(s, code=7).stderr


@pytest.mark.parametrize("args, word", [(["a", "b"], "diff takes one FILE"), (["-s", "reload"], "-s does not go"),
                                        (["--new-workers"], "goes with -s reload")])
def test_usage(serve, args, word):
    s = serve(HELLO, start=False)
    assert word in diff(s, *args, code=2).stderr


def test_requests_that_are_wrong(serve, control):
    c = control(serve(HELLO))
    for line in ('diff {"file":"conf/cserver.ini"}', 'diff {"file":""}', 'diff {"file":7}', r'diff {"file":"/a\u0000b"}',
                 r'diff {"file":"/\q"}'):
        assert c.say(line)["code"] == 2, line
    assert c.say("diff")["code"] == 0


def test_the_master_waits_for_no_file(serve, status):
    """A fifo that nobody writes to holds up the child that reads it, and it alone; and not for ever."""
    s = serve(HELLO)
    os.mkfifo(s.path("fifo"))
    found = []
    t = threading.Thread(target=lambda: found.append(s.run("-c", s.conf, "diff", "fifo")))
    t.start()
    wait_for(lambda: s.workers("cserver: probe"))
    assert status(s)["state"] == "running"
    assert s.ctl("reload").returncode == 0
    with open(s.path("fifo"), "w", encoding="utf-8") as f:
        f.write("[limits]\nmax_bodi = 1\n")
    t.join()
    assert found[0].returncode == 78 and "max_bodi" in found[0].stderr


def ask(s, line):
    c = socket.socket(socket.AF_UNIX)
    c.connect(s.control)
    c.sendall(line.encode() + b"\n")
    return c


def test_clients_that_go_away(serve, control):
    """The probe goes with its client; there are never many at once."""
    s = serve(HELLO)
    os.mkfifo(s.path("fifo"))
    line = f'diff {{"file":"{s.path("fifo")}"}}'
    held = [ask(s, line) for _ in range(4)]
    wait_for(lambda: len(s.workers("cserver: probe")) == 4)
    answer = control(s).say("diff")
    assert answer["code"] == 1 and "try again" in answer["message"]
    probes = s.workers("cserver: probe")
    for c in held:
        c.close()
    wait_for(lambda: not any(is_alive(p) for p in probes))
    assert diff(s).stdout.startswith("no difference")


def test_the_server_stops_meanwhile(serve):
    s = serve(HELLO)
    os.mkfifo(s.path("fifo"))
    c = ask(s, f'diff {{"file":"{s.path("fifo")}"}}')
    wait_for(lambda: s.workers("cserver: probe"))
    assert s.stop(signal.SIGTERM) == 0
    assert "stopping" in c.recv(4096).decode()
    c.close()
