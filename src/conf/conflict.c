/* conflict.c - sections against each other: what may exist only once. */
#include "conf/bind.h"

#include "base/check.h"
#include "base/mem.h"
#include "os/sock_addr.h"

#include <netinet/in.h>
#include <stdlib.h>

static const struct conf_section *section_of(struct bind *b, const struct conf_head *head)
{
    return conf_text_find(b->t, head->kind, head->label);
}

static struct conf_origin place(struct bind *b, const struct conf_head *head, const char *key,
                                size_t index, cs_str element)
{
    return value_place(b, section_of(b, head), key, index, element);
}

static void report_again(struct bind *b, const struct conf_origin *at, int width,
                         const struct conf_origin *first, const char *what)
{
    struct buf where = {0};

    report_origin(first, &where);
    report_error(b->rep, at, width, "%s; the first time is at %s", what, where.p);
    buf_free(&where);
}

/* ---- Addresses ---- */

struct address {
    struct sock_addr addr;
    const struct conf_listen *listen;
    size_t index;
};

static bool has_port_zero(const struct sock_addr *a)
{
    struct sockaddr_in in4;
    struct sockaddr_in6 in6;

    if (a->u.sa.sa_family == AF_INET) {
        memcpy(&in4, &a->u.storage, sizeof in4);
        return in4.sin_port == 0;
    }
    if (a->u.sa.sa_family == AF_INET6) {
        memcpy(&in6, &a->u.storage, sizeof in6);
        return in6.sin6_port == 0;
    }
    return false;
}

static void check_address(struct bind *b, const struct address *all, size_t n)
{
    const struct address *new = &all[n];
    cs_str text = new->listen->address.v[new->index];
    struct conf_origin at, first;
    const char *what;

    for (size_t i = 0; i < n; i++) {
        if (has_port_zero(&new->addr) || !sock_addr_same(&all[i].addr, &new->addr))
            continue;
        at = place(b, &new->listen->head, "address", new->index, text);
        first = place(b, &all[i].listen->head, "address", all[i].index,
                      all[i].listen->address.v[all[i].index]);
        what = arena_printf(&b->c->arena, "address: %.*s is listened on twice", CS_F(text)).p;
        report_again(b, &at, (int)text.n, &first, what);
        return;
    }
}

void conflict_listens(struct bind *b)
{
    size_t most = 0, n = 0;
    struct address *all;

    for (size_t i = 0; i < b->c->nlistens; i++)
        most += b->c->listens[i].address.n;
    all = mem_alloc((most + 1) * sizeof *all);
    for (size_t i = 0; i < b->c->nlistens; i++) {
        const struct conf_listen *l = &b->c->listens[i];

        for (size_t k = 0; k < l->address.n; k++) {
            const char *error = NULL;

            all[n].listen = l;
            all[n].index = k;
            if (sock_addr_parse(l->address.v[k], &all[n].addr, &error)) {
                check_address(b, all, n++);
            } else {
                struct conf_origin at = place(b, &l->head, "address", k, l->address.v[k]);

                report_error(b->rep, &at, (int)l->address.v[k].n, "address: \"%.*s\": %s",
                             CS_F(l->address.v[k]), error);
            }
        }
    }
    free(all);
}

/* ---- Hosts ---- */

struct host {
    cs_str name;
    const struct conf_site *site;
    size_t index;
};

static int by_name(const void *left, const void *right)
{
    const struct host *a = left, *b = right;
    size_t n = a->name.n < b->name.n ? a->name.n : b->name.n;
    int r = n ? memcmp(a->name.p, b->name.p, n) : 0;

    if (r == 0 && a->name.n != b->name.n)
        r = a->name.n < b->name.n ? -1 : 1;
    if (r == 0 && a->site != b->site)
        r = a->site < b->site ? -1 : 1;
    if (r == 0)
        r = a->index < b->index ? -1 : a->index > b->index;
    return r;
}

