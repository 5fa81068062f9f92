/* origin.c - which other servers there are, and what connecting to them comes to: it stands in for net/reach.c, so nothing here
 * ever leaves the process. */
#include "kit/origin.h"

#include "base/mem.h"
#include "http/url.h"
#include "kit/kit.h"
#include "net/reach.h"
#include "os/fd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define FIRST_ADDRESS 0xc0000201u /* 192.0.2.1, for documentation (RFC 5737) */

/* ---- Names ---- */

static bool is_nameless(const struct origins *o, cs_str host)
{
    for (const struct origin *it = o->first; it; it = it->next)
        if (it->how == CST_NO_NAME && str_eq_nocase(it->host, host))
            return true;
    return str_is(host, ORIGIN_NO_NAME);
}

static struct origin_name *new_name(struct origins *o, cs_str host)
{
    struct origin_name *n = arena_zalloc(o->arena, sizeof *n);
    bool here = str_eq_nocase(host, CS_S("localhost"));
    uint32_t addr = here ? INADDR_LOOPBACK : FIRST_ADDRESS + o->nnames;
    o->nnames += !here;
    n->name = arena_dup(o->arena, host);
    n->addr.v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(addr)};
    n->next = o->names;
    o->names = n;
    return n;
}

static void address_of(struct origins *o, cs_str host, union host_addr *addr)
{
    struct origin_name *n = o->names;
    if (host_addr_parse(host, addr))
        return;
    while (n && !str_eq_nocase(n->name, host))
        n = n->next;
    *addr = (n ? n : new_name(o, host))->addr;
}

bool origins_know(struct origins *o, cs_str host, union host_addr *addr)
{
    if (is_nameless(o, host))
        return false;
    address_of(o, host, addr);
    return true;
}

/* ---- Connecting ---- */

static struct sock_addr with_port(const union host_addr *addr, uint16_t port)
{
    struct sock_addr a = {0};
    a.len = host_addr_put(addr, port, &a.u.storage);
    return a;
}

static struct origin *find(struct origins *o, const struct sock_addr *a)
{
    struct origin *it = o->first;
    for (; it; it = it->next) {
        struct sock_addr its = with_port(&it->addr, it->port);
        if (sock_addr_same(&its, a))
            return it;
    }
    return NULL;
}

/* Something that can never be written to. */
static int silence(void)
{
    int fd = fd_event_new();
    uint64_t full = UINT64_MAX - 1;
    if (fd < 0 || write(fd, &full, sizeof full) != sizeof full)
        kit_die("no descriptor: %s", strerror(errno));
    return fd;
}

/* As the test would have to write it. */
static cs_str url_of(const struct origins *o, const struct sock_addr *a)
{
    char text[SOCK_TEXT_MAX];
    size_t n = sock_addr_text(a, text);
    for (const struct origin_name *it = o->names; it; it = it->next)
        if (a->u.sa.sa_family == AF_INET &&
            it->addr.v4.sin_addr.s_addr ==
                ((const struct sockaddr_in *)&a->u.storage)->sin_addr.s_addr)
            return arena_printf(o->arena, "http://%.*s%s", CS_F(it->name), strrchr(text, ':'));
    return arena_printf(o->arena, "http://%.*s", (int)n, text);
}

int reach(const struct sock_addr *a, int *fd, const char **why)
{
    struct origins *o = &kit_here->origins;
    struct origin *to = find(o, a);
    *fd = -1;
    if (!to) {
        *why = arena_printf(o->arena, "the test has no such server: cst_server(t, \"%.*s\")",
                            CS_F(url_of(o, a)))
                   .p;
        return -ENETUNREACH;
    }
    if (to->how == CST_SILENT) {
        *fd = silence();
        return -EINPROGRESS;
    }
    int got = to->how == CST_REFUSES ? -ECONNREFUSED : origin_connect(o, to);
    if (got < 0) {
        *why = strerror(-got);
        return got;
    }
    *fd = got;
    return 0;
}

/* ---- What the test calls ---- */

static void read_url(const char *call, const char *text, struct http_url *url)
{
    const char *error = "";
    if (http_url_parse(url, str_of(text), &error) < 0)
        kit_die("%s: \"%s\" %s", call, text, error);
    if (url->tls)
        kit_die("%s: \"%s\": https is not spoken to other servers", call, text);
}

static void check_status(const char *call, int status)
{
    if (status < 200 || status > 599)
        kit_die("%s: %d is not the status of an answer", call, status);
}

