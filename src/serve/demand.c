#include "serve/demand.h"

#include "http/query.h"

static const char *const names[HTTP_OTHER] = {"GET",     "HEAD",    "POST",  "PUT",  "DELETE",
                                              "CONNECT", "OPTIONS", "TRACE", "PATCH"};

/* ---- Making it ---- */

/* 0: there is no bit left. */
static uint64_t new_bit(struct demand_methods *m, cs_str name)
{
    enum http_method known = http_method_of(name);
    size_t i = 0;
    if (known == HTTP_GET)
        return 1u << HTTP_GET | 1u << HTTP_HEAD;
    if (known != HTTP_OTHER)
        return (uint64_t)1 << known;
    while (i < m->n && !str_eq(m->names[i], name))
        i++;
    if (i == DEMAND_METHODS)
        return 0;
    if (i == m->n)
        m->names[m->n++] = name;
    return (uint64_t)1 << (HTTP_OTHER + i);
}

static uint64_t method_bits(struct demand_methods *m, const struct conf_route *r,
                            const struct conf_origin *at, struct report *rep)
{
    uint64_t bits = 0;
    for (size_t i = 0; i < r->methods.n; i++) {
        uint64_t bit = new_bit(m, r->methods.v[i]);
        if (!bit)
            report_error(
                rep, at, 1,
                "methods: \"%.*s\" is the name of one method too many: the routes may name "
                "%d that HTTP does not know",
                CS_F(r->methods.v[i]), DEMAND_METHODS);
        bits |= bit;
    }
    return bits;
}

static struct demand_test *compile(struct arena *a, struct pattern_pool *pool, const char *key,
                                   const struct conf_condition *all, size_t n, struct report *rep)
{
    struct demand_test *out = arena_zalloc(a, (n + 1) * sizeof *out);
    struct buf error = {0};
    for (size_t i = 0; i < n; i++) {
        out[i].conf = &all[i];
        if (all[i].test != CONF_TEST_REGEX)
            continue;
        buf_clear(&error);
        out[i].pattern = pattern_new(pool, all[i].value, &error);
        if (!out[i].pattern)
            report_error(rep, &all[i].at, 1, "%s: bad regex \"%.*s\": %s", key, CS_F(all[i].value),
                         error.p);
    }
    buf_free(&error);
    return out;
}

const struct demand *demand_new(struct arena *a, struct pattern_pool *pool,
                                struct demand_methods *methods, const struct conf_route *r,
                                struct report *rep)
{
    unsigned before = rep->errors;
    if (!conf_route_asks(r))
        return NULL;
    struct demand *d = arena_zalloc(a, sizeof *d);
    d->methods_at = conf_origin_of(&r->head, "methods");
    d->methods = method_bits(methods, r, d->methods_at, rep);
    d->clients = r->clients->words.n ? r->clients : NULL;
    d->clients_at = conf_origin_of(&r->head, "clients");
    d->headers = compile(a, pool, "headers", r->header_tests, r->nheader_tests, rep);
    d->nheaders = r->nheader_tests;
    d->query = compile(a, pool, "query", r->query_tests, r->nquery_tests, rep);
    d->nquery = r->nquery_tests;
    return rep->errors == before ? d : NULL;
}

/* ---- Asking ---- */

static bool method_holds(const struct demand *d, const struct demand_methods *m,
                         const struct route_ask *ask)
{
    if (!d->methods)
        return true;
    if (ask->method != HTTP_OTHER)
        return d->methods >> ask->method & 1;
    for (size_t i = 0; i < m->n; i++)
        if (str_eq(m->names[i], ask->method_text))
            return d->methods >> (HTTP_OTHER + i) & 1;
    return false;
}

static bool client_holds(const struct demand *d, const struct route_ask *ask)
{
    struct cidr_addr addr;
    return !d->clients ||
           blocks_find(d->clients, ask->client(ask->client_arg, &addr) ? &addr : NULL);
}

