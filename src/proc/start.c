/* start.c - how a master begins: from a settings file to workers that are being forked. Whatever is
 * wrong ends the process with a sentence: 78 for settings, 70 when their workers do not answer as [reload] probe wants
 * it, 4 for missing rights, 1 for the rest. */
#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "os/child.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/notify.h"
#include "os/priv.h"
#include "os/sig.h"
#include "proc/background.h"
#include "proc/client.h"
#include "proc/code.h"
#include "proc/launch.h"
#include "proc/master.h"
#include "proc/pidfile.h"
#include "proc/stopping.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BATCH        64
#define PID_AGAIN_MS 5000
/* Workers of a killed master let go of their addresses within that time, unless a module keeps them busy. */
#define PATIENCE_MS 5000
#define STOPPING_MS 3000

/* ---- The pid file ---- */

/* A server that serves does not end because a disk is full: it tries again. */
void master_write_pid(struct master *m)
{
    int rc = pidfile_write(m->pid_file);

    if (rc < 0 && !m->pid_late)
        log_error("cannot write the pid file %s: %s; make room or give this user the right to, it "
                  "is tried again every %d s",
                  m->pid_file, strerror(-rc), PID_AGAIN_MS / 1000);
    else if (rc == 0 && m->pid_late)
        log_info("the pid file %s is written now", m->pid_file);
    m->pid_late = rc < 0;
    if (rc < 0)
        timer_set(&m->loop.timers, &m->pid_again, PID_AGAIN_MS);
}

static void on_pid_again(struct timer *t)
{
    master_write_pid(CONTAINER_OF(t, struct master, pid_again));
}

void master_release(struct master *m, int code)
{
    if (code == 0)
        master_write_pid(m);
    background_tell(&m->release, code);
}

/* ---- Is there one already? ---- */

/* One that stops is there for a while yet: it says how long. */
static void refuse_stopping(struct client *c, const char *path)
{
    struct buf text = {0};

    if (stopping_ask(c, STOPPING_MS, &text))
        fatal(CODE_FAILED,
              "the server before (pid %d, control socket %s) is stopping, and has not ended yet: "
              "%.*s. Start this one when it has gone",
              c->pid, path, (int)text.n, text.p);
    buf_free(&text);
}

static _Noreturn void refuse_second(int pid, const char *what, const char *path, const char *key)
{
    fatal(CODE_FAILED,
          "a server (pid %d) is running already: it has the %s %s. Stop it (cserver -s stop), or "
          "give this one another `%s` in [server]",
          pid, what, path, key);
}

/* Ends the process if another server (but the one that we take over from; 0: none) has the control socket or the pid file. True: there was one
 * that has been killed, and its workers may still be about to let go of their addresses. */
static bool look_for_others(const struct settings *s, const char *prefix, pid_t but)
{
    char *control = settings_server_path(s->text, prefix, "control");
    char *pid_file = settings_server_path(s->text, prefix, "pid_file");
    struct client c = {.fd = -1, .pidfd = -1};
    int rc = control ? client_open(&c, control) : -ENOENT;
    enum pidfile_state state = PIDFILE_NONE;
    pid_t pid = 0;

    if (rc == 0 && c.pid != but)
        refuse_stopping(&c, control);
    if (rc == 0 && c.pid != but)
        refuse_second(c.pid, "control socket", control, "control");
    if (pid_file)
        state = pidfile_look(pid_file, &pid);
    if (state == PIDFILE_RUNNING && pid != but)
        refuse_second(pid, "pid file", pid_file, "pid_file");
    if (state == PIDFILE_STALE)
        log_info("the pid file %s is left over from a server that is gone", pid_file);
    client_close(&c);
    free(control);
    free(pid_file);
    return rc == -ECONNREFUSED || state == PIDFILE_STALE;
}

/* ---- Settings ---- */

static void show(cs_str text)
{
    fd_write_all(STDERR_FILENO, text.p, text.n);
    if (log_fd() != STDERR_FILENO)
        fd_write_all(log_fd(), text.p, text.n);
}

