/* Command lines. */
#include "cli/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define MOST 8

struct row {
    const char *label;
    const char *args[MOST];
    const char *
        what; /* "action conf prefix log command flags timeout overrides", or "!" and a part of the error */
};

static const struct row rows[] = {
    {"nothing", {0}, "0 - - - - . -1 0"},
    {"a file", {"-c", "x.ini"}, "0 x.ini - - - . -1 0"},
    {"joined", {"-cx.ini"}, "0 x.ini - - - . -1 0"},
    {"long", {"--config", "x.ini"}, "0 x.ini - - - . -1 0"},
    {"long, joined", {"--config=x.ini"}, "0 x.ini - - - . -1 0"},
    {"the last one wins", {"-c", "a", "-c", "b"}, "0 b - - - . -1 0"},
    {"test", {"-t"}, "1 - - - - . -1 0"},
    {"quiet test, joined", {"-tq"}, "1 - - - - q -1 0"},
    {"test with file, joined", {"-tqc", "x"}, "1 x - - - q -1 0"},
    {"print wins over test", {"-T", "-t"}, "2 - - - - . -1 0"},
    {"help wins over all", {"-h", "-t", "-v"}, "6 - - - - . -1 0"},
    {"command", {"-s", "reload"}, "3 - - - reload . -1 0"},
    {"command and file, in this order", {"-s", "stop", "-c", "x"}, "3 x - - stop . -1 0"},
    {"command and file, in that order", {"-c", "x", "-s", "stop"}, "3 x - - stop . -1 0"},
    {"json", {"-s", "status", "--json"}, "3 - - - status j -1 0"},
    {"timeout in seconds", {"--timeout", "5s", "-s", "stop"}, "3 - - - stop . 5000 0"},
    {"timeout with unit", {"--timeout=2m"}, "0 - - - - . 120000 0"},
    {"timeout in ms", {"--timeout=250ms"}, "0 - - - - . 250 0"},
    {"no timeout", {"--timeout=0"}, "0 - - - - . 0 0"},
    {"daemon", {"-D"}, "0 - - - - d -1 0"},
    {"prefix and log", {"-p", "/x", "-e", "stderr"}, "0 - /x stderr - . -1 0"},
    {"overrides", {"-g", "a.b=1", "--set=c.d=2"}, "0 - - - - . -1 2"},
    {"version", {"-v"}, "4 - - - - . -1 0"},
    {"build", {"-V"}, "5 - - - - . -1 0"},
    {"reference", {"--reference"}, "7 - - - - . -1 0"},
    {"unknown letter", {"-x"}, "!unknown option -x"},
    {"unknown letter behind known ones", {"-tqx"}, "!unknown option -x"},
    {"unknown word", {"--frobnicate"}, "!unknown option --frobnicate"},
    {"nearly a word", {"--confg", "x"}, "!did you mean --config?"},
    {"missing value", {"-c"}, "!-c needs a value"},
    {"missing long value", {"--config"}, "!--config needs a value"},
    {"empty value", {"-c", ""}, "!-c needs a value"},
    {"a value too many", {"--test=x"}, "!takes no value"},
    {"unknown command", {"-s", "restart"}, "!not \"restart\""},
    {"test and command", {"-t", "-s", "reload"}, "!not both"},
    {"command and print", {"-s", "reload", "-T"}, "!not both"},
    {"daemon and command", {"-D", "-s", "stop"}, "!not both"},
    {"two commands", {"-s", "stop", "-s", "reload"}, "!one -s at a time"},
    {"time without unit", {"--timeout=5"}, "!--timeout: \"5\" has no unit, such as 30s or 500ms"},
    {"bad time", {"--timeout=soon"}, "!--timeout takes a time"},
    {"time too long", {"--timeout=25000h"}, "!--timeout takes a time"},
    {"waits for nothing to be done", {"--wait=drained"}, "!-s reload (drained)"},
    {"stop that waits for old workers", {"-s", "stop", "--wait=drained"}, "!-s reload (drained)"},
    {"reload that waits for what", {"-s", "reload", "--wait=applied"}, "!--wait takes drained"},
    {"status that does not wait", {"-s", "status", "--no-wait"}, "!--no-wait goes with"},
    {"start that does not wait", {"--no-wait"}, "!--no-wait goes with"},
    {"waits and does not", {"-s", "reload", "--wait=drained", "--no-wait"}, "!not both"},
    {"does not wait for a value", {"-s", "stop", "--no-wait=1"}, "!--no-wait takes no value"},
    {"reload with new workers", {"-s", "reload", "--new-workers"}, "3 - - - reload . -1 0"},
    {"new workers without reload", {"-s", "stop", "--new-workers"}, "!goes with -s reload"},
    {"diff", {"diff"}, "11 - - - - . -1 0"},
    {"diff with a server's file", {"diff", "-c", "x"}, "11 x - - - . -1 0"},
    {"diff with a file", {"--json", "diff", "y"}, "11 - - - - j -1 0"},
    {"diff with two files", {"diff", "y", "z"}, "!diff takes one FILE"},
    {"diff and its exit status", {"diff", "--exit-code"}, "11 - - - - . -1 0"},
    {"exit status without diff", {"-t", "--exit-code"}, "!goes with cserver diff"},
    {"diff and command", {"diff", "-s", "reload"}, "!-s does not go with it"},
    {"diff and test", {"-T", "diff"}, "!-t does not go with it"},
    {"explain", {"explain", "GET http://x/"}, "12 - - - - . -1 0"},
    {"explain with settings", {"explain", "-", "-c", "x", "--json"}, "12 x - - - j -1 0"},
    {"explain with a request",
     {"explain", "-HA: b", "/", "--client=::1", "--user=u", "-lm"},
     "12 - - - - . -1 0"},
    {"explain without", {"explain", "-c", "x"}, "!explain needs a request"},
    {"explain unquoted", {"explain", "GET", "/x"}, "!quote it, as in cserver explain 'GET /x'"},
    {"explain - with a field", {"explain", "-", "-H", "A: b"}, "!from each line"},
    {"explain and command", {"explain", "/", "-s", "reload"}, "!-s does not go with explain"},
    {"explain and test", {"-t", "explain", "/"}, "!-t does not go with explain"},
    {"its option alone", {"--client", "::1"}, "!--client goes with cserver explain"},
    {"help of explain", {"explain", "-h"}, "6 - - - - . -1 0"},
    {"help of diff", {"diff", "-h"}, "6 - - - - . -1 0"},
    {"a command without -s", {"reload"}, "!did you mean -s reload?"},
    {"a word", {"x.ini"}, "!what is \"x.ini\"?"},
    {"a dash", {"-"}, "!what is \"-\"?"},
    {"two dashes", {"--"}, "!what is \"--\"?"},
};

