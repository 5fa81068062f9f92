/* app.c - a module for tests: a handler with one way to answer for each last part of the path. */
#define _GNU_SOURCE
#include <cserver/cserver.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static int is(cs_str s, const char *z)
{
    return s.n == strlen(z) && !memcmp(s.p, z, s.n);
}

static long number(cs_req *r, const char *name, long otherwise)
{
    cs_str s = cs_query(r, name);
    return s.n ? atol(cs_format(r, "%.*s", CS_F(s)).p) : otherwise;
}

static const char *media_type(cs_req *r)
{
    cs_str s = cs_query(r, "type");
    return s.n ? cs_format(r, "%.*s", CS_F(s)).p : "text/plain";
}

/* "0123456 0123457 ...": each 8 bytes say where they are. */
static void fill(char *p, size_t n, size_t from)
{
    char place[24];
    for (size_t i = 0; i < n; i++) {
        size_t at = from + i;
        if (!i || at % 8 == 0)
            snprintf(place, sizeof place, "%07zu ", at / 8);
        p[i] = place[at % 8];
    }
}

static void on_release(void *arg)
{
    cs_log(CS_INFO, "released");
    free(arg);
}

static int by_ref(cs_req *r, size_t n)
{
    char *p = malloc(n + 1);
    fill(p, n, 0);
    return cs_reply_ref(r, 200, media_type(r), (cs_str){p, n}, on_release, p);
}

static int by_file(cs_req *r, size_t n)
{
    int fd = memfd_create("app", MFD_CLOEXEC);
    char *p = malloc(n + 1);
    fill(p, n, 0);
    if (n && write(fd, p, n) != (ssize_t)n)
        abort();
    free(p);
    return cs_reply_file(r, 200, media_type(r), fd, 0, (int64_t)n + number(r, "short", 0), NULL,
                         NULL);
}

/* ---- In pieces, as long as the client takes them ---- */

struct pieces {
    size_t n, size, at;
    long waits;
};

static void go_on(cs_req *r, void *arg)
{
    struct pieces *s = arg;
    char piece[65536];
    while (s->at < s->n) {
        size_t part = s->n - s->at < s->size ? s->n - s->at : s->size;
        fill(piece, part, s->at);
        s->at += part;
        int rc = cs_send(r, (cs_str){piece, part}, s->at == s->n);
        if (rc == CS_AGAIN) {
            s->waits++;
            cs_on_drain(r, go_on, s);
            return;
        }
        if (rc < 0) {
            cs_log(CS_INFO, "send said %d", rc);
            return;
        }
    }
    cs_log(CS_INFO, "pieces sent, %ld waits", s->waits);
}

static int in_pieces(cs_req *r, size_t n)
{
    struct pieces *s = cs_alloc(r, sizeof *s);
    s->n = n;
    s->size = (size_t)number(r, "size", 1000);
    int rc = cs_start(r, 200, media_type(r), number(r, "len", -1));
    if (rc != CS_OK)
        return rc;
    if (n)
        go_on(r, s);
    else
        cs_send(r, CS_S(""), 1);
    return CS_OK;
}

/* ---- What the calls say ---- */

static int add_field(cs_str name, cs_str value, void *arg)
{
    char *text = arg;
    size_t n = strlen(text);
    snprintf(text + n, 2000 - n, "%.*s=%.*s\n", CS_F(name), CS_F(value));
    return value.n == 4 && !memcmp(value.p, "stop", 4) ? 7 : 0;
}

static int fields(cs_req *r)
{
    char *text = cs_alloc(r, 2000);
    int rc = cs_header_each(r, add_field, text);
    return cs_textf(r, 200, "%s%d", text, rc);
}

static int value(cs_req *r, cs_str v)
{
    return cs_textf(r, 200, "%s%.*s%s", v.p ? "[" : "none", CS_F(v), v.p ? "]" : "");
}

static int escaped(cs_req *r)
{
    cs_str e = cs_escape(r, (int)number(r, "where", 0), cs_query(r, "text"));
    return e.p ? cs_text(r, 200, e) : cs_text(r, 200, "none");
}

static void leave(cs_req *r, void *arg)
{
    (void)arg;
    cs_log(CS_INFO, "left with %d", cs_proceed(r));
}

static int drink(cs_req *r, cs_str data, int last, void *arg)
{
    (void)arg;
    (void)data;
    if (last)
        cs_textf(r, 200, "drunk, proceed says %d", cs_proceed(r));
    return CS_OK;
}

static void after_body(cs_req *r)
{
    if (cs_body_stream(r, drink, NULL) != CS_OK)
        cs_log(CS_ERR, "no body");
}

static int handler(cs_req *r)
{
    cs_str path = cs_info(r)->path;
    size_t n = (size_t)number(r, "n", 10);
    void **ctx = &cs_ctx(r);
    while (path.n && memchr(path.p, '/', path.n))
        path = (cs_str){path.p + 1, path.n - 1};
    *ctx = r;
    if (cs_ctx(r) != (void *)r)
        return 500;
    if (is(path, "text"))
        return cs_text(r, 200, "Hello, app");
    if (is(path, "user"))
        return value(r, cs_user(r));
    if (is(path, "ref"))
        return by_ref(r, n);
    if (is(path, "file"))
        return by_file(r, n);
    if (is(path, "pieces"))
        return in_pieces(r, n);
    if (is(path, "status"))
        return (int)number(r, "s", 200);
    if (is(path, "tagged")) {
        cs_validators(r, CS_S("\"v1\""), -1);
        return by_ref(r, n);
    }
    if (is(path, "fields"))
        return fields(r);
    if (is(path, "query"))
        return value(r, cs_query(r, "a"));
    if (is(path, "cookie"))
        return value(r, cs_cookie(r, "a"));
    if (is(path, "escape"))
        return escaped(r);
    if (is(path, "next"))
        return cs_req_after(r, 1, leave, NULL) == CS_OK ? CS_PENDING : CS_ERROR;
    if (is(path, "drink")) {
        after_body(r);
        return CS_PENDING;
    }
    if (is(path, "detach"))
        return cs_text(r, 200, cs_detach(r, 200) ? "a stream" : "no stream");
    if (is(path, "own_tag")) {
        cs_set_header(r, "ETag", "\"own\"");
        return cs_text(r, 200, "tagged");
    }
    if (is(path, "encoded")) {
        cs_set_header(r, "Content-Encoding", "br");
        return cs_text(r, 200, "encoded");
    }
    return CS_DECLINED;
}

CS_MODULE(.name = "app", .version = "1.0", .help = "Answers in many ways.", .flags = CS_BODY_STREAM,
          .handler = handler);