static _Noreturn void refuse(const struct settings *s)
{
    struct buf text = {0};

    report_print(&s->report, &text);
    show(buf_str(&text));
    buf_clear(&text);
    report_summary(&s->report, &text);
    notify_status(text.n ? text.p : "the settings are refused");
    exit(CODE_REFUSED);
}

static void try_settings(const struct master *m, struct settings *s, bool left_over)
{
    struct probe_ask ask = {.owned = {.set = &m->takeover.listens,
                                      .inherited = &m->inherited,
                                      .patience_ms = left_over ? PATIENCE_MS : 0}};
    struct probe p;
    int rc = probe_run(&p, s, &ask);

    if (rc < 0)
        fatal(CODE_FAILED, "cannot start the process that tries the settings: %s", strerror(-rc));
    if (!p.good || !m->quiet)
        show(buf_str(&p.text));
    if (!p.good) {
        notify_status(p.summary.n ? p.summary.p : "the settings are refused");
        exit(CODE_REFUSED);
    }
    probe_free(&p);
}

/* Reads them, lets a child try them, and makes the shared memory they need. */
static struct settings *read_settings(struct master *m, bool *left_over,
                                      const struct settings_source *as_given)
{
    struct settings *s = settings_read(as_given);
    char *prefix = s->text ? mem_strdup(s->text->prefix) : conf_prefix_of(as_given->path);
    int rc;

    *left_over = look_for_others(s, prefix, m->takeover.from);
    free(prefix);
    try_settings(m, s, *left_over);
    if (!settings_bind(s, NULL))
        refuse(s);
    if (s->max_workers < takeover_width(m))
        s->max_workers = takeover_width(m);
    rc = region_new(&m->region, s->max_workers);
    if (rc < 0)
        fatal(CODE_FAILED, "cannot make the shared memory: %s", strerror(-rc));
    if (!settings_plan(s, &m->region, NULL))
        refuse(s);
    return s;
}

/* ---- What the master needs ---- */

static void watch(struct master *m, struct loop_io *io, int fd)
{
    int rc = fd;

    io->fd = fd;
    if (fd >= 0)
        rc = loop_set(&m->loop, io, EPOLLIN);
    if (rc < 0)
        fatal(CODE_FAILED, "cannot set up the event loop: %s", strerror(-rc));
}

static void open_loop(struct master *m)
{
    int rc = loop_init(&m->loop, BATCH);

    if (rc == 0)
        rc = crew_init(&m->crew, &m->region, &m->loop);
    if (rc < 0)
        fatal(CODE_FAILED, "cannot set up the event loop: %s", strerror(-rc));
    master_init(m);
    timer_init(&m->pid_again, on_pid_again);
    watch(m, &m->signals, sig_open());
    watch(m, &m->bell, m->region.master_bell);
    takeover_watch(m);
}

static _Noreturn void cannot_make(const char *what, const char *path, const char *key, int error)
{
    fatal(error == -EACCES ? CODE_DENIED : CODE_FAILED,
          "cannot make the %s %s: %s; give this user the right to write there, or set `%s` in "
          "[server]",
          what, path, strerror(-error), key);
}

/* Where another one serves, the control socket is made when we take over. */
static void open_own_files(struct master *m, const struct settings *s)
{
    const char *path = s->conf->server.control.p;
    int rc = m->takeover.pending ? file_make_parent(path)
                                 : control_new(&m->control, &m->loop, path, command_run, m);

    if (rc == -EADDRINUSE)
        fatal(CODE_FAILED, "%s is in use: a server is running already, or the file is no socket",
              path);
    if (rc < 0)
        cannot_make("control socket", path, "control", rc);
    m->pid_file = mem_strdup(s->conf->server.pid_file.p);
    rc = file_make_parent(m->pid_file);
    if (rc < 0)
        cannot_make("folder of the pid file", m->pid_file, "pid_file", rc);
}

