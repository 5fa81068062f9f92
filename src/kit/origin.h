/* origin.h - the other servers that a module may ask: each is only pretended, and so are the names and addresses. A connection
 * to one is a pair of sockets, whose other end origin_conn.c plays. */
#ifndef KIT_ORIGIN_H
#define KIT_ORIGIN_H

#include "api/cserver/test.h"
#include "kit/reply.h"
#include "net/host.h"

#define ORIGIN_NO_NAME "cst_fail" /* a name that never has an address */

/* What it answers without being told. */
struct origin_answer {
    struct origin_answer *next;
    cs_str target;
    int status;
    const char *type; /* NULL: none */
    cs_str body;
};

struct origin {
    struct origin *next;
    const char *name; /* as the test has written it */
    cs_str host;
    union host_addr addr;
    uint16_t port;
    int how; /* CST_UP, ... */
    struct origin_answer *answers;
};

/* A name that has been asked for, or that the test has told. */
struct origin_name {
    struct origin_name *next;
    cs_str name;
    union host_addr addr;
};

/* A request to one of them. */
struct visit {
    struct origin *origin;
    struct origin_conn *conn; /* NULL: it has ended */
    int connection;
    struct reply request;
};

struct origin_conn {
    struct origin_conn *next;
    struct origin *origin;
    int fd; /* -1: closed, by whichever side */
    int number;
    bool closing; /* when all has been taken */
    struct buf out;
    struct visit *visit; /* the last one */
    struct buf in;       /* what has come before it is known to be a request: its head */
};

struct origins {
    struct arena *arena;
    struct origin *first;
    struct origin_name *names;
    unsigned nnames;
    struct origin_conn *conns;
    int nconns; /* that there have been */
    size_t nvisits, cap_visits;
    struct visit **visits;
};

/* The address of a host; false: it has none. */
bool origins_know(struct origins *o, cs_str host, union host_addr *addr);

/* ---- origin_conn.c ---- */

/* A connection to it: the other end, or -errno. */
int origin_connect(struct origins *o, struct origin *to);
/* Takes requests and sends answers. False: nothing has moved. */
bool origins_move(struct origins *o);
/* No more when what is waiting has been taken; at once. */
void origin_conn_end(struct origin_conn *c);
void origin_conn_cut(struct origin_conn *c);
/* All connections end; what has been asked can still be looked at. */
void origins_end(struct origins *o);
void origins_free(struct origins *o);

/* The request has this answer. */
void visit_answer(struct visit *a, const struct origin_answer *answer);

#endif
