/* heartbeat.c - a job that runs once per server, whatever the number of workers: a timer in the primary. Each beat is
 * counted in shared memory, which outlives the primary, and told to all workers; newborn workers get the last one first. */
#include <cserver/cserver.h>

struct conf {
    int64_t interval;
    _Bool log;
};

struct beat {
    uint64_t number;
    int64_t at; /* monotonic ms: the same clock in all processes */
};

static cs_topic *topic;
static cs_counter *beats;
static struct beat last; /* a worker's */
static const struct conf *conf;

static void beat(void *arg)
{
    (void)arg;
    cs_counter_add(beats, 1);
    struct beat b = {cs_counter_sum(beats), cs_now_ms()};
    if (conf->log)
        cs_log(CS_INFO, "beat %llu", (unsigned long long)b.number);
    if (cs_publish(topic, CS_TO_WORKERS, &b, sizeof b) != CS_OK)
        cs_log(CS_WARN, "beat %llu reaches nobody", (unsigned long long)b.number);
}

static int primary_start(cs_proc *p)
{
    conf = cs_module_conf(p);
    beat(NULL);
    return cs_every(p, conf->interval, beat, NULL) ? CS_OK : CS_ERROR;
}

static void on_beat(const cs_msg *m)
{
    if (m->len == sizeof last && m->from_slot == 0)
        memcpy(&last, m->data, sizeof last);
}

static int handler(cs_req *r)
{
    if (!last.number)
        return cs_text(r, 200, "no beat yet\n");
    cs_set_header(r, "Cache-Control", "no-store");
    return cs_textf(r, 200, "beat %llu, %lld ms ago\n", (unsigned long long)last.number,
                    (long long)(cs_now_ms() - last.at));
}

static const cs_topic_def topics[] = {
    {&topic, "heartbeat", on_beat, sizeof(struct beat), CS_LATEST}, {0}};
static const cs_counter_def counters[] = {{&beats, "beats_total", "Beats of all primaries."}, {0}};
static const cs_directive directives[] = {
    CS_MSEC(struct conf, interval, "10s", 10, 86400000, 0, "Time from one beat to the next."),
    CS_BOOL(struct conf, log, "off", 0, "Log each beat."),
    CS_END,
};

CS_MODULE(.name = "heartbeat", .version = "1.0", .help = "A timer that runs once per server.",
          .directives = directives, .conf_size = sizeof(struct conf), .counters = counters,
          .topics = topics, .primary_start = primary_start, .handler = handler);
