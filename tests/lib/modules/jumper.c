/* jumper.c - a module for tests of requests that go on elsewhere. As a handler it does what ?do= says, as an access hook
 * what ?access= says; with do=tell (also on the page of an error) it tells how the request looks to it. Its header filter
 * adds what it sees to X-Filter, and on_log writes a line. Built with other names to stand behind each other. */
#include <cserver/cserver.h>

#include <stdlib.h>

#ifndef NAME
#define NAME "jumper"
#endif

struct conf {
    cs_str say;
    const cs_template *text;
};

struct seen {
    int access, handler;
};

static cs_proc *process;
static cs_token token;
static cs_req *raw; /* while it lives */

static struct seen *seen(cs_req *r)
{
    struct seen *s = cs_ctx(r);
    if (!s)
        cs_ctx(r) = s = cs_alloc(r, sizeof *s);
    return s;
}

static void on_close(void *arg)
{
    cs_log(CS_INFO, "closed %s", (const char *)arg);
}

/* Whoever has timed out may not answer in place of the page. */
static void on_late(cs_req *r, void *arg)
{
    (void)arg;
    cs_log(CS_ERR, "the timer of before the jump has fired: %d", cs_text(r, 200, "too late"));
}

static int tell(cs_req *r)
{
    const struct conf *c = cs_conf(r);
    const cs_req_info *q = cs_info(r);
    struct seen *s = cs_ctx(r);
    return cs_textf(r, 200,
                    "%s %.*s: %.*s %.*s?%.*s target %.*s route %.*s ctx %d/%d body %lld/%zu", NAME,
                    CS_F(c->say), CS_F(q->method), CS_F(q->path), CS_F(q->query), CS_F(q->target),
                    CS_F(q->route), s ? s->access : -1, s ? s->handler : -1, (long long)q->body_len,
                    cs_body(r).n);
}

/* Who has kept what a request was known by, beside its own callbacks. */
static void on_past(void *arg)
{
    (void)arg;
    if (cs_from_token(token))
        cs_log(CS_ERR, "the token of before the jump still leads to the request");
    if (raw && cs_text(raw, 200, "past") != CS_ERROR)
        cs_log(CS_ERR, "a module of before the jump could answer");
    cs_log(CS_INFO, "%s", raw ? "the past was heard of" : "the past was too late");
}

static void on_raw_close(void *arg)
{
    (void)arg;
    raw = NULL;
}

static void leave_traces(cs_req *r)
{
    token = cs_token_of(r);
    raw = r;
    cs_on_close(r, on_raw_close, NULL);
    cs_req_after(r, 20, on_late, NULL);
    cs_after(process, 20, on_past, NULL);
}

static void on_answer(cs_req *r, void *arg)
{
    (void)arg;
    tell(r);
}

static void on_fail(cs_req *r, void *arg)
{
    cs_fail(r, (int)(intptr_t)arg, "as told, but later");
    if (cs_text(r, 200, "no") != CS_ERROR || cs_set_header(r, "X", "no") == CS_OK ||
        cs_proceed(r) != CS_ERROR)
        cs_log(CS_ERR, "a request that goes on elsewhere can be answered");
}

static int on_data(cs_req *r, cs_str data, int last, void *arg)
{
    (void)data;
    (void)last;
    return cs_fail(r, (int)(intptr_t)arg, "in the middle of the body");
}

static void work(void *arg)
{
    (void)arg;
}

static void on_done(cs_req *r, void *arg)
{
    on_fail(r, arg);
}

static int number(cs_req *r, const char *name, int otherwise)
{
    cs_str n = cs_query(r, name);
    return n.n ? atoi(cs_format(r, "%.*s", CS_F(n)).p) : otherwise;
}