static struct origin *find_or_make(struct origins *o, const struct http_url *url, cs_str name)
{
    union host_addr addr;
    address_of(o, url->host, &addr);
    struct sock_addr a = with_port(&addr, (uint16_t)url->port);
    struct origin *it = find(o, &a);
    if (it)
        return it;
    it = arena_zalloc(o->arena, sizeof *it);
    it->name = arena_dup(o->arena, name).p;
    it->host = arena_dup(o->arena, url->host);
    it->addr = addr;
    it->port = (uint16_t)url->port;
    it->next = o->first;
    o->first = it;
    return it;
}

void cst_server(struct cst *t, const char *origin)
{
    cst_server_is(t, origin, CST_UP);
}

void cst_server_is(struct cst *t, const char *origin, int how)
{
    struct http_url url;
    struct origins *o = &t->origins;
    read_url("cst_server", origin, &url);
    if (url.target.n)
        kit_die("cst_server: \"%s\" has a path: it is \"http://host\" or \"http://host:port\"",
                origin);
    union host_addr addr;
    if (how == CST_NO_NAME && host_addr_parse(url.host, &addr))
        kit_die("cst_server_is: \"%s\" has an address and no name", origin);
    struct origin *it = find_or_make(o, &url, str_of(origin));
    it->how = how;
    for (struct origin_conn *c = o->conns; c; c = c->next)
        if (c->origin == it && how != CST_UP && how != CST_STALLED)
            origin_conn_cut(c);
}

void cst_serve_str(struct cst *t, const char *url, int status, const char *type, cs_str body)
{
    struct http_url u;
    struct origins *o = &t->origins;
    read_url("cst_serve", url, &u);
    check_status("cst_serve", status);
    cs_str name = {url, (size_t)(u.authority.p - url) + u.authority.n};
    struct origin *it = find_or_make(o, &u, name);
    struct origin_answer *a = arena_zalloc(o->arena, sizeof *a);
    a->target = u.target.n ? arena_dup(o->arena, u.target) : CS_S("/");
    a->status = status;
    a->type = type ? arena_strdup(o->arena, type) : NULL;
    a->body = arena_dup(o->arena, body);
    a->next = it->answers;
    it->answers = a;
}

size_t cst_fetched_count(const struct cst *t)
{
    return t->origins.nvisits;
}

static struct visit *visit_at(struct cst *t, size_t i, const char *call)
{
    if (i >= t->origins.nvisits)
        kit_die("%s: there have been %zu requests to other servers, so there is none with the "
                "number %zu",
                call, t->origins.nvisits, i);
    return t->origins.visits[i];
}

static cs_str word(cs_str *line)
{
    const char *end = memchr(line->p, ' ', line->n);
    cs_str w = {line->p, end ? (size_t)(end - line->p) : line->n};
    *line = (cs_str){w.p + w.n + (end != NULL), line->n - w.n - (end != NULL)};
    return w;
}

const cst_fetched *cst_fetched_at(struct cst *t, size_t i)
{
    struct arena *m = &t->arena;
    if (i >= t->origins.nvisits)
        return NULL;
    const struct visit *a = t->origins.visits[i];
    const struct reply *r = &a->request;
    cst_fetched *f = arena_zalloc(m, sizeof *f);
    *f = (cst_fetched){.size = sizeof *f, .origin = a->origin->name, .connection = a->connection};
    f->head = arena_dup(m, (cs_str){r->in.p + r->head, r->head_end - r->head});
    cs_str line = f->head;
    f->method = word(&line);
    f->target = word(&line);
    f->body = arena_dup(m, r->body.n ? buf_str(&r->body) : CS_S(""));
    f->whole = r->phase == REPLY_WHOLE;
    f->gone = !a->conn;
    f->waiting = a->conn && a->conn->visit == a ? a->conn->out.n : 0;
    return f;
}

cs_str cst_fetched_field(const cst_fetched *f, const char *name)
{
    return reply_field(f->head, str_of(name));
}

void cst_reply_str(struct cst *t, size_t i, int status, const char *type, cs_str body)
{
    struct origin_answer answer = {.status = status, .type = type, .body = body};
    check_status("cst_reply", status);
    visit_answer(visit_at(t, i, "cst_reply"), &answer);
    kit_run(t);
}

void cst_reply_raw_str(struct cst *t, size_t i, cs_str bytes)
{
    struct visit *a = visit_at(t, i, "cst_reply_raw");
    if (a->conn)
        buf_add_str(&a->conn->out, bytes);
    kit_run(t);
}

void cst_hang_up(struct cst *t, size_t i)
{
    struct visit *a = visit_at(t, i, "cst_hang_up");
    if (a->conn)
        origin_conn_end(a->conn);
    kit_run(t);
}
