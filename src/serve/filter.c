#include "serve/filter.h"

#include "base/check.h"
#include "http/status.h"
#include "module/crumb.h"
#include "serve/fetch.h"
#include "serve/header.h"
#include "serve/jump.h"
#include "serve/pieces.h"
#include "serve/tell.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PIECE ((size_t)64 * 1024)
/* Read for one answer before others are looked at: a filter may pass on nothing. */
#define TURN (16 * PIECE)

/* One body filter of the chain. */
struct stage {
    const struct conf_module *module;
    int64_t len;   /* of what it passes on, as announced; -1: not known */
    uint64_t sent; /* passed on */
    bool told;     /* it has been given the last piece */
    bool ended;    /* ... and has passed on its own */
};

struct filter {
    /* While the header filters run: the one that does, and what it has asked for. */
    const struct route_link *running;
    bool wanted;
    int64_t wanted_len;

    size_t n;
    size_t at;   /* the stage whose body_filter runs, + 1; 0: none */
    bool pieces; /* the body comes from cs_send */
    struct respond_body source;
    bool source_over;  /* there is none, or it has been let go */
    int64_t announced; /* pieces: so many bytes, -1 = not known */
    uint64_t taken;    /* pieces: so many have come */
    struct stage stages[];
};

static bool is_bodiless(const struct request *r)
{
    return r->no_body || http_status_bodiless(r->status);
}

/* ---- Header filters ---- */

static size_t count_body_filters(const struct route *route)
{
    size_t n = 0;
    for (size_t i = 0; i < route->nlinks; i++)
        n += route->chain[i].module->desc->body_filter != NULL;
    return n;
}

static struct filter *new_filter(struct request *r)
{
    size_t n = count_body_filters(r->route);
    struct filter *f = arena_zalloc(&r->arena, sizeof(struct filter) + n * sizeof(struct stage));
    f->source_over = true;
    return f;
}

static void add_stage(struct filter *f, const struct conf_module *m, int64_t len)
{
    f->stages[f->n++] = (struct stage){.module = m, .len = len};
}

static int tell_header_filter(struct request *r, const struct conf_module *m)
{
    cs_str was = tell_enter(r, m);
    int rc =
        r->dry ? tell_ask(r, m, CS_HOOK_HEADER_FILTER) : m->desc->header_filter(request_public(r));
    tell_back(r, was, m, CS_HOOK_HEADER_FILTER, rc);
    return rc;
}

/* 0, or the status of the page that takes the answer's place. */
static int run_header_filter(struct request *r, const struct conf_module *m)
{
    uint32_t was = request_enter(r, m->number, CRUMB_HEADER_FILTER);
    int rc = r->trace ? tell_header_filter(r, m) : m->desc->header_filter(request_public(r));
    crumb_leave(was);
    if (r->failed)
        return r->failed;
    if (rc == CS_OK || rc == CS_DECLINED)
        return 0;
    serve_count_one(r->serve, IPC_HANDLER_ERRORS);
    request_log(r, CS_ERR, m->desc->name, "the header filter failed (%d)", rc);
    return 500;
}

/* An answer that a filter in quarantine cannot see is not sent without it: it may be what hides a secret. */
static int refuse_unfiltered(struct request *r)
{
    header_set(r, CS_S("Retry-After"), CS_S("60"), false);
    return 503;
}

static int run_link(struct request *r, struct filter *f, const struct route_link *link)
{
    const cs_module *desc = link->module->desc;
    if ((desc->header_filter || desc->body_filter) && crumb_is_quarantined(link->module->number))
        return refuse_unfiltered(r);
    f->running = link;
    f->wanted = !desc->header_filter;
    f->wanted_len = -1;
    int status = desc->header_filter ? run_header_filter(r, link->module) : 0;
    if (desc->body_filter && f->wanted && !status)
        add_stage(f, link->module, f->wanted_len);
    return status;
}

static void weaken(struct request *r, cs_str *etag)
{
    if (etag->n && !str_starts(*etag, CS_S("W/")))
        *etag = arena_printf(&r->arena, "W/%.*s", CS_F(*etag));
}