/* A value that is no UTF-8 matches no expression. */
static enum pattern_result value_fits(const struct demand_test *t, cs_str value)
{
    if (t->conf->test == CONF_TEST_THERE)
        return PATTERN_MATCHES;
    if (t->conf->test == CONF_TEST_IS)
        return str_eq(value, t->conf->value) ? PATTERN_MATCHES : PATTERN_DIFFERS;
    return str_is_utf8(value) ? pattern_try(t->pattern, value) : PATTERN_DIFFERS;
}

static enum pattern_result header_fits(const struct demand_test *t, const struct route_ask *ask)
{
    enum pattern_result result = PATTERN_DIFFERS;
    for (size_t i = 0; i < ask->head->nheaders && result == PATTERN_DIFFERS; i++) {
        const struct http_header *h = &ask->head->headers[i];
        if (!str_eq_nocase(h->name, t->conf->name))
            continue;
        if (t->conf->test == CONF_TEST_MISSING)
            return PATTERN_DIFFERS;
        result = value_fits(t, h->value);
    }
    return t->conf->test == CONF_TEST_MISSING ? PATTERN_MATCHES : result;
}

static cs_str decoded(const struct route_ask *ask, cs_str raw)
{
    if (!http_query_is_coded(raw))
        return raw;
    char *out = arena_alloc(ask->arena, raw.n + 1);
    return (cs_str){out, http_query_decode(raw, out)};
}

static enum pattern_result query_fits(const struct demand_test *t, const struct route_ask *ask)
{
    cs_str raw = http_query_find(ask->query, t->conf->name);
    if (t->conf->test == CONF_TEST_MISSING)
        return raw.p ? PATTERN_DIFFERS : PATTERN_MATCHES;
    return raw.p ? value_fits(t, decoded(ask, raw)) : PATTERN_DIFFERS;
}

/* The method comes last: it stands against a route only where all else holds. */
enum demand_result demand_try(const struct demand *d, const struct demand_methods *m,
                              const struct route_ask *ask, const struct demand_test **test)
{
    enum pattern_result result;
    for (size_t i = 0; i < d->nheaders; i++) {
        *test = &d->headers[i];
        if ((result = header_fits(*test, ask)) != PATTERN_MATCHES)
            return result == PATTERN_DIFFERS ? DEMAND_HEADER : DEMAND_GAVE_UP;
    }
    for (size_t i = 0; i < d->nquery; i++) {
        *test = &d->query[i];
        if ((result = query_fits(*test, ask)) != PATTERN_MATCHES)
            return result == PATTERN_DIFFERS ? DEMAND_QUERY : DEMAND_GAVE_UP;
    }
    *test = NULL;
    if (!client_holds(d, ask))
        return DEMAND_CLIENT;
    return method_holds(d, m, ask) ? DEMAND_HOLDS : DEMAND_METHOD;
}

/* ---- Telling ---- */

void demand_why(enum demand_result result, const struct demand_test *t, const struct route_ask *ask,
                struct buf *out)
{
    if (result == DEMAND_METHOD) {
        buf_printf(out, "method %.*s is not in methods", CS_F(ask->method_text));
        return;
    }
    if (result == DEMAND_CLIENT) {
        buf_add_z(out, "the client is not in clients");
        return;
    }
    const char *what = result == DEMAND_QUERY ? "query parameter" : "header";
    bool there = result == DEMAND_QUERY ? http_query_find(ask->query, t->conf->name).p != NULL
                                        : http_head_find(ask->head, t->conf->name) != NULL;
    buf_printf(out, "%s %.*s ", what, CS_F(t->conf->name));
    if (t->conf->test == CONF_TEST_MISSING)
        buf_add_z(out, "is there, and must not be");
    else if (!there)
        buf_add_z(out, "is missing");
    else if (t->conf->test == CONF_TEST_REGEX)
        buf_printf(out, "does not match %.*s", CS_F(t->conf->value));
    else
        buf_printf(out, "is not \"%.*s\"", CS_F(t->conf->value));
}

void demand_allow(const struct demand_methods *m, uint64_t bits, struct buf *out)
{
    for (unsigned i = 0; i < HTTP_OTHER + m->n; i++)
        if (bits >> i & 1)
            buf_printf(out, "%s%.*s", out->n ? ", " : "",
                       CS_F(i < HTTP_OTHER ? str_of(names[i]) : m->names[i - HTTP_OTHER]));
}
