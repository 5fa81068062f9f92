/* rehearsal.c - see rehearsal.h. */
#include "proc/rehearsal.h"

#include "conf/cpu.h"
#include "os/cpu.h"
#include "proc/logs.h"
#include "proc/pidfile.h"
#include "proc/user.h"
#include "serve/serve.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void check_workers(struct settings *s, const struct probe_ask *ask)
{
    struct region r;
    int rc;

    if (ask->reload && s->workers > ask->max_workers) {
        report_error(&s->report, settings_origin(s, "workers"), 1,
                     "%u workers are more than the %u that shared memory was made for when the "
                     "server started; a restart makes room",
                     s->workers, ask->max_workers);
    } else if (ask->reload && s->max_workers != ask->max_workers) {
        report_warning(&s->report, settings_origin(s, "max_workers"), 1,
                       "max_workers takes effect after a restart (it is %u until then)",
                       ask->max_workers);
    }
    rc = ask->reload ? 0 : region_new(&r, s->max_workers);
    if (rc < 0)
        report_error(&s->report, settings_origin(s, "max_workers"), 1,
                     "cannot make shared memory for max_workers = %u: %s; %s", s->max_workers,
                     strerror(-rc),
                     rc == -EMFILE || rc == -ENFILE
                         ? "raise the limit of open files (ulimit -n, LimitNOFILE of systemd)"
                         : "lower max_workers, or give the machine more memory");
    else if (!ask->reload)
        region_free(&r);
}

static bool has_cpu(const unsigned *allowed, size_t n, unsigned cpu)
{
    for (size_t i = 0; i < n; i++)
        if (allowed[i] == cpu)
            return true;
    return false;
}

/* "0-3, 8" */
static void add_ranges(struct buf *out, const unsigned *v, size_t n)
{
    for (size_t i = 0, last; i < n; i = last + 1) {
        for (last = i; last + 1 < n && v[last + 1] == v[last] + 1;)
            last++;
        buf_printf(out, last > i ? "%s%u-%u" : "%s%u", i > 0 ? ", " : "", v[i], v[last]);
    }
}

static void complain_cpu(struct settings *s, cs_str element, unsigned cpu, const unsigned *allowed,
                         size_t n)
{
    const struct conf_origin *at = settings_origin(s, "cpu");
    struct conf_origin place = at && at->text ? report_point(at, element) : (struct conf_origin){0};
    struct buf may = {0};

    add_ranges(&may, allowed, n);
    report_error(
        &s->report, at && at->text ? &place : at, (int)element.n,
        "cpu: this server may not run on CPU %u, only on %s (the machine, taskset and control "
        "groups say so); allowed: these, auto, off",
        cpu, may.p);
    buf_free(&may);
}

/* The first CPU of each element that this server may not use. */
static void check_cpus(struct settings *s)
{
    const cs_list *list = &s->conf->server.cpu;
    size_t n;
    unsigned *allowed = cpu_allowed(&n), first, last;

    for (size_t i = 0; allowed && i < list->n; i++) {
        if (!conf_cpu_range(list->v[i], &first, &last))
            continue;
        while (first < last && has_cpu(allowed, n, first))
            first++;
        if (!has_cpu(allowed, n, first))
            complain_cpu(s, list->v[i], first, allowed, n);
    }
    free(allowed);
}

static void check_place(struct settings *s, const char *key, const char *path)
{
    int rc = logs_check_parent(path);

    if (rc < 0)
        report_error(&s->report, settings_origin(s, key), (int)strlen(path),
                     "cannot write in the folder of %s %s: %s; make that folder, or name another "
                     "file",
                     key, path, strerror(-rc));
}

static void check_own_files(struct settings *s)
{
    const char *pid_file = s->conf->server.pid_file.p, *control = s->conf->server.control.p;
    struct stat st;
    pid_t pid;

    check_place(s, "pid_file", pid_file);
    check_place(s, "control", control);
    if (pidfile_look(pid_file, &pid) == PIDFILE_FOREIGN)
        report_error(&s->report, settings_origin(s, "pid_file"), (int)strlen(pid_file),
                     "%s exists and is no pid file; name another file", pid_file);
    if (lstat(control, &st) == 0 && !S_ISSOCK(st.st_mode))
        report_error(&s->report, settings_origin(s, "control"), (int)strlen(control),
                     "%s exists and is no socket; name another file", control);
}

/* Permissions that root would have are no fault of the settings. */
static void soften(struct report *r)
{
    for (struct report_entry *e = r->first; e; e = e->next)
        if (e->kind == REPORT_ERROR &&
            (strstr(e->message, strerror(EACCES)) || strstr(e->message, strerror(EPERM)))) {
            e->kind = REPORT_WARNING;
            r->errors--;
            r->warnings++;
        }
}

static bool try_plan(struct settings *s, struct settings_crumb *crumb)
{
    struct region r;
    int rc = region_new(&r, 1); /* for the counters; it goes with the child */

    if (rc < 0)
        report_error(&s->report, NULL, 1, "cannot make shared memory: %s", strerror(-rc));
    return rc == 0 && settings_plan(s, &r, crumb);
}

/* What a module looks at for its check, it looks at as the user that will need it. */
static void ask_modules(struct settings *s, struct settings_crumb *crumb)
{
    int rc = user_become(&s->user);

    if (rc < 0) {
        char *why = user_complaint(&s->user, rc);

        report_error(&s->report, settings_origin(s, "user"), (int)strlen(s->user.name), "%s", why);
        free(why);
        return;
    }
    crumb->drop(crumb, "asking the modules to check their settings");
    serve_plan_check_modules(s->plan, &s->report);
}

static void check_connections(struct settings *s)
{
    const struct conf_limits *limits = &s->conf->limits;
    int64_t wish = limits->max_connections;
    char text[32];
    size_t nofile;
    unsigned takes;

    if (!s->plan || wish == 0)
        return;
    takes = serve_connection_limit(s->plan, s->max_workers, &nofile);
    if ((uint64_t)wish <= takes)
        return;
    report_warning(
        &s->report, conf_origin_of(&limits->head, "max_connections"),
        snprintf(text, sizeof text, "%lld", (long long)wish),
        "max_connections = %lld is more than RLIMIT_NOFILE = %zu has room for: a worker takes "
        "%u; raise that limit (ulimit -n, LimitNOFILE of systemd) or lower this",
        (long long)wish, nofile, takes);
}

void rehearsal_run(struct settings *s, const struct probe_ask *ask, struct settings_crumb *crumb)
{
    if (settings_bind(s, crumb)) {
        check_workers(s, ask);
        check_cpus(s);
        bool planned = try_plan(s, crumb);

        check_connections(s);
        crumb->drop(crumb, "trying the addresses");
        listen_check(s, &ask->owned);
        logs_check(s);
        if (!ask->reload)
            check_own_files(s);
        if (planned)
            ask_modules(s, crumb);
    }
    if (ask->lenient)
        soften(&s->report);
}
