"""The module of storm_module.c on a server, and the files that it leaves: what mail_*.py share."""
import contextlib
import glob
import os
import struct
import time

from soak import HERE, OURSELVES, build_module, wait_for

NAMES = ("pid", "started", "first", "last", "count", "lost", "lost_before_first", "gaps", "torn", "reordered",
         "sender_gaps", "after_leave", "published", "again", "refused", "joins", "leaves", "seq")
FAULTS = ("gaps", "torn", "reordered", "sender_gaps", "after_leave", "refused")
BUCKETS = 4096
LAYOUT = struct.Struct(f"{len(NAMES)}Q{2 * BUCKETS}Q")
BUCKET_MS = 0.01


class Record:
    """What one incarnation has written down."""

    def __init__(self, path):
        self.slot, self.incarnation = map(int, os.path.basename(path).split("."))
        with open(path, "rb") as f:
            data = f.read(LAYOUT.size)
        values = LAYOUT.unpack(data) if len(data) == LAYOUT.size else (0,) * (len(NAMES) + 2 * BUCKETS)
        for name, value in zip(NAMES, values):
            setattr(self, name, value)
        self.latency, self.late = values[len(NAMES):-BUCKETS], values[-BUCKETS:]

    def __str__(self):
        return f"{self.slot}.{self.incarnation}: " + " ".join(f"{n}={getattr(self, n)}" for n in NAMES)


def quantile(buckets, q):
    """Upper bound in milliseconds."""
    left = sum(buckets) * q
    for i, n in enumerate(buckets):
        left -= n
        if left <= 0:
            return (i + 1) * BUCKET_MS
    return float("inf")


class Storm:
    def __init__(self, run, workers, server=None, **settings):
        self.run = run
        self.events = os.path.join(run.folder, f"events-{time.monotonic_ns()}")
        os.makedirs(self.events)
        with open(os.path.join(HERE, "storm_module.c"), encoding="utf-8") as f:
            so_file = build_module(run.folder, "storm", f.read(), "-O2")
        lines = "".join(f"{k} = {v}\n" for k, v in settings.items())
        conf = (f"[module:storm]\nfile = {so_file}\n{lines}\n[route:storm]\nmatch = = /storm\nhandler = storm\n"
                "[module:status]\n[route:status]\nmatch = = /status.json\nhandler = status\n")
        self.server = run.serve(conf, server={"workers": workers, **OURSELVES, **(server or {})},
                                env={"CS_EVENTS": self.events})
        self.workers = workers

    def pids(self):
        """Of all workers and the primary that are there."""
        primary = self.server.primary()
        return self.server.workers() + ([primary] if primary else [])

    def records(self):
        found = []
        for path in glob.glob(f"{self.events}/*.*"):
            with contextlib.suppress(FileNotFoundError):
                found.append(Record(path))
        return sorted(found, key=lambda r: (r.slot, r.incarnation))

    def last(self):
        """The highest number that anybody has had."""
        best = 0
        for path in glob.glob(f"{self.events}/*.*"):
            with open(path, "rb") as f:
                head = f.read(8 * len(NAMES))
            if len(head) == 8 * len(NAMES):
                best = max(best, struct.unpack(f"{len(NAMES)}Q", head)[3])
        return best

    def living(self):
        there = set(self.pids())
        return [r for r in self.records() if r.pid in there]

    def tell(self, word):
        """stop: nobody publishes any more; one: but one message."""
        def told():
            with contextlib.suppress(OSError):
                return self.server.get(f"/storm?{word}").status == 200
        wait_for(told, 20, f"nobody answers {word}")

    def quiet(self):
        """Nobody publishes any more, all are there and have had a last message: the records of the living."""
        self.tell("stop")

        def complete():
            now = self.living()
            return len(now) == self.workers + 1 and all(r.started for r in now)

        def settled():
            now = self.living()
            return now if len(now) == self.workers + 1 and {r.last for r in now} == {self.last()} else None

        wait_for(complete, 30, "not all have come back")
        self.tell("one")
        time.sleep(0.5)
        try:
            return wait_for(settled, 30)
        except AssertionError:
            raise AssertionError("not all that live have had the same last message\n" +
                                 "\n".join(map(str, self.living()))) from None

    def judge(self, what):
        """No faults in any record."""
        records = self.records()
        total = sum(r.count for r in records)
        sums = {name: sum(getattr(r, name) for r in records) for name in FAULTS}
        bad = [str(r) for r in records if any(getattr(r, name) for name in FAULTS)]
        self.run.check(f"{what}: {total} deliveries to {len(records)} incarnations: {sums['gaps']} unreported gaps, "
                       f"{sums['torn']} torn, {sums['reordered']} reordered, {sums['sender_gaps']} gaps of a sender, "
                       f"{sums['after_leave']} after a leave", total > 0 and not bad, "\n".join(bad[:20]))
        return records

    def judge_primary(self, records):
        """From one primary to the next there is no gap but what is reported. A message that one dies at may be in its
        record and reported to the next."""
        faults, last, lost, deaths = [], None, 0, 0
        for r in (r for r in records if r.slot == 0):
            before = r.lost_before_first if r.first else r.lost
            lost += before
            if r.first:
                missed = 0 if last is None else r.first - 1 - last
                if last is not None and not 0 <= lost - missed <= deaths:
                    faults.append(f"{lost} reported, {missed} missing: {r}")
                last, lost, deaths = r.last, 0, 0
            deaths += 1
        self.run.check("each primary goes on where its predecessor was, but for what is reported", not faults,
                       "\n".join(faults[:20]))
