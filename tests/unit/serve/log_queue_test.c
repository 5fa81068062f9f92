/* log_queue_test.c - what is written when, and what becomes of lines that cannot be: entries = written + dropped + waiting. */
#include "serve/log_queue.h"

#include "base/check.h"
#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <unistd.h>

#define LINE     "a line of thirty-two characters\n"
#define LINE_LEN (sizeof LINE - 1)

static struct loop loop;
static struct ipc_slot slot;
static struct log_writer writer;
static struct log_queue queue;
static int ends[2];
static uint64_t had;     /* bytes that have come out of the pipe */
static uint64_t stuffed; /* of them, so many lines did not come by the queue */

static uint64_t counter(enum ipc_counter c)
{
    return atomic_load(&slot.counters[c]);
}

/* A pipe whose writer waits for its reader, as a disk that hangs makes its writers wait. */
static int start(void **state)
{
    (void)state;
    clock_freeze();
    clock_advance(1000);
    memset(&slot, 0, sizeof slot);
    assert_int_equal(loop_init(&loop, 16), 0);
    assert_int_equal(pipe(ends), 0);
    log_writer_init(&writer, &loop, &slot, 1);
    log_queue_init(&queue, &writer, "test.log", ends[1]);
    had = stuffed = 0;
    return 0;
}

static int finish(void **state)
{
    (void)state;
    log_queue_free(&queue); /* closes its end */
    close(ends[0]);
    loop_free(&loop);
    clock_thaw();
    return 0;
}

static bool add_line(void)
{
    struct buf *b = log_queue_room(&queue);
    if (!b)
        return false;
    buf_add_z(b, LINE);
    log_queue_added(&queue);
    return true;
}

static void turn(bool wait)
{
    log_writer_before_wait(&writer);
    loop_wait(&loop, wait ? 60000 : 0);
    loop_dispatch(&loop);
    loop_run_timers(&loop);
    loop_reap(&loop);
}

static void wait_idle(void)
{
    while (queue.busy)
        turn(true);
}

/* All that is in the pipe. */
static void take(void)
{
    static char text[1 << 16];
    struct pollfd p = {.fd = ends[0], .events = POLLIN};
    while (poll(&p, 1, 0) > 0) {
        ssize_t n = read(ends[0], text, sizeof text);
        assert_true(n >= 0);
        if (n == 0)
            return;
        for (ssize_t i = 0; i < n; i++, had++)
            assert_int_equal(text[i], LINE[had % LINE_LEN]);
    }
}

/* From now on writing hangs. */
static void stuff(void)
{
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    while (write(ends[1], LINE, LINE_LEN) == LINE_LEN)
        stuffed++;
    fcntl(ends[1], F_SETFL, 0);
}

static void end(void)
{
    assert_true(log_writer_end(&writer, 60000));
    take();
    assert_int_equal(counter(IPC_LOG_LINES) + stuffed, had / LINE_LEN);
    assert_int_equal(had % LINE_LEN, 0);
    assert_int_equal(counter(IPC_LOG_ENTRIES), counter(IPC_LOG_LINES) + counter(IPC_LOG_DROPPED));
}

static void at_once_and_then_together(void **state)
{
    (void)state;
    assert_true(add_line());
    turn(false);
    wait_idle();
    take();
    assert_int_equal(had, LINE_LEN);
    for (int i = 0; i < 100; i++) {
        assert_true(add_line());
        turn(false);
        assert_false(queue.busy);
    }
    assert_true(timer_is_set(&writer.wake));
    clock_advance(LOG_FLUSH_MS);
    turn(false);
    wait_idle();
    take();
    assert_int_equal(had, 101 * LINE_LEN);
    assert_int_equal(writer.pool.serial, 2); /* so many jobs */
    assert_int_equal(writer.pool.nthreads, 1);
    end();
}

static void a_full_buffer_goes_at_once(void **state)
{
    (void)state;
    assert_true(add_line());
    turn(false);
    wait_idle();
    for (size_t i = 0; i < LOG_FLUSH_AT / LINE_LEN; i++) {
        assert_false(queue.busy);
        assert_true(add_line());
    }
    assert_true(queue.busy);
    wait_idle();
    assert_int_equal(counter(IPC_LOG_LINES), LOG_FLUSH_AT / LINE_LEN + 1);
    end();
}

