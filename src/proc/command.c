/* command.c - what the control socket is asked, and the answers. Each answer carries the pid and
 * the generation, so that the one who asks knows who has answered. */
#include "proc/command.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "ipc/board.h"
#include "ipc/mailstat.h"
#include "proc/master.h"
#include "proc/msg.h"

#include <string.h>
#include <unistd.h>

struct command {
    const char *word;
    void (*run)(struct master *m, struct control_call *call);
    void (*run_with)(struct master *m, struct control_call *call, cs_str object);
};

void command_begin(struct master *m, struct json *j, struct buf *out, int code)
{
    json_init(j, out);
    json_object(j, NULL);
    json_bool(j, "ok", code == 0);
    json_int(j, "code", code);
    json_int(j, "pid", getpid());
    json_int(j, "generation", m->live ? (int64_t)m->live->number : 0);
}

void command_end(struct control_call *call, struct json *j, struct buf *out)
{
    json_end_object(j);
    control_answer(call, buf_str(out));
    buf_free(out);
}

void command_answer(struct master *m, struct control_call *call, int code, const char *message,
                    cs_str report)
{
    struct buf out = {0};
    struct json j;

    command_begin(m, &j, &out, code);
    json_z(&j, "message", message);
    if (report.n > 0)
        json_str(&j, "report", report);
    command_end(call, &j, &out);
}

const char *command_state(const struct master *m)
{
    if (m->stop)
        return "stopping";
    if (atomic_load(&m->region.header->degraded))
        return "degraded";
    if (m->paused)
        return "paused";
    return m->announced ? "running" : "starting";
}

static void put_worker(const struct master *m, struct json *j, const struct worker *w)
{
    struct ipc_slot *slot = region_slot(&m->region, w->slot);
    enum ipc_state state = (enum ipc_state)atomic_load(&slot->state);

    json_object(j, NULL);
    json_int(j, "number", worker_number(w));
    json_int(j, "pid", w->pid);
    json_z(j, "state", w->pid > 0 ? board_state_name(state) : "waiting");
    json_int(j, "generation", w->generation->number);
    json_int(j, "connections", atomic_load(&slot->active));
    json_int(j, "requests", (int64_t)board_get(&m->region, w->slot, IPC_REQUESTS));
    json_int(j, "starts", atomic_load(&slot->incarnation));
    json_int(j, "uptime_s", w->pid > 0 ? (int64_t)((clock_ms() - w->started_ms) / 1000) : 0);
    json_int(j, "mail_lag", (int64_t)mailstat_lag(&m->region, w->slot));
    json_end_object(j);
}

static void put_primary(const struct master *m, struct json *j)
{
    struct primary_info p;

    if (!succession_info(m, &p)) {
        json_z(j, "primary", NULL);
        return;
    }
    json_object(j, "primary");
    json_int(j, "pid", p.pid);
    json_z(j, "state", p.state);
    json_int(j, "generation", p.generation);
    json_int(j, "starts", p.starts);
    json_int(j, "uptime_s", (int64_t)(p.uptime_ms / 1000));
    json_int(j, "mail_lag", (int64_t)mailstat_lag(&m->region, IPC_SLOT_PRIMARY_A));
    json_end_object(j);
}

static void put_workers(const struct master *m, struct json *j)
{
    unsigned draining = 0;

    json_array(j, "workers");
    for (unsigned i = 0; i < m->crew.nworkers; i++) {
        const struct worker *w = &m->crew.workers[i];

        if (!w->generation)
            continue;
        put_worker(m, j, w);
        draining += w->pid > 0 && (w->told || w->generation->state == GENERATION_DRAINING);
    }
    json_end_array(j);
    json_int(j, "ready", generation_ready(m->live));
    json_int(j, "wanted", m->live->wanted);
    json_int(j, "draining", draining);
}

static void put_listeners(const struct master *m, struct json *j)
{
    json_array(j, "listeners");
    for (size_t i = 0; i < m->live->listens.n; i++)
        json_z(j, NULL, m->live->listens.v[i].text);
    json_end_array(j);
}

