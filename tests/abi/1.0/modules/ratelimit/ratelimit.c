/* ratelimit.c - at most so many requests of one client in a time, counted in one place for all workers. A worker that is
 * killed takes no count with it. */
#include "bucket.h"

#include <arpa/inet.h>
#include <cserver/cserver.h>

struct conf {
    int64_t requests, per, burst;
};

static cs_zone *zone;
static cs_counter *refused;

/* IPv4 addresses, and the networks of IPv6: each host of such a /64 could take any address in it. */
static struct bucket bucket_of(cs_req *r)
{
    const cs_req_info *q = cs_info(r);
    char text[INET6_ADDRSTRLEN] = "";
    unsigned char address[16] = {0};
    struct bucket b = {.at = cs_now_ms()};
    memcpy(text, q->client.p, q->client.n < sizeof text ? q->client.n : 0);
    _Bool six = inet_pton(AF_INET, text, address) != 1 && inet_pton(AF_INET6, text, address) == 1;
    memcpy(&b.client, address, sizeof b.client);
    b.place = bucket_hash(bucket_hash(1 + six, q->site.p, q->site.n), q->route.p, q->route.n) | 1;
    return b;
}

static int may_pass(cs_req *r)
{
    const struct conf *c = cs_conf(r);
    const struct bucket own = bucket_of(r);
    struct buckets *all = cs_zone_of(zone);
    if (cs_zone_lock(zone) != CS_OK)
        return CS_DECLINED; /* broken beyond repair: rather no limit than no service */
    int64_t wait = bucket_take(
        all, own, (struct rate){c->requests, c->per, c->burst ? c->burst : c->requests});
    cs_zone_unlock(zone);
    if (!wait)
        return CS_DECLINED;
    cs_counter_add(refused, 1);
    cs_set_header(r, "Retry-After", cs_format(r, "%lld", (long long)(wait + 999) / 1000));
    return cs_text(r, 429, "Too many requests.\n");
}

static void init(void *p, size_t size)
{
    (void)size;
    bucket_init(p);
}

/* A worker was killed with the lock: what it has left is fine. */
static int recover(void *p, size_t size)
{
    (void)p;
    (void)size;
    return CS_OK;
}

static const cs_zone_def zones[] = {
    {&zone, "buckets", sizeof(struct buckets), init, recover},
    {0},
};

static const cs_counter_def counters[] = {{&refused, "refused_total", "Requests refused."}, {0}};

static const cs_directive directives[] = {
    CS_INT(struct conf, requests, "60", 1, 1000000, CS_PER_ROUTE,
           "Requests of one client in the time `per`."),
    CS_MSEC(struct conf, per, "1m", 1, 86400000, CS_PER_ROUTE, "The time in which it has so many."),
    CS_INTW(struct conf, burst, "same", 1, 1000000, "same", CS_PER_ROUTE,
            "How many at once after a rest; `same` as requests."),
    CS_END,
};

CS_MODULE(.name = "ratelimit", .version = "1.0",
          .help = "So many requests of one client in a time.", .directives = directives,
          .conf_size = sizeof(struct conf), .counters = counters, .zones = zones,
          .access = may_pass);
