/* ratelimit.c - so many requests with one key in a time, and so many under way at once, counted in one place for all
 * workers. A worker that is killed takes no count with it. */
#include "held.h"
#include "siphash.h"

#include <arpa/inet.h>
#include <cserver/cserver.h>
#include <stdio.h>

struct conf {
    int64_t requests, per, burst, connections;
    const cs_template *key;
    cs_str limit;
    _Bool fields;
};

struct limits {
    struct table table;
    struct held held;
};

/* What is to become of a request. */
struct verdict {
    int64_t wait; /* ms until there is a token */
    _Bool busy;   /* too many are under way */
    _Bool forgotten, uncounted;
    int64_t left, full_at;
    int number; /* of its record in held; -1: it has none */
};

static cs_zone *zone;
static cs_counter *refused, *busy, *forgotten, *uncounted;

static struct rate rate_of(const struct conf *c)
{
    return (struct rate){c->requests, c->per, c->burst ? c->burst : c->requests};
}

static void add_text(struct siphash *s, cs_str text)
{
    siphash_add(s, &text.n, sizeof text.n);
    siphash_add(s, text.p, text.n);
}

/* Of an address what one client can hardly change: of IPv6 the network, since each host of a /64 could take any address in it.
 * Other keys as they are. */
static void add_key(struct siphash *s, cs_str key)
{
    static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
    char text[INET6_ADDRSTRLEN] = "";
    unsigned char a[16];
    memcpy(text, key.p, key.n < sizeof text ? key.n : 0);
    if (inet_pton(AF_INET, text, a + 12) == 1)
        add_text(s, (cs_str){(char *)a + 12, 4});
    else if (inet_pton(AF_INET6, text, a) == 1)
        add_text(s,
                 memcmp(a, mapped, 12) == 0 ? (cs_str){(char *)a + 12, 4} : (cs_str){(char *)a, 8});
    else
        add_text(s, key);
}

/* Whose bucket it is. Counts with other rates are not to be compared, so they are others. */
static int identify(cs_req *r, const struct conf *c, const uint64_t seed[2], uint64_t id[2])
{
    const cs_req_info *q = cs_info(r);
    const cs_str key = cs_expand(r, c->key, CS_ESCAPE_NONE);
    const int64_t rate[2] = {c->requests, c->per};
    struct siphash s;
    siphash_begin(&s, seed);
    siphash_add(&s, rate, sizeof rate);
    add_text(&s, c->limit);
    add_text(&s, c->limit.n ? CS_S("") : q->site);
    add_text(&s, c->limit.n ? CS_S("") : q->route);
    add_key(&s, key);
    siphash_end(&s, id);
    return key.p ? CS_OK : CS_NOMEM;
}

/* The dead are buried before anything is refused for their sake. */
static struct bucket *find(struct limits *all, const uint64_t id[2], struct verdict *v)
{
    struct bucket *b = table_find(&all->table, id, cs_now_ms(), &v->forgotten);
    if (b)
        return b;
    held_bury(&all->held, &all->table);
    return table_find(&all->table, id, cs_now_ms(), &v->forgotten);
}

static _Bool is_busy(struct limits *all, const struct bucket *b, int64_t most)
{
    if (most && b->held >= most)
        held_bury(&all->held, &all->table);
    return most && b->held >= most;
}

static void judge(struct limits *all, struct bucket *b, const struct conf *c, struct verdict *v)
{
    const struct rate rate = rate_of(c);
    v->wait = bucket_wait(b, rate, cs_now_ms());
    v->busy = is_busy(all, b, c->connections);
    if (!v->wait && !v->busy) {
        bucket_take(b, rate);
        if (c->connections)
            v->number = held_take(&all->held, &all->table, b, (unsigned)cs_self()->slot);
        v->uncounted = c->connections && v->number < 0;
    }
    v->left = rate.requests ? b->credit / rate.per : 0;
    v->full_at = b->full_at;
}

static int refuse(cs_req *r, const struct verdict *v)
{
    cs_counter_add(v->wait ? refused : busy, 1);
    const long long seconds = v->wait ? (long long)(v->wait + 999) / 1000 : 1;
    cs_set_header(r, "Retry-After", cs_format(r, "%lld", seconds));
    return 429;
}

static void tell(cs_req *r, const struct conf *c, const struct verdict *v)
{
    if (!c->fields || !c->requests)
        return;
    const int64_t until = v->full_at > cs_now_ms() ? v->full_at - cs_now_ms() : 0;
    cs_set_header(r, "RateLimit-Limit", cs_format(r, "%lld", (long long)rate_of(c).burst));
    cs_set_header(r, "RateLimit-Remaining", cs_format(r, "%lld", (long long)v->left));
    cs_set_header(r, "RateLimit-Reset", cs_format(r, "%lld", (long long)(until + 999) / 1000));
}

static void give_back(void *arg)
{
    const int *number = arg;
    struct limits *all = cs_zone_of(zone);
    if (cs_zone_lock(zone) != CS_OK)
        return;
    held_give(&all->held, &all->table, *number);
    cs_zone_unlock(zone);
}

/* Until the request ends, however it ends. */
static int keep(cs_req *r, int number)
{
    int *kept = cs_alloc(r, sizeof *kept);
    if (kept)
        *kept = number;
    if (kept && cs_on_close(r, give_back, kept) == CS_OK)
        return CS_DECLINED;
    give_back(&number);
    return CS_NOMEM;
}

