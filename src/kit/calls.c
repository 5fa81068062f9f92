/* calls.c - the server's table of calls, the one that looks whether they may be made, with a detour for those that can be made to fail, and for those that publish: what
 * is not made to fail goes to the server's call as it is. */
#include "kit/kit.h"

#include "ipc/topic.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum call {
    CALL_ALLOC,
    CALL_FORMAT,
    CALL_ESCAPE,
    CALL_ON_CLOSE,
    CALL_REQ_TIMER,
    CALL_ON_DRAIN,
    CALL_TIMER,
    CALL_WATCH,
    CALL_GROUP,
    CALL_DETACH,
    CALL_OFFLOAD,
    CALL_JOB,
    CALL_PUBLISH,
    CALL_PUBLISH_APPLIED,
    CALL_CALL,
    CALL_ANSWER,
    CALL_SEND,
    CALL_STREAM_SEND,
    CALL_GROUP_SEND,
    CALL_ZONE_LOCK,
    CALL_ROOT_OPEN,
    CALL_AWAIT_OFFLOAD,
    CALL_FETCH,
    CALL_SUBREQUEST,
    CALLS
};

static struct {
    const char *name;
    unsigned made, fails_in; /* fails_in: 1 = the next one, 0 = none */
} calls[CALLS] = {
    [CALL_ALLOC] = {.name = "alloc"},
    [CALL_FORMAT] = {.name = "format"},
    [CALL_ESCAPE] = {.name = "escape"},
    [CALL_ON_CLOSE] = {.name = "on_close"},
    [CALL_REQ_TIMER] = {.name = "req_timer"},
    [CALL_ON_DRAIN] = {.name = "on_drain"},
    [CALL_TIMER] = {.name = "timer"},
    [CALL_WATCH] = {.name = "watch"},
    [CALL_GROUP] = {.name = "group"},
    [CALL_DETACH] = {.name = "detach"},
    [CALL_OFFLOAD] = {.name = "offload"},
    [CALL_JOB] = {.name = "job"},
    [CALL_PUBLISH] = {.name = "publish"},
    [CALL_PUBLISH_APPLIED] = {.name = "publish_applied"},
    [CALL_CALL] = {.name = "call"},
    [CALL_ANSWER] = {.name = "answer"},
    [CALL_SEND] = {.name = "send"},
    [CALL_STREAM_SEND] = {.name = "stream_send"},
    [CALL_GROUP_SEND] = {.name = "group_send"},
    [CALL_ZONE_LOCK] = {.name = "zone_lock"},
    [CALL_ROOT_OPEN] = {.name = "root_open"},
    [CALL_AWAIT_OFFLOAD] = {.name = "await_offload"},
    [CALL_FETCH] = {.name = "fetch"},
    [CALL_SUBREQUEST] = {.name = "subrequest"},
};

static const cs_api *real;

static bool fails(enum call c)
{
    calls[c].made++;
    return calls[c].fails_in && --calls[c].fails_in == 0;
}

unsigned cst_fail(struct cst *t, const char *call, unsigned k)
{
    (void)t;
    for (int i = 0; i < CALLS; i++) {
        unsigned made = calls[i].made;
        if (strcmp(calls[i].name, call) != 0)
            continue;
        calls[i].made = 0;
        calls[i].fails_in = k;
        return made;
    }
    kit_die("cst_fail: \"%s\" is none of the calls that can fail", call);
}

void kit_calls_forget(void)
{
    for (int i = 0; i < CALLS; i++)
        calls[i].made = calls[i].fails_in = 0;
}

/* ---- Memory and callbacks ---- */

static void *call_alloc(cs_req *r, size_t n)
{
    return fails(CALL_ALLOC) ? NULL : real->alloc(r, n);
}

static cs_str call_format(cs_req *r, const char *fmt, ...)
{
    va_list ap;
    char *text = NULL;
    cs_str out = {0};
    va_start(ap, fmt);
    int n = fails(CALL_FORMAT) ? -1 : vasprintf(&text, fmt, ap);
    va_end(ap);
    if (n >= 0) {
        out = real->format(r, "%.*s", n, text);
        free(text);
    }
    return out;
}

static cs_str call_escape(cs_req *r, int where, cs_str text)
{
    return fails(CALL_ESCAPE) ? (cs_str){0} : real->escape(r, where, text);
}

static int call_on_close(cs_req *r, cs_cb cb, void *arg)
{
    return fails(CALL_ON_CLOSE) ? CS_NOMEM : real->on_close(r, cb, arg);
}

