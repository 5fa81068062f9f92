/* The head of the request that goes out: fields of the request at hand where they are to go along, then those of the module. */
#include "base/mem.h"
#include "http/ask.h"
#include "http/hop.h"
#include "http/url.h"
#include "serve/conn.h"
#include "serve/errand.h"

#include <stdlib.h>

#define MADE_HERE 4 /* Content-Type and X-Forwarded-... */

struct fields {
    struct http_header *v; /* with room for all there can be */
    size_t n, own;         /* own: how many are the module's; they come first here */
};

static size_t count_most(const struct request *r, const cs_fetch_opts *o)
{
    size_t n = 1 + MADE_HERE + (o->forward ? r->head.nheaders : 0);
    for (size_t i = 0; i < o->headers.n; i++)
        n += o->headers.p[i] == '\n';
    return n;
}

static void add(struct fields *f, cs_str name, cs_str value)
{
    f->v[f->n++] = (struct http_header){.name = name, .value = value};
}

/* "Name: value" lines. -1: one has no colon. */
static int add_lines(struct fields *f, cs_str lines)
{
    cs_str line;
    while (str_split(&lines, '\n', &line)) {
        for (line = str_trim(line); line.n && line.p[line.n - 1] == '\r'; line = str_trim(line))
            line.n--;
        const char *colon = line.n ? memchr(line.p, ':', line.n) : NULL;
        if (!colon && line.n)
            return -1;
        if (colon)
            add(f, (cs_str){line.p, (size_t)(colon - line.p)},
                str_trim((cs_str){colon + 1, (size_t)(line.p + line.n - colon - 1)}));
    }
    return 0;
}

static bool has(const struct fields *f, cs_str name)
{
    return http_header_find(f->v, f->own, name) != NULL;
}

/* Made anew, or by the server itself. */
static bool is_made_here(cs_str name)
{
    static const cs_str names[] = {{"Host", 4},
                                   {"Content-Length", 14},
                                   {"Expect", 6},
                                   {"X-Forwarded-For", 15},
                                   {"X-Forwarded-Proto", 17},
                                   {"X-Forwarded-Host", 16}};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_eq_nocase(name, names[i]))
            return true;
    return false;
}

/* The other end of its connection, or whom a PROXY header or the outer request names in its place. */
static void add_sender(struct request *r, struct buf *list)
{
    char room[CIDR_TEXT_MAX];
    const struct conn *c = r->conn;
    if (list->n)
        buf_add(list, ", ", 2);
    if (c->told)
        buf_add(list, room, cidr_addr_text(&c->client, room));
    else
        buf_add_str(list, request_peer(r));
}

/* The client may have told who stands before it, and stays the one that says so. A subrequest that has been given the list
 * has been given all of it. */
static void add_whose(struct request *r, struct fields *f)
{
    struct buf list = {0};
    for (size_t i = 0; i < r->head.nheaders; i++)
        if (str_eq_nocase(r->head.headers[i].name, CS_S("X-Forwarded-For")))
            buf_printf(&list, "%s%.*s", list.n ? ", " : "", CS_F(r->head.headers[i].value));
    if (!list.n || !r->conn->depth)
        add_sender(r, &list);
    if (!has(f, CS_S("X-Forwarded-For")))
        add(f, CS_S("X-Forwarded-For"), arena_dup(&r->arena, buf_str(&list)));
    if (!has(f, CS_S("X-Forwarded-Proto")))
        add(f, CS_S("X-Forwarded-Proto"), CS_S("http"));
    if (r->head.host.n && !has(f, CS_S("X-Forwarded-Host")))
        add(f, CS_S("X-Forwarded-Host"), r->head.host);
    buf_free(&list);
}

static void add_forwarded(struct request *r, struct fields *f)
{
    const struct http_head *h = &r->head;
    for (size_t i = 0; i < h->nheaders; i++) {
        cs_str name = h->headers[i].name;
        if (!http_hop_is(name, h->headers, h->nheaders) && !is_made_here(name) && !has(f, name))
            add(f, name, h->headers[i].value);
    }
    add_whose(r, f);
}

static int collect(struct errand *e, const cs_fetch_opts *o, struct fields *f, const char **why)
{
    if (add_lines(f, o->headers) < 0) {
        *why = "a line of `headers` has no colon";
        return -1;
    }
    if (o->type.n)
        add(f, CS_S("Content-Type"), o->type);
    f->own = f->n;
    if (o->forward)
        add_forwarded(e->request, f);
    return 0;
}

/* What the request was routed by: not its Host field, where the target names another. */
static cs_str own_host(struct request *r)
{
    const struct http_head *h = &r->head;
    if (!h->host.n)
        return CS_S("localhost");
    return h->port < 0 ? h->host : arena_printf(&r->arena, "%.*s:%d", CS_F(h->host), h->port);
}

static int read_url(struct errand *e, cs_str text, bool inner, struct http_url *url,
                    const char **why)
{
    *url = (struct http_url){0};
    if (!inner && http_url_parse(url, text, why) < 0)
        return -1;
    if (url->tls) {
        *why = "is https, which this server does not speak to others yet";
        return -1;
    }
    if (!inner)
        return 0;
    const char *mark = text.n ? memchr(text.p, '#', text.n) : NULL;
    url->target = (cs_str){text.p, mark ? (size_t)(mark - text.p) : text.n};
    url->authority = own_host(e->request);
    if (text.n && text.p[0] == '/')
        return 0;
    *why = "does not begin with \"/\"";
    return -1;
}

static int write(struct errand *e, const cs_fetch_opts *o, const struct http_url *url,
                 struct fields *f, const char **why)
{
    if (collect(e, o, f, why) < 0)
        return -1;
    int64_t length = !o->body_follows  ? (int64_t)o->body.n
                     : o->body_len < 0 ? HTTP_ASK_CHUNKED
                                       : o->body_len;
    struct http_ask ask = {.method = o->method.n ? o->method
                                     : length    ? CS_S("POST")
                                                 : CS_S("GET"),
                           .target = url->target,
                           .host = o->host.n ? o->host : url->authority,
                           .fields = f->v,
                           .nfields = f->n,
                           .body_len = length};
    return http_ask_write(&ask, &e->head, why);
}

/* The list of fields is on the heap: the stack may be a task's. */
int errand_write_head(struct errand *e, const cs_fetch_opts *o, bool inner, struct http_url *url,
                      const char **why)
{
    if (read_url(e, o->url, inner, url, why) < 0)
        return -1;
    struct fields f = {.v = mem_alloc(count_most(e->request, o) * sizeof *f.v)};
    int rc = write(e, o, url, &f, why);
    free(f.v);
    return rc;
}
