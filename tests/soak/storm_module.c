/* storm_module.c - a module for long tests of the mailbox: publishes, checks what it gets, and keeps the result in a
 * file of its own ($CS_EVENTS/SLOT.INCARNATION, mapped), which a SIGKILL does not take away. storm.py reads it.
 *
 * `window`: so many messages to all are under way of each process at most, as fast as that goes.
 * `every`: worker 1 publishes one message each so many milliseconds. */
#define _GNU_SOURCE
#include <cserver/cserver.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define SENDERS 256
#define BUCKETS 4096 /* of 10 us; the last one has what is longer */

struct record {
    uint64_t pid, started, first, last, count, lost, lost_before_first;
    uint64_t gaps, torn, reordered, sender_gaps, after_leave;
    uint64_t published, again, refused, joins, leaves, seq;
    uint64_t latency[BUCKETS], late[BUCKETS]; /* of messages; of the timer that publishes */
};

struct sender {
    uint32_t incarnation, left;
    uint64_t n;
};

struct head {
    uint64_t n, sent_ns;
    uint32_t len, incarnation;
    int32_t slot;
    uint32_t fill;
};

struct settings {
    int64_t window, every, size;
};

struct shared {
    uint64_t stop;
};

static struct record *me;
static struct sender senders[SENDERS];
static const struct settings *conf;
static uint64_t sent, back, due_ns;
static int excused; /* something was lost: who had sent it is not known */
static cs_topic *storm;
static cs_zone *zone;

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void put_into(uint64_t *buckets, uint64_t ns)
{
    const uint64_t i = ns / 10000;
    buckets[i < BUCKETS ? i : BUCKETS - 1]++;
}

/* ---- Publishing ---- */

static uint32_t size_of(uint64_t n)
{
    const uint32_t x = (uint32_t)(n * 2654435761u) >> 8;
    return (uint32_t)sizeof(struct head) + (x % 100 ? x % 48 : x % (uint32_t)conf->size);
}

static int publish_one(void)
{
    static char data[65536];
    struct head h = {.n = sent + 1,
                     .sent_ns = now_ns(),
                     .len = size_of(sent + 1),
                     .incarnation = cs_self()->incarnation,
                     .slot = cs_self()->slot};
    h.fill = (uint32_t)(h.n * 31 + h.incarnation * 7 + (uint32_t)h.slot) & 255;
    memset(data, (int)h.fill, h.len);
    memcpy(data, &h, sizeof h);
    const int rc = cs_publish(storm, CS_TO_ALL, data, h.len);
    me->published += rc == CS_OK;
    me->again += rc == CS_AGAIN;
    me->refused += rc != CS_OK && rc != CS_AGAIN;
    sent += rc == CS_OK;
    return rc;
}

static void on_tick(void *arg)
{
    (void)arg;
    if (((struct shared *)cs_zone_of(zone))->stop)
        return;
    while (conf->window && sent - back < (uint64_t)conf->window && publish_one() == CS_OK) {
    }
}

/* As many as are due by now, also those that a late timer has left out. */
static void on_beat(void *arg)
{
    const uint64_t now = now_ns(), every = (uint64_t)conf->every * 1000000u;
    (void)arg;
    if (((struct shared *)cs_zone_of(zone))->stop)
        return;
    if (!due_ns)
        due_ns = now;
    put_into(me->late, now > due_ns ? now - due_ns : 0);
    for (; due_ns <= now; due_ns += every)
        publish_one();
}

/* ---- Checking ---- */

static void check_number(const cs_msg *m)
{
    const uint64_t due = me->last + 1;
    if (me->last && m->number > due)
        me->gaps++;
    if ((me->last && m->number < due) || m->seq <= me->seq)
        me->reordered++;
    if (!me->first) {
        me->first = m->number;
        me->lost_before_first = me->lost;
    }
    me->seq = m->seq;
    me->last = m->number;
    me->count++;
}

