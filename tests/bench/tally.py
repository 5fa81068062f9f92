"""Reads what tally.c counts in the processes of a server."""

import mmap
import os
import struct
from typing import NamedTuple

RECORD = struct.Struct("=i4xQQQQ24x")
RECORDS = 256


class Counts(NamedTuple):
    accepts: int = 0
    empty: int = 0
    failed: int = 0
    wakeups: int = 0

    def __add__(self, other):
        return Counts(*(a + b for a, b in zip(self, other)))

    def __sub__(self, other):
        return Counts(*(a - b for a, b in zip(self, other)))


class Tally:
    """The shared file; `environment` has a server count in it."""

    def __init__(self, path, library):
        with open(path, "w+b") as f:
            f.truncate(RECORD.size * RECORDS)
            self.shared = mmap.mmap(f.fileno(), RECORD.size * RECORDS, prot=mmap.PROT_READ)
        # A sanitizer that is linked into the server need not come first.
        asan = ":".join(filter(None, (os.environ.get("ASAN_OPTIONS"), "verify_asan_link_order=0")))
        self.environment = {"TALLY": path, "LD_PRELOAD": library, "ASAN_OPTIONS": asan}

    def by_pid(self):
        rows = (RECORD.unpack_from(self.shared, i * RECORD.size) for i in range(RECORDS))
        return {pid: Counts(*counts) for pid, *counts in rows if pid}

    def total(self):
        return sum(self.by_pid().values(), Counts())
