/* rules.c - see rules.h. */
#include "cli/rules.h"

#include "cli/words.h"

#include <string.h>

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
    const struct words_verb *v = o->verb ? words_verb(o->verb) : NULL;
    const char *wrong = v ? stray(o) : NULL;

    if (!v)
        buf_add_z(error, "module needs one of: new NAME, build, check FILE, info FILE, list");
    else if (wrong)
        buf_printf(error, "%s, not with module %s", wrong, v->word);
    else if (o->nwords < v->least || o->nwords > v->most)
        buf_printf(error, "module %s takes %s", v->word, v->takes);
    return error->n ? -1 : 0;
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

/* An option that belongs to another kind of command line. */
static int check_places(const struct options *o, const struct rules_seen *seen, struct buf *error)
{
    static const char *const no[] = {[OPTIONS_MSG] = "does not go with msg",
                                     [OPTIONS_MODULE] = "does not go with module",
                                     [OPTIONS_EXPLAIN] = "does not go with explain"};
    static const char *const only[] = {[OPTIONS_MSG] = "goes with cserver msg send",
                                       [OPTIONS_MODULE] = "goes with cserver module",
                                       [OPTIONS_EXPLAIN] = "goes with cserver explain"};
    enum options_of which = options_which(o);

    if (which != OPTIONS_SERVER && seen->only[OPTIONS_SERVER])
        return misplace(seen->only[OPTIONS_SERVER], no[which], error);
    for (enum options_of i = OPTIONS_MSG; i < OPTIONS_KINDS; i++)
        if (i != which && seen->only[i])
            return misplace(seen->only[i], only[i], error);
    return 0;
}

/* -t promises to change nothing, so it must not ride along with a command that does. */
int rules_check(const struct options *o, const struct rules_seen *seen, struct buf *error)
{
    if (check_places(o, seen, error) < 0)
        return -1;
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
