#include "serve/serve.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "module/crumb.h"
#include "os/fd.h"
#include "serve/accept.h"
#include "serve/access_log.h"
#include "serve/api.h"
#include "serve/conn.h"
#include "serve/errand.h"
#include "serve/feed.h"
#include "serve/giver.h"
#include "serve/idle.h"
#include "serve/taker.h"
#include "serve/task.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#define ARENA_CHUNK     (8 * 1024)
#define ARENA_SPARES    256
#define DEBUG_REQUESTS  256 /* whose memory faults after their end */
#define LOG_END_MS      500 /* most that its last lines may take */
#define FDS_FOR_OURSELF 64  /* epoll, logs, files of modules ... */

/* Before the plan has its sockets, as the settings want them. */
static size_t listening_fds(const struct serve_plan *p, unsigned max_workers)
{
    size_t n = 0;
    for (size_t i = 0; i < p->nlisteners; i++)
        n += p->listeners[i].nfds;
    if (n)
        return n;
    for (size_t i = 0; i < p->conf->nlistens; i++) {
        const struct conf_listen *l = &p->conf->listens[i];
        int64_t policy = l->policy == CONF_POLICY_DEFAULT ? p->conf->accept.policy : l->policy;
        n += l->address.n * (policy == CONF_POLICY_REUSEPORT ? max_workers : 1);
    }
    return n;
}

unsigned serve_connection_limit(const struct serve_plan *plan, unsigned max_workers, size_t *nofile)
{
    size_t fds = fd_limit_raise(), bells = IPC_SLOT_WORKERS + 3 * (size_t)max_workers;
    size_t own = FDS_FOR_OURSELF + bells + listening_fds(plan, max_workers) + plan->nroots +
                 plan->conf->nlogs;
    size_t room = fds > 4 * own ? fds - fds / 8 - own : fds / 2;
    uint64_t wish = (uint64_t)plan->conf->limits.max_connections;
    *nofile = fds;
    if (wish && wish < room)
        room = (size_t)wish;
    return room < INT32_MAX ? (unsigned)room : INT32_MAX;
}

/* Ids of two workers, or of two lives of one, must not meet. */
static uint64_t random_start(void)
{
    uint64_t v = 0;
    if (getrandom(&v, sizeof v, GRND_NONBLOCK) != (ssize_t)sizeof v)
        v = clock_wall_us() * 0x9e3779b97f4a7c15u;
    return v;
}

/* Invariant of the accept turn, for what is called without a request. */
static void before_call(void *serve)
{
    serve_enter_module(serve);
}

/* Their clients connect again, and are told what is the matter. */
static void end_orphans(struct loop_task *t)
{
    struct serve *s = CONTAINER_OF(t, struct serve, orphans);
    LIST_EACH(it, &s->conns)
    {
        struct conn *c = CONTAINER_OF(it, struct conn, node);
        if (c->feed && feed_is_orphan(c->feed))
            conn_break(c);
    }
}

/* A stream need not do anything for ever: nothing else would show that its module has been put into quarantine. */
static void look_for_orphans(struct serve *s)
{
    const struct conf *conf = s->plan->conf;
    size_t n = 0;
    if (!atomic_load_explicit(&s->slot->streams, memory_order_relaxed))
        return;
    for (size_t i = 0; i < conf->nmodules; i++)
        n += crumb_is_quarantined(conf->modules[i].number);
    if (n != s->nleft_out)
        loop_later(s->loop, &s->orphans);
    s->nleft_out = n;
}

