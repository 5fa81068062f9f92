#include "serve/serve.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "http/date.h"
#include "os/fd.h"
#include "serve/accept.h"
#include "serve/access_log.h"
#include "serve/api.h"
#include "serve/conn.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#define ARENA_CHUNK     (8 * 1024)
#define ARENA_SPARES    256
#define FDS_FOR_OURSELF 64 /* listeners, bells, logs, roots, files being sent ... */

static unsigned connection_limit(const struct serve *s)
{
    size_t fds = fd_limit_raise();
    size_t room = fds > 4 * FDS_FOR_OURSELF ? fds - fds / 8 - FDS_FOR_OURSELF : fds / 2;
    int64_t wish = s->limits->max_connections;
    if (wish && (uint64_t)wish > room)
        log_warn(
            "[limits] max_connections = %lld is more than the %zu that RLIMIT_NOFILE (%zu) allows",
            (long long)wish, room, fds);
    return (unsigned)(wish && (uint64_t)wish < room ? (size_t)wish : room);
}

/* Ids of two workers, or of two lives of one, must not meet. */
static uint64_t random_start(void)
{
    uint64_t v = 0;
    if (getrandom(&v, sizeof v, GRND_NONBLOCK) != (ssize_t)sizeof v)
        v = clock_wall_us() * 0x9e3779b97f4a7c15u;
    return v;
}

static void set_self(struct serve *s)
{
    s->self = mem_alloc(sizeof *s->self);
    s->self->size = sizeof *s->self;
    s->self->slot = s->slot_index - IPC_SLOT_WORKERS + 1;
    s->self->workers = (int)s->plan->workers;
    s->self->incarnation = atomic_load(&s->slot->incarnation);
    s->self->generation = s->plan->generation;
}

int serve_new(struct serve **out, struct serve_plan *plan, struct loop *loop, struct region *region,
              int slot)
{
    struct serve *s = mem_alloc(sizeof *s);
    *out = s;
    s->plan = plan;
    s->limits = &plan->conf->limits;
    s->loop = loop;
    s->region = region;
    s->slot = region_slot(region, slot);
    s->slot_index = slot;
    list_init(&s->conns);
    list_init(&s->idle);
    arena_pool_init(&s->arenas, ARENA_CHUNK, ARENA_SPARES);
    s->next_id = random_start();
    s->date_at = -1;
    s->max_conns = connection_limit(s);
    set_self(s);
    s->access =
        access_log_new(plan->access_fd, (enum conf_access_format)plan->conf->server.access_format);
    int rc = accept_init(s);
    if (rc) {
        log_error("the listeners cannot be watched: %s", strerror(-rc));
        return -1;
    }
    return api_start_modules(s);
}

void serve_open(struct serve *s)
{
    accept_open(s);
}

void serve_before_wait(struct serve *s)
{
    access_log_flush(s->access, s);
    accept_before_wait(s);
}

void serve_after_wait(struct serve *s)
{
    accept_after_wait(s);
}

cs_str serve_date(struct serve *s)
{
    time_t now = clock_wall();
    if (now != s->date_at) {
        char *p = s->date;
        memcpy(p, "Date: ", 6);
        http_date_format(now, p + 6);
        memcpy(p + 6 + HTTP_DATE_LEN, "\r\n", 3);
        s->date_at = now;
    }
    return (cs_str){s->date, 6 + HTTP_DATE_LEN + 2};
}

void serve_drain(struct serve *s)
{
    if (s->draining)
        return;
    accept_stop(s);
    api_stop_modules(s);
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
    *busy += !conn_is_idle(CONTAINER_OF(it, struct conn, node));
}

void serve_cut(struct serve *s)
{
    LIST_EACH(it, &s->conns)
    conn_close(CONTAINER_OF(it, struct conn, node));
    access_log_flush(s->access, s);
}

void serve_reopen_access_log(struct serve *s, int fd)
{
    if (s->access)
        access_log_reopen(s->access, s, fd);
    else
        fd_close(&fd);
}

void serve_free(struct serve *s)
{
    serve_cut(s);
    loop_reap(s->loop);
    accept_free(s);
    api_free(s);
    access_log_free(s->access);
    arena_pool_drain(&s->arenas);
    inbuf_drain_spares(s);
    free(s->self);
    free(s);
}
