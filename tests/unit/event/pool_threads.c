/* pool_threads.c - the pool and the log under ThreadSanitizer: jobs of all lengths come and go, some are taken back at any
 * moment, threads write lines while the loop changes the log's descriptor, and now and then the whole pool ends and
 * another one begins.
 *
 *   pool_threads [SECONDS]    2 by default
 *
 * Exit status 1: a job ran twice, was handed over twice or never, or a line was not whole. */
#include "base/clock.h"
#include "base/log.h"
#include "event/pool.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define JOBS    64
#define THREADS 4
#define WAITING 40
#define MARK    "0123456789abcdefghijklmnopqrstuvwxyz"

struct task {
    struct pool_job job;
    bool there;       /* the loop's */
    unsigned runs;    /* the thread's, then the loop's */
    unsigned length;  /* of the work */
    uint64_t written; /* plain memory that work and over share */
};

static struct loop loop;
static struct pool pool;
static struct task tasks[JOBS];
static unsigned seed = 1;
static uint64_t added, refused, removed, kept, dropped, over_count, faults, lines;
static char path[] = "/tmp/pool_threads_XXXXXX";

static unsigned chance(unsigned n)
{
    return (unsigned)rand_r(&seed) % n;
}

static void fault(const char *what)
{
    faults++;
    fprintf(stderr, "pool_threads: %s\n", what);
}

static void work(struct pool_job *job)
{
    struct task *t = CONTAINER_OF(job, struct task, job);
    t->runs++;
    for (unsigned i = 0; i < t->length; i++)
        t->written = t->written * 31 + i;
    if (t->length % 16 == 0)
        log_warn("%s %u", MARK, t->length);
}

static void over(struct pool_job *job, bool ran)
{
    struct task *t = CONTAINER_OF(job, struct task, job);
    if (!t->there)
        fault("a job was handed over that nobody waits for");
    if (t->runs != (ran ? 1u : 0u))
        fault("a job did not run once");
    t->there = false;
    over_count++;
    dropped += !ran;
}

static void add(struct task *t)
{
    t->runs = 0;
    t->length = chance(2000);
    int rc = pool_add(&pool, &t->job);
    if (rc != 0 && rc != -EAGAIN)
        fault("pool_add failed");
    t->there = rc == 0;
    added += rc == 0;
    refused += rc != 0;
}

static void take_back(struct task *t)
{
    if (pool_remove(&pool, &t->job)) {
        t->there = false;
        removed++;
    } else {
        kept++;
    }
}

static int open_log(int old)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    check(fd >= 0);
    log_open(fd, false);
    fd_close(&old);
    return fd;
}

static void turn(void)
{
    for (int i = 0; i < 20; i++) {
        struct task *t = &tasks[chance(JOBS)];
        if (!t->there)
            add(t);
        else if (chance(4) == 0)
            take_back(t);
    }
    loop_wait(&loop, 1);
    loop_dispatch(&loop);
}

static void live(uint64_t until)
{
    int log = open_log(-1);
    while (clock_us_now() < until) {
        check(loop_init(&loop, 16) == 0);
        pool_init(&pool, &loop, 1 + chance(THREADS), WAITING);
        for (unsigned n = chance(300); n > 0 && clock_us_now() < until; n--) {
            turn();
            if (chance(20) == 0)
                log = open_log(log);
        }
        if (!pool_close(&pool, 30000))
            fault("work does not end");
        for (int i = 0; i < JOBS; i++)
            if (tasks[i].there)
                fault("a job was never handed over");
        loop_free(&loop);
    }
    log_open(STDERR_FILENO, false);
    fd_close(&log);
}

static void look_at_lines(void)
{
    char line[8192];
    FILE *f = fopen(path, "re");
    check(f != NULL);
    while (fgets(line, sizeof line, f)) {
        const char *at = strstr(line, ": " MARK " ");
        lines++;
        if (!at || strspn(at + sizeof(": " MARK " ") - 1, "0123456789") == 0 || !strchr(at, '\n'))
            fault(line);
    }
    fclose(f);
    unlink(path);
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? atof(argv[1]) : 2;
    int fd = mkstemp(path);
    check(fd >= 0);
    close(fd);
    for (int i = 0; i < JOBS; i++)
        tasks[i].job = (struct pool_job){.work = work, .over = over};
    live(clock_us_now() + (uint64_t)(seconds * 1e6));
    look_at_lines();
    printf(
        "%llu jobs, %llu refused, %llu taken back, %llu not, %llu dropped, %llu over, %llu lines\n",
        (unsigned long long)added, (unsigned long long)refused, (unsigned long long)removed,
        (unsigned long long)kept, (unsigned long long)dropped, (unsigned long long)over_count,
        (unsigned long long)lines);
    if (added == 0 || lines == 0 || removed == 0 || removed + over_count != added)
        fault("too little has happened");
    return faults ? 1 : 0;
}
