/* api_calls.h - the calls of cs_api about requests (api_request.c), answers (api_response.c), waiting (api_task.c) and streams (api_stream.c), for the table in api.c.
 * cserver.h says what they do. */
#ifndef SERVE_API_CALLS_H
#define SERVE_API_CALLS_H

#include "base/str.h"

struct request;

/* ---- api_request.c ---- */

/* A text in the request's memory; p is NULL when there is none for it. */
cs_str api_vformat(struct request *r, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));

const cs_req_info *api_info(cs_req *pub);
const void *api_conf(cs_req *pub, const void *mod);
cs_str api_header(cs_req *pub, const char *name);
int api_header_each(cs_req *pub, int (*each)(cs_str name, cs_str value, void *arg), void *arg);
void **api_ctx(cs_req *pub, const void *mod);
cs_str api_query(cs_req *pub, const char *name);
cs_str api_cookie(cs_req *pub, const char *name);
cs_str api_escape(cs_req *pub, int where, cs_str text);
int api_set_user(cs_req *pub, cs_str name);
cs_str api_user(cs_req *pub);
cs_str api_body(cs_req *pub);
int api_body_stream(cs_req *pub, int (*on_data)(cs_req *, cs_str, int, void *), void *arg);
int api_body_resume(cs_req *pub);
void *api_alloc(cs_req *pub, size_t n);
cs_str api_format(cs_req *pub, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int api_on_close(cs_req *pub, cs_cb cb, void *arg);
cs_token api_token(cs_req *pub);
int api_req_timer(cs_req *pub, int64_t ms, cs_req_cb cb, void *arg);
int api_proceed(cs_req *pub);
int api_root_open(cs_req *pub, cs_str path);
cs_str api_expand(cs_req *pub, const cs_template *t, int where);
int api_jump(cs_req *pub, cs_str target);
int api_page(cs_req *pub, int status);
int api_coding_weight(cs_req *pub, const char *coding);
int api_client_in(cs_req *pub, const cs_blocks *b);
cs_str api_client_block(cs_req *pub, const cs_blocks *b);
void api_say(cs_req *pub, const void *mod, const char *key, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* ---- api_response.c ---- */

int api_set_header(cs_req *pub, const char *name, cs_str value);
int api_add_header(cs_req *pub, const char *name, cs_str value);
int api_validators(cs_req *pub, cs_str etag, int64_t mtime);
int api_reply(cs_req *pub, int status, const char *type, cs_str body);
int api_replyf(cs_req *pub, int status, const char *type, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
int api_reply_ref(cs_req *pub, int status, const char *type, cs_str body, cs_cb release, void *arg);
int api_reply_file(cs_req *pub, int status, const char *type, int fd, int64_t off, int64_t len,
                   cs_cb release, void *arg);
int api_fail(cs_req *pub, int status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int api_start(cs_req *pub, int status, const char *type, int64_t len);
int api_send(cs_req *pub, cs_str data, int last);
int api_on_drain(cs_req *pub, cs_req_cb cb, void *arg);

int api_status(cs_req *pub);
cs_str api_response_header(cs_req *pub, const char *name);
int api_filter_body(cs_req *pub, const void *mod, int64_t len);
int64_t api_body_length(cs_req *pub);
int64_t api_elapsed_us(cs_req *pub);
int64_t api_bytes_sent(cs_req *pub);

/* ---- api_task.c ---- */

struct task;

/* The task is over: what came of the body for it goes, and who brings more is told that nobody wants it. */
void api_task_body_free(struct task *t);

int api_sleep(cs_req *pub, int64_t ms);
int api_await_body(cs_req *pub, cs_str *piece);
int api_await_send(cs_req *pub, cs_str data, int last);
int api_await_call(cs_req *pub, cs_topic *topic, int to, const void *data, size_t len,
                   int64_t timeout_ms, cs_str *answer);
int api_await_offload(cs_req *pub, void (*work)(void *arg), void *arg);

/* ---- api_fetch.c ---- */

cs_fetching *api_fetch(cs_req *pub, const cs_fetch_opts *o,
                       void (*done)(cs_req *r, const cs_fetched *a, void *arg), void *arg);
cs_fetching *api_subrequest(cs_req *pub, const cs_fetch_opts *o,
                            void (*done)(cs_req *r, const cs_fetched *a, void *arg), void *arg);
const cs_fetched *api_fetch_answer(const cs_fetching *f);
cs_str api_fetch_header(const cs_fetching *f, const char *name);
int api_fetch_header_each(const cs_fetching *f, int (*each)(cs_str name, cs_str value, void *arg),
                          void *arg);
int api_fetch_pass(cs_req *pub, const cs_fetching *f);
int api_fetch_send(cs_fetching *f, cs_str data, int last);
void api_fetch_resume(cs_fetching *f);
void api_fetch_end(cs_fetching *f);
const cs_fetched *api_await_fetched(cs_req *pub, cs_fetching *f);
int api_await_all(cs_req *pub, cs_fetching *const *f, int n, int64_t ms);
const cs_fetched *api_await_head(cs_req *pub, cs_fetching *f);
int api_await_piece(cs_req *pub, cs_fetching *f, cs_str *piece);
int api_await_fetch_send(cs_req *pub, cs_fetching *f, cs_str data, int last);

/* ---- api_stream.c ---- */

cs_stream *api_detach(cs_req *pub, int status);
int api_stream_send(cs_stream *s, cs_str data);
size_t api_stream_queued(const cs_stream *s);
int api_stream_on_drain(cs_stream *s, void (*cb)(cs_stream *, void *), void *arg);
void api_stream_close(cs_stream *s);
int api_stream_on_close(cs_stream *s, void (*cb)(cs_stream *, void *), void *arg);
cs_group *api_group(cs_proc *p, const cs_group_opts *opts);
int api_group_join(cs_group *g, cs_stream *s);
int api_group_send(cs_group *g, cs_str data);
int api_group_sendf(cs_group *g, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
size_t api_group_size(const cs_group *g);
void api_group_end(cs_group *g);

#endif