static int do_as_told(cs_req *r, cs_str what, int status)
{
    void *arg = (void *)(intptr_t)status;
    if (cs_eq(what, "status"))
        return status;
    if (cs_eq(what, "fail"))
        return cs_fail(r, status, "as told");
    if (cs_eq(what, "fail_twice")) {
        on_fail(r, arg);
        return 200;
    }
    if (cs_eq(what, "expand")) {
        const struct conf *c = cs_conf(r);
        cs_str text = cs_expand(r, c->text, number(r, "where", 0));
        return text.p ? cs_text(r, 200, text) : cs_text(r, 200, "nothing");
    }
    if (cs_eq(what, "own"))
        return cs_text(r, status, "my own words");
    if (cs_eq(what, "fields")) {
        cs_set_header(r, "X-Kept", "yes");
        cs_set_header(r, "Cache-Control", "max-age=1000");
        cs_set_header(r, "Content-Language", "tlh");
        return status;
    }
    if (cs_eq(what, "timer"))
        return cs_req_after(r, 1, on_fail, arg) == CS_OK ? CS_PENDING : CS_ERROR;
    if (cs_eq(what, "job"))
        return cs_offload(r, work, on_done, arg) == CS_OK ? CS_PENDING : CS_ERROR;
    if (cs_eq(what, "stream_body"))
        return cs_body_stream(r, on_data, arg) == CS_OK ? CS_PENDING : CS_ERROR;
    if (cs_eq(what, "detach")) {
        cs_detach(r, 200);
        return cs_fail(r, status, "with a stream in the hand");
    }
    if (cs_eq(what, "leave_traces")) { /* and answers with an error by its own return value */
        leave_traces(r);
        return status;
    }
    if (cs_eq(what, "never"))
        return CS_PENDING;
    if (cs_eq(what, "later"))
        return cs_req_after(r, 60, on_answer, NULL) == CS_OK ? CS_PENDING : CS_ERROR;
    if (cs_eq(what, "pieces")) {
        cs_start(r, 200, "text/plain", -1);
        cs_send(r, CS_S("piece "), 0);
        cs_send(r, CS_S("by piece"), 1);
        return CS_OK;
    }
    if (cs_eq(what, "redirect")) {
        cs_set_header(r, "Location", "/login");
        return 302;
    }
    if (cs_eq(what, "decline"))
        return CS_DECLINED;
    return tell(r);
}

static int access(cs_req *r)
{
    seen(r)->access++;
    return cs_query(r, "access").n ? number(r, "access", 403) : CS_DECLINED;
}

static int handler(cs_req *r)
{
    static char what[] = NAME;
    cs_str to = cs_query(r, "to");
    seen(r)->handler++;
    cs_on_close(r, on_close, what);
    if (to.n && !strcmp(NAME, "jumper")) {
        cs_req_after(r, 20, on_late, NULL);
        int rc = cs_jump(r, to);
        return rc == CS_OK ? CS_OK : cs_textf(r, 200, "cs_jump said %d", rc);
    }
    return do_as_told(r, cs_query(r, "do"), number(r, "status", 404));
}

static int header_filter(cs_req *r)
{
    const struct conf *c = cs_conf(r);
    const cs_req_info *q = cs_info(r);
    struct seen *s = cs_ctx(r);
    cs_add_header(r, "X-Filter",
                  cs_format(r, "%s %.*s %.*s %.*s %d ctx %d", NAME, CS_F(c->say), CS_F(q->method),
                            CS_F(q->path), cs_status(r), s ? s->access : -1));
    return cs_query(r, "filter").n ? CS_ERROR : CS_OK;
}

static void on_log(cs_req *r)
{
    const struct conf *c = cs_conf(r);
    const cs_req_info *q = cs_info(r);
    cs_log(CS_INFO, "logged %.*s %.*s %.*s %d", CS_F(c->say), CS_F(q->method), CS_F(q->target),
           cs_status(r));
}

static int worker_start(cs_proc *p)
{
    process = p;
    return CS_OK;
}

static const cs_directive directives[] = {
    CS_STRING(struct conf, say, "nothing", 0, 100, CS_PER_ROUTE, "Which settings are these?"),
    CS_TEMPLATE(struct conf, text, "${path}", 0, 100, CS_PER_ROUTE, "For do=expand."),
    CS_END,
};

CS_MODULE(.name = NAME, .version = "1.0", .help = "Goes on elsewhere.", .directives = directives,
          .conf_size = sizeof(struct conf), .worker_start = worker_start, .access = access,
          .handler = handler, .header_filter = header_filter, .on_log = on_log);
