#include "serve/giver.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "os/fd.h"
#include "serve/group.h"
#include "serve/handover.h"
#include "serve/idle.h"
#include "serve/parcel.h"

#include <errno.h>
#include <stdlib.h>

#define WINDOW        64 /* streams on their way; a power of two */
#define TICK_MS       100
#define MARGIN_MS     500  /* closed before the time is over: what is open then is cut */
#define PATIENCE      2000 /* ms: so long an heir may be on its way, or silent */
#define FULL_MS       500  /* so long nobody is asked for after an heir that had no room */
#define BLOCKED_MS    20
#define LEAVE_EACH_MS 5 /* what a stream adds to that, in each worker */
#define MOST_DEATHS   2 /* of heirs, for one stream: fewer than what brings quarantine by default */
#define WHOLE         1000000u /* one stream, where parts of one are counted */

struct giver {
    struct serve *serve;
    struct loop_io io; /* the channel; fd -1: there is none */
    struct loop_task task;
    struct timer tick, rest;
    struct list able, busy, staying;
    struct conn *sent[WINDOW]; /* by serial; NULL: has ended here */
    uint32_t first,
        next;       /* serials: of the oldest one without an answer, of the next one to be sent */
    unsigned quota; /* streams that this heir may still get */
    bool asked;     /* for an heir; it has not come yet */
    bool full;      /* the last one had no room */
    bool goodbye;   /* the heir ends in good order */
    uint64_t asked_ms;
    uint64_t heard_ms;     /* the heir has answered, or had nothing to answer */
    uint64_t until, began; /* the time to drain; until = 0: has no end */
    bool leaves;           /* the server stops */
    uint64_t due;          /* part of a stream that is to be closed */
    unsigned moved, closed;
};

static void look_later(struct giver *g)
{
    loop_later(g->serve->loop, &g->task);
}

static void put(struct list *l, struct conn *c, enum conn_giving giving)
{
    list_remove(&c->idle_node);
    list_add_tail(l, &c->idle_node);
    c->giving = (uint8_t)giving;
}

static void put_able(struct giver *g, struct conn *c)
{
    put(&g->able, c, CONN_ABLE);
    look_later(g);
}

/* ---- The channel ---- */

static bool has_channel(const struct giver *g)
{
    return g->io.fd >= 0;
}

static void close_channel(struct giver *g)
{
    if (!has_channel(g))
        return;
    loop_del(g->serve->loop, &g->io);
    fd_close(&g->io.fd);
}

static void rest(struct giver *g, uint64_t ms)
{
    timer_set(&g->serve->loop->timers, &g->rest, ms);
}

static void ask(struct giver *g)
{
    struct serve *s = g->serve;
    if (g->asked || g->leaves || list_empty(&g->able) || timer_is_set(&g->rest))
        return;
    g->asked = true;
    g->asked_ms = clock_ms();
    atomic_fetch_add(&s->slot->heirs, 1);
    fd_event_ring(s->region->master_bell);
}

static void thaw(struct giver *g, struct conn *c, struct list *l, enum conn_giving giving)
{
    conn_thaw(c);
    put(l, c, giving);
    look_later(g);
}

/* ---- Answers ---- */

/* What it would still send here is of no use: its successor has it from the mailbox. A stream that was closed meanwhile
 * ends all the same. */
static void let_go(struct giver *g, struct conn *c)
{
    serve_count_one(g->serve, IPC_STREAMS_MOVED);
    g->moved++;
    g->full = false;
    if (feed_is_closed(c->feed))
        stream_shut(&c->stream);
    conn_close(c);
}

