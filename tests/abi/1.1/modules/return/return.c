/* return.c - answers with a status and a text, and looks at nothing else. */
#include <cserver/cserver.h>

#include <strings.h>

struct conf {
    int64_t status;
    const cs_template *text;
    cs_str type;
};

static int has(const char *type, const char *word)
{
    return strcasestr(type, word) != NULL;
}

/* A variable holds what a client has sent: it is made text for whoever reads the page. */
static int place(const char *type)
{
    if (has(type, "html") || has(type, "xml"))
        return CS_ESCAPE_HTML;
    return has(type, "json") || has(type, "javascript") ? CS_ESCAPE_JSON : CS_ESCAPE_NONE;
}

static int has_body(int64_t status)
{
    return status != 204 && status != 205 && status != 304;
}

/* Without a text an error has the page that all errors have. */
static int handler(cs_req *r)
{
    const struct conf *c = cs_conf(r);
    if (!c->text->text.n)
        return c->status < 400 && has_body(c->status) ? cs_reply(r, (int)c->status, NULL, "")
                                                      : (int)c->status;
    cs_str text = cs_expand(r, c->text, place(c->type.p));
    return text.p ? cs_reply(r, (int)c->status, c->type.p, text) : CS_NOMEM;
}

static int explain(cs_req *r, int hook)
{
    return hook == CS_HOOK_HANDLER ? handler(r) : CS_DECLINED;
}

static int on_config(cs_conf *cc, const void *conf)
{
    const struct conf *c = conf;
    int rc = CS_OK;
    if (c->status >= 300 && c->status < 400)
        rc = cs_conf_error(cc, "status",
                           "%lld sends the client elsewhere: that is what the module redirect does",
                           (long long)c->status);
    if (!has_body(c->status) && c->text->text.n)
        rc = cs_conf_error(cc, "text", "an answer with status %lld has no text; leave it out",
                           (long long)c->status);
    for (size_t i = 0; i < c->type.n; i++)
        if (c->type.p[i] < ' ' || c->type.p[i] > '~')
            rc = cs_conf_error(cc, "type", "byte %zu is none that a media type has", i + 1);
    return rc;
}

static const cs_directive directives[] = {
    CS_INT(struct conf, status, "200", 200, 599, CS_PER_ROUTE, "Status of the answer."),
    CS_TEMPLATE(struct conf, text, NULL, 0, 65536, CS_PER_ROUTE,
                "What the answer says, with variables: they are escaped as the type needs it (HTML "
                "and XML, "
                "JSON and JavaScript). Empty: nothing, or for an error its usual page."),
    CS_STRING(struct conf, type, "text/plain; charset=utf-8", 1, 200, CS_PER_ROUTE,
              "Media type of the text."),
    CS_END,
};

CS_MODULE(.name = "return", .version = "1.0", .help = "Answers with a status and a text.",
          .directives = directives, .conf_size = sizeof(struct conf), .on_config = on_config,
          .handler = handler, .explain = explain);
