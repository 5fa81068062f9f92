/* probe.c - see probe.h.
 *
 * What goes through the pipe: one byte of kind, four bytes of length, content. */
#include "proc/probe.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "conf/cpu.h"
#include "os/child.h"
#include "os/cpu.h"
#include "os/crash.h"
#include "os/fd.h"
#include "proc/code.h"
#include "proc/compare.h"
#include "proc/logs.h"
#include "proc/pidfile.h"
#include "proc/user.h"
#include "serve/serve.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    SAYS_CRUMB = 'c',
    SAYS_REPORT = 'r',
    SAYS_SUMMARY = 's',
    SAYS_PRINT = 'p',
    SAYS_DIFF = 'd',
    SAYS_END = 'e'
};

#define HEAD_SIZE     5
#define MOST_BYTES    (64u << 20)
#define LOOK_AGAIN_MS 20

/* ---- The child ---- */

struct speaker {
    struct settings_crumb crumb;
    int fd;
};

static void say(const struct speaker *to, char kind, cs_str content)
{
    uint32_t n = (uint32_t)content.n;
    char head[HEAD_SIZE] = {kind};

    memcpy(head + 1, &n, sizeof n);
    if (fd_write_all(to->fd, head, sizeof head) == 0)
        fd_write_all(to->fd, content.p, content.n);
}

/* What it is doing, for its own report. */
static char current[256] = "beginning";

static void on_crumb(struct settings_crumb *crumb, const char *what)
{
    const char *name = strrchr(what, ' ');
    char object[64];

    snprintf(current, sizeof current, "%s", what);
    snprintf(object, sizeof object, "%s.so", name ? name + 1 : what);
    crash_look_late(object);
    say(CONTAINER_OF(crumb, struct speaker, crumb), SAYS_CRUMB, str_of(what));
}

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

static void try_out(struct settings *s, const struct probe_ask *ask, struct settings_crumb *crumb)
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

static void say_report(const struct speaker *to, const struct settings *s)
{
    struct buf text = {0}, line = {0};

    report_print(&s->report, &text);
    say(to, SAYS_REPORT, buf_str(&text));
    say(to, SAYS_SUMMARY, report_summary(&s->report, &line));
    buf_free(&text);
    buf_free(&line);
}

static void explain(struct crash *c)
{
    note_add(&c->message, " while ");
    note_add(&c->message, current);
}

/* Modules are unloaded too before the verdict: the master will do so one day. */
static _Noreturn void child_main(struct settings *s, const struct probe_ask *ask, int fd)
{
    struct speaker to = {.crumb = {.drop = on_crumb}, .fd = fd};
    struct buf print = {0}, diff = {0};
    uint32_t counts[2];

    child_title_set("cserver: probe");
    log_set_name("probe");
    if (ask->in_child)
        ask->in_child(ask->arg);
    crash_watch(explain);
    if (ask->source)
        s = settings_read(ask->source);
    try_out(s, ask, &to.crumb);
    say_report(&to, s);
    counts[0] = s->report.errors;
    counts[1] = s->report.warnings;
    if (ask->print && counts[0] == 0 && s->bound) {
        conf_print(s->conf, &print);
        say(&to, SAYS_PRINT, buf_str(&print));
    }
    if (ask->running && counts[0] == 0 && s->bound) {
        compare_tell(ask->running, s, ask->obstacle, &diff);
        say(&to, SAYS_DIFF, buf_str(&diff));
    }
    settings_free(s, &to.crumb);
    say(&to, SAYS_END, (cs_str){(const char *)counts, sizeof counts});
    _exit(counts[0] ? CODE_REFUSED : 0);
}

/* ---- The parent ---- */

int probe_begin(struct probe *p, struct settings *s, const struct probe_ask *ask)
{
    int ends[2];

    *p = (struct probe){.settings = s, .fd = -1};
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    fflush(NULL);
    p->pid = child_fork(SIGKILL);
    if (p->pid == 0) {
        close(ends[0]);
        child_main(s, ask, ends[1]);
    }
    close(ends[1]);
    p->fd = ends[0];
    if (p->pid < 0) {
        fd_close(&p->fd);
        return p->pid;
    }
    return fd_set_nonblock(p->fd, true);
}

static void take_end(struct probe *p, cs_str content)
{
    uint32_t counts[2];

    if (content.n != sizeof counts)
        return;
    memcpy(counts, content.p, sizeof counts);
    p->ended = true;
    p->good = counts[0] == 0;
    p->warnings = counts[1];
}