int serve_new(struct serve **out, struct serve_plan *plan, struct host *host)
{
    struct serve *s = mem_alloc(sizeof *s);
    size_t nofile;
    *out = s;
    s->plan = plan;
    s->limits = &plan->conf->limits;
    s->host = host;
    s->loop = host->loop;
    s->region = host->region;
    s->slot = region_slot(host->region, host->slot);
    s->slot_index = host->slot;
    list_init(&s->conns);
    list_init(&s->idle);
    list_init(&s->takers);
    list_init(&s->orphans.node);
    s->orphans.run = end_orphans;
    arena_pool_init(&s->arenas, ARENA_CHUNK, ARENA_SPARES);
    s->debug = plan->conf->server.module_debug;
    if (s->debug)
        arena_pool_guard(&s->arenas, DEBUG_REQUESTS);
    s->next_id = random_start();
    s->max_conns = serve_connection_limit(plan, s->region->header->max_workers, &nofile);
    errand_open(s);
    task_open(s);
    s->logs = access_logs_new(s);
    int rc = accept_init(s);
    if (rc) {
        log_error("the listeners cannot be watched: %s", strerror(-rc));
        return -1;
    }
    host->before_call = before_call;
    host->before_arg = s;
    api_open(s);
    return 0;
}

void serve_open(struct serve *s)
{
    accept_open(s);
}

/* More connections than it takes now stay; they end in their time. */
void serve_tune(struct serve *s)
{
    size_t nofile;
    s->max_conns = serve_connection_limit(s->plan, s->region->header->max_workers, &nofile);
    accept_tune(s);
}

void serve_before_wait(struct serve *s)
{
    look_for_orphans(s);
    access_logs_before_wait(s->logs);
    accept_before_wait(s);
}

bool serve_has_turn(const struct serve *s)
{
    return s->turn.have;
}

void serve_after_wait(struct serve *s)
{
    accept_after_wait(s);
}

void serve_drain(struct serve *s)
{
    if (s->draining)
        return;
    accept_stop(s);
    host_stop(s->host);
    s->giver = giver_new(s);
}

void serve_drain_until(struct serve *s, uint64_t until)
{
    if (s->giver)
        giver_until(s->giver, until);
}

void serve_leave(struct serve *s)
{
    if (s->leaving)
        return;
    s->leaving = true;
    LIST_EACH(node, &s->idle)
    idle_hurry(CONTAINER_OF(node, struct conn, idle_node));
    if (s->giver)
        giver_leave(s->giver);
}

void serve_give(struct serve *s, int channel, unsigned most)
{
    if (s->giver)
        giver_heir(s->giver, channel, most);
    else
        fd_close(&channel);
}

void serve_take(struct serve *s, int channel)
{
    taker_new(s, channel);
}

void serve_hear_mail(struct serve *s)
{
    taker_look(s);
}

bool serve_idle(const struct serve *s)
{
    return s->nconns == 0;
}

void serve_count(const struct serve *s, unsigned *connections, unsigned *busy)
{
    *connections = s->nconns;
    *busy = 0;
    LIST_EACH(it, &s->conns)
    {
        const struct conn *c = CONTAINER_OF(it, struct conn, node);
        *busy += !c->depth && !conn_is_idle(c);
    }
}

void serve_cut(struct serve *s)
{
    struct list *node;
    while ((node = list_first(&s->conns))) /* what the end of one calls may end others */
        conn_close(CONTAINER_OF(node, struct conn, node));
}

void serve_adopt(struct serve *s, int fd)
{
    check(!s->turn.have && s->plan->nlisteners > 0);
    struct conn *c = conn_new(s, fd, 0, NULL);
    c->preamble = false; /* it has come past all balancers */
    conn_begin(c);
}

void serve_reopen_access_log(struct serve *s, unsigned index, int fd)
{
    access_logs_reopen(s->logs, index, fd);
}

bool serve_is_reopening(const struct serve *s)
{
    return access_logs_are_moving(s->logs);
}

bool serve_has_logged(struct serve *s, bool limited)
{
    return access_logs_hurry(s->logs, limited);
}

bool serve_end_logs(struct serve *s)
{
    return access_logs_end(s->logs, LOG_END_MS);
}

void serve_free(struct serve *s)
{
    serve_cut(s);
    taker_free_all(s);
    giver_free(s->giver);
    s->giver = NULL;
    loop_reap(s->loop);
    s->host->before_call = NULL;
    accept_free(s);
    api_close();
    access_logs_free(s->logs);
    errand_close(s);
    task_close(s);
    arena_pool_drain(&s->arenas);
    inbuf_drain_spares(s);
    free(s);
}
