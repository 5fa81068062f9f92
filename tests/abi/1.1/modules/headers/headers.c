/* headers.c - a header filter: fields that answers get or lose, the server's own pages too. Each scope works on what the one around it
 * has left, so what is nearer to the request has the last word. */
#include <cserver/cserver.h>

#include <strings.h>

struct conf {
    _Bool security;
    cs_templates set, add, remove;
};

/* What a page wants that was not written to be shown inside other sites. */
static const char *const security[][2] = {
    {"X-Content-Type-Options", "nosniff"},
    {"X-Frame-Options", "SAMEORIGIN"},
    {"Referrer-Policy", "strict-origin-when-cross-origin"},
};

/* ---- Elements: "404 5xx Name: value" ---- */

static _Bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static _Bool is_status(cs_str t)
{
    return t.n > 4 && t.p[0] >= '2' && t.p[0] <= '5' && t.p[3] == ' ' &&
           ((is_digit(t.p[1]) && is_digit(t.p[2])) || (t.p[1] == 'x' && t.p[2] == 'x'));
}

static _Bool is_that(cs_str word, int status)
{
    if (word.p[0] - '0' != status / 100)
        return 0;
    return word.p[1] == 'x' || (word.p[1] - '0') * 10 + (word.p[2] - '0') == status % 100;
}

static cs_str skip(cs_str t, size_t n)
{
    return (cs_str){t.p + n, t.n - n};
}

static cs_str trim(cs_str t)
{
    while (t.n && t.p[0] == ' ')
        t = skip(t, 1);
    while (t.n && t.p[t.n - 1] == ' ')
        t.n--;
    return t;
}

/* Is it meant for answers of that status? Leaves the name and what follows. */
static _Bool is_for(cs_str *t, int status)
{
    _Bool any = 0, found = 0;
    for (; is_status(*t); *t = trim(skip(*t, 3))) {
        any = 1;
        found = found || is_that(*t, status);
    }
    return found || !any;
}

static size_t name_length(cs_str t)
{
    const char *colon = t.n ? memchr(t.p, ':', t.n) : NULL;
    return colon ? (size_t)(colon - t.p) : t.n;
}

/* ---- The filter ---- */

static int put(cs_req *r, const cs_template *t, const char *key, _Bool tell)
{
    cs_str text = cs_expand(r, t, CS_ESCAPE_FIELD);
    if (!text.p)
        return CS_NOMEM;
    if (!is_for(&text, cs_status(r)))
        return CS_OK;
    size_t n = name_length(text);
    cs_str name = cs_format(r, "%.*s", (int)n, text.p);
    cs_str value = trim(skip(text, n + (n < text.n)));
    if (!name.p)
        return CS_NOMEM;
    if (tell)
        cs_say(r, key, "%.*s (%.*s)", CS_F(text), CS_F(t->origin));
    if (*key == 'a')
        return value.n ? cs_add_header(r, name.p, value) : CS_OK;
    return cs_set_header(r, name.p, *key == 's' ? value : (cs_str){0});
}

static int put_all(cs_req *r, const cs_templates *all, int scope, const char *key, _Bool tell)
{
    int rc = CS_OK;
    for (size_t i = 0; i < all->n && rc == CS_OK; i++)
        if (all->v[i]->scope == scope)
            rc = put(r, all->v[i], key, tell);
    return rc;
}

static int secure(cs_req *r, _Bool tell)
{
    int rc = CS_OK;
    for (size_t i = 0; i < sizeof security / sizeof *security && rc == CS_OK; i++) {
        if (cs_response_header(r, security[i][0]).p)
            continue;
        if (tell)
            cs_say(r, "security", "%s: %s", security[i][0], security[i][1]);
        rc = cs_set_header(r, security[i][0], security[i][1]);
    }
    return rc;
}

