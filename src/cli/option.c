/* option.c - the table of option.h, and the help texts around it. */
#include "cli/option.h"

#include "base/check.h"

#include <stdio.h>

static const struct option table[] = {
    {'c', OF_SERVER | OF_MSG | OF_EXPLAIN, "config", "FILE",
     "settings file; else conf/cserver.ini here, else the installed one", NULL},
    {'c', OF_MODULE, "config", "FILE", "list: settings that name more; else as for cserver itself",
     NULL},
    {'p', OF_SERVER | OF_MSG | OF_EXPLAIN, "prefix", "DIR",
     "folder that relative paths in the settings are below", NULL},
    {'g', OF_SERVER | OF_MSG | OF_EXPLAIN, "set", "SECTION.KEY=VALUE",
     "a setting that goes before the file's; may be repeated", NULL},
    {'e', OF_SERVER, "error-log", "FILE", "error log until the settings are read, or stderr", NULL},
    {'t', OF_SERVER, "test", NULL, "test the settings and everything they name, change nothing",
     NULL},
    {'T', OF_SERVER, "print", NULL,
     "test, and print all settings in force with where each comes from", NULL},
    {'q', OF_SERVER | OF_MSG, "quiet", NULL, "print errors only; the error log keeps its level",
     "print errors only"},
    {'s', OF_SERVER, "signal", "COMMAND",
     "tell a running server: stop, quit, reload, reopen, upgrade, status", NULL},
    {0, OF_MSG, "to", "WHOM", "all (workers and the primary), workers, primary, or worker:N", NULL},
    {0, OF_SERVER | OF_MSG, "wait", "WHAT",
     "drained: -s reload waits until the old workers have gone, too",
     "applied: return when all it is for have handled the message"},
    {0, OF_SERVER, "no-wait", NULL, "-s only asks for it, and does not wait for what comes of it",
     NULL},
    {0, OF_SERVER, "new-workers", NULL, "-s reload starts new workers, whatever has changed", NULL},
    {0, OF_SERVER, "exit-code", NULL, "diff: 1 where there are differences, as diff does", NULL},
    {0, OF_SERVER | OF_MSG, "timeout", "TIME",
     "how long -s and diff wait, such as 30s (0: for ever)",
     "how long to wait for that, such as 500ms; else 5s (0: for ever)"},
    {0, OF_SERVER | OF_MSG, "json", NULL, "-s and diff print the server's answer as it is",
     "print the server's answer as it is; tail: an object for each message"},
    {'D', OF_SERVER, "daemon", NULL, "go to the background once the server is ready", NULL},
    {0, OF_SERVER | OF_MSG, "dev", "FILE.so",
     "try a module: one worker, all paths, debug log; with -s: tell that one",
     "the server that cserver --dev FILE.so has started"},
    {'l', OF_SERVER | OF_MSG, "listen", "ADDRESS",
     "--dev: a port, an address with one, or unix:PATH; else 127.0.0.1:8080",
     "--dev: the address that it was started with"},
    {'v', OF_SERVER, "version", NULL, "print the version", NULL},
    {'V', OF_SERVER, "build", NULL, "print version, build options, module ABI and libraries", NULL},
    {0, OF_SERVER, "reference", NULL, "print the manual of all settings, in Markdown", NULL},
    {'o', OF_MODULE, "output", "FILE.so", "build: what to make; else NAME.so in the folder", NULL},
    {'v', OF_MODULE, "verbose", NULL, "build: print the compiler's command line", NULL},
    {0, OF_MODULE, "json", NULL, "check, info, list: print JSON", NULL},
    {0, OF_MODULE, "md", NULL, "info: print Markdown, as in the manual of the settings", NULL},
    {'H', OF_EXPLAIN, "header", "'NAME: VALUE'", "a header field of the request; may be repeated",
     NULL},
    {0, OF_EXPLAIN, "client", "ADDRESS", "where the connection comes from; else 127.0.0.1", NULL},
    {'l', OF_EXPLAIN, "listen", "LABEL",
     "the [listen:LABEL] that it comes to; else by the port of the URL", NULL},
    {0, OF_EXPLAIN, "user", "NAME", "somebody who has proved to be NAME", NULL},
    {0, OF_EXPLAIN, "json", NULL, "print a JSON object, in one line", NULL},
    {'h', OF_SERVER | OF_MSG | OF_MODULE | OF_EXPLAIN, "help", NULL,
     "print this; also cserver explain --help, msg --help, module --help", "print this"}};

#define HINT_DIST 2

const struct option *option_by_letter(char c, unsigned mode)
{
    const struct option *other = NULL;

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        if (table[i].letter == c && table[i].of & mode)
            return &table[i];
        if (table[i].letter == c && !other)
            other = &table[i];
    }
    return other;
}

const struct option *option_by_word(cs_str word, unsigned mode)
{
    const struct option *other = NULL;

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        if (str_is(word, table[i].word) && table[i].of & mode)
            return &table[i];
        if (str_is(word, table[i].word) && !other)
            other = &table[i];
    }
    return other;
}

