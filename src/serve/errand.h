/* errand.h - what a request asks others for (cs_fetch, cs_subrequest): an exchange with its limits, whose answer is collected, or
 * handed on piece by piece, and whom to tell.
 *
 *   new --> under way --head--> body --> over        on_head, on_data and done of the module, or the task that waits, are told
 *     `---------`-----------------`-----^            from the loop, never inside a call
 *
 * It lies in the request's memory. When the request ends, or goes elsewhere, it is dropped: nobody is told, but what has come
 * of it can be looked at until the request's memory goes, since a task may still do so on its way out. */
#ifndef SERVE_ERRAND_H
#define SERVE_ERRAND_H

#include "net/exchange.h"
#include "serve/request.h"

#define ERRAND_MAGIC       0x45525231u
#define ERRAND_MAX_BODY    (1 << 20) /* unless the module says otherwise; so below */
#define ERRAND_CONNECT_MS  5000
#define ERRAND_TIMEOUT_MS  30000
#define ERRAND_IDLE_MS     30000
#define ERRAND_DEPTH       10  /* of subrequests of subrequests */
#define ERRAND_SUBREQUESTS 200 /* of one client's request, all in all */

struct conn;
struct task;
struct errand;

/* What a task waits for. */
enum errand_wait {
    ERRAND_NOTHING,
    ERRAND_HEAD,
    ERRAND_PIECE,
    ERRAND_ROOM,
    ERRAND_END
};

/* Several that a task waits for at once. */
struct errand_gather {
    struct task *task;
    struct timer limit;
    int left;
};

struct errand {
    uint32_t magic;
    bool over, streamed;
    bool same_site; /* a subrequest to the site of its request */
    uint8_t waits;  /* enum errand_wait */
    uint16_t module;
    struct list node; /* in request->work->errands */
    struct request *request;
    struct exchange exchange;
    struct conn *inner;     /* of a subrequest: the other end of its socket */
    struct timer limit;     /* timeout_ms, of one that is not streamed */
    struct loop_task later; /* it has failed before it began */

    cs_fetched answer;
    const struct http_header *fields; /* of the answer */
    void *head_memory;                /* that they lie in */
    size_t nfields;
    struct buf head; /* of the request */
    struct buf body; /* collected; or the piece that the task has */
    char *sent;      /* host and body, on the heap: a long request may ask many times */
    char why[240];
    int64_t max_body, timeout_ms;
    int64_t to_send; /* body that follows; -1: in chunks */
    bool follows, sent_last;

    struct task *task;
    struct errand_gather *gather;
    void (*done)(cs_req *r, const cs_fetched *a, void *arg);
    void (*on_head)(cs_req *r, const cs_fetched *a, void *arg);
    int (*on_data)(cs_req *r, cs_str data, void *arg);
    void (*on_drain)(cs_req *r, void *arg);
    void *arg;
};

/* Before the first one of a worker, and after the last. */
void errand_open(struct serve *s);
void errand_close(struct serve *s);

/* inner: a subrequest. Never NULL. */
struct errand *errand_new(struct request *r, const cs_fetch_opts *o, bool inner);

int errand_send(struct errand *e, cs_str data, bool last);
void errand_resume(struct errand *e);
/* Wanted no more, and not looked at any more. */
void errand_end(struct errand *e);

/* All of the request: nobody is told any more. */
void errand_drop_all(struct request *r);
/* ... and gives back what they hold; with the request's memory. */
void errand_free_all(struct request *r);

/* The connection at the other end of a subrequest is gone. */
void errand_lost(struct errand *e);

static inline struct errand *errand_of(const cs_fetching *f)
{
    struct errand *e = (struct errand *)(uintptr_t)(const void *)f;
    MAGIC_CHECK(e, ERRAND_MAGIC);
    return e;
}
static inline cs_fetching *errand_public(struct errand *e)
{
    return (cs_fetching *)(void *)e;
}

/* ---- errand_head.c ---- */

/* Writes the head of what is to be asked for to e->head, and says where: *url; of a subrequest that is only its target. 0, or -1 with *why. */
struct http_url;
int errand_write_head(struct errand *e, const cs_fetch_opts *o, bool inner, struct http_url *url,
                      const char **why);

#endif
