/* jump.h - requests that go on with another path than the one they came with.
 *
 *   rewrite      the route that was found has one: the path (and, where it names one, the query) is replaced before any
 *                module has seen the request, and routes are searched again in the same site
 *   cs_jump      a handler leaves the request to the routes again, which includes the access hooks of the route that is found
 *   error page   in place of a page of ours: the handlers of the page's route answer a GET for its path, with the status
 *                that the request has got. No access hooks run; header filters, body filters and on_log are those of the
 *                request's own route. Once for a request; when it fails, the page of ours comes after all
 *
 * The last two happen in the connection's next step, never inside a call of a module. What modules have begun for the
 * request before has no effect on it any more: its timers and jobs are dropped, tokens lead to nothing. What they gave to
 * cs_on_close is called at the end. */
#ifndef SERVE_JUMP_H
#define SERVE_JUMP_H

#include "serve/request.h"
#include "serve/task.h"

#define JUMP_MOST 10 /* of one request, error pages apart */

/* What a request is by its path. */
struct jump_walk {
    const struct route *route;
    unsigned link;
    void **ctx;
    cs_req_info *info;
    struct route_found found;
    cs_str path, query, method_text, collected;
    enum http_method method;
};

struct jump {
    const struct conf_page *page; /* the error page; NULL: cs_jump */
    int status;                   /* that it is for */
    bool inside;                  /* the request is what the page needs, and `other` what it was */
    struct jump_walk other;
};

/* Finds the route of r->path, or the one that its rewrites lead to. 0; or the status of a page, and the log has the reason;
 * r->route may be NULL then. */
int jump_route(struct request *r);

/* cs_jump. CS_OK, CS_ERROR. */
int jump_ask(struct request *r, cs_str target);

/* The server is about to answer with its page for that status. True: an error page comes in its place. */
bool jump_to_page(struct request *r, int status);
/* Has it gone to its error page? */
static inline bool jump_has_page(const struct request *r)
{
    return r->jump && r->jump->page;
}
/* The error page has come to nothing but a page of ours for `status`. The status that page has to have. */
int jump_page_failed(struct request *r, int status);

/* r->jumping: goes there. */
void jump_run(struct request *r);

/* Is it a module that has no say any more, because the request has jumped since, or a task that was cancelled? */
bool jump_is_past_of(const struct request *r, unsigned module);
static inline bool jump_is_past(const struct request *r)
{
    return (r->jump && jump_is_past_of(r, crumb_module())) || task_is_past(r);
}
/* The status of an answer that a module gives. */
int jump_page_status(struct request *r, int status);
static inline int jump_status(struct request *r, int status)
{
    return jump_has_page(r) ? jump_page_status(r, status) : status;
}

/* While hooks of the request's own route run: everything is as it was before the error page. What jump_outside returns is
 * for jump_inside. */
void jump_change(struct request *r);
static inline bool jump_outside(struct request *r)
{
    bool was = r->jump && r->jump->inside;
    if (was)
        jump_change(r);
    return was;
}
static inline void jump_inside(struct request *r, bool was)
{
    if (was)
        jump_change(r);
}

#endif