const char *option_nearest(cs_str word)
{
    unsigned best = HINT_DIST + 1;
    const char *found = NULL;

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        unsigned d = str_distance(word, str_of(table[i].word), HINT_DIST);

        if (d < best) {
            best = d;
            found = table[i].word;
        }
    }
    return found;
}

/* ---- Help ---- */

static void put_help(const struct option *opt, bool plain, struct buf *out)
{
    char head[64];
    int n = snprintf(head, sizeof head, "--%s%s%s", opt->word, opt->value ? " " : "",
                     opt->value ? opt->value : "");

    if (opt->letter)
        buf_printf(out, "  -%c, %-24s", opt->letter, head);
    else
        buf_printf(out, "      %-24s", head);
    buf_printf(out, "%s%s\n", n >= 24 ? "\n                              " : "",
               plain && opt->msg_help ? opt->msg_help : opt->help);
}

static const char server_head[] =
    "cserver serves web sites by modules. Without options it runs in the foreground.\n\n"
    "usage: cserver [options]\n"
    "       cserver diff [FILE] [options]    what a reload would change in the running server, or "
    "FILE\n"
    "       cserver explain 'GET http://example.com/users/7?x=1'    what becomes of a request, and "
    "why:\n"
    "                                        cserver explain --help\n"
    "       cserver msg send TOPIC DATA | tail TOPIC | topics    messages: cserver msg --help\n"
    "       cserver module new | build | check | info | list     modules: cserver module "
    "--help\n\n";

static const char server_tail[] =
    "\nexit status:\n"
    "   0  done; also with --no-wait: asked for\n"
    "   1  failed; the sentence on standard error says why; diff --exit-code: differences\n"
    "   2  wrong usage (of cserver msg: 64)\n"
    "   3  -s status: no server is running\n"
    "   4  no permission to talk to that server\n"
    "   7  -s anything else: no server is running\n"
    "  70  the new settings were good, but did not start: rolled back, the old ones stay\n"
    "  75  no answer in time: it is not known what has happened, or will\n"
    "  78  settings refused, with file and line; a server that runs keeps its own\n";

static const char msg_head[] =
    "Messages to and between the processes of a running server.\n\n"
    "usage: cserver msg send TOPIC DATA [options]    send DATA; - reads it from standard input\n"
    "       cserver msg tail TOPIC [options]         show messages as they go, until interrupted:\n"
    "                                                sender, number, hops, data\n"
    "       cserver msg topics [options]             the topics, and what has gone through "
    "them\n\n";

static const char msg_tail[] =
    "\nexit status: 0 sent, or applied; 1 failed; 4 no permission; 7 not running; 64 usage;\n"
    "  75 not applied in time (it says by whom), or no answer\n";

static const char module_head[] =
    "Handler modules: from nothing to a tested one, and a look at those that are there.\n\n"
    "usage: cserver module new NAME [FOLDER]         a module with test, Makefile and README in "
    "FOLDER\n"
    "                                                (else ./NAME), which must not be there "
    "yet\n"
    "       cserver module build [FOLDER | FILES.c]  compile it with $CC and check it; what is "
    "behind\n"
    "                                                -- goes to the compiler\n"
    "       cserver module check FILE.so...          would this cserver take it, and is it made "
    "well?\n"
    "       cserver module info FILE.so...           hooks, settings, counters, zones, topics\n"
    "       cserver module list                      the modules of the module folder and of the "
    "settings\n\n"
    "Then try it: cserver --dev NAME.so\n\n";

static const char module_tail[] =
    "\nenvironment of build: CC, CPPFLAGS, CFLAGS, LDFLAGS, LDLIBS\n"
    "exit status: 0 done, and good; 1 failed, or would be refused; 2 usage\n";

static const char explain_head[] =
    "What the settings make of a request: listener, site, route (and which came near), rewrites,\n"
    "limits, what each module says, and the answer's head with the origin of every field. Nothing "
    "is\n"
    "started, asked over a network, or changed: modules tell what they would do.\n\n"
    "usage: cserver explain '[METHOD] URL' [options]    one request\n"
    "       cserver explain - [options]                 one a line from standard input, to JSON "
    "lines:\n"
    "                                                   as above, or an object with request, "
    "headers,\n"
    "                                                   client, listen, user\n\n";

static const char explain_tail[] = "\nexit status: 0 explained, whatever the answer would be; 1 "
                                   "failed; 2 usage, or a line that is\n"
                                   "  no request; 78 settings refused, with file and line\n";

void options_help(struct buf *out, enum options_of of)
{
    static const struct {
        const char *head, *tail;
    } pages[] = {[OPTIONS_SERVER] = {server_head, server_tail},
                 [OPTIONS_MSG] = {msg_head, msg_tail},
                 [OPTIONS_MODULE] = {module_head, module_tail},
                 [OPTIONS_EXPLAIN] = {explain_head, explain_tail}};

    buf_add_z(out, pages[of].head);
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (table[i].of & OF(of))
            put_help(&table[i], of != OPTIONS_SERVER, out);
    buf_add_z(out, pages[of].tail);
}
