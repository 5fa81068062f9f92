"""Who the processes are and what they may do: nothing that they do not need."""
import os
import pwd
import random
import re
import shutil
import socket
import subprocess

import pytest
from lib.server import LIMIT, PROGRAM, build_module, is_alive, wait_for

HELLO = """
[module:hello]
[route:hello]
match = /hello
handler = hello
"""
# Answers with its /proc/self/status; its check of the settings refuses to be made by root, or with a capability.
RIGHTS = """
    #include <cserver/cserver.h>
    #include <errno.h>
    #include <fcntl.h>
    #include <string.h>
    #include <unistd.h>

    static size_t look(char *out, size_t n)
    {
        int fd = open("/proc/self/status", O_RDONLY);
        ssize_t got = read(fd, out, n - 1);
        close(fd);
        out[got > 0 ? got : 0] = 0;
        return strlen(out);
    }

    static int on_config(cs_conf *c, const void *conf)
    {
        char text[8192];
        (void)conf;
        look(text, sizeof text);
        if (!strstr(text, "CapEff:\\t0000000000000000") || !strstr(text, "CapBnd:\\t0000000000000000"))
            return cs_conf_error(c, "file", "the check has capabilities");
        return getuid() == 0 ? cs_conf_error(c, "file", "the check is root") : CS_OK;
    }

    static int handler(cs_req *r)
    {
        char text[8192];
        look(text, sizeof text);
        if (setuid(0) == 0 || seteuid(0) == 0 || setgid(0) == 0)
            return cs_text(r, 500, "is root again");
        return cs_text(r, 200, text);
    }
    static int primary_start(cs_proc *p) { (void)p; return CS_OK; }
    CS_MODULE(.name = "rights", .version = "1.0", .help = "Tells what it may do.", .on_config = on_config,
              .handler = handler, .primary_start = primary_start);
"""


@pytest.fixture(scope="session")
def rights(tmp_path_factory):
    so = build_module(str(tmp_path_factory.mktemp("rights")), "rights", RIGHTS)
    return f"[module:rights]\nfile = {so}\n[route:rights]\nmatch = /rights\nhandler = rights\n" + HELLO


def fields(text):
    return {line.split(":", 1)[0]: line.split(":", 1)[1].split() for line in text.splitlines() if ":" in line}


