/* gate.c - a module for tests: an access hook, on_log and the closers of a request. It does what the request's field
 * X-NAME says (NAME as it was built with), so that several of them can stand behind each other, and writes what it sees
 * into the error log. */
#include <cserver/cserver.h>
#include <stdio.h>
#include <stdlib.h>

#ifndef NAME
#define NAME "gate"
#endif

struct seen {
    char who[32];
    long calls;
};

static void on_close(void *arg)
{
    struct seen *s = arg;
    cs_log(CS_INFO, "closed %s after %ld", s->who, s->calls);
}

static int is(cs_str s, const char *z)
{
    return s.n == strlen(z) && !memcmp(s.p, z, s.n);
}

static void on_pass(cs_req *r, void *arg)
{
    (void)arg;
    int first = cs_proceed(r), second = cs_proceed(r);
    if (first != CS_OK || second != CS_ERROR)
        cs_log(CS_ERR, "proceed said %d, then %d", first, second);
}

static void on_deny(cs_req *r, void *arg)
{
    (void)arg;
    if (cs_text(r, 401, "later") != CS_OK || cs_proceed(r) != CS_ERROR)
        cs_log(CS_ERR, "no answer, or one that was gone on from");
}

static void work(void *arg)
{
    *(int *)arg = 42;
}

static void on_done(cs_req *r, void *arg)
{
    if (*(int *)arg == 42)
        cs_proceed(r);
}

static int on_data(cs_req *r, cs_str data, int last, void *arg)
{
    (void)r;
    (void)data;
    (void)last;
    (void)arg;
    return CS_OK;
}

static int do_as_told(cs_req *r, cs_str what)
{
    static int value;
    if (is(what, "later"))
        return cs_req_after(r, 1, on_pass, NULL) == CS_OK ? CS_PENDING : CS_ERROR;
    if (is(what, "later401"))
        return cs_req_after(r, 1, on_deny, NULL) == CS_OK ? CS_PENDING : CS_ERROR;
    if (is(what, "job"))
        return cs_offload(r, work, on_done, &value) == CS_OK ? CS_PENDING : CS_ERROR;
    if (is(what, "at_once"))
        return cs_proceed(r) == CS_OK ? CS_PENDING : CS_ERROR;
    if (is(what, "not_pending")) { /* what cs_proceed has said is not what counts */
        cs_proceed(r);
        return 403;
    }
    if (is(what, "never"))
        return CS_PENDING;
    if (is(what, "answer"))
        return cs_text(r, 401, "who are you?");
    if (is(what, "start")) {
        cs_start(r, 200, "text/plain", -1);
        cs_send(r, CS_S("begun "), 0);
        cs_send(r, CS_S("and done"), 1);
        return CS_OK;
    }
    if (is(what, "declined_too_late")) {
        cs_text(r, 200, "all the same");
        return CS_DECLINED;
    }
    if (is(what, "body")) {
        int rc = cs_body_stream(r, on_data, NULL);
        return cs_textf(r, 200, "%d, %zu", rc, cs_body(r).n);
    }
    if (is(what, "fail"))
        return cs_fail(r, 502, "the door is stuck");
    if (is(what, "crash"))
        abort();
    if (is(what, "user"))
        cs_set_user(r, "me & \"you\"");
    if (what.n && what.p[0] == '=') {
        cs_str number = cs_format(r, "%.*s", (int)what.n - 1, what.p + 1);
        return atoi(number.p);
    }
    return CS_DECLINED;
}

static int access(cs_req *r)
{
    struct seen *s = cs_alloc(r, sizeof *s);
    cs_str who = cs_header(r, "X-Who");
    if (cs_status(r) != 0)
        cs_log(CS_ERR, "a status before there is one");
    snprintf(s->who, sizeof s->who, "%.*s", CS_F(who));
    s->calls = 1;
    cs_ctx(r) = s;
    cs_on_close(r, on_close, s);
    if (who.n)
        cs_log(CS_INFO, "access of %s", s->who);
    return do_as_told(r, cs_header(r, "X-" NAME));
}

static void on_log(cs_req *r)
{
    struct seen *s = cs_ctx(r);
    cs_str user = cs_user(r), type = cs_response_header(r, "content-type");
    if (!s)
        return;
    s->calls++;
    if (cs_elapsed_us(r) < 0 || cs_text(r, 200, "no") != CS_ERROR ||
        cs_set_header(r, "X", "no") == CS_OK || cs_start(r, 200, NULL, 1) != CS_ERROR ||
        cs_send(r, CS_S("no"), 1) != CS_ERROR || cs_proceed(r) != CS_ERROR ||
        cs_body_stream(r, on_data, NULL) != CS_ERROR)
        cs_log(CS_ERR, "on_log can change something");
    if (s->who[0])
        cs_log(CS_INFO, "log of %s: %d, %lld bytes, user \"%.*s\", type \"%.*s\"", s->who,
               cs_status(r), (long long)cs_bytes_sent(r), CS_F(user), CS_F(type));
}

CS_MODULE(.name = NAME, .version = "1.0", .help = "Guards, and tells what it sees.",
          .access = access, .on_log = on_log);
