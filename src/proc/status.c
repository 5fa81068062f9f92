/* status.c - what the master tells of the server: who runs, who drains and for how long yet, what is wrong and why. */
#include "base/check.h"
#include "base/clock.h"
#include "ipc/board.h"
#include "ipc/mailstat.h"
#include "proc/command.h"
#include "proc/master.h"

const char *status_state(const struct master *m)
{
    if (m->stop)
        return "stopping";
    if (atomic_load(&m->region.header->degraded))
        return "degraded";
    if (m->paused)
        return "paused";
    return m->announced ? "running" : "starting";
}

/* ---- Workers ---- */

static bool drains(const struct master *m, const struct worker *w)
{
    const struct ipc_slot *slot = region_slot(&m->region, w->slot);

    return w->pid > 0 && (w->told || w->generation->state == GENERATION_DRAINING ||
                          atomic_load(&slot->state) == IPC_DRAINING);
}

static const char *why_drains(const struct master *m, const struct worker *w)
{
    if (m->stop)
        return upgrade_has_left(m) ? "upgrade" : "stop";
    if (w->generation != m->live)
        return w->generation->undone ? "rollback" : "reload";
    if (w == m->recycling.going)
        return "recycled";
    return w->told ? "fewer workers" : "signal";
}

/* Its deadline is the master's; a worker that a signal told to drain has one of its own, which nobody knows here. */
static void put_drain(const struct master *m, struct json *j, const struct worker *w)
{
    const struct ipc_slot *slot = region_slot(&m->region, w->slot);
    uint64_t now = clock_ms(), since = atomic_load(&slot->drain_since);

    json_object(j, "drains");
    json_z(j, "why", why_drains(m, w));
    json_int(j, "for_ms", since > 0 && now > since ? (int64_t)(now - since) : 0);
    if (w->told && w->until > 0)
        json_int(j, "left_ms", w->until > now ? (int64_t)(w->until - now) : 0);
    else
        json_z(j, "left_ms", NULL);
    json_end_object(j);
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
    json_int(j, "streams", atomic_load(&slot->streams));
    json_int(j, "idle", atomic_load(&slot->idle));
    json_int(j, "requests", (int64_t)board_get(&m->region, w->slot, IPC_REQUESTS));
    json_int(j, "starts", atomic_load(&slot->incarnation));
    json_int(j, "uptime_s", w->pid > 0 ? (int64_t)((clock_ms() - w->started_ms) / 1000) : 0);
    json_int(j, "mail_lag", (int64_t)mailstat_lag(&m->region, w->slot));
    if (drains(m, w))
        put_drain(m, j, w);
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
        draining += drains(m, w);
    }
    json_end_array(j);
    json_int(j, "ready", generation_ready(m->live));
    json_int(j, "wanted", m->live->wanted);
    json_int(j, "draining", draining);
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

/* The kinds of connections; what remains is in the middle of a request. */
static void put_kinds(const struct master *m, struct json *j)
{
    int streams = 0, idle = 0;

    for (unsigned i = 0; i < m->crew.nworkers; i++) {
        const struct ipc_slot *slot = region_slot(&m->region, m->crew.workers[i].slot);

        streams += atomic_load(&slot->streams);
        idle += atomic_load(&slot->idle);
    }
    json_int(j, "streams", streams);
    json_int(j, "idle", idle);
}

/* ---- Trouble ---- */

static void put_failing(struct json *j, const char *who, const struct repeat *last,
                        const struct timer *next, uint64_t delay_ms)
{
    struct buf text = {0};

    buf_printf(&text, "%s: the last one %s", who, last->last[0] ? last->last : "did not start");
    if (timer_is_set(next))
        buf_printf(&text, "; the next start is tried within %u.%u s", (unsigned)(delay_ms / 1000),
                   (unsigned)(delay_ms % 1000 / 100));
    json_str(j, NULL, buf_str(&text));
    buf_free(&text);
}

static void put_quarantine(struct json *j, const struct ipc_module *module)
{
    struct buf text = {0};

    buf_printf(&text,
               "the module \"%s\" %s is in quarantine after %llu crashes: repair it, and reload",
               module->name, module->version, (unsigned long long)atomic_load(&module->crashes));
    json_str(j, NULL, buf_str(&text));
    buf_free(&text);
}

static void put_trouble(const struct master *m, struct json *j)
{
    const struct ipc_module *module;

    json_array(j, "degraded");
    if (m->workers_fail)
        put_failing(j, "workers keep failing", &m->repeat, &m->respawn_timer, m->respawn.delay_ms);
    if (m->primary_fails)
        put_failing(j, "the primary keeps failing", &m->primary.repeat, &m->primary.again,
                    m->primary.respawn.delay_ms);
    for (unsigned i = 1; (module = board_module(&m->region, i)); i++)
        if (board_is_quarantined(&m->region, module))
            put_quarantine(j, module);
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

/* ---- The whole ---- */

static void put_listeners(const struct master *m, struct json *j)
{
    json_array(j, "listeners");
    for (size_t i = 0; i < m->live->listens.n; i++)
        json_z(j, NULL, m->live->listens.v[i].text);
    json_end_array(j);
}

static void put_reload(const struct master *m, struct json *j)
{
    const struct rollout *r = &m->rollout;
    const struct ipc_header *h = m->region.header;

    json_int(j, "reloads", (int64_t)atomic_load(&h->reloads));
    json_int(j, "reloads_failed", (int64_t)atomic_load(&h->reloads_failed));
    json_bool(j, "reloading", r->state != ROLLOUT_IDLE && r->state != ROLLOUT_OPENING);
    if (!r->any)
        return;
    json_object(j, "last_reload");
    json_bool(j, "ok", r->ok);
    json_int(j, "code", r->code);
    json_int(j, "at", (int64_t)(r->at_wall_us / 1000000));
    json_z(j, "message", r->message);
    json_end_object(j);
}

void status_request(struct master *m, struct control_call *call)
{
    const struct ipc_header *h = m->region.header;
    struct buf out = {0};
    struct json j;

    command_begin(m, &j, &out, 0);
    json_z(&j, "state", status_state(m));
    put_trouble(m, &j);
    json_int(&j, "uptime_s", (int64_t)((clock_ms() - m->started_ms) / 1000));
    json_z(&j, "settings", m->source.path);
    put_listeners(m, &j);
    put_workers(m, &j);
    put_primary(m, &j);
    put_modules(m, &j);
    json_int(&j, "connections", board_active(&m->region));
    put_kinds(m, &j);
    json_int(&j, "requests", (int64_t)board_sum(&m->region, IPC_REQUESTS));
    json_int(&j, "spawns", (int64_t)atomic_load(&h->spawns));
    json_int(&j, "crashes", (int64_t)atomic_load(&h->crashes));
    json_int(&j, "primary_crashes", m->primary.crashes);
    put_reload(m, &j);
    upgrade_put(m, &j);
    command_end(call, &j, &out);
}

void status_listeners(struct master *m, struct control_call *call)
{
    struct buf out = {0};
    struct json j;

    command_begin(m, &j, &out, 0);
    put_listeners(m, &j);
    command_end(call, &j, &out);
}
