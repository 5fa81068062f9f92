/* counter.c - counts all requests in one place, with a message for each: Node's cluster tutorial in C.
 * docs/from-node-cluster.md has both side by side; counter_shared does the same without messages.
 *
 * Messages:  notifyRequest  worker -> primary: I have answered one
 *            broadcast      anybody -> primary: tell them; primary -> workers: the number, as text
 *
 * numReqs = requests_total + lost_total. Both lie in shared memory, so a primary that is killed takes nothing with it. */
#include <cserver/cserver.h>

#include <stdio.h>

struct conf {
    int64_t interval;
    _Bool repeat;
};

static cs_topic *notify_request, *broadcast;
static cs_counter *requests, *lost;
static const struct conf *conf;

static unsigned long long num_reqs(void)
{
    return cs_counter_sum(requests) + cs_counter_sum(lost);
}

/* ---- The primary ---- */

static void report(void *arg)
{
    static unsigned long long said = (unsigned long long)-1;
    unsigned long long n = num_reqs();
    (void)arg;
    if (conf->repeat || n != said)
        cs_log(CS_INFO, "numReqs = %llu", n);
    said = n;
}

/* What `cserver msg send` makes up is no request. */
static void on_notify_request(const cs_msg *m)
{
    if (m->lost) {
        cs_counter_add(lost, (int64_t)m->lost);
        cs_log(CS_WARN, "%llu notifications were lost; numReqs has them",
               (unsigned long long)m->lost);
    } else if (m->from_slot > 0) {
        cs_counter_add(requests, 1);
    }
}

static void tell_all_workers(void)
{
    char text[24];
    int n = snprintf(text, sizeof text, "%llu", num_reqs());
    if (cs_publish(broadcast, CS_TO_WORKERS, text, (size_t)n) != CS_OK)
        cs_log(CS_WARN, "the workers cannot be told");
}

static int primary_start(cs_proc *p)
{
    conf = cs_module_conf(p);
    return cs_every(p, conf->interval, report, NULL) ? CS_OK : CS_ERROR;
}

static void primary_stop(cs_proc *p)
{
    report(p);
}

/* ---- A worker ---- */

/* A request that the primary will not hear of is counted here. */
static int handler(cs_req *r)
{
    if (cs_publish(notify_request, CS_TO_PRIMARY, NULL, 0) != CS_OK)
        cs_counter_add(requests, 1);
    return cs_text(r, 200, "hello world\n");
}

/* ---- Both ---- */

static void on_broadcast(const cs_msg *m)
{
    if (m->lost)
        return;
    if (cs_self()->slot == 0)
        tell_all_workers();
    else if (m->from_slot == 0)
        cs_log(CS_INFO, "Number of requests: %.*s", (int)m->len, (const char *)m->data);
}

static const cs_topic_def topics[] = {
    {.ref = &notify_request,
     .name = "notifyRequest",
     .on_message = on_notify_request,
     .max_len = 64},
    {.ref = &broadcast, .name = "broadcast", .on_message = on_broadcast, .max_len = 64},
    {0},
};

static const cs_counter_def counters[] = {
    {&requests, "requests_total", "Requests that the primary was told of."},
    {&lost, "lost_total", "Requests of which it only knows that the message was lost."},
    {0},
};

static const cs_directive directives[] = {
    CS_MSEC(struct conf, interval, "1s", 10, 86400000, 0,
            "How often the primary logs the number of requests."),
    CS_BOOL(struct conf, repeat, "on", 0, "Log it also when it is the same as the last time."),
    CS_END,
};

CS_MODULE(.name = "counter", .version = "1.0", .help = "Counts requests, with a message for each.",
          .directives = directives, .conf_size = sizeof(struct conf), .counters = counters,
          .topics = topics, .primary_start = primary_start, .primary_stop = primary_stop,
          .handler = handler);
