#include "serve/access_log.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define KEEP_MAX (1024 * 1024) /* bytes kept while the log cannot be written */
#define FLUSH_AT (32 * 1024)
#define SLOW_US  10000

struct access_log {
    int fd;
    bool owned;
    enum conf_access_format format;
    struct buf lines;
    uint64_t nlines; /* in `lines` */
    time_t local_at; /* the second that `local` is for */
    char local[40];  /* "22/Nov/2026:21:30:12 +0000" */
    uint64_t warned_ms;
};

struct access_log *access_log_new(int fd, enum conf_access_format format)
{
    if (fd < 0)
        return NULL;
    struct access_log *l = mem_alloc(sizeof *l);
    l->fd = fd;
    l->format = format;
    l->local_at = -1;
    return l;
}

void access_log_free(struct access_log *l)
{
    if (!l)
        return;
    if (l->owned)
        close(l->fd);
    buf_free(&l->lines);
    free(l);
}

static uint64_t body_bytes(const struct request *r)
{
    return r->out.sent > r->out.head ? r->out.sent - r->out.head : 0;
}

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

/* ---- combined, byte for byte as nginx writes it ---- */

static void add_escaped(struct buf *b, cs_str s)
{
    static const char hex[] = "0123456789ABCDEF";
    if (!s.n) {
        buf_add_char(b, '-');
        return;
    }
    size_t plain = 0;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c >= 32 && c < 127 && c != '"' && c != '\\')
            continue;
        buf_add(b, s.p + plain, i - plain);
        buf_add(b, (char[]){'\\', 'x', hex[c >> 4], hex[c & 15]}, 4);
        plain = i + 1;
    }
    buf_add(b, s.p + plain, s.n - plain);
}

static const char *local_time(struct access_log *l)
{
    time_t now = clock_wall();
    struct tm tm;
    if (now != l->local_at && localtime_r(&now, &tm)) {
        strftime(l->local, sizeof l->local, "%d/%b/%Y:%H:%M:%S %z", &tm);
        l->local_at = now;
    }
    return l->local;
}

static void add_combined(struct access_log *l, struct request *r)
{
    struct buf *b = &l->lines;
    buf_add_str(b, request_client(r));
    buf_add_z(b, " - ");
    add_escaped(b, r->user);
    buf_add_z(b, " [");
    buf_add_z(b, local_time(l));
    buf_add_z(b, "] \"");
    add_escaped(b, request_line(r));
    buf_printf(b, "\" %d %llu \"", r->status, (unsigned long long)body_bytes(r));
    add_escaped(b, field_of(r, HTTP_FIELD_REFERER));
    buf_add_z(b, "\" \"");
    add_escaped(b, field_of(r, HTTP_FIELD_USER_AGENT));
    buf_add_z(b, "\"\n");
}

/* ---- JSON ---- */

static cs_str timestamp(char *out, size_t room)
{
    uint64_t us = clock_wall_us();
    time_t t = (time_t)(us / 1000000);
    struct tm tm;
    gmtime_r(&t, &tm);
    size_t n = strftime(out, room, "%Y-%m-%dT%H:%M:%S", &tm);
    n += (size_t)snprintf(out + n, room - n, ".%06uZ", (unsigned)(us % 1000000));
    return (cs_str){out, n};
}

static void add_json(struct access_log *l, struct request *r)
{
    struct json j;
    char ts[40];
    bool known = !r->refused;
    const struct http_head *h = &r->head;
    json_init(&j, &l->lines);
    json_object(&j, NULL);
    json_str(&j, "ts", timestamp(ts, sizeof ts));
    json_str(&j, "request_id", request_id(r));
    json_str(&j, "client", request_client(r));
    json_str(&j, "user", r->user);
    json_str(&j, "method", known ? h->method_text : (cs_str){0});
    json_str(&j, "host", known ? request_host(r) : (cs_str){0});
    json_str(&j, "path", known ? h->target_path : (cs_str){0});
    json_str(&j, "query", known ? h->target_query : (cs_str){0});
    json_z(&j, "proto", h->minor == 0 && known ? "HTTP/1.0" : "HTTP/1.1");
    json_int(&j, "status", r->status);
    json_int(&j, "bytes_in", (int64_t)r->body_seen);
    json_int(&j, "bytes_out", (int64_t)body_bytes(r));
    json_int(&j, "dur_us", (int64_t)(clock_us_now() - r->started_us));
    json_str(&j, "site", r->site ? r->site->head.label : (cs_str){0});
    json_str(&j, "route", r->route ? r->route->label : (cs_str){0});
    json_z(&j, "module",
           r->route && r->link < r->route->nlinks ? r->route->chain[r->link].module->desc->name
                                                  : NULL);
    json_int(&j, "worker", r->serve->host->self.slot);
    json_int(&j, "generation", r->serve->host->self.generation);
    json_str(&j, "referer", field_of(r, HTTP_FIELD_REFERER));
    json_str(&j, "ua", field_of(r, HTTP_FIELD_USER_AGENT));
    json_end_object(&j);
    buf_add_char(&l->lines, '\n');
}

/* ---- Writing ---- */

static void forget_lines(struct access_log *l, struct serve *s, int error)
{
    if (l->lines.n < KEEP_MAX)
        return;
    region_add(s->slot, IPC_LOG_DROPPED, l->nlines);
    log_error("access log: %llu lines lost: %s", (unsigned long long)l->nlines, strerror(error));
    buf_clear(&l->lines);
    l->nlines = 0;
}

void access_log_flush(struct access_log *l, struct serve *s)
{
    if (!l || !l->lines.n)
        return;
    uint64_t start = clock_us_now();
    ssize_t n = write(l->fd, l->lines.p, l->lines.n);
    int error = errno;
    if (clock_us_now() - start > SLOW_US)
        serve_count_one(s, IPC_LOG_BLOCKED);
    if (n == (ssize_t)l->lines.n) {
        buf_clear(&l->lines);
        l->nlines = 0;
    } else if (n > 0) {
        buf_consume(&l->lines, (size_t)n);
    } else {
        if (!l->warned_ms || clock_ms() - l->warned_ms > 60000) {
            l->warned_ms = clock_ms() + 1;
            log_error("access log cannot be written: %s; up to %d KiB of lines are kept",
                      strerror(error), KEEP_MAX / 1024);
        }
        forget_lines(l, s, error);
    }
}

void access_log_add(struct access_log *l, struct request *r)
{
    if (l->format == CONF_ACCESS_JSON)
        add_json(l, r);
    else
        add_combined(l, r);
    l->nlines++;
    serve_count_one(r->serve, IPC_LOG_LINES);
    if (l->lines.n > FLUSH_AT)
        access_log_flush(l, r->serve);
}

void access_log_reopen(struct access_log *l, struct serve *s, int fd)
{
    access_log_flush(l, s);
    if (l->owned)
        close(l->fd);
    l->fd = fd;
    l->owned = true;
}

struct access_log *access_log_of(const struct request *r)
{
    size_t n = r->serve->plan->conf->server.log;
    if (r->route)
        n = r->route->conf ? r->route->conf->own.log : r->route->site->own.log;
    else if (r->site)
        n = r->site->own.log;
    return n ? r->serve->logs[n - 1] : NULL;
}
