"""The tables of make bench, and the parts of docs/performance.md that they fill."""

import statistics

import bars
from judge import best_peer, cost, neighbours, runs, verdict
from report import between, edit, ratio, table
from rows import PEERS, ROWS


def measured(figures):
    """The rows that were asked for."""
    return [r for r in ROWS if r.key in figures["wanted"]]


def compares(row):
    """Does it set cserver beside others, or only beside itself?"""
    return any(map(row.takes, PEERS))


def peer_cost(figures, row):
    peer = best_peer(figures, row)
    return cost(figures, row, peer) if peer else None


def summary(figures):
    servers = figures["servers"]
    lines = []
    for row in filter(compares, measured(figures)):
        costs = {s: cost(figures, row, s) for s in servers}
        line = [row.title] + [f"{c:.2f}" if c else "–" for c in costs.values()]
        if "cserver" in servers:
            line += [ratio(costs["cserver"], peer_cost(figures, row)), ratio(costs["cserver"], costs.get("floor"))]
        lines.append(line)
    head = ["CPU µs per request"] + list(servers)
    if "cserver" in servers:
        head += ["cserver / best peer", "cserver / floor"]
    return table(head, lines)


def error_text(found):
    total = {}
    for run in found:
        for kind, number in run["errors"].items():
            total[kind] = total.get(kind, 0) + number
    return ", ".join(f"{kind} {number}" for kind, number in total.items()) or "0"


def details(figures, row):
    bases = {"best peer": peer_cost(figures, row), "floor": cost(figures, row, "floor")}
    if not compares(row):
        bases = {row.servers[0]: cost(figures, row, row.servers[0])}
    lines = []
    for server in filter(row.takes, [*figures["servers"], *(s for s in row.servers if s not in figures["servers"])]):
        found = runs(figures, row, server)
        if not found:
            lines.append([server, "missing"] + ["–"] * (4 + len(bases)))
            continue
        middle = lambda field, found=found: statistics.median(r[field] for r in found)
        lines.append([server, f"{middle('rate'):,.0f}", f"{middle('cpu'):.2f}", f"{100 * middle('kernel'):.0f} %",
                      f"{100 * middle('busy'):.0f} %", *(ratio(middle("cpu"), b) for b in bases.values()),
                      error_text(found)])
    head = ["server", "requests/s", "CPU µs/request", "in the kernel", "CPU busy", *(f"/ {b}" for b in bases), "errors"]
    return [f"### {row.title}", ""] + table(head, lines)


def idle(found):
    lines = [[s, f"{m['bytes']:,.0f}", f"{m['told']:,.0f}", f"{m['whole'] / 1048576:.1f} MiB"] if m
             else [s, "missing", "–", "–"] for s, m in found["servers"].items()]
    return [f"### {found['number']:,} idle keep-alive connections, one answered request on each", ""] + table(
        ["server", "bytes per connection", "with tables made at start", "the whole server"], lines)


def calls(found):
    lines = []
    for server, counts in found.items():
        if counts is None:
            lines.append([server, "missing", "–"])
            continue
        if not counts:
            lines.append([server, "–", "not counted (is strace installed and allowed to trace?)"])
            continue
        parts = sorted(counts.items(), key=lambda c: -c[1])
        lines.append([server, f"{sum(counts.values()):.2f}",
                      ", ".join(f"{name} {n:.2f}" for name, n in parts if n >= 0.005)])
    return ["### System calls per keep-alive request", ""] + table(["server", "calls", "which"], lines)


def whole(number):
    return f"{number:,.0f}" if number else "–"


def function(name):
    return "of a module, without a name" if name.startswith("0x") else f"`{name}`"


def in_parts(kinds):
    """A line for each kind, a column for each part that has a per cent of one of them."""
    most = {}
    for kind in kinds:
        for part, n in kind["parts"].items():
            most[part] = max(most.get(part, 0), n / kind["total"])
    columns = sorted((p for p in most if most[p] >= 0.01), key=lambda p: -most[p])
    lines = [[k["title"], *(f"{k['parts'].get(p, 0):,.0f}" for p in columns)] for k in kinds]
    return ["", "Where they are: folders of `src/`, modules, libraries.", "", *table(["request", *columns], lines)]


def instructions(found):
    kinds = found["kinds"].values()
    counted = [k for k in kinds if k["total"]]
    out = ["### Instructions in user space per request", ""]
    out += table(["request", "instructions", "budget"],
                 [[k["title"], whole(k["total"]), whole(k["budget"])] for k in kinds])
    if found["beside"]:
        others = ", ".join(f"{name} {whole(n)}" for name, n in found["beside"].items())
        out += ["", f"The first of them as others answer it: {others}."]
    if counted:
        out += in_parts(counted)
    for kind in counted:
        lines = [[function(name), where, whole(n), f"{100 * n / kind['total']:.1f} %"] for name, where, n in kind["top"]]
        out += ["", f"The biggest functions, {kind['title']}:", ""]
        out += table(["function", "in", "instructions", "share"], lines)
    return out


def rounds(figures):
    """How many, with those rows of which there are more or fewer than of most."""
    numbers = {r.title: max((len(runs(figures, r, s)) for s in figures["servers"]), default=0) for r in measured(figures)}
    usual = statistics.mode(numbers.values()) if numbers else figures["rounds"]
    others = [f"{n} of \"{title}\"" for title, n in numbers.items() if n not in (0, usual)]
    return ", ".join([str(usual), *others])


def head(figures):
    out = [f"Machine: {figures['machine']}.", "",
           f"Servers: {'; '.join(figures['versions'].values())}. Load: {figures['load']}.", "",
           f"Medians of rounds of {figures['seconds']} s: {rounds(figures)}."]
    for server, why in figures["missing"].items():
        out += ["", f"Missing: {server}. {why}."]
    shares = [n for n in (neighbours(figures, r) for r in measured(figures)) if n is not None]
    if shares:
        out += ["", f"Other programs took {min(shares):.2f} to {max(shares):.2f} CPUs meanwhile."]
    return out


def rows_text(figures):
    """What was measured under load, without what is asked for."""
    out = head(figures)
    if figures["rows"] and any(map(compares, measured(figures))):
        out += [""] + summary(figures)
    for name, label in bars.of_rows(figures):
        out += ["", f"![{label}]({name}.svg)"]
    for row in measured(figures):
        why = figures["skipped"].get(row.key)
        out += ["", f"### {row.title}", "", f"Not measured: {why}."] if why else [""] + details(figures, row)
    return out


def parts(figures):
    """{name of a part of the page: its lines}, for what was measured."""
    found = {"bench": rows_text(figures)} if figures["wanted"] else {}
    for name, draw in (("idle", idle), ("calls", calls), ("instructions", instructions)):
        if figures.get(name):
            found[f"bench-{name}"] = draw(figures[name])
    return found


def text(figures):
    judged, _, _ = verdict(figures)
    lines = [line for part in parts(figures).values() for line in [*part, ""]]
    return "\n".join([*lines, *(["### What is asked for", ""] if judged else []), *judged])


def errors(figures):
    return sum(sum(run["errors"].values()) for found in figures["rows"].values() for run in found)


def write(path, figures, whole):
    """Puts what was measured into the page; what is asked for only where everything was."""
    found = {name: "\n".join(lines) for name, lines in parts(figures).items()}
    if whole:
        found["bench-targets"] = "\n".join(verdict(figures)[0])

    def change(page):
        for name, part in found.items():
            page = between(page, name, part)
        return page

    edit(path, change)
