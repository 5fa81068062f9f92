/* The pool of threads: order, limits, taking back, the end. Work is held up by a gate, so nothing here waits for time. */
#include "event/pool.h"

#include "base/clock.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/resource.h>

#include <cmocka.h>

#define MAX 8

struct task {
    struct pool_job job;
    pthread_t ran_on;
    int runs, overs, drops;
    int place; /* among those that were handed over */
    bool gated;
    sigset_t blocked;
};

static struct loop loop;
static struct pool pool;
static struct task tasks[MAX];
static int handed;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool gate_open;
static int inside;

static void set_gate(bool open)
{
    pthread_mutex_lock(&lock);
    gate_open = open;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

/* Until so many stand at the gate. */
static void wait_inside(int n)
{
    pthread_mutex_lock(&lock);
    while (inside < n)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

static void pass_gate(void)
{
    pthread_mutex_lock(&lock);
    inside++;
    pthread_cond_broadcast(&changed);
    while (!gate_open)
        pthread_cond_wait(&changed, &lock);
    inside--;
    pthread_mutex_unlock(&lock);
}

static void work(struct pool_job *job)
{
    struct task *t = CONTAINER_OF(job, struct task, job);
    t->ran_on = pthread_self();
    pthread_sigmask(SIG_SETMASK, NULL, &t->blocked);
    t->runs++;
    if (t->gated)
        pass_gate();
}

static void over(struct pool_job *job, bool ran)
{
    struct task *t = CONTAINER_OF(job, struct task, job);
    t->overs++;
    t->drops += !ran;
    t->place = ++handed;
}

static void start(unsigned threads, unsigned waiting)
{
    assert_int_equal(loop_init(&loop, 16), 0);
    pool_init(&pool, &loop, threads, waiting);
    for (int i = 0; i < MAX; i++)
        tasks[i] = (struct task){.job = {.work = work, .over = over}};
    handed = 0;
    gate_open = false;
    inside = 0;
}

static void finish(void)
{
    assert_true(pool_close(&pool, 60000));
    loop_free(&loop);
}

static int add(int i, bool gated)
{
    tasks[i].gated = gated;
    return pool_add(&pool, &tasks[i].job);
}

static void run_until(int n)
{
    while (handed < n) {
        assert_true(loop_wait(&loop, 60000) > 0);
        loop_dispatch(&loop);
    }
}

static void a_job_runs_elsewhere(void **state)
{
    (void)state;
    start(4, 4);
    assert_int_equal(pool.nthreads, 0);
    assert_int_equal(pool.bell.fd, -1);
    assert_int_equal(add(0, false), 0);
    assert_int_equal(tasks[0].overs, 0);
    run_until(1);
    assert_int_equal(tasks[0].runs, 1);
    assert_false(pthread_equal(tasks[0].ran_on, pthread_self()));
    assert_int_equal(tasks[0].drops, 0);
    assert_true(sigismember(&tasks[0].blocked, SIGTERM));
    assert_true(sigismember(&tasks[0].blocked, SIGUSR1));
    assert_false(sigismember(&tasks[0].blocked, SIGSEGV));
    assert_int_equal(add(0, false), 0); /* the same one again */
    run_until(2);
    assert_int_equal(tasks[0].runs, 2);
    finish();
}

static void one_thread_keeps_the_order(void **state)
{
    (void)state;
    start(1, MAX);
    for (int i = 0; i < MAX; i++)
        assert_int_equal(add(i, i == 0), 0);
    assert_int_equal(pool_oldest(&pool), 1);
    set_gate(true);
    run_until(MAX);
    for (int i = 0; i < MAX; i++)
        assert_int_equal(tasks[i].place, i + 1);
    assert_int_equal(pool.nthreads, 1);
    assert_true(pool_oldest(&pool) == UINT64_MAX);
    finish();
}

static void who_ends_first_comes_first(void **state)
{
    (void)state;
    start(2, MAX);
    assert_int_equal(add(0, true), 0);
    wait_inside(1);
    assert_int_equal(add(1, false), 0);
    run_until(1);
    assert_int_equal(tasks[1].place, 1);
    assert_int_equal(pool_oldest(&pool), tasks[0].job.serial);
    set_gate(true);
    run_until(2);
    assert_int_equal(tasks[0].place, 2);
    finish();
}

static void threads_come_as_they_are_needed(void **state)
{
    (void)state;
    start(3, MAX);
    for (int i = 0; i < 5; i++)
        assert_int_equal(add(i, true), 0);
    wait_inside(3);
    assert_int_equal(pool.nthreads, 3);
    assert_int_equal(pool.nwaiting, 2);
    set_gate(true);
    run_until(5);
    finish();

    start(3, MAX);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(add(i, false), 0);
        run_until(i + 1);
    }
    assert_in_range(pool.nthreads, 1, 3);
    finish();
}

static void the_queue_has_an_end(void **state)
{
    (void)state;
    start(1, 2);
    assert_int_equal(add(0, true), 0);
    wait_inside(1);
    assert_int_equal(add(1, false), 0);
    assert_int_equal(add(2, false), 0);
    assert_int_equal(add(3, false), -EAGAIN);
    assert_int_equal(tasks[3].job.state, POOL_IDLE);
    set_gate(true);
    run_until(3);
    assert_int_equal(add(3, false), 0);
    run_until(4);
    finish();
}

static void what_can_be_taken_back(void **state)
{
    (void)state;
    start(1, MAX);
    assert_true(pool_remove(&pool, &tasks[7].job)); /* never was in it */
    assert_int_equal(add(0, true), 0);
    wait_inside(1);
    assert_int_equal(add(1, false), 0);
    assert_int_equal(add(2, false), 0);
    assert_false(pool_remove(&pool, &tasks[0].job));
    assert_true(pool_remove(&pool, &tasks[1].job));
    assert_true(pool_remove(&pool, &tasks[1].job));
    set_gate(true);
    run_until(2);
    assert_int_equal(tasks[1].runs, 0);
    assert_int_equal(tasks[1].overs, 0);
    assert_int_equal(tasks[2].place, 2);
    finish();
}

/* Its work has ended, but the loop has not looked yet. */
static void the_finished_can_be_taken_back(void **state)
{
    (void)state;
    start(1, MAX);
    assert_int_equal(add(0, false), 0);
    assert_int_equal(add(1, true), 0);
    wait_inside(1); /* so 0 is over */
    assert_true(pool_remove(&pool, &tasks[0].job));
    set_gate(true);
    run_until(1);
    assert_int_equal(tasks[0].runs, 1);
    assert_int_equal(tasks[0].overs, 0);
    finish();
}

/* Of two that are handed over together the first takes the second out. */
static void over_and_take(struct pool_job *job, bool ran)
{
    over(job, ran);
    assert_true(pool_remove(&pool, &tasks[1].job));
}

static void one_takes_back_its_neighbour(void **state)
{
    (void)state;
    start(1, MAX);
    tasks[0].job.over = over_and_take;
    assert_int_equal(add(0, false), 0);
    assert_int_equal(add(1, false), 0);
    assert_int_equal(add(2, true), 0);
    wait_inside(1);
    assert_int_equal(loop_wait(&loop, 60000), 1);
    loop_dispatch(&loop);
    assert_int_equal(handed, 1);
    assert_int_equal(tasks[1].overs, 0);
    set_gate(true);
    run_until(2);
    assert_int_equal(tasks[2].place, 2);
    finish();
}

static void over_and_again(struct pool_job *job, bool ran)
{
    over(job, ran);
    if (ran && handed < 100)
        assert_int_equal(pool_add(&pool, job), 0);
}

static void a_job_that_comes_again_leaves_the_loop_its_turn(void **state)
{
    (void)state;
    start(2, MAX);
    tasks[0].job.over = over_and_again;
    assert_int_equal(add(0, false), 0);
    int turns = 0;
    while (handed < 100) {
        assert_true(loop_wait(&loop, 60000) > 0);
        loop_dispatch(&loop);
        turns++;
    }
    assert_int_equal(turns, 100);
    finish();
}

static void the_end_drops_and_waits(void **state)
{
    (void)state;
    start(1, MAX);
    assert_int_equal(add(0, true), 0);
    wait_inside(1);
    assert_int_equal(add(1, false), 0);
    assert_int_equal(add(2, false), 0);
    set_gate(true);
    finish();
    assert_int_equal(tasks[0].overs, 1);
    assert_int_equal(tasks[0].drops, 0);
    for (int i = 1; i < 3; i++) {
        assert_int_equal(tasks[i].overs, 1);
        assert_int_equal(tasks[i].drops, 1 - tasks[i].runs);
    }
    assert_int_equal(add(3, false), -EAGAIN);
}

static void the_end_does_not_wait_for_ever(void **state)
{
    (void)state;
    start(1, MAX);
    assert_int_equal(add(0, true), 0);
    wait_inside(1);
    assert_int_equal(add(1, false), 0);
    assert_false(pool_close(&pool, 1));
    assert_int_equal(tasks[0].overs, 0);
    assert_int_equal(tasks[1].drops, 1);
    assert_int_equal(add(2, false), -EAGAIN);
    set_gate(true);
    finish(); /* a second time, with more patience */
    assert_int_equal(tasks[0].overs, 1);
}

static void an_unused_pool_ends_too(void **state)
{
    (void)state;
    start(4, 4);
    finish();
}

/* What waits in any case leaves the queue's places to others. */
static void what_always_waits_takes_no_place(void **state)
{
    (void)state;
    start(1, 2);
    assert_int_equal(add(0, true), 0);
    wait_inside(1);
    for (int i = 1; i < 4; i++)
        tasks[i].job.always = true;
    for (int i = 1; i < 6; i++)
        assert_int_equal(add(i, false), 0);
    assert_int_equal(add(6, false), -EAGAIN);
    assert_true(pool_remove(&pool, &tasks[1].job));
    assert_int_equal(add(6, false), -EAGAIN);
    assert_true(pool_remove(&pool, &tasks[4].job));
    assert_int_equal(add(6, false), 0);
    set_gate(true);
    finish();
}

static void no_descriptor_is_left(void **state)
{
    (void)state;
    struct rlimit usual, none;
    for (int opened = 0; opened < 2; opened++) {
        start(1, 2);
        if (opened)
            assert_int_equal(pool_open(&pool), 0);
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &usual), 0);
        none = (struct rlimit){0, usual.rlim_max};
        setrlimit(RLIMIT_NOFILE, &none);
        const int rc = add(0, false);
        setrlimit(RLIMIT_NOFILE, &usual);
        assert_int_equal(rc, opened ? 0 : -EMFILE);
        finish();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_runs_elsewhere),
        cmocka_unit_test(one_thread_keeps_the_order),
        cmocka_unit_test(who_ends_first_comes_first),
        cmocka_unit_test(threads_come_as_they_are_needed),
        cmocka_unit_test(the_queue_has_an_end),
        cmocka_unit_test(what_can_be_taken_back),
        cmocka_unit_test(the_finished_can_be_taken_back),
        cmocka_unit_test(one_takes_back_its_neighbour),
        cmocka_unit_test(a_job_that_comes_again_leaves_the_loop_its_turn),
        cmocka_unit_test(the_end_drops_and_waits),
        cmocka_unit_test(the_end_does_not_wait_for_ever),
        cmocka_unit_test(an_unused_pool_ends_too),
        cmocka_unit_test(what_always_waits_takes_no_place),
        cmocka_unit_test(no_descriptor_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
