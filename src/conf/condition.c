/* condition.c - "!X-A" is a field that is not there, "X-A: v" one with a value, "X-A: ~ ^v" one that an expression matches; of
 * the query the same with "=". A name that no request can have is told, since such a route would never be taken. */
#include "conf/bind.h"

#include "base/blocks.h"
#include "http/token.h"

/* One key of a route whose elements are looked at. */
struct tests {
    struct bind *b;
    const struct conf_section *s;
    const char *key;
    const cs_list *list;
    char sign; /* between name and value */
};

__attribute__((format(printf, 3, 4))) static void refuse(const struct tests *t, size_t i,
                                                         const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    value_vrefuse(t->b, t->s, t->key, i, t->list->v[i], fmt, ap);
    va_end(ap);
}

/* ---- methods ---- */

static bool is_upper(cs_str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] >= 'a' && s.p[i] <= 'z')
            return false;
    return true;
}

static const char *wrong_method(cs_str m)
{
    if (!http_is_token(m))
        return memchr(m.p, ' ', m.n)
                   ? "is no method: it has a blank in it, and methods are separated by commas"
                   : "is no method, such as GET or POST";
    if (str_is(m, "CONNECT") || str_is(m, "TRACE"))
        return "meets no route: the server itself refuses such requests";
    if (!is_upper(m))
        return "has small letters; case matters in methods, and theirs are capital";
    return NULL;
}

static void check_methods(const struct tests *t)
{
    for (size_t i = 0; i < t->list->n; i++) {
        cs_str m = t->list->v[i];
        const char *why = wrong_method(m);

        for (size_t k = 0; k < i && !why; k++)
            why = str_eq(t->list->v[k], m) ? "is named twice" : NULL;
        if (why)
            refuse(t, i, "\"%.*s\" %s", CS_F(m), why);
    }
}

/* ---- headers, query ---- */

static struct conf_condition cut(cs_str text, char sign)
{
    struct conf_condition c = {.test = CONF_TEST_THERE, .name = text};
    const char *at = text.n ? memchr(text.p, sign, text.n) : NULL;

    if (at) {
        c.test = CONF_TEST_IS;
        c.name = str_trim((cs_str){text.p, (size_t)(at - text.p)});
        c.value = str_trim((cs_str){at + 1, (size_t)(text.p + text.n - at) - 1});
    } else if (text.n && text.p[0] == '!') {
        c.test = CONF_TEST_MISSING;
        c.name = str_trim((cs_str){text.p + 1, text.n - 1});
    }
    if (c.value.n && c.value.p[0] == '~') {
        c.test = CONF_TEST_REGEX;
        c.value = str_trim((cs_str){c.value.p + 1, c.value.n - 1});
    }
    return c;
}

static const char *wrong_test(const struct conf_condition *c, char sign)
{
    if (!c->name.n)
        return "has no name";
    if (c->test == CONF_TEST_REGEX && !c->value.n)
        return "has no expression behind the \"~\"";
    if ((c->name.p[0] == '!' || c->name.p[c->name.n - 1] == '!') && c->test != CONF_TEST_THERE)
        return "has a \"!\" and a value; what it is not is said by an expression, such as "
               "\"~ ^(?!v$)\"";
    if (sign == ':' && !http_is_token(c->name))
        return "has no good name of a field, such as \"X-Beta: yes\"";
    if (sign == '=' && c->test == CONF_TEST_IS && c->value.n && c->value.p[0] == '=')
        return "has two \"=\"; one is enough, such as \"page = 1\"";
    if (sign == '=' && c->name.p[0] == '?')
        return "begins with \"?\", which is no part of the query";
    if (sign == '=' && memchr(c->name.p, '&', c->name.n))
        return "has a \"&\" in its name; write one element for each parameter";
    return NULL;
}

/* What a client writes there is not what sites are chosen by. */
static void look_at_host(const struct tests *t, size_t i, const struct conf_condition *c)
{
    if (t->sign != ':' || c->test != CONF_TEST_IS || !str_eq_nocase(c->name, CS_S("Host")))
        return;
    report_warning(
        t->b->rep, &c->at, (int)t->list->v[i].n,
        "%s: Host is compared as it is sent, with its port and in its case; a [site:...] with "
        "host = %.*s has all forms",
        t->key, CS_F(c->value));
}

static struct conf_condition *cut_all(const struct tests *t)
{
    struct conf_condition *all = arena_zalloc(&t->b->c->arena, (t->list->n + 1) * sizeof *all);

    for (size_t i = 0; i < t->list->n; i++) {
        cs_str text = t->list->v[i];
        const char *why;

        all[i] = cut(text, t->sign);
        all[i].at = value_place(t->b, t->s, t->key, i, text);
        why = wrong_test(&all[i], t->sign);
        if (why)
            refuse(t, i, "\"%.*s\" %s", CS_F(text), why);
        else
            look_at_host(t, i, &all[i]);
    }
    return all;
}

void condition_bind(struct bind *b, struct conf_route *r, const struct conf_section *s)
{
    const struct tests methods = {b, s, "methods", &r->methods, 0},
                       headers = {b, s, "headers", &r->headers, ':'},
                       query = {b, s, "query", &r->query, '='};

    check_methods(&methods);
    r->header_tests = cut_all(&headers);
    r->nheader_tests = r->headers.n;
    r->query_tests = cut_all(&query);
    r->nquery_tests = r->query.n;
}

bool conf_route_asks(const struct conf_route *r)
{
    return r->methods.n || r->headers.n || r->query.n || r->clients->words.n;
}

static bool same_list(const cs_list *x, const cs_list *y)
{
    for (size_t i = 0; i < x->n && x->n == y->n; i++)
        if (!str_eq(x->v[i], y->v[i]))
            return false;
    return x->n == y->n;
}

bool condition_same(const struct conf_route *x, const struct conf_route *y)
{
    return same_list(&x->methods, &y->methods) && same_list(&x->headers, &y->headers) &&
           same_list(&x->query, &y->query) && same_list(&x->clients->words, &y->clients->words);
}