static int call_req_timer(cs_req *r, int64_t ms, cs_req_cb cb, void *arg)
{
    return fails(CALL_REQ_TIMER) ? CS_NOMEM : real->req_timer(r, ms, cb, arg);
}

static int call_on_drain(cs_req *r, cs_req_cb cb, void *arg)
{
    return fails(CALL_ON_DRAIN) ? CS_NOMEM : real->on_drain(r, cb, arg);
}

static cs_timer *call_timer(cs_proc *p, int64_t ms, int repeat, cs_cb cb, void *arg)
{
    return fails(CALL_TIMER) ? NULL : real->timer(p, ms, repeat, cb, arg);
}

static cs_watch *call_watch(cs_proc *p, int fd, int events, void (*cb)(int, int, void *), void *arg)
{
    return fails(CALL_WATCH) ? NULL : real->watch(p, fd, events, cb, arg);
}

static int call_job(cs_proc *p, void (*work)(void *arg), cs_cb done, void *arg)
{
    return fails(CALL_JOB) ? CS_AGAIN : real->job(p, work, done, arg);
}

static int call_offload(cs_req *r, void (*work)(void *arg), cs_req_cb done, void *arg)
{
    return fails(CALL_OFFLOAD) ? CS_AGAIN : real->offload(r, work, done, arg);
}

static int call_await_offload(cs_req *r, void (*work)(void *arg), void *arg)
{
    return fails(CALL_AWAIT_OFFLOAD) ? CS_AGAIN : real->await_offload(r, work, arg);
}

static int call_zone_lock(cs_zone *z)
{
    return fails(CALL_ZONE_LOCK) ? CS_ERROR : real->zone_lock(z);
}

static int call_root_open(cs_req *r, cs_str path)
{
    return fails(CALL_ROOT_OPEN) ? -EMFILE : real->root_open(r, path);
}

/* ---- Requests ---- */

/* It goes to a host that there is not, so it fails as others do: later, and with a sentence. */
static cs_fetching *fetch_in_vain(cs_req *r, const cs_fetch_opts *o,
                                  void (*done)(cs_req *, const cs_fetched *, void *), void *arg)
{
    cs_fetch_opts vain = *o;
    vain.url = CS_S("http://" ORIGIN_NO_NAME "/");
    return real->fetch(r, &vain, done, arg);
}

static cs_fetching *call_fetch(cs_req *r, const cs_fetch_opts *o,
                               void (*done)(cs_req *, const cs_fetched *, void *), void *arg)
{
    return fails(CALL_FETCH) ? fetch_in_vain(r, o, done, arg) : real->fetch(r, o, done, arg);
}

static cs_fetching *call_subrequest(cs_req *r, const cs_fetch_opts *o,
                                    void (*done)(cs_req *, const cs_fetched *, void *), void *arg)
{
    return fails(CALL_SUBREQUEST) ? fetch_in_vain(r, o, done, arg)
                                  : real->subrequest(r, o, done, arg);
}

/* ---- Answers and streams ---- */

/* What is said to be too much has been taken, and the same callback follows. */
static int call_send(cs_req *r, cs_str data, int last)
{
    bool slow = fails(CALL_SEND);
    int rc = real->send(r, data, last);
    return slow && rc == CS_OK && !last ? CS_AGAIN : rc;
}

static int call_stream_send(cs_stream *s, cs_str data)
{
    bool slow = fails(CALL_STREAM_SEND);
    int rc = real->stream_send(s, data);
    return slow && rc == CS_OK ? CS_AGAIN : rc;
}

static cs_stream *call_detach(cs_req *r, int status)
{
    return fails(CALL_DETACH) ? NULL : real->detach(r, status);
}

static cs_group *call_group(cs_proc *p, const cs_group_opts *opts)
{
    return fails(CALL_GROUP) ? NULL : real->group(p, opts);
}

static int call_group_send(cs_group *g, cs_str data)
{
    return fails(CALL_GROUP_SEND) ? CS_NOMEM : real->group_send(g, data);
}

static int call_group_sendf(cs_group *g, const char *fmt, ...)
{
    va_list ap;
    char *text = NULL;
    va_start(ap, fmt);
    int n = vasprintf(&text, fmt, ap);
    va_end(ap);
    int rc = n < 0 ? CS_NOMEM : call_group_send(g, (cs_str){text, (size_t)n});
    free(n < 0 ? NULL : text);
    return rc;
}