static void fill_up(void)
{
    while (add_line())
        ;
}

static void what_does_not_fit_is_dropped(void **state)
{
    (void)state;
    uint64_t before;
    stuff();
    fill_up();
    assert_true(queue.busy);
    assert_in_range(queue.lines.n + queue.full.n, LOG_KEEP, LOG_KEEP + LINE_LEN);
    assert_int_equal(counter(IPC_LOG_DROPPED), 1);
    for (int i = 0; i < 1000; i++)
        assert_false(add_line());
    assert_int_equal(counter(IPC_LOG_DROPPED), 1001);
    assert_int_equal(queue.lost, 1001);
    before = counter(IPC_LOG_ENTRIES);
    while (queue.busy || queue.lines.n || queue.full.n) {
        clock_advance(LOG_FLUSH_MS);
        take();
        turn(false);
    }
    assert_int_equal(queue.lost, 0); /* told */
    assert_int_equal(counter(IPC_LOG_LINES), before - 1001);
    assert_true(queue.lines.cap <= LOG_KEEP / 4 && queue.full.cap <= LOG_KEEP / 4);
    assert_true(add_line());
    end();
}

static void loss_is_told_once_a_minute(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 3; i++) {
        stuff();
        fill_up();
        while (queue.busy || queue.lines.n || queue.full.n) {
            if (!queue.busy)
                clock_advance(LOG_FLUSH_MS);
            take();
            turn(false);
        }
        assert_int_equal(queue.lost, i); /* all but the first wait */
    }
    clock_advance(60000);
    assert_true(add_line());
    turn(false);
    wait_idle();
    assert_int_equal(queue.lost, 0);
    end();
}

static void another_file_while_the_old_one_hangs(void **state)
{
    (void)state;
    int other[2], third[2];
    char text[100];
    assert_int_equal(pipe(other), 0);
    assert_int_equal(pipe(third), 0);
    stuff();
    while (!queue.busy || queue.lines.n < LOG_FLUSH_AT * 3)
        assert_true(add_line());
    log_queue_move(&queue, other[1]);
    assert_true(log_writer_is_moving(&writer));
    log_queue_move(&queue, third[1]); /* a second rotation */
    assert_int_equal(read(other[0], text, 1), 0);
    turn(false);
    assert_true(log_writer_is_moving(&writer));
    while (log_writer_is_moving(&writer)) {
        take();
        turn(false);
    }
    take();
    assert_int_equal(fcntl(ends[1], F_GETFD), -1);
    assert_int_equal(counter(IPC_LOG_LINES) + stuffed, had / LINE_LEN);
    assert_true(queue.lines.n > 0);
    assert_int_equal(read(ends[0], text, 1), 0); /* nobody has it open */
    close(ends[0]);
    ends[0] = third[0];
    close(other[0]);
    while (queue.busy || queue.lines.n || queue.full.n) {
        clock_advance(LOG_FLUSH_MS);
        take();
        turn(false);
    }
    end();
}

static void a_move_with_nothing_under_way(void **state)
{
    (void)state;
    int other[2];
    assert_int_equal(pipe(other), 0);
    assert_true(add_line());
    turn(false);
    wait_idle();
    assert_true(add_line());
    log_queue_move(&queue, other[1]);
    assert_false(log_writer_is_moving(&writer));
    take();
    assert_int_equal(had, LINE_LEN);
    close(ends[0]);
    ends[0] = other[0];
    end();
}

static void an_end_in_a_hurry(void **state)
{
    (void)state;
    assert_true(log_writer_hurry(&writer, false));
    assert_true(add_line());
    assert_false(log_writer_hurry(&writer, false));
    wait_idle();
    assert_true(log_writer_hurry(&writer, false));
    assert_true(add_line());
    while (!log_writer_hurry(&writer, false))
        turn(true);
    take();
    assert_int_equal(had, 2 * LINE_LEN);
    end();
}

