/* slow.c - answers after a while, without holding up anybody else: the request waits, the worker does not. For trying out
 * time limits, draining and clients. */
#include <cserver/cserver.h>

struct conf {
    int64_t delay;
    int64_t max_delay;
};

/* Milliseconds, at most `most`; -1: that is no number. */
static int64_t number(cs_str text, int64_t most)
{
    int64_t n = text.n ? 0 : -1;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return -1;
        n = n * 10 + (text.p[i] - '0') < most ? n * 10 + (text.p[i] - '0') : most;
    }
    return n;
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
    cs_str asked = cs_query(r, "ms");
    *ms = asked.p ? number(asked, c->max_delay) : c->delay;
    if (*ms < 0)
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