/* NULL: the two sites share no listener; else the label of one that they share. */
static const char *common_listener(const struct bind *b, const struct conf_site *x,
                                   const struct conf_site *y)
{
    if (!x->listen.n && !y->listen.n)
        return b->c->listens[0].head.label.p;
    for (size_t i = 0; i < x->listen.n; i++)
        for (size_t k = 0; k < y->listen.n; k++)
            if (str_eq(x->listen.v[i], y->listen.v[k]))
                return x->listen.v[i].p;
    if (!y->listen.n)
        return x->listen.v[0].p;
    return x->listen.n ? NULL : y->listen.v[0].p;
}

static void same_host(struct bind *b, const struct host *first, const struct host *again,
                      const char *listener)
{
    cs_str name = again->site->host.v[again->index];
    struct conf_origin at = place(b, &again->site->head, "host", again->index, name);
    struct conf_origin old = place(b, &first->site->head, "host", first->index, name);
    const char *what;

    if (!at.file && !at.text)
        at = again->site->head.at;
    if (!old.file && !old.text)
        old = first->site->head.at;
    what = arena_printf(&b->c->arena, "host: \"%.*s\" is named twice on [listen:%s]%s", CS_F(name),
                        listener,
                        str_is(name, "*") ? " (a site without \"host\" takes all names)" : "")
               .p;
    report_again(b, &at, (int)name.n, &old, what);
}

static void check_run(struct bind *b, const struct host *run, size_t n)
{
    for (size_t k = 1; k < n; k++)
        for (size_t i = 0; i < k; i++) {
            const char *listener = common_listener(b, run[i].site, run[k].site);

            if (listener) {
                same_host(b, &run[i], &run[k], listener);
                break;
            }
        }
}

void conflict_hosts(struct bind *b)
{
    size_t most = 0, n = 0, to;
    struct host *all;

    for (size_t i = 0; i < b->c->nsites; i++)
        most += b->c->sites[i].host.n;
    all = mem_alloc((most + 1) * sizeof *all);
    for (size_t i = 0; i < b->c->nsites; i++)
        for (size_t k = 0; k < b->c->sites[i].host.n; k++)
            all[n++] = (struct host){b->c->sites[i].host.v[k], &b->c->sites[i], k};
    qsort(all, n, sizeof *all, by_name);
    for (size_t from = 0; from < n; from = to) {
        for (to = from + 1; to < n && str_eq(all[to].name, all[from].name);)
            to++;
        check_run(b, all + from, to - from);
    }
    free(all);
}

/* ---- Routes ---- */

/* Routes of one site with one match, in file order. */
static int by_match(const void *left, const void *right)
{
    const struct conf_route *a = *(const struct conf_route *const *)left,
                            *b = *(const struct conf_route *const *)right;
    size_t n = a->match_arg.n < b->match_arg.n ? a->match_arg.n : b->match_arg.n;
    int r = n ? memcmp(a->match_arg.p, b->match_arg.p, n) : 0;

    if (r == 0 && a->match_arg.n != b->match_arg.n)
        r = a->match_arg.n < b->match_arg.n ? -1 : 1;
    if (r == 0 && a->match_kind != b->match_kind)
        r = a->match_kind < b->match_kind ? -1 : 1;
    if (r == 0 && a->site != b->site)
        r = a->site < b->site ? -1 : 1;
    if (r == 0 && a != b)
        r = a < b ? -1 : 1;
    return r;
}

static bool same_match(const struct conf_route *x, const struct conf_route *y)
{
    return x->site == y->site && x->match_kind == y->match_kind &&
           str_eq(x->match_arg, y->match_arg);
}

/* Can no request that y would take get past x? Only what can be seen without thinking is seen. */
static bool hides(const struct conf_route *x, const struct conf_route *y)
{
    return !conf_route_asks(x) || condition_same(x, y);
}

