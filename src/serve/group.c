#include "serve/group.h"

#include "base/mem.h"
#include "module/crumb.h"
#include "serve/conn.h"

#include <stdlib.h>

#define GROUP_MAGIC 0x47525031u

struct group {
    uint32_t magic;
    int on_slow;
    unsigned module;
    bool ending;
    struct loop *loop;
    size_t most, high_water;
    struct list streams; /* by what they have been given, the least first */
    size_t n;
    struct feed_msg *first, **last; /* what has not been given to all of them */
    uint64_t seq;                   /* of the next message */
    struct loop_task task; /* waits as long as there is a message, or an end, to be given */
};

static void on_task(struct loop_task *t);

struct group *group_of(const cs_group *pub)
{
    struct group *g = (struct group *)(uintptr_t)(const void *)pub;
    MAGIC_CHECK(g, GROUP_MAGIC);
    return g;
}

struct group *group_new(struct loop *l, const cs_group_opts *opts)
{
    struct group *g = mem_alloc(sizeof *g);
    g->magic = GROUP_MAGIC;
    g->loop = l;
    g->on_slow = opts->on_slow;
    g->module = crumb_module();
    g->most = opts->max_streams > 0 ? (size_t)opts->max_streams : SIZE_MAX;
    g->high_water = opts->high_water > 0 ? (size_t)opts->high_water : FEED_HIGH_WATER;
    list_init(&g->streams);
    g->last = &g->first;
    g->task.run = on_task;
    list_init(&g->task.node);
    return g;
}

unsigned group_module(const struct group *g)
{
    return g->module;
}

size_t group_size(const struct group *g)
{
    return g->n;
}

bool group_has_ended(const struct group *g)
{
    return g->ending;
}

/* ---- One stream ---- */

/* Is it slow? What can leave leaves first. It is not before its socket has said that it is full, which it may not have
 * been asked yet. */
static bool is_full(const struct group *g, struct feed *f)
{
    if (f->queued < g->high_water || !f->conn)
        return false;
    conn_push(f->conn);
    return !f->over && f->queued >= g->high_water && f->conn->blocked;
}

static void end_slow(struct feed *f)
{
    struct conn *c = f->conn;
    serve_count_one(f->serve, IPC_STREAM_SLOW);
    feed_end(f);
    conn_break(c);
}

/* Gives f all from m on. */
static void give(struct group *g, struct feed *f, struct feed_msg *m)
{
    for (; m && !f->over; m = m->next) {
        if (!is_full(g, f)) {
            if (!f->over)
                feed_push(f, m);
        } else if (g->on_slow == CS_SLOW_SKIP) {
            serve_count_one(f->serve, IPC_STREAM_SKIPPED);
        } else {
            end_slow(f);
        }
    }
    if (f->group != g)
        return;
    f->next = g->seq;
    list_remove(&f->node);
    list_add_tail(&g->streams, &f->node);
}

static struct feed_msg *from(struct feed_msg *m, uint64_t seq)
{
    while (m && m->seq < seq)
        m = m->next;
    return m;
}

void group_catch_up(struct feed *f)
{
    struct group *g = f->group;
    if (f->next == g->seq)
        return;
    give(g, f, from(g->first, f->next));
    if (f->conn)
        conn_wake(f->conn);
}

void group_leave(struct feed *f)
{
    list_remove(&f->node);
    f->group->n--;
    f->group = NULL;
}

int group_join(struct group *g, struct feed *f)
{
    if (f->group == g)
        return CS_OK;
    if (feed_is_closed(f))
        return CS_CLOSED;
    if (g->n >= g->most)
        return 503;
    if (f->group)
        group_catch_up(f);
    if (f->over)
        return CS_CLOSED;
    if (f->group)
        group_leave(f);
    f->group = g;
    f->next = g->seq;
    list_add_tail(&g->streams, &f->node);
    g->n++;
    return CS_OK;
}

/* ---- All of them ---- */

/* Lets go of what all have been given. */
static void trim(struct group *g)
{
    struct list *node = list_first(&g->streams);
    uint64_t least = node ? CONTAINER_OF(node, struct feed, node)->next : g->seq;
    while (g->first && g->first->seq < least) {
        struct feed_msg *m = g->first;
        g->first = m->next;
        feed_msg_release(m);
    }
    if (!g->first)
        g->last = &g->first;
}

/* The next stream that is owed something; NULL: none. */
static struct feed *next_stream(struct group *g)
{
    struct list *node = list_first(&g->streams);
    struct feed *f = node ? CONTAINER_OF(node, struct feed, node) : NULL;
    return f && (f->next < g->seq || g->ending) ? f : NULL;
}

static void on_task(struct loop_task *t)
{
    struct group *g = CONTAINER_OF(t, struct group, task);
    MAGIC_CHECK(g, GROUP_MAGIC);
    struct feed_msg *m = g->first;
    struct feed *f;
    for (int i = 0; i < GROUP_SLICE && (f = next_stream(g)); i++) {
        m = from(m, f->next);
        give(g, f, m);
        if (f->conn)
            conn_push(f->conn);
        if (g->ending)
            feed_close(f);
    }
    trim(g);
    if (g->first || (g->ending && g->n)) {
        loop_later(g->loop, t);
    } else if (g->ending) {
        g->magic = 0;
        free(g);
    }
}

void group_send(struct group *g, struct feed_msg *m)
{
    if (!m->n || !g->n) {
        feed_msg_release(m);
        return;
    }
    m->seq = g->seq++;
    *g->last = m;
    g->last = &m->next;
    loop_later(g->loop, &g->task);
}

void group_end(struct group *g)
{
    g->ending = true;
    loop_later(g->loop, &g->task);
}