/* "action verb topic data to applied timeout flags", or as above. */
static const struct row msg_rows[] = {
    {"topics", {"msg", "topics"}, "8 topics - - - 0 -1 ."},
    {"tail", {"msg", "tail", "a"}, "8 tail a - - 0 -1 ."},
    {"send", {"msg", "send", "a", "b"}, "8 send a b - 0 -1 ."},
    {"empty data", {"msg", "send", "a", ""}, "8 send a  - 0 -1 ."},
    {"a dash is data", {"msg", "send", "a", "-"}, "8 send a - - 0 -1 ."},
    {"options before it", {"-c", "x", "--json", "msg", "topics"}, "8 topics - - - 0 -1 j"},
    {"options between",
     {"msg", "--json", "send", "-q", "a", "--to=all", "b"},
     "8 send a b all 0 -1 q"},
    {"to the primary", {"msg", "send", "a", "b", "--to", "primary"}, "8 send a b primary 0 -1 ."},
    {"to a worker", {"msg", "send", "a", "b", "--to=worker:12"}, "8 send a b worker:12 0 -1 ."},
    {"applied", {"msg", "send", "a", "b", "--wait=applied"}, "8 send a b - 1 -1 ."},
    {"applied, in time",
     {"msg", "send", "a", "b", "--wait", "applied", "--timeout=1s"},
     "8 send a b - 1 1000 ."},
    {"behind dashes", {"msg", "send", "--", "a", "-b"}, "8 send a -b - 0 -1 ."},
    {"dashes behind dashes", {"msg", "send", "a", "--", "--"}, "8 send a -- - 0 -1 ."},
    {"words that are commands", {"msg", "send", "msg", "reload"}, "8 send msg reload - 0 -1 ."},
    {"help", {"msg", "--help"}, "6 - - - - 0 -1 ."},
    {"help for one", {"msg", "send", "-h"}, "6 send - - - 0 -1 ."},
    {"nothing", {"msg"}, "!msg needs one of"},
    {"unknown", {"msg", "replay"}, "!send, tail or topics, not \"replay\""},
    {"no topic", {"msg", "send"}, "!needs a topic and DATA"},
    {"no data", {"msg", "send", "a"}, "!needs a topic and DATA"},
    {"two data", {"msg", "send", "a", "b", "c"}, "!what is \"c\""},
    {"tail of nothing", {"msg", "tail"}, "!needs a topic"},
    {"tail of two", {"msg", "tail", "a", "b"}, "!what is \"b\""},
    {"topics of something", {"msg", "topics", "a"}, "!no topic"},
    {"worker 0", {"msg", "send", "a", "b", "--to=worker:0"}, "!--to takes"},
    {"to nobody", {"msg", "send", "a", "b", "--to="}, "!needs a value"},
    {"wait for what", {"msg", "send", "a", "b", "--wait=sent"}, "!--wait takes applied"},
    {"tail to somebody", {"msg", "tail", "a", "--to=all"}, "!--to goes with msg send"},
    {"tail that waits", {"msg", "tail", "a", "--wait=applied"}, "!--wait goes with msg send"},
    {"tail in time", {"msg", "tail", "a", "--timeout=1s"}, "!--timeout does not go"},
    {"with a test", {"msg", "topics", "-t"}, "!-t does not go with msg"},
    {"with a command", {"-s", "stop", "msg", "topics"}, "!-s does not go with msg"},
    {"with the version", {"msg", "topics", "-v"}, "!-v does not go with msg"},
    {"with the reference", {"msg", "--reference", "topics"}, "!--reference does not go with msg"},
    {"a negative number", {"msg", "send", "a", "-1"}, "!behind -- nothing is an option"},
    {"without msg", {"--to=all"}, "!--to goes with cserver msg send"},
    {"with another command",
     {"-s", "status", "--wait=applied"},
     "!--wait goes with cserver msg send"},
};

