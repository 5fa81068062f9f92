"""docs/settings.md: each example is good, and answers as the page shows."""
import os
import re
import shlex
import subprocess

import pytest
from lib.server import LIMIT, PROGRAM, SOURCE, Server

PAGE = os.path.join(SOURCE, "docs/settings.md")
with open(PAGE, encoding="utf-8") as page:
    TEXT = page.read()
FILES = dict(re.findall(r"^\| `([^`]+/[^`]+)` \| `(.+)` \|$", TEXT, re.M))


def asks_of(shown):
    """[(command, [line of the answer, ...]), ...] of a ```console block."""
    asks = []
    for line in shown.splitlines():
        if line.startswith("$ "):
            asks.append((line[2:], []))
        else:
            asks[-1][1].append(line)
    return asks


def examples():
    """(name, settings, asks): each ```ini block, and the ```console block that follows it."""
    heading, settings, number = "", None, 0
    for title, language, text in re.findall(r"^## (.*)$|^```(ini|console)\n((?s:.*?))^```$", TEXT, re.M):
        if title:
            heading, number = title, 0
        elif language == "ini":
            settings, number = text, number + 1
        else:
            yield f"{heading} {number}", settings, asks_of(text)
            settings = None


EXAMPLES = list(examples())


def test_every_example_is_asked():
    assert len(EXAMPLES) == len(re.findall(r"^```ini$", TEXT, re.M)) == len(re.findall(r"^```console$", TEXT, re.M)) >= 5
    assert all(settings and asks and all(shown for _, shown in asks) for _, settings, asks in EXAMPLES)


def make_server(settings):
    s = Server(files={name: content + "\n" for name, content in FILES.items()})
    s.write("conf/cserver.ini", settings)
    keys = {"listen:main.address": f"127.0.0.1:{s.port}"}
    keys.update({f"server.{k}": v for k, v in s.keys.items() if k not in settings})
    s.args = [word for k, v in keys.items() for word in ("-g", f"{k}={v}")]
    return s


def run(s, command):
    """What it prints. curl reaches our server under every name and port; cserver is the one of the build."""
    words = shlex.split(command)
    if words[0] == "curl":
        words[1:1] = ["-sS", "--noproxy", "*", "--path-as-is", "--connect-to", f"::127.0.0.1:{s.port}"]
    else:
        assert words[0] == "cserver"
        words = [PROGRAM, *words[1:], "-c", "conf/cserver.ini"]
    done = subprocess.run(words, cwd=s.folder, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=LIMIT, check=False)
    return done.stdout.replace("\r\n", "\n")


def matches(shown, got):
    """Are these the lines? "..." alone stands for any number of them, "..." between blanks or at the end for a part of one."""
    pattern = ""
    for line in shown:
        pattern += r"(?:.*\n)*?" if line == "..." else re.escape(line).replace(r"\ \.\.\.", ".*") + r"\n"
    return re.fullmatch(pattern, got if got.endswith("\n") or not got else got + "\n")


@pytest.mark.parametrize("settings, asks", [e[1:] for e in EXAMPLES], ids=[e[0] for e in EXAMPLES])
def test_example(settings, asks):
    s = make_server(settings)
    try:
        done = s.run("-c", s.conf, "-t", *s.args)
        assert done.returncode == 0 and "warning" not in done.stderr, done.stderr
        s.start()
        for command, shown in asks:
            got = run(s, command)
            assert matches(shown, got), f"$ {command}\n{got}\n--- the page says:\n" + "\n".join(shown)
    finally:
        faults = s.end()
    assert not faults, "\n".join(faults)


def test_every_variable_is_on_the_page():
    with open(os.path.join(SOURCE, "src/http/template.c"), encoding="utf-8") as f:
        known = re.findall(r'^    \{"([\w.]+)", TEMPLATE_', f.read(), re.M)
    shown = re.findall(r"^\| `\$\{(\w+\.?)", TEXT[TEXT.index("## Variables"):], re.M)
    assert shown == known and len(known) > 10
    example = EXAMPLES[[e[0] for e in EXAMPLES].index("Variables 1")][1]
    assert all("${" + name in example for name in known if name not in ("peer", "request_id", "user"))