/* One that has been sent on to another path meets us again, and may have come to the same limit. */
static int remember(cs_req *r, const uint64_t id[2])
{
    uint64_t *last = cs_ctx(r);
    if (last && last[0] == id[0] && last[1] == id[1])
        return CS_DECLINED;
    last = cs_alloc(r, 2 * sizeof *last);
    if (!last)
        return CS_NOMEM;
    memcpy(last, id, 2 * sizeof *last);
    cs_ctx(r) = last;
    return CS_OK;
}

static int may_pass(cs_req *r)
{
    const struct conf *c = cs_conf(r);
    struct limits *all = cs_zone_of(zone);
    struct verdict v = {.number = -1};
    uint64_t id[2];
    if (!c->requests && !c->connections)
        return CS_DECLINED;
    if (identify(r, c, all->table.seed, id) != CS_OK)
        return CS_NOMEM;
    int rc = remember(r, id);
    if (rc != CS_OK)
        return rc;
    if (cs_zone_lock(zone) != CS_OK)
        return CS_DECLINED; /* broken beyond repair: rather no limit than no service */
    struct bucket *b = find(all, id, &v);
    if (b)
        judge(all, b, c, &v);
    cs_zone_unlock(zone);
    if (v.forgotten)
        cs_counter_add(forgotten, 1);
    if (v.uncounted || !b)
        cs_counter_add(uncounted, 1);
    if (b)
        tell(r, c, &v);
    if (v.wait || v.busy)
        return refuse(r, &v);
    return v.number >= 0 ? keep(r, v.number) : CS_DECLINED;
}

/* As it would be written in the settings: 1h, and not 3600000 ms. */
static const char *span(char *room, size_t n, int64_t ms)
{
    static const struct {
        int64_t ms;
        const char *name;
    } units[] = {{86400000, "d"}, {3600000, "h"}, {60000, "m"}, {1000, "s"}, {1, "ms"}};
    size_t i = 0;
    while (ms % units[i].ms)
        i++;
    snprintf(room, n, "%lld%s", (long long)(ms / units[i].ms), units[i].name);
    return room;
}

/* It says what holds, not what is left: that is known where the requests are. */
static int explain(cs_req *r, int hook)
{
    const struct conf *c = cs_conf(r);
    char per[32];
    if (hook != CS_HOOK_ACCESS)
        return CS_DECLINED;
    if (c->requests)
        cs_say(r, "rate", "%lld requests in %s, %lld at once", (long long)c->requests,
               span(per, sizeof per, c->per), (long long)rate_of(c).burst);
    if (c->connections)
        cs_say(r, "connections", "%lld under way at once", (long long)c->connections);
    if (c->limit.n)
        cs_say(r, "limit", "%.*s", CS_F(c->limit));
    if (c->requests || c->connections) {
        const cs_str key = cs_expand(r, c->key, CS_ESCAPE_NONE);
        cs_say(r, "key", "%.*s", CS_F(key));
    }
    return CS_DECLINED;
}

static void init(void *p, size_t size)
{
    struct limits *all = p;
    (void)size;
    table_init(&all->table);
    held_init(&all->held);
}

static int recover(void *p, size_t size)
{
    struct limits *all = p;
    (void)size;
    held_recover(&all->held, &all->table);
    return CS_OK;
}

static const cs_zone_def zones[] = {
    {&zone, "limits", sizeof(struct limits), init, recover},
    {0},
};

static const cs_counter_def counters[] = {
    {&refused, "refused_total", "Requests refused: too many in the time."},
    {&busy, "busy_total", "Requests refused: too many under way at once."},
    {&forgotten, "forgotten_total",
     "Keys that gave way to others, with less than all of their credit."},
    {&uncounted, "uncounted_total", "Requests that passed since there was no room to count them."},
    {0}};

static const cs_directive directives[] = {
    CS_INTW(struct conf, requests, "60", 1, 1000000, "off", CS_PER_ROUTE,
            "Requests with one key in the time `per`; `off`: as many as it likes."),
    CS_MSEC(struct conf, per, "1m", 1, 86400000, CS_PER_ROUTE, "The time in which it has so many."),
    CS_INTW(struct conf, burst, "same", 1, 1000000, "same", CS_PER_ROUTE,
            "How many at once after a rest; `same` as requests."),
    CS_INTW(struct conf, connections, "off", 1, 1000000, "off", CS_PER_ROUTE,
            "Requests with one key that may be under way at once; `off`: as many as it likes."),
    CS_TEMPLATE(
        struct conf, key, "${client}", 1, 4096, CS_PER_ROUTE,
        "What is counted: requests for which this text is the same. Of an IPv6 address its /64."),
    CS_STRING(struct conf, limit, NULL, 0, 64, CS_PER_ROUTE,
              "A name: routes with the same one count together. Empty: each route for itself."),
    CS_BOOL(struct conf, fields, "off", CS_PER_ROUTE,
            "Tells clients what they have left, in RateLimit-Limit, -Remaining and -Reset."),
    CS_END,
};

CS_MODULE(.name = "ratelimit", .version = "1.1",
          .help = "So many requests with one key in a time, or at once.", .directives = directives,
          .conf_size = sizeof(struct conf), .counters = counters, .zones = zones,
          .access = may_pass, .explain = explain);