/* Who filters the body does not know what he makes of each byte: no two answers need be the same. */
static void weaken_etag(struct request *r)
{
    weaken(r, &r->validators.etag);
    for (struct request_field *f = r->fields; f; f = f->next)
        if (str_eq_nocase(f->name, CS_S("ETag")))
            weaken(r, &f->value);
}

int filter_head(struct request *r)
{
    bool inside = jump_outside(r);
    struct filter *f = new_filter(r);
    int status = 0;
    r->filtered = true;
    r->heading = f;
    for (size_t i = 0; i < r->route->nlinks && !status; i++)
        status = run_link(r, f, &r->route->chain[i]);
    r->heading = NULL;
    jump_inside(r, inside);
    if (status || !f->n)
        return status;
    weaken_etag(r);
    r->filter = f;
    return 0;
}

int filter_want(struct request *r, const void *mod, int64_t len)
{
    struct filter *f = r->heading;
    if (!f || r->detached || len < -1 || (const void *)f->running->module->desc->api != mod ||
        !f->running->module->desc->body_filter)
        return CS_ERROR;
    f->wanted = true;
    f->wanted_len = len;
    return is_bodiless(r) ? CS_DECLINED : CS_OK;
}

int64_t filter_len(const struct filter *f)
{
    return f->stages[f->n - 1].len;
}

/* ---- The chain ---- */

static int pass_on(struct request *r, size_t i, cs_str data, bool last);

/* Cuts the answer; the client's going is nobody's fault. */
static void cut(struct request *r, const struct stage *s, const char *why, int rc)
{
    if (!(rc == CS_CLOSED && r->conn->broken)) {
        serve_count_one(r->serve, IPC_HANDLER_ERRORS);
        request_log(r, CS_ERR, s->module->desc->name, "the body filter %s (%d)", why, rc);
    }
    respond_cut(r);
}

/* Gives a piece to stage i, or behind the last one to the connection. */
static void give(struct request *r, size_t i, cs_str data, bool last)
{
    struct filter *f = r->filter;
    if (i == f->n) {
        pieces_put(r, data, last);
        return;
    }
    struct stage *s = &f->stages[i];
    if (crumb_is_quarantined(s->module->number)) {
        respond_cut(r);
        return;
    }
    size_t at = f->at;
    s->told = last;
    f->at = i + 1;
    bool inside = jump_outside(r);
    uint32_t was = request_enter(r, s->module->number, CRUMB_BODY_FILTER);
    int rc = s->module->desc->body_filter(request_public(r), data, last);
    crumb_leave(was);
    jump_inside(r, inside);
    f->at = at;
    if (r->complete)
        return;
    if (rc != CS_OK)
        cut(r, s, "failed", rc);
    else if (last && !s->ended)
        pass_on(r, i, (cs_str){"", 0}, true);
}

/* Stage i passes a piece on. */
static int pass_on(struct request *r, size_t i, cs_str data, bool last)
{
    struct stage *s = &r->filter->stages[i];
    uint64_t sent = s->sent + data.n;
    if (r->complete || s->ended)
        return CS_ERROR;
    if (last && !s->told) {
        cut(r, s, "sent a last piece before it was given one", CS_ERROR);
        return CS_ERROR;
    }
    if (s->len >= 0 && (sent > (uint64_t)s->len || (last && sent < (uint64_t)s->len))) {
        cut(r, s,
            last && sent < (uint64_t)s->len ? "sent less than it had announced"
                                            : "sent more than it had announced",
            CS_ERROR);
        return CS_ERROR;
    }
    s->sent = sent;
    s->ended = last;
    give(r, i + 1, data, last);
    return r->complete && (!last || r->aborted) ? CS_ERROR : CS_OK;
}

/* ---- Answers in pieces ---- */

void filter_pieces(struct request *r, int64_t len)
{
    struct filter *f = r->filter;
    f->pieces = true;
    f->announced = len;
}

