/* mailbox.c - a topic on the web: POST publishes to the clients of all workers, GET streams what is published. */
#include "event.h"

#include <time.h>

struct conf {
    int64_t ping, retry, max_clients;
    cs_list publishers;
};

static cs_topic *topic;
static cs_zone *zone; /* uint64_t: when the server was born, ms */
static cs_group *clients;
static uint64_t told; /* number of the last event that these have got; 0: none yet */

static uint64_t birth(void)
{
    return *(const uint64_t *)cs_zone_of(zone);
}

static void on_event(const cs_msg *m)
{
    if (!clients)
        return; /* the primary, where somebody has sent it to all */
    if (m->lost)
        cs_group_sendf(clients, "event: lost\ndata: %llu\n\n", (unsigned long long)m->lost);
    else
        cs_group_send(clients, event_of(m, birth()));
    if (!m->lost)
        told = m->number;
}

static int stream(cs_req *r, const struct conf *c)
{
    cs_str last = cs_format(r, "%.*s", CS_F(cs_header(r, "Last-Event-ID")));
    cs_set_header(r, "Content-Type", "text/event-stream");
    cs_set_header(r, "Cache-Control", "no-store");
    cs_stream *s = cs_detach(r, 200);
    int rc = s ? cs_group_join(clients, s) : 503;
    if (rc != CS_OK)
        return rc;
    cs_stream_send(s, cs_format(r, "retry: %lld\n\n", (long long)c->retry));
    if (last.n)
        event_replay(topic, s, last.p, birth());
    return CS_OK;
}

static int on_save(cs_stream *s, void *to, size_t room)
{
    (void)s;
    (void)room; /* is enough */
    memcpy(to, &told, sizeof told);
    return sizeof told;
}

static int on_adopt(cs_stream *s, cs_str saved)
{
    uint64_t seen = 0;
    if (saved.n == sizeof seen)
        memcpy(&seen, saved.p, sizeof seen);
    int rc = cs_group_join(clients, s);
    if (rc == CS_OK)
        event_go_on(topic, s, seen, birth());
    return rc;
}

static int publish(cs_req *r, const struct conf *c)
{
    cs_str who = cs_user(r), body = cs_body(r);
    _Bool may = 0;
    for (size_t i = 0; i < c->publishers.n; i++)
        may |= who.n && cs_eq(who, c->publishers.v[i]);
    if (!may)
        return 403;
    int rc = cs_publish(topic, CS_TO_WORKERS, body.p, body.n);
    return rc == CS_OK ? 204 : rc == CS_TOOBIG ? 413 : 503;
}

static int handler(cs_req *r)
{
    const struct conf *c = cs_conf(r);
    if (cs_is(r, "GET") || cs_is(r, "HEAD"))
        return stream(r, c);
    if (cs_is(r, "POST") && c->publishers.n)
        return publish(r, c);
    cs_set_header(r, "Allow", c->publishers.n ? "GET, HEAD, POST" : "GET, HEAD");
    return 405;
}

static void ping(void *arg)
{
    (void)arg;
    cs_group_send(clients, ": ping\n\n");
}

static int worker_start(cs_proc *p)
{
    const struct conf *c = cs_module_conf(p);
    clients = cs_group_new(p, .max_streams = c->max_clients, .high_water = 2 << 20);
    return clients && cs_every(p, c->ping, ping, NULL) ? CS_OK : CS_ERROR;
}

static void be_born(void *p, size_t size)
{
    struct timespec now;
    (void)size;
    clock_gettime(CLOCK_REALTIME, &now);
    *(uint64_t *)p = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static const cs_topic_def topics[] = {{&topic, "mailbox", on_event, EVENT_MAX, 0}, {0}};
static const cs_zone_def zones[] = {{&zone, "born", sizeof(uint64_t), be_born, NULL}, {0}};
static const cs_directive directives[] = {
    CS_LIST(struct conf, publishers, NULL, 0, 100, CS_PER_ROUTE,
            "Users who may POST, as a module such as auth has found them. None: nobody may."),
    CS_MSEC(struct conf, retry, "3s", 100, 3600000, CS_PER_ROUTE,
            "How long a client should wait before it connects again."),
    CS_MSEC(struct conf, ping, "15s", 1000, 3600000, 0,
            "Time between comments that keep a silent connection alive."),
    CS_INT(struct conf, max_clients, "10000", 1, 1000000, 0, "Most streams of one worker."),
    CS_END,
};

CS_MODULE(.name = "mailbox", .version = "1.0",
          .help = "Publishes and streams messages (server-sent events).", .directives = directives,
          .conf_size = sizeof(struct conf), .zones = zones, .topics = topics,
          .worker_start = worker_start, .handler = handler, .on_save = on_save,
          .on_adopt = on_adopt);
