#include "serve/taker.h"

#include "base/mem.h"
#include "module/crumb.h"
#include "os/fd.h"
#include "serve/conn.h"
#include "serve/handover.h"
#include "serve/parcel.h"
#include "serve/shed.h"

#include <stdlib.h>
#include <sys/socket.h>

#define BATCH 32 /* streams before others are looked at */

struct taker {
    struct loop_io io;
    struct serve *serve;
    struct list node;
    bool waits; /* for mail: the parcel is not begun */
    struct parcel parcel;
    int fd;
    char room[PARCEL_MAX];
};

static void taker_free(struct taker *t)
{
    loop_del(t->serve->loop, &t->io);
    list_remove(&t->node);
    fd_close(&t->io.fd);
    fd_close(&t->fd);
    free(t);
}

/* ---- One stream ---- */

static const struct route *route_of(const struct taker *t)
{
    return router_route(t->serve->plan->router, t->parcel.site, t->parcel.route);
}

/* The module, if the route still names it and it takes streams. */
static const struct conf_module *module_of(const struct taker *t, const struct route *route)
{
    const struct route_link *l = route ? route_names(route, t->parcel.module) : NULL;
    const struct conf_module *m = l ? l->module : NULL;
    if (!m || !m->desc->on_save || !m->desc->on_adopt || crumb_is_quarantined(m->number))
        return NULL;
    return m;
}

static unsigned listener_of(const struct taker *t)
{
    const struct serve_plan *p = t->serve->plan;
    for (size_t i = 0; i < p->nlisteners; i++)
        if (str_is(t->parcel.listener, p->listeners[i].text))
            return (unsigned)i;
    return 0;
}

static struct conn *connection(struct taker *t)
{
    struct sockaddr_storage peer = {0};
    socklen_t n = sizeof peer;
    if (getpeername(t->fd, (struct sockaddr *)&peer, &n) < 0)
        n = 0; /* it has gone; that shows soon enough */
    struct conn *c =
        conn_moved(t->serve, t->fd, listener_of(t), n ? (struct sockaddr *)&peer : NULL);
    t->fd = -1;
    return c;
}

static enum parcel_verdict begin(struct taker *t, const struct route *route,
                                 const struct conf_module *m)
{
    struct conn *c = connection(t);
    struct host_saved at = {.mail = t->parcel.mail};
    int rc = handover_adopt(c, route, m, t->parcel.saved, at);
    if (rc == CS_OK) {
        serve_count_one(t->serve, IPC_STREAMS_ADOPTED);
        return PARCEL_TAKEN;
    }
    conn_close(c); /* the other worker has the socket too, so the client sees nothing of it */
    return rc == CS_AGAIN || rc == 503 ? PARCEL_FULL : PARCEL_CLOSED;
}

static enum parcel_verdict judge(struct taker *t)
{
    struct serve *s = t->serve;
    const struct route *route = route_of(t);
    const struct conf_module *m = module_of(t, route);
    if (s->draining)
        return PARCEL_LEAVING;
    if (!m)
        return PARCEL_UNKNOWN;
    if (s->nconns >= s->max_conns && !shed_idle(s))
        return PARCEL_FULL;
    return begin(t, route, m);
}

/* The answer leaves before anything that the module has to say, which goes out at the end of the loop's turn. Where it
 * cannot leave, nobody is there to hear it. */
static void finish(struct taker *t)
{
    struct parcel_answer a = {.serial = t->parcel.serial, .verdict = (uint32_t)judge(t)};
    t->waits = false;
    fd_close(&t->fd);
    parcel_answer(t->io.fd, a);
}

/* ---- The channel ---- */

static bool is_due(const struct taker *t)
{
    return handover_is_due(t->serve, (struct host_saved){.mail = t->parcel.mail});
}

/* While one waits, nothing more is read: there will be an event for it, its mail. */
static void hold(struct taker *t)
{
    t->waits = true;
    loop_set(t->serve->loop, &t->io, 0);
}

static void on_channel(struct loop_io *io, uint32_t events)
{
    struct taker *t = CONTAINER_OF(io, struct taker, io);
    (void)events;
    for (int i = 0; i < BATCH; i++) {
        int rc = parcel_receive(io->fd, &t->parcel, t->room, &t->fd);
        if (rc == 0)
            return;
        if (rc < 0) {
            taker_free(t);
            return;
        }
        if (!is_due(t)) {
            hold(t);
            return;
        }
        finish(t);
    }
}

void taker_look(struct serve *s)
{
    LIST_EACH(it, &s->takers)
    {
        struct taker *t = CONTAINER_OF(it, struct taker, node);
        if (!t->waits || !is_due(t))
            continue;
        finish(t);
        if (loop_set(s->loop, &t->io, EPOLLIN))
            taker_free(t);
    }
}

void taker_new(struct serve *s, int channel)
{
    struct taker *t = mem_alloc(sizeof *t);
    t->serve = s;
    t->fd = -1;
    t->io = (struct loop_io){.fd = channel, .on_ready = on_channel};
    list_init(&t->node);
    list_add_tail(&s->takers, &t->node);
    if (loop_set(s->loop, &t->io, EPOLLIN))
        taker_free(t);
}

void taker_free_all(struct serve *s)
{
    LIST_EACH(it, &s->takers)
    {
        struct taker *t = CONTAINER_OF(it, struct taker, node);
        parcel_answer(t->io.fd, (struct parcel_answer){.verdict = PARCEL_GOODBYE});
        taker_free(t);
    }
}