static void check_route(struct bind *b, const struct conf_route *x, const struct conf_route *y)
{
    cs_str both = arena_printf(
        &b->c->arena, "match: \"%.*s\" is on two routes of [site:%s], [route:%s] and [route:%s]",
        CS_F(y->match), y->site->head.label.p, x->head.label.p, y->head.label.p);
    const char *tail = !conf_route_asks(y)  ? ""
                       : conf_route_asks(x) ? ", with the same conditions"
                                            : ", and the first has no conditions, so it takes all "
                                              "requests; put it behind the other";

    report_again(b, &y->match_at, (int)y->match.n, &x->match_at,
                 arena_printf(&b->c->arena, "%.*s%s", CS_F(both), tail).p);
}

static void check_routes(struct bind *b, const struct conf_route *const *run, size_t n)
{
    for (size_t k = 1; k < n; k++)
        for (size_t i = 0; i < k; i++)
            if (hides(run[i], run[k])) {
                check_route(b, run[i], run[k]);
                break;
            }
}

/* Without groups, and without what stands at both ends anyway: *end where it says "$". */
static cs_str core(cs_str regex, char *room, size_t most, bool *end)
{
    cs_str out = {room, 0};

    for (size_t i = 0; i < regex.n && out.n < most; i++) {
        if (regex.p[i] == ')' || (!i && regex.p[i] == '^'))
            continue;
        if (regex.p[i] != '(') {
            room[out.n++] = regex.p[i];
            continue;
        }
        if (i + 3 < regex.n && memcmp(regex.p + i + 1, "?<", 2) == 0 && regex.p[i + 3] != '=' &&
            regex.p[i + 3] != '!') {
            const char *close = memchr(regex.p + i, '>', regex.n - i);

            i = close ? (size_t)(close - regex.p) : regex.n;
        }
    }
    *end = out.n && room[out.n - 1] == '$';
    out.n -= *end;
    return out;
}

/* Only what people write for "all" is seen. */
static bool takes_all(const struct conf_route *r)
{
    static const char *const any[] = {".*", "/.*", ".+"}, *const begun[] = {"", "/", "."};
    char room[40];
    bool end;
    cs_str text;

    if (r->match_kind != CONF_MATCH_REGEX || r->match_arg.n > sizeof room || !r->match_arg.n ||
        conf_route_asks(r))
        return false;
    text = core(r->match_arg, room, sizeof room, &end);
    for (size_t i = 0; i < ARRAY_LEN(any); i++)
        if (str_is(text, any[i]) || (!end && str_is(text, begun[i])))
            return true;
    return false;
}

/* Regexes behind it, and all prefixes. */
static void look_behind(struct bind *b, const struct conf_route *all)
{
    struct buf names = {0};
    size_t n = 0;

    for (size_t i = 0; i < b->c->nroutes; i++) {
        const struct conf_route *r = &b->c->routes[i];

        if (r == all || r->site != all->site || r->match_kind == CONF_MATCH_EXACT ||
            (r->match_kind == CONF_MATCH_REGEX && r < all))
            continue;
        if (n++ < 3)
            buf_printf(&names, "%s[route:%s]", n > 1 ? ", " : "", r->head.label.p);
    }
    if (n)
        report_warning(
            b->rep, &all->match_at, (int)all->match.n,
            "match: \"%.*s\" takes all paths, so %s%s can never be reached: regexes come "
            "before starts of paths; write match = / for what is left",
            CS_F(all->match), names.p, n > 3 ? " and others" : "");
    buf_free(&names);
}

static void look_for_all(struct bind *b)
{
    for (size_t i = 0; i < b->c->nroutes; i++)
        if (takes_all(&b->c->routes[i]))
            look_behind(b, &b->c->routes[i]);
}

void conflict_routes(struct bind *b)
{
    const struct conf_route **all = mem_alloc((b->c->nroutes + 1) * sizeof *all);
    size_t n = 0, to;

    for (size_t i = 0; i < b->c->nroutes; i++)
        if (b->c->routes[i].match_arg.n)
            all[n++] = &b->c->routes[i];
    qsort(all, n, sizeof *all, by_match);
    for (size_t from = 0; from < n; from = to) {
        for (to = from + 1; to < n && same_match(all[to], all[from]);)
            to++;
        check_routes(b, all + from, to - from);
    }
    free(all);
    look_for_all(b);
}
