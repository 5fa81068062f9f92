#include "event/pool.h"

#include "base/mem.h"
#include "os/fd.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#define STACK_ALT ((size_t)32 * 1024) /* where a handler tells of an overflow of the stack */

/* Sanitizers have larger frames, and stacks for their own handlers. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STACK     ((size_t)1024 * 1024)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define STACK     ((size_t)1024 * 1024)
#define SANITIZED 1
#endif
#endif
#ifndef STACK
#define STACK     ((size_t)256 * 1024 + STACK_ALT)
#define SANITIZED 0
#endif

void pool_init(struct pool *p, struct loop *loop, unsigned max_threads, unsigned max_waiting)
{
    *p = (struct pool){.loop = loop,
                       .bell = {.fd = -1},
                       .max_threads = max_threads ? max_threads : 1,
                       .max_waiting = max_waiting};
    list_init(&p->jobs);
    list_init(&p->waiting);
    list_init(&p->finished);
}

/* ---- The threads ---- */

static void finish(struct pool *p, struct pool_job *job)
{
    job->state = POOL_FINISHED;
    list_add_tail(&p->finished, &job->node);
    p->nfinished++;
    p->nrunning--;
    pthread_cond_signal(&p->less);
    if (p->rung)
        return;
    p->rung = true;
    fd_event_ring(p->bell.fd);
}

/* With the lock, which is given up while work runs. */
static void run_first(struct pool *p)
{
    struct pool_job *job = CONTAINER_OF(list_first(&p->waiting), struct pool_job, node);
    list_remove(&job->node);
    job->state = POOL_RUNNING;
    p->nwaiting--;
    p->nbound -= !job->always;
    p->nrunning++;
    pthread_mutex_unlock(&p->lock);
    job->work(job);
    pthread_mutex_lock(&p->lock);
    finish(p, job);
}

static void serve(struct pool *p)
{
    pthread_mutex_lock(&p->lock);
    while (!p->ending) {
        if (!list_empty(&p->waiting)) {
            run_first(p);
            continue;
        }
        p->nfree++;
        pthread_cond_wait(&p->more, &p->lock);
        p->nfree--;
    }
    pthread_mutex_unlock(&p->lock);
}

/* The stack for handlers is the upper end of the thread's own: what overflows is the lower one. */
static void *thread_main(void *pool)
{
    char stack[SANITIZED ? 1 : STACK_ALT];
    stack_t alt = {.ss_sp = stack, .ss_size = sizeof stack}, none = {.ss_flags = SS_DISABLE};
    if (!SANITIZED)
        sigaltstack(&alt, NULL);
    serve(pool);
    if (!SANITIZED)
        sigaltstack(&none, NULL);
    return NULL;
}

/* Signals are the loop's, but for those by which a fault of the thread itself is told. */
static void thread_signals(sigset_t *set)
{
    static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS};
    sigfillset(set);
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        sigdelset(set, own[i]);
}

static int add_thread(struct pool *p)
{
    pthread_attr_t attr;
    sigset_t set, before;
    thread_signals(&set);
    pthread_sigmask(SIG_SETMASK, &set, &before);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK);
    int rc = pthread_create(&p->threads[p->nthreads], &attr, thread_main, p);
    pthread_attr_destroy(&attr);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc == 0)
        p->nthreads++;
    return -rc;
}

/* ---- The loop ---- */

/* With the lock. */
static void take_out(struct pool *p, struct pool_job *job)
{
    list_remove(&job->node);
    if (job->state == POOL_WAITING) {
        p->nwaiting--;
        p->nbound -= !job->always;
    } else {
        p->nfinished--;
    }
    job->state = POOL_IDLE;
}

static struct pool_job *take_finished(struct pool *p)
{
    struct pool_job *job = NULL;
    pthread_mutex_lock(&p->lock);
    if (p->nfinished > 0) {
        job = CONTAINER_OF(list_first(&p->finished), struct pool_job, node);
        take_out(p, job);
    }
    pthread_mutex_unlock(&p->lock);
    return job;
}

/* As many as there are at the beginning: what finishes meanwhile rings again. */
static void hand_over(struct pool *p)
{
    struct pool_job *job;
    pthread_mutex_lock(&p->lock);
    p->rung = false;
    unsigned n = p->nfinished;
    pthread_mutex_unlock(&p->lock);
    while (n-- > 0 && (job = take_finished(p))) {
        list_remove(&job->all);
        job->over(job, true);
    }
}

static void on_bell(struct loop_io *io, uint32_t events)
{
    (void)events;
    fd_event_drain(io->fd);
    hand_over(CONTAINER_OF(io, struct pool, bell));
}

