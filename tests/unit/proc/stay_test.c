/* Stays in a module's code: stories of looks, and the verdict of each. */
#include "proc/stay.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define LOOKS 12

struct row {
    const char *label;
    struct stay_limits limits;
    struct {
        uint64_t now;
        uint32_t incarnation;
        uint64_t since; /* 0: outside */
        bool held;
        unsigned verdict;
        bool waits, dumping;
    } looks[LOOKS]; /* ends with now 0 */
};

static const struct row rows[] = {
    {"never inside", {250, 1000}, {{1000, 1, 0, 0, 0}, {2000, 1, 0, 0, 0}}},
    {"short stays, one after the other",
     {250, 1000},
     {{1100, 1, 1000, 0, 0}, {1300, 1, 1200, 0, 0}, {1500, 1, 1400, 0, 0}, {1600, 1, 0, 0, 0}}},
    {"told once, at the second look",
     {250, 0},
     {{1300, 1, 1000, 0, 0},
      {1301, 1, 1000, 0, STAY_LONG},
      {1400, 1, 1000, 0, 0},
      {9000, 1, 1000, 0, 0}}},
    {"told when the time has come",
     {250, 0},
     {{1100, 1, 1000, 0, 0}, {1249, 1, 1000, 0, 0}, {1250, 1, 1000, 0, STAY_LONG}}},
    {"over",
     {250, 0},
     {{1100, 1, 1000, 0, 0},
      {1300, 1, 1000, 0, STAY_LONG},
      {1400, 1, 0, 0, 0},
      {1500, 1, 0, 0, 0}}},
    {"over, and inside again",
     {250, 0},
     {{1100, 1, 1000, 0, 0},
      {1300, 1, 1000, 0, STAY_LONG},
      {1400, 1, 1390, 0, 0},
      {1700, 1, 1390, 0, STAY_LONG}}},
    {"died in it: nothing to say",
     {250, 0},
     {{1100, 1, 1000, 0, 0},
      {1300, 1, 1000, 0, STAY_LONG},
      {1400, 0, 0, 0, 0},
      {1500, 2, 0, 0, 0}}},
    {"died, and the next one is inside",
     {250, 0},
     {{1100, 1, 1000, 0, 0},
      {1300, 1, 1000, 0, STAY_LONG},
      {1400, 2, 1350, 0, 0},
      {1650, 2, 1350, 0, STAY_LONG}}},
    {"aborted, then killed, once each",
     {250, 1000},
     {{1100, 1, 1000, 0, 0},
      {1300, 1, 1000, 0, STAY_LONG},
      {1999, 1, 1000, 0, 0},
      {2000, 1, 1000, 0, STAY_ABORT},
      {2100, 1, 1000, 0, 0},
      {11999, 1, 1000, 0, 0},
      {12000, 1, 1000, 0, STAY_KILL},
      {13000, 1, 1000, 0, 0}}},
    {"its core file is waited for",
     {0, 1000},
     {{1100, 1, 1000, 0, 0},
      {2100, 1, 1000, 0, STAY_ABORT},
      {12500, 1, 1000, 0, 0, .dumping = true},
      {302000, 1, 1000, 0, 0, .dumping = true},
      {302100, 1, 1000, 0, STAY_KILL, .dumping = true}}},
    {"its core file has been written, and it is still there",
     {0, 1000},
     {{1100, 1, 1000, 0, 0},
      {2100, 1, 1000, 0, STAY_ABORT},
      {12500, 1, 1000, 0, 0, .dumping = true},
      {12600, 1, 1000, 0, STAY_KILL}}},
    {"who waits for another is told of, and not ended",
     {250, 1000},
     {{1100, 1, 1000, 0, 0, .waits = true},
      {1300, 1, 1000, 0, STAY_LONG, .waits = true},
      {2500, 1, 1000, 0, 0, .waits = true},
      {4000, 1, 1000, 0, 0, .waits = true},
      {4900, 1, 1000, 0, 0},
      {5000, 1, 1000, 0, STAY_ABORT}}},
    {"only killing",
     {0, 1000},
     {{1100, 1, 1000, 0, 0}, {1900, 1, 1000, 0, 0}, {2100, 1, 1000, 0, STAY_ABORT}}},
    {"both at once",
     {250, 1000},
     {{1100, 1, 1000, 0, 0}, {2400, 1, 1000, 0, STAY_LONG | STAY_ABORT}}},
    {"neither", {0, 0}, {{1100, 1, 1000, 0, 0}, {90000, 1, 1000, 0, 0}}},
    {"held: the time does not count",
     {250, 1000},
     {{1100, 1, 1000, 0, 0},
      {1400, 1, 1000, 1, 0},
      {9000, 1, 1000, 1, 0},
      {9100, 1, 1000, 0, 0},
      {9150, 1, 1000, 0, STAY_LONG}}},
    {"held after it was told",
     {250, 1000},
     {{1100, 1, 1000, 0, 0},
      {1300, 1, 1000, 0, STAY_LONG},
      {2500, 1, 1000, 1, 0},
      {4000, 1, 1000, 1, 0},
      {4600, 1, 1000, 0, 0},
      {4700, 1, 1000, 0, STAY_ABORT}}},
    {"suspended with the master: one long look counts little",
     {250, 30000},
     {{1100, 1, 1000, 0, 0}, {1300, 1, 1000, 0, STAY_LONG}, {90000, 1, 1000, 0, 0}}},
    {"the first look comes late",
     {250, 30000},
     {{90000, 1, 1000, 0, 0}, {90100, 1, 1000, 0, STAY_LONG}}},
};

static void test_stories(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct stay s = {0};
        for (size_t k = 0; k < LOOKS && rows[i].looks[k].now; k++) {
            struct stay_look look = {.now_ms = rows[i].looks[k].now,
                                     .incarnation = rows[i].looks[k].incarnation,
                                     .inside = rows[i].looks[k].since != 0,
                                     .since_ms = rows[i].looks[k].since,
                                     .held = rows[i].looks[k].held,
                                     .waits = rows[i].looks[k].waits,
                                     .dumping = rows[i].looks[k].dumping};
            unsigned got = stay_judge(&s, &look, &rows[i].limits);
            if (got != rows[i].looks[k].verdict)
                fail_msg("%s: look %zu: got %u, expected %u", rows[i].label, k, got,
                         rows[i].looks[k].verdict);
        }
    }
    print_message("rows: %zu\n", sizeof rows / sizeof *rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_stories)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
