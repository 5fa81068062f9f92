/* api_debug.c - the wrappers are made by macros from one list: kind, result, call, the name that modules write, parameters,
 * arguments. What is missing in the list would be called unlooked at, so api_debug_test.c compares the tables. */
#include "serve/api_debug.h"

#include "base/log.h"
#include "module/crumb.h"
#include "module/host.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define BUCKETS 1024

static const cs_api *real;
static cs_api looked_at;
static pthread_t loop_thread;
static struct request *alive[BUCKETS];

/* ---- Which requests are alive ---- */

static struct request **bucket_of(const void *r)
{
    return &alive[((uintptr_t)r >> 4) * 0x9e3779b97f4a7c15u >> 54];
}

void api_debug_born(struct request *r)
{
    struct request **at = bucket_of(r);
    r->debug_next = *at;
    *at = r;
}

void api_debug_gone(struct request *r)
{
    struct request **at = bucket_of(r);
    while (*at && *at != r)
        at = &(*at)->debug_next;
    if (*at)
        *at = r->debug_next;
}

/* Without a look at what r points to. */
static bool is_alive(const cs_req *r)
{
    const struct request *q = *bucket_of(r);
    while (q && (const void *)q != (const void *)r)
        q = q->debug_next;
    return q != NULL;
}

/* ---- Looking ---- */

/* On a thread that the module has made itself nothing tells whose it is. */
_Noreturn static void refuse(const char *name, const char *why)
{
    bool here = pthread_equal(pthread_self(), loop_thread);
    unsigned number = here ? crumb_module() : crumb_thread_where >> 8;
    log_error("%s%s: %s was called %s", number ? "module " : "a module",
              number ? host_module_name(number) : "", name, why);
    abort();
}

static void look(const char *name)
{
    if (!pthread_equal(pthread_self(), loop_thread))
        refuse(name, "from another thread than the one that hooks and callbacks run on");
}

static void look_at_request(const char *name, const cs_req *r)
{
    look(name);
    if (!r)
        refuse(name, "without a request (NULL)");
    if (!is_alive(r))
        refuse(name, "with a request that has ended");
}

/* ---- The calls ---- */

#define LOOP(ret, call, name, params, args)                                                        \
    static ret debug_##call params                                                                 \
    {                                                                                              \
        look(name);                                                                                \
        return real->call args;                                                                    \
    }
#define LOOP_VOID(ret, call, name, params, args)                                                   \
    static ret debug_##call params                                                                 \
    {                                                                                              \
        look(name);                                                                                \
        real->call args;                                                                           \
    }
#define REQ(ret, call, name, params, args)                                                         \
    static ret debug_##call params                                                                 \
    {                                                                                              \
        look_at_request(name, r);                                                                  \
        return real->call args;                                                                    \
    }
#define TAKE(ret, call, name, params, args)                                                        \
    if (real->call)                                                                                \
        looked_at.call = debug_##call;