static int is_whole(const cs_msg *m, const struct head *h)
{
    const unsigned char *data = m->data;
    if (h->len != m->len || h->slot != m->from_slot || h->incarnation != m->from_incarnation ||
        h->fill > 255)
        return 0;
    for (size_t i = sizeof *h; i < m->len; i++)
        if (data[i] != h->fill)
            return 0;
    return 1;
}

/* What an incarnation sends comes as a whole run, and nothing of it after its end or after its successor's. */
static void check_sender(const struct head *h)
{
    struct sender *s = &senders[h->slot & (SENDERS - 1)];
    if (h->incarnation < s->incarnation)
        me->reordered++;
    else if (h->incarnation == s->incarnation && h->n != s->n + 1 && !excused)
        me->sender_gaps++;
    else if (h->incarnation > s->incarnation && s->incarnation && h->n != 1 && !excused)
        me->sender_gaps++;
    if (h->incarnation <= s->left)
        me->after_leave++;
    s->incarnation = h->incarnation;
    s->n = h->n;
}

static void on_message(const cs_msg *m)
{
    struct head h;
    if (m->lost) {
        me->lost += m->lost;
        if (me->last)
            me->last += m->lost;
        excused = 1;
        return;
    }
    check_number(m);
    if (m->len < sizeof h) {
        me->torn++;
        return;
    }
    memcpy(&h, m->data, sizeof h);
    if (!is_whole(m, &h)) {
        me->torn++;
        return;
    }
    check_sender(&h);
    put_into(me->latency, now_ns() - h.sent_ns);
    back += h.slot == cs_self()->slot && h.incarnation == cs_self()->incarnation;
}

static void on_join(int slot, uint32_t incarnation)
{
    (void)slot, (void)incarnation;
    me->joins++;
}

static void on_leave(int slot, uint32_t incarnation, int number)
{
    (void)number;
    senders[slot & (SENDERS - 1)].left = incarnation;
    me->leaves++;
}

/* ---- Life ---- */

static int start(cs_proc *p)
{
    char path[300];
    const cs_self_info *self = cs_self();
    snprintf(path, sizeof path, "%s/%d.%u", getenv("CS_EVENTS"), self->slot, self->incarnation);
    const int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0 || ftruncate(fd, sizeof *me) < 0)
        return CS_ERROR;
    me = mmap(NULL, sizeof *me, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (me == MAP_FAILED)
        return CS_ERROR;
    me->pid = (uint64_t)getpid();
    conf = cs_module_conf(p);
    if (conf->window)
        cs_every(p, 1, on_tick, NULL);
    if (conf->every && self->slot == 1)
        cs_every(p, 1, on_beat, NULL);
    me->started = 1;
    return CS_OK;
}

/* /storm?stop: nobody publishes any more; /storm?one: but this one message. */
static int handler(cs_req *r)
{
    int rc = CS_OK;
    if (cs_info(r)->query.n == 4)
        ((struct shared *)cs_zone_of(zone))->stop = 1;
    else
        rc = publish_one();
    return cs_textf(r, rc == CS_OK ? 200 : 503, "%d\n", rc);
}

static const cs_directive directives[] = {
    CS_INT(struct settings, window, "0", 0, 100000, 0, "Messages under way."),
    CS_INT(struct settings, every, "0", 0, 100000, 0,
           "Milliseconds between two messages of worker 1."),
    CS_INT(struct settings, size, "4000", 48, 60000, 0, "Bytes of a large message."), CS_END};
static const cs_topic_def topics[] = {{&storm, "storm", on_message, 65536, 0}, {0}};
static const cs_zone_def zones[] = {{&zone, "storm", sizeof(struct shared), NULL, NULL}, {0}};

CS_MODULE(.name = "storm", .version = "1.0", .help = "Publishes much.", .directives = directives,
          .conf_size = sizeof(struct settings), .topics = topics, .zones = zones,
          .worker_start = start, .primary_start = start, .on_join = on_join, .on_leave = on_leave,
          .handler = handler);
