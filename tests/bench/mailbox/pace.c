/* pace.c - messages in a whole server: the first worker publishes one to all workers a thousand times a second, and each
 * notes how long it took until its callback. GET: what has been noted since the last GET, as JSON. */
#include <cserver/cserver.h>

#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#define SAMPLES 131072
#define PACE_US 1000

struct notes {
    _Atomic uint64_t published, delivered, lost;
    _Atomic uint32_t used;
    uint32_t us[SAMPLES];
};

static cs_topic *topic;
static cs_zone *zone;

static uint64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* As many as are due: the timer's milliseconds are at least milliseconds. What a long pause has cost is not made good. */
static void publish(void *arg)
{
    static uint64_t next_us;
    struct notes *n = cs_zone_of(zone);
    uint64_t now = now_us();
    (void)arg;
    if (next_us == 0 || now > next_us + 10 * PACE_US)
        next_us = now;
    for (; next_us <= now; next_us += PACE_US) {
        uint64_t sent = now_us();
        if (cs_publish(topic, CS_TO_WORKERS, &sent, sizeof sent) == CS_OK)
            n->published++;
    }
}

static void on_message(const cs_msg *m)
{
    struct notes *n = cs_zone_of(zone);
    uint64_t sent;
    if (m->lost || m->len != sizeof sent) {
        n->lost += m->lost;
        return;
    }
    memcpy(&sent, m->data, sizeof sent);
    uint32_t i = atomic_fetch_add(&n->used, 1);
    if (i < SAMPLES)
        n->us[i] = (uint32_t)(now_us() - sent);
    n->delivered++;
}

static int worker_start(cs_proc *p)
{
    if (cs_self()->slot != 1)
        return CS_OK;
    return cs_every(p, 1, publish, NULL) ? CS_OK : CS_ERROR;
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* A copy is sorted: the others go on noting. */
static int handler(cs_req *r)
{
    static uint32_t us[SAMPLES];
    struct notes *n = cs_zone_of(zone);
    uint32_t used = atomic_exchange(&n->used, 0);
    used = used < SAMPLES ? used : SAMPLES;
    memcpy(us, n->us, used * sizeof *us);
    qsort(us, used, sizeof *us, compare);
    return cs_replyf(r, 200, "application/json",
                     "{\"published\": %llu, \"delivered\": %llu, \"lost\": %llu, \"samples\": %u, "
                     "\"p50\": %u, \"p99\": %u, \"most\": %u}\n",
                     (unsigned long long)n->published, (unsigned long long)n->delivered,
                     (unsigned long long)n->lost, used, used ? us[used / 2] : 0,
                     used ? us[(uint64_t)used * 99 / 100] : 0, used ? us[used - 1] : 0);
}

static const cs_topic_def topics[] = {
    {.ref = &topic, .name = "pace", .on_message = on_message, .max_len = 64},
    {0},
};

static const cs_zone_def zones[] = {
    {.ref = &zone, .name = "notes", .size = sizeof(struct notes)},
    {0},
};

CS_MODULE(.name = "pace", .version = "1.0", .help = "Sends messages and tells how long they take.",
          .topics = topics, .zones = zones, .worker_start = worker_start, .handler = handler);
