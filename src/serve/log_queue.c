#include "serve/log_queue.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <unistd.h>

#define SLOW_US 10000
#define TELL_MS 60000
#define SPARE   ((size_t)256 * 1024) /* a larger buffer is not kept when it is empty */

/* ---- What the error log is told ---- */

static const char *reason(int why)
{
    return why == EAGAIN || !why ? "it does not take them in time" : strerror(why);
}

static bool may_tell(uint64_t *told_ms)
{
    bool may = !*told_ms || clock_ms() - *told_ms >= TELL_MS;
    if (may)
        *told_ms = clock_ms() + !clock_ms();
    return may;
}

static void tell_failure(struct log_queue *q)
{
    if (q->why != EAGAIN && may_tell(&q->told_ms))
        log_error("access log %s cannot be written: %s; up to %zu KiB of lines are kept", q->path,
                  strerror(q->why), LOG_KEEP / 1024);
}

static void tell_lost(struct log_queue *q)
{
    log_error("access log %s: %llu lines lost: %s", q->path, (unsigned long long)q->lost,
              reason(q->lost_why));
    q->lost = 0;
    q->lost_why = 0;
}

/* A minute may pass before the log hears of the next ones: then of all of them. */
static void drop(struct log_queue *q)
{
    region_add(q->writer->slot, IPC_LOG_DROPPED, 1);
    q->lost++;
    if (q->why)
        q->lost_why = q->why;
    if (may_tell(&q->told_ms))
        log_error("access log %s: lines are dropped: %zu KiB of them wait already: %s", q->path,
                  LOG_KEEP / 1024, reason(q->why));
}

/* ---- Writing ---- */

static struct log_queue *queue_of(struct pool_job *job)
{
    return CONTAINER_OF(job, struct log_queue, job);
}

/* On a thread. */
static void work(struct pool_job *job)
{
    struct log_queue *q = queue_of(job);
    uint64_t start = clock_us_now();
    q->done = log_sink_write(&q->sink, buf_str(&q->full), &q->writer->slot->counters[IPC_LOG_LINES],
                             &q->error);
    q->took_us = clock_us_now() - start;
}

static void empty(struct buf *b)
{
    if (b->cap > SPARE)
        buf_free(b);
    else
        buf_clear(b);
}

static void use(struct log_queue *q, int fd)
{
    if (q->sink.fd > STDERR_FILENO)
        close(q->sink.fd);
    log_sink_open(&q->sink, fd);
    q->why = 0;
    q->next_ms = 0;
}

static void judge(struct log_queue *q)
{
    q->why = q->error;
    if (q->took_us > SLOW_US)
        region_add(q->writer->slot, IPC_LOG_BLOCKED, 1);
    if (q->error) {
        q->next_ms = clock_ms() + (q->error == EAGAIN ? LOG_FLUSH_MS : LOG_RETRY_MS);
        tell_failure(q);
    } else if (q->lost && may_tell(&q->told_lost_ms)) {
        tell_lost(q);
    }
}

static void on_over(struct pool_job *job, bool ran)
{
    struct log_queue *q = queue_of(job);
    q->busy = false;
    if (!ran)
        return;
    if (q->done == q->full.n)
        empty(&q->full);
    else
        buf_consume(&q->full, q->done);
    judge(q);
    if (q->next_fd >= 0) {
        use(q, q->next_fd);
        q->next_fd = -1;
        q->writer->moving--;
    }
    if ((q->full.n || q->lines.n) && list_empty(&q->node))
        list_add_tail(&q->writer->pending, &q->node);
}

/* Where no thread can be made, the loop does it: better late than never. */
static void hand_over(struct log_queue *q)
{
    list_remove(&q->node);
    if (!q->full.n) {
        struct buf was = q->full;
        q->full = q->lines;
        q->lines = was;
    }
    q->busy = true;
    q->next_ms = clock_ms() + LOG_FLUSH_MS;
    if (pool_add(&q->writer->pool, &q->job) == 0)
        return;
    work(&q->job);
    on_over(&q->job, true);
}

/* ---- For the loop ---- */

struct buf *log_queue_room(struct log_queue *q)
{
    region_add(q->writer->slot, IPC_LOG_ENTRIES, 1);
    if (q->lines.n + q->full.n < LOG_KEEP)
        return &q->lines;
    drop(q);
    return NULL;
}

void log_queue_added(struct log_queue *q)
{
    if (q->busy)
        return;
    if (list_empty(&q->node))
        list_add_tail(&q->writer->pending, &q->node);
    if (q->lines.n >= LOG_FLUSH_AT && !q->why)
        hand_over(q);
}

