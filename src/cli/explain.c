/* explain.c - explain: settings are read as for -t, but their addresses and logs are not looked at. Modules run in a child that
 * is thrown away; what it leaves is its exit status, one byte, and the text behind that. */
#include "cli/explain.h"

#include "base/json.h"
#include "cli/aside.h"
#include "cli/cli.h"
#include "os/fd.h"
#include "proc/user.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct job {
    const struct options *o;
    const char *path; /* of the settings */
    struct settings *settings;
    struct buf lines; /* of standard input */
    bool failed;      /* some line was no request */
};

/* ---- In the child ---- */

static void on_crumb(struct settings_crumb *crumb, const char *what)
{
    (void)crumb;
    aside_doing(what);
}

static bool become_user(struct settings *s)
{
    int rc = user_become(&s->user);
    char *why = rc < 0 ? user_complaint(&s->user, rc) : NULL;

    if (why)
        report_error(&s->report, settings_origin(s, "user"), 1, "%s", why);
    free(why);
    return rc == 0;
}

static bool prepare(struct settings *s, struct region *r)
{
    struct settings_crumb crumb = {.drop = on_crumb};
    int rc;

    if (!settings_bind(s, &crumb))
        return false;
    rc = region_new(r, 1);
    if (rc < 0)
        report_error(&s->report, NULL, 1, "cannot make shared memory: %s", strerror(-rc));
    return rc == 0 && settings_plan(s, r, &crumb) && become_user(s);
}

static void refuse(const struct job *job, struct buf *out)
{
    buf_add_char(out, CLI_REFUSED);
    report_sort(&job->settings->report);
    report_print(&job->settings->report, out);
}

/* False: it is no request; *error says why. */
static bool explain_one(struct explainer *e, const struct job *job, const struct explain_wish *w,
                        bool json, struct buf *out, struct buf *error)
{
    struct arena a;
    struct explain_ask ask;
    const char *why = "";
    bool good;

    arena_init(&a, NULL);
    good = explain_compose(w, job->settings->conf, &a, &ask, &why, error) == 0;
    if (good && json)
        explain_json(w, explainer_run(e, &ask), why, out);
    else if (good)
        explain_text(w, explainer_run(e, &ask), why, out);
    arena_drop(&a);
    return good;
}

static void explain_wish(struct explainer *e, struct job *job, struct buf *out)
{
    const struct options *o = job->o;
    cs_str *headers = calloc(o->nheaders + 1, sizeof *headers);
    struct explain_wish w = {.request = str_of(o->request), .headers = headers};
    struct buf error = {0};

    for (; headers && w.nheaders < o->nheaders; w.nheaders++)
        headers[w.nheaders] = str_of(o->headers[w.nheaders]);
    w.client = str_of(o->client ? o->client : "");
    w.listen = str_of(o->listen ? o->listen : "");
    w.user = str_of(o->user ? o->user : "");
    job->failed = !explain_one(e, job, &w, o->json, out, &error);
    if (job->failed)
        buf_printf(out, "cserver: %s\n", error.p);
    buf_free(&error);
    free(headers);
}

/* A line that is no request gets an object that says so, and the others theirs. */
static void refuse_line(cs_str line, const struct buf *error, struct buf *out)
{
    buf_add_z(out, "{\"request\":\"");
    json_escape(out, line);
    buf_add_z(out, "\",\"error\":\"");
    json_escape(out, buf_str(error));
    buf_add_z(out, "\"}\n");
}

static void explain_one_line(struct explainer *e, struct job *job, cs_str line, struct buf *out)
{
    struct arena a;
    struct explain_wish w;
    struct buf error = {0};

    arena_init(&a, NULL);
    if (explain_line(line, &a, &w, &error) < 0 || !explain_one(e, job, &w, true, out, &error)) {
        refuse_line(line, &error, out);
        job->failed = true;
    }
    buf_free(&error);
    arena_drop(&a);
}

static void explain_lines(struct explainer *e, struct job *job, struct buf *out)
{
    cs_str rest = buf_str(&job->lines);

    while (rest.n) {
        const char *end = memchr(rest.p, '\n', rest.n);
        cs_str line = {rest.p, end ? (size_t)(end - rest.p) : rest.n};

        if (line.n)
            explain_one_line(e, job, line, out);
        rest = end ? (cs_str){end + 1, rest.n - line.n - 1} : (cs_str){0};
    }
}

static void work(void *arg, struct buf *out)
{
    struct job *job = arg;
    struct region region = {0};
    struct explainer *e;

    if (!prepare(job->settings, &region)) {
        refuse(job, out);
        return;
    }
    aside_doing("asking the modules what they would do");
    e = explainer_new(job->settings->plan, &region);
    buf_add_char(out, CLI_DONE);
    if (job->lines.p)
        explain_lines(e, job, out);
    else
        explain_wish(e, job, out);
    out->p[0] = job->failed ? CLI_USAGE : CLI_DONE;
    explainer_free(e);
}

/* ---- The command ---- */

static int read_lines(struct buf *out)
{
    ssize_t n;

    buf_reserve(out, 1);
    do {
        n = read(STDIN_FILENO, buf_reserve(out, 65536), 65536);
        if (n > 0)
            buf_added(out, (size_t)n);
    } while (n > 0 || (n < 0 && errno == EINTR));
    return n < 0 ? -errno : 0;
}

static int print(const struct job *job, const struct aside *a)
{
    int code = a->out.p[0];
    bool lines = job->lines.p != NULL, good = code == CLI_DONE || (lines && code == CLI_USAGE);

    fwrite(a->out.p + 1, 1, a->out.n - 1, good ? stdout : stderr);
    if (code == CLI_REFUSED)
        fprintf(stderr, "%s: settings are refused\n", job->path);
    return fflush(stdout) == 0 ? code : CLI_FAILED;
}

static int run(struct job *job)
{
    struct aside a;
    struct buf text = {0};
    int rc = aside_run(&a, work, job), code = CLI_FAILED;

    if (rc == 0 && a.whole && a.out.n) {
        code = print(job, &a);
    } else if (rc == 0) {
        aside_tell(&a, &text);
        fprintf(stderr, "cserver: %s\n", text.p);
    } else {
        fprintf(stderr, "cserver: cannot start the process that explains: %s\n", strerror(-rc));
    }
    buf_free(&text);
    aside_free(&a);
    return code;
}

int cli_explain(const struct options *o, const struct settings_source *src)
{
    struct job job = {.o = o, .path = src->path};
    int rc = strcmp(o->request, "-") == 0 ? read_lines(&job.lines) : 0, code = CLI_FAILED;

    if (rc < 0) {
        fprintf(stderr, "cserver: cannot read standard input: %s\n", strerror(-rc));
    } else {
        job.settings = settings_read(src);
        code = run(&job);
        settings_free(job.settings, NULL);
    }
    buf_free(&job.lines);
    return code;
}
