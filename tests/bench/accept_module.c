/* accept_module.c - the work of a handler in make bench-accept: some computing, and on /block a call that does
 * not come back for a while. A real module must not do that; many do. */
#include <cserver/cserver.h>

#include <time.h>
#include <unistd.h>

struct conf {
    int64_t busy_us;
    int64_t block_ms;
};

static int64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int handler(cs_req *r)
{
    const struct conf *c = cs_conf(r);
    const int64_t end = now_us() + c->busy_us;
    while (now_us() < end)
        ;
    if (c->block_ms)
        nanosleep(&(struct timespec){.tv_nsec = c->block_ms * 1000000}, NULL);
    return cs_textf(r, 200, "%d\n", (int)getpid());
}

static const cs_directive directives[] = {
    CS_INT(struct conf, busy_us, "50", 0, 1000000, CS_PER_ROUTE, "Microseconds to compute."),
    CS_INT(struct conf, block_ms, "0", 0, 999, CS_PER_ROUTE, "Milliseconds to block the worker."),
    CS_END,
};

CS_MODULE(.name = "work", .version = "1.0", .help = "Computes, blocks, and says who has answered.",
          .directives = directives, .conf_size = sizeof(struct conf), .handler = handler);
