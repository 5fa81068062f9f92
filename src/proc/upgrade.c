/* upgrade.c - see upgrade.h. */
#include "proc/upgrade.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "config.h"
#include "os/child.h"
#include "os/file.h"
#include "proc/code.h"
#include "proc/command.h"
#include "proc/launch.h"
#include "proc/leaving.h"
#include "proc/master.h"
#include "proc/pidfile.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define TAKE_MS 10000 /* from "go" to "done" */
#define END_MS  5000  /* for the new one to end by itself */

bool upgrade_is_under_way(const struct master *m)
{
    enum upgrade_state state = m->upgrade.state;

    return state == UPGRADE_STARTING || state == UPGRADE_TAKING || state == UPGRADE_ENDING;
}

bool upgrade_has_left(const struct master *m)
{
    return m->upgrade.state >= UPGRADE_LEAVING;
}

static void progress(struct master *m, const char *text)
{
    log_info("upgrade: %s", text);
    if (m->upgrade.call)
        control_progress(m->upgrade.call, text);
}

/* ---- The answer ---- */

static void answer(struct master *m, int code)
{
    struct upgrade *u = &m->upgrade;
    struct buf out = {0};
    struct json j;

    if (!u->call)
        return;
    command_begin(m, &j, &out, code);
    json_z(&j, "message", u->message);
    if (code == 0) {
        json_int(&j, "new_pid", u->newcomer.pid);
        json_z(&j, "version", u->version);
    }
    if (u->newcomer.said.n > 0)
        json_str(&j, "report", buf_str(&u->newcomer.said));
    command_end(u->call, &j, &out);
    u->call = NULL;
}

void upgrade_finish(struct master *m, int code, const char *fmt, ...)
{
    struct upgrade *u = &m->upgrade;
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(u->message, sizeof u->message, fmt, ap);
    va_end(ap);
    u->any = true;
    u->last_code = code;
    u->at_wall_us = clock_wall_us();
    if (code == 0)
        log_info("upgrade: %s", u->message);
    else
        log_error("upgrade failed: %s", u->message);
    log_lines(code == 0 ? LOG_LEVEL_WARN : LOG_LEVEL_ERROR, buf_str(&u->newcomer.said));
    answer(m, code);
    buf_free(&u->newcomer.said);
}

static void refuse(struct master *m, struct control_call *call, const char *why)
{
    log_warn("upgrade refused: %s", why);
    if (call)
        command_answer(m, call, CODE_FAILED, why, CS_S(""));
}

/* ---- It comes to nothing ---- */

/* The new program goes; what is said to who asked is the first reason. */
static void __attribute__((format(printf, 3, 4)))
give_up(struct master *m, int code, const char *fmt, ...)
{
    struct upgrade *u = &m->upgrade;
    va_list ap;

    if (u->state != UPGRADE_STARTING && u->state != UPGRADE_TAKING)
        return;
    u->state = UPGRADE_ENDING;
    u->code = code;
    va_start(ap, fmt);
    vsnprintf(u->why, sizeof u->why, fmt, ap);
    va_end(ap);
    kill(u->newcomer.pid, SIGINT);
    timer_set(&m->loop.timers, &u->limit, END_MS);
}

/* What the new one may have changed. A socket may be shared since it wanted some for each worker. */
static void take_back(struct master *m)
{
    struct listen_set *set = &m->live->listens;
    int rc = control_reclaim(m->control);
    pid_t pid = 0;

    if (rc < 0)
        log_error("cannot make the control socket again: %s; send HUP, TERM and the like to pid %d",
                  strerror(-rc), (int)getpid());
    if (m->serving && (pidfile_look(m->pid_file, &pid), pid != getpid())) {
        rc = pidfile_write(m->pid_file);
        if (rc < 0)
            log_error("cannot write the pid file %s again: %s", m->pid_file, strerror(-rc));
    }
    for (size_t i = 0; i < set->n; i++)
        if (set->v[i].nfds == 1 && !sock_addr_is_unix(&set->v[i].bound) && !set->v[i].given)
            sock_share(set->v[i].fds[0], false);
}

/* It has ended without a reason that we know. */
static void explain(struct upgrade *u, pid_t pid, int status)
{
    char how[64];

    child_end_text(status, how, sizeof how);
    if (WIFEXITED(status) && WEXITSTATUS(status) == CODE_REFUSED) {
        u->code = CODE_REFUSED;
        snprintf(u->why, sizeof u->why, "the new program (pid %d) refused the settings", (int)pid);
        return;
    }
    u->code = CODE_ROLLED_BACK;
    snprintf(u->why, sizeof u->why, "the new program (pid %d) %s%s before it %s", (int)pid,
             WIFEXITED(status) ? "" : "was ", how,
             u->state == UPGRADE_TAKING ? "had taken over" : "was ready");
}

