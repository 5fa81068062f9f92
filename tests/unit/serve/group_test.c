/* Streams without a connection: what they have been given stays in their queues, where it is compared with a model that
 * knows nothing of slices. */
#include "serve/group.h"

#include "base/clock.h"
#include "serve/conn.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define GROUPS  3
#define STREAMS 700
#define MOST    4096

struct model {
    struct feed *feed; /* NULL: there is none */
    int group;         /* -1: in none */
    bool closed;
    int n, expected[MOST];
};

static struct loop loop;
static struct ipc_slot slot;
static struct serve serve = {.loop = &loop, .slot = &slot};
static struct group *groups[GROUPS];
static struct model models[STREAMS];
static int next_number, ended;

static void make_group(int i)
{
    static const cs_group_opts opts = {.size = sizeof opts};
    groups[i] = group_new(&loop, &opts);
}

static void on_close(cs_stream *s, void *arg)
{
    struct model *m = arg;
    assert_ptr_equal(feed_of(s), m->feed);
    assert_int_equal(feed_send(m->feed, CS_S("x")), CS_CLOSED);
    *m = (struct model){.group = -1};
    ended++;
}

static struct model *make(int i)
{
    struct model *m = &models[i];
    *m = (struct model){.feed = feed_new(&serve), .group = -1};
    feed_on_close(m->feed, (struct feed_call){on_close, m, 0});
    return m;
}

static void turn(void)
{
    loop_reap(&loop);
}

static void turns(void)
{
    for (int i = 0; i < 1000 && !list_empty(&loop.tasks); i++)
        turn();
    assert_true(list_empty(&loop.tasks));
}

static void expect(struct model *m, int number)
{
    assert_in_range(m->n, 0, MOST - 1);
    m->expected[m->n++] = number;
}

static void send_group(int g)
{
    struct feed_msg *msg = feed_msg_new(sizeof(int));
    memcpy(msg->data, &next_number, sizeof(int));
    group_send(groups[g], msg);
    for (int i = 0; i < STREAMS; i++)
        if (models[i].feed && models[i].group == g)
            expect(&models[i], next_number);
    next_number++;
}

static void send_one(struct model *m)
{
    int rc = feed_send(m->feed, (cs_str){(const char *)&next_number, sizeof(int)});
    assert_int_equal(rc, m->closed ? CS_CLOSED : CS_OK);
    if (!m->closed)
        expect(m, next_number++);
}

static void join(struct model *m, int g)
{
    int rc = group_join(groups[g], m->feed);
    assert_int_equal(rc, m->closed ? CS_CLOSED : CS_OK);
    if (!m->closed)
        m->group = g;
}

static void close_one(struct model *m)
{
    feed_close(m->feed);
    m->closed = true;
    m->group = -1;
}

static void end_one(struct model *m)
{
    feed_end(m->feed);
    m->closed = true;
    m->group = -1;
    m->n = 0;
}

static void end_group(int g)
{
    group_end(groups[g]);
    for (int i = 0; i < STREAMS; i++)
        if (models[i].feed && models[i].group == g) {
            models[i].closed = true;
            models[i].group = -1;
        }
    make_group(g);
}

static void compare(const struct model *m, bool all)
{
    const struct feed *f = m->feed;
    if (f->over)
        return;
    assert_in_range(f->n, all ? m->n : 0, m->n);
    assert_int_equal(f->queued, f->n * sizeof(int));
    for (uint32_t i = 0; i < f->n; i++) {
        int number;
        memcpy(&number, f->queue[(f->first + i) & (f->room - 1)]->data, sizeof(int));
        assert_int_equal(number, m->expected[i]);
    }
}

static void compare_all(bool all)
{
    size_t sizes[GROUPS] = {0};
    for (int i = 0; i < STREAMS; i++) {
        if (!models[i].feed)
            continue;
        compare(&models[i], all);
        if (models[i].group >= 0)
            sizes[models[i].group]++;
    }
    for (int g = 0; g < GROUPS; g++)
        assert_int_equal(group_size(groups[g]), sizes[g]);
}

static int setup(void **state)
{
    (void)state;
    clock_update();
    next_number = ended = 0;
    memset(models, 0, sizeof models);
    assert_int_equal(loop_init(&loop, 8), 0);
    for (int i = 0; i < GROUPS; i++)
        make_group(i);
    return 0;
}

/* All memory is given back: the leak check says so. */
static int teardown(void **state)
{
    (void)state;
    for (int i = 0; i < STREAMS; i++)
        if (models[i].feed)
            end_one(&models[i]);
    for (int i = 0; i < GROUPS; i++)
        group_end(groups[i]);
    turns();
    loop_free(&loop);
    return 0;
}

static void test_slices(void **state)
{
    (void)state;
    for (int i = 0; i < STREAMS; i++)
        join(make(i), 0);
    send_group(0);
    assert_int_equal(models[0].feed->n, 0);
    for (int done = GROUP_SLICE; done < STREAMS + GROUP_SLICE; done += GROUP_SLICE) {
        int given = 0;
        turn();
        for (int i = 0; i < STREAMS; i++)
            given += models[i].feed->n == 1;
        assert_int_equal(given, done < STREAMS ? done : STREAMS);
    }
    assert_true(list_empty(&loop.tasks));
}

static void test_what_is_sent_meanwhile(void **state)
{
    (void)state;
    for (int i = 0; i < STREAMS - 1; i++)
        join(make(i), 0);
    send_group(0);
    turn();
    send_group(0); /* some have the first, others not */
    join(make(STREAMS - 1), 0);
    send_group(0);
    turn();
    compare_all(false);
    turns();
    compare_all(true);
    assert_int_equal(models[STREAMS - 1].feed->n, 1);
}

