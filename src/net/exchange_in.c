/* exchange_in.c - the answer: heads are parsed where they were read, then the last one is copied together with its fields into
 * memory of its size, so that who waits for the body holds no room of 16 KiB. */
#include "net/exchange_parts.h"

#include "base/mem.h"

#include <errno.h>

#define READS 4 /* in one turn of the loop, for other connections wait too */

static void give_room(struct exchange *x)
{
    room_give(&x->opts.upstreams->rooms, x->room);
    x->room = NULL;
}

/* ---- The head ---- */

static size_t max_head(const struct exchange *x)
{
    return x->opts.max_head ? x->opts.max_head : ROOM_SIZE;
}

static void move(cs_str *s, const char *from, char *to)
{
    if (s->p)
        s->p = to + (s->p - from);
}

/* The reply gets memory of its own. */
static void keep_head(struct exchange *x, const char *from, size_t n)
{
    struct http_reply *r = &x->reply;
    size_t size = r->nheaders * sizeof *r->headers;
    struct http_header *fields = x->head_memory = mem_resize(NULL, size + n);
    char *to = (char *)(fields + r->nheaders);
    memcpy(to, from, n);
    if (size)
        memcpy(fields, r->headers, size);
    for (size_t i = 0; i < r->nheaders; i++) {
        move(&fields[i].name, from, to);
        move(&fields[i].value, from, to);
    }
    move(&r->reason, from, to);
    r->headers = fields;
    r->headers_cap = r->nheaders;
}

/* An answer before the answer. False: that is not allowed. */
static bool skip_interim(struct exchange *x, size_t n)
{
    if (x->reply.status == 101) {
        exchange_end(x, EXCHANGE_BAD, "it changes to another protocol, unasked");
        return false;
    }
    if (++x->interim > EXCHANGE_INTERIM_MAX) {
        exchange_end(x, EXCHANGE_BAD, "too many interim answers");
        return false;
    }
    x->room->off += n;
    http_reply_again(&x->reply);
    return true;
}

/* What goes on is that there is room for more: behind interim answers it is at the front. */
static bool wait_for_head(struct exchange *x)
{
    struct room *r = x->room;
    if (room_is_empty(r) && x->reply.place.scanned == 0)
        give_room(x);
    else if (r->len == r->cap && r->off > 0)
        room_compact(r);
    else if (r->len == r->cap)
        x->room = room_grow(&x->opts.upstreams->rooms, r, max_head(x));
    return true;
}

static bool tell_head(struct exchange *x)
{
    bool gone = false;
    x->in_body = true;
    http_reply_body_begin(&x->body, &x->reply, x->opts.to_head);
    x->gone = &gone;
    x->on_head(x);
    if (gone)
        return false;
    x->gone = NULL;
    return true;
}

/* As far as it has come. True with x->in_body still false: there is more to come. */
static bool take_head(struct exchange *x)
{
    const struct http_limits limits = {.max_head = max_head(x), .max_headers = ROOM_FIELDS};
    for (;;) {
        struct room *r = x->room;
        x->reply.headers = r->fields;
        x->reply.headers_cap = ROOM_FIELDS;
        long n = http_reply_parse(&x->reply, r->bytes + r->off, r->len - r->off, &limits);
        if (n == 0)
            return wait_for_head(x);
        if (n < 0) {
            exchange_end(x, EXCHANGE_BAD, x->reply.error);
            return false;
        }
        if (x->reply.status >= 200) {
            keep_head(x, r->bytes + r->off, (size_t)n);
            r->off += (size_t)n;
            return tell_head(x);
        }
        if (!skip_interim(x, (size_t)n))
            return false;
    }
}

/* ---- The body ---- */

static bool tell_data(struct exchange *x, cs_str data)
{
    bool gone = false;
    x->gone = &gone;
    int rc = x->on_data(x, data);
    if (gone)
        return false;
    x->gone = NULL;
    x->paused = rc == CS_AGAIN;
    x->held = x->paused ? data : (cs_str){0};
    return true;
}

static bool take_body(struct exchange *x)
{
    while (!x->paused) {
        struct room *r = x->room;
        size_t used, n = r->len - r->off;
        cs_str data;
        int verdict = http_reply_body_next(&x->body, r->bytes + r->off, n, &used, &data);
        if (verdict < 0) {
            exchange_end(x, EXCHANGE_BAD, x->body.error);
            return false;
        }
        r->off += used;
        if (verdict == HTTP_CHUNKED_DONE) {
            exchange_whole(x, used == n && http_reply_body_keeps(&x->body));
            return false;
        }
        if (verdict == HTTP_CHUNKED_MORE) {
            give_room(x);
            return true;
        }
        if (!tell_data(x, data))
            return false;
    }
    return true;
}

static bool take(struct exchange *x)
{
    if (!x->in_body && !take_head(x))
        return false;
    return !x->in_body || take_body(x);
}

/* ---- Reading ---- */

static bool on_end(struct exchange *x)
{
    if (x->in_body && http_reply_body_end(&x->body) == 0)
        exchange_whole(x, false);
    else
        exchange_lost(x, 0);
    return false;
}

bool exchange_in_read(struct exchange *x)
{
    for (int i = 0; i < READS && !x->paused; i++) {
        if (!x->room)
            x->room = room_take(&x->opts.upstreams->rooms);
        struct room *r = x->room;
        size_t want = r->cap - r->len;
        ssize_t got = stream_recv(&x->conn->stream, r->bytes + r->len, want);
        if (got == 0)
            return on_end(x);
        if (got == -EAGAIN) {
            if (r->len == 0)
                give_room(x);
            return true;
        }
        if (got < 0) {
            exchange_lost(x, (int)-got);
            return false;
        }
        r->len += (size_t)got;
        x->answered = x->moved = true;
        if (!take(x))
            return false;
        if ((size_t)got < want)
            return true;
    }
    return true;
}

bool exchange_in_resume(struct exchange *x)
{
    x->paused = false;
    return tell_data(x, x->held) && take(x);
}
