/* process.c - the life of the process under test: what proc/worker.c and proc/primary.c do, without a master. */
#include "kit/kit.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "ipc/topic.h"
#include "module/crumb.h"
#include "module/zone.h"
#include "os/fd.h"

#include <stdlib.h>
#include <string.h>

#define BATCH 64

/* ---- One life ---- */

static void on_bell(struct loop_io *io, uint32_t events)
{
    (void)events;
    fd_event_drain(io->fd);
}

/* False: the report says why. */
static bool load(struct cst *t)
{
    if (!kit_settings_load(&t->settings, &t->wish) || !kit_settings_plan(&t->settings, &t->region))
        return false;
    t->settings.plan->generation = 1;
    t->settings.plan->workers = (unsigned)t->wish.workers;
    t->settings.conf->server.threads = 1; /* jobs end in the order in which they began */
    t->settings.conf->server.module_debug = true;
    return true;
}

_Noreturn static void refuse(struct cst *t)
{
    struct buf text = {0};
    report_sort(&t->settings.report);
    report_print(&t->settings.report, &text);
    kit_die("%s", text.p);
}

/* The pretended processes run the same modules. */
static void share_topics(struct cst *t)
{
    for (size_t i = 0; i < t->settings.n; i++)
        for (const cs_topic_def *d = t->settings.descs[i]->topics; d && d->name; d++)
            if (d->on_message)
                others_take(&t->others, (unsigned)topic_find(&t->region, d->name));
}

static struct ipc_slot *begin_life(struct cst *t)
{
    struct ipc_slot *slot = region_slot(&t->region, others_slot(t->wish.number));
    atomic_fetch_add(&slot->incarnation, 1);
    atomic_store(&slot->generation, 1);
    atomic_store(&slot->position, (uint32_t)(t->wish.number > 0 ? t->wish.number - 1 : 0));
    atomic_store(&slot->state, IPC_STARTING);
    return slot;
}

static bool open_host(struct cst *t)
{
    struct host_opts opts = {.conf = t->settings.conf,
                             .loop = &t->loop,
                             .region = &t->region,
                             .slot = others_slot(t->wish.number),
                             .workers = (unsigned)t->wish.workers,
                             .generation = 1};
    check(loop_init(&t->loop, BATCH) == 0);
    return host_open(&t->host, &opts) == 0;
}

static void open_serve(struct cst *t)
{
    if (t->wish.number > 0) {
        check(serve_new(&t->serve, t->settings.plan, &t->host) == 0);
        return;
    }
    t->bell = (struct loop_io){.fd = t->region.bells[others_slot(0)], .on_ready = on_bell};
    check(loop_set(&t->loop, &t->bell, EPOLLIN) == 0);
}

bool kit_start(struct cst *t)
{
    if (!load(t))
        refuse(t);
    share_topics(t);
    others_settle(&t->others, t->wish.number, t->wish.workers);
    struct ipc_slot *slot = begin_life(t);
    t->started = true;
    t->draining = false;
    t->failed = !open_host(t);
    if (t->failed)
        return false;
    open_serve(t);
    host_drain(&t->host); /* the latest values come first */
    atomic_store(&slot->state, IPC_READY);
    if (t->serve)
        serve_open(t->serve);
    return true;
}

/* A worker's stop hook comes when it begins to drain, a primary's at its end. */
static void stop(struct cst *t)
{
    if (t->failed)
        return;
    if (t->serve)
        serve_drain(t->serve);
    else
        host_stop(&t->host);
    kit_run(t);
}

void kit_end(struct cst *t)
{
    if (!t->started)
        return;
    stop(t);
    kit_clients_end(t);
    if (t->serve)
        serve_cut(t->serve);
    if (!host_end_work(&t->host))
        kit_die("work still runs on a thread: it does not come to an end");
    if (t->serve)
        serve_free(t->serve);
    t->serve = NULL;
    host_close(&t->host);
    loop_free(&t->loop);
    origins_end(&t->origins);
    atomic_store(&region_slot(&t->region, others_slot(t->wish.number))->state, IPC_FREE);
    kit_settings_free(&t->settings);
    t->started = false;
}