static void on_verdict(struct giver *g, struct conn *c, uint32_t verdict)
{
    switch (verdict) {
    case PARCEL_TAKEN:
        c->giving = CONN_NOT_GIVEN;
        let_go(g, c);
        break;
    case PARCEL_FULL:
        g->full = true;
        thaw(g, c, &g->able, CONN_ABLE);
        break;
    case PARCEL_LEAVING:
        thaw(g, c, &g->able, CONN_ABLE);
        break;
    case PARCEL_CLOSED:
        c->giving = CONN_NOT_GIVEN;
        conn_close(c);
        break;
    default:
        thaw(g, c, &g->staying, CONN_STAYS);
        break;
    }
}

static bool hear(struct giver *g, struct parcel_answer a)
{
    if (a.verdict == PARCEL_GOODBYE) {
        g->goodbye = true;
        return true;
    }
    if (g->first == g->next || a.serial != g->first)
        return false;
    struct conn *c = g->sent[g->first++ % WINDOW];
    g->heard_ms = clock_ms();
    if (c)
        on_verdict(g, c, a.verdict);
    if (a.verdict == PARCEL_FULL && g->quota)
        rest(g, FULL_MS);
    if (a.verdict == PARCEL_FULL || a.verdict == PARCEL_LEAVING)
        g->quota = 0;
    return true;
}

/* Takes the answers that are there: 0, or negative when there will be no more. */
static int hear_all(struct giver *g)
{
    struct parcel_answer a;
    int rc;
    while ((rc = parcel_hear(g->io.fd, &a)) == 1)
        if (!hear(g, a))
            return -EPROTO;
    return rc;
}

/* The heir may have died of it. It is the next one to go, when the new heir has not got many that would die with it. */
static void suspect(struct giver *g, struct conn *c)
{
    if (++c->deaths < MOST_DEATHS) {
        list_remove(&c->idle_node);
        list_add_head(&g->able, &c->idle_node);
        return;
    }
    char room[CIDR_TEXT_MAX];
    log_warn("%u workers have died when they took over a stream of %.*s: it stays here", c->deaths,
             CS_F(conn_peer(c, room)));
    put(&g->staying, c, CONN_STAYS);
}

/* What has no answer has not been touched. */
static void lose_heir(struct giver *g)
{
    hear_all(g);
    close_channel(g);
    rest(g, BLOCKED_MS); /* the master may not know yet that the heir is gone */
    struct conn *next = g->first != g->next && !g->goodbye ? g->sent[g->first % WINDOW] : NULL;
    for (; g->first != g->next; g->first++) {
        struct conn *c = g->sent[g->first % WINDOW];
        if (c)
            thaw(g, c, &g->able, CONN_ABLE);
    }
    if (next)
        suspect(g, next);
    look_later(g);
}

/* ---- Giving ---- */

/* Has it nothing to send, not even what its group has? */
static bool is_empty(struct conn *c)
{
    struct feed *f = c->feed;
    if (f->group)
        group_catch_up(f);
    conn_push(c);
    return !c->closed && !c->first && !c->broken && !c->eof && !conn_must_wait(c) && !f->queued;
}

/* 0, or why it was not sent: -EBUSY, -ENOTSUP (it stays), or an error of the channel. */
static int send_stream(struct giver *g, struct conn *c)
{
    char saved[PARCEL_SAVED];
    struct feed *f = c->feed;
    struct host_saved at;
    const struct conf_module *m = handover_module(f);
    if (!m || !f->route || c->depth || !stream_can_move(&c->stream))
        return -ENOTSUP;
    if (!is_empty(c))
        return -EBUSY;
    int n = handover_save(f, m, saved, sizeof saved, &at);
    if (n < 0)
        return -ENOTSUP;
    if (n > PARCEL_SAVED || f->queued) {
        log_error("module %s: on_save has %s: the stream stays", m->desc->name,
                  n > PARCEL_SAVED ? "written more than there is room for" : "sent something");
        return -ENOTSUP;
    }
    if (feed_is_closed(f))
        return -EBUSY;
    struct parcel p = {.serial = g->next,
                       .mail = at.mail,
                       .module = m->head.label,
                       .site = f->route->site->head.label,
                       .route = f->route->label,
                       .listener = str_of(g->serve->plan->listeners[c->listener].text),
                       .saved = {saved, (size_t)n}};
    int rc = parcel_send(g->io.fd, &p, c->stream.fd);
    return rc == -E2BIG ? -ENOTSUP : rc;
}