/* clang-format off */
#define CALLS(LOOP, LOOP_VOID, REQ) \
    LOOP(const cs_self_info *, self, "cs_self", (void), ()) \
    LOOP(const void *, module_conf, "cs_module_conf", (cs_proc *p), (p)) \
    LOOP(int64_t, now_ms, "cs_now_ms", (void), ()) \
    LOOP(cs_timer *, timer, "cs_every or cs_after", (cs_proc *p, int64_t ms, int repeat, cs_cb cb, void *arg), (p, ms, repeat, cb, arg)) \
    LOOP_VOID(void, timer_cancel, "cs_timer_cancel", (cs_timer *t), (t)) \
    LOOP(cs_watch *, watch, "cs_watch_new", (cs_proc *p, int fd, int events, void (*cb)(int, int, void *), void *arg), (p, fd, events, cb, arg)) \
    LOOP(int, watch_set, "cs_watch_set", (cs_watch *w, int events), (w, events)) \
    LOOP_VOID(void, watch_end, "cs_watch_end", (cs_watch *w), (w)) \
    LOOP(int, job, "cs_job", (cs_proc *p, void (*work)(void *), cs_cb done, void *arg), (p, work, done, arg)) \
    LOOP_VOID(void, counter_add, "cs_counter_add", (cs_counter *c, int64_t by), (c, by)) \
    LOOP(uint64_t, counter_sum, "cs_counter_sum", (const cs_counter *c), (c)) \
    LOOP(void *, zone, "cs_zone_of", (cs_zone *z), (z)) \
    LOOP(int, zone_lock, "cs_zone_lock", (cs_zone *z), (z)) \
    LOOP_VOID(void, zone_unlock, "cs_zone_unlock", (cs_zone *z), (z)) \
    LOOP(int, metric_each, "cs_metric_each", (int (*each)(const cs_metric *, void *), void *arg), (each, arg)) \
    LOOP(int, publish, "cs_publish", (cs_topic *t, int to, const void *data, size_t len), (t, to, data, len)) \
    LOOP(int, publish_applied, "cs_publish_applied", (cs_topic *t, int to, const void *data, size_t len, int64_t ms, void (*done)(int, void *), void *arg), (t, to, data, len, ms, done, arg)) \
    LOOP(int, call, "cs_call", (cs_topic *t, int to, const void *data, size_t len, int64_t ms, void (*done)(int, const cs_msg *, void *), void *arg), (t, to, data, len, ms, done, arg)) \
    LOOP(int, answer, "cs_answer", (const cs_msg *m, const void *data, size_t len), (m, data, len)) \
    LOOP(int, replay, "cs_replay", (cs_topic *t, uint64_t after, int (*each)(const cs_msg *, void *), void *arg), (t, after, each, arg)) \
    LOOP(cs_req *, from_token, "cs_from_token", (cs_token t), (t)) \
    LOOP(const char *, mime, "cs_mime", (cs_str path), (path)) \
    LOOP(int, stream_send, "cs_stream_send", (cs_stream *s, cs_str data), (s, data)) \
    LOOP(size_t, stream_queued, "cs_stream_queued", (const cs_stream *s), (s)) \
    LOOP(int, stream_on_drain, "cs_stream_on_drain", (cs_stream *s, void (*cb)(cs_stream *, void *), void *arg), (s, cb, arg)) \
    LOOP_VOID(void, stream_close, "cs_stream_close", (cs_stream *s), (s)) \
    LOOP(int, stream_on_close, "cs_stream_on_close", (cs_stream *s, void (*cb)(cs_stream *, void *), void *arg), (s, cb, arg)) \
    LOOP(cs_group *, group, "cs_group_new", (cs_proc *p, const cs_group_opts *opts), (p, opts)) \
    LOOP(int, group_join, "cs_group_join", (cs_group *g, cs_stream *s), (g, s)) \
    LOOP(int, group_send, "cs_group_send", (cs_group *g, cs_str data), (g, data)) \
    LOOP(size_t, group_size, "cs_group_size", (const cs_group *g), (g)) \
    LOOP_VOID(void, group_end, "cs_group_end", (cs_group *g), (g)) \
    REQ(const cs_req_info *, info, "cs_info", (cs_req *r), (r)) \
    REQ(const void *, conf, "cs_conf", (cs_req *r, const void *mod), (r, mod)) \
    REQ(void **, ctx, "cs_ctx", (cs_req *r, const void *mod), (r, mod)) \
    REQ(cs_str, header, "cs_header", (cs_req *r, const char *name), (r, name)) \
    REQ(int, header_each, "cs_header_each", (cs_req *r, int (*each)(cs_str, cs_str, void *), void *arg), (r, each, arg)) \
    REQ(cs_str, query, "cs_query", (cs_req *r, const char *name), (r, name)) \
    REQ(cs_str, cookie, "cs_cookie", (cs_req *r, const char *name), (r, name)) \
    REQ(cs_str, escape, "cs_escape", (cs_req *r, int where, cs_str text), (r, where, text)) \
    REQ(int, set_user, "cs_set_user", (cs_req *r, cs_str name), (r, name)) \
    REQ(cs_str, user, "cs_user", (cs_req *r), (r)) \
    REQ(cs_str, body, "cs_body", (cs_req *r), (r)) \
    REQ(int, body_stream, "cs_body_stream", (cs_req *r, int (*on_data)(cs_req *, cs_str, int, void *), void *arg), (r, on_data, arg)) \
    REQ(int, body_resume, "cs_body_resume", (cs_req *r), (r)) \
    REQ(void *, alloc, "cs_alloc", (cs_req *r, size_t n), (r, n)) \
    REQ(int, on_close, "cs_on_close", (cs_req *r, cs_cb cb, void *arg), (r, cb, arg)) \
    REQ(cs_token, token, "cs_token_of", (cs_req *r), (r)) \
    REQ(int, req_timer, "cs_req_after", (cs_req *r, int64_t ms, cs_req_cb cb, void *arg), (r, ms, cb, arg)) \
    REQ(int, offload, "cs_offload", (cs_req *r, void (*work)(void *), cs_req_cb done, void *arg), (r, work, done, arg)) \
    REQ(int, sleep, "cs_sleep", (cs_req *r, int64_t ms), (r, ms)) \
    REQ(int, await_body, "cs_await_body", (cs_req *r, cs_str *piece), (r, piece)) \
    REQ(int, await_send, "cs_await_send", (cs_req *r, cs_str data, int last), (r, data, last)) \
    REQ(int, await_offload, "cs_await_offload", (cs_req *r, void (*work)(void *), void *arg), (r, work, arg)) \
    REQ(int, await_call, "cs_await_call", (cs_req *r, cs_topic *t, int to, const void *data, size_t len, int64_t ms, cs_str *answer), (r, t, to, data, len, ms, answer)) \
    REQ(cs_fetching *, fetch, "cs_fetch", (cs_req *r, const cs_fetch_opts *o, void (*done)(cs_req *, const cs_fetched *, void *), void *arg), (r, o, done, arg)) \
    REQ(cs_fetching *, subrequest, "cs_subrequest", (cs_req *r, const cs_fetch_opts *o, void (*done)(cs_req *, const cs_fetched *, void *), void *arg), (r, o, done, arg)) \
    LOOP(const cs_fetched *, fetch_answer, "cs_fetch_answer", (const cs_fetching *f), (f)) \
    LOOP(cs_str, fetch_header, "cs_fetch_header", (const cs_fetching *f, const char *name), (f, name)) \
    LOOP(int, fetch_header_each, "cs_fetch_header_each", (const cs_fetching *f, int (*each)(cs_str, cs_str, void *), void *arg), (f, each, arg)) \
    REQ(int, fetch_pass, "cs_fetch_pass", (cs_req *r, const cs_fetching *f), (r, f)) \
    LOOP(int, fetch_send, "cs_fetch_send", (cs_fetching *f, cs_str data, int last), (f, data, last)) \
    LOOP_VOID(void, fetch_resume, "cs_fetch_resume", (cs_fetching *f), (f)) \
    LOOP_VOID(void, fetch_end, "cs_fetch_end", (cs_fetching *f), (f)) \
    REQ(const cs_fetched *, await_fetched, "cs_await_fetched", (cs_req *r, cs_fetching *f), (r, f)) \
    REQ(int, await_all, "cs_await_all", (cs_req *r, cs_fetching *const *f, int n, int64_t ms), (r, f, n, ms)) \
    REQ(const cs_fetched *, await_head, "cs_await_head", (cs_req *r, cs_fetching *f), (r, f)) \
    REQ(int, await_piece, "cs_await_piece", (cs_req *r, cs_fetching *f, cs_str *piece), (r, f, piece)) \
    REQ(int, await_fetch_send, "cs_await_fetch_send", (cs_req *r, cs_fetching *f, cs_str data, int last), (r, f, data, last)) \
    REQ(int, proceed, "cs_proceed", (cs_req *r), (r)) \
    REQ(int, root_open, "cs_root_open", (cs_req *r, cs_str path), (r, path)) \
    REQ(cs_str, expand, "cs_expand", (cs_req *r, const cs_template *t, int where), (r, t, where)) \
    REQ(int, jump, "cs_jump", (cs_req *r, cs_str target), (r, target)) \
    REQ(int, page, "cs_page", (cs_req *r, int status), (r, status)) \
    REQ(int, coding_weight, "cs_coding_weight", (cs_req *r, const char *coding), (r, coding)) \
    REQ(int64_t, body_length, "cs_body_length", (cs_req *r), (r)) \
    REQ(int, client_in, "cs_client_in", (cs_req *r, const cs_blocks *b), (r, b)) \
    REQ(cs_str, client_block, "cs_client_block", (cs_req *r, const cs_blocks *b), (r, b)) \
    REQ(int, set_header, "cs_set_header", (cs_req *r, const char *name, cs_str value), (r, name, value)) \
    REQ(int, add_header, "cs_add_header", (cs_req *r, const char *name, cs_str value), (r, name, value)) \
    REQ(int, validators, "cs_validators", (cs_req *r, cs_str etag, int64_t mtime), (r, etag, mtime)) \
    REQ(int, reply, "cs_reply", (cs_req *r, int status, const char *type, cs_str body), (r, status, type, body)) \
    REQ(int, reply_ref, "cs_reply_ref", (cs_req *r, int status, const char *type, cs_str body, cs_cb release, void *arg), (r, status, type, body, release, arg)) \
    REQ(int, reply_file, "cs_reply_file", (cs_req *r, int status, const char *type, int fd, int64_t off, int64_t len, cs_cb release, void *arg), (r, status, type, fd, off, len, release, arg)) \
    REQ(int, start, "cs_start", (cs_req *r, int status, const char *type, int64_t len), (r, status, type, len)) \
    REQ(int, send, "cs_send", (cs_req *r, cs_str data, int last), (r, data, last)) \
    REQ(int, on_drain, "cs_on_drain", (cs_req *r, cs_req_cb cb, void *arg), (r, cb, arg)) \
    REQ(int, status, "cs_status", (cs_req *r), (r)) \
    REQ(cs_str, response_header, "cs_response_header", (cs_req *r, const char *name), (r, name)) \
    REQ(int, filter_body, "cs_filter_body", (cs_req *r, const void *mod, int64_t len), (r, mod, len)) \
    REQ(int64_t, elapsed_us, "cs_elapsed_us", (cs_req *r), (r)) \
    REQ(int64_t, bytes_sent, "cs_bytes_sent", (cs_req *r), (r)) \
    REQ(cs_stream *, detach, "cs_detach", (cs_req *r, int status), (r, status))