static int send_piece(struct request *r, cs_str data, bool last)
{
    struct filter *f = r->filter;
    uint64_t taken = f->taken + data.n;
    if (!f->pieces)
        return CS_ERROR;
    if (f->announced >= 0 &&
        (taken > (uint64_t)f->announced || (last && taken < (uint64_t)f->announced))) {
        request_log(r, CS_ERR, NULL, "%s body than the %lld bytes announced",
                    taken > (uint64_t)f->announced ? "more" : "less", (long long)f->announced);
        respond_cut(r);
        return CS_ERROR;
    }
    f->taken = taken;
    give(r, 0, data, last);
    if (r->complete)
        return last && !r->aborted ? CS_OK : CS_ERROR;
    return r->out.queued >= PIECES_HIGH_WATER ? CS_AGAIN : CS_OK;
}

bool filter_runs(const struct request *r)
{
    return r->heading || (r->filter && r->filter->at);
}

int filter_send(struct request *r, cs_str data, bool last)
{
    struct filter *f = r->filter;
    return f->at ? pass_on(r, f->at - 1, data, last) : send_piece(r, data, last);
}

/* ---- Complete answers ---- */

static void drop_source(struct request *r)
{
    struct filter *f = r->filter;
    if (f->source_over || fetch_runs(r))
        return; /* request_drop_body comes again, when the thread has returned */
    f->source_over = true;
    respond_release(&f->source);
}

/* What is in memory, or what a thread has read meanwhile. -EAGAIN: one does. */
static ssize_t read_some(struct request *r, char *room, size_t n)
{
    const struct respond_body *b = &r->filter->source;
    const char *data;
    if (!r->fetch) {
        ssize_t got = fetch_read_warm(b->fd, b->off, room, n);
        if (got != -EAGAIN)
            return got;
        got = fetch_begin(r, b->fd, b->off, n, b->len - n);
        return got < 0 ? -EIO : -EAGAIN;
    }
    if (fetch_runs(r))
        return -EAGAIN;
    const ssize_t got = fetch_take(r, &data);
    if (got > 0)
        memcpy(room, data, (size_t)got);
    fetch_end(r);
    return got;
}

/* The next bytes of the source; p is NULL when there is a file that cannot be read, or (*later) not yet. */
static cs_str next_piece(struct request *r, char *room, bool *later)
{
    const struct respond_body *b = &r->filter->source;
    size_t n = b->len < PIECE ? (size_t)b->len : PIECE;
    if (b->p || !n)
        return (cs_str){n ? b->p : "", n};
    ssize_t got = read_some(r, room, n);
    if (got > 0)
        return (cs_str){room, (size_t)got};
    *later = got == -EAGAIN;
    if (!*later)
        request_log(r, CS_WARN, NULL, "a file that is being sent %s; closing",
                    got ? strerror((int)-got) : "became shorter");
    return (cs_str){0};
}

/* One piece through the chain. Its size, at least 1; 0: it is still being read. */
static size_t pump_one(struct request *r, char *room)
{
    struct respond_body *b = &r->filter->source;
    bool later = false;
    cs_str data = next_piece(r, room, &later);
    if (later)
        return 0;
    if (!data.p) {
        respond_cut(r);
        return 1;
    }
    b->off += data.n;
    b->p = b->p ? b->p + data.n : NULL;
    b->len -= data.n;
    bool last = !b->len;
    give(r, 0, data, last);
    if (last)
        drop_source(r);
    return data.n + 1;
}

static void pump(struct request *r)
{
    struct filter *f = r->filter;
    char *room = f->source.p ? NULL : malloc(PIECE);
    size_t n = 0, last = 1;
    check(f->source.p || room);
    while (last && !f->source_over && !r->complete && r->out.queued < PIECES_HIGH_WATER && n < TURN)
        n += last = pump_one(r, room);
    free(room);
    if (r->complete)
        drop_source(r);
    else if (n >= TURN && !r->out.queued)
        loop_later(r->serve->loop, &r->conn->task);
    conn_wake(r->conn);
}

void filter_source(struct request *r, const struct respond_body *body)
{
    struct filter *f = r->filter;
    f->source = *body;
    f->source_over = false;
    pump(r);
}

void filter_drained(struct request *r)
{
    if (!r->filter->source_over && !r->complete && !r->conn->broken)
        pump(r);
}

void filter_drop(struct request *r)
{
    drop_source(r);
}
