/* The outbox keeps order and bytes whatever comes and goes, refuses what is too much, and gives its memory back. */
#include "ipc/outbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char data[IPC_MAIL_MAX];

static bool add(struct outbox *o, uint64_t number, size_t len, struct mail_receipt *receipt)
{
    struct ipc_mail_record rec = {.number = number, .len = (uint32_t)len};
    memset(data, (int)(number % 251), len);
    return outbox_add(o, &rec, data, receipt);
}

static void expect_first(const struct outbox *o, uint64_t number)
{
    const struct outbox_entry *e = outbox_first(o);
    assert_non_null(e);
    assert_int_equal(e->rec.number, number);
    for (size_t i = 0; i < e->rec.len; i++)
        assert_int_equal((unsigned char)e->data[i], number % 251);
}

static void test_comes_and_goes(void **state)
{
    struct outbox o = {0};
    uint64_t in = 0, out = 0;
    unsigned seed = 7;
    (void)state;
    for (int step = 0; step < 20000; step++) {
        size_t len = (size_t)rand_r(&seed) % (step % 100 == 0 ? IPC_MAIL_MAX + 1 : 200);
        bool grow = in - out < (step / 1000 % 2 ? 5 : 200);
        if (grow && add(&o, in, len, NULL)) {
            in++;
        } else if (outbox_first(&o)) {
            expect_first(&o, out++);
            outbox_drop_first(&o);
        }
    }
    assert_true(in > 5000);
    assert_int_equal(outbox_clear(&o), in - out);
    assert_int_equal(o.bytes, 0);
    assert_null(outbox_first(&o));
}

static void test_is_full(void **state)
{
    struct outbox o = {0};
    uint64_t n = 0;
    (void)state;
    while (add(&o, n, IPC_MAIL_MAX, NULL))
        n++;
    assert_in_range(n, OUTBOX_MAX / IPC_MAIL_MAX - 1, OUTBOX_MAX / IPC_MAIL_MAX);
    assert_true(n > 50); /* so many of the largest may be sent in one go */
    while (add(&o, n, 0, NULL))
        n++;
    assert_true(o.bytes <= OUTBOX_MAX);
    for (uint64_t i = 0; i < n; i++) {
        expect_first(&o, i);
        outbox_drop_first(&o);
    }
    assert_int_equal(o.bytes, 0);
    assert_true(add(&o, 0, IPC_MAIL_MAX, NULL));
    assert_int_equal(outbox_clear(&o), 1);
}

static void test_forgets_a_receipt(void **state)
{
    struct outbox o = {0};
    struct mail_receipt *a = (void *)&o, *b = (void *)data;
    (void)state;
    add(&o, 0, 10, a);
    add(&o, 1, 10, b);
    outbox_forget(&o, a);
    assert_null(outbox_first(&o)->receipt);
    outbox_drop_first(&o);
    assert_ptr_equal(outbox_first(&o)->receipt, b);
    outbox_clear(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_comes_and_goes),
        cmocka_unit_test(test_is_full),
        cmocka_unit_test(test_forgets_a_receipt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
