#include "serve/body.h"

#include "serve/handle.h"
#include "serve/limit.h"
#include "serve/respond.h"

#include <stdlib.h>

/* Unread body bytes that are read and dropped rather than ending the connection. */
#define DISCARD_MAX (64 * 1024)

#define COLLECT_SMALL 4096
#define COLLECT_AHEAD (256 * 1024)

bool body_hungry(const struct request *r)
{
    return r->body != REQUEST_BODY_NONE && !r->paused && r->sink != REQUEST_SINK_WAIT;
}

/* Room for `need` bytes of collected body. A short one of known length lies in the arena, others on
 * the heap, which is taken as the bytes come: a client may announce what it likes. */
static bool make_room(struct request *r, size_t need)
{
    uint64_t all = r->body == REQUEST_BODY_LENGTH ? need + r->body_left : UINT64_MAX;
    size_t twice = 2 * r->collected_cap;
    if (need <= r->collected_cap)
        return true;
    if (!r->collected_cap && all <= COLLECT_SMALL) {
        r->collected.p = arena_alloc(&r->arena, (size_t)all);
        r->collected_cap = (size_t)all;
        return true;
    }
    size_t cap = twice > need ? twice : need;
    if (all < COLLECT_AHEAD || all < cap)
        cap = (size_t)all;
    char *p = realloc(r->heap, cap);
    if (!p)
        return false;
    r->heap = p;
    r->collected.p = p;
    r->collected_cap = cap;
    return true;
}

/* Appends to the collected body. 0 or minus a status. */
static int collect(struct request *r, cs_str data)
{
    int64_t most = limit_of(r, CONF_MAX_BODY);
    size_t need = r->collected.n + data.n;
    if (most && need > (uint64_t)most)
        return -413;
    if (!make_room(r, need)) {
        request_log(r, CS_ERR, NULL, "no memory for a body of %zu bytes", need);
        return -503;
    }
    memcpy((char *)(uintptr_t)r->collected.p + r->collected.n, data.p, data.n);
    r->collected.n = need;
    return 0;
}

static int tell(struct request *r, cs_str data, int last)
{
    if (!request_may_call(r, r->on_data_module))
        return CS_ERROR;
    r->tasted = r->tasted || data.n;
    uint32_t was = request_enter(r, r->on_data_module, CRUMB_ON_DATA);
    int rc = r->on_data(request_public(r), data, last, r->on_data_arg);
    crumb_leave(was);
    if (timer_is_set(&r->patience)) /* it is at work */
        limit_be_patient(r);
    if (rc == CS_AGAIN && r->sink == REQUEST_SINK_STREAM) {
        r->paused = true;
    } else if (rc == CS_AGAIN) {
        rc = CS_OK; /* it has answered: the rest of the body is dropped */
    } else if (rc < 0) {
        r->sink = REQUEST_SINK_DISCARD;
        if (r->answered)
            respond_abort(r);
        else
            respond_page(r, 500, NULL);
    }
    return rc;
}

/* All that on_data has not been given when the end is to be told. */
static cs_str rest(const struct request *r)
{
    return r->collected.n ? r->collected : (cs_str){"", 0};
}

/* Turned away, it is like a chunked body of which only the end is still to be told. */
int body_deliver_all(struct request *r)
{
    int rc = tell(r, rest(r), 1);
    if (rc == CS_AGAIN && !r->complete && !r->whole) {
        r->body = REQUEST_BODY_CHUNKED;
        r->body_ended = true;
    }
    return rc < 0 && rc != CS_AGAIN ? rc : CS_OK;
}

/* One slice to wherever it goes. 0: taken, CS_AGAIN: not taken, < -99: minus a status. */
static int deliver(struct request *r, cs_str data, int last)
{
    switch (r->sink) {
    case REQUEST_SINK_COLLECT:
        return data.n ? collect(r, data) : 0;
    case REQUEST_SINK_STREAM:
        return tell(r, data, last) == CS_AGAIN ? CS_AGAIN : 0;
    case REQUEST_SINK_DISCARD:
        if (r->body_seen > DISCARD_MAX)
            r->keep_alive = false;
        return 0;
    case REQUEST_SINK_WAIT:
        break;
    }
    return CS_AGAIN;
}

static void body_is_over(struct request *r)
{
    r->body = REQUEST_BODY_NONE;
    if (r->sink == REQUEST_SINK_COLLECT)
        handle_run(r);
}

static long feed_length(struct request *r, const char *in, size_t n)
{
    size_t part = n < r->body_left ? n : (size_t)r->body_left;
    if (!part)
        return 0;
    uint64_t left = r->body_left;
    r->body_left -= part;
    int rc = deliver(r, (cs_str){in, part}, r->body_left == 0);
    if (rc == CS_AGAIN) {
        r->body_left = left;
        return 0;
    }
    if (rc < 0)
        return rc;
    r->body_seen += part;
    if (!r->body_left)
        body_is_over(r);
    return (long)part;
}

/* Of the chunked coding: the end has been read, on_data may have to be told (again). */
static void finish_chunked(struct request *r)
{
    if (r->sink == REQUEST_SINK_STREAM && tell(r, rest(r), 1) == CS_AGAIN)
        return;
    body_is_over(r);
}

static long feed_chunked(struct request *r, const char *in, size_t n)
{
    if (r->body_ended) {
        finish_chunked(r);
        return 0;
    }
    int64_t most = limit_of(r, CONF_MAX_BODY);
    struct http_chunked before = r->chunked;
    cs_str data;
    size_t used;
    int rc = http_chunked_next(&r->chunked, in, n, &used, &data);
    if (rc < 0) {
        request_log(r, CS_INFO, NULL, "body refused with %d: %s", -rc, r->chunked.error);
        return rc;
    }
    if (rc == HTTP_CHUNKED_DATA) {
        if (most && r->chunked.total > (uint64_t)most && r->sink != REQUEST_SINK_DISCARD)
            return -413;
        int took = deliver(r, data, 0);
        if (took == CS_AGAIN) {
            r->chunked = before;
            return 0;
        }
        if (took < 0)
            return took;
        r->body_seen += data.n;
    } else if (rc == HTTP_CHUNKED_DONE) {
        r->body_ended = true;
        finish_chunked(r);
    }
    return (long)used;
}

long body_feed(struct request *r, const char *in, size_t n)
{
    if (r->complete && !r->keep_alive) {
        r->conn->unread = true;
        r->body = REQUEST_BODY_NONE;
        return 0;
    }
    if (r->body == REQUEST_BODY_LENGTH)
        return feed_length(r, in, n);
    return n || r->body_ended ? feed_chunked(r, in, n) : 0;
}