static void make_lock(struct pool *p)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    check(pthread_mutex_init(&p->lock, NULL) == 0 && pthread_cond_init(&p->more, NULL) == 0 &&
          pthread_cond_init(&p->less, &attr) == 0);
    pthread_condattr_destroy(&attr);
}

int pool_open(struct pool *p)
{
    if (p->threads)
        return 0;
    int fd = fd_event_new();
    if (fd < 0)
        return fd;
    p->bell = (struct loop_io){.fd = fd, .on_ready = on_bell};
    int rc = loop_set(p->loop, &p->bell, EPOLLIN);
    if (rc < 0) {
        fd_close(&p->bell.fd);
        return rc;
    }
    make_lock(p);
    p->threads = mem_alloc(p->max_threads * sizeof *p->threads);
    return 0;
}

/* A thread for one more job, where that is needed and possible. */
static int need_thread(struct pool *p)
{
    pthread_mutex_lock(&p->lock);
    bool enough = p->nfree > p->nwaiting || p->nthreads == p->max_threads;
    pthread_mutex_unlock(&p->lock);
    int rc = enough ? 0 : add_thread(p);
    return p->nthreads ? 0 : rc;
}

static int queue(struct pool *p, struct pool_job *job)
{
    int rc = -EAGAIN;
    pthread_mutex_lock(&p->lock);
    if (p->nbound < p->max_waiting || job->always) {
        job->state = POOL_WAITING;
        list_add_tail(&p->waiting, &job->node);
        p->nwaiting++;
        p->nbound += !job->always;
        pthread_cond_signal(&p->more);
        rc = 0;
    }
    pthread_mutex_unlock(&p->lock);
    return rc;
}

int pool_add(struct pool *p, struct pool_job *job)
{
    check(job->state == POOL_IDLE);
    int rc = p->closed ? -EAGAIN : pool_open(p);
    if (rc == 0)
        rc = need_thread(p);
    if (rc == 0)
        rc = queue(p, job);
    if (rc == 0) {
        job->serial = ++p->serial;
        list_add_tail(&p->jobs, &job->all);
    }
    return rc;
}

bool pool_remove(struct pool *p, struct pool_job *job)
{
    if (!p->threads)
        return true;
    pthread_mutex_lock(&p->lock);
    enum pool_state was = job->state;
    bool mine = was == POOL_WAITING || was == POOL_FINISHED;
    if (mine)
        take_out(p, job);
    pthread_mutex_unlock(&p->lock);
    if (mine)
        list_remove(&job->all);
    return was != POOL_RUNNING;
}

uint64_t pool_oldest(const struct pool *p)
{
    struct list *first = p->jobs.next;
    return first == &p->jobs ? UINT64_MAX : CONTAINER_OF(first, struct pool_job, all)->serial;
}

void pool_wait(struct pool *p, int ms)
{
    struct pollfd bell = {.fd = p->bell.fd, .events = POLLIN};
    if (poll(&bell, 1, ms) > 0)
        on_bell(&p->bell, EPOLLIN);
}

/* ---- The end ---- */

static struct timespec moment(int ms)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += ms / 1000;
    t.tv_nsec += ms % 1000 * 1000000L;
    if (t.tv_nsec >= 1000000000L) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000L;
    }
    return t;
}

/* What over does with one may change the list, but nothing is added any more. */
static void drop_waiting(struct pool *p)
{
    struct list *node;
    for (;;) {
        pthread_mutex_lock(&p->lock);
        node = list_first(&p->waiting);
        if (node)
            take_out(p, CONTAINER_OF(node, struct pool_job, node));
        pthread_mutex_unlock(&p->lock);
        if (!node)
            return;
        struct pool_job *job = CONTAINER_OF(node, struct pool_job, node);
        list_remove(&job->all);
        job->over(job, false);
    }
}

static bool wait_for_work(struct pool *p, int ms)
{
    struct timespec until = moment(ms);
    pthread_mutex_lock(&p->lock);
    p->ending = true;
    pthread_cond_broadcast(&p->more);
    while (p->nrunning > 0 && pthread_cond_timedwait(&p->less, &p->lock, &until) == 0)
        ;
    bool still = p->nrunning == 0;
    pthread_mutex_unlock(&p->lock);
    return still;
}

bool pool_close(struct pool *p, int ms)
{
    p->closed = true;
    if (!p->threads)
        return true;
    drop_waiting(p);
    bool still = wait_for_work(p, ms);
    for (unsigned i = 0; still && i < p->nthreads; i++)
        pthread_join(p->threads[i], NULL);
    hand_over(p);
    if (!still)
        return false;
    loop_del(p->loop, &p->bell);
    fd_close(&p->bell.fd);
    pthread_cond_destroy(&p->more);
    pthread_cond_destroy(&p->less);
    pthread_mutex_destroy(&p->lock);
    free(p->threads);
    p->threads = NULL;
    return true;
}
