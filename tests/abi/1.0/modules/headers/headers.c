/* headers.c - a header filter: fields that answers get or lose, the server's own pages too. */
#include <cserver/cserver.h>

#include <strings.h>

struct conf {
    _Bool security;
    cs_list set, add, remove;
};

/* What a page wants that was not written to be shown inside other sites. */
static const char *const security[][2] = {
    {"X-Content-Type-Options", "nosniff"},
    {"X-Frame-Options", "SAMEORIGIN"},
    {"Referrer-Policy", "strict-origin-when-cross-origin"},
};

/* Calls `how` with the two halves of "Name: value". */
static int put(cs_req *r, cs_str field, int (*how)(cs_req *r, const char *name, cs_str value))
{
    size_t n = (size_t)(strchrnul(field.p, ':') - field.p);
    cs_str name = cs_format(r, "%.*s", (int)n, field.p);
    const char *value = field.p + n + (n < field.n);
    return name.p ? how(r, name.p, CS_STR(value + strspn(value, " "))) : CS_NOMEM;
}

static int secure(cs_req *r)
{
    int rc = CS_OK;
    for (size_t i = 0; i < sizeof security / sizeof *security && rc == CS_OK; i++)
        if (!cs_response_header(r, security[i][0]).p)
            rc = cs_set_header(r, security[i][0], security[i][1]);
    return rc;
}

static int header_filter(cs_req *r)
{
    const struct conf *c = cs_conf(r);
    int rc = c->security ? secure(r) : CS_OK;
    for (size_t i = 0; i < c->set.n && rc == CS_OK; i++)
        rc = put(r, c->set.v[i], cs_api_->set_header);
    for (size_t i = 0; i < c->add.n && rc == CS_OK; i++)
        rc = put(r, c->add.v[i], cs_api_->add_header);
    for (size_t i = 0; i < c->remove.n && rc == CS_OK; i++)
        rc = cs_set_header(r, c->remove.v[i].p, "");
    return rc;
}

static int check(cs_conf *cf, const char *directive, const cs_list *fields, _Bool has_value)
{
    static const char *const owned[] = {"Content-Length", "Transfer-Encoding", "Connection", "Date",
                                        "Keep-Alive",     "Upgrade",           "Trailer"};
    for (size_t i = 0; i < fields->n; i++) {
        const char *text = fields->v[i].p;
        size_t n = strspn(text, "!#$%&'*+-.^_`|~0123456789"
                                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
        if (!n || text[n] != (has_value ? ':' : '\0'))
            return cs_conf_error(cf, directive, "\"%s\" is not %s", text,
                                 has_value ? "\"Name: value\"" : "a name");
        for (size_t k = 0; k < sizeof owned / sizeof *owned; k++)
            if (strlen(owned[k]) == n && strncasecmp(owned[k], text, n) == 0)
                return cs_conf_error(cf, directive, "%s is the server's own", owned[k]);
    }
    return CS_OK;
}

static int on_config(cs_conf *cf, const void *conf)
{
    const struct conf *c = conf;
    int rc = check(cf, "set", &c->set, 1);
    rc = rc == CS_OK ? check(cf, "add", &c->add, 1) : rc;
    return rc == CS_OK ? check(cf, "remove", &c->remove, 0) : rc;
}

static const cs_directive directives[] = {
    CS_BOOL(
        struct conf, security, "off", CS_PER_ROUTE,
        "X-Content-Type-Options, X-Frame-Options and Referrer-Policy, where an answer has none."),
    CS_LIST(
        struct conf, set, NULL, 0, 100, CS_PER_ROUTE,
        "Fields in place of those of that name: \"Name: value\", with quotes where it has commas."),
    CS_LIST(struct conf, add, NULL, 0, 100, CS_PER_ROUTE, "Fields beside others of that name."),
    CS_LIST(struct conf, remove, NULL, 0, 100, CS_PER_ROUTE, "Names of fields to leave out."),
    CS_END,
};

CS_MODULE(.name = "headers", .version = "1.0", .help = "Adds, sets and removes header fields.",
          .directives = directives, .conf_size = sizeof(struct conf), .on_config = on_config,
          .header_filter = header_filter);
