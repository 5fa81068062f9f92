/* filt.c - a module for tests: filters that do what the key `mode` says, or the request's field X-NAME. Built with
 * BODY_ONLY it has no header filter, and so sees every body; what it does then is "upper". */
#include <cserver/cserver.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#ifndef NAME
#define NAME "filt"
#endif

struct conf {
    cs_str mode;
};

struct seen {
    char mode[32];
    size_t pieces, bytes;
    char *held;
    size_t nheld;
};

static struct seen *seen(cs_req *r)
{
    struct seen *s = cs_ctx(r);
    const struct conf *c = cs_conf(r);
    cs_str mode = cs_header(r, "X-" NAME);
    if (!s) {
        s = cs_ctx(r) = cs_alloc(r, sizeof *s);
        if (!mode.n)
            mode = c->mode;
        snprintf(s->mode, sizeof s->mode, "%.*s", CS_F(mode));
    }
    return s;
}

static int is(const struct seen *s, const char *mode)
{
    return !strcmp(s->mode, mode);
}

#ifndef BODY_ONLY
static int header_filter(cs_req *r)
{
    struct seen *s = seen(r);
    cs_str type = cs_response_header(r, "Content-Type");
    cs_add_header(r, "X-Seen", cs_format(r, NAME " %d %.*s", cs_status(r), CS_F(type)));
    if (is(s, "") || is(s, "add"))
        return CS_OK;
    if (is(s, "fail"))
        return CS_ERROR;
    if (is(s, "fail_with"))
        return cs_fail(r, 502, "not with me");
    if (is(s, "reply")) {
        int rc[4] = {cs_text(r, 200, "mine"), cs_start(r, 200, NULL, -1), cs_send(r, CS_S("x"), 1),
                     cs_detach(r, 200) != NULL};
        return cs_set_header(r, "X-Reply", cs_format(r, "%d %d %d %d", rc[0], rc[1], rc[2], rc[3]));
    }
    if (is(s, "type"))
        return cs_set_header(r, "Content-Type", "text/html");
    cs_str len = cs_header(r, "X-Len");
    int rc = cs_filter_body(r, len.n ? atol(cs_format(r, "%.*s", CS_F(len)).p) : -1);
    cs_set_header(r, "X-Filter-" NAME, cs_format(r, "%d", rc));
    return CS_OK;
}
#endif

static int upper(cs_req *r, cs_str data, int last)
{
    char piece[4096];
    do {
        size_t n = data.n < sizeof piece ? data.n : sizeof piece;
        for (size_t i = 0; i < n; i++)
            piece[i] = (char)toupper((unsigned char)data.p[i]);
        data = (cs_str){data.p + n, data.n - n};
        int rc = cs_send(r, (cs_str){piece, n}, last && !data.n);
        if (rc != CS_OK)
            return rc;
    } while (data.n);
    return CS_OK;
}

static int hold(cs_req *r, struct seen *s, cs_str data, int last)
{
    char *p = cs_alloc(r, s->nheld + data.n + 1);
    if (!p)
        return CS_NOMEM;
    if (s->nheld)
        memcpy(p, s->held, s->nheld);
    memcpy(p + s->nheld, data.p, data.n);
    s->held = p;
    s->nheld += data.n;
    return last ? cs_send(r, (cs_str){p, s->nheld}, 1) : CS_OK;
}

static void on_drain(cs_req *r, void *arg)
{
    (void)arg;
    cs_fail(r, 500, "called for a filter");
}

static int body_filter(cs_req *r, cs_str data, int last)
{
    struct seen *s = seen(r);
    s->pieces++;
    s->bytes += data.n;
    if (is(s, "swallow"))
        return CS_OK;
    if (is(s, "hold"))
        return hold(r, s, data, last);
    if (is(s, "same"))
        return cs_send(r, data, last);
    if (is(s, "no_last"))
        return cs_send(r, data, 0);
    if (is(s, "wrap")) {
        if (s->pieces == 1)
            cs_send(r, CS_S("<"), 0);
        cs_send(r, data, 0);
        return last ? cs_send(r, CS_S(">"), 1) : CS_OK;
    }
    if (is(s, "count")) {
        cs_str text = cs_format(r, "%zu bytes, %s", s->bytes, s->pieces > 1 ? "pieces" : "one");
        return last ? cs_send(r, text, 1) : CS_OK;
    }
    if (is(s, "early"))
        return cs_send(r, data, 1);
    if (is(s, "cut"))
        return s->pieces == 2 ? CS_ERROR : cs_send(r, data, last);
    if (is(s, "cut_with"))
        return s->pieces == 2 ? cs_fail(r, 500, "enough") : cs_send(r, data, last);
    if (is(s, "twice")) {
        int first = cs_send(r, data, last), second = cs_send(r, data, last);
        if (last)
            cs_log(CS_INFO, "sent %d, then %d", first, second);
        return CS_OK;
    }
    if (is(s, "drain"))
        return cs_on_drain(r, on_drain, NULL) == CS_ERROR ? cs_send(r, data, last) : CS_NOTSUP;
    if (is(s, "odd"))
        return CS_DECLINED;
    return upper(r, data, last);
}

static const cs_directive keys[] = {
    CS_STRING(struct conf, mode, NULL, 0, 30, CS_PER_ROUTE, "What it does."), CS_END};

CS_MODULE(.name = NAME, .version = "1.0", .help = "Filters.", .directives = keys,
          .conf_size = sizeof(struct conf),
#ifndef BODY_ONLY
          .header_filter = header_filter,
#endif
          .body_filter = body_filter);