/* ---- What the test calls ---- */

static char *copy(const char *z)
{
    return z ? mem_strdup(z) : NULL;
}

static void set_wish(struct kit_wish *w, const cst_opts *opts)
{
    size_t more = 0;
    while (opts->more && opts->more[more])
        more++;
    *w = (struct kit_wish){.settings = copy(opts->settings), .root = copy(opts->root)};
    w->files = mem_alloc((more + 1) * sizeof *w->files);
    w->files[w->nfiles++] = mem_strdup(opts->module);
    for (size_t i = 0; i < more; i++)
        w->files[w->nfiles++] = mem_strdup(opts->more[i]);
    w->number = opts->primary ? 0 : opts->worker ? opts->worker : 1;
    w->workers = opts->workers ? opts->workers : w->number ? w->number : 1;
}

static void check_numbers(const struct kit_wish *w)
{
    if (w->number < 0 || w->workers < 1 || w->workers > OTHERS_WORKERS || w->number > w->workers)
        kit_die("there is no worker %d of %d; at most %d are possible", w->number, w->workers,
                OTHERS_WORKERS);
}

static struct cst *new_test(const cst_opts *opts)
{
    struct cst *t = mem_alloc(sizeof *t);
    if (kit_here)
        kit_die("there is a struct cst already: cst_close comes before the next cst_open");
    if (!opts->module)
        kit_die("cst_open: no module");
    clock_freeze();
    set_wish(&t->wish, opts);
    arena_init(&t->arena, NULL);
    t->origins.arena = &t->arena;
    t->opened_ms = clock_ms();
    kit_here = t;
    kit_log_open(t);
    kit_crash_open();
    if (region_new(&t->region, OTHERS_WORKERS) < 0)
        kit_die("no shared memory");
    atomic_store(&t->region.header->generation, 1);
    return t;
}

static void end_test(struct cst *t)
{
    kit_clients_free(t);
    origins_free(&t->origins);
    crumb_part();
    zone_drop();
    region_free(&t->region);
    kit_wish_free(&t->wish);
    kit_calls_forget();
    kit_crash_close();
    kit_log_close(t);
    arena_drop(&t->arena);
    free(t->published);
    free(t);
    kit_here = NULL;
    clock_thaw();
}

struct cst *cst_open_opts(const cst_opts *opts)
{
    struct cst *t = new_test(opts);
    check_numbers(&t->wish);
    others_open(&t->others, &t->region);
    if (!kit_start(t))
        kit_die("%s: its start hook has failed", opts->module);
    return t;
}

void cst_close(struct cst *t)
{
    kit_end(t);
    others_close(&t->others);
    end_test(t);
}

static int become(struct cst *t, int number, int workers)
{
    kit_end(t);
    t->wish.number = number;
    t->wish.workers = workers;
    check_numbers(&t->wish);
    return kit_start(t) ? CS_OK : CS_ERROR;
}

int cst_worker(struct cst *t, int number, int workers)
{
    if (number < 1)
        kit_die("cst_worker: workers are numbered from 1 on");
    return become(t, number, workers);
}

int cst_primary(struct cst *t)
{
    return become(t, 0, t->wish.workers);
}

void cst_drain(struct cst *t)
{
    if (!t->serve)
        kit_die("cst_drain: this process is no worker");
    serve_drain(t->serve);
    kit_run(t);
}

/* What on_config says needs the module's calls, and so a region. */
const char *cst_check(const char *module, const char *settings)
{
    static struct buf said;
    cst_opts opts = {.size = sizeof opts, .module = module, .settings = settings};
    struct cst *t = new_test(&opts);
    bool good = load(t);
    buf_clear(&said);
    if (!good) {
        report_sort(&t->settings.report);
        report_print(&t->settings.report, &said);
    }
    kit_settings_free(&t->settings);
    end_test(t);
    return good ? NULL : said.p;
}
