"""docs/api.md has every call, and a header whose calls are not described is refused."""
import os
import re
import subprocess
import sys

import pytest
from lib import cheader
from lib.server import SOURCE

APIDOC = os.path.join(SOURCE, "tests/lib/apidoc")
HEADER = os.path.join(SOURCE, "src/api/cserver/cserver.h")


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def apidoc(*args):
    done = subprocess.run([sys.executable, APIDOC, *args], text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, check=False)
    return done.returncode, done.stdout, done.stderr


def test_every_call_hook_type_and_macro_is_on_the_page():
    code, page, said = apidoc()
    assert (code, said) == (0, "")
    items = cheader.read(read(HEADER))
    names = {i.name for i in items if i.kind in ("struct", "opaque", "typedef") and i.name not in ("cs_api", "cs_module")}
    names |= {v.name for i in items if i.kind == "enum" for v in i.members if not v.name.startswith("CS_T_")}
    names |= {i.name for i in items if i.kind == "macro" and re.match(r"(cs|CS)_[A-Za-z]", i.name)}
    names |= {m.name for m in cheader.struct(items, "cs_module").members
              if m.kind == "member" and cheader.function_pointer(m.text)}
    missing = sorted(n for n in names if not re.search(rf"\b{n}\b", page))
    assert not missing and len(names) > 150


CHANGES = [
    ("a call without a comment", r"    /\* Monotonic milliseconds[^\n]*\*/\n", "\n    /* Time. */\n\n",
     "call now_ms has no comment"),
    ("a comment that does not name it", r"(    void \(\*zone_unlock\))", r"    int (*zone_try)(cs_zone *z);\n\1",
     "call zone_try has no comment: that of zone_lock above it does not name it"),
    ("a call without a short name", r"#define cs_now_ms\(\)[^\n]*\n", "", "call now_ms has no short name"),
    ("a call without a task", r"(    int64_t \(\*now_ms\)[^\n]*\n)", r"\1    /* Of the day. */\n    int64_t (*clock)(void);\n",
     "clock has no place in TASKS"),
    ("a hook without a comment", r"    /\* The request is over;[^\n]*\*/\n", "    /* Log. */\n\n", "hook on_log has no comment"),
    ("a call that is gone", r"    int64_t \(\*now_ms\)\(void\);\n", "", "TASKS of tests/lib/apidoc has now_ms"),
]


@pytest.mark.parametrize("pattern, replacement, sentence", [c[1:] for c in CHANGES], ids=[c[0] for c in CHANGES])
def test_refused(folder, pattern, replacement, sentence):
    text, n = re.subn(pattern, replacement, read(HEADER), count=1)
    assert n == 1
    path = os.path.join(folder, "changed.h")
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    code, page, said = apidoc(path)
    assert code and not page and sentence in said


def test_a_page_that_is_not_of_this_header_is_told(folder):
    path = os.path.join(folder, "changed.h")
    with open(path, "w", encoding="utf-8") as f:
        f.write(read(HEADER).replace("Monotonic milliseconds", "Milliseconds"))
    assert apidoc("--check", path) == (1, "", "docs/api.md is out of date: make docs\n")