/* The files of the sockets that were handed to us are the other's until we have taken over. */
static void disown_files(struct master *m)
{
    const struct listen_set *theirs = &m->takeover.listens;
    struct listen_set *ours = &m->live->listens;

    for (size_t i = 0; i < ours->n; i++)
        for (size_t k = 0; k < theirs->n; k++)
            if (ours->v[i].fds[0] == theirs->v[k].fds[0])
                ours->v[i].file = false;
}

static void open_generation(struct master *m, struct settings *s, bool left_over)
{
    struct listen_from from = {.old = &m->takeover.listens,
                               .inherited = &m->inherited,
                               .positions = m->region.header->max_workers,
                               .patience_ms = left_over ? PATIENCE_MS : 0};
    struct listen_set listens;
    struct logs logs;

    if (!logs_open(&logs, s) || !listen_open(&listens, s, &from)) {
        control_free(m->control);
        refuse(s);
    }
    m->generations = 1;
    m->live = generation_new(&m->crew, 1, s, &listens, &logs);
    check(m->live);
    m->live->state = GENERATION_LIVE;
    if (debut_wanted(m->live))
        launch_open(m);
    else if (!m->takeover.pending)
        atomic_store(&m->region.header->generation, 1);
    disown_files(m);
}

/* ---- The whole ---- */

static void open_early_log(const char *path)
{
    int fd;

    if (!path || strcmp(path, "stderr") == 0)
        return;
    fd = file_open_log(path);
    if (fd < 0)
        fatal(fd == -EACCES ? CODE_DENIED : CODE_FAILED, "cannot write the log %s: %s", path,
              strerror(-fd));
    log_open(fd, false);
}

static void leave_terminal(const struct master *m)
{
    if (m->live->logs.error_fd == STDERR_FILENO)
        log_warn("error_log = stderr goes nowhere in the background; name a file");
    background_detach();
}

/* What no process of this server needs, the master does not keep either. Root it stays for the next reload: for low
 * ports, the logs, and to make processes of another user. */
static void give_up_rights(void)
{
    int rc = priv_no_new();

    if (rc == 0 && geteuid() != 0)
        rc = priv_keep_ports();
    if (rc < 0)
        fatal(CODE_FAILED, "cannot give up rights that are not needed: %s", strerror(-rc));
}

/* Descriptors 0, 1 and 2 are there, so that no socket gets their numbers. */
static void fill_standard(void)
{
    int fd;

    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    fd_close(&fd);
}

/* A reload finds the file wherever the report was asked for. */
static char *absolute(const char *path)
{
    char *here = getcwd(NULL, 0), *joined = file_join(here ? here : ".", path);

    free(here);
    return joined;
}

void master_start(struct master *m, const struct master_opts *opts)
{
    struct settings *s;
    bool left_over;

    fill_standard();
    log_set_name("master");
    takeover_init(m);
    upgrade_note(m, opts->argv);
    if (!m->takeover.pending) { /* else what is said now goes to who started us */
        open_early_log(opts->error_log);
        listen_inherit(&m->inherited);
    }
    give_up_rights();
    notify_open();
    notify_hold(m->takeover.pending);
    m->path = opts->source.text.p ? mem_strdup(opts->source.path) : absolute(opts->source.path);
    m->source = opts->source;
    m->source.path = m->path;
    m->quiet = opts->quiet;
    m->daemon = opts->daemon;
    m->release = opts->daemon && !m->takeover.pending ? background_go() : -1;
    fd_limit_raise();
    s = read_settings(m, &left_over, &opts->source);
    m->source.again = true;
    open_loop(m);
    open_own_files(m, s);
    open_generation(m, s, left_over);
    child_title_set("cserver: master (%s)", m->path);
    takeover_begin(m);
    if (m->daemon)
        leave_terminal(m);
    logs_use(&m->live->logs);
    log_info("starting %u worker%s with %s", m->live->wanted, m->live->wanted == 1 ? "" : "s",
             m->path);
    reopen_watch(m);
    mailroom_open(m);
    succession_hold(m);
    if (!m->takeover.pending)
        herald_open(m);
    keeper_start(m, m->live);
}
