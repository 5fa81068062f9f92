/* options.c - see options.h. Options may stand in any order; "-c FILE", "-cFILE", "--config FILE"
 * and "--config=FILE" are the same, and short ones without a value may be joined: -tq. */
#include "cli/options.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct option {
    char letter; /* 0: none */
    const char *word;
    const char *value; /* what it takes, for the help; NULL: nothing */
    const char *help;
};

static const struct option table[] = {
    {'c', "config", "FILE", "settings file; else conf/cserver.ini here, else the installed one"},
    {'p', "prefix", "DIR", "folder that relative paths in the settings are below"},
    {'g', "set", "SECTION.KEY=VALUE", "a setting that goes before the file's; may be repeated"},
    {'e', "error-log", "FILE", "error log until the settings are read, or stderr"},
    {'t', "test", NULL, "test the settings and everything they name, change nothing"},
    {'T', "print", NULL, "test, and print all settings in force with where each comes from"},
    {'q', "quiet", NULL, "print errors only; the error log keeps its level"},
    {'s', "signal", "COMMAND", "tell a running server: stop, quit, reload, reopen, status"},
    {0, "timeout", "TIME", "how long -s waits, such as 30s (0: for ever)"},
    {0, "json", NULL, "-s prints the server's answer as it is"},
    {'D', "daemon", NULL, "go to the background once the server is ready"},
    {'v', "version", NULL, "print the version"},
    {'V', "build", NULL, "print version, build options, module ABI and libraries"},
    {0, "reference", NULL, "print the manual of all settings, in Markdown"},
    {'h', "help", NULL, "print this"}};

#define NONE      ((const struct option *)0)
#define MAX_TIME  (24u * 3600 * 1000)
#define HINT_DIST 2

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

static bool is_command(const char *word)
{
    static const char *const words[] = {"stop", "quit", "reload", "reopen", "status"};

    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (strcmp(word, words[i]) == 0)
            return true;
    return false;
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

static int take_word(struct options *o, const char *word, const char *value, struct buf *error)
{
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
};

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
    return take(o, opt, value, error);
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
            buf_printf(error, "unknown option %s", name);
            return -1;
        }
        if (!opt->value) {
            take(o, opt, NULL, error);
            continue;
        }
        value = value_of(a, p[1] ? p + 1 : NULL);
        return !value || !*value ? miss_value(name, opt, error) : take(o, opt, value, error);
    }
    return 0;
}

/* -t promises to change nothing, so it must not ride along with a command that does. */
static int check_mix(const struct options *o, struct buf *error)
{
    if (!o->command || !(o->testing || o->daemon))
        return 0;
    buf_printf(error, "-s %s tells a running server; -t, -T and -D are about a new one: not both",
               o->command);
    return -1;
}

int options_parse(int argc, char **argv, struct options *o, struct buf *error)
{
    struct args a = {.n = argc, .at = 1, .v = argv};
    int rc = 0;

    *o = (struct options){.timeout_ms = -1};
    for (; a.at < argc && rc == 0; a.at++) {
        const char *arg = argv[a.at];

        if (strncmp(arg, "--", 2) == 0 && arg[2]) {
            rc = parse_long(&a, o, error);
        } else if (arg[0] == '-' && arg[1] && strcmp(arg, "--") != 0) {
            rc = parse_short(&a, o, error);
        } else {
            buf_printf(error, "what is \"%s\"? Options begin with -", arg);
            if (is_command(arg))
                buf_printf(error, "; did you mean -s %s?", arg);
            rc = -1;
        }
    }
    return rc == 0 ? check_mix(o, error) : rc;
}

void options_free(struct options *o)
{
    free(o->overrides);
    o->overrides = NULL;
}

void options_help(struct buf *out)
{
    buf_add_z(out,
              "cserver serves web sites by modules. Without options it runs in the foreground.\n\n"
              "usage: cserver [options]\n\n");
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        char head[64];
        int n = snprintf(head, sizeof head, "--%s%s%s", table[i].word, table[i].value ? " " : "",
                         table[i].value ? table[i].value : "");

        if (table[i].letter)
            buf_printf(out, "  -%c, %-24s", table[i].letter, head);
        else
            buf_printf(out, "      %-24s", head);
        buf_printf(out, "%s%s\n", n >= 24 ? "\n                              " : "", table[i].help);
    }
    buf_add_z(out,
              "\nexit status: 0 done, 1 failed, 2 usage, 3 status: not running, 4 no permission,\n"
              "  7 not running, 70 new settings did not start and were rolled back,\n"
              "  75 no answer in time, 78 settings refused\n");
}
