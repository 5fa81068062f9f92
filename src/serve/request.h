/* request.h - one request and its answer. It lives in its own arena, from the first byte of its
 * head until the last byte of its answer has left (or its connection has gone), and ends with a
 * line in the access log. */
#ifndef SERVE_REQUEST_H
#define SERVE_REQUEST_H

#include "base/arena.h"
#include "base/cidr.h"
#include "http/body.h"
#include "http/cond.h"
#include "http/head.h"
#include "module/crumb.h"
#include "serve/conn.h"
#include "serve/out.h"
#include "serve/route.h"

#define REQUEST_MAGIC 0x52455131u
#define REQUEST_INNER_HEADERS                                                                      \
    8 /* that a subrequest may have more than a request: X-Forwarded-For ... */

enum request_body {
    REQUEST_BODY_NONE, /* there is none, or all of it has been read */
    REQUEST_BODY_LENGTH,
    REQUEST_BODY_CHUNKED
};

enum request_sink {       /* where body bytes go */
    REQUEST_SINK_WAIT,    /* nobody has asked: not read from the socket */
    REQUEST_SINK_COLLECT, /* into `collected`, then the handler runs */
    REQUEST_SINK_STREAM,  /* to on_data */
    REQUEST_SINK_DISCARD  /* answered already: read and dropped to keep the connection usable */
};

struct feed;
struct fetch;
struct filter;
struct jump;
struct trace;

struct request_field {
    struct request_field *next;
    cs_str name, value;
    bool of_page; /* who makes the error page has set it */
};

struct request_closer {
    struct request_closer *next;
    cs_cb cb;
    void *arg;
    unsigned module; /* whose cb it is; so below */
};

struct request_timer {
    struct timer timer;
    struct request *request;
    struct request_timer *next, *next_spare;
    cs_req_cb cb;
    void *arg;
    unsigned module;
};

/* What goes on for it apart from its connection. Most requests have nothing of it. */
struct request_work {
    struct list jobs;    /* offload.h */
    struct list errands; /* errand.h */
    struct list tasks;   /* task.h: those that have waited */
    struct request_job *spare_jobs;
    unsigned cancelling;  /* inside task_cancel_all */
    unsigned subrequests; /* begun, with all theirs: of one that a client has sent */
    bool told;            /* that there are too many */
};

struct request {
    uint32_t magic;
    bool reading;  /* its head is not complete yet */
    bool answered; /* the answer's head has been made */
    bool complete; /* ... and all of its body has been queued */
    bool whole;    /* ... and will be without its module: filters are still at it */
    bool aborted;  /* complete, but something is missing */
    bool passed;   /* all access hooks have let it pass */
    bool working;  /* an access hook or a handler runs */
    bool pending;  /* it answers later */
    bool proceed;  /* ... or leaves that to the next, from the next step on */
    bool
        jumping; /* it goes on with another path from the next step on: until then nobody answers */
    bool filtered;   /* the header filters have been called */
    bool no_server;  /* ... and have said what Server is to be, if anything */
    bool no_ranges;  /* ... the same of Accept-Ranges */
    bool detached;   /* the answer is the head of a stream: no body goes through filters */
    bool keep_alive; /* the connection goes on after it */
    bool no_body;    /* HEAD, 204, 304 ...: body bytes are counted and dropped */
    bool chunked_out;
    bool expect_continue; /* the client waits for 100 Continue */
    bool tasted;          /* on_data has been shown some of the body */
    bool paused;          /* on_data said CS_AGAIN */
    bool body_ended;      /* all of it has been read; on_data may still have to be told */
    bool refused;         /* the head was bad: there are no facts in it */
    bool cut;             /* connection lost before the answer was sent */
    bool ended; /* it only waits for its jobs and tasks: there is no connection any more */

    struct conn *conn;
    struct serve *serve;
    struct request *next; /* behind it in the connection's queue */
    struct arena arena;
    struct inbuf *in;    /* holds the head */
    uint64_t started_us; /* monotonic */
    uint64_t id;
    struct request *debug_next; /* api_debug.c's */
    struct request *token_next; /* in the worker's table of those that gave out a token */
    bool has_token;
    cs_token token;
    bool dry;            /* there is no client: modules are asked what they would do */
    bool open;           /* ... and one that answers does not say how */
    struct trace *trace; /* trace.h; NULL: nobody wants to know */

    struct http_head head;
    cs_str method;     /* as sent, but GET for an error page */
    cs_str path;       /* normalised, NUL-terminated */
    cs_req_info *info; /* made when first asked for */

    struct {
        bool known, by_ip;
        struct cidr_addr addr;
        cs_str text, peer;
    } client;    /* request_client finds it out */
    cs_str host; /* as request_host gives it; p NULL: nobody has asked */
    const struct router_site *router_site;
    const struct conf_site *site; /* the same; NULL where the head was refused */
    const struct route *route;
    struct route_found found; /* for ${capture...} */
    unsigned hooks;           /* those of its route that it meets: enum route_hook */
    unsigned link;            /* position in route->chain: whose access hook or handler it is at */
    void **ctx; /* the participants' own pointers, in the order of the chain; NULL until one asks */
    cs_str user;       /* who the client has proved to be */
    struct jump *jump; /* NULL: it has not left its path but by rewrites */
    unsigned jumps;    /* how often it has got another path */

