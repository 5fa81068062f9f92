#include "serve/feed.h"

#include "base/mem.h"
#include "module/crumb.h"
#include "serve/giver.h"
#include "serve/group.h"
#include "serve/jump.h"
#include "serve/respond.h"
#include "serve/task.h"

#include <errno.h>
#include <stdlib.h>

#define VECTOR 64
/* What one stream may send before others are looked at. */
#define TURN ((size_t)1 << 20)

static void on_task(struct loop_task *t);

/* ---- Messages ---- */

struct feed_msg *feed_msg_new(size_t n)
{
    struct feed_msg *m = n <= SIZE_MAX - sizeof *m ? malloc(sizeof *m + n) : NULL;
    if (m)
        *m = (struct feed_msg){.refs = 1, .n = n};
    return m;
}

void feed_msg_release(struct feed_msg *m)
{
    if (!--m->refs)
        free(m);
}

/* ---- What waits: a ring that goes back to its few places when it is empty, so that an idle stream takes no memory for
 * it. ---- */

static struct feed_msg **place(const struct feed *f, uint32_t i)
{
    return &f->queue[(f->first + i) & (f->room - 1)];
}

static void grow(struct feed *f)
{
    struct feed_msg **bigger = mem_alloc((size_t)f->room * 4 * sizeof(struct feed_msg *));
    for (uint32_t i = 0; i < f->n; i++)
        bigger[i] = *place(f, i);
    if (f->queue != f->few)
        free(f->queue);
    f->queue = bigger;
    f->first = 0;
    f->room *= 4;
}

static void shrink(struct feed *f)
{
    if (f->queue != f->few)
        free(f->queue);
    f->queue = f->few;
    f->first = 0;
    f->room = FEED_FEW;
}

void feed_push(struct feed *f, struct feed_msg *m)
{
    if (f->n == f->room)
        grow(f);
    m->refs++;
    *place(f, f->n++) = m;
    f->queued += m->n;
}

static void pop(struct feed *f)
{
    feed_msg_release(*place(f, 0));
    f->first = (f->first + 1) & (f->room - 1);
    f->n--;
    f->off = 0;
}

static void drop_all(struct feed *f)
{
    while (f->n)
        pop(f);
    f->queued = 0;
    shrink(f);
}

/* ---- Sending ---- */

static int gather(const struct feed *f, struct iovec v[VECTOR], size_t *bytes)
{
    int n = 0;
    size_t off = f->off;
    *bytes = 0;
    for (uint32_t i = 0; i < f->n && n < VECTOR; i++) {
        struct feed_msg *m = *place(f, i);
        v[n] = (struct iovec){.iov_base = m->data + off, .iov_len = m->n - off};
        *bytes += v[n++].iov_len;
        off = 0;
    }
    return n;
}

static void settle(struct feed *f, size_t n)
{
    struct ipc_slot *slot = f->serve->slot;
    struct conn *c = f->conn;
    uint64_t whole = 0;
    region_add(slot, IPC_BYTES_OUT, n);
    region_add(slot, IPC_STREAM_BYTES, n);
    c->sent += n;
    c->progress = true;
    f->queued -= n;
    f->off += n;
    while (f->n && f->off >= (*place(f, 0))->n) {
        size_t rest = f->off - (*place(f, 0))->n;
        pop(f);
        f->off = rest;
        whole++;
    }
    region_add(slot, IPC_STREAM_MESSAGES, whole);
}

static void drained(struct feed *f)
{
    shrink(f);
    if (f->on_drain.cb)
        loop_later(f->serve->loop, &f->task);
}

static enum out_result blocked(struct feed *f)
{
    f->conn->blocked = true;
    return OUT_BLOCKED;
}

enum out_result feed_flush(struct feed *f)
{
    struct conn *c = f->conn;
    struct iovec v[VECTOR];
    uint64_t start = c->sent;
    size_t bytes;
    if (!f->n)
        return OUT_DONE;
    c->blocked = c->paused = false;
    while (f->n) {
        int n = gather(f, v, &bytes);
        if (c->sent - start >= TURN) {
            c->paused = true;
            return OUT_BLOCKED;
        }
        ssize_t sent = stream_send(&c->stream, v, n);
        if (sent == -EAGAIN)
            return blocked(f);
        if (sent < 0)
            return OUT_BROKEN;
        settle(f, (size_t)sent);
        if ((size_t)sent < bytes)
            return blocked(f);
    }
    drained(f);
    return OUT_DONE;
}

static bool is_left_out(const struct feed_call *c)
{
    return c->cb && crumb_is_quarantined(c->module);
}

bool feed_is_orphan(const struct feed *f)
{
    return crumb_is_quarantined(f->module) || is_left_out(&f->on_drain) ||
           is_left_out(&f->on_close) || (f->group && crumb_is_quarantined(group_module(f->group)));
}

bool feed_is_closed(const struct feed *f)
{
    return f->closing || f->over || (f->group && group_has_ended(f->group));
}

int feed_send(struct feed *f, cs_str data)
{
    if (feed_is_closed(f))
        return CS_CLOSED;
    if (f->group)
        group_catch_up(f);
    if (f->over)
        return CS_CLOSED;
    if (data.n) {
        struct feed_msg *m = feed_msg_new(data.n);
        if (!m)
            return CS_NOMEM;
        memcpy(m->data, data.p, data.n);
        feed_push(f, m);
        feed_msg_release(m);
        if (f->conn && !conn_must_wait(f->conn))
            conn_wake(f->conn);
    }
    return f->queued > FEED_HIGH_WATER ? CS_AGAIN : CS_OK;
}

