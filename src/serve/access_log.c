#include "serve/access_log.h"

#include "base/clock.h"
#include "base/mem.h"
#include "os/fd.h"
#include "serve/access_line.h"
#include "serve/log_queue.h"

#include <stdlib.h>

#define PLACES 16

/* The text of a place, kept for the next request there. */
struct place {
    const struct conf_site *site;
    const struct route *route;
    unsigned link;
    struct buf text; /* n 0: not used yet */
};

struct access_log {
    bool on;
    enum conf_access_format format;
    struct access_clock clock;
    struct place places[PLACES];
    struct log_queue queue;
};

struct access_logs {
    struct serve *serve;
    struct log_writer writer;
    size_t n;
    struct access_log logs[]; /* [index in conf->logs] */
};

struct access_logs *access_logs_new(struct serve *s)
{
    const struct conf *conf = s->plan->conf;
    struct access_logs *all = mem_alloc(sizeof *all + conf->nlogs * sizeof *all->logs);
    all->serve = s;
    all->n = conf->nlogs;
    log_writer_init(&all->writer, s->loop, s->slot, (unsigned)conf->nlogs);
    for (size_t i = 0; i < all->n; i++) {
        struct access_log *l = &all->logs[i];
        l->format = conf->logs[i].format;
        l->on = s->plan->log_fds[i] >= 0;
        if (l->on)
            log_queue_init(&l->queue, &all->writer, conf->logs[i].path.p, s->plan->log_fds[i]);
    }
    return all;
}

struct access_log *access_log_of(const struct request *r)
{
    struct access_logs *all = r->serve->logs;
    size_t n = r->serve->plan->conf->server.log;
    if (r->conn->depth)
        return NULL;
    if (r->route)
        n = r->route->conf ? r->route->conf->own.log : r->route->site->own.log;
    else if (r->site)
        n = r->site->own.log;
    return n && all->logs[n - 1].on ? &all->logs[n - 1] : NULL;
}

/* ---- The line ---- */

static cs_str field_of(const struct request *r, enum http_field f)
{
    if (r->refused || !r->head.field[f])
        return (cs_str){0};
    return r->head.field[f]->value;
}

/* Where the whole request line is as the client sent it; what was refused shows as "-". */
static cs_str request_line(const struct request *r)
{
    if (r->refused || !r->head.method_text.n)
        return (cs_str){0};
    const char *start = r->head.method_text.p;
    const char *end = r->head.target.p + r->head.target.n + sizeof " HTTP/1.1" - 1;
    return (cs_str){start, (size_t)(end - start)};
}

static cs_str module_of(const struct request *r)
{
    const struct route *route = r->route;
    if (!route || r->link >= route->nlinks)
        return (cs_str){0};
    return str_of(route->chain[r->link].module->desc->name);
}

static void write_place(struct place *p, const struct request *r)
{
    const cs_self_info *self = &r->serve->host->self;
    struct access_place facts = {
        .module = module_of(r), .worker = self->slot, .generation = self->generation};
    if (r->site)
        facts.site = r->site->head.label;
    if (r->route)
        facts.route = r->route->label;
    p->site = r->site;
    p->route = r->route;
    p->link = r->link;
    buf_clear(&p->text);
    access_line_place(&p->text, &facts);
}

static cs_str place_of(struct access_log *l, const struct request *r)
{
    size_t hash = ((uintptr_t)r->route ^ (uintptr_t)r->site) / 64 + r->link;
    struct place *p = &l->places[hash % PLACES];
    if (!p->text.n || p->route != r->route || p->site != r->site || p->link != r->link)
        write_place(p, r);
    return buf_str(&p->text);
}

static void add_asked(struct access_facts *f, struct request *r)
{
    const struct http_head *h = &r->head;
    if (r->refused)
        return;
    f->method = h->method_text;
    f->host = request_host(r);
    f->path = h->target_path;
    f->query = h->target_query;
    f->http10 = h->minor == 0;
}

static void add_json(struct access_log *l, struct buf *out, struct access_facts *f,
                     struct request *r)
{
    add_asked(f, r);
    f->id = r->id;
    f->bytes_in = r->body_seen;
    f->dur_us = clock_us_now() - r->started_us;
    f->place = place_of(l, r);
    access_line_json(out, f, &l->clock);
}

static void add_combined(struct access_log *l, struct buf *out, struct access_facts *f,
                         const struct request *r)
{
    f->request_line = request_line(r);
    access_line_combined(out, f, &l->clock);
}

void access_log_add(struct access_log *l, struct request *r)
{
    struct buf *out = log_queue_room(&l->queue);
    if (!out)
        return;
    struct access_facts f = {.wall_us = clock_wall_us(),
                             .client = request_client(r),
                             .user = r->user,
                             .referer = field_of(r, HTTP_FIELD_REFERER),
                             .agent = field_of(r, HTTP_FIELD_USER_AGENT),
                             .status = r->status,
                             .bytes_out =
                                 r->out.sent > r->out.head ? r->out.sent - r->out.head : 0};
    if (l->format == CONF_ACCESS_JSON)
        add_json(l, out, &f, r);
    else
        add_combined(l, out, &f, r);
    log_queue_added(&l->queue);
}

/* ---- All of them ---- */

void access_logs_before_wait(struct access_logs *all)
{
    log_writer_before_wait(&all->writer);
}

void access_logs_reopen(struct access_logs *all, unsigned index, int fd)
{
    if (index >= all->n || !all->logs[index].on) {
        fd_close(&fd);
        return;
    }
    log_queue_move(&all->logs[index].queue, fd);
    all->serve->plan->log_fds[index] = -1;
}

bool access_logs_are_moving(const struct access_logs *all)
{
    return log_writer_is_moving(&all->writer);
}

bool access_logs_hurry(struct access_logs *all, bool limited)
{
    return log_writer_hurry(&all->writer, limited);
}

bool access_logs_end(struct access_logs *all, int ms)
{
    return log_writer_end(&all->writer, ms);
}

void access_logs_free(struct access_logs *all)
{
    for (size_t i = 0; i < all->n; i++) {
        for (size_t k = 0; k < PLACES; k++)
            buf_free(&all->logs[i].places[k].text);
        if (all->logs[i].on)
            log_queue_free(&all->logs[i].queue);
    }
    free(all);
}
