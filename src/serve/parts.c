#include "serve/parts.h"

#include "base/clock.h"
#include "http/multipart.h"
#include "http/range.h"
#include "serve/header.h"

#include <sys/random.h>

#define RANGES_MAX 16

static void keep(void *arg)
{
    (void)arg;
}

/* The part of the body that a range names; only the last one releases it. */
static struct respond_body part_of(const struct respond_body *b, struct http_range g, bool last)
{
    struct respond_body part = *b;
    part.off = b->off + g.first;
    part.p = b->p ? b->p + g.first : NULL;
    part.len = g.last - g.first + 1;
    if (!last) {
        part.release = keep;
        part.module = 0;
    }
    return part;
}

static void emit_one_range(struct request *r, const struct respond_body *b, struct http_range g)
{
    r->status = 206;
    struct respond_body part = part_of(b, g, true);
    struct header_body head = {.len = (int64_t)part.len};
    head.content_range =
        arena_printf(&r->arena, "bytes %llu-%llu/%llu", (unsigned long long)g.first,
                     (unsigned long long)g.last, (unsigned long long)b->len);
    respond_emit(r, &head, &part);
}

/* 128 bits that nobody can guess. Several ranges are rare: they may cost a call. */
static void make_salt(const struct request *r, uint64_t salt[2])
{
    if (getrandom(salt, 2 * sizeof *salt, GRND_NONBLOCK) != (ssize_t)(2 * sizeof *salt))
        salt[0] = salt[1] = r->id;
}

static void emit_many_ranges(struct request *r, const struct respond_body *b,
                             const struct http_range *g, int n)
{
    struct http_multipart m;
    uint64_t salt[2];
    make_salt(r, salt);
    http_multipart_make(&m, &r->arena, g, n, b->len, r->type, salt);
    r->status = 206;
    r->type = m.type;
    respond_settle_end(r);
    header_send(r, &(struct header_body){.len = (int64_t)m.len});
    for (int i = 0; i < n; i++) {
        struct respond_body part = part_of(b, g[i], i == n - 1);
        out_add_mem(&r->out, &r->arena, m.heads[i].p, m.heads[i].n);
        respond_add_body(r, &part);
    }
    out_add_mem(&r->out, &r->arena, m.tail.p, m.tail.n);
    respond_complete(r);
}

/* How many there are; 0: all of the body, < 0: none of them is in it. */
static int wanted_ranges(const struct request *r, uint64_t len, struct http_range *g)
{
    const struct http_header *field = r->head.field[HTTP_FIELD_RANGE];
    if (!field || r->head.method != HTTP_GET ||
        !http_cond_range_ok(&r->head, &r->validators, clock_wall()))
        return 0;
    return http_range_parse(field->value, len, g, RANGES_MAX);
}

static void refuse_ranges(struct request *r, const struct respond_body *b)
{
    cs_str all = arena_printf(&r->arena, "bytes */%llu", (unsigned long long)b->len);
    respond_release(b);
    header_set(r, CS_S("Content-Range"), all, false);
    respond_page(r, 416, NULL);
}

bool parts_fail(struct request *r, const struct respond_body *b)
{
    struct http_range g[RANGES_MAX];
    if (r->hooks & ROUTE_BODY_FILTER || wanted_ranges(r, b->len, g) >= 0)
        return false;
    refuse_ranges(r, b);
    return true;
}

bool parts_answer(struct request *r, const struct respond_body *b)
{
    struct http_range g[RANGES_MAX];
    int n = wanted_ranges(r, b->len, g);
    if (n == 0)
        return false;
    if (n == 1)
        emit_one_range(r, b, g[0]);
    else if (n > 1)
        emit_many_ranges(r, b, g, n);
    else
        refuse_ranges(r, b);
    return true;
}
