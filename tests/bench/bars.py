"""The plots of docs/performance.md: a panel for each row, a bar for each server."""

from typing import NamedTuple

import svg
from judge import best_peer, cost
from rows import BEST, CALLS, IDLE_BYTES, ROWS
from svg import box, line, words

LEFT, TOP, STEP, THICK, WIDTH, VALUE = 76, 82, 24, 14, 210, 84
COLUMNS, BELOW = 2, 14
KINDS = {"floor": "floor", "cserver": "b"}  # others: "a"


class Panel(NamedTuple):
    title: str
    unit: str
    values: dict           # {server: number or None}
    form: str = "{:.1f}"
    mark: float = 0        # what is asked for
    against: float = 0     # what cserver is a share of


class Picture(NamedTuple):
    name: str
    label: str
    rows: tuple


PICTURES = (
    Picture("performance-small", "CPU time of small answers on kept connections",
            ("keepalive", "c1000", "crowd", "hello")),
    Picture("performance-connections", "CPU time of short connections and of pipelines", ("close", "pipeline")),
    Picture("performance-large", "CPU time of large files", ("100k", "1m")),
)
IDLE = "performance-idle"


def of_row(figures, row):
    """The panel of one row."""
    servers = [s for s in figures["servers"] if row.takes(s)]
    target = row.targets[0] if row.targets else None
    of = best_peer(figures, row) if target and target.of == BEST else target and target.of
    base = cost(figures, row, of) if of else None
    return Panel(row.short, "CPU µs per request", {s: cost(figures, row, s) for s in servers},
                 mark=base * target.most if base else 0, against=base or 0)


def of_memory(idle):
    said = {s: m["told"] if m else None for s, m in idle["servers"].items()}
    return Panel("An idle connection", "bytes", said, "{:,.0f}", IDLE_BYTES)


def of_calls(calls):
    said = {s: sum(c.values()) if c else None for s, c in calls.items()}
    return Panel("A keep-alive request", "system calls", said, "{:.2f}", CALLS)


def value_text(panel, server):
    value = panel.values[server]
    if value is None:
        return "not measured"
    share = f" ({value / panel.against:.2f})" if server == "cserver" and panel.against else ""
    return panel.form.format(value) + share


def draw_panel(panel, x, y):
    """Bars, and beside them a column of their figures: the line of the target crosses none of these."""
    scale = WIDTH / max([*(v for v in panel.values.values() if v), panel.mark, 1e-9])
    top, bottom = y + TOP - THICK, y + TOP + (len(panel.values) - 1) * STEP + THICK
    out = [words(x, y + 24, panel.title, "title"), words(x, y + 42, panel.unit, "small"), line(x, top, x, bottom, "grid")]
    for i, (server, value) in enumerate(panel.values.items()):
        at = y + TOP + i * STEP
        out += [words(x - 8, at + 4, server, "small", "end"), words(x + WIDTH + 8, at + 4, value_text(panel, server), "small")]
        out.append(box(x, at - THICK / 2, max(0.0, value or 0) * scale, THICK, KINDS.get(server, "a")))
    if panel.mark:
        at = x + panel.mark * scale
        out += [line(at, top, at, bottom, "mark"), words(at, top - 4, "target", "small", "middle")]
    return out


def draw(panels, label):
    wide, high = LEFT + WIDTH + VALUE, TOP + max(len(p.values) for p in panels) * STEP + BELOW
    shapes = []
    for i, panel in enumerate(panels):
        shapes += draw_panel(panel, LEFT + i % COLUMNS * wide, i // COLUMNS * high)
    return svg.picture(COLUMNS * wide, -(-len(panels) // COLUMNS) * high, label, shapes)


def of_rows(figures):
    """[(name, label)] of the pictures that all rows are there for."""
    return [(p.name, p.label) for p in PICTURES if all(key in figures["wanted"] for key in p.rows)]


def pictures(figures):
    """{name: drawing} of what was measured."""
    rows = {r.key: r for r in ROWS}
    drawn = dict(of_rows(figures))
    out = {p.name: draw([of_row(figures, rows[key]) for key in p.rows], p.label) for p in PICTURES if p.name in drawn}
    if figures.get("idle") and figures.get("calls"):
        out[IDLE] = draw([of_memory(figures["idle"]), of_calls(figures["calls"])],
                         "Memory of idle connections and system calls")
    return out


def write(folder, figures):
    for name, drawn in pictures(figures).items():
        svg.write(f"{folder}/{name}.svg", drawn)
