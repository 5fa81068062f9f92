/* counter_shared.c - what counter does, without a message for each request: every worker adds to a place of its own in
 * shared memory, and whoever wants to know adds these up.
 *
 * There is no broadcast of the number while it changes: a worker that needs it calls cs_counter_sum, which is cheaper than
 * to be woken, and never late. */
#include <cserver/cserver.h>

#include <stdio.h>

struct conf {
    int64_t interval;
    _Bool repeat;
};

static cs_topic *broadcast;
static cs_counter *requests;
static const struct conf *conf;

static void report(void *arg)
{
    static unsigned long long said = (unsigned long long)-1;
    unsigned long long n = cs_counter_sum(requests);
    (void)arg;
    if (conf->repeat || n != said)
        cs_log(CS_INFO, "numReqs = %llu", n);
    said = n;
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

static void tell_all_workers(void)
{
    char text[24];
    int n = snprintf(text, sizeof text, "%llu", cs_counter_sum(requests));
    if (cs_publish(broadcast, CS_TO_WORKERS, text, (size_t)n) != CS_OK)
        cs_log(CS_WARN, "the workers cannot be told");
}

/* In the primary, from anybody: tell them. In a worker, from the primary: the number. */
static void on_broadcast(const cs_msg *m)
{
    if (m->lost)
        return;
    if (cs_self()->slot == 0)
        tell_all_workers();
    else if (m->from_slot == 0)
        cs_log(CS_INFO, "Number of requests: %.*s", (int)m->len, (const char *)m->data);
}

static int handler(cs_req *r)
{
    cs_counter_add(requests, 1);
    return cs_text(r, 200, "hello world\n");
}

/* Another name than counter's: a topic of one name is one topic, whoever declares it. */
static const cs_topic_def topics[] = {
    {.ref = &broadcast,
     .name = "counter_shared.broadcast",
     .on_message = on_broadcast,
     .max_len = 64},
    {0},
};

static const cs_counter_def counters[] = {
    {&requests, "requests_total", "Requests answered."},
    {0},
};

static const cs_directive directives[] = {
    CS_MSEC(struct conf, interval, "1s", 10, 86400000, 0,
            "How often the primary logs the number of requests."),
    CS_BOOL(struct conf, repeat, "on", 0, "Log it also when it is the same as the last time."),
    CS_END,
};

CS_MODULE(.name = "counter_shared", .version = "1.0", .help = "Counts requests in shared memory.",
          .directives = directives, .conf_size = sizeof(struct conf), .counters = counters,
          .topics = topics, .primary_start = primary_start, .primary_stop = primary_stop,
          .handler = handler);