static void test_one_copy(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++)
        join(make(i), 0);
    send_group(0);
    turns();
    assert_int_equal(models[0].feed->queue[0]->refs, 10);
    assert_ptr_equal(models[0].feed->queue[0], models[9].feed->queue[0]);
}

static void test_nobody_is_there(void **state)
{
    (void)state;
    send_group(0);
    assert_true(list_empty(&loop.tasks));
    join(make(0), 0);
    send_group(0);
    end_one(&models[0]);
    turns();
    assert_int_equal(ended, 1);
    assert_int_equal(group_size(groups[0]), 0);
}

static void test_full(void **state)
{
    (void)state;
    const cs_group_opts opts = {.size = sizeof opts, .max_streams = 2};
    struct group *g = group_new(&loop, &opts);
    assert_int_equal(group_join(g, make(0)->feed), CS_OK);
    assert_int_equal(group_join(g, make(1)->feed), CS_OK);
    assert_int_equal(group_join(g, make(2)->feed), 503);
    assert_int_equal(group_join(g, models[1].feed), CS_OK);
    end_one(&models[0]);
    assert_int_equal(group_join(g, models[2].feed), CS_OK);
    group_end(g);
    for (int i = 1; i < 3; i++)
        models[i].closed = true;
    turns();
}

/* A full ring of references grows, and goes back when it is empty. */
static void test_queue(void **state)
{
    (void)state;
    struct model *m = make(0);
    for (int i = 0; i < 1000; i++)
        send_one(m);
    compare(m, true);
    assert_ptr_not_equal(m->feed->queue, m->feed->few);
    end_one(m);
    assert_ptr_equal(m->feed->queue, m->feed->few);
}

static void on_drain(cs_stream *s, void *arg)
{
    (void)s;
    ++*(int *)arg;
}

/* What the group has been sent waits, though it has not been given yet. */
static void test_what_waits(void **state)
{
    int drains = 0;
    (void)state;
    struct model *m = make(0);
    join(m, 0);
    assert_int_equal(feed_queued(m->feed), 0);
    feed_on_drain(m->feed, (struct feed_call){on_drain, &drains, 0});
    turns();
    assert_int_equal(drains, 1);
    feed_on_drain(m->feed, (struct feed_call){on_drain, &drains, 0});
    send_group(0);
    turns();
    assert_int_equal(drains, 1);
    send_group(0);
    assert_int_equal(feed_queued(m->feed), 2 * sizeof(int));
    compare(m, true);
    turns();
    compare(m, true);
    assert_int_equal(drains, 1);
}

static void test_slow(void **state)
{
    static const struct {
        const char *label;
        bool head, blocked, paused, slow;
    } rows[] = {
        {"the socket is full", false, true, false, true},
        {"its turn is over", false, false, true, false},
        {"its head has not left", true, false, false, false},
        {"its head has not left, and the turn is over", true, false, true, false},
        {"its head has not left: the socket is full", true, true, false, true},
    };
    static const cs_group_opts opts = {.size = sizeof opts, .high_water = 5};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct request head;
        struct conn c = {.serve = &serve, .running = true};
        struct group *g = group_new(&loop, &opts);
        struct model *m = make(0);
        struct feed *f = m->feed;
        c.first = rows[i].head ? &head : NULL;
        c.blocked = rows[i].blocked;
        c.paused = rows[i].paused;
        c.feed = f;
        f->conn = &c;
        assert_int_equal(feed_send(f, CS_S("123456789")), CS_OK);
        assert_int_equal(group_join(g, f), CS_OK);
        struct feed_msg *msg = feed_msg_new(1);
        msg->data[0] = 'x';
        group_send(g, msg);
        group_catch_up(f);
        if (f->over != rows[i].slow || c.broken != rows[i].slow)
            fail_msg("%s: %s", rows[i].label, f->over ? "slow" : "not slow");
        feed_end(f);
        group_end(g);
        turns();
    }
    printf("rows: %zu\n", ARRAY_LEN(rows));
}

static struct model *any(void)
{
    struct model *m = &models[rand() % STREAMS];
    return m->feed && !m->feed->over ? m : NULL;
}

static void step(void)
{
    int what = rand() % 100, g = rand() % GROUPS, i = rand() % STREAMS;
    struct model *m = any();
    if (what < 20 && !models[i].feed)
        join(make(i), g);
    else if (what < 45)
        send_group(g);
    else if (what < 55)
        turn();
    else if (what < 56)
        end_group(g);
    else if (!m)
        return;
    else if (what < 70)
        send_one(m);
    else if (what < 85)
        join(m, g);
    else if (what < 88)
        close_one(m);
    else if (what < 92)
        end_one(m);
}

static void test_anything(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 20; seed++) {
        srand(seed);
        for (int i = 0; i < STREAMS; i += 2)
            if (!models[i].feed)
                join(make(i), i % GROUPS);
        for (int i = 0; i < 2000; i++) {
            step();
            if (i % 100 == 0)
                compare_all(false);
        }
        turns();
        compare_all(true);
        for (int i = 0; i < STREAMS; i++)
            if (models[i].feed && models[i].n > MOST / 2)
                end_one(&models[i]);
        turns();
    }
    assert_in_range(ended, 100, 1000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_slices, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_sent_meanwhile, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_copy, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nobody_is_there, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full, setup, teardown),
        cmocka_unit_test_setup_teardown(test_queue, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_slow, setup, teardown),
        cmocka_unit_test_setup_teardown(test_anything, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
