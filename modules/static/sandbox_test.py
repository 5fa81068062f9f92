"""static: where openat2 is not to be had, in an old kernel (ENOSYS) or a sandbox (EPERM), paths are walked name by name."""
import errno
import os
import shutil
import subprocess
import tempfile

import pytest
from lib import fuse
from lib.server import OURSELVES, Server

SANDBOX = r"""
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

__attribute__((constructor)) static void close_in(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | REFUSAL),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}
"""
CONF = """
    [module:static]
    cache_valid = 0
    [site:default]
    root = {}
"""
BIG = b"big " * 50_000
FILES = {"/a.txt": b"a", "/big.bin": BIG, "/sub/index.html": b"index", "/sub/b.txt": b"b"}
ROWS = [
    ("/a.txt", 200, b"a"), ("/big.bin", 200, BIG), ("/sub/", 200, b"index"), ("/sub/b.txt", 200, b"b"), ("/sub", 301, None),
    ("/none", 404, None), ("/sub/none", 404, None), ("/none/a.txt", 404, None), ("/a.txt/", 404, None), ("/a.txt/b", 404, None),
    ("/sub/../a.txt", 200, b"a"), ("/../secret", 400, None), ("/%2e%2e/secret", 400, None), ("/", 403, None)]
LINKS = [("in.txt", "a.txt"), ("in", "sub"), ("out.txt", "/etc/passwd"), ("out", ".."), ("loop", "loop")]
LINK_ROWS = [(path, 404, None) for path in ("/in.txt", "/in/b.txt", "/in/", "/out.txt", "/out/etc/passwd", "/loop")]


@pytest.fixture(scope="module", params=[errno.ENOSYS, errno.EPERM], ids=["ENOSYS", "EPERM"])
def refusing(request):
    """The environment of a server in a sandbox that answers openat2 with this."""
    if os.geteuid() != 0:
        pytest.skip("a filter of system calls takes root")
    folder = tempfile.mkdtemp(prefix="cs-sandbox-")
    library = f"{folder}/sandbox.so"
    subprocess.run([*os.environ.get("CC", "cc").split(), f"-DREFUSAL={request.param}", "-shared", "-fPIC", "-o", library, "-xc", "-"],
                   input=SANDBOX.encode(), check=True)
    yield {"LD_PRELOAD": library, "ASAN_OPTIONS": "verify_asan_link_order=0"}
    shutil.rmtree(folder)


def start(root, env):
    s = Server(CONF.format(root), server={"workers": 1, **OURSELVES}, env=env)
    s.start()
    status = open(f"/proc/{s.workers()[0]}/status", encoding="ascii").read()
    if "Seccomp:\t2" not in status:
        s.end()
        pytest.skip("no filter of system calls here")
    return s


def end(s):
    faults = s.end()
    assert not faults, "\n".join(faults)


def check(s, rows):
    with s.connect() as c:
        for path, status, body in rows:
            c.send(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            r = c.response()
            assert r.status == status and body in (None, r.body), (path, r)


@pytest.mark.parametrize("base", ["/dev/shm", None], ids=["in memory", "on a disk"])
def test_paths_are_walked(refusing, base):
    """All but links, of which none is followed."""
    root = tempfile.mkdtemp(prefix="cs-root-", dir=base)
    try:
        os.chmod(root, 0o755)
        for path, content in FILES.items():
            os.makedirs(os.path.dirname(root + path), exist_ok=True)
            with open(root + path, "wb") as f:
                f.write(content)
        for name, target in LINKS:
            os.symlink(target, f"{root}/{name}")
        s = start(root, refusing)
        for _ in range(2):
            check(s, ROWS + LINK_ROWS)
        end(s)
    finally:
        shutil.rmtree(root)


def test_nobody_waits_for_a_walk(refusing):
    """On a disk that hangs it is a thread that walks."""
    if fuse.available():
        pytest.skip(fuse.available())
    with fuse.SlowDisk(FILES) as disk:
        s = start(disk.folder, refusing)
        check(s, [row for row in ROWS if row[1] != 403])
        disk.hold("lookup", "/sub")
        with s.connect() as c:
            c.send(b"GET /sub/b.txt HTTP/1.1\r\nHost: a\r\n\r\n")
            disk.wait_held()
            check(s, [("/a.txt", 200, b"a"), ("/none", 404, None)])
            disk.go_on()
            assert c.response().body == b"b"
        end(s)
