/* status.c - the numbers of the whole server, as a page for people or as JSON for programs.
 * Whichever worker answers, it shows all of them: they lie in shared memory. */
#include "view.h"

struct conf {
    int64_t refresh;
};

static _Bool contains(cs_str s, cs_str part)
{
    for (size_t i = 0; i + part.n <= s.n; i++)
        if (!memcmp(s.p + i, part.p, part.n))
            return 1;
    return 0;
}

/* /status?json, /status.json, or a client that asks for JSON and is no browser. */
static _Bool wants_json(cs_req *r)
{
    const cs_req_info *q = cs_info(r);
    const cs_str accept = cs_header(r, "Accept");
    return cs_str_ends(q->path, CS_S(".json")) ||
           (q->query.n == 4 && cs_str_ends(q->query, CS_S("json"))) ||
           (contains(accept, CS_S("application/json")) && !contains(accept, CS_S("text/html")));
}

static int handler(cs_req *r)
{
    const struct conf *c = cs_conf(r);
    if (!cs_is(r, "GET") && !cs_is(r, "HEAD")) {
        cs_set_header(r, "Allow", CS_S("GET, HEAD"));
        return 405;
    }
    const _Bool json = wants_json(r);
    struct table t;
    struct text out = {.r = r};
    table_read(&t, r);
    if (json)
        view_json(&t, &out);
    else
        view_page(&t, c->refresh, &out);
    if (t.failed || out.failed)
        return CS_NOMEM;
    cs_set_header(r, "Cache-Control", CS_S("no-store"));
    cs_set_header(r, "Vary", CS_S("Accept"));
    const cs_str body = {out.p, out.n};
    return cs_reply(r, 200, json ? "application/json" : "text/html; charset=utf-8", body);
}

static const cs_directive directives[] = {
    CS_MSEC(struct conf, refresh, "2s", 0, 86400000, CS_PER_ROUTE,
            "How often the page loads itself again; 0: never."),
    CS_END,
};

CS_MODULE(.name = "status", .version = "1.0", .flags = CS_BODY_STREAM,
          .help = "Shows the numbers of the whole server.", .directives = directives,
          .conf_size = sizeof(struct conf), .handler = handler);
