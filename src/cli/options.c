/* options.c - see options.h. Options may stand in any order; "-c FILE", "-cFILE", "--config FILE"
 * and "--config=FILE" are the same, and short ones without a value may be joined: -tq. */
#include "cli/options.h"

#include "base/mem.h"
#include "cli/option.h"
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

static bool is_one_of(const char *word, const char *const words[])
{
    for (; *words; words++)
        if (strcmp(word, *words) == 0)
            return true;
    return false;
}

static bool is_command(const char *word)
{
    static const char *const words[] = {"stop",    "quit",   "reload", "reopen",
                                        "upgrade", "status", NULL};

    return is_one_of(word, words);
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
    if (!word || !is_command(word)) {
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
    /* One of each kind that was seen and goes only without msg, module and explain, only with msg ... */
    const struct option *server, *msg, *module, *explain;
};

enum options_of options_which(const struct options *o)
{
    return o->msg       ? OPTIONS_MSG
           : o->module  ? OPTIONS_MODULE
           : o->explain ? OPTIONS_EXPLAIN
                        : OPTIONS_SERVER;
}

static unsigned mode(const struct options *o)
{
    return o->msg ? OF_MSG : o->module ? OF_MODULE : o->explain ? OF_EXPLAIN : OF_SERVER;
}

static int take_option(struct args *a, struct options *o, const struct option *opt,
                       const char *value, struct buf *error)
{
    if (opt->of == OF_SERVER)
        a->server = opt;
    if (opt->of == OF_MSG)
        a->msg = opt;
    if (opt->of == OF_MODULE)
        a->module = opt;
    if (opt->of == OF_EXPLAIN)
        a->explain = opt;
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

static int take_msg_word(struct options *o, const char *word, struct buf *error)
{
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
    else if (!sends && (o->to || o->wait))
        buf_printf(error, "%s goes with msg send, not with msg %s", o->to ? "--to" : "--wait",
                   o->verb);
    else if (strcmp(o->verb, "tail") == 0 && o->timeout_ms >= 0)
        buf_add_z(error, "msg tail goes on until it is interrupted: --timeout does not go with it");
    else if (o->wait && strcmp(o->wait, "applied") != 0)
        buf_printf(error, "--wait takes applied, not \"%s\"", o->wait);
    return error->n ? -1 : 0;
}

/* ---- module ---- */

struct verb {
    const char *word, *takes; /* as its help says it */
    size_t least, most;       /* words behind it */
};

static const struct verb verbs[] = {
    {"new", "a name, and perhaps a folder", 1, 2},
    {"build", "a folder, or C files", 0, SIZE_MAX},
    {"check", "module files", 1, SIZE_MAX},
    {"info", "module files", 1, SIZE_MAX},
    {"list", "no file: -c FILE names settings", 0, 0},
};

static const struct verb *verb_of(const char *word)
{
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (strcmp(verbs[i].word, word) == 0)
            return &verbs[i];
    return NULL;
}

static int take_module_word(struct options *o, const char *word, struct buf *error)
{
    if (!o->verb) {
        o->verb = word;
        if (verb_of(word))
            return 0;
        buf_printf(error, "module takes new, build, check, info or list, not \"%s\"", word);
        return -1;
    }
    o->words = mem_resize(o->words, (o->nwords + 1) * sizeof *o->words);
    o->words[o->nwords++] = word;
    return 0;
}

/* The first option that is there and belongs to other verbs. */
static const char *stray(const struct options *o)
{
    bool build = strcmp(o->verb, "build") == 0, list = strcmp(o->verb, "list") == 0;
    bool info = strcmp(o->verb, "info") == 0, json = info || list || strcmp(o->verb, "check") == 0;

    if (o->output && !build)
        return "-o goes with module build";
    if (o->verbose && !build)
        return "-v goes with module build";
    if (o->nextra && !build)
        return "-- goes with module build";
    if (o->md && !info)
        return "--md goes with module info";
    if (o->json && !json)
        return "--json goes with module check, info and list";
    if ((o->conf || o->prefix || o->noverrides) && !list)
        return "-c, -p and -g go with module list";
    return o->md && o->json ? "--md or --json: not both" : NULL;
}

static int check_module(const struct options *o, struct buf *error)
{
    const struct verb *v = o->verb ? verb_of(o->verb) : NULL;
    const char *wrong = v ? stray(o) : NULL;

    if (!v)
        buf_add_z(error, "module needs one of: new NAME, build, check FILE, info FILE, list");
    else if (wrong)
        buf_printf(error, "%s, not with module %s", wrong, v->word);
    else if (o->nwords < v->least || o->nwords > v->most)
        buf_printf(error, "module %s takes %s", v->word, v->takes);
    return error->n ? -1 : 0;
}

/* ---- explain ---- */

static int take_request(struct options *o, const char *word, struct buf *error)
{
    if (!o->request) {
        o->request = word;
        return 0;
    }
    buf_printf(error,
               "what is \"%s\"? explain takes one request: quote it, as in cserver explain '%s %s'",
               word, o->request, word);
    return -1;
}

static int check_explain(const struct options *o, struct buf *error)
{
    if (!o->request)
        buf_add_z(error, "explain needs a request, such as 'GET http://example.com/users/7', or - "
                         "for one a line from standard input");
    else if (strcmp(o->request, "-") == 0 && (o->nheaders || o->client || o->user || o->listen))
        buf_add_z(error, "explain - takes header fields, client, user and listener from each "
                         "line, a JSON object");
    return error->n ? -1 : 0;
}

/* A word that is no option. */
static int take_plain(struct options *o, const char *word, struct buf *error)
{
    if (o->msg)
        return take_msg_word(o, word, error);
    if (o->module)
        return take_module_word(o, word, error);
    if (o->explain)
        return take_request(o, word, error);
    if (o->diff && !o->file) {
        o->file = word;
        return 0;
    }
    if (o->diff) {
        buf_printf(error, "what is \"%s\"? diff takes one FILE", word);
        return -1;
    }
    o->msg = strcmp(word, "msg") == 0;
    o->module = strcmp(word, "module") == 0;
    o->diff = strcmp(word, "diff") == 0;
    o->explain = strcmp(word, "explain") == 0;
    if (o->msg || o->module || o->diff || o->explain)
        return 0;
    buf_printf(error, "what is \"%s\"? Options begin with -", word);
    if (is_command(word))
        buf_printf(error, "; did you mean -s %s?", word);
    return -1;
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

static int check_dev(const struct options *o, struct buf *error)
{
    if (!o->dev && o->listen)
        buf_add_z(error, "-l goes with --dev; else settings say what to listen on");
    if (o->dev && (o->conf || o->prefix || o->testing || o->daemon))
        buf_printf(
            error,
            "--dev makes its own settings and runs in the foreground: -%s does not go with it",
            o->conf     ? "c"
            : o->prefix ? "p"
            : o->daemon ? "D"
                        : "t");
    return error->n ? -1 : 0;
}

static int check_waiting(const struct options *o, struct buf *error)
{
    bool status = o->command && strcmp(o->command, "status") == 0;
    bool reload = o->command && strcmp(o->command, "reload") == 0;

    if (o->wait && !reload)
        buf_add_z(error,
                  "--wait goes with cserver msg send (applied) and with -s reload (drained)");
    else if (o->wait && strcmp(o->wait, "drained") != 0)
        buf_printf(error, "--wait takes drained with -s reload, not \"%s\"", o->wait);
    else if (o->no_wait && (!o->command || status))
        buf_add_z(error, "--no-wait goes with -s stop, quit, reload, reopen and upgrade");
    else if (o->no_wait && o->wait)
        buf_add_z(error, "--wait or --no-wait: not both");
    return error->n ? -1 : 0;
}

static int check_reload(const struct options *o, struct buf *error)
{
    bool reload = o->command && strcmp(o->command, "reload") == 0;

    if (o->new_workers && !reload)
        buf_add_z(error, "--new-workers goes with -s reload");
    else if (o->exit_code && !o->diff)
        buf_add_z(error, "--exit-code goes with cserver diff");
    return error->n ? -1 : 0;
}

static int check_diff(const struct options *o, struct buf *error)
{
    const char *wrong = o->command     ? "-s"
                        : o->testing   ? "-t"
                        : o->daemon    ? "-D"
                        : o->error_log ? "-e"
                                       : NULL;

    if (!o->diff || !wrong)
        return 0;
    buf_printf(error, "diff only tells what a reload would change: %s does not go with it", wrong);
    return -1;
}

/* -t promises to change nothing, so it must not ride along with a command that does. */
static int check_mix(const struct options *o, const struct args *a, struct buf *error)
{
    if ((o->msg || o->module || o->explain) && a->server)
        return misplace(a->server,
                        o->msg      ? "does not go with msg"
                        : o->module ? "does not go with module"
                                    : "does not go with explain",
                        error);
    if (a->msg && !o->msg)
        return misplace(a->msg, "goes with cserver msg send", error);
    if (a->module && !o->module)
        return misplace(a->module, "goes with cserver module", error);
    if (a->explain && !o->explain)
        return misplace(a->explain, "goes with cserver explain", error);
    if (o->action == ACTION_HELP)
        return 0;
    if (o->explain)
        return check_explain(o, error);
    if (o->module && (o->dev || o->listen)) {
        buf_printf(error, "%s does not go with module", o->dev ? "--dev" : "-l");
        return -1;
    }
    if (o->module)
        return check_module(o, error);
    if (check_dev(o, error) < 0)
        return -1;
    if (o->msg)
        return check_msg(o, error);
    if (check_waiting(o, error) < 0 || check_reload(o, error) < 0 || check_diff(o, error) < 0)
        return -1;
    if (!o->command || !(o->testing || o->daemon))
        return 0;
    buf_printf(error, "-s %s tells a running server; -t, -T and -D are about a new one: not both",
               o->command);
    return -1;
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
            rc = take_plain(o, arg, error);
    }
    rc = rc == 0 ? check_mix(o, &a, error) : rc;
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