static bool is_blocked(int rc)
{
    return rc == -EAGAIN || rc == -ENOBUFS || rc == -ENOMEM || rc == -ETOOMANYREFS;
}

/* False: no more now. */
static bool give_one(struct giver *g)
{
    struct conn *c = CONTAINER_OF(list_first(&g->able), struct conn, idle_node);
    put(&g->busy, c, CONN_BUSY);
    if (feed_is_closed(c->feed))
        return true;
    int rc = send_stream(g, c);
    if (c->closed || !c->feed || rc == -EBUSY)
        return true;
    list_remove(&c->idle_node);
    if (rc == 0) {
        if (g->first == g->next)
            g->heard_ms = clock_ms();
        g->sent[g->next++ % WINDOW] = c;
        g->quota--;
        conn_freeze(c);
    } else if (rc == -ENOTSUP) {
        put(&g->staying, c, CONN_STAYS);
    } else {
        put(&g->able, c, CONN_ABLE);
        if (is_blocked(rc))
            rest(g, BLOCKED_MS);
        else
            lose_heir(g);
        return false;
    }
    return true;
}

/* Reports of lost mail stand before what comes next: their streams have to be told here. */
static bool has_news(const struct giver *g)
{
    return g->serve->host->mail.joined && g->serve->host->mail.news;
}

static void give(struct giver *g)
{
    if (has_news(g)) {
        rest(g, BLOCKED_MS);
        return;
    }
    while (has_channel(g) && g->quota && g->next - g->first < WINDOW && !list_empty(&g->able))
        if (!give_one(g))
            return;
    if (has_channel(g) && !g->quota && g->next == g->first)
        close_channel(g);
    if (!has_channel(g))
        ask(g);
}

static void on_task(struct loop_task *t)
{
    struct giver *g = CONTAINER_OF(t, struct giver, task);
    if (!timer_is_set(&g->rest))
        give(g);
}

static void on_rest_over(struct timer *t)
{
    look_later(CONTAINER_OF(t, struct giver, rest));
}

static void on_channel(struct loop_io *io, uint32_t events)
{
    struct giver *g = CONTAINER_OF(io, struct giver, io);
    (void)events;
    look_later(g);
    if (hear_all(g) < 0)
        lose_heir(g);
}

void giver_heir(struct giver *g, int channel, unsigned most)
{
    if (has_channel(g))
        lose_heir(g);
    timer_clear(&g->serve->loop->timers, &g->rest);
    g->asked = g->goodbye = false;
    g->quota = most;
    g->io = (struct loop_io){.fd = channel, .on_ready = on_channel};
    if (loop_set(g->serve->loop, &g->io, EPOLLIN))
        fd_close(&g->io.fd);
    look_later(g);
}

/* ---- What does not move ---- */

/* Is somebody there, or about to come, who takes them? */
static bool has_hope(const struct giver *g, uint64_t left)
{
    uint64_t now = clock_ms();
    if (g->full || g->leaves)
        return false;
    if (has_channel(g))
        return g->first == g->next || now - g->heard_ms < PATIENCE;
    return g->asked && now - g->asked_ms < PATIENCE && left > PATIENCE / 4;
}

static unsigned count(struct list *l)
{
    unsigned n = 0;
    LIST_EACH(it, l)
    n++;
    return n;
}

/* Which lists are to be closed, those first whose streams have no other chance. */
static size_t choose(struct giver *g, uint64_t left, struct list *lists[3])
{
    size_t n = 0;
    lists[n++] = &g->staying;
    if (!has_hope(g, left))
        lists[n++] = &g->able;
    if (!has_hope(g, left) || left < (g->until - g->began) / 2)
        lists[n++] = &g->busy;
    return n;
}