static void roll_back(struct master *m, pid_t pid, int status)
{
    struct upgrade *u = &m->upgrade;

    if (u->code == 0)
        explain(u, pid, status);
    timer_clear(&m->loop.timers, &u->limit);
    newcomer_close(&m->upgrade.newcomer);
    u->state = UPGRADE_IDLE;
    take_back(m);
    if (m->stop)
        upgrade_finish(m, u->code, "%s", u->why);
    else
        upgrade_finish(m, u->code, "%s; pid %d goes on with the old program", u->why,
                       (int)getpid());
    if (m->rollout.again && !m->stop)
        rollout_request(m, NULL);
}

void upgrade_reopen(struct master *m)
{
    if (upgrade_is_under_way(m))
        newcomer_tell(&m->upgrade.newcomer, "reopen");
}

/* ---- What it says ---- */

static void on_ready_word(struct master *m, cs_str version)
{
    struct upgrade *u = &m->upgrade;
    char text[160];

    if (u->state != UPGRADE_STARTING)
        return;
    snprintf(u->version, sizeof u->version, "%.*s", CS_F(version));
    snprintf(text, sizeof text, "pid %d (cserver %s) is ready and takes over", (int)u->newcomer.pid,
             u->version);
    progress(m, text);
    u->state = UPGRADE_TAKING;
    timer_set(&m->loop.timers, &u->limit, TAKE_MS);
    newcomer_tell(&u->newcomer, "go"); /* who is gone by now is reaped soon */
}

static void on_failed_word(struct master *m, cs_str rest)
{
    cs_str word = {0};
    uint64_t code = 0;

    str_split(&rest, ' ', &word);
    if (!str_to_u64(word, 125, &code) || code == 0)
        code = CODE_ROLLED_BACK;
    give_up(m, (int)code, "%.*s", CS_F(rest));
}

static void on_exec_word(struct master *m, cs_str number)
{
    uint64_t error = 0;

    str_to_u64(number, 4095, &error);
    give_up(m, CODE_FAILED, "cannot run %s: %s", m->upgrade.program,
            error == ENOEXEC ? "it is no program" : strerror((int)error));
}

/* It stops, and waits for us. */
static void on_stop_word(struct master *m, cs_str how)
{
    uint64_t n = STOP_NOT;

    if (upgrade_has_left(m) && str_to_u64(how, STOP_NOW, &n))
        master_stop(m, (enum master_stop)n);
}

static void on_message(struct newcomer *n, cs_str message)
{
    struct master *m = CONTAINER_OF(n, struct master, upgrade.newcomer);
    char text[HANDOVER_MESSAGE];
    cs_str word = {0};

    str_split(&message, ' ', &word);
    if (str_is(word, "progress")) {
        snprintf(text, sizeof text, "%.*s", CS_F(message));
        progress(m, text);
    } else if (str_is(word, "ready")) {
        on_ready_word(m, message);
    } else if (str_is(word, "done") && m->upgrade.state == UPGRADE_TAKING) {
        leaving_begin(m);
    } else if (str_is(word, "failed")) {
        on_failed_word(m, message);
    } else if (str_is(word, "exec")) {
        on_exec_word(m, message);
    } else if (str_is(word, "stop")) {
        on_stop_word(m, message);
    } else if (str_is(word, "reopen")) {
        reopen_request(m, NULL);
    }
}

bool upgrade_reaped(struct master *m, pid_t pid, int status)
{
    struct upgrade *u = &m->upgrade;
    char how[64];

    if (u->newcomer.pid == 0 || pid != u->newcomer.pid)
        return false;
    newcomer_hear_last(&u->newcomer);
    if (upgrade_has_left(m)) {
        child_end_text(status, how, sizeof how);
        log_error("the new master (pid %d), which has taken over, %s%s while this one still drains",
                  (int)pid, WIFEXITED(status) ? "" : "was ", how);
        u->newcomer.pid = 0;
        master_stop(m, STOP_DRAIN);
        return true;
    }
    u->newcomer.pid = 0;
    roll_back(m, pid, status);
    return true;
}

static void on_limit(struct timer *t)
{
    struct master *m = CONTAINER_OF(t, struct master, upgrade.limit);
    struct upgrade *u = &m->upgrade;
    int64_t limit = m->live->settings->conf->server.upgrade_timeout;

    if (u->state == UPGRADE_STARTING) {
        give_up(m, CODE_ROLLED_BACK,
                "the new program (pid %d) was not ready within %lld ms (upgrade_timeout)",
                (int)u->newcomer.pid, (long long)limit);
    } else if (u->state == UPGRADE_TAKING) {
        give_up(m, CODE_ROLLED_BACK, "the new program (pid %d) did not take over within %d ms",
                (int)u->newcomer.pid, TAKE_MS);
    } else if (u->state == UPGRADE_ENDING) {
        log_warn("the new program (pid %d) does not end: killing it", (int)u->newcomer.pid);
        kill(u->newcomer.pid, SIGKILL);
    } else if (u->state == UPGRADE_LEAVING) {
        leaving_late(m);
    }
}