/* "action verb words|extra output conf dev listen flags", or as above. */
static const struct row module_rows[] = {
    {"new", {"module", "new", "a"}, "9 new a| - - - - ."},
    {"new in a folder", {"module", "new", "a", "x/y"}, "9 new a,x/y| - - - - ."},
    {"build here", {"module", "build"}, "9 build | - - - - ."},
    {"build files",
     {"module", "build", "a.c", "b.c", "-o", "x.so"},
     "9 build a.c,b.c| x.so - - - ."},
    {"build and say how", {"module", "-v", "build", "."}, "9 build .| - - - - v"},
    {"build with libraries",
     {"module", "build", "a.c", "--", "-lz", "-v"},
     "9 build a.c|-lz,-v - - - - ."},
    {"check", {"module", "check", "a.so", "b.so"}, "9 check a.so,b.so| - - - - ."},
    {"check as JSON", {"--json", "module", "check", "a.so"}, "9 check a.so| - - - - j"},
    {"info as Markdown", {"module", "info", "a.so", "--md"}, "9 info a.so| - - - - m"},
    {"list", {"module", "list"}, "9 list | - - - - ."},
    {"list of settings", {"-c", "x", "module", "list"}, "9 list | - x - - ."},
    {"list of settings, behind", {"module", "list", "-cx", "--json"}, "9 list | - x - - j"},
    {"help", {"module", "--help"}, "6 - | - - - - ."},
    {"help for one", {"module", "check", "-h"}, "6 check | - - - - ."},
    {"dev", {"--dev", "a.so"}, "10 - | - - a.so - ."},
    {"dev elsewhere", {"--dev=a.so", "-l", "8081"}, "10 - | - - a.so 8081 ."},
    {"dev with settings", {"--dev", "a.so", "-g", "a.b=1", "-q"}, "10 - | - - a.so - q"},
    {"dev and help", {"--dev", "a.so", "-h"}, "6 - | - - a.so - ."},
    {"nothing", {"module"}, "!module needs one of"},
    {"unknown", {"module", "frob"}, "!new, build, check, info or list, not \"frob\""},
    {"new without a name", {"module", "new"}, "!module new takes a name"},
    {"new with too much", {"module", "new", "a", "b", "c"}, "!module new takes a name"},
    {"check of nothing", {"module", "check"}, "!module check takes module files"},
    {"list of a file", {"module", "list", "x"}, "!module list takes no file"},
    {"output of check", {"module", "check", "a.so", "-o", "x"}, "!-o goes with module build"},
    {"talkative check", {"module", "check", "a.so", "-v"}, "!-v goes with module build"},
    {"dashes of check", {"module", "check", "a.so", "--", "b"}, "!-- goes with module build"},
    {"Markdown of check", {"module", "check", "a.so", "--md"}, "!--md goes with module info"},
    {"both", {"module", "info", "a.so", "--md", "--json"}, "!--md or --json: not both"},
    {"JSON of new", {"module", "new", "a", "--json"}, "!--json goes with module check"},
    {"settings of info",
     {"module", "info", "a.so", "-c", "x"},
     "!-c, -p and -g go with module list"},
    {"with a test", {"module", "list", "-t"}, "!-t does not go with module"},
    {"version before it", {"-v", "module", "build"}, "!-v does not go with module"},
    {"msg's option", {"module", "list", "--to=all"}, "!--to goes with cserver msg send"},
    {"unknown option", {"module", "build", "-O3"}, "!behind -- nothing is an option"},
    {"output without module", {"-o", "x"}, "!-o goes with cserver module"},
    {"Markdown without module", {"--md"}, "!--md goes with cserver module"},
    {"dev of nothing", {"--dev"}, "!--dev needs a value"},
    {"address without dev", {"-l", "8081"}, "!-l goes with --dev"},
    {"dev with a file", {"--dev", "a.so", "-c", "x"}, "!-c does not go with it"},
    {"dev in the background", {"--dev", "a.so", "-D"}, "!-D does not go with it"},
    {"dev that is told", {"--dev", "a.so", "-s", "reload"}, "3 - | - - a.so - ."},
    {"dev that is asked", {"msg", "topics", "--dev=a.so", "-l1"}, "8 topics | - - a.so 1 ."},
    {"dev that is told with a file",
     {"--dev", "a.so", "-s", "stop", "-c", "x"},
     "!-c does not go with it"},
    {"dev that is asked with a file",
     {"msg", "topics", "--dev", "a.so", "-p", "x"},
     "!-p does not go with it"},
    {"dev as a test", {"--dev", "a.so", "-t"}, "!-t does not go with it"},
    {"dev behind module", {"module", "list", "--dev", "a.so"}, "!--dev does not go with module"},
};

