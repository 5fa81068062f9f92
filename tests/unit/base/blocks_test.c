#include "base/blocks.h"

#include "base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

struct row {
    const char *label;
    const char *words[4];
    const char *addr; /* NULL: a unix socket */
    unsigned found;
};

static const struct row rows[] = {
    {"none", {0}, "10.0.0.1", 0},
    {"all", {"all"}, "10.0.0.1", 1},
    {"all has unix sockets too", {"all"}, NULL, 1},
    {"IPv6 and all", {"all"}, "2001:db8::1", 1},
    {"single", {"10.0.0.1"}, "10.0.0.1", 129},
    {"another", {"10.0.0.1"}, "10.0.0.2", 0},
    {"block", {"10.0.0.0/8"}, "10.9.9.9", 105},
    {"the longest counts", {"10.0.0.0/8", "10.9.0.0/16", "all"}, "10.9.9.9", 113},
    {"whatever the order", {"all", "10.9.0.0/16", "10.0.0.0/8"}, "10.9.9.9", 113},
    {"IPv4 in IPv6 form", {"10.0.0.0/8"}, "::ffff:10.0.0.1", 105},
    {"::/0 is all too", {"::/0"}, NULL, 1},
    {"unix", {"unix"}, NULL, 129},
    {"unix is no address", {"unix"}, "10.0.0.1", 0},
    {"an address is not unix", {"10.0.0.0/8"}, NULL, 0},
};

static cs_list list_of(const char *const *words, cs_str *room)
{
    cs_list l = {0, room};
    while (l.n < 4 && words[l.n]) {
        room[l.n] = str_of(words[l.n]);
        l.n++;
    }
    return l;
}

static void test_find(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct row *r = &rows[i];
        struct arena a;
        struct cidr_addr addr;
        cs_str room[4];
        size_t bad;
        const char *error = NULL;
        arena_init(&a, NULL);
        const struct cs_blocks *b = blocks_parse(list_of(r->words, room), &a, &bad, &error);
        assert_non_null(b);
        if (r->addr)
            assert_true(cidr_addr_parse(str_of(r->addr), &addr));
        unsigned found = blocks_find(b, r->addr ? &addr : NULL);
        if (found != r->found)
            fail_msg("%s: %u, not %u", r->label, found, r->found);
        arena_drop(&a);
    }
}

static void test_bad(void **state)
{
    (void)state;
    struct arena a;
    cs_str words[] = {CS_S("all"), CS_S("10.0.0.1/8")};
    size_t bad = 9;
    const char *error = NULL;
    arena_init(&a, NULL);
    assert_null(blocks_parse((cs_list){2, words}, &a, &bad, &error));
    assert_int_equal(bad, 1);
    assert_non_null(strstr(error, "behind its length"));
    arena_drop(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_find), cmocka_unit_test(test_bad)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
