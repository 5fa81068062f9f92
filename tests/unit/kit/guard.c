/* guard.c - a module without a handler, for the tests of the kit. */
#include <cserver/cserver.h>

static cs_counter *logged;

static int guard(cs_req *r)
{
    cs_str key = cs_header(r, "X-Key");
    return key.n == 4 && !memcmp(key.p, "open", 4) ? CS_DECLINED : 403;
}

static int mark(cs_req *r)
{
    return cs_set_header(r, "X-Guard", "here");
}

static void on_log(cs_req *r)
{
    (void)r;
    cs_counter_add(logged, 1);
}

static const cs_counter_def counters[] = {
    {&logged, "logged_total", "Requests that are over."},
    {0},
};

CS_MODULE(.name = "guard", .version = "1.0", .help = "For the tests of the kit.",
          .counters = counters, .access = guard, .header_filter = mark, .on_log = on_log);
