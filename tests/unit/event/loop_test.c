/* loop_test.c - descriptors, timers and tasks of one loop; and how many system calls they take. */
#include "event/loop.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define PIPES 5

static struct loop loop;
static int ctl_calls;

struct end {
    struct loop_io io;
    int write_fd, calls;
    uint32_t events;
    void (*then)(struct end *e);
};
static struct end ends[PIPES];

/* Takes the place of the C library's in this program, to count. */
int epoll_ctl(int epfd, int op, int fd, struct epoll_event *ev)
{
    ctl_calls++;
    return (int)syscall(SYS_epoll_ctl, epfd, op, fd, ev);
}

static void on_end(struct loop_io *io, uint32_t events)
{
    struct end *e = CONTAINER_OF(io, struct end, io);
    e->calls++;
    e->events = events;
    if (e->then)
        e->then(e);
}

static int set_up(void **state)
{
    (void)state;
    assert_int_equal(loop_init(&loop, 16), 0);
    for (int i = 0; i < PIPES; i++) {
        int fds[2];
        assert_int_equal(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
        ends[i] = (struct end){.io = {.on_ready = on_end, .fd = fds[0]}, .write_fd = fds[1]};
    }
    ctl_calls = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < PIPES; i++) {
        close(ends[i].io.fd);
        close(ends[i].write_fd);
    }
    loop_free(&loop);
    return 0;
}

static void poke(int i)
{
    assert_int_equal(write(ends[i].write_fd, "x", 1), 1);
}

static void poke_all(void)
{
    for (int i = 0; i < PIPES; i++) {
        assert_int_equal(loop_set(&loop, &ends[i].io, EPOLLIN), 0);
        poke(i);
    }
}

static int calls(void)
{
    int n = 0;
    for (int i = 0; i < PIPES; i++)
        n += ends[i].calls;
    return n;
}

static void turn(int max_ms)
{
    loop_wait(&loop, max_ms);
    loop_dispatch(&loop);
    loop_run_timers(&loop);
    loop_reap(&loop);
}

static void test_system_calls(void **state)
{
    (void)state;
    struct loop_io *io = &ends[0].io;
    assert_int_equal(loop_set(&loop, io, 0), 0);
    assert_int_equal(ctl_calls, 0);
    assert_int_equal(loop_set(&loop, io, EPOLLIN), 0);
    assert_int_equal(loop_set(&loop, io, EPOLLIN), 0);
    assert_int_equal(ctl_calls, 1);
    assert_int_equal(loop_set(&loop, io, EPOLLIN | EPOLLRDHUP), 0);
    assert_int_equal(ctl_calls, 2);
    loop_del(&loop, io);
    assert_int_equal(ctl_calls, 3);
    assert_int_equal(io->events, 0);
    assert_null(io->on_ready);
    loop_del(&loop, io);
    assert_int_equal(ctl_calls, 3);
    assert_int_equal(loop_set(&loop, &ends[1].io, EPOLLIN), 0);
    loop_forget(&loop, &ends[1].io);
    assert_int_equal(ctl_calls, 4);
    assert_int_equal(ends[1].io.events, 0);
    assert_int_equal(loop_wait(&loop, 0), 0);
    assert_int_equal(loop.waits, 1);
}

static void test_errors(void **state)
{
    (void)state;
    struct loop_io io = {.on_ready = on_end, .fd = -1};
    assert_int_equal(loop_set(&loop, &io, EPOLLIN), -EBADF);
    assert_int_equal(io.events, 0);
    io.fd = open("/proc/self/exe", O_RDONLY);
    assert_int_equal(loop_set(&loop, &io, EPOLLIN), -EPERM);
    close(io.fd);
}

static void test_dispatch(void **state)
{
    (void)state;
    poke_all();
    turn(1000);
    assert_int_equal(calls(), PIPES);
    turn(0); /* level-triggered: still there */
    assert_int_equal(calls(), 2 * PIPES);
    assert_int_equal(ends[2].events, EPOLLIN);
    close(ends[3].write_fd);
    ends[3].write_fd = -1;
    turn(0);
    assert_int_equal(ends[3].events, EPOLLIN | EPOLLHUP);
}

static void del_others(struct end *e)
{
    for (int i = 0; i < PIPES; i++)
        if (&ends[i] != e)
            loop_del(&loop, &ends[i].io);
}

static void forget_others(struct end *e)
{
    for (int i = 0; i < PIPES; i++) {
        if (&ends[i] != e) {
            loop_forget(&loop, &ends[i].io);
            ends[i].io.on_ready = on_end; /* as if the object were used again */
        }
    }
}

static void mute_others(struct end *e)
{
    for (int i = 0; i < PIPES; i++)
        if (&ends[i] != e)
            loop_set(&loop, &ends[i].io, 0);
}

static void turn_others(struct end *e)
{
    for (int i = 0; i < PIPES; i++)
        if (&ends[i] != e)
            loop_set(&loop, &ends[i].io, EPOLLOUT);
}

