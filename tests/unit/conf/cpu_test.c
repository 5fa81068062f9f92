/* [server] cpu: which lists there are, and what is said about the others. */
#include "conf/cpu.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MOST 4

struct row {
    const char *label;
    const char *elements[MOST + 1];
    enum conf_cpu_mode mode;
    unsigned cpus[8];
    size_t n;
    const char *error; /* a part of it; NULL: good */
    size_t bad;
};

static const struct row rows[] = {
    {"off", {"off"}, CONF_CPU_OFF, {0}, 0, NULL, 0},
    {"auto", {"auto"}, CONF_CPU_AUTO, {0}, 0, NULL, 0},
    {"one", {"3"}, CONF_CPU_LIST, {3}, 1, NULL, 0},
    {"zero", {"0"}, CONF_CPU_LIST, {0}, 1, NULL, 0},
    {"in the order given", {"7", "1"}, CONF_CPU_LIST, {7, 1}, 2, NULL, 0},
    {"a range", {"4-7"}, CONF_CPU_LIST, {4, 5, 6, 7}, 4, NULL, 0},
    {"a range of one", {"5-5"}, CONF_CPU_LIST, {5}, 1, NULL, 0},
    {"both", {"0", "2", "4-6"}, CONF_CPU_LIST, {0, 2, 4, 5, 6}, 5, NULL, 0},
    {"twice", {"1", "1", "0-1"}, CONF_CPU_LIST, {1, 1, 0, 1}, 4, NULL, 0},
    {"the largest", {"8191"}, CONF_CPU_LIST, {8191}, 1, NULL, 0},
    {"too large", {"0", "8192"}, CONF_CPU_LIST, {0}, 0, "\"8192\" is no CPU", 1},
    {"negative", {"-1"}, CONF_CPU_LIST, {0}, 0, "\"-1\" is no CPU", 0},
    {"open range", {"1", "2-"}, CONF_CPU_LIST, {0}, 0, "\"2-\" is no CPU", 1},
    {"range of three", {"1-2-3"}, CONF_CPU_LIST, {0}, 0, "is no CPU", 0},
    {"backwards", {"0", "1", "6-4"}, CONF_CPU_LIST, {0}, 0, "6-4 ends before it begins", 2},
    {"a word", {"all"}, CONF_CPU_LIST, {0}, 0, "allowed: off, auto, or numbers", 0},
    {"empty", {""}, CONF_CPU_LIST, {0}, 0, "is no CPU", 0},
    {"auto with more", {"auto", "1"}, CONF_CPU_LIST, {0}, 0, "\"auto\" stands alone", 0},
    {"off at the end", {"1", "off"}, CONF_CPU_LIST, {0}, 0, "\"off\" stands alone", 1},
    {"hexadecimal", {"0x3"}, CONF_CPU_LIST, {0}, 0, "is no CPU", 0},
    {"a blank inside", {"1 -2"}, CONF_CPU_LIST, {0}, 0, "is no CPU", 0},
};

static void check_row(const struct row *row)
{
    cs_str elements[MOST];
    cs_list list = {0, elements};
    struct conf_cpu cpu;
    struct buf error = {0};
    size_t bad;

    while (row->elements[list.n]) {
        elements[list.n] = str_of(row->elements[list.n]);
        list.n++;
    }
    int rc = conf_cpu_parse(&list, &cpu, &bad, &error);
    if ((rc == 0) != (row->error == NULL))
        fail_msg("%s: %s", row->label, rc ? error.p : "no error");
    if (row->error && (!strstr(error.p, row->error) || bad != row->bad))
        fail_msg("%s: element %zu: %s", row->label, bad, error.p);
    if (!row->error && (cpu.mode != row->mode || cpu.n != row->n))
        fail_msg("%s: mode %d, %zu CPUs", row->label, (int)cpu.mode, cpu.n);
    for (size_t i = 0; i < row->n; i++)
        if (cpu.v[i] != row->cpus[i])
            fail_msg("%s: CPU %zu is %u", row->label, i, cpu.v[i]);
    conf_cpu_free(&cpu);
    buf_free(&error);
}

static void test_lists(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        check_row(&rows[i]);
    printf("rows: %zu\n", sizeof rows / sizeof *rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_lists)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
