/* sse.c - a chat by server-sent events: GET subscribes, POST tells the subscribers of all workers. */
#include <cserver/cserver.h>

struct conf {
    int64_t ping, max_clients;
};

static cs_topic *news;
static cs_group *clients; /* the subscribers of this worker */

/* In every worker, in the same order everywhere. */
static void on_news(const cs_msg *m)
{
    if (m->lost)
        cs_group_sendf(clients, "event: lost\ndata: %llu\n\n", (unsigned long long)m->lost);
    else
        cs_group_sendf(clients, "id: %llu\n%.*s\n", (unsigned long long)m->number, (int)m->len,
                       (const char *)m->data);
}

/* Proxies close what is silent, and clients whose host has vanished are noticed by what they do not take. */
static void ping(void *arg)
{
    (void)arg;
    cs_group_send(clients, ": ping\n\n");
}

static int worker_start(cs_proc *p)
{
    const struct conf *c = cs_module_conf(p);
    clients = cs_group_new(p, .max_streams = c->max_clients, .on_slow = CS_SLOW_CLOSE);
    return clients && cs_every(p, c->ping, ping, NULL) ? CS_OK : CS_ERROR;
}

/* Each line becomes a field of its own: what a stranger says can neither end the event nor add to it. */
static cs_str as_fields(cs_req *r, cs_str text)
{
    char *p = cs_alloc(r, text.n * 7 + 7), *to = p;
    for (size_t i = 0; p && i <= text.n; i++) {
        const char c = i < text.n ? text.p[i] : '\n';
        if (i == 0 || text.p[i - 1] == '\n' || text.p[i - 1] == '\r')
            to = (char *)memcpy(to, "data: ", 6) + 6;
        *to++ = c == '\r' ? '\n' : c;
    }
    return (cs_str){p, (size_t)(to - p)};
}

static int publish(cs_req *r)
{
    cs_str fields = as_fields(r, cs_body(r));
    int rc = fields.p ? cs_publish(news, CS_TO_WORKERS, fields.p, fields.n) : CS_NOMEM;
    return rc == CS_OK ? 204 : rc == CS_TOOBIG ? 413 : 503;
}

static int handler(cs_req *r)
{
    if (cs_is(r, "POST"))
        return publish(r);
    cs_set_header(r, "Allow", "GET, HEAD, POST");
    if (!cs_is(r, "GET") && !cs_is(r, "HEAD"))
        return 405;
    cs_set_header(r, "Allow", "");
    cs_set_header(r, "Content-Type", "text/event-stream");
    cs_set_header(r, "Cache-Control", "no-store");
    cs_stream *s = cs_detach(r, 200);
    return s ? cs_group_join(clients, s) : 503;
}

static const cs_topic_def topics[] = {
    {.ref = &news, .name = "sse.news", .on_message = on_news, .max_len = 65536},
    {0},
};

static const cs_directive directives[] = {
    CS_MSEC(struct conf, ping, "15s", 1000, 3600000, 0,
            "How often subscribers get a comment, so that nobody takes the connection for dead."),
    CS_INT(struct conf, max_clients, "10000", 1, 1000000, 0,
           "Most subscribers of one worker; further ones get 503."),
    CS_END,
};

CS_MODULE(.name = "sse", .version = "1.0", .help = "A chat by server-sent events.",
          .directives = directives, .conf_size = sizeof(struct conf), .topics = topics,
          .worker_start = worker_start, .handler = handler);