def status_of(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as f:
        return fields(f.read())


def caps(pid, *names):
    found = status_of(pid)
    return [int(found[n][0], 16) for n in names or ("CapInh", "CapPrm", "CapEff", "CapAmb")]


def is_bare(pid, user):
    """One that is being born has what the master has, for a moment."""
    uid = str(pwd.getpwnam(user).pw_uid)
    wait_for(lambda: caps(pid) == [0, 0, 0, 0], what=f"process {pid} keeps rights: {status_of(pid)}")
    found = status_of(pid)
    assert found["NoNewPrivs"] == ["1"]
    assert set(found["Uid"]) == {uid}, found
    assert "0" not in found["Gid"] + found["Groups"], found


def give_to_nobody(s):
    for folder, _, names in os.walk(s.folder):
        for name in [folder, *(os.path.join(folder, n) for n in names)]:
            shutil.chown(name, "nobody", "nogroup")


def nobody(*more):
    return ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", *more]


def with_caps(*names):
    words = ",".join("+" + n for n in names)
    return nobody(f"--inh-caps=-all,{words}", f"--ambient-caps=-all,{words}")


def run_as(wrap, s, *args):
    return subprocess.run([*wrap, PROGRAM, "-c", s.conf, *args], capture_output=True, text=True, timeout=LIMIT,
                          check=False, stdin=subprocess.DEVNULL)


def low_port():
    """One that only the privileged may have, free right now."""
    first = int(open("/proc/sys/net/ipv4/ip_unprivileged_port_start").read())
    for _ in range(200):
        port = random.SystemRandom().randint(500, 1000)
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port < first:
            return port
        break
    pytest.skip("every user may have low ports here")


# ---- Started by root ----------------------------------------------------------------------------

def everybody(s):
    return [*s.workers(), s.primary()]


def test_nothing_is_kept(serve, as_root, rights, new_workers):
    """Not by the first workers, not by their successors, not by those of a reload; nor by the primary and the probe."""
    s = serve(rights, server={"user": "nobody"})
    wait_for(s.primary)
    for pid in everybody(s):
        is_bare(pid, "nobody")
        assert caps(pid, "CapBnd") == [0]
    old = s.workers()
    assert s.ctl("reload").returncode == 0
    new_workers(s, old, 2)
    wait_for(s.primary)
    os.kill(s.workers()[0], 9)
    wait_for(lambda: len(s.workers()) == 2)
    for pid in everybody(s):
        is_bare(pid, "nobody")
    answer = s.get("/rights")
    assert answer.status == 200, answer
    assert fields(answer.text)["CapPrm"] == ["0000000000000000"]
    master = status_of(s.pid)
    assert master["NoNewPrivs"] == ["1"] and set(master["Uid"]) == {"0"}
    assert s.run("-c", s.conf, "-t").returncode == 0


def test_inheritable_capabilities_go_too(serve, as_root, rights):
    """What root's shell hands on, and the change of user alone would leave."""
    s = serve(rights, server={"user": "nobody"}, start=False)
    s.wrap = ["setpriv", "--inh-caps=+net_raw,+sys_admin"]
    if subprocess.run([*s.wrap, "true"], stderr=subprocess.DEVNULL, check=False).returncode:
        pytest.skip("root has not got these capabilities here")
    s.start()
    assert caps(s.pid, "CapInh") != [0]
    for pid in s.workers():
        is_bare(pid, "nobody")


@pytest.mark.parametrize("how", ["start", "-t"])
def test_root_that_may_not_change_its_user(serve, as_root, how):
    """As in containers that take capabilities away."""
    s = serve(HELLO, server={"user": "nobody"}, start=False)
    done = run_as(["setpriv", "--bounding-set=-setuid,-setgid"], s, *(["-t"] if how == "-t" else []))
    assert done.returncode == 78, done.stderr
    assert re.search(r"cserver\.ini:\d+:\d+: error: cannot become the user nobody: .*CAP_SETUID", done.stderr), done.stderr


# ---- Root as the workers' user --------------------------------------------------------------------

REFUSED = r"cserver\.ini:\d+:\d+: error: user = root: .*allow_root = on"


@pytest.mark.parametrize("args", [[], ["-t"]])
def test_root_is_refused(serve, args):
    """The same for root and for a plain user."""
    s = serve(HELLO, server={"user": "root"}, start=False)
    os.chmod(s.folder, 0o755)
    done = s.run("-c", s.conf, *args)
    assert done.returncode == 78
    assert re.search(REFUSED, done.stderr), done.stderr
    if os.geteuid() == 0 and args:
        plain = run_as(nobody(), s, "-t")
        assert plain.returncode == 78 and re.search(REFUSED, plain.stderr), plain.stderr


def test_root_is_refused_at_a_reload(serve, as_root, status):
    s = serve(HELLO, server={"user": "nobody"})
    workers = s.workers()
    s.configure(HELLO, user="root")
    done = s.ctl("reload")
    assert done.returncode == 78
    assert re.search(REFUSED, done.stderr + done.stdout)
    assert status(s)["generation"] == 1 and s.workers() == workers


def test_root_that_is_allowed(serve, as_root):
    s = serve(HELLO, server={"user": "root", "allow_root": "on"})
    for pid in s.workers():
        found = status_of(pid)
        assert set(found["Uid"]) == {"0"} and found["NoNewPrivs"] == ["1"]
        assert caps(pid, "CapEff") == caps(s.pid, "CapEff")
    done = s.run("-c", s.conf, "-t")
    assert done.returncode == 0
    assert "warning: the workers are root (allow_root = on)" in done.stderr


# ---- Started by a plain user ----------------------------------------------------------------------

LOW = HELLO + """
[listen:main]
address = 127.0.0.1:@PORT@
[listen:low]
address = 127.0.0.1:%d
"""


def test_plain_user_with_low_ports(serve, as_root):
    """The master keeps the right to open low ports, for later reloads, and nothing else; nobody else has it."""
    port, later = low_port(), low_port()
    s = serve(LOW % port, start=False)
    give_to_nobody(s)
    s.wrap = with_caps("net_bind_service", "net_raw")
    if subprocess.run([*s.wrap, "true"], stderr=subprocess.DEVNULL, check=False).returncode:
        pytest.skip("these capabilities cannot be given here")
    s.start()
    ports = 1 << 10
    assert caps(s.pid) == [ports, ports, ports, ports]
    for pid in s.workers():
        is_bare(pid, "nobody")
    assert s.exchange(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n", address=("127.0.0.1", port)).status == 200
    s.configure(LOW % later)
    done = s.ctl("reload")
    assert done.returncode == 0, done.stderr
    assert s.exchange(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n", address=("127.0.0.1", later)).status == 200
    for pid in s.workers():
        is_bare(pid, "nobody")


def test_plain_user_cannot_be_another(serve, as_root):
    s = serve(HELLO, server={"user": "www-data"}, start=False)
    give_to_nobody(s)
    s.wrap = nobody()
    s.start()
    assert re.search(r"warning: user = www-data is for a start by root", s.log())
    for pid in s.workers():
        is_bare(pid, "nobody")
    assert is_alive(s.pid) and caps(s.pid) == [0, 0, 0, 0]