/* Of settings that have gone too: their crashes are part of what has happened. */
static void put_modules(const struct master *m, struct json *j)
{
    const struct ipc_module *module;

    json_array(j, "modules");
    for (unsigned i = 1; (module = board_module(&m->region, i)); i++) {
        json_object(j, NULL);
        json_z(j, "name", module->name);
        json_z(j, "version", module->version);
        json_int(j, "crashes", (int64_t)atomic_load(&module->crashes));
        json_int(j, "stalls", (int64_t)atomic_load(&module->stalls));
        json_bool(j, "quarantined", board_is_quarantined(&m->region, module));
        json_end_object(j);
    }
    json_end_array(j);
}

static void put_reload(const struct master *m, struct json *j)
{
    const struct rollout *r = &m->rollout;
    const struct ipc_header *h = m->region.header;

    json_int(j, "reloads", (int64_t)atomic_load(&h->reloads));
    json_int(j, "reloads_failed", (int64_t)atomic_load(&h->reloads_failed));
    if (!r->any)
        return;
    json_object(j, "last_reload");
    json_bool(j, "ok", r->ok);
    json_int(j, "at", (int64_t)(r->at_wall_us / 1000000));
    json_z(j, "message", r->message);
    json_end_object(j);
}

static void run_status(struct master *m, struct control_call *call)
{
    const struct ipc_header *h = m->region.header;
    struct buf out = {0};
    struct json j;

    command_begin(m, &j, &out, 0);
    json_z(&j, "state", command_state(m));
    json_int(&j, "uptime_s", (int64_t)((clock_ms() - m->started_ms) / 1000));
    json_z(&j, "settings", m->source.path);
    put_listeners(m, &j);
    put_workers(m, &j);
    put_primary(m, &j);
    put_modules(m, &j);
    json_int(&j, "connections", board_active(&m->region));
    json_int(&j, "requests", (int64_t)board_sum(&m->region, IPC_REQUESTS));
    json_int(&j, "spawns", (int64_t)atomic_load(&h->spawns));
    json_int(&j, "crashes", (int64_t)atomic_load(&h->crashes));
    put_reload(m, &j);
    command_end(call, &j, &out);
}

static void run_listeners(struct master *m, struct control_call *call)
{
    struct buf out = {0};
    struct json j;

    command_begin(m, &j, &out, 0);
    put_listeners(m, &j);
    command_end(call, &j, &out);
}

/* Who asked waits for the end of the process; limit_ms says how long that may take. */
static void answer_stop(struct master *m, struct control_call *call, bool limited)
{
    struct buf out = {0};
    struct json j;

    command_begin(m, &j, &out, 0);
    json_z(&j, "message", "stopping");
    json_int(&j, "limit_ms", limited ? m->live->settings->conf->server.shutdown_timeout : -1);
    command_end(call, &j, &out);
}

static void run_stop(struct master *m, struct control_call *call)
{
    log_info("asked to stop through the control socket");
    answer_stop(m, call, true);
    if (m->stop < STOP_DRAIN)
        master_stop(m, STOP_DRAIN);
}

static void run_quit(struct master *m, struct control_call *call)
{
    log_info("asked to quit through the control socket");
    answer_stop(m, call, false);
    if (m->stop < STOP_WAIT)
        master_stop(m, STOP_WAIT);
}

static const struct command commands[] = {
    {"status", run_status, NULL},      {"listeners", run_listeners, NULL},
    {"reload", rollout_request, NULL}, {"reopen", reopen_request, NULL},
    {"stop", run_stop, NULL},          {"quit", run_quit, NULL},
    {"topics", NULL, msg_topics},      {"send", NULL, msg_send},
    {"tail", NULL, msg_tail}};

void command_run(void *arg, struct control_call *call, cs_str line)
{
    struct master *m = arg;
    cs_str rest = line, word = {0};

    str_split(&rest, ' ', &word);
    rest = str_trim(rest);
    if (rest.n > 0 && rest.p[0] != '{') {
        command_answer(m, call, 2, "behind the command only a JSON object may follow", CS_S(""));
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        if (str_is(word, commands[i].word)) {
            if (commands[i].run)
                commands[i].run(m, call);
            else
                commands[i].run_with(m, call, rest);
            return;
        }
    command_answer(m, call, 2,
                   "unknown command; there are status, listeners, reload, reopen, stop, quit, "
                   "topics, send and tail",
                   CS_S(""));
}