static void take_message(struct probe *p, char kind, cs_str content)
{
    switch (kind) {
    case SAYS_CRUMB:
        snprintf(p->crumb, sizeof p->crumb, "%.*s", (int)content.n, content.p);
        break;
    case SAYS_REPORT:
        p->spoke = true;
        buf_add_str(&p->text, content);
        break;
    case SAYS_SUMMARY:
        buf_add_str(&p->summary, content);
        break;
    case SAYS_PRINT:
        buf_add_str(&p->print, content);
        break;
    case SAYS_DIFF:
        buf_add_str(&p->diff, content);
        break;
    case SAYS_END:
        take_end(p, content);
        break;
    default:
        break;
    }
}

static void take_messages(struct probe *p)
{
    size_t at = 0;
    uint32_t n;

    while (p->in.n - at >= HEAD_SIZE) {
        memcpy(&n, p->in.p + at + 1, sizeof n);
        if (p->in.n - at - HEAD_SIZE < n)
            break;
        take_message(p, p->in.p[at], (cs_str){p->in.p + at + HEAD_SIZE, n});
        at += HEAD_SIZE + n;
    }
    buf_consume(&p->in, at);
}

bool probe_read(struct probe *p)
{
    ssize_t n = 1;

    while (n > 0 && p->in.n < MOST_BYTES) {
        n = read(p->fd, buf_reserve(&p->in, 65536), 65536);
        if (n > 0)
            buf_added(&p->in, (size_t)n);
        else if (n < 0 && errno == EINTR)
            n = 1;
    }
    take_messages(p);
    return n < 0 && errno == EAGAIN;
}

void probe_kill(struct probe *p)
{
    p->late = true;
    kill(p->pid, SIGKILL);
}

/* Place of the module that the last crumb names. */
static const struct conf_origin *culprit(const struct probe *p)
{
    const char *name = strrchr(p->crumb, ' ');

    for (size_t i = 0; name && i < p->settings->nmodules; i++)
        if (str_is(p->settings->refs[i].name, name + 1))
            return &p->settings->refs[i].at;
    return NULL;
}

/* The child died before its last word: what it was doing is to blame. */
static void blame(struct probe *p, int status)
{
    struct report *rep = &p->settings->report;
    const char *doing = p->crumb[0] ? p->crumb : "beginning";
    char how[64];

    child_end_text(status, how, sizeof how);
    p->good = false;
    if (p->late)
        report_error(rep, culprit(p), 1,
                     "the check of the settings did not end within %d s, it was %s",
                     PROBE_LIMIT_MS / 1000, doing);
    else
        report_error(rep, culprit(p), 1,
                     "%s: the process that tried it %s%s; take the module out or repair it", doing,
                     WIFEXITED(status) ? "" : "was ", how);
    if (!p->spoke)
        report_print(rep, &p->text);
    else
        buf_printf(&p->text, "error: %s\n",
                   CONTAINER_OF(rep->last, struct report_entry, next)->message);
    buf_clear(&p->summary);
    report_summary(rep, &p->summary);
}

void probe_end(struct probe *p, int status)
{
    probe_read(p);
    fd_close(&p->fd);
    p->pid = 0;
    if (!p->ended || !WIFEXITED(status))
        blame(p, status);
}

static bool reaped(const struct probe *p, int *status)
{
    return waitpid(p->pid, status, WNOHANG) == p->pid;
}

int probe_run(struct probe *p, struct settings *s, const struct probe_ask *ask)
{
    uint64_t until = clock_us_now() / 1000 + PROBE_LIMIT_MS;
    int status, rc = probe_begin(p, s, ask);
    bool open = true;

    if (rc < 0)
        return rc;
    while (!reaped(p, &status)) {
        struct pollfd ready = {.fd = open ? p->fd : -1, .events = POLLIN};

        poll(&ready, 1, LOOK_AGAIN_MS);
        if (open)
            open = probe_read(p);
        if (!p->late && clock_us_now() / 1000 > until)
            probe_kill(p);
    }
    probe_end(p, status);
    return 0;
}

void probe_free(struct probe *p)
{
    fd_close(&p->fd);
    buf_free(&p->in);
    buf_free(&p->text);
    buf_free(&p->summary);
    buf_free(&p->print);
    buf_free(&p->diff);
}