static int run(cs_req *r, _Bool tell)
{
    const struct conf *c = cs_conf(r);
    int rc = c->security ? secure(r, tell) : CS_OK;
    for (int scope = CS_SCOPE_MODULE; scope <= CS_SCOPE_ROUTE && rc == CS_OK; scope++) {
        rc = put_all(r, &c->set, scope, "set", tell);
        rc = rc == CS_OK ? put_all(r, &c->add, scope, "add", tell) : rc;
        rc = rc == CS_OK ? put_all(r, &c->remove, scope, "remove", tell) : rc;
    }
    return rc;
}

static int header_filter(cs_req *r)
{
    return run(r, 0);
}

static int explain(cs_req *r, int hook)
{
    return hook == CS_HOOK_HEADER_FILTER ? run(r, 1) : CS_DECLINED;
}

/* ---- Settings ---- */

static const char *owner_of(cs_str name)
{
    static const char *const owned[] = {"Content-Length", "Content-Range", "Transfer-Encoding",
                                        "Connection",     "Date",          "Keep-Alive",
                                        "Upgrade",        "Trailer"};
    for (size_t k = 0; k < sizeof owned / sizeof *owned; k++)
        if (strlen(owned[k]) == name.n && strncasecmp(owned[k], name.p, name.n) == 0)
            return owned[k];
    return NULL;
}

static int check_one(cs_conf *cf, const char *directive, const cs_template *element,
                     _Bool has_value)
{
    cs_str t = element->text;
    (void)is_for(&t, 0);
    size_t n = strspn(t.p, "!#$%&'*+-.^_`|~0123456789"
                           "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
    if (!n || n > t.n || (has_value ? n == t.n || t.p[n] != ':' : n < t.n))
        return cs_template_error(
            cf, directive, element,
            "\"%.*s\" is not %s; statuses may stand before it, such as 404 or 5xx",
            CS_F(element->text), has_value ? "\"Name: value\"" : "a name");
    const char *owned = owner_of((cs_str){t.p, n});
    return owned ? cs_template_error(cf, directive, element, "%s is the server's own", owned)
                 : CS_OK;
}

static int check(cs_conf *cf, const char *directive, const cs_templates *all, _Bool has_value)
{
    int rc = CS_OK;
    for (size_t i = 0; i < all->n; i++)
        if (check_one(cf, directive, all->v[i], has_value) != CS_OK)
            rc = CS_ERROR;
    return rc;
}

/* What is wrong is told of all at once, as elsewhere in the settings. */
static int on_config(cs_conf *cf, const void *conf)
{
    const struct conf *c = conf;
    int set = check(cf, "set", &c->set, 1);
    int add = check(cf, "add", &c->add, 1);
    int removed = check(cf, "remove", &c->remove, 0);
    return set == CS_OK && add == CS_OK && removed == CS_OK ? CS_OK : CS_ERROR;
}

static const cs_directive directives[] = {
    CS_BOOL(
        struct conf, security, "off", CS_PER_ROUTE,
        "X-Content-Type-Options, X-Frame-Options and Referrer-Policy, where an answer has none."),
    CS_TEMPLATES(struct conf, set, NULL, 0, 100, CS_PER_ROUTE | CS_ADDS,
                 "Fields in place of those of that name: \"Name: value\", with quotes where it has "
                 "commas; before it may stand for which statuses, as in \"404 5xx Name: value\"."),
    CS_TEMPLATES(struct conf, add, NULL, 0, 100, CS_PER_ROUTE | CS_ADDS,
                 "Fields beside others of that name."),
    CS_TEMPLATES(struct conf, remove, NULL, 0, 100, CS_PER_ROUTE | CS_ADDS,
                 "Names of fields to leave out, whoever has made them."),
    CS_END,
};

CS_MODULE(.name = "headers", .version = "1.1", .help = "Adds, sets and removes header fields.",
          .directives = directives, .conf_size = sizeof(struct conf), .on_config = on_config,
          .header_filter = header_filter, .explain = explain);
