/* table_test.c - tables that a module should not have. */
#include "fake.h"

struct conf_of {
    int64_t number;
    cs_str text;
    bool flag;
};

static const char *const words[] = {"a", "b", NULL}, *const no_words[] = {NULL};

static const struct {
    const char *label, *words; /* words NULL: the table is fine */
    cs_directive d[3];
} rows[] = {
    {"fine", NULL, {CS_INT(struct conf_of, number, "5", 1, 9, 0, "h"), CS_END}},
    {"no keys", NULL, {CS_END}},
    {"needed, so no default",
     NULL,
     {CS_INT(struct conf_of, number, NULL, 1, 9, CS_REQUIRED, "h"), CS_END}},
    {"two keys of one member",
     NULL,
     {CS_BOOL(struct conf_of, flag, "on", 0, "h"),
      {"other", CS_T_BOOL, 0, offsetof(struct conf_of, flag), 0, 0, 1, 0, "h"},
      CS_END}},
    {"no range", NULL, {CS_INT(struct conf_of, number, "-77", 0, 0, 0, "h"), CS_END}},
    {"default out of range",
     "default of the key \"number\"|too large",
     {CS_INT(struct conf_of, number, "10", 1, 9, 0, "h"), CS_END}},
    {"default of another type",
     "not a whole number",
     {CS_INT(struct conf_of, number, "x", 1, 9, 0, "h"), CS_END}},
    {"nothing is out of range",
     "too small",
     {CS_INT(struct conf_of, number, NULL, 1, 9, 0, "h"), CS_END}},
    {"default too short", "is empty", {CS_STRING(struct conf_of, text, "", 1, 9, 0, "h"), CS_END}},
    {"unknown type", "unknown type", {{"k", 77, 0, 0, 0, 0, 0, 0, "h"}, CS_END}},
    {"one of what",
     "CS_ONE_OF without CS_REQUIRED",
     {{"k", CS_T_INT, CS_ONE_OF, 0, 0, 0, 0, 0, "h"}, CS_END}},
    {"unknown flag", "unknown flag", {{"k", CS_T_INT, 64, 0, 0, 0, 0, 0, "h"}, CS_END}},
    {"outside",
     "outside the struct",
     {{"k", CS_T_STR, 0, sizeof(struct conf_of), 0, 0, 0, 0, "h"}, CS_END}},
    {"half outside",
     "outside the struct",
     {{"k", CS_T_STR, 0, sizeof(struct conf_of) - 8, 0, 0, 0, 0, "h"}, CS_END}},
    {"not aligned", "not aligned", {{"k", CS_T_INT, 0, 4, 0, 0, 0, 0, "h"}, CS_END}},
    {"no words", "no words", {CS_ENUM(struct conf_of, number, NULL, NULL, 0, "h"), CS_END}},
    {"empty words", "no words", {CS_ENUM(struct conf_of, number, NULL, no_words, 0, "h"), CS_END}},
    {"unknown word", "not known", {CS_ENUM(struct conf_of, number, "c", words, 0, "h"), CS_END}},
    {"range upside down",
     "end is below",
     {CS_INT(struct conf_of, number, "5", 9, 1, 0, "h"), CS_END}},
    {"no help", "no help text", {CS_INT(struct conf_of, number, "5", 1, 9, 0, ""), CS_END}},
    {"name with a dash", "no good name", {{"a-b", CS_T_BOOL, 0, 0, 0, 0, 1, 0, "h"}, CS_END}},
    {"name in upper case", "no good name", {{"A", CS_T_BOOL, 0, 0, 0, 0, 1, 0, "h"}, CS_END}},
    {"name of 32 characters",
     "no good name",
     {{"abcdefghijklmnopqrstuvwxyz012345", CS_T_BOOL, 0, 0, 0, 0, 1, 0, "h"}, CS_END}},
    {"no name", "no good name", {{NULL, CS_T_BOOL, 0, 0, 0, 0, 1, 0, "h"}, CS_END}},
    {"name of the core",
     "every [module:...]",
     {{"file", CS_T_BOOL, 0, 0, 0, 0, 1, 0, "h"}, CS_END}},
    {"same name",
     "twice",
     {{"k", CS_T_BOOL, 0, 0, 0, 0, 1, 0, "h"}, {"k", CS_T_BOOL, 0, 0, 0, 0, 1, 0, "h"}, CS_END}},
};

static void test_tables(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf error = {0};
        int r = conf_table_check(rows[i].d, sizeof(struct conf_of), &error);
        cs_str rest = str_of(rows[i].words), one;

        if ((r < 0) != (rows[i].words != NULL) || (r == 0 && error.n))
            fail_msg("row \"%s\": %d %s", rows[i].label, r, error.n ? error.p : "");
        while (r < 0 && str_split(&rest, '|', &one))
            if (!memmem(error.p, error.n, one.p, one.n))
                fail_msg("row \"%s\": no \"%.*s\" in: %s", rows[i].label, CS_F(one), error.p);
        buf_free(&error);
    }
    printf("rows: %zu\n", ARRAY_LEN(rows));
}

static void test_no_table(void **state)
{
    struct buf error = {0};

    (void)state;
    assert_int_equal(conf_table_check(NULL, 0, &error), 0);
    buf_free(&error);
}

static void test_no_end(void **state)
{
    static cs_directive table[300];
    static char names[300][8];
    struct buf error = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        snprintf(names[i], sizeof names[i], "k%zu", i);
        table[i] = (cs_directive){names[i], CS_T_BOOL, 0, 0, NULL, 0, 1, NULL, "h"};
    }
    assert_int_equal(conf_table_check(table, 1, &error), -1);
    assert_non_null(strstr(error.p, "CS_END"));
    buf_free(&error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables),
        cmocka_unit_test(test_no_table),
        cmocka_unit_test(test_no_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
