"""make bench-mailbox BENCH=--check: what the mailbox has to fulfil."""

import statistics

from mail_report import ASLEEP, BUSY, FREE, SERVER, errors
from verdict import Verdict
from ways import NODE

US = "{:.1f} µs".format
PLAIN = "{:,.0f}".format


class Targets(Verdict):
    def __init__(self, figures):
        super().__init__()
        self.cells = figures["cells"]

    def values(self, cell, way, field):
        return [run[field] for run in self.cells.get(f"{cell} {way}", []) if run.get(field) is not None]

    def rate(self, title, size, receivers, least):
        self.row(title, self.values(f"flood {size} {receivers}", "mail", "rate"), PLAIN, f"≥ {least:,}",
                 lambda v: v >= least)

    def beside_node(self, receivers):
        """Node at its best in that round."""
        cell = f"flood 64 {receivers}"
        rounds = zip(*filter(None, (self.values(cell, key, "rate") for key in NODE)))
        pairs = zip(self.values(cell, "mail", "rate"), (max(r) for r in rounds))
        self.row(f"64 bytes, receivers: {receivers}; mailbox / Node at its best",
                 [ours / node for ours, node in pairs], "{:.1f}".format, "≥ 10", lambda v: v >= 10)

    def bells(self, title, cell, most):
        self.row(f"bells per message, {title}", self.values(cell, "mail", "calls"), "{:.3f}".format, f"≤ {most:.2f}",
                 lambda v: v <= most)

    def latency(self, title, values, most):
        """Only where enough CPUs were free while the mailbox was measured; who cannot tell may not judge either."""
        free = self.values(ASLEEP, "mail", "free")
        required = f"≤ {most} µs"
        if not values or len(free) == len(values) and statistics.median(free) >= FREE:
            self.row(title, values, US, required, lambda v: v <= most)
            return
        why = f"only {statistics.median(free):.1f} CPUs were free" if free else "how many CPUs were free is not known"
        self.unknown(title, values, US, required, why)

    def asleep(self):
        ours, bare = (self.values(ASLEEP, way, "p50") for way in ("mail", "bare"))
        self.latency("asleep, p50: mailbox − bare wake-up", [a - b for a, b in zip(ours, bare)], 10)
        self.latency("asleep, p99", self.values(ASLEEP, "mail", "p99"), 200)

    def busy(self):
        pairs = zip(self.values(BUSY, "mail", "p50"), self.values(BUSY, "mail", "turn"))
        self.row("busy, p50 in turns of the receiver's loop", [p50 / turn for p50, turn in pairs], "{:.2f}".format,
                 "≤ 1.00", lambda v: v <= 1)

    def in_server(self):
        self.row("whole server, 8 workers, 1,000 messages/s: p99", self.values(SERVER, "pace", "p99"), US, "< 2000 µs",
                 lambda v: v < 2000)

    def pace(self):
        self.row("whole server: messages/s published", self.values(SERVER, "pace", "rate"), PLAIN, "≥ 900",
                 lambda v: v >= 900)


def verdict(figures):
    """(text, has it all been fulfilled?)"""
    t = Targets(figures)
    t.rate("64 bytes, 1 receiver: messages/s", 64, 1, 2000000)
    t.rate("64 bytes, 3 receivers: messages/s each", 64, 3, 1000000)
    t.rate("1 KiB, 1 receiver: messages/s", 1024, 1, 1000000)
    t.rate("16 KiB, 1 receiver: messages/s", 16384, 1, 200000)
    t.beside_node(1)
    t.beside_node(3)
    t.asleep()
    t.busy()
    t.bells("64 bytes at full speed, 1 receiver", "flood 64 1", 0.05)
    t.bells("receiver busy", BUSY, 0.05)
    t.bells("receiver asleep", ASLEEP, 1)
    t.in_server()
    t.pace()
    t.row("errors, all ways", [errors(figures)], "{:.0f}".format, "0", lambda v: v == 0)
    out = t.table()
    if figures["wrong"]:
        out += ["", "Wrong: " + "; ".join(figures["wrong"]) + "."]
    return "\n".join(out), t.good and not figures["wrong"]
