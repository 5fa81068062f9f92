"""Reloads that must be judged: each row is a way to be bad, with the exit code and the words that say so (P35). Between
them go good ones, which must go live. Whatever the verdict, status, log and answers agree with it.

    rounds = Rounds(server, folder)
    server.start()
    rounds.go(50)               bad and good in turn; a list of sentences, empty when all were judged right
"""
import json
import os

from .server import build_module

TRICKS = """
    #include <cserver/cserver.h>
    #include <signal.h>
    #include <unistd.h>

    typedef struct { int64_t trick; } settings;
    static const char *const tricks[] = {"none", "refuse", "crash", "fail", "exit", "die_later", 0};
    static const cs_directive directives[] = {
        CS_ENUM(settings, trick, "none", tricks, 0, "What goes wrong."), CS_END};

    static cs_zone *zone; /* how many have started that are to die later */
    static const cs_zone_def zones[] = {{&zone, "starts", 64, NULL, NULL}, {0}};

    static void die(void) { signal(SIGSEGV, SIG_DFL); raise(SIGSEGV); }
    static int on_config(cs_conf *c, const void *conf)
    {
        const settings *s = conf;
        return s->trick == 1 ? cs_conf_error(c, "trick", "no such luck") : CS_OK;
    }
    static int on_start(cs_proc *p)
    {
        const settings *s = cs_module_conf(p);
        if (s->trick == 2) die();
        if (s->trick == 4) _exit(9);
        if (s->trick == 5 && __atomic_fetch_add((int *)cs_zone_of(zone), 1, __ATOMIC_RELAXED) % 2) die();
        return s->trick == 3 ? CS_ERROR : CS_OK;
    }
    static int handler(cs_req *r)
    {
        if (cs_query(r, "die").p) die();
        if (cs_query(r, "end").p) _exit(9);
        if (cs_query(r, "hang").p) for (;;) pause();
        return cs_text(r, cs_query(r, "ill").p ? 503 : 200, "no trick");
    }
    CS_MODULE(.name = "tricks", .version = "1.0", .help = "Goes wrong.", .directives = directives,
              .conf_size = sizeof(settings), .zones = zones, .on_config = on_config, .worker_start = on_start, .handler = handler);
"""
REFUSED, ROLLED_BACK = 78, 70
HELLO = """
[module:hello]
[module:tricks]
file = @TRICKS@
{trick}
[route:hello]
match = = /hello
handler = hello
greeting = {greeting}
[route:tricks]
match = = /tricks
handler = tricks
{more}
"""
NEXT = "[route:{0}]\nmatch = = /{0}\nhandler = hello\n"


def probe(*requests, timeout="50s"):
    return f"[reload]\nprobe = {', '.join(requests)}\nprobe_timeout = {timeout}\n"


# name, exit code, words, setting of the module, more settings. @OLD@ is a path that only the running settings know, @NEW@
# one that only these know.
BAD = [
    ("syntax", REFUSED, "cserver.ini:", "", "[route:open\n"),
    ("answers 503", ROLLED_BACK, "with 503", "", probe("GET /hello 200", "GET /tricks?ill=1 2xx")),
    ("crashes at its start", ROLLED_BACK, "SIGSEGV", "trick = crash", ""),
    ("unknown key", REFUSED, "max_body", "", "[limits]\nmax_bodi = 1\n"),
    ("only the old ones know it", ROLLED_BACK, "with 404", "", probe("GET @OLD@ 200")),
    ("crashes when asked", ROLLED_BACK, "SIGSEGV", "", probe("GET /tricks?die=1 200")),
    ("missing file", REFUSED, "ghost.so", "", "[module:ghost]\n"),
    ("does not answer", ROLLED_BACK, "has not answered", "", probe("GET /tricks?hang=1 200", timeout="100ms")),
    ("fails at its start", ROLLED_BACK, "status 1", "trick = fail", ""),
    ("refused by the module", REFUSED, "no such luck", "trick = refuse", ""),
    ("ends when asked", ROLLED_BACK, "status 9", "", probe("GET /tricks?end=1 200")),
    ("ends at its start", ROLLED_BACK, "status 9", "trick = exit", ""),
    ("the other worker crashes", ROLLED_BACK, "SIGSEGV", "trick = die_later", probe("GET /hello 200")),
    ("bad probe", REFUSED, "no status", "", probe("GET /hello 99")),
]


class Rounds:
    def __init__(self, server, folder):
        self.server = server
        self.tricks = build_module(os.path.join(folder, "tricks"), "tricks", TRICKS)
        self.number = 0
        self.live = None  # of the last good ones
        self.faults = []
        self.good("first")

    def write(self, greeting, trick="", more=""):
        text = HELLO.format(greeting=greeting, trick=trick, more=more)
        self.server.configure(text.replace("@TRICKS@", self.tricks))

    def good(self, name):
        """Only these know the path /NAME, and are asked for it. Every third of them is not asked."""
        asks = probe(f"GET /{name} 200", f"GET /{self.live} 404") if self.number % 3 else ""
        self.write(name, more=NEXT.format(name) + asks)
        self.live = name

    def bad(self, row):
        _, _, _, trick, more = row
        self.write("of bad ones", trick, more.replace("@OLD@", f"/{self.live}"))

    def status(self):
        return json.loads(self.server.ctl("status", "--json").stdout)

    def go(self, n):
        before = self.status()
        for i in range(n):
            self.number += 1
            row = BAD[i // 2 % len(BAD)] if i % 2 == 0 else None
            before = self.one(row, before)
        return self.faults

    def fault(self, what, detail):
        self.faults.append(f"round {self.number}, {what}: {detail}")

    def one(self, row, before):
        """One reload; returns the status after it."""
        if row:
            self.bad(row)
        else:
            self.good(f"round{self.number}")
        what, code, words = row[:3] if row else ("good", 0, "is live")
        done = self.server.ctl("reload")
        if done.returncode != code or words not in done.stdout + done.stderr:
            self.fault(what, f"exit code {done.returncode} and not {code}, or no {words!r}: {done.stdout}{done.stderr}")
        now = self.status()
        self.judge_status(what, row is None, before, now)
        self.judge_answers(what)
        return now

    def judge_status(self, what, good, before, now):
        changed = now["generation"] != before["generation"]
        if now["pid"] != before["pid"] or changed != good or now["generation"] < before["generation"]:
            self.fault(what, f"generation {before['generation']} and then {now['generation']}, master {now['pid']}")
        if now["last_reload"]["ok"] != good or (now["state"] != "running"):
            self.fault(what, f"{now['state']}: {now['last_reload']}")
        counts = {k: now[k] - before[k] for k in ("reloads", "reloads_failed")}
        if counts != {"reloads": int(good), "reloads_failed": int(not good)}:
            self.fault(what, counts)
        if any(m["quarantined"] for m in now["modules"]):
            self.fault(what, f"quarantine: {now['modules']}")

    def judge_answers(self, what):
        """Those of the last good settings, on new connections."""
        seen = {(self.server.get("/hello").text, self.server.get(f"/{self.live}").status,
                 self.server.get("/tricks").text) for _ in range(3)}
        if seen != {(f"{self.live}\n", 200, "no trick")}:
            self.fault(what, f"answers {seen}, not those of {self.live}")
