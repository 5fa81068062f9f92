"""What a server's process costs, by count: its system calls (strace) and what it asks of malloc (heap.c, preloaded).

    with tracing(pid, path): ...
    calls(path)                        Counter of system calls
    heap = Heap(folder); serve(..., env=heap.env); heap.now(pid).calls, .bytes
"""
import collections
import contextlib
import os
import re
import shutil
import signal
import struct
import subprocess

import pytest

from .crash import is_sanitized
from .server import LIMIT, SOURCE

Count = collections.namedtuple("Count", "calls bytes")


@contextlib.contextmanager
def tracing(pid, path, *options):
    """Traces the process until the block ends."""
    if not shutil.which("strace"):
        pytest.skip("strace is not installed: ./configure --install-deps=check")
    with subprocess.Popen(["strace", "-p", str(pid), "-o", path, *options], stderr=subprocess.PIPE) as p:
        line = p.stderr.readline()
        if b"not permitted" in line:
            p.wait(LIMIT)
            pytest.skip("strace may not trace here")
        assert b"attached" in line, line
        try:
            yield
        finally:
            p.send_signal(signal.SIGINT)
            p.wait(LIMIT)


def calls(path):
    with open(path, encoding="utf-8", errors="replace") as f:
        return collections.Counter(re.findall(r"^(\w+)\(", f.read(), re.M))


class Heap:
    """For a server that is started with its env."""
    SLOTS = 4096

    def __init__(self, folder):
        if is_sanitized():
            pytest.skip("a sanitizer has a malloc of its own")
        library, self.file = os.path.join(folder, "heap.so"), os.path.join(folder, "heap")
        subprocess.run([*os.environ.get("CC", "cc").split(), "-O2", "-shared", "-fPIC", "-fno-builtin", "-o", library,
                        os.path.join(SOURCE, "tests/lib/heap.c")], check=True)
        with open(self.file, "wb") as f:
            f.truncate(self.SLOTS * 16)
        self.env = {"LD_PRELOAD": library, "HEAP_FILE": self.file}

    def now(self, pid):
        with open(self.file, "rb") as f:
            f.seek(pid % self.SLOTS * 16)
            return Count(*struct.unpack("qq", f.read(16)))
