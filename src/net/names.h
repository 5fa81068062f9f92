/* names.h - addresses of hosts, found while the server runs: c-ares (/etc/hosts, DNS), never blocking but for reading
 * /etc/hosts; answers are kept as long as they say.
 *
 * Several who ask for one name at once share one query; upper and lower case are the same. Addresses as text need no query.
 * Only from the loop's thread, and made after the fork. What is found comes in the order of RFC 6724, which connecting
 * should try it in. */
#ifndef NET_NAMES_H
#define NET_NAMES_H

#include "event/loop.h"
#include "net/host.h"

#define NAMES_ADDRESSES 16
#define NAMES_MOST      1024 /* names that are kept or being looked up; the oldest answer goes */
/* How long an answer is kept: as its TTL says, within these. */
#define NAMES_LEAST_MS  1000
#define NAMES_MOST_MS   300000
#define NAMES_LOCAL_MS  5000  /* from /etc/hosts, where nothing has a TTL */
#define NAMES_FAILED_MS 1000  /* that there is none, or that nobody answers */
#define NAMES_LIMIT_MS  10000 /* for one name: nobody waits longer */

struct names;

struct names_address {
    struct sockaddr_storage addr;
    socklen_t len;
};

struct names_found {
    enum host_error error; /* HOST_FOUND is 0; else n is 0 */
    const char *text;      /* of the error: the end of a sentence for the log. Stays valid */
    unsigned n;
    struct names_address v[NAMES_ADDRESSES]; /* with the port; those from n on are not written */
};

/* Lies in the object of who asks; all zero before its first use. */
struct names_wait {
    struct list node;
    /* From the loop's tasks, once, and w waits no more; *f is valid during the call. May ask and drop, not names_free. */
    void (*done)(struct names_wait *w, const struct names_found *f);
    uint16_t port;
};

/* Takes nothing before the first name: no descriptor, and no memory beyond the struct. */
struct names *names_new(struct loop *loop);
/* Nobody waits any more, and nobody is told. NULL is fine. */
void names_free(struct names *n);

/* host: a name, or an address as text (IPv6 with or without brackets). True: *f is filled, with an address as text, a kept
 * answer, what /etc/hosts says, or an error that is known at once. False: *f is as it was, and w->done comes. */
bool names_find(struct names *n, cs_str host, uint16_t port, struct names_found *f,
                struct names_wait *w);
/* w waits no more, also if it has not. The query goes on, and its answer is kept. */
void names_drop(struct names_wait *w);

/* For tests, before the first name: another file in place of /etc/resolv.conf (the text stays where it is), the port of the
 * servers that it names, and other time limits: how long one try waits, and who asks. 0: as it is. */
struct names_setup {
    const char *resolv_conf;
    uint16_t port;
    unsigned timeout_ms, limit_ms;
};
void names_set_up(struct names *n, const struct names_setup *s);

#endif