static void close_one(struct giver *g, struct list *node)
{
    struct conn *c = CONTAINER_OF(node, struct conn, idle_node);
    list_remove(node);
    if (feed_is_closed(c->feed))
        return; /* it ends as it is */
    c->giving = CONN_STAYS;
    serve_count_one(g->serve, IPC_STREAMS_CLOSED);
    g->closed++;
    feed_close(c->feed);
}

static void close_some(struct giver *g, uint64_t left)
{
    struct list *lists[3];
    size_t n = choose(g, left, lists);
    uint64_t all = 0;
    for (size_t i = 0; i < n; i++)
        all += count(lists[i]);
    g->due = all ? g->due + all * WHOLE * TICK_MS / (left > TICK_MS ? left : TICK_MS) : 0;
    for (size_t i = 0; i < n; i++)
        while (g->due >= WHOLE && !list_empty(lists[i])) {
            close_one(g, list_first(lists[i]));
            g->due -= WHOLE;
        }
}

static void on_tick(struct timer *t)
{
    struct giver *g = CONTAINER_OF(t, struct giver, tick);
    uint64_t whole = g->until - g->began, now = clock_ms();
    uint64_t end = g->until - (whole / 10 < MARGIN_MS ? whole / 10 : MARGIN_MS);
    close_some(g, end > now ? end - now : 0);
    timer_set(&g->serve->loop->timers, t, TICK_MS);
}

/* When the server stops: by when so many streams have ended, at LEAVE_EACH_MS apiece. */
static uint64_t hurried(struct giver *g, uint64_t now)
{
    uint64_t n = count(&g->able) + count(&g->busy) + count(&g->staying);
    return now + IDLE_LEAVE_MS + n * LEAVE_EACH_MS;
}

void giver_until(struct giver *g, uint64_t until)
{
    struct timer_wheel *timers = &g->serve->loop->timers;
    uint64_t now = clock_ms();
    if (g->leaves && until > hurried(g, now))
        until = hurried(g, now);
    g->began = now < until ? now : until;
    g->until = until;
    if (until)
        timer_set(timers, &g->tick, TICK_MS < until - g->began ? TICK_MS : 0);
    else
        timer_clear(timers, &g->tick);
}

void giver_leave(struct giver *g)
{
    g->leaves = true;
    if (g->until)
        giver_until(g, g->until);
}

/* ---- Life ---- */

void giver_add(struct giver *g, struct conn *c)
{
    put_able(g, c);
}

void giver_ready(struct giver *g, struct conn *c)
{
    if (!feed_is_closed(c->feed))
        put_able(g, c);
}

void giver_forget(struct giver *g, const struct conn *c)
{
    for (uint32_t i = g->first; i != g->next; i++)
        if (g->sent[i % WINDOW] == c)
            g->sent[i % WINDOW] = NULL;
}

struct giver *giver_new(struct serve *s)
{
    struct giver *g = mem_alloc(sizeof *g);
    g->serve = s;
    g->io.fd = -1;
    g->task.run = on_task;
    list_init(&g->task.node);
    timer_init(&g->tick, on_tick);
    timer_init(&g->rest, on_rest_over);
    list_init(&g->able);
    list_init(&g->busy);
    list_init(&g->staying);
    LIST_EACH(it, &s->conns)
    {
        struct conn *c = CONTAINER_OF(it, struct conn, node);
        if (c->feed)
            giver_add(g, c);
    }
    return g;
}

void giver_free(struct giver *g)
{
    if (!g)
        return;
    if (g->moved || g->closed)
        log_info("of the streams here %u have moved to other workers, %u were closed", g->moved,
                 g->closed);
    close_channel(g);
    timer_clear(&g->serve->loop->timers, &g->tick);
    timer_clear(&g->serve->loop->timers, &g->rest);
    list_remove(&g->task.node);
    free(g);
}
