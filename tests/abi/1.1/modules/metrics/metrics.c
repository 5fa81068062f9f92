/* metrics.c - the numbers of the whole server for Prometheus and its like. Whichever worker answers, it shows all of
 * them: they lie in shared memory. */
#include "accept.h"
#include "exposition.h"

static size_t last_length; /* the next answer is about as long */

static int handler(cs_req *r)
{
    if (!cs_is(r, "GET") && !cs_is(r, "HEAD")) {
        cs_set_header(r, "Allow", CS_S("GET, HEAD"));
        return 405;
    }
    const enum format format =
        accept_openmetrics(cs_header(r, "Accept")) ? OPENMETRICS : PROMETHEUS;
    struct text out = {.r = r};
    text_reserve(&out, last_length + last_length / 8);
    exposition_write(format, &out);
    if (out.failed)
        return CS_NOMEM;
    last_length = out.n;
    cs_set_header(r, "Cache-Control", CS_S("no-store"));
    cs_set_header(r, "Vary", CS_S("Accept"));
    const cs_str body = {out.p, out.n};
    return cs_reply(r, 200, exposition_type[format], body);
}

CS_MODULE(.name = "metrics", .version = "1.0", .flags = CS_BODY_STREAM,
          .help = "Shows the numbers of the whole server to Prometheus.", .handler = handler);
