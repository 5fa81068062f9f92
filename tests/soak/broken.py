"""Settings that must be refused, each in its own way: for the tests that reload them under load."""
import socket

from soak import MODULES, build_module

ALIEN = """
    #include <cserver/cserver.h>
    #undef CS_ABI_MAJOR
    #define CS_ABI_MAJOR 9
    static int handler(cs_req *r) { return cs_text(r, 200, "alien"); }
    CS_MODULE(.name = "alien", .version = "1.0", .help = "Of another ABI.", .handler = handler);
"""
CRASH = """
    #include <cserver/cserver.h>
    #include <signal.h>
    __attribute__((constructor)) static void crash(void)
    {
        signal(SIGSEGV, SIG_DFL); /* no report of a sanitizer, only the death */
        raise(SIGSEGV);
    }
    static int handler(cs_req *r) { return cs_text(r, 200, "never"); }
    CS_MODULE(.name = "crash", .version = "1.0", .help = "Crashes when it is loaded.", .handler = handler);
"""


def good(greeting):
    """MODULES with this answer of /hello."""
    return MODULES.replace("handler = hello", f"handler = hello\n    greeting = {greeting}")


class Broken:
    """One way to be wrong: more settings, or other keys of [server]; `word` must stand in the refusal."""

    def __init__(self, name, word, conf="", **keys):
        self.name, self.word, self.conf, self.keys = name, word, conf, keys

    def write(self, server, greeting):
        """The settings that are fine but for this, under other keys of [server] than the good ones where need be."""
        kept = dict(server.keys)
        server.configure(good(greeting) + self.conf, **self.keys)
        server.keys = kept


def all_broken(run, server):
    """The ten of them; each also changes the greeting, so that one that goes live is seen."""
    busy = socket.create_server(("127.0.0.1", 0))
    run.busy = busy  # lives as long as the run
    alien = build_module(run.folder, "alien", ALIEN)
    crash = build_module(run.folder, "crash", CRASH)
    taken = busy.getsockname()[1]
    return (
        Broken("syntax", "cserver.ini:", "\n    [route:open\n    match = = /open\n    handler = hello\n"),
        Broken("unknown key", "max_body", "\n    [limits]\n    max_bodi = 1m\n"),
        Broken("busy port", str(taken), f"\n    [listen:main]\n    address = 127.0.0.1:@PORT@\n"
                                        f"    [listen:busy]\n    address = 127.0.0.1:{taken}\n"),
        Broken("missing .so", "ghost.so", "\n    [module:ghost]\n    file = ghost.so\n"),
        Broken(".so of another ABI", "alien", f"\n    [module:alien]\n    file = {alien}\n"),
        Broken("crashing .so", "crash", f"\n    [module:crash]\n    file = {crash}\n"),
        Broken("unwritable log", "error_log", error_log=server.conf + "/error.log"),
        Broken("unreadable root", "root", f"\n    [site:default]\n    root = {server.path('nothing')}\n"),
        Broken("bad regex", "match", "\n    [route:wild]\n    match = ~ ^/u/(\\d+$\n    handler = hello\n"),
        Broken("unknown user", "nobody_has_this_name", user="nobody_has_this_name"),
    )