/* clang-format on */

CALLS(LOOP, LOOP_VOID, REQ)

/* A text with its arguments put in; to be freed. */
__attribute__((format(printf, 1, 0))) static char *text_of(const char *fmt, va_list ap)
{
    char *text = NULL;
    check(vasprintf(&text, fmt, ap) >= 0);
    return text;
}

/* The same for what takes a format: `args` with text in the place of it. */
#define FORMATTED(ret, call, params, last, looking, args)                                          \
    static ret debug_##call params                                                                 \
    {                                                                                              \
        looking;                                                                                   \
        va_list ap;                                                                                \
        va_start(ap, last);                                                                        \
        char *text = text_of(last, ap);                                                            \
        va_end(ap);                                                                                \
        ret result = real->call args;                                                              \
        free(text);                                                                                \
        return result;                                                                             \
    }

FORMATTED(cs_str, format, (cs_req * r, const char *fmt, ...), fmt, look_at_request("cs_format", r),
          (r, "%s", text))
FORMATTED(int, replyf, (cs_req * r, int status, const char *type, const char *fmt, ...), fmt,
          look_at_request("cs_replyf", r), (r, status, type, "%s", text))
FORMATTED(int, fail, (cs_req * r, int status, const char *fmt, ...), fmt,
          look_at_request("cs_fail", r), (r, status, "%s", text))
FORMATTED(int, group_sendf, (cs_group * g, const char *fmt, ...), fmt, look("cs_group_sendf"),
          (g, "%s", text))

static void debug_say(cs_req *r, const void *mod, const char *key, const char *fmt, ...)
{
    look_at_request("cs_say", r);
    va_list ap;
    va_start(ap, fmt);
    char *text = text_of(fmt, ap);
    va_end(ap);
    real->say(r, mod, key, "%s", text);
    free(text);
}

/* cs_log is for any thread; cs_conf_error and cs_template_error are called where there is no request and no thread. */
const cs_api *api_debug_table(const cs_api *plain)
{
    real = plain;
    loop_thread = pthread_self();
    looked_at = *plain;
    CALLS(TAKE, TAKE, TAKE)
    TAKE(, format, , , )
    TAKE(, replyf, , , )
    TAKE(, fail, , , )
    TAKE(, group_sendf, , , )
    TAKE(, say, , , )
    return &looked_at;
}
