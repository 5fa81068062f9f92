"""What the scenarios of crashes have in common: the module crash (modules/crash.c), and how to start a server with it."""
import os
import re
import subprocess

from .server import BUILD, PROGRAM, SOURCE, build_module

CODE = os.path.join(SOURCE, "tests/lib/modules/crash.c")
# A sanitizer would take the signals itself.
QUIET = {"ASAN_OPTIONS": "detect_leaks=0:handle_segv=0:handle_sigbus=0:handle_sigfpe=0:handle_sigill=0:handle_abort=0"}
SETTINGS = """
[module:crash]
file = {so}
[route:crash]
match = /crash
handler = crash
[module:hello]
[route:hello]
match = /hello
handler = hello
"""


def build(folder, change=lambda source: source):
    with open(CODE, encoding="utf-8") as f:
        return build_module(folder, "crash", change(f.read()), "-g -fno-omit-frame-pointer")


def is_sanitized():
    return b"__asan_init" in subprocess.run(["nm", PROGRAM], stdout=subprocess.PIPE, check=True).stdout


def line_of(so, offset):
    """FILE:LINE of an offset in a report, as docs/architecture.md tells to find it."""
    done = subprocess.run(["addr2line", "-e", so, offset], text=True, stdout=subprocess.PIPE, check=True)
    return done.stdout.strip()


def hit(server, path):
    """One request; b"" when the connection ended without an answer."""
    return server.raw(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())


def lines(server, pattern):
    return [line for line in server.log().splitlines() if re.search(pattern, line)]
