/* doorman.c - a second module with tasks beside waiter.c: waits before it lets in, makes pages for errors, and has a filter
 * that takes its time over what tasks send. */
#include <cserver/cserver.h>

static cs_counter *let_in, *refused;

static int number(cs_req *r, const char *name)
{
    uint64_t n;
    return cs_u64(cs_query(r, name), &n) == CS_OK ? (int)n : 0;
}

/* ?knock=N: waits so long; an odd number is not let in. */
static int access_hook(cs_req *r)
{
    int ms = number(r, "knock");
    if (ms && cs_sleep(r, ms) != CS_OK)
        return CS_CLOSED;
    cs_counter_add(let_in, ms && !(ms % 2));
    return ms % 2 ? 403 : CS_DECLINED;
}

/* The page for an error. */
static int handler(cs_req *r)
{
    int rc = cs_sleep(r, 5);
    return rc == CS_OK ? cs_textf(r, 200, "a page\n") : rc;
}

static int header_filter(cs_req *r)
{
    return number(r, "filter") ? cs_filter_body(r, -1) : CS_OK;
}

/* Twice what comes. Where a filter runs nothing may wait, though a task has called it. */
static int body_filter(cs_req *r, cs_str data, int last)
{
    if (cs_sleep(r, 1) == CS_ERROR)
        cs_counter_add(refused, 1);
    int rc = cs_send(r, data, 0);
    return rc < 0 && rc != CS_AGAIN ? rc : cs_send(r, data, last);
}

static const cs_counter_def counters[] = {{&let_in, "let_in_total", "Requests let in."},
                                          {&refused, "refused_total", "Waits that were refused."},
                                          {0}};

CS_MODULE(.name = "doorman", .version = "1", .flags = CS_TASK, .counters = counters,
          .access = access_hook, .handler = handler, .header_filter = header_filter,
          .body_filter = body_filter);
