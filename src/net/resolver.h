/* resolver.h - asks for the addresses of a host: c-ares (/etc/hosts, DNS) driven by the loop. It keeps no answers and does
 * not know who else asks: that is names.h.
 *
 * The first question makes a c-ares channel. Sockets and one timer are in the loop while questions are under way, else
 * nothing is. When resolv.conf is another file than it was (looked at before a question, once a second at most), a new
 * channel takes over, and the old one ends what it has begun. Servers, search domains and options are what c-ares reads there
 * and in LOCALDOMAIN, RES_OPTIONS and HOSTALIASES, CARES_HOSTS stands in for /etc/hosts; only the time limits are ours. */
#ifndef NET_RESOLVER_H
#define NET_RESOLVER_H

#include "event/loop.h"
#include "net/host.h"

#define RESOLVER_ADDRESSES  16
#define RESOLVER_TIMEOUT_MS 2000 /* one server, the first time round; then twice as long */
#define RESOLVER_TRIES      2

struct resolver;

/* All zero: as the machine has it. For tests. */
struct resolver_options {
    const char *conf;    /* in place of /etc/resolv.conf */
    uint16_t port;       /* of the servers */
    unsigned timeout_ms; /* in place of RESOLVER_TIMEOUT_MS */
};

struct resolver_answer {
    enum host_error error;
    bool local;   /* known without asking anybody: it has no age */
    uint32_t ttl; /* seconds: the least of all records */
    unsigned n; /* of v, in the order of RFC 6724. One family leaves room for eight of the other */
    union host_addr v[RESOLVER_ADDRESSES];
};

/* The texts of o stay where they are. */
struct resolver *resolver_new(struct loop *loop, const struct resolver_options *o);
/* Nobody is told any more. Not from inside `done`. */
void resolver_free(struct resolver *r);
/* done comes once: now, before this call returns, or later from the loop, from inside c-ares; so it asks nothing and frees
 * nothing. */
void resolver_ask(struct resolver *r, const char *name,
                  void (*done)(void *who, const struct resolver_answer *a), void *who);

#endif
