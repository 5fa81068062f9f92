"""What the plots of the benchmarks are drawn with: text, dots and lines as SVG, in light and in dark."""

import os
from xml.sax.saxutils import escape

STYLE = """\
    .ground { fill: #ffffff }
    text { font: 13px system-ui, sans-serif; fill: #1f2328 }
    .title { font-weight: 600 }
    .small { font-size: 11px; fill: #59636e }
    .grid { stroke: #d1d9e0 }
    .bar { stroke: #8c959f; stroke-width: 2 }
    .a { fill: #0072b2 }
    .b { fill: #d55e00 }
    .floor { fill: #afb8c1 }
    .mark { stroke: #1f2328; stroke-width: 1.5; stroke-dasharray: 4 3 }
    @media (prefers-color-scheme: dark) {
        .ground { fill: #0d1117 }
        text { fill: #f0f6fc }
        .small { fill: #9198a1 }
        .grid { stroke: #2f353d }
        .bar { stroke: #656c76 }
        .a { fill: #56b4e9 }
        .b { fill: #e69f00 }
        .floor { fill: #656c76 }
        .mark { stroke: #f0f6fc }
    }
"""


def words(x, y, said, kind="", anchor="start"):
    style = f' class="{kind}"' if kind else ""
    return f'  <text x="{x:.1f}" y="{y:.1f}"{style} text-anchor="{anchor}">{escape(said)}</text>'


def dot(x, y, kind):
    """The second one is smaller: both are seen where they meet."""
    return f'  <circle cx="{x:.1f}" cy="{y:.1f}" r="{6 if kind == "a" else 4}" class="{kind}"/>'


def box(x, y, width, height, kind):
    return f'  <rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="2" class="{kind}"/>'


def line(x1, y1, x2, y2, kind):
    return f'  <line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def picture(width, height, label, shapes):
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img"'
                      f' aria-label="{label}">', "  <style>", STYLE + "  </style>",
                      '  <rect width="100%" height="100%" class="ground"/>', *shapes, "</svg>", ""])


def write(path, drawn):
    with open(path + ".new", "w", encoding="utf-8") as f:
        f.write(drawn)
    os.replace(path + ".new", path)