/* All that may go now goes; the time until the next may. */
static uint64_t look(struct log_writer *w)
{
    uint64_t now = clock_ms(), wait = LOG_RETRY_MS;
    LIST_EACH(it, &w->pending)
    {
        struct log_queue *q = CONTAINER_OF(it, struct log_queue, node);
        if (now >= q->next_ms || (w->hurry && !q->why))
            hand_over(q);
        else if (q->next_ms - now < wait)
            wait = q->next_ms - now;
    }
    return wait;
}

void log_writer_before_wait(struct log_writer *w)
{
    if (list_empty(&w->pending))
        return;
    uint64_t wait = look(w);
    if (list_empty(&w->pending))
        return;
    if (!timer_is_set(&w->wake) || clock_ms() + wait < w->wake.due)
        timer_set(&w->loop->timers, &w->wake, wait);
}

/* The turn of the loop that it begins is all that it is for. */
static void on_wake(struct timer *t)
{
    (void)t;
}

void log_queue_move(struct log_queue *q, int fd)
{
    if (!q->busy) {
        use(q, fd);
        return;
    }
    if (q->next_fd >= 0)
        close(q->next_fd);
    else
        q->writer->moving++;
    q->next_fd = fd;
}

/* ---- The beginning and the end ---- */

void log_writer_init(struct log_writer *w, struct loop *loop, struct ipc_slot *slot, unsigned max)
{
    *w = (struct log_writer){.loop = loop, .slot = slot};
    pool_init(&w->pool, loop, max, max);
    timer_init(&w->wake, on_wake);
    timer_init(&w->last, on_wake);
    list_init(&w->queues);
    list_init(&w->pending);
}

void log_queue_init(struct log_queue *q, struct log_writer *w, const char *path, int fd)
{
    *q = (struct log_queue){
        .writer = w, .path = path, .next_fd = -1, .job = {.work = work, .over = on_over}};
    log_sink_open(&q->sink, fd);
    list_init(&q->node);
    list_add_tail(&w->queues, &q->all);
}

bool log_writer_hurry(struct log_writer *w, bool limited)
{
    bool done = true, late;
    if (!w->hurry)
        timer_set(&w->loop->timers, &w->last, LOG_LAST_MS);
    w->hurry = true;
    late = !timer_is_set(&w->last);
    log_writer_before_wait(w);
    LIST_EACH(it, &w->queues)
    {
        const struct log_queue *q = CONTAINER_OF(it, struct log_queue, all);
        bool stuck = late && q->why && q->why != EAGAIN;
        done = done && !q->busy && (stuck || !(q->full.n || q->lines.n));
    }
    return done || (late && !limited);
}

/* What can go and has not failed now. Is anybody at it? */
static bool push(struct log_writer *w)
{
    bool busy = false;
    LIST_EACH(it, &w->queues)
    {
        struct log_queue *q = CONTAINER_OF(it, struct log_queue, all);
        if (!q->busy && !q->why && (q->full.n || q->lines.n))
            hand_over(q);
        busy = busy || q->busy;
    }
    return busy;
}

static uint64_t count_lines(const struct buf *b)
{
    uint64_t n = 0;
    for (size_t i = 0; i < b->n; i++)
        n += b->p[i] == '\n';
    return n;
}

/* They are counted by the master, for whom this end is like any other. Some of those that a thread has may be there. */
static void tell_left(struct log_writer *w)
{
    LIST_EACH(it, &w->queues)
    {
        struct log_queue *q = CONTAINER_OF(it, struct log_queue, all);
        q->lost += count_lines(&q->lines) + count_lines(&q->full);
        if (q->why)
            q->lost_why = q->why;
        if (q->lost)
            tell_lost(q);
    }
}

bool log_writer_end(struct log_writer *w, int ms)
{
    uint64_t until = clock_us_now() / 1000 + (uint64_t)ms, now;
    LIST_EACH(it, &w->queues)
    CONTAINER_OF(it, struct log_queue, all)->why = 0; /* one more try */
    while (push(w) && (now = clock_us_now() / 1000) < until)
        pool_wait(&w->pool, (int)(until - now));
    tell_left(w);
    timer_clear(&w->loop->timers, &w->wake);
    timer_clear(&w->loop->timers, &w->last);
    return pool_close(&w->pool, 0);
}

void log_queue_free(struct log_queue *q)
{
    if (q->sink.fd > STDERR_FILENO)
        close(q->sink.fd);
    if (q->next_fd >= 0)
        close(q->next_fd);
    list_remove(&q->node);
    list_remove(&q->all);
    buf_free(&q->lines);
    buf_free(&q->full);
}