    enum request_body body;
    enum request_sink sink;
    uint64_t body_left; /* REQUEST_BODY_LENGTH */
    uint64_t body_seen;
    struct http_chunked chunked;
    cs_str collected;
    size_t collected_cap;
    char *heap; /* holds `collected` when that is large */
    int (*on_data)(cs_req *r, cs_str data, int last, void *arg);
    void *on_data_arg;
    unsigned on_data_module;

    int status;
    cs_str type; /* Content-Type; p == NULL: none */
    struct request_field *fields;
    struct http_validators validators;
    struct filter *heading; /* header filters run: nothing else may answer */
    int failed;             /* the status of cs_fail from one of them */
    struct filter *filter;  /* the body goes through filters */
    struct out out;
    struct feed *feed;  /* a stream, while the hook that has made it has not returned */
    uint64_t body_sent; /* body bytes queued; for the log what has left is taken from out */
    bool to_end;        /* nothing but the end of the connection tells the end of the body */
    int64_t promised;   /* declared length of the answer's body, before filters; -1 unknown */
    cs_req_cb on_drain;
    void *on_drain_arg;
    unsigned on_drain_module;

    struct request_closer *closers;
    struct request_timer *timers, *spare_timers;
    struct request_work *work; /* NULL: there has been none */
    struct fetch *fetch;       /* fetch.h; NULL: nothing is read for it on a thread */
    struct timer patience;     /* handler_timeout, while pending */
};

/* A request for the next head on c; its arena comes from the worker's pool. */
struct request *request_new(struct conn *c);

/* Whatever is at work for it has no say any more: jobs, tasks, fetches. */
void request_stop_work(struct request *r);

/* Where its work is listed; made when it is first asked for. */
struct request_work *request_work(struct request *r);

/* From now on it keeps a trace. */
void request_trace(struct request *r);

/* The head has been parsed: normalises the path, finds the route, and runs handlers as far as they
 * go. */
void request_begin(struct request *r);

/* For jump.c. The route of its path, without rewrites: 0, or the status of a page. */
int request_search(struct request *r);
/* It has a route: limits, then its hooks. */
void request_enter_route(struct request *r);
/* Room for a path of n bytes and its NUL, and a copy of one. */
char *request_path_room(struct request *r, size_t n);
cs_str request_path_copy(struct request *r, cs_str path);
/* The token that it has given out leads to nothing any more. */
void request_drop_token(struct request *r);

/* Its route is known, and none of the modules there has been asked yet: its filters and log meet what comes. */
void request_stand_before(struct request *r);

/* Before and (crumb_leave) after each call into a module for a request. */
void request_crumb(const struct request *r);
static inline uint32_t request_enter(const struct request *r, unsigned module, enum crumb_hook hook)
{
    serve_enter_module(r->serve);
    if (atomic_load_explicit(&crumb_here->request, memory_order_relaxed) != r->id)
        request_crumb(r);
    return crumb_enter(module, hook);
}

/* May a callback of that module be called? In quarantine it is not: the request then ends. */
void request_refuse_module(struct request *r);
static inline bool request_may_call(struct request *r, unsigned module)
{
    bool may = !crumb_is_quarantined(module);
    if (!may)
        request_refuse_module(r);
    return may;
}

/* The module that runs, or whose answer it waits for; NULL: none. */
const char *request_culprit(const struct request *r);

/* The whole body has been read (or there is none). */
static inline bool request_body_over(const struct request *r)
{
    return r->body == REQUEST_BODY_NONE;
}

/* Nothing more will be queued and nothing more be read for it. */
static inline bool request_over(const struct request *r)
{
    return r->complete && request_body_over(r);
}

/* Nothing may be queued any more: on_drain, if somebody waits for it. */
void request_drained(struct request *r);

/* Logs it and takes it off everything. Then, when no work of it runs on a thread any more: request_free. */
void request_end(struct request *r);
/* Calls the closers, gives the memory back. */
void request_free(struct request *r);
/* It has ended: frees it, unless work of it still runs. */
void request_let_go(struct request *r);
/* What it has not sent is let go. Not while a thread reads from a file of it (r->fetch). */
void request_drop_body(struct request *r);

/* The id as 16 hex digits, in the request's memory. */
cs_str request_id(struct request *r);
cs_str request_host(struct request *r); /* http_host_normalise */
/* Who the client is, and who the connection is from: client.h. */
cs_str request_client(struct request *r);
cs_str request_peer(struct request *r);
/* The client's address; false: it came by a unix socket. */
bool request_client_addr(struct request *r, struct cidr_addr *out);

/* A line in the error log with the request's context. */
void request_log(struct request *r, int level, const char *who, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void request_vlog(struct request *r, int level, const char *who, const char *fmt, va_list ap)
    __attribute__((format(printf, 4, 0)));

static inline cs_req *request_public(struct request *r)
{
    return (cs_req *)(void *)r;
}
static inline struct request *request_of(cs_req *r)
{
    struct request *q = (struct request *)(void *)r;
    MAGIC_CHECK(q, REQUEST_MAGIC);
    return q;
}

#endif