/* ---- Messages ---- */

static const char *topic_name(const struct cst *t, const cs_topic *topic)
{
    for (size_t i = 0; i < t->settings.n; i++)
        for (const cs_topic_def *d = t->settings.descs[i]->topics; d && d->name; d++)
            if (*d->ref == topic)
                return d->name;
    return "";
}

static struct kit_published *add(int how, const cs_topic *topic, int to, cs_str data, int result)
{
    struct cst *t = kit_here;
    struct kit_published *p = arena_zalloc(&t->arena, sizeof *p);
    p->said = (cst_published){.size = sizeof p->said,
                              .topic = topic_name(t, topic),
                              .to = to,
                              .result = result,
                              .how = how,
                              .data = arena_dup(&t->arena, data)};
    t->published = kit_grow(t->published, t->npublished, &t->cap_published, sizeof *t->published);
    t->published[t->npublished++] = p;
    return p;
}

static int record(int how, const cs_topic *topic, int to, cs_str data, int result)
{
    struct kit_published *p = add(how, topic, to, data, result);
    p->call = how == CST_CALL && result == CS_OK ? kit_here->host.last_call : 0;
    return result;
}

static int call_publish(cs_topic *topic, int to, const void *data, size_t n)
{
    int rc = fails(CALL_PUBLISH) ? CS_AGAIN : real->publish(topic, to, data, n);
    return record(CST_PUBLISH, topic, to, (cs_str){data, n}, rc);
}

static int call_publish_applied(cs_topic *topic, int to, const void *data, size_t n, int64_t ms,
                                void (*done)(int result, void *arg), void *arg)
{
    int rc = fails(CALL_PUBLISH_APPLIED) ? CS_AGAIN
                                         : real->publish_applied(topic, to, data, n, ms, done, arg);
    return record(CST_PUBLISH_APPLIED, topic, to, (cs_str){data, n}, rc);
}

static int call_call(cs_topic *topic, int to, const void *data, size_t n, int64_t ms,
                     void (*done)(int result, const cs_msg *answer, void *arg), void *arg)
{
    int rc = fails(CALL_CALL) ? CS_AGAIN : real->call(topic, to, data, n, ms, done, arg);
    return record(CST_CALL, topic, to, (cs_str){data, n}, rc);
}

/* The test has to see it while the task waits. */
static int call_await_call(cs_req *r, cs_topic *topic, int to, const void *data, size_t n,
                           int64_t ms, cs_str *answer)
{
    const cs_str sent = {data, n};
    if (fails(CALL_CALL)) {
        *answer = (cs_str){"", 0};
        return record(CST_CALL, topic, to, sent, CS_AGAIN);
    }
    struct kit_published *p = add(CST_CALL, topic, to, sent, CS_OK);
    p->call = kit_here->host.last_call + 1;
    int rc = real->await_call(r, topic, to, data, n, ms, answer);
    if (kit_here && kit_here->host.last_call < p->call) /* it was not begun */
        p->said.result = rc;
    return rc;
}

static int call_answer(const cs_msg *m, const void *data, size_t n)
{
    int rc = fails(CALL_ANSWER) ? CS_AGAIN : real->answer(m, data, n);
    return record(CST_ANSWER, m->topic, m->from_slot, (cs_str){data, n}, rc);
}

/* ---- The table ---- */

/* A call that the server does not have is not there in the kit. */
#define DETOUR(call)                                                                               \
    if (real->call)                                                                                \
    table.call = call_##call

const cs_api *kit_calls(void)
{
    static cs_api table;
    if (real)
        return &table;
    real = serve_api_debug();
    table = *real;
    DETOUR(alloc);
    DETOUR(format);
    DETOUR(escape);
    DETOUR(on_close);
    DETOUR(req_timer);
    DETOUR(on_drain);
    DETOUR(timer);
    DETOUR(watch);
    DETOUR(group);
    DETOUR(detach);
    DETOUR(offload);
    DETOUR(job);
    DETOUR(publish);
    DETOUR(publish_applied);
    DETOUR(call);
    DETOUR(await_call);
    DETOUR(answer);
    DETOUR(send);
    DETOUR(stream_send);
    DETOUR(group_send);
    DETOUR(group_sendf);
    DETOUR(zone_lock);
    DETOUR(root_open);
    DETOUR(await_offload);
    DETOUR(fetch);
    DETOUR(subrequest);
    return &table;
}
