/* probe.c - see probe.h.
 *
 * What goes through the pipe: one byte of kind, four bytes of length, content. */
#include "proc/probe.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "os/child.h"
#include "os/crash.h"
#include "os/fd.h"
#include "proc/code.h"
#include "proc/compare.h"
#include "proc/rehearsal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
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
    rehearsal_run(s, ask, &to.crumb);
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