/* The objects go on at once with another connection, which has sent nothing yet. */
static void begin_again(struct end *e)
{
    int fds[2];
    close(e->io.fd);
    close(e->write_fd);
    assert_int_equal(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
    e->io.fd = fds[0];
    e->write_fd = fds[1];
    e->io.on_ready = on_end;
    assert_int_equal(loop_set(&loop, &e->io, EPOLLIN), 0);
}

static void del_and_begin_again(struct end *e)
{
    for (int i = 0; i < PIPES; i++) {
        if (&ends[i] != e) {
            loop_del(&loop, &ends[i].io);
            begin_again(&ends[i]);
        }
    }
}

static void forget_and_begin_again(struct end *e)
{
    for (int i = 0; i < PIPES; i++) {
        if (&ends[i] != e) {
            loop_forget(&loop, &ends[i].io);
            begin_again(&ends[i]);
        }
    }
}

/* The first one of the batch takes the interest of all the others away: they are not called. */
static void test_skip(void **state)
{
    void (*const ways[])(struct end *) = {del_others,  forget_others,       mute_others,
                                          turn_others, del_and_begin_again, forget_and_begin_again};
    for (size_t w = 0; w < ARRAY_LEN(ways); w++) {
        if (w) {
            tear_down(state);
            set_up(state);
        }
        poke_all();
        for (int i = 0; i < PIPES; i++)
            ends[i].then = ways[w];
        loop_wait(&loop, 1000);
        loop_dispatch(&loop);
        if (calls() != 1)
            fail_msg("way %zu: %d calls", w, calls());
    }
}

static void test_ready(void **state)
{
    (void)state;
    uint32_t events;
    poke_all();
    assert_int_equal(loop_wait(&loop, 1000), PIPES);
    struct loop_io *first = loop_ready(&loop, 0, &events);
    assert_non_null(first);
    assert_int_equal(events, EPOLLIN);
    loop_take(&loop, 0);
    assert_null(loop_ready(&loop, 0, &events));
    struct loop_io *second = loop_ready(&loop, 1, &events);
    loop_del(&loop, second);
    assert_null(loop_ready(&loop, 1, &events));
    loop_dispatch(&loop);
    assert_int_equal(calls(), PIPES - 2);
    assert_int_equal(CONTAINER_OF(first, struct end, io)->calls, 0);
}

static void test_no_callback(void **state)
{
    (void)state;
    poke_all();
    ends[1].io.on_ready = NULL;
    turn(1000);
    assert_int_equal(calls(), PIPES - 1);
}

static uint64_t fired_at;

static void on_timer(struct timer *t)
{
    (void)t;
    fired_at = clock_ms();
}

static void test_timer(void **state)
{
    (void)state;
    struct timer t;
    timer_init(&t, on_timer);
    timer_set(&loop.timers, &t, 30);
    uint64_t due = t.due;
    uint64_t turns = 0;
    fired_at = 0;
    while (!fired_at) {
        turn(-1);
        turns++;
    }
    assert_true(fired_at >= due);
    assert_true(turns <= 5);
    assert_int_equal(loop.waits, turns);
    timer_set(&loop.timers, &t, 60000);
    assert_int_equal(loop_wait(&loop, 5), 0); /* max_ms is shorter */
    timer_clear(&loop.timers, &t);
}

struct job {
    struct loop_task task;
    int runs;
    struct job *also;
};

static void run_job(struct loop_task *task)
{
    struct job *j = CONTAINER_OF(task, struct job, task);
    j->runs++;
    if (j->also)
        loop_later(&loop, &j->also->task);
}

static void test_tasks(void **state)
{
    (void)state;
    struct job b = {.task = {.run = run_job}}, a = {.task = {.run = run_job}, .also = &b};
    loop_later(&loop, &a.task);
    loop_later(&loop, &a.task);
    turn(-1); /* does not wait */
    assert_int_equal(a.runs, 1);
    assert_int_equal(b.runs, 0);
    turn(-1);
    assert_int_equal(a.runs, 1);
    assert_int_equal(b.runs, 1);
    a.also = &a; /* itself, again and again: once a turn */
    loop_later(&loop, &a.task);
    turn(-1);
    turn(-1);
    assert_int_equal(a.runs, 3);
}

static void free_job(struct loop_task *task)
{
    free(CONTAINER_OF(task, struct job, task));
}

static void close_end(struct end *e)
{
    struct job *j = calloc(1, sizeof(*j));
    j->task.run = free_job;
    loop_del(&loop, &e->io);
    loop_later(&loop, &j->task);
}

static void test_close_later(void **state)
{
    (void)state;
    poke_all();
    for (int i = 0; i < PIPES; i++)
        ends[i].then = close_end;
    turn(1000);
    assert_int_equal(calls(), PIPES);
    assert_true(list_empty(&loop.tasks));
    assert_int_equal(loop_wait(&loop, 0), 0);
}

static void on_alarm(int sig)
{
    (void)sig;
}

static void test_interrupted(void **state)
{
    (void)state;
    struct sigaction sa = {.sa_handler = on_alarm};
    struct itimerval soon = {.it_value = {.tv_usec = 5000}, .it_interval = {.tv_usec = 5000}};
    struct itimerval never = {.it_value = {0}};
    sigaction(SIGALRM, &sa, NULL);
    setitimer(ITIMER_REAL, &soon, NULL);
    assert_int_equal(loop_wait(&loop, -1), 0);
    setitimer(ITIMER_REAL, &never, NULL);
}

static void test_small_batch(void **state)
{
    (void)state;
    loop_free(&loop);
    assert_int_equal(loop_init(&loop, 2), 0);
    poke_all();
    for (int i = 0; i < PIPES; i++)
        ends[i].then = close_end;
    for (int i = 0; i < 3; i++) {
        assert_true(loop_wait(&loop, 1000) <= 2);
        loop_dispatch(&loop);
        loop_reap(&loop);
    }
    assert_int_equal(calls(), PIPES);
}

#define LOOP_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOOP_TEST(test_system_calls), LOOP_TEST(test_errors),      LOOP_TEST(test_dispatch),
        LOOP_TEST(test_skip),         LOOP_TEST(test_ready),       LOOP_TEST(test_no_callback),
        LOOP_TEST(test_timer),        LOOP_TEST(test_tasks),       LOOP_TEST(test_close_later),
        LOOP_TEST(test_interrupted),  LOOP_TEST(test_small_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