size_t feed_queued(struct feed *f)
{
    if (f->group)
        group_catch_up(f);
    return f->queued;
}

/* ---- Beginning ---- */

struct feed *feed_new(struct serve *s)
{
    struct feed *f = mem_alloc(sizeof *f);
    f->magic = FEED_MAGIC;
    f->serve = s;
    list_init(&f->node);
    f->queue = f->few;
    f->room = FEED_FEW;
    f->task.run = on_task;
    list_init(&f->task.node);
    return f;
}

/* Also when on_data is being told of the end. */
static bool body_has_come(const struct request *r)
{
    return request_body_over(r) || r->body_ended ||
           (r->body == REQUEST_BODY_LENGTH && !r->body_left);
}

/* One that is not asked takes every body, and there is none that it could be told the end of. */
static bool is_filtered(const struct request *r)
{
    for (size_t i = 0; r->hooks & ROUTE_BODY_FILTER && i < r->route->nlinks; i++) {
        const cs_module *desc = r->route->chain[i].module->desc;
        if (desc->body_filter && !desc->header_filter)
            return true;
    }
    return false;
}

struct feed *feed_detach(struct request *r, int status)
{
    if (r->answered || r->heading || r->jumping || jump_has_page(r) || r->feed || is_filtered(r) ||
        status < 200 || status > 599 || !body_has_come(r) || task_is_past(r))
        return NULL;
    struct feed *f = feed_new(r->serve);
    f->status = (uint16_t)status;
    f->module = (uint8_t)crumb_module();
    f->route = r->route;
    f->request = r;
    r->feed = f;
    loop_later(r->serve->loop, &f->task); /* a callback tells nobody of its result */
    return f;
}

static void count_open(struct serve *s, int by)
{
    atomic_fetch_add_explicit(&s->slot->streams, by, memory_order_relaxed);
}

/* From here on it is the connection's, which comes to it when the request has ended. */
static void begin(struct feed *f)
{
    struct request *r = f->request;
    if (respond_detach(r, f->status) != CS_OK || r->no_body || feed_is_orphan(f)) {
        feed_end(f);
        return;
    }
    check(!r->conn->feed);
    r->feed = NULL;
    f->request = NULL;
    f->conn = r->conn;
    f->conn->feed = f;
    count_open(f->serve, 1);
    if (f->on_drain.cb)
        loop_later(f->serve->loop, &f->task);
    if (f->serve->giver)
        giver_add(f->serve->giver, f->conn);
}

struct feed *feed_adopt(struct conn *c)
{
    struct feed *f = feed_new(c->serve);
    check(!c->feed && !c->first);
    c->last_one = true;
    f->conn = c;
    c->feed = f;
    count_open(f->serve, 1);
    conn_wake(c);
    return f;
}

void feed_judge(struct request *r, int rc)
{
    if (!r->feed)
        return;
    if ((rc == CS_OK || rc == CS_PENDING) && !r->answered)
        begin(r->feed);
    else
        feed_end(r->feed);
}

/* ---- The end ---- */

void feed_end(struct feed *f)
{
    if (f->over)
        return;
    f->over = true;
    if (f->group)
        group_leave(f);
    drop_all(f);
    if (f->request)
        f->request->feed = NULL;
    if (f->conn) {
        f->conn->feed = NULL;
        if (f->conn->giving)
            list_remove(&f->conn->idle_node); /* of a giver's list */
        count_open(f->serve, -1);
    }
    f->request = NULL;
    f->conn = NULL;
    loop_later(f->serve->loop, &f->task);
}

void feed_close(struct feed *f)
{
    if (f->closing || f->over)
        return;
    if (f->group)
        group_catch_up(f);
    if (f->group)
        group_leave(f);
    f->closing = true;
    if (f->conn)
        conn_wake(f->conn);
}

/* ---- Calling modules ---- */

static void call(struct feed *f, struct feed_call c)
{
    if (!c.cb || crumb_is_quarantined(c.module))
        return;
    serve_enter_module(f->serve);
    uint32_t was = crumb_enter(c.module, CRUMB_STREAM);
    c.cb(feed_public(f), c.arg);
    crumb_leave(was);
}

/* On its way to another worker, where it may go on. */
static bool is_away(const struct feed *f)
{
    return f->conn && f->conn->giving == CONN_SENT;
}

void feed_thaw(struct feed *f)
{
    if (f->on_drain.cb)
        loop_later(f->serve->loop, &f->task);
}

static void on_task(struct loop_task *t)
{
    struct feed *f = CONTAINER_OF(t, struct feed, task);
    MAGIC_CHECK(f, FEED_MAGIC);
    if (f->request) {
        feed_judge(f->request, CS_OK);
    } else if (f->over) {
        call(f, f->on_close);
        f->magic = 0;
        free(f);
    } else if (!is_away(f) && !feed_queued(f) && !f->over) {
        struct feed_call c = f->on_drain;
        f->on_drain.cb = NULL;
        call(f, c);
    }
}

int feed_on_drain(struct feed *f, struct feed_call c)
{
    if (f->over)
        return CS_CLOSED;
    f->on_drain = c;
    if (!feed_queued(f))
        loop_later(f->serve->loop, &f->task);
    return CS_OK;
}

int feed_on_close(struct feed *f, struct feed_call c)
{
    f->on_close = c;
    return CS_OK;
}
