/* compare.c - see compare.h. The master reads nothing for it: what it is asked to compare with may be any file. */
#include "proc/compare.h"

#include "base/mem.h"
#include "os/fd.h"
#include "proc/code.h"
#include "proc/command.h"
#include "proc/master.h"
#include "proc/tune.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- Behind the settings ---- */

static bool is_same_content(int a, int b)
{
    char of_a[8192], of_b[8192];
    off_t at = 0;

    for (;;) {
        ssize_t n = pread(a, of_a, sizeof of_a, at), k = pread(b, of_b, sizeof of_b, at);

        if (n != k || n < 0 || memcmp(of_a, of_b, (size_t)n) != 0)
            return false;
        if (n == 0)
            return true;
        at += n;
    }
}

static const struct module *find_module(const struct settings *s, const char *name)
{
    for (size_t i = 0; i < s->nmodules; i++)
        if (s->modules[i].name && strcmp(s->modules[i].name, name) == 0)
            return &s->modules[i];
    return NULL;
}

static void compare_module(const struct settings *running, const struct module *other,
                           struct conf_diff *out)
{
    const struct module *old = other->name ? find_module(running, other->name) : NULL;
    const char *slash = strrchr(other->path, '/');
    char section[128];

    if (!old || old->fd < 0 || other->fd < 0 || is_same_content(old->fd, other->fd))
        return;
    snprintf(section, sizeof section, "module:%s", other->name);
    conf_diff_behind(out, str_of(section), slash ? slash + 1 : other->path, "the file has changed");
}

/* The folder of that name as it is now. The other settings may have opened it when this process was still allowed to. */
static int look_at_root(const struct settings *other, const char *path, struct stat *st)
{
    for (size_t i = 0; other->plan && i < other->plan->nroots; i++)
        if (strcmp(other->plan->roots[i].path, path) == 0)
            return fstat(other->plan->roots[i].fd, st);
    return stat(path, st);
}

/* A folder that is put in the place of another, as by a symbolic link, is only seen by who opens it anew. */
static void compare_root(const struct serve_root *root, const struct settings *other,
                         struct conf_diff *out)
{
    struct stat held, named;

    if (fstat(root->fd, &held) < 0 || look_at_root(other, root->path, &named) < 0 ||
        (held.st_dev == named.st_dev && held.st_ino == named.st_ino))
        return;
    conf_diff_behind(out, CS_S("root"), root->path, "another folder has this name now");
}

void settings_compare(const struct settings *running, const struct settings *other,
                      struct conf_diff *out)
{
    conf_diff_make(out, running->conf, other->conf);
    for (size_t i = 0; i < other->nmodules; i++)
        compare_module(running, &other->modules[i], out);
    for (size_t i = 0; i < running->plan->nroots; i++)
        compare_root(&running->plan->roots[i], other, out);
}

/* ---- In the probe ---- */

static void say_outcome(const struct conf_diff *d, const char *obstacle, struct buf *out)
{
    conf_diff_sum(d, out);
    if (!tune_suffices(d))
        buf_add_z(out, "; a reload starts new workers");
    else if (obstacle)
        buf_printf(out, "; a reload starts new workers, since %s", obstacle);
    else
        buf_add_z(out, "; a reload tells the running workers");
}

void compare_tell(const struct settings *running, const struct settings *other,
                  const char *obstacle, struct buf *out)
{
    struct conf_diff d;
    struct buf text = {0};
    struct json j;

    conf_diff_init(&d);
    settings_compare(running, other, &d);
    say_outcome(&d, obstacle, &text);
    json_init(&j, out);
    json_bool(&j, "differs", d.n > 0);
    json_z(&j, "reload",
           conf_need_name(tune_suffices(&d) && !obstacle ? CONF_NEED_MESSAGE : CONF_NEED_WORKERS));
    conf_diff_json(&d, &j);
    json_str(&j, "message", buf_str(&text));
    buf_free(&text);
    conf_diff_free(&d);
}

/* ---- The request ---- */

#define MOST 4 /* at once */

struct compare {
    struct list node; /* in master.compares */
    struct master *master;
    struct settings *settings; /* of the probe: empty, it reads its own */
    struct probe probe;
    struct loop_io io;
    struct timer limit;
    struct control_call *call; /* NULL: its client has gone */
};

static struct compare *compare_at(struct list *node)
{
    return CONTAINER_OF(node, struct compare, node);
}

static void on_gone(struct control_call *call)
{
    struct compare *c = call->keeper;

    c->call = NULL;
    if (c->probe.pid > 0)
        probe_kill(&c->probe);
    control_answer(call, CS_S(""));
}

static void answer(struct compare *c, int code, const char *message)
{
    struct buf out = {0};
    struct json j;

    if (!c->call)
        return;
    c->call->on_gone = NULL;
    command_begin(c->master, &j, &out, code);
    if (code == 0) {
        buf_add_char(&out, ',');
        buf_add_str(&out, buf_str(&c->probe.diff));
    } else {
        json_z(&j, "message", message);
    }
    if (c->probe.text.n)
        json_str(&j, "report", buf_str(&c->probe.text));
    command_end(c->call, &j, &out);
    c->call = NULL;
}

