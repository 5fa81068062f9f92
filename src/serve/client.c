#include "serve/client.h"

#include "base/blocks.h"
#include "base/check.h"
#include "base/log.h"
#include "http/forwarded.h"
#include "http/proxy.h"
#include "serve/request.h"

static const struct conf_listen *listener_of(const struct conn *c)
{
    return c->serve->plan->listeners[c->listener].conf;
}

/* Without what a request says. false: it came by a unix socket. */
static bool conn_addr(const struct conn *c, struct cidr_addr *out)
{
    *out = c->told ? c->client : c->peer;
    return c->told || c->by_ip;
}

static bool trusts(const struct conf_listen *l, const struct cidr_addr *addr)
{
    return l->trusted->words.n && blocks_find(l->trusted, addr) > 0;
}

/* ---- PROXY headers ---- */

__attribute__((format(printf, 2, 3))) static void tell(struct conn *c, const char *fmt, ...)
{
    char room[CIDR_TEXT_MAX];
    struct log_pair pair = {"client", conn_peer(c, room)};
    va_list ap;
    va_start(ap, fmt);
    log_write_with(LOG_LEVEL_INFO, &pair, 1, fmt, ap);
    va_end(ap);
}

static long refuse(struct conn *c, const char *why)
{
    serve_count_one(c->serve, IPC_BAD_PROXY);
    tell(c, "connection closed: %s, and [listen:%s] has proxy_protocol = on", why,
         listener_of(c)->head.label.p);
    return -1;
}

long client_read_proxy(struct conn *c)
{
    const struct conf_listen *l = listener_of(c);
    struct http_proxy header;
    struct cidr_addr peer;
    const char *error = "";
    cs_str unread = {c->in->data + c->in_off, c->in_len - c->in_off};
    if (l->trusted->words.n && !trusts(l, conn_addr(c, &peer) ? &peer : NULL))
        return refuse(c, "its other end is not in `trusted`");
    long n = http_proxy_parse(unread, &header, &error);
    if (n < 0)
        return refuse(c, error);
    if (n == 0)
        return c->eof ? refuse(c, "it ended within its PROXY header") : 0;
    c->told = header.kind == HTTP_PROXY_IP;
    c->client = header.client;
    return n;
}

/* ---- Fields ---- */

/* A list as it is read: the first of the addresses at its end that are proxies, or who stands before them. */
struct chain {
    const struct conf_listen *listen;
    bool forwarded, found;
    struct cidr_addr first;
};

static void add_element(struct chain *chain, cs_str element)
{
    struct cidr_addr addr;
    bool is = http_xff_addr(element, &addr);
    if (is && chain->found && trusts(chain->listen, &addr))
        return;
    chain->found = is;
    chain->first = addr;
}

static void add_field(struct chain *chain, cs_str list)
{
    cs_str element;
    bool (*next)(cs_str *, cs_str *) = chain->forwarded ? http_forwarded_next : http_xff_next;
    while (next(&list, &element))
        add_element(chain, element);
}

/* The name of the field that counts here; p NULL: none does. */
static cs_str field_name(const struct conf_listen *l)
{
    bool automatic = l->client_from == CONF_CLIENT_AUTO && !l->proxy_protocol;
    if (!l->trusted->words.n)
        return (cs_str){0};
    if (l->client_from == CONF_CLIENT_FORWARDED)
        return CS_S("Forwarded");
    return l->client_from == CONF_CLIENT_XFF || automatic ? CS_S("X-Forwarded-For") : (cs_str){0};
}

static bool read_fields(const struct request *r, const struct conf_listen *l, struct cidr_addr *out)
{
    cs_str name = field_name(l);
    struct chain chain = {.listen = l, .forwarded = l->client_from == CONF_CLIENT_FORWARDED};
    for (size_t i = 0; name.p && i < r->head.nheaders; i++)
        if (str_eq_nocase(r->head.headers[i].name, name))
            add_field(&chain, r->head.headers[i].value);
    if (chain.found)
        *out = chain.first;
    return chain.found;
}

/* ---- */

static cs_str text_of(struct request *r, const struct cidr_addr *a)
{
    char *text = arena_alloc(&r->arena, CIDR_TEXT_MAX);
    return (cs_str){text, cidr_addr_text(a, text)};
}

/* A head that is not whole, or was refused, has nothing to say. A job may need the text when the connection has gone. */
static void find(struct request *r)
{
    const struct conn *c = r->conn;
    const struct conf_listen *l = listener_of(c);
    struct cidr_addr addr = {{0}};
    bool by_ip = conn_addr(c, &addr), told = c->told;
    if (!c->depth && !r->reading && !r->refused && trusts(l, by_ip ? &addr : NULL) &&
        read_fields(r, l, &addr))
        by_ip = told = true;
    r->client.by_ip = by_ip;
    r->client.addr = addr;
    r->client.peer = conn_peer(c, arena_alloc(&r->arena, CIDR_TEXT_MAX));
    r->client.text = told ? text_of(r, &addr) : r->client.peer;
    r->client.known = !r->reading;
}

cs_str request_client(struct request *r)
{
    if (!r->client.known)
        find(r);
    return r->client.text;
}

bool request_client_addr(struct request *r, struct cidr_addr *out)
{
    if (!r->client.known)
        find(r);
    *out = r->client.addr;
    return r->client.by_ip;
}

cs_str request_peer(struct request *r)
{
    if (!r->client.known)
        find(r);
    return r->client.peer;
}

/* ---- For cserver explain ---- */

/* The field of which somebody may believe that it names the client, that which does before the others; n 0: there is none. */
static cs_str field_sent(const struct request *r, cs_str counts)
{
    const cs_str names[] = {counts, CS_S("X-Forwarded-For"), CS_S("Forwarded")};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (names[i].n && http_head_find(&r->head, names[i]))
            return names[i];
    return (cs_str){0};
}

cs_str client_why(struct request *r)
{
    const struct conf_listen *l = listener_of(r->conn);
    const cs_str counts = field_name(l), sent = field_sent(r, counts);
    char room[CIDR_TEXT_MAX];
    const cs_str peer = conn_peer(r->conn, room);
    struct cidr_addr addr;
    if (!sent.n || r->reading || r->refused)
        return CS_S("");
    if (!l->trusted->words.n)
        return arena_printf(&r->arena, "%.*s does not count: [listen:%s] has nobody in trusted",
                            CS_F(sent), l->head.label.p);
    if (!counts.p || !str_eq(sent, counts))
        return arena_printf(&r->arena, "%.*s does not count: client_from says so", CS_F(sent));
    if (!trusts(l, conn_addr(r->conn, &addr) ? &addr : NULL))
        return arena_printf(&r->arena, "%.*s does not count: %.*s is not in trusted", CS_F(sent),
                            CS_F(peer));
    if (!read_fields(r, l, &addr))
        return arena_printf(&r->arena, "%.*s has no address at its end", CS_F(sent));
    return arena_printf(&r->arena, "%.*s of %.*s says so", CS_F(sent), CS_F(peer));
}
