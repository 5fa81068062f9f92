/* trace.h - what a request met on its way, step by step and in order: for `cserver explain` and for the debug log. A request
 * without one (request->trace NULL) pays a branch. Texts lie in the trace's arena; labels and origins are the settings'. */
#ifndef SERVE_TRACE_H
#define SERVE_TRACE_H

#include "base/arena.h"
#include "base/buf.h"
#include "conf/report.h"

struct route;

enum trace_what {
    TRACE_LISTENER, /* key: its label */
    TRACE_SITE,     /* key: its label; text: why it answers */
    TRACE_PATH,     /* text: the path routes are searched for, of the request or after a jump */
    TRACE_ROUTE,    /* a route that was looked at: verdict; text: why */
    TRACE_CAPTURE,  /* of the route that was taken: key: name or number; text: value */
    TRACE_JUMP, /* key: "rewrite", "error_pages", or "module": who; text: where to; at: of that setting */
    TRACE_ASK, /* a module: who; key: "access", "handler", "header filter"; text: what came of it; status */
    TRACE_SAY, /* what a module says of itself: who, key, text */
    TRACE_FIELD, /* of the answer; who has set it, key: name, text: value, "" where it was taken away */
    TRACE_LOG /* a line that the error log would get: who, key: level, text */
};

/* Of a route. The first is the one that counts, all others are those that came near. */
enum trace_verdict {
    TRACE_TAKEN,
    TRACE_METHOD, /* its path fits, but a condition does not hold: this one */
    TRACE_HEADER,
    TRACE_QUERY,
    TRACE_CLIENT,
    TRACE_DIFFERS, /* its regex was tried on the path */
    TRACE_BEHIND,  /* it would fit, but another one comes first */
    TRACE_GAVE_UP, /* its regex ran into a limit */
    TRACE_NEAR     /* it was not looked at, but an operator may have meant it (explain's) */
};

struct trace_step {
    struct trace_step *next;
    enum trace_what what;
    enum trace_verdict verdict; /* of ROUTE */
    int status;                 /* of ASK; 0: none */
    const struct route *route;  /* of ROUTE: never NULL */
    cs_str who, key, text;
    const struct conf_origin
        *at; /* what decided: a condition, a limit. NULL: nothing of the settings */
};

struct trace {
    struct arena *arena;
    struct trace_step *first, *last;
    cs_str who; /* the module that runs now, for steps that it makes; n 0: the server itself */
    size_t nroutes, most; /* steps of kind ROUTE; those that were not taken are kept up to `most` */
    size_t dropped;       /* of those: how many more there were */
    size_t nsaid;         /* steps of kind SAY; no more than `most` of them */
};

#define TRACE_MOST 32

void trace_init(struct trace *t, struct arena *a);

/* Each may be called with t NULL, and does nothing then; check for it where making the text costs something. */

/* A step of any kind; fill in what is missing. The text is formatted into the arena. Never NULL but for t NULL. */
struct trace_step *trace_add(struct trace *t, enum trace_what what, cs_str key, const char *fmt,
                             ...) __attribute__((format(printf, 4, 5)));
/* The same step at the end of another trace, with texts of its own. */
void trace_copy(struct trace *t, const struct trace_step *s);
/* A route that was looked at. `at`: where the condition stands that does not hold, else NULL. What `fmt` says completes
 * "ROUTE: ...", as in "method POST is not in methods", "header X-Beta is missing". */
void trace_route(struct trace *t, const struct route *r, enum trace_verdict verdict,
                 const struct conf_origin *at, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

/* Of a step JUMP: the key that says where to, or the module. */
cs_str trace_jumper(const struct trace_step *s);
/* "taken", "method", "header" ...: as JSON has it. */
const char *trace_verdict_name(enum trace_verdict verdict);

#endif
