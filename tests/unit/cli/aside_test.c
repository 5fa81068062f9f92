/* Work in a child: what it leaves, and how it can fail to. */
#include "cli/aside.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void say_little(void *arg, struct buf *out)
{
    buf_add_z(out, arg);
}

static void say_much(void *arg, struct buf *out)
{
    (void)arg;
    memset(buf_reserve(out, 70u << 20), 'x', 70u << 20);
    buf_added(out, 70u << 20);
}

static void die(void *arg, struct buf *out)
{
    (void)out;
    aside_doing(arg);
    raise(SIGKILL);
}

static void test_all(void **state)
{
    static const struct {
        const char *label;
        void (*work)(void *arg, struct buf *out);
        const char *arg, *out, *told; /* out: NULL where it is not whole */
    } rows[] = {
        {"some words", say_little, "some words", "some words", NULL},
        {"nothing", say_little, "", "", NULL},
        {"a death", die, "dying", NULL, "dying: the process that tried it was killed by SIGKILL"},
        {"too much", say_much, NULL, NULL,
         "beginning: the process that tried it had more than 64 MB to say"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf told = {0};
        struct aside a;

        alarm(60); /* it must not wait for ever */
        print_message("%s\n", rows[i].label);
        assert_int_equal(aside_run(&a, rows[i].work, (void *)(uintptr_t)rows[i].arg), 0);
        assert_int_equal(a.whole, rows[i].out != NULL);
        if (rows[i].out)
            assert_string_equal(a.out.p, rows[i].out);
        aside_tell(&a, &told);
        if (rows[i].told)
            assert_string_equal(told.p, rows[i].told);
        buf_free(&told);
        aside_free(&a);
    }
    alarm(0);
    printf("rows: %zu\n", sizeof rows / sizeof *rows);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {cmocka_unit_test(test_all)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
