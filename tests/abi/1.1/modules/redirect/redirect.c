/* redirect.c - sends the client to another address, with the path and the query it asked for or
 * without. Every byte that came from the request is escaped before it goes into Location. */
#include <cserver/cserver.h>
#include <stdio.h>

struct conf {
    const cs_template *to;
    cs_list moved;
    int64_t status; /* index into status_words */
    _Bool keep_path;
    _Bool keep_query;
};

static const char *const status_words[] = {"301", "302", "303", "307", "308", NULL};
static const short status_codes[] = {301, 302, 303, 307, 308};

/* A text that is put together in the request's memory. */
struct text {
    char *p;
    size_t n;
};

static void put(struct text *t, cs_str s)
{
    if (s.n)
        memcpy(t->p + t->n, s.p, s.n);
    t->n += s.n;
}

/* A query as it came, but for bytes that may not stand in a Location. Needs room for 3 * s.n bytes. */
static void put_query(struct text *t, cs_str s)
{
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c > 32 && c < 127 && !strchr("\"<>[]\\^`{|}#", c)) {
            t->p[t->n++] = s.p[i];
        } else {
            t->p[t->n++] = '%';
            t->p[t->n++] = hex[c >> 4];
            t->p[t->n++] = hex[c & 15];
        }
    }
}

/* Cuts s at the first c: the part from c on (empty when there is none) is returned. */
static cs_str cut(cs_str *s, char c)
{
    const char *at = s->n ? memchr(s->p, c, s->n) : NULL;
    if (!at)
        return (cs_str){"", 0};
    cs_str tail = {at, s->n - (size_t)(at - s->p)};
    s->n -= tail.n;
    return tail;
}

static int is_letter(char c)
{
    return (c | 32) >= 'a' && (c | 32) <= 'z';
}

static int has_scheme(cs_str s)
{
    size_t n = 0;
    while (n < s.n && is_letter(s.p[n]))
        n++;
    return n > 0 && s.n - n > 3 && !memcmp(s.p + n, "://", 3);
}

/* What begins with a variable may have become something else: then it is a path. */
static int is_address(cs_str s)
{
    return (s.n && s.p[0] == '/') || has_scheme(s);
}

static cs_str behind(cs_str s, size_t n)
{
    return (cs_str){s.p + n, s.n - n};
}

/* An element of `moved`: "FROM TO". Its parts; the second is empty when it is not so. */
static cs_str from_of(cs_str element)
{
    cut(&element, ' ');
    return element;
}

static cs_str to_of(cs_str element)
{
    element = behind(element, from_of(element).n);
    while (cs_starts(element, " "))
        element = behind(element, 1);
    return element;
}

/* Where that path has gone; NULL: it is not in the list. */
static const cs_str *find(const struct conf *c, cs_str path)
{
    for (size_t i = 0; i < c->moved.n; i++) {
        const cs_str *e = &c->moved.v[i];
        if (e->n > path.n && e->p[path.n] == ' ' && cs_starts(*e, path))
            return e;
    }
    return NULL;
}

/* base ? query # fragment: the path goes behind the base, the query behind its query. */
static cs_str location(cs_req *r, cs_str base, cs_str path, int keep_query)
{
    const cs_str asked = keep_query ? cs_info(r)->query : CS_S("");
    struct text t = {cs_alloc(r, base.n + path.n + 3 * asked.n + 3), 0};
    if (!t.p || !path.p || !base.p)
        return (cs_str){NULL, 0};
    if (!is_address(base))
        put(&t, CS_S("/"));
    cs_str fragment = cut(&base, '#');
    cs_str query = cut(&base, '?');
    if (path.n && !base.n)
        t.n = 0; /* the path brings its slash: with two it would begin with a host */
    if (path.n && base.n && base.p[base.n - 1] == '/')
        base.n--;
    put(&t, base);
    put(&t, path);
    put(&t, query);
    if (asked.n) {
        put(&t, query.n ? CS_S("&") : CS_S("?"));
        put_query(&t, asked);
    }
    put(&t, fragment);
    return (cs_str){t.p, t.n};
}

static cs_str usual_location(cs_req *r, const struct conf *c)
{
    cs_str path = c->keep_path ? cs_escape(r, CS_ESCAPE_PATH, cs_info(r)->path) : CS_S("");
    return location(r, cs_expand(r, c->to, CS_ESCAPE_URL), path, c->keep_query);
}

static int handler(cs_req *r)
{
    const struct conf *c = cs_conf(r);
    const cs_str *moved = find(c, cs_info(r)->path);
    if (!moved && !c->to->text.n)
        return CS_DECLINED;
    cs_str to = moved ? location(r, to_of(*moved), CS_S(""), c->keep_query) : usual_location(r, c);
    if (!to.p)
        return CS_NOMEM;
    int rc = cs_set_header(r, "Location", to);
    return rc == CS_OK ? status_codes[c->status] : rc;
}

