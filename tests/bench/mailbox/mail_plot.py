"""The plot of docs/mailbox.md."""

import plot
import svg
from accept_report import time_text
from mail_report import ASLEEP, fine
from plot import Dots, Panel, Unit
from ways import WAYS


def rate_text(value):
    return f"{value / 1e6:.1f} M" if value >= 1e6 else f"{value / 1e3:.0f} k" if value >= 1e4 else f"{value / 1e3:.1f} k"


RATE = Unit({2: "100", 3: "1 k", 4: "10 k", 5: "100 k", 6: "1 M", 7: "10 M", 8: "100 M"}, rate_text, (1e4, 1e6))
SMALL = Unit({**plot.TIME.decades, -2: "10 ns", -1: "0.1 µs"},
             lambda us: time_text(us) if us >= 100 else fine(us) + " µs", (1, 100))

PANELS = (
    Panel("Messages/s, 1 receiver", Dots("64 bytes", "flood 64 1", "rate"),
          Dots("16 KiB", "flood 16384 1", "rate"), True, RATE),
    Panel("CPU for a message, 1 receiver", Dots("64 bytes", "flood 64 1", "cpu"),
          Dots("16 KiB", "flood 16384 1", "cpu"), True, SMALL),
    Panel("Latency, receiver asleep", Dots("p50", ASLEEP, "p50"), Dots("p99", ASLEEP, "p99"), True, SMALL),
)


def draw(figures):
    measured = {**figures, "servers": list(WAYS)}
    return plot.panels(measured, PANELS, {key: way.title for key, way in WAYS.items()},
                       "Rates, CPU and latency of ways to bring messages to other processes")


def write(path, figures):
    svg.write(path, draw(figures))
