/* url_fuzz.c - any bytes as a URL. What is accepted means the same when it is put together again, to each way to scan, and to the
 * parser of requests, which reads absolute targets by itself. */
#include "http/ask.h"
#include "http/head.h"
#include "http/scan.h"
#include "http/url.h"

#include "input.h"

#define MAX_FIELDS 2
static const struct http_limits no_limits = {SIZE_MAX, SIZE_MAX, MAX_FIELDS};

static bool same(const struct http_url *a, const struct http_url *b)
{
    return str_eq(a->host, b->host) && a->is_v6 == b->is_v6 && a->port == b->port &&
           a->tls == b->tls && str_eq(a->authority, b->authority) && str_eq(a->target, b->target);
}

static void check_parts(const struct http_url *u, cs_str text)
{
    check(is_within(u->host, text) && is_within(u->authority, text) && is_within(u->target, text));
    check(u->host.n > 0 && u->port >= 1 && u->port <= 65535);
    check(!u->target.n || u->target.p[0] == '/' || u->target.p[0] == '?');
    check(u->authority.p == u->host.p - u->is_v6);
    check(u->authority.p[u->authority.n - 1] != ':');
    for (size_t i = 0; i < text.n; i++)
        check(text.p[i] > ' ' && text.p[i] < 0x7f);
    for (size_t i = 0; i < u->host.n; i++)
        check(!strchr(u->is_v6 ? "/?#@%\\[]" : "/?#@%\\[]:", u->host.p[i]));
}

/* Scheme, authority and target are all there is to it; a fragment adds nothing. */
static void check_again(const struct http_url *u)
{
    struct http_url again;
    const char *error = NULL;
    struct buf b = {0};
    buf_add_z(&b, u->tls ? "HTTPS://" : "HTTP://");
    buf_add_str(&b, u->authority);
    buf_add_str(&b, u->target);
    check(http_url_parse(&again, buf_str(&b), &error) == 0 && same(u, &again));
    buf_add_z(&b, "#/?@:");
    check(http_url_parse(&again, buf_str(&b), &error) == 0 && same(u, &again));
    buf_free(&b);
}

static void parse_request(struct http_head *h, const struct buf *b)
{
    check(http_head_parse(h, b->p, b->n, &no_limits) == (long)b->n);
}

static bool is_host(const struct http_url *u, cs_str host)
{
    cs_str without = {host.p + 1, host.n - 2};
    return u->is_v6 ? host.p[0] == '[' && str_eq(u->host, without) : str_eq(u->host, host);
}

/* What comes of it when it is asked for. */
static void check_asked(const struct http_url *u)
{
    struct http_header fields[MAX_FIELDS];
    struct http_head h = {.headers = fields, .headers_cap = MAX_FIELDS};
    struct http_ask ask = {.method = CS_S("GET"), .target = u->target, .host = u->authority};
    struct buf b = {0};
    const char *error = NULL;
    check(http_ask_write(&ask, &b, &error) == 0);
    parse_request(&h, &b);
    bool slash = !u->target.n || u->target.p[0] == '?';
    check(h.form == HTTP_ORIGIN_FORM && h.target.n == u->target.n + slash);
    check(str_eq(u->target, (cs_str){h.target.p + slash, h.target.n - slash}));
    check(is_host(u, h.host) && str_eq(h.field[HTTP_FIELD_HOST]->value, u->authority));
    buf_free(&b);
}

/* The other reader. It has no fragments. */
static void check_absolute(const struct http_url *u, cs_str text)
{
    struct http_header fields[MAX_FIELDS];
    struct http_head h = {.headers = fields, .headers_cap = MAX_FIELDS};
    struct buf b = {0};
    const char *hash = memchr(text.p, '#', text.n);
    buf_add_z(&b, "GET ");
    buf_add(&b, text.p, hash ? (size_t)(hash - text.p) : text.n);
    buf_add_z(&b, " HTTP/1.1\r\nHost: a\r\n\r\n");
    parse_request(&h, &b);
    check(h.form == HTTP_ABSOLUTE_FORM && is_host(u, h.host));
    check(h.port == u->port || (h.port == -1 && u->port == (u->tls ? 443 : 80)));
    size_t query = h.target_query.p ? h.target_query.n + 1 : 0;
    size_t path = u->target.n - query;
    check(str_eq(h.target_path, path ? (cs_str){u->target.p, path} : CS_S("/")));
    buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cs_str text = input_of(data, size);
    const struct scan *now = scan_now;
    struct http_url u, other;
    const char *error = NULL;
    int verdict = http_url_parse(&u, text, &error);
    check(verdict == (error ? -1 : 0));
    for (size_t i = 0; scan_way(i); i++) {
        const char *why = NULL;
        check(scan_use(scan_way(i)->name));
        check(http_url_parse(&other, text, &why) == verdict && why == error);
        check(error || same(&u, &other));
    }
    scan_use(now->name);
    if (error)
        return 0;
    check_parts(&u, text);
    check_again(&u);
    check_asked(&u);
    check_absolute(&u, text);
    return 0;
}
