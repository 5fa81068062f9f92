"""What all benchmarks write: tables in Markdown, the machine in words, and the parts of a page that are measured."""

import os
import platform
import re


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
