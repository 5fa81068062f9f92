"""Settings that must be refused, each for its own reason. Rows: name, words of the refusal, settings.

A row is a function of the server and its port that is busy; it returns (conf, keys of [server])."""
import os

from lib.server import build_module

GOOD = """
[module:hello]
[route:hello]
match = /hello
handler = hello
"""
ALIEN = """
    #include <cserver/cserver.h>
    #undef CS_ABI_MAJOR
    #define CS_ABI_MAJOR 7
    CS_MODULE(.name = "alien", .version = "1.0", .help = "Of another ABI.");
"""
CRASH = """
    #include <cserver/cserver.h>
    #include <signal.h>
    __attribute__((constructor)) static void crash(void) { { signal(SIGSEGV, SIG_DFL); raise(SIGSEGV); } }
    CS_MODULE(.name = "crash", .version = "1.0", .help = "Crashes when it is loaded.");
"""
HANDLER_CHECK = """
    #include <cserver/cserver.h>
    static int on_config(cs_conf *c, const void *conf) { (void)conf; return cs_conf_error(c, "x", "no such luck"); }
    CS_MODULE(.name = "picky", .version = "1.0", .help = "Refuses all settings.", .on_config = on_config);
"""
HUGE = """
    #include <cserver/cserver.h>
    static cs_zone *zone;
    static const cs_zone_def zones[] = {{.ref = &zone, .name = "all", .size = (size_t)1 << 40}, {0}};
    CS_MODULE(.name = "huge", .version = "1.0", .help = "Wants too much.", .zones = zones);
"""


def module(server, name, source):
    path = server.path(f"{name}.so")
    if not os.path.exists(path):
        build_module(server.folder, name, source)
    return f"[module:{name}]\nfile = {path}\n"


ROWS = [
    ("syntax", ["cserver.ini:", "]"], lambda s, busy: ("[route:open\nmatch = /x\nhandler = hello\n", {})),
    ("unknown key", ["max_bodi", "max_body"], lambda s, busy: ("[limits]\nmax_bodi = 1m\n", {})),
    ("busy port", ["in use", "address"], lambda s, busy: (
        f"[listen:main]\naddress = 127.0.0.1:@PORT@\n[listen:busy]\naddress = 127.0.0.1:{busy}\n", {})),
    ("missing .so", ["ghost.so"], lambda s, busy: ("[module:ghost]\n", {})),
    (".so of another ABI", ["alien", "7"], lambda s, busy: (module(s, "alien", ALIEN), {})),
    ("crashing .so", ["crash", "SIGSEGV", "[module:crash]"], lambda s, busy: (module(s, "crash", CRASH), {})),
    ("unwritable log", ["error_log", "cannot write the log"], lambda s, busy: ("", {"error_log": s.conf + "/x.log"})),
    ("missing root", ["root", "nothing"], lambda s, busy: (f"[site:default]\nroot = {s.path('nothing')}\n", {})),
    ("bad regex", ["match"], lambda s, busy: ("[route:re]\nmatch = ~ ^/(x$\nhandler = hello\n", {})),
    ("unknown user", ["nobody_has_this_name"], lambda s, busy: ("", {"user": "nobody_has_this_name"})),
    ("settings the module refuses", ["no such luck"], lambda s, busy: (module(s, "picky", HANDLER_CHECK), {})),
    ("shared memory too big", ["cannot make its zone", "memory"], lambda s, busy: (module(s, "huge", HUGE), {})),
    ("threads and files that wait for the disk", ["disk_threads", "1 to 64", "disk_queue"], lambda s, busy: (
        "", {"disk_threads": 65, "disk_queue": 0})),
    ("a stack that is too small", ["task_stack", "32k"], lambda s, busy: ("", {"task_stack": "8k"})),
    ("too many workers", ["max_workers"], lambda s, busy: ("", {"workers": 40, "max_workers": 30})),
]
NAMES = [row[0] for row in ROWS]


def write(server, row, busy):
    """Writes the row's settings on top of the good ones; server.keys stay those of the good ones."""
    conf, keys = row[2](server, busy)
    kept = dict(server.keys)
    server.configure(GOOD + conf, **keys)
    server.keys = kept


def check(row, text):
    for word in row[1]:
        assert word in text, f"{row[0]}: {word!r} is not in:\n{text}"
    assert "cserver.ini:" in text, text