static int explain(cs_req *r, int hook)
{
    return hook == CS_HOOK_HANDLER ? handler(r) : CS_DECLINED;
}

/* Is all of the host what a client writes somewhere? A capture is what the regex lets through. */
static int is_any_host(cs_str to)
{
    cs_str host = has_scheme(to)        ? behind(to, (size_t)(strchr(to.p, ':') - to.p) + 3)
                  : cs_starts(to, "//") ? behind(to, 2)
                                        : (cs_str){"", 0};
    if (!cs_starts(host, "${"))
        return 0;
    while (host.n && !strchr("/?#", host.p[0])) {
        if (is_letter(host.p[0]) || cs_starts(host, "${host}") || cs_starts(host, "${capture."))
            return 0;
        const char *close = host.p[0] == '$' ? memchr(host.p, '}', host.n) : NULL;
        host = behind(host, close ? (size_t)(close - host.p) + 1 : 1);
    }
    return 1;
}

/* What is wrong with an address to go to; empty: nothing. */
struct fault {
    char text[200];
};

static int shown(cs_str s)
{
    return s.n < 60 ? (int)s.n : 60;
}

static struct fault address_fault(cs_str to)
{
    struct fault f = {""};
    for (size_t i = 0; i < to.n && !f.text[0]; i++)
        if (to.p[i] <= ' ' || to.p[i] > '~')
            snprintf(f.text, sizeof f.text,
                     "has a byte that an address may not have (number %zu): write it as %%%02X",
                     i + 1, (unsigned char)to.p[i]);
    if (f.text[0])
        return f;
    if (to.n && !is_address(to) && !cs_starts(to, "${"))
        snprintf(f.text, sizeof f.text,
                 "is neither a path nor an address: write /%.*s or https://%.*s", shown(to), to.p,
                 shown(to), to.p);
    else if (is_any_host(to))
        snprintf(f.text, sizeof f.text,
                 "leads to whatever host a client writes there: name the host, or take ${host} or "
                 "a capture of a regex");
    return f;
}

static struct fault move_fault(const struct conf *c, const cs_str *e)
{
    const cs_str from = from_of(*e), to = to_of(*e);
    if (!cs_starts(from, "/") || !to.n)
        return (struct fault){
            "is no old path, a blank and the new address, such as /old.html /new"};
    if (memchr(from.p, '?', from.n) || memchr(from.p, '%', from.n))
        return (struct fault){"has \"?\" or \"%\" in the old path, which is compared decoded and "
                              "without its query"};
    if (find(c, from) != e)
        return (struct fault){
            "has an old path that stands in the list before: it would do nothing"};
    return address_fault(to);
}

static int check_moved(cs_conf *cc, const struct conf *c)
{
    int rc = CS_OK;
    for (size_t i = 0; i < c->moved.n; i++) {
        const struct fault f = move_fault(c, &c->moved.v[i]);
        if (f.text[0])
            rc = cs_conf_error(cc, "moved", "\"%.*s\" %s", CS_F(c->moved.v[i]), f.text);
    }
    return rc;
}

static int on_config(cs_conf *cc, const void *conf)
{
    const struct conf *c = conf;
    const struct fault f = address_fault(c->to->text);
    if (f.text[0])
        return cs_conf_error(cc, "to", "\"%.*s\" %s", CS_F(c->to->text), f.text);
    return check_moved(cc, c);
}

static const cs_directive directives[] = {
    CS_TEMPLATE(
        struct conf, to, NULL, 1, 4096, CS_REQUIRED | CS_ONE_OF | CS_PER_ROUTE,
        "Where to: a path, or a whole address such as https://example.com${path}. What comes "
        "from the request is escaped, and never leads to another host."),
    CS_LIST(struct conf, moved, NULL, 1, 1000, CS_REQUIRED | CS_ONE_OF | CS_PER_ROUTE,
            "Single pages that have moved, each as the old path, a blank and the new address: "
            "/old.html /new. Any other path goes to `to`; without it, to the next handler."),
    CS_ENUM(struct conf, status, "302", status_words, CS_PER_ROUTE,
            "Status of the answer: 301 and 308 are for ever, 307 and 308 keep the method."),
    CS_BOOL(struct conf, keep_path, "off", CS_PER_ROUTE,
            "Add the path of the request to the one of `to`."),
    CS_BOOL(struct conf, keep_query, "off", CS_PER_ROUTE,
            "Add the query of the request to the one of `to`."),
    CS_END,
};

CS_MODULE(.name = "redirect", .version = "1.0", .help = "Sends the client to another address.",
          .directives = directives, .conf_size = sizeof(struct conf), .on_config = on_config,
          .handler = handler, .explain = explain);
