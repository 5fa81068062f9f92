/* options.c - see options.h. Options may stand in any order; "-c FILE", "-cFILE", "--config FILE"
 * and "--config=FILE" are the same, and short ones without a value may be joined: -tq. */
#include "cli/options.h"

#include "base/mem.h"
#include "cli/option.h"
#include "cli/rules.h"
#include "cli/words.h"
#include "proc/msgtext.h"

#include <stdlib.h>
#include <string.h>

#define MAX_TIME (24u * 3600 * 1000)

#define BEHIND_DASHES "; behind -- nothing is an option"

/* "30s", "500ms", "2m"; as in the settings, only 0 needs no unit. */
static bool parse_time(const char *text, int64_t *ms)
{
    size_t digits = strspn(text, "0123456789");
    const char *unit = text + digits;
    uint64_t n, factor = strcmp(unit, "ms") == 0 || strcmp(text, "0") == 0 ? 1
                         : strcmp(unit, "s") == 0                          ? 1000
                         : strcmp(unit, "m") == 0                          ? 60000
                                                                           : 0;

    if (factor == 0 || !str_to_u64((cs_str){text, digits}, MAX_TIME / factor, &n))
        return false;
    *ms = (int64_t)(n * factor);
    return true;
}

static void add_override(struct options *o, const char *text)
{
    o->overrides = mem_resize(o->overrides, (o->noverrides + 1) * sizeof *o->overrides);
    o->overrides[o->noverrides++].text = text;
}

static void add_header(struct options *o, const char *text)
{
    o->headers = mem_resize(o->headers, (o->nheaders + 1) * sizeof *o->headers);
    o->headers[o->nheaders++] = text;
}

/* Where several actions are asked for, printing wins over testing over running. */
static void want(struct options *o, enum action action)
{
    if (action > o->action)
        o->action = action;
}

static int take_command(struct options *o, const char *word, struct buf *error)
{
    if (!word || !words_is_command(word)) {
        buf_printf(error, "-s takes stop, quit, reload, reopen, upgrade or status, not \"%s\"",
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

static int take_timeout(struct options *o, const char *value, struct buf *error)
{
    if (parse_time(value, &o->timeout_ms))
        return 0;
    if (!value[strspn(value, "0123456789")])
        buf_printf(error, "--timeout: \"%s\" has no unit, such as 30s or 500ms", value);
    else
        buf_printf(error, "--timeout takes a time such as 30s or 2m, up to 24 hours, not \"%s\"",
                   value);
    return -1;
}

static int take_word(struct options *o, const char *word, const char *value, struct buf *error)
{
    if (value && strcmp(word, "to") == 0)
        return take_whom(o, value, error);
    if (value && strcmp(word, "timeout") == 0)
        return take_timeout(o, value, error);
    if (strcmp(word, "dev") == 0)
        o->dev = value;
    else if (strcmp(word, "wait") == 0)
        o->wait = value;
    else if (strcmp(word, "client") == 0)
        o->client = value;
    else if (strcmp(word, "user") == 0)
        o->user = value;
    else if (strcmp(word, "no-wait") == 0)
        o->no_wait = true;
    else if (strcmp(word, "new-workers") == 0)
        o->new_workers = true;
    else if (strcmp(word, "exit-code") == 0)
        o->exit_code = true;
    else if (strcmp(word, "json") == 0)
        o->json = true;
    else if (strcmp(word, "md") == 0)
        o->md = true;
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
    case 'H':
        add_header(o, value);
        return 0;
    case 'l':
        o->listen = value;
        return 0;
    case 'o':
        o->output = value;
        return 0;
    case 'v':
        if (opt->of == OF_MODULE)
            o->verbose = true;
        else
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
    struct rules_seen seen;
};

static unsigned mode(const struct options *o)
{
    return OF(options_which(o));
}

static int take_option(struct args *a, struct options *o, const struct option *opt,
                       const char *value, struct buf *error)
{
    for (enum options_of i = OPTIONS_SERVER; i < OPTIONS_KINDS; i++)
        if (opt->of == OF(i))
            a->seen.only[i] = opt;
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
    const struct option *opt = option_by_word(word, mode(o));
    const char *value = NULL, *hint = option_nearest(word);

    if (!opt) {
        buf_printf(error, "unknown option --%.*s", CS_F(word));
        if (hint)
            buf_printf(error, "; did you mean --%s?", hint);
        buf_add_z(error, mode(o) == OF_SERVER ? "" : BEHIND_DASHES);
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
        const struct option *opt = option_by_letter(*p, mode(o));
        const char *value;

        name[1] = *p;
        if (!opt) {
            buf_printf(error, "unknown option %s%s", name,
                       mode(o) == OF_SERVER ? "" : BEHIND_DASHES);
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

/* What msg, module and --dev are, unless something else was asked for that is more urgent. */
static void settle(struct options *o)
{
    if (o->action == ACTION_HELP)
        return;
    if (o->msg)
        o->action = ACTION_MSG;
    else if (o->module)
        o->action = ACTION_MODULE;
    else if (o->explain)
        o->action = ACTION_EXPLAIN;
    else if (o->diff && o->action == ACTION_RUN)
        o->action = ACTION_DIFF;
    else if (o->dev && o->action == ACTION_RUN)
        o->action = ACTION_DEV;
}

/* module build hands them to the compiler. */
static void take_rest(struct options *o, struct args *a)
{
    o->extra = a->v + a->at + 1;
    o->nextra = (size_t)(a->n - a->at - 1);
    a->at = a->n;
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
        else if (o->module && strcmp(arg, "--") == 0)
            take_rest(o, &a);
        else
            rc = words_take(o, arg, error);
    }
    rc = rc == 0 ? rules_check(o, &a.seen, error) : rc;
    if (rc == 0)
        settle(o);
    return rc;
}

void options_free(struct options *o)
{
    free(o->overrides);
    free(o->words);
    free(o->headers);
    o->headers = NULL;
    o->overrides = NULL;
    o->words = NULL;
}