static const char *or_dash(const char *z)
{
    return z ? z : "-";
}

static void describe(const struct options *o, struct buf *out)
{
    buf_printf(out, "%d %s %s %s %s %s %lld %zu", (int)o->action, or_dash(o->conf),
               or_dash(o->prefix), or_dash(o->error_log), or_dash(o->command),
               o->daemon  ? "d"
               : o->quiet ? "q"
               : o->json  ? "j"
                          : ".",
               (long long)o->timeout_ms, o->noverrides);
}

static void describe_msg(const struct options *o, struct buf *out)
{
    buf_printf(out, "%d %s %s %s %s %d %lld %s", (int)o->action, or_dash(o->verb),
               or_dash(o->topic), or_dash(o->data), or_dash(o->to), o->wait != NULL,
               (long long)o->timeout_ms,
               o->quiet  ? "q"
               : o->json ? "j"
                         : ".");
}

static void describe_module(const struct options *o, struct buf *out)
{
    buf_printf(out, "%d %s ", (int)o->action, or_dash(o->verb));
    for (size_t i = 0; i < o->nwords; i++)
        buf_printf(out, "%s%s", i > 0 ? "," : "", o->words[i]);
    buf_add_char(out, '|');
    for (size_t i = 0; i < o->nextra; i++)
        buf_printf(out, "%s%s", i > 0 ? "," : "", o->extra[i]);
    buf_printf(out, " %s %s %s %s %s", or_dash(o->output), or_dash(o->conf), or_dash(o->dev),
               or_dash(o->listen),
               o->verbose ? "v"
               : o->md    ? "m"
               : o->json  ? "j"
               : o->quiet ? "q"
                          : ".");
}

