/* Looks at a queue, one a second, and what is to be made of them. */
#include "proc/stall.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MOST 12

/* One letter for each look: what is seen, and what the verdict is to be.
 *
 *   seen     .  nobody waits        w  somebody waits, a guilty culprit     m  the same, and somebody has accepted
 *            b  somebody waits, the culprit is not guilty (busy)            n  somebody waits, another culprit
 *   verdict  .  nothing    B  begins    l  lasts    K  kill    A  begins and kill at once    O  over */
struct row {
    const char *label;
    unsigned kill_ms;
    const char *seen, *verdict;
};

static const struct row rows[] = {
    {"nobody waits", 3000, "....", "...."},
    {"one look is nothing", 3000, ".w.w.", "....."},
    {"two looks", 3000, "ww", ".B"},
    {"told once", 9000, "wwwww", ".Blll"},
    {"over when nobody waits", 9000, "www.", ".BlO"},
    {"over when somebody accepts", 9000, "wwm", ".BO"},
    {"over only once", 9000, "ww...", ".BO.."},
    {"waits, but others are accepted", 3000, "wmmmmmm", "......."},
    {"killed after 3 s", 3000, "wwww", ".BlK"},
    {"killed once", 3000, "wwwwwwwww", ".BlKlllll"},
    {"at once, when a look is longer", 500, "wwww", ".All"},
    {"never", 0, "wwwwwwwwwwww",
     ".Blllllllll"
     "l"},
    {"a new stall after an old one", 2000, "www.www", ".BKO.BK"},
    {"busy ones are not killed", 2000, "bbbbbbbb", ".Bllllll"},
    {"guilty later", 2000, "bbbwww", ".BlllK"},
    {"guilty in between only", 3000, "wwwbwwwww", ".BlllllKl"},
    {"the successor of the killed one", 2000, "wwwnnn", ".BKlBK"},
    {"another culprit before anything was told", 2000, "wnnn", "..BK"},
    {"progress resets the time", 3000, "wwmwww", ".BOBlK"},
};

struct eye {
    struct stall stall;
    struct stall_look look;
};

static unsigned see(struct eye *e, char seen, unsigned after_ms, unsigned kill_ms)
{
    e->look.now_ms += after_ms;
    e->look.waiting = seen != '.';
    e->look.guilty = seen != 'b';
    e->look.progress += seen == 'm';
    if (seen == 'n')
        e->look.culprit = 2;
    else if (e->look.culprit == 0)
        e->look.culprit = 1;
    return stall_judge(&e->stall, &e->look, kill_ms);
}

static char letter(unsigned verdict)
{
    switch (verdict) {
    case 0:
        return '.';
    case STALL_LASTS:
        return 'l';
    case STALL_BEGINS | STALL_LASTS:
        return 'B';
    case STALL_KILL | STALL_LASTS:
        return 'K';
    case STALL_BEGINS | STALL_KILL | STALL_LASTS:
        return 'A';
    case STALL_OVER:
        return 'O';
    default:
        return '?';
    }
}

static void test_looks(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct eye e = {.look.now_ms = 1000};
        char got[MOST + 1] = "";

        for (size_t k = 0; k < MOST && rows[i].seen[k]; k++)
            got[k] = letter(see(&e, rows[i].seen[k], STALL_LOOK_MS, rows[i].kill_ms));
        if (strcmp(got, rows[i].verdict) != 0)
            fail_msg("%s: %s instead of %s", rows[i].label, got, rows[i].verdict);
    }
    printf("rows: %zu\n", sizeof rows / sizeof *rows);
}

/* All were suspended together for an hour between two looks. */
static void test_suspended(void **state)
{
    struct eye e = {.look.now_ms = 1000};

    (void)state;
    assert_int_equal(see(&e, 'w', 0, 5000), 0);
    assert_int_equal(letter(see(&e, 'w', 3600000, 5000)), 'B');
    assert_true(e.stall.lasts_ms < 2 * STALL_LOOK_MS);
    assert_int_equal(letter(see(&e, '.', 1000, 5000)), 'O');
}

static void test_how_long(void **state)
{
    struct eye e = {.look.now_ms = 1000};

    (void)state;
    for (int i = 0; i < 4; i++)
        see(&e, 'w', 1000, 0);
    assert_int_equal(letter(see(&e, '.', 1000, 0)), 'O');
    assert_int_equal(e.stall.lasts_ms, 3000);
    see(&e, 'w', 1000, 0);
    see(&e, 'w', 1000, 0);
    assert_int_equal(e.stall.lasts_ms, 1000);
}

static void test_looks_in_a_row(void **state)
{
    struct eye e = {.look.now_ms = 1000};

    (void)state;
    for (unsigned i = 1; i < 8; i++) {
        see(&e, 'm', 1000, 1000);
        assert_int_equal(e.stall.looks, i);
    }
    see(&e, '.', 1000, 1000);
    assert_int_equal(e.stall.looks, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_looks), cmocka_unit_test(test_suspended),
        cmocka_unit_test(test_how_long), cmocka_unit_test(test_looks_in_a_row)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
