"""The tables, in Markdown."""

import os
import platform
import re
import statistics

TARGET = 1.10  # of the best peer
HELLO_TARGETS = {"nginx": 0.90, "floor": 1.25}  # of a handler that does nothing else
PEERS = ("nginx", "h2o", "lighttpd")


def processor():
    """The machine in words: processor and kernel."""
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        model = re.search(r"model name\s*: (.*)", f.read())
    kernel = ".".join(platform.release().split(".")[:2])
    return f"{model[1].strip() if model else platform.machine()}, Linux {kernel}"


def machine(cpus):
    where = "server on one CPU, load on another" if cpus[0] != cpus[1] else "server and load share the only CPU"
    return f"{processor()}; {where}"


def table(head, lines):
    out = ["| " + " | ".join(head) + " |", "|" + "|".join(["---"] + ["---:"] * (len(head) - 1)) + "|"]
    return out + ["| " + " | ".join(line) + " |" for line in lines]


def ratio(value, base):
    return f"{value / base:.2f}" if value and base else "–"


def cost(results, row, server):
    """Median CPU microseconds per request, or None."""
    runs = results.get((row.key, server))
    return statistics.median(r[1] for r in runs) if runs else None


def best_peer(results, row):
    return min(filter(None, (cost(results, row, p) for p in PEERS)), default=None)


def summary(results, rows, servers):
    lines = []
    for row in rows:
        costs = {s: cost(results, row, s) for s in servers}
        line = [row.title] + [f"{c:.2f}" if c else "–" for c in costs.values()]
        if "cserver" in servers:
            line += [ratio(costs["cserver"], best_peer(results, row)), ratio(costs["cserver"], costs.get("floor"))]
        lines.append(line)
    head = ["CPU µs per request"] + list(servers)
    if "cserver" in servers:
        head += ["cserver / best peer", "cserver / floor"]
    return table(head, lines)


def error_text(runs):
    total = {}
    for run in runs:
        for kind, number in run[3].items():
            total[kind] = total.get(kind, 0) + number
    return ", ".join(f"{kind} {number}" for kind, number in total.items()) or "0"


def details(results, row, servers):
    lines = []
    for server in servers:
        runs = results.get((row.key, server))
        if not runs and row.servers and server not in row.servers:
            continue
        if not runs:
            lines.append([server, "missing"] + ["–"] * 5)
            continue
        median = lambda i, runs=runs: statistics.median(r[i] for r in runs)
        lines.append([server, f"{median(0):,.0f}", f"{median(1):.2f}", f"{100 * median(2):.0f} %",
                      ratio(median(1), best_peer(results, row)), ratio(median(1), cost(results, row, "floor")),
                      error_text(runs)])
    head = ["server", "requests/s", "CPU µs/request", "CPU busy", "/ best peer", "/ floor", "errors"]
    return [f"### {row.title}", ""] + table(head, lines)


def idle(memory, number):
    lines = [[s, f"{m[0]:,.0f}", f"{m[1] / 1048576:.1f} MiB"] if m else [s, "missing", "–"] for s, m in memory.items()]
    return [f"### {number:,} idle keep-alive connections, one answered request on each", ""] + table(
        ["server", "bytes per connection", "the whole server"], lines)


def calls(found):
    lines = []
    for server, counts in found.items():
        if not counts:
            lines.append([server, "–", "not counted (is strace installed and allowed to trace?)"])
            continue
        parts = sorted(counts.items(), key=lambda c: -c[1])
        lines.append([server, f"{sum(counts.values()):.2f}",
                      ", ".join(f"{name} {n:.2f}" for name, n in parts if n >= 0.005)])
    return ["### System calls per keep-alive request", ""] + table(["server", "calls", "which"], lines)


def verdict(results, rows):
    """One line per row that cserver was measured in: within the target or not."""
    out = []
    for row in rows:
        mine, best = cost(results, row, "cserver"), best_peer(results, row)
        if mine and best and not row.servers:
            out.append(judged(row, mine / best, "the best peer", TARGET))
        for server, target in HELLO_TARGETS.items() if row.key == "hello" and mine else ():
            base = cost(results, row, server)
            if base:
                out.append(judged(row, mine / base, server, target))
    return out


def judged(row, share, of, target):
    word = "within" if share <= target else "ABOVE"
    return f"{row.title}: {share:.2f} of {of}, {word} the target of {target:.2f}"


def errors(results):
    return sum(sum(run[3].values()) for runs in results.values() for run in runs)


def between(page, name, text):
    """The page with the text between its two marker lines of that name."""
    return between_marks(page, f"<!-- {name}: begin -->", f"<!-- {name}: end -->", text)


def between_marks(page, begin, end, text):
    if begin not in page or end not in page:
        raise RuntimeError(f"the page has lost its marker lines {begin} and {end}")
    before, rest = page.split(begin, 1)
    return f"{before}{begin}\n{text}\n{end}{rest.split(end, 1)[1]}"


def edit(path, change):
    """Replaces the document by change(document)."""
    with open(path, encoding="utf-8") as f:
        page = change(f.read())
    with open(path + ".new", "w", encoding="utf-8") as f:
        f.write(page)
    os.replace(path + ".new", path)


def write(path, text):
    edit(path, lambda page: between(page, "bench", text))
