"""The plot of docs/accept.md, as an SVG of its own making: one row for each server, two dots in each panel."""

import math
from typing import Callable, NamedTuple

import svg
from accept_report import middle, time_text
from contenders import ALL
from svg import dot, line, words

ROW, TOP, LEFT, WIDTH, GAP, PAD = 30, 92, 172, 230, 42, 46


class Dots(NamedTuple):
    """One colour in a panel: what it means, and where its figures are."""

    name: str
    cell: str
    field: str


class Unit(NamedTuple):
    """How values of a logarithmic panel are written: the names of powers of ten, and one value."""

    decades: dict
    text: Callable
    usual: tuple  # the ends where there is no value


TIME = Unit({-1: "0.1 µs", 0: "1 µs", 1: "10 µs", 2: "100 µs", 3: "1 ms", 4: "10 ms", 5: "100 ms", 6: "1 s", 7: "10 s"},
            time_text, (100, 1000))


class Panel(NamedTuple):
    title: str
    a: Dots
    b: Dots
    logarithmic: bool
    unit: Unit = TIME


PANELS = (
    Panel("Jain index (1 = fair)", Dots("idle", "4 idle short", "jain"),
          Dots("full load", "4 full short", "jain"), False),
    Panel("p99 until the first byte", Dots("idle", "4 idle short", "first99"),
          Dots("full load", "4 full short", "first99"), True),
    Panel("5 % of handlers block 20 ms", Dots("p50", "4 half short block", "first50"),
          Dots("p99", "4 half short block", "first99"), True),
)


class Scale:
    """Places values between two ends of a panel; logarithmic ones in decades."""

    def __init__(self, panel, values, x):
        self.logarithmic = panel.logarithmic
        if self.logarithmic:
            least, most = panel.unit.usual
            self.low = math.floor(math.log10(min(values, default=least)))
            self.high = max(self.low + 1, math.ceil(math.log10(max(values, default=most))))
        else:
            self.low, self.high = 0, 1
        self.x, self.decades = x, panel.unit.decades

    def at(self, value):
        v = math.log10(value) if self.logarithmic else value
        return self.x + WIDTH * (v - self.low) / (self.high - self.low)

    def ticks(self):
        if not self.logarithmic:
            return [(v, f"{v:g}") for v in (0, 0.25, 0.5, 0.75, 1)]
        return [(10.0 ** p, self.decades.get(p, "")) for p in range(self.low, self.high + 1)]


def value_text(value, panel):
    return panel.unit.text(value) if panel.logarithmic else f"{value:.2f}"


def one_row(panel, scale, y, a, b):
    """Two dots with a bar between them; the figures stand outside of it."""
    if a is None or b is None:
        return [words(scale.x + WIDTH / 2, y + 4, "not measured", "small", "middle")]
    xa, xb = scale.at(a), scale.at(b)
    near, far = ((xa, a), (xb, b)) if xa <= xb else ((xb, b), (xa, a))
    out = [line(xa, y, xb, y, "bar"), dot(xa, y, "a"), dot(xb, y, "b"),
           words(near[0] - 9, y + 4, value_text(near[1], panel), "small", "end")]
    if far[0] - near[0] > 1:
        out.append(words(far[0] + 9, y + 4, value_text(far[1], panel), "small"))
    return out


def one_panel(panel, figures, x, bottom):
    rows = [tuple(middle(figures, d.cell, s, d.field) for d in (panel.a, panel.b)) for s in figures["servers"]]
    scale = Scale(panel, [v for row in rows for v in row if v and v > 0], x)
    out = [words(x, 30, panel.title, "title"), dot(x + 5, 50, "a"), words(x + 15, 54, panel.a.name, "small"),
           dot(x + 85, 50, "b"), words(x + 95, 54, panel.b.name, "small")]
    for value, name in scale.ticks():
        out += [line(scale.at(value), TOP - 14, scale.at(value), bottom, "grid"),
                words(scale.at(value), bottom + 16, name, "small", "middle")]
    for i, (a, b) in enumerate(rows):
        out += one_row(panel, scale, TOP + i * ROW, a, b)
    return out


def panels(figures, which, titles, label):
    """A row for each of figures["servers"], called as in titles."""
    bottom = TOP + len(figures["servers"]) * ROW - 14
    width = LEFT + len(which) * (WIDTH + GAP + PAD) + 10
    out = []
    for i, server in enumerate(figures["servers"]):
        out.append(words(12, TOP + i * ROW + 4, titles[server]))
    for i, panel in enumerate(which):
        out += one_panel(panel, figures, LEFT + PAD + i * (WIDTH + GAP + PAD), bottom)
    return svg.picture(width, bottom + 30, label, out)


def draw(figures):
    return panels(figures, PANELS, {key: c.title for key, c in ALL.items()},
                  "Fairness and latency of ways to share new connections")


def write(path, figures):
    svg.write(path, draw(figures))
