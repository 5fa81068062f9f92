/* Which worker accepts from which socket. */
#include "proc/deal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MOST 8

/* ready: pairs of slot and position; owners: the slot of each socket. Both end at 0; slots are from 4 on. */
struct row {
    const char *label;
    struct deal_worker ready[MOST];
    size_t n;
    int32_t owners[MOST];
};

static const struct row rows[] = {
    {"no socket", {{4, 0}, {5, 1}}, 0, {0}},
    {"nobody and nothing", {{0}}, 0, {0}},
    {"nobody is ready", {{0}}, 3, {-1, -1, -1}},
    {"one for each", {{4, 0}, {5, 1}, {6, 2}}, 3, {4, 5, 6}},
    {"a worker alone", {{9, 0}}, 1, {9}},
    {"a worker alone has all", {{9, 0}}, 4, {9, 9, 9, 9}},
    {"alone at another position", {{9, 2}}, 4, {9, 9, 9, 9}},
    {"slots in another order", {{4, 2}, {5, 0}, {6, 1}}, 3, {5, 6, 4}},
    {"half as many as before", {{7, 0}, {8, 1}}, 4, {7, 8, 7, 8}},
    {"three for eight", {{7, 0}, {8, 1}, {9, 2}}, 8, {7, 8, 9, 7, 8, 9, 7, 8}},
    {"the first has died", {{5, 1}, {6, 2}}, 3, {5, 5, 6}},
    {"the one in the middle has died", {{4, 0}, {6, 2}}, 3, {4, 6, 6}},
    {"the last has died", {{4, 0}, {5, 1}}, 3, {4, 5, 4}},
    {"two have died", {{4, 0}, {7, 3}}, 4, {4, 7, 4, 7}},
    {"a successor in another slot", {{4, 0}, {9, 1}, {6, 2}}, 3, {4, 9, 6}},
    {"old and new at one position", {{4, 0}, {5, 1}, {9, 1}}, 2, {4, 5}},
    {"more workers than sockets", {{4, 0}, {5, 1}, {6, 2}}, 2, {4, 5}},
    {"only workers behind the last socket", {{8, 4}, {9, 5}}, 2, {8, 9}},
};

static void judge(const struct row *r)
{
    int32_t owners[MOST + 1];
    size_t nready = 0;

    while (nready < MOST && r->ready[nready].slot)
        nready++;
    memset(owners, 0x55, sizeof owners);
    deal_sockets(owners, r->n, r->ready, nready);
    for (size_t i = 0; i < r->n; i++)
        if (owners[i] != r->owners[i])
            fail_msg("%s: socket %zu is with %d, not with %d", r->label, i, owners[i],
                     r->owners[i]);
    if (owners[r->n] != 0x55555555)
        fail_msg("%s: written behind the end", r->label);
}

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        judge(&rows[i]);
    printf("rows: %zu\n", sizeof rows / sizeof *rows);
}

/* Whoever lives: every socket has an owner that is ready, and who has a position among the sockets has its own. */
static void test_any_subset(void **state)
{
    (void)state;
    for (unsigned set = 1; set < 1u << MOST; set++) {
        struct deal_worker ready[MOST];
        int32_t owners[MOST];
        size_t nready = 0;

        for (unsigned p = 0; p < MOST; p++)
            if (set & 1u << p)
                ready[nready++] = (struct deal_worker){.slot = (int)(40 - p), .position = p};
        deal_sockets(owners, MOST, ready, nready);
        for (unsigned s = 0; s < MOST; s++) {
            unsigned position = (unsigned)(40 - owners[s]);

            assert_true(position < MOST && (set & 1u << position));
            if (set & 1u << s)
                assert_int_equal(position, s);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows),
                                       cmocka_unit_test(test_any_subset)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
