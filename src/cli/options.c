/* options.c - see options.h. Options may stand in any order; "-c FILE", "-cFILE", "--config FILE"
 * and "--config=FILE" are the same, and short ones without a value may be joined: -tq. */
#include "cli/options.h"

#include "base/check.h"
#include "base/mem.h"
#include "proc/msgtext.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SERVER = 1, /* without msg */
    MSG = 2     /* behind msg */
};

struct option {
    char letter; /* 0: none */
    unsigned of;
    const char *word;
    const char *value; /* what it takes, for the help; NULL: nothing */
    const char *help;
    const char *msg_help; /* where it is another one behind msg; else NULL */
};

static const struct option table[] = {
    {'c', SERVER | MSG, "config", "FILE",
     "settings file; else conf/cserver.ini here, else the installed one", NULL},
    {'p', SERVER | MSG, "prefix", "DIR", "folder that relative paths in the settings are below",
     NULL},
    {'g', SERVER | MSG, "set", "SECTION.KEY=VALUE",
     "a setting that goes before the file's; may be repeated", NULL},
    {'e', SERVER, "error-log", "FILE", "error log until the settings are read, or stderr", NULL},
    {'t', SERVER, "test", NULL, "test the settings and everything they name, change nothing", NULL},
    {'T', SERVER, "print", NULL, "test, and print all settings in force with where each comes from",
     NULL},
    {'q', SERVER | MSG, "quiet", NULL, "print errors only; the error log keeps its level",
     "print errors only"},
    {'s', SERVER, "signal", "COMMAND", "tell a running server: stop, quit, reload, reopen, status",
     NULL},
    {0, MSG, "to", "WHOM", "all (workers and the primary), workers, primary, or worker:N", NULL},
    {0, MSG, "wait", "applied", "return when all it is for have handled the message", NULL},
    {0, SERVER | MSG, "timeout", "TIME", "how long -s waits, such as 30s (0: for ever)",
     "how long to wait for that, such as 500ms; else 5s (0: for ever)"},
    {0, SERVER | MSG, "json", NULL, "-s prints the server's answer as it is",
     "print the server's answer as it is; tail: an object for each message"},
    {'D', SERVER, "daemon", NULL, "go to the background once the server is ready", NULL},
    {'v', SERVER, "version", NULL, "print the version", NULL},
    {'V', SERVER, "build", NULL, "print version, build options, module ABI and libraries", NULL},
    {0, SERVER, "reference", NULL, "print the manual of all settings, in Markdown", NULL},
    {'h', SERVER | MSG, "help", NULL, "print this; cserver msg --help tells about messages",
     "print this"}};

#define NONE      ((const struct option *)0)
#define MAX_TIME  (24u * 3600 * 1000)
#define HINT_DIST 2

#define BEHIND_DASHES "; behind -- nothing is an option"

static const struct option *by_letter(char c)
{
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (table[i].letter == c)
            return &table[i];
    return NONE;
}

static const struct option *by_word(cs_str word)
{
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (str_is(word, table[i].word))
            return &table[i];
    return NONE;
}

static const char *nearest(cs_str word)
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

/* "30s", "500ms", "2m"; a plain number is seconds. */
static bool parse_time(const char *text, int64_t *ms)
{
    size_t digits = strspn(text, "0123456789");
    const char *unit = text + digits;
    uint64_t n, factor = strcmp(unit, "ms") == 0            ? 1
                         : !*unit || strcmp(unit, "s") == 0 ? 1000
                         : strcmp(unit, "m") == 0           ? 60000
                                                            : 0;

    if (factor == 0 || !str_to_u64((cs_str){text, digits}, MAX_TIME / factor, &n))
        return false;
    *ms = (int64_t)(n * factor);
    return true;
}

static bool is_one_of(const char *word, const char *const words[])
{
    for (; *words; words++)
        if (strcmp(word, *words) == 0)
            return true;
    return false;
}

static bool is_command(const char *word)
{
    static const char *const words[] = {"stop", "quit", "reload", "reopen", "status", NULL};

    return is_one_of(word, words);
}

static void add_override(struct options *o, const char *text)
{
    o->overrides = mem_resize(o->overrides, (o->noverrides + 1) * sizeof *o->overrides);
    o->overrides[o->noverrides++].text = text;
}

/* Where several actions are asked for, printing wins over testing over running. */
static void want(struct options *o, enum action action)
{
    if (action > o->action)
        o->action = action;
}

static int take_command(struct options *o, const char *word, struct buf *error)
{
    if (!word || !is_command(word)) {
        buf_printf(error, "-s takes stop, quit, reload, reopen or status, not \"%s\"",
                   word ? word : "");
        return -1;
    }
    if (o->command) {
        buf_printf(error, "one -s at a time: \"%s\" or \"%s\"", o->command, word);
        return -1;
    }
    o->command = word;
    want(o, ACTION_COMMAND);
    return 0;
}

static int take_whom(struct options *o, const char *value, struct buf *error)
{
    int ignored;

    o->to = value;
    if (msgtext_target(str_of(value), &ignored))
        return 0;
    buf_printf(error, "--to takes all, workers, primary or worker:N (N = 1, 2 ...), not \"%s\"",
               value);
    return -1;
}