/* Only who has no deadline of its own gives up. */
static void an_end_while_it_hangs(void **state)
{
    (void)state;
    stuff();
    assert_true(add_line());
    assert_false(log_writer_hurry(&writer, false));
    clock_advance(LOG_LAST_MS - 1);
    turn(false);
    assert_false(log_writer_hurry(&writer, false));
    clock_advance(1);
    turn(false);
    assert_true(log_writer_hurry(&writer, false));
    assert_false(log_writer_hurry(&writer, true));
    take();
    wait_idle();
    assert_true(log_writer_hurry(&writer, true));
    end();
}

static void a_file_that_fails(void **state)
{
    (void)state;
    int full = open("/dev/full", O_WRONLY), old = queue.sink.fd;
    assert_true(full >= 0);
    queue.sink.fd = full;
    for (int i = 0; i < 5; i++) {
        assert_true(add_line());
        turn(false);
        wait_idle();
    }
    assert_int_equal(writer.pool.serial, 1); /* tried once, and then for a while not */
    for (unsigned n = 1; n <= LOG_LAST_MS / LOG_RETRY_MS; n++) {
        assert_int_equal(writer.pool.serial, n);
        assert_false(log_writer_hurry(&writer, true));
        clock_advance(LOG_RETRY_MS);
        turn(false);
        wait_idle();
    }
    assert_true(log_writer_hurry(&writer, true)); /* it is beyond hope */
    queue.sink.fd = old;
    close(full);
    clock_advance(LOG_RETRY_MS);
    turn(false);
    wait_idle();
    end();
    assert_int_equal(had, 5 * LINE_LEN);
}

/* It is looked after each second, the others' lines go as they do without it. */
static void a_file_that_fails_holds_up_no_other(void **state)
{
    (void)state;
    struct log_queue full;
    int fd = open("/dev/full", O_WRONLY);
    assert_true(fd >= 0);
    log_queue_init(&full, &writer, "full.log", fd);
    buf_add_z(log_queue_room(&full), LINE);
    log_queue_added(&full);
    turn(false);
    while (full.busy)
        turn(true);
    turn(false);
    assert_int_equal(writer.wake.due, clock_ms() + LOG_RETRY_MS);
    for (int i = 0; i < 2; i++) {
        assert_true(add_line());
        turn(false);
        wait_idle();
    }
    assert_int_equal(queue.lines.n, LINE_LEN);
    turn(false);
    assert_in_range(writer.wake.due, clock_ms(), clock_ms() + LOG_FLUSH_MS);
    assert_true(log_writer_end(&writer, 60000));
    log_queue_free(&full);
}

/* Until the thread has the job. */
static void wait_writing(void)
{
    unsigned n = 0;
    while (n == 0) {
        pthread_mutex_lock(&writer.pool.lock);
        n = writer.pool.nrunning;
        pthread_mutex_unlock(&writer.pool.lock);
        sched_yield();
    }
}

/* The thread is still there after that, and so is all that it uses. */
static void an_end_that_does_not_wait(void **state)
{
    (void)state;
    stuff();
    fill_up();
    wait_writing();
    clock_thaw();
    assert_false(log_writer_end(&writer, 1));
    assert_true(counter(IPC_LOG_ENTRIES) > counter(IPC_LOG_LINES) + counter(IPC_LOG_DROPPED));
    while (!pool_close(&writer.pool, 0))
        take();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(at_once_and_then_together, start, finish),
        cmocka_unit_test_setup_teardown(a_full_buffer_goes_at_once, start, finish),
        cmocka_unit_test_setup_teardown(what_does_not_fit_is_dropped, start, finish),
        cmocka_unit_test_setup_teardown(loss_is_told_once_a_minute, start, finish),
        cmocka_unit_test_setup_teardown(another_file_while_the_old_one_hangs, start, finish),
        cmocka_unit_test_setup_teardown(a_move_with_nothing_under_way, start, finish),
        cmocka_unit_test_setup_teardown(an_end_in_a_hurry, start, finish),
        cmocka_unit_test_setup_teardown(an_end_while_it_hangs, start, finish),
        cmocka_unit_test_setup_teardown(a_file_that_fails, start, finish),
        cmocka_unit_test_setup_teardown(a_file_that_fails_holds_up_no_other, start, finish),
        cmocka_unit_test_setup_teardown(an_end_that_does_not_wait, start, finish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