static void try_row(const struct row *row, void (*tell)(const struct options *o, struct buf *out))
{
    char copies[MOST][32], *argv[MOST + 2] = {(char[]){"cserver"}};
    struct buf out = {0}, error = {0};
    struct options o;
    int argc = 1;

    for (int i = 0; i < MOST && row->args[i]; i++) {
        snprintf(copies[i], sizeof copies[i], "%s", row->args[i]);
        argv[argc++] = copies[i];
    }
    if (options_parse(argc, argv, &o, &error) == 0)
        tell(&o, &out);
    else
        buf_printf(&out, "!%s", error.p);
    if (row->what[0] == '!' ? !(out.p[0] == '!' && strstr(out.p, row->what + 1))
                            : strcmp(out.p, row->what) != 0)
        fail_msg("%s: %s, not %s", row->label, out.p, row->what);
    options_free(&o);
    buf_free(&out);
    buf_free(&error);
}

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        try_row(&rows[i], describe);
    for (size_t i = 0; i < sizeof msg_rows / sizeof *msg_rows; i++)
        try_row(&msg_rows[i], describe_msg);
    for (size_t i = 0; i < sizeof module_rows / sizeof *module_rows; i++)
        try_row(&module_rows[i], describe_module);
    printf("rows: %zu\n", sizeof rows / sizeof *rows + sizeof msg_rows / sizeof *msg_rows +
                              sizeof module_rows / sizeof *module_rows);
}

/* Every option has its line where it belongs, and lines fit a terminal. */
static void try_help(enum options_of of, const char *const there[], const char *const elsewhere[])
{
    struct buf out = {0};
    cs_str rest, line;

    options_help(&out, of);
    for (; *there; there++)
        if (!strstr(out.p, *there))
            fail_msg("%s is missing", *there);
    for (; *elsewhere; elsewhere++)
        if (strstr(out.p, *elsewhere))
            fail_msg("%s is there", *elsewhere);
    rest = buf_str(&out);
    while (str_split(&rest, '\n', &line))
        if (line.n > 100)
            fail_msg("too long: %.*s", (int)line.n, line.p);
    buf_free(&out);
}

static void test_help(void **state)
{
    static const char *const server[] = {"--test",      "--signal",  "--daemon",
                                         "--error-log", "--no-wait", NULL};
    static const char *const msg[] = {"--to", NULL};
    static const char *const module[] = {"--md",   "--output", "--verbose", "module new NAME",
                                         "--json", NULL};
    static const char *const both[] = {"--config", "--timeout", "--json",   "--wait", "--dev FILE",
                                       "--quiet",  "--help",    "--listen", NULL};
    static const char *const explain[] = {"--client", "--listen LABEL", "--user", "--header", NULL};
    static const char *const none[] = {NULL};

    (void)state;
    try_help(OPTIONS_SERVER, server, msg);
    try_help(OPTIONS_MSG, msg, server);
    try_help(OPTIONS_MODULE, module, msg);
    try_help(OPTIONS_EXPLAIN, explain, server);
    try_help(OPTIONS_SERVER, both, none);
    try_help(OPTIONS_MSG, both, none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows), cmocka_unit_test(test_help)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