static void finish(struct compare *c, int code, const char *message)
{
    struct master *m = c->master;

    answer(c, code, message);
    if (c->io.on_ready)
        loop_del(&m->loop, &c->io);
    timer_clear(&m->loop.timers, &c->limit);
    probe_free(&c->probe);
    settings_free(c->settings, NULL);
    list_remove(&c->node);
    free(c);
}

static void on_pipe(struct loop_io *io, uint32_t events)
{
    struct compare *c = CONTAINER_OF(io, struct compare, io);

    (void)events;
    if (!probe_read(&c->probe))
        loop_del(&c->master->loop, io);
}

static void on_limit(struct timer *t)
{
    probe_kill(&CONTAINER_OF(t, struct compare, limit)->probe);
}

static void in_child(void *master)
{
    master_shed(master, NULL);
}

/* As if the file stood in the place of the server's own: relative paths begin where those do. */
static int start_probe(struct compare *c, const char *file)
{
    struct master *m = c->master;
    struct settings_source source = m->source;
    char *prefix = source.prefix ? NULL : conf_prefix_of(source.path);
    struct probe_ask ask = {.owned = {.set = &m->live->listens},
                            .reload = true,
                            .max_workers = m->region.header->max_workers,
                            .source = &source,
                            .running = m->live->settings,
                            .obstacle = tune_obstacle(m),
                            .in_child = in_child,
                            .arg = m};
    int rc;

    if (prefix)
        source.prefix = prefix;
    if (file) {
        source.path = file;
        source.text = (cs_str){NULL, 0};
        source.again = false;
    }
    rc = probe_begin(&c->probe, c->settings, &ask);
    free(prefix);
    return rc;
}

static void begin(struct master *m, struct control_call *call, const char *file)
{
    struct compare *c = mem_alloc(sizeof *c);
    int rc;

    *c = (struct compare){.master = m, .call = call};
    list_add_tail(&m->compares, &c->node);
    timer_init(&c->limit, on_limit);
    call->keeper = c;
    call->on_gone = on_gone;
    c->settings = mem_alloc(sizeof *c->settings);
    report_init(&c->settings->report);
    rc = start_probe(c, file);
    if (rc == 0) {
        c->io = (struct loop_io){.fd = c->probe.fd, .on_ready = on_pipe};
        rc = loop_set(&m->loop, &c->io, EPOLLIN);
    }
    if (rc < 0)
        finish(c, CODE_FAILED, "cannot start the process that compares the settings");
    else
        timer_set(&m->loop.timers, &c->limit, PROBE_LIMIT_MS);
}

static bool take_file(cs_str object, struct buf *file)
{
    cs_str value;

    if (!json_find(object, "file", &value))
        return true;
    return json_unescape(file, value) && file->n > 0 && file->p[0] == '/' &&
           !memchr(file->p, '\0', file->n);
}

static unsigned count(const struct master *m)
{
    unsigned n = 0;

    LIST_EACH(node, &m->compares)
    n++;
    return n;
}

void compare_request(struct master *m, struct control_call *call, cs_str object)
{
    struct buf file = {0};

    if (m->stop)
        command_answer(m, call, CODE_FAILED, "the server is stopping", CS_S(""));
    else if (!take_file(object, &file))
        command_answer(m, call, CODE_WRONG, "\"file\" is an absolute path, or is not there",
                       CS_S(""));
    else if (count(m) >= MOST)
        command_answer(m, call, CODE_FAILED,
                       "so many comparisons are under way already; try again later", CS_S(""));
    else
        begin(m, call, file.n ? file.p : NULL);
    buf_free(&file);
}

/* ---- Its end ---- */

static void end(struct compare *c, int status)
{
    const struct probe *p = &c->probe;

    if (c->io.on_ready)
        loop_del(&c->master->loop, &c->io);
    probe_end(&c->probe, status);
    if (p->good && p->diff.n)
        finish(c, 0, "");
    else
        finish(c, CODE_REFUSED, p->summary.n ? p->summary.p : "the settings are bad");
}

bool compare_reaped(struct master *m, pid_t pid, int status)
{
    LIST_EACH(node, &m->compares)
    {
        if (compare_at(node)->probe.pid != pid)
            continue;
        end(compare_at(node), status);
        return true;
    }
    return false;
}

void compare_cancel(struct master *m, const char *why)
{
    LIST_EACH(node, &m->compares)
    {
        if (compare_at(node)->probe.pid > 0)
            probe_kill(&compare_at(node)->probe);
        finish(compare_at(node), CODE_FAILED, why);
    }
}

void compare_shed(struct master *m)
{
    LIST_EACH(node, &m->compares)
    fd_close(&compare_at(node)->probe.fd);
}

void compare_init(struct master *m)
{
    list_init(&m->compares);
}