static int take_wait(struct options *o, const char *value, struct buf *error)
{
    o->applied = true;
    if (strcmp(value, "applied") == 0)
        return 0;
    buf_printf(error, "--wait takes applied, not \"%s\"", value);
    return -1;
}

static int take_word(struct options *o, const char *word, const char *value, struct buf *error)
{
    if (value && strcmp(word, "to") == 0)
        return take_whom(o, value, error);
    if (value && strcmp(word, "wait") == 0)
        return take_wait(o, value, error);
    if (value && strcmp(word, "timeout") == 0) {
        if (parse_time(value, &o->timeout_ms))
            return 0;
        buf_printf(error, "--timeout takes a time such as 30s or 2m, up to 24 hours, not \"%s\"",
                   value);
        return -1;
    }
    if (strcmp(word, "json") == 0)
        o->json = true;
    else
        want(o, ACTION_REFERENCE);
    return 0;
}

static int take(struct options *o, const struct option *opt, const char *value, struct buf *error)
{
    switch (opt->letter) {
    case 'c':
        o->conf = value;
        return 0;
    case 'p':
        o->prefix = value;
        return 0;
    case 'g':
        add_override(o, value);
        return 0;
    case 'e':
        o->error_log = value;
        return 0;
    case 't':
        o->testing = true;
        want(o, ACTION_TEST);
        return 0;
    case 'T':
        o->testing = true;
        want(o, ACTION_PRINT);
        return 0;
    case 'q':
        o->quiet = true;
        return 0;
    case 's':
        return take_command(o, value, error);
    case 'D':
        o->daemon = true;
        return 0;
    case 'v':
        want(o, ACTION_VERSION);
        return 0;
    case 'V':
        want(o, ACTION_BUILD);
        return 0;
    case 'h':
        want(o, ACTION_HELP);
        return 0;
    default:
        return take_word(o, opt->word, value, error);
    }
}

struct args {
    int n, at;
    char **v;
    /* One that was seen and goes only without msg, and one only with it. */
    const struct option *server, *msg;
};

static int take_option(struct args *a, struct options *o, const struct option *opt,
                       const char *value, struct buf *error)
{
    if (opt->of == SERVER)
        a->server = opt;
    if (opt->of == MSG)
        a->msg = opt;
    return take(o, opt, value, error);
}

/* The value that is joined to the option, or the next argument. */
static const char *value_of(struct args *a, const char *joined)
{
    if (joined)
        return joined;
    return a->at + 1 < a->n ? a->v[++a->at] : NULL;
}

static int miss_value(const char *name, const struct option *opt, struct buf *error)
{
    buf_printf(error, "%s needs a value: %s %s", name, name, opt->value);
    return -1;
}

static int parse_long(struct args *a, struct options *o, struct buf *error)
{
    const char *arg = a->v[a->at] + 2, *eq = strchr(arg, '=');
    cs_str word = {arg, eq ? (size_t)(eq - arg) : strlen(arg)};
    const struct option *opt = by_word(word);
    const char *value = NULL, *hint = nearest(word);

    if (!opt) {
        buf_printf(error, "unknown option --%.*s", CS_F(word));
        if (hint)
            buf_printf(error, "; did you mean --%s?", hint);
        buf_add_z(error, o->msg ? BEHIND_DASHES : "");
        return -1;
    }
    if (eq && !opt->value) {
        buf_printf(error, "--%s takes no value", opt->word);
        return -1;
    }
    if (opt->value)
        value = value_of(a, eq ? eq + 1 : NULL);
    if (opt->value && (!value || !*value))
        return miss_value(a->v[eq ? a->at : a->at - (value ? 1 : 0)], opt, error);
    return take_option(a, o, opt, value, error);
}

static int parse_short(struct args *a, struct options *o, struct buf *error)
{
    const char *arg = a->v[a->at];
    char name[3] = "-?";

    for (const char *p = arg + 1; *p; p++) {
        const struct option *opt = by_letter(*p);
        const char *value;

        name[1] = *p;
        if (!opt) {
            buf_printf(error, "unknown option %s%s", name, o->msg ? BEHIND_DASHES : "");
            return -1;
        }
        if (!opt->value) {
            take_option(a, o, opt, NULL, error);
            continue;
        }
        value = value_of(a, p[1] ? p + 1 : NULL);
        return !value || !*value ? miss_value(name, opt, error)
                                 : take_option(a, o, opt, value, error);
    }
    return 0;
}

/* ---- msg ---- */

static int take_verb(struct options *o, const char *word, struct buf *error)
{
    static const char *const verbs[] = {"send", "tail", "topics", NULL};

    o->verb = word;
    if (is_one_of(word, verbs))
        return 0;
    buf_printf(error, "msg takes send, tail or topics, not \"%s\"", word);
    return -1;
}