static void begin(struct master *m, struct control_call *call)
{
    struct upgrade *u = &m->upgrade;
    char text[4096];
    struct handover give = {
        .from = getpid(), .listens = m->live->listens, .inherited = m->inherited};
    int rc;

    u->call = call;
    u->code = 0;
    u->version[0] = '\0';
    rc = newcomer_start(&u->newcomer, u->program, u->argv, &give);
    if (rc < 0) {
        upgrade_finish(m, CODE_FAILED, "cannot start %s: %s", u->program, strerror(-rc));
        return;
    }
    u->state = UPGRADE_STARTING;
    timer_set(&m->loop.timers, &u->limit,
              (uint64_t)m->live->settings->conf->server.upgrade_timeout);
    snprintf(text, sizeof text, "starting %s (pid %d)", u->program, (int)u->newcomer.pid);
    progress(m, text);
}

static bool is_file(const char *path)
{
    struct stat st;

    return stat(path, &st) < 0 || S_ISREG(st.st_mode);
}

/* "" or why not now. */
static void look_for_obstacle(const struct master *m, char *why, size_t n)
{
    const struct upgrade *u = &m->upgrade;

    *why = '\0';
    if (upgrade_has_left(m))
        snprintf(why, n, "another program has taken over from this server already");
    else if (m->stop)
        snprintf(why, n, "the server is stopping");
    else if (m->takeover.pending)
        snprintf(why, n, "this server is about to take over from another one");
    else if (u->state != UPGRADE_IDLE)
        snprintf(why, n, "an upgrade is under way (pid %d)", (int)u->newcomer.pid);
    else if (m->rollout.state != ROLLOUT_IDLE)
        snprintf(why, n, "a %s is under way; ask again when it is over",
                 launch_is_opening(m) ? "start" : "reload");
    else if (m->source.text.p)
        snprintf(why, n, "a server of --dev is not replaced; end it and start it again");
    else if (!is_file(m->path))
        snprintf(why, n,
                 "the settings (%s) are not a file, so the new program cannot read them; put them "
                 "into a file, and restart with that",
                 m->path);
    else if (getpid() == 1)
        snprintf(why, n,
                 "the first process of a container cannot be replaced, its end is the end of the "
                 "container; start a container with the new program instead");
    else if (!u->program)
        snprintf(why, n, "it is not known which file this server was started from");
    else if (access(u->program, X_OK) < 0)
        snprintf(why, n, "cannot run %s: %s; put the new program there", u->program,
                 strerror(errno));
}

void upgrade_request(struct master *m, struct control_call *call)
{
    char why[4352];

    look_for_obstacle(m, why, sizeof why);
    if (*why)
        refuse(m, call, why);
    else
        begin(m, call);
}

void upgrade_cancel(struct master *m, const char *why)
{
    if (m->upgrade.state == UPGRADE_STARTING || m->upgrade.state == UPGRADE_TAKING)
        give_up(m, CODE_FAILED, "%s", why);
}

void upgrade_arrived(struct master *m)
{
    struct upgrade *u = &m->upgrade;

    u->any = true;
    u->last_code = 0;
    u->at_wall_us = clock_wall_us();
    snprintf(u->message, sizeof u->message, "pid %d (cserver %s) has taken over from pid %d",
             (int)getpid(), CSERVER_VERSION, (int)m->takeover.from);
}

void upgrade_put(const struct master *m, struct json *j)
{
    const struct upgrade *u = &m->upgrade;

    if (upgrade_is_under_way(m) || (upgrade_has_left(m) && u->newcomer.pid)) {
        json_object(j, "upgrade");
        json_int(j, "pid", u->newcomer.pid);
        json_z(j, "state", upgrade_has_left(m) ? "done" : "under way");
        json_end_object(j);
    }
    if (takeover_drains(m))
        json_int(j, "old_pid", m->takeover.from);
    if (!u->any)
        return;
    json_object(j, "last_upgrade");
    json_bool(j, "ok", u->last_code == 0);
    json_int(j, "code", u->last_code);
    json_int(j, "at", (int64_t)(u->at_wall_us / 1000000));
    json_z(j, "message", u->message);
    json_end_object(j);
}

void upgrade_shed(struct master *m)
{
    newcomer_shed(&m->upgrade.newcomer);
}

void upgrade_note(struct master *m, char **argv)
{
    struct upgrade *u = &m->upgrade;

    u->argv = argv;
    u->program = argv && argv[0] ? file_program(argv[0]) : NULL;
    u->newcomer.channel.fd = u->newcomer.errors.fd = -1;
}

void upgrade_init(struct master *m)
{
    timer_init(&m->upgrade.limit, on_limit);
    newcomer_init(&m->upgrade.newcomer, &m->loop, on_message);
}

void upgrade_free(struct master *m)
{
    struct upgrade *u = &m->upgrade;

    timer_clear(&m->loop.timers, &u->limit);
    newcomer_close(&m->upgrade.newcomer);
    free(u->program);
    buf_free(&u->newcomer.said);
}
