/* announce.c - what is said when the server is ready. */
#include "base/log.h"
#include "proc/master.h"
#include "serve/serve.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct stands_for {
    const char *any, *here;
};

/* Addresses that mean "all", and how to get there from this machine. */
static const struct stands_for places[] = {
    {"*:", "127.0.0.1:"}, {"0.0.0.0:", "127.0.0.1:"}, {"[::]:", "[::1]:"}, {NULL, NULL}};

void announce_url(const char *listener, struct buf *out)
{
    const char *rest = listener, *here = "";
    size_t n;

    if (strncmp(listener, "unix:", 5) == 0) {
        buf_add_z(out, listener);
        return;
    }
    for (const struct stands_for *p = places; p->any; p++)
        if (strncmp(listener, p->any, strlen(p->any)) == 0) {
            here = p->here;
            rest = listener + strlen(p->any);
        }
    buf_printf(out, "http://%s%s", here, rest);
    n = out->n;
    if (n > 3 && memcmp(out->p + n - 3, ":80", 3) == 0)
        out->n -= 3;
    buf_add_char(out, '/');
}

void announce_ready(const struct master *m)
{
    const struct generation *g = m->live;
    const struct conf_limits *limits = &g->settings->conf->limits;
    struct buf urls = {0};
    size_t nofile;
    unsigned takes;

    for (size_t i = 0; i < g->listens.n; i++) {
        if (i > 0)
            buf_add_z(&urls, " ");
        announce_url(g->listens.v[i].text, &urls);
    }
    log_info("ready: %u worker%s, open %s", g->wanted, g->wanted == 1 ? "" : "s",
             urls.n ? urls.p : "(no listener)");
    takes = serve_connection_limit(g->settings->plan, m->region.header->max_workers, &nofile);
    log_info("each worker takes up to %u connections (%s; RLIMIT_NOFILE is %zu)", takes,
             takes == limits->max_connections ? "[limits] max_connections"
                                              : "as many as there are descriptors for",
             nofile);
    if (!m->daemon && !m->quiet && g->logs.error_fd != STDERR_FILENO && isatty(STDOUT_FILENO)) {
        printf("cserver is ready: open %s\n", urls.n ? urls.p : "(no listener)");
        fflush(stdout);
    }
    buf_free(&urls);
}
