/* redirect.c - sends the client to another address, with the path and the query it asked for or
 * without. Every byte that came from the request is escaped before it goes into Location. */
#include <cserver/cserver.h>

struct conf {
    const cs_template *to;
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

/* to = base ? query # fragment: the path goes behind the base, the query behind its query. */
static cs_str location(cs_req *r, const struct conf *c)
{
    const cs_req_info *q = cs_info(r);
    cs_str base = cs_expand(r, c->to, CS_ESCAPE_URL);
    cs_str path = c->keep_path ? cs_escape(r, CS_ESCAPE_PATH, q->path) : CS_S("");
    struct text t = {cs_alloc(r, base.n + path.n + 3 * q->query.n + 3), 0};
    if (!t.p || !path.p || !base.p)
        return (cs_str){NULL, 0};
    if (!is_address(base))
        put(&t, CS_S("/"));
    cs_str fragment = cut(&base, '#');
    cs_str query = cut(&base, '?');
    if (c->keep_path && !base.n)
        t.n = 0; /* the path brings its slash: with two it would begin with a host */
    if (c->keep_path && base.n && base.p[base.n - 1] == '/')
        base.n--;
    put(&t, base);
    put(&t, path);
    put(&t, query);
    if (c->keep_query && q->query.n) {
        put(&t, query.n ? CS_S("&") : CS_S("?"));
        put_query(&t, q->query);
    }
    put(&t, fragment);
    return (cs_str){t.p, t.n};
}

static int handler(cs_req *r)
{
    const struct conf *c = cs_conf(r);
    cs_str to = location(r, c);
    if (!to.p)
        return CS_NOMEM;
    int rc = cs_set_header(r, "Location", to);
    return rc == CS_OK ? status_codes[c->status] : rc;
}

static int explain(cs_req *r, int hook)
{
    return hook == CS_HOOK_HANDLER ? handler(r) : CS_DECLINED;
}

static cs_str behind(cs_str s, size_t n)
{
    return (cs_str){s.p + n, s.n - n};
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

static int on_config(cs_conf *cc, const void *conf)
{
    const struct conf *c = conf;
    const cs_str to = c->to->text;
    for (size_t i = 0; i < to.n; i++)
        if (to.p[i] <= ' ' || to.p[i] > '~')
            return cs_conf_error(cc, "to",
                                 "has a byte that an address may not have (number %zu): "
                                 "write it as %%%02X",
                                 i + 1, (unsigned char)to.p[i]);
    if (to.n && !is_address(to) && !cs_starts(to, "${"))
        return cs_conf_error(cc, "to",
                             "\"%.*s\" is neither a path nor an address: write /%.*s or "
                             "https://%.*s",
                             CS_F(to), CS_F(to), CS_F(to));
    if (is_any_host(to))
        return cs_conf_error(cc, "to",
                             "\"%.*s\" leads to whatever host a client writes there: name the "
                             "host, or take ${host} or a capture of a regex",
                             CS_F(to));
    return CS_OK;
}

static const cs_directive directives[] = {
    CS_TEMPLATE(
        struct conf, to, NULL, 1, 4096, CS_REQUIRED | CS_PER_ROUTE,
        "Where to: a path, or a whole address such as https://example.com${path}. What comes "
        "from the request is escaped, and never leads to another host."),
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
