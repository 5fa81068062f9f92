/* slow.c - answers after a while, without holding up anybody else: the request waits, the worker
 * does not. For trying out time limits, draining and clients. */
#include <cserver/cserver.h>

struct conf {
    int64_t delay;
    int64_t max_delay;
};

/* The value of the first "ms=" in the query: *out gets at most `most`. -1 when it is not a number.
 */
static int query_ms(cs_str query, int64_t most, int64_t *out)
{
    const char *end = query.p + query.n;
    for (const char *p = query.p; p < end; p++) {
        const char *part_end = memchr(p, '&', (size_t)(end - p));
        if (!part_end)
            part_end = end;
        if (part_end - p >= 3 && !memcmp(p, "ms=", 3)) {
            int64_t v = 0;
            if (part_end - p == 3)
                return -1;
            for (p += 3; p < part_end; p++) {
                if (*p < '0' || *p > '9')
                    return -1;
                v = v * 10 + (*p - '0');
                if (v > most)
                    v = most;
            }
            *out = v;
            return 0;
        }
        p = part_end;
    }
    return 0;
}

static void on_time(cs_req *r, void *arg)
{
    const int64_t *ms = arg;
    cs_textf(r, 200, "Waited %lld ms.\n", (long long)*ms);
}

static int handler(cs_req *r)
{
    const struct conf *c = cs_conf(r);
    int64_t *ms = cs_alloc(r, sizeof *ms);
    if (!ms)
        return CS_NOMEM;
    *ms = c->delay;
    if (query_ms(cs_info(r)->query, c->max_delay, ms) < 0)
        return cs_text(r, 400, "ms is a number of milliseconds, as in ?ms=250\n");
    int rc = cs_req_after(r, *ms, on_time, ms);
    return rc == CS_OK ? CS_PENDING : rc;
}

static const cs_directive directives[] = {
    CS_MSEC(struct conf, delay, "1s", 0, 86400000, CS_PER_ROUTE, "How long to wait."),
    CS_MSEC(struct conf, max_delay, "60s", 0, 86400000, CS_PER_ROUTE,
            "The longest wait that a request may ask for with ?ms=."),
    CS_END,
};

CS_MODULE(.name = "slow", .version = "1.0", .help = "Answers after a while.",
          .directives = directives, .conf_size = sizeof(struct conf), .handler = handler);