/* A word that is no option. */
static int take_plain(struct options *o, const char *word, struct buf *error)
{
    if (!o->msg && strcmp(word, "msg") == 0) {
        o->msg = true;
        return 0;
    }
    if (!o->msg) {
        buf_printf(error, "what is \"%s\"? Options begin with -", word);
        if (is_command(word))
            buf_printf(error, "; did you mean -s %s?", word);
        return -1;
    }
    if (!o->verb)
        return take_verb(o, word, error);
    if (!o->topic && strcmp(o->verb, "topics") != 0)
        o->topic = word;
    else if (!o->data && strcmp(o->verb, "send") == 0)
        o->data = word;
    else {
        buf_printf(error, "what is \"%s\"? msg %s takes %s", word, o->verb,
                   o->verb[0] == 's'   ? "one topic and one DATA: quote what has blanks"
                   : o->verb[1] == 'a' ? "one topic"
                                       : "no topic, it tells about all");
        return -1;
    }
    return 0;
}

static int check_msg(const struct options *o, struct buf *error)
{
    bool sends = o->verb && strcmp(o->verb, "send") == 0;

    if (!o->verb)
        buf_add_z(error, "msg needs one of: send TOPIC DATA, tail TOPIC, topics");
    else if (sends && (!o->topic || !o->data))
        buf_add_z(error, "msg send needs a topic and DATA (- reads it from standard input)");
    else if (strcmp(o->verb, "tail") == 0 && !o->topic)
        buf_add_z(error, "msg tail needs a topic; cserver msg topics lists them");
    else if (!sends && (o->to || o->applied))
        buf_printf(error, "%s goes with msg send, not with msg %s", o->to ? "--to" : "--wait",
                   o->verb);
    else if (strcmp(o->verb, "tail") == 0 && o->timeout_ms >= 0)
        buf_add_z(error, "msg tail goes on until it is interrupted: --timeout does not go with it");
    return error->n ? -1 : 0;
}

/* ---- What does not go together ---- */

static int misplace(const struct option *opt, const char *how, struct buf *error)
{
    if (opt->letter)
        buf_printf(error, "-%c %s", opt->letter, how);
    else
        buf_printf(error, "--%s %s", opt->word, how);
    return -1;
}

/* -t promises to change nothing, so it must not ride along with a command that does. */
static int check_mix(const struct options *o, const struct args *a, struct buf *error)
{
    if (o->msg && a->server)
        return misplace(a->server, "does not go with msg", error);
    if (o->msg)
        return o->action == ACTION_HELP ? 0 : check_msg(o, error);
    if (a->msg)
        return misplace(a->msg, "goes with cserver msg send", error);
    if (!o->command || !(o->testing || o->daemon))
        return 0;
    buf_printf(error, "-s %s tells a running server; -t, -T and -D are about a new one: not both",
               o->command);
    return -1;
}

int options_parse(int argc, char **argv, struct options *o, struct buf *error)
{
    struct args a = {.n = argc, .at = 1, .v = argv};
    bool plain = false; /* -- has been there */
    int rc = 0;

    *o = (struct options){.timeout_ms = -1};
    for (; a.at < argc && rc == 0; a.at++) {
        const char *arg = argv[a.at];

        if (!plain && strncmp(arg, "--", 2) == 0 && arg[2])
            rc = parse_long(&a, o, error);
        else if (!plain && arg[0] == '-' && arg[1] && strcmp(arg, "--") != 0)
            rc = parse_short(&a, o, error);
        else if (o->msg && strcmp(arg, "--") == 0 && !plain)
            plain = true;
        else
            rc = take_plain(o, arg, error);
    }
    rc = rc == 0 ? check_mix(o, &a, error) : rc;
    if (rc == 0 && o->msg && o->action != ACTION_HELP)
        o->action = ACTION_MSG;
    return rc;
}

void options_free(struct options *o)
{
    free(o->overrides);
    o->overrides = NULL;
}

static void put_help(const struct option *opt, bool msg, struct buf *out)
{
    char head[64];
    int n = snprintf(head, sizeof head, "--%s%s%s", opt->word, opt->value ? " " : "",
                     opt->value ? opt->value : "");

    if (opt->letter)
        buf_printf(out, "  -%c, %-24s", opt->letter, head);
    else
        buf_printf(out, "      %-24s", head);
    buf_printf(out, "%s%s\n", n >= 24 ? "\n                              " : "",
               msg && opt->msg_help ? opt->msg_help : opt->help);
}

static const char server_head[] =
    "cserver serves web sites by modules. Without options it runs in the foreground.\n\n"
    "usage: cserver [options]\n"
    "       cserver msg send TOPIC DATA | tail TOPIC | topics    messages; see cserver msg "
    "--help\n\n";

static const char server_tail[] =
    "\nexit status: 0 done, 1 failed, 2 usage, 3 status: not running, 4 no permission,\n"
    "  7 not running, 70 new settings did not start and were rolled back,\n"
    "  75 no answer in time, 78 settings refused; of msg: 64 usage\n";

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

void options_help(struct buf *out, bool msg)
{
    buf_add_z(out, msg ? msg_head : server_head);
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (table[i].of & (msg ? MSG : SERVER))
            put_help(&table[i], msg, out);
    buf_add_z(out, msg ? msg_tail : server_tail);
}
