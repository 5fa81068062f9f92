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
    const char *word; /* NULL: none */
};

static const struct row rows[] = {
    {"none", {0}, "10.0.0.1", 0, NULL},
    {"all", {"all"}, "10.0.0.1", 1, "all"},
    {"all has unix sockets too", {"all"}, NULL, 1, "all"},
    {"IPv6 and all", {"all"}, "2001:db8::1", 1, "all"},
    {"single", {"10.0.0.1"}, "10.0.0.1", 130, "10.0.0.1"},
    {"another", {"10.0.0.1"}, "10.0.0.2", 0, NULL},
    {"block", {"10.0.0.0/8"}, "10.9.9.9", 106, "10.0.0.0/8"},
    {"the longest counts", {"10.0.0.0/8", "10.9.0.0/16", "all"}, "10.9.9.9", 114, "10.9.0.0/16"},
    {"whatever the order", {"all", "10.9.0.0/16", "10.0.0.0/8"}, "10.9.9.9", 114, "10.9.0.0/16"},
    {"behind other words", {"unix", "all", "10.9.0.0/16"}, "10.9.9.9", 114, "10.9.0.0/16"},
    {"IPv4 in IPv6 form", {"10.0.0.0/8"}, "::ffff:10.0.0.1", 106, "10.0.0.0/8"},
    {"::/0 is more exact than all", {"all", "::/0"}, "::1", 2, "::/0"},
    {"::/0 is IPv6 only", {"::/0"}, "10.0.0.1", 0, NULL},
    {"::/0 has no unix sockets", {"::/0"}, NULL, 0, NULL},
    {"unix", {"all", "unix"}, NULL, 130, "unix"},
    {"unix is no address", {"unix"}, "10.0.0.1", 0, NULL},
    {"an address is not unix", {"10.0.0.0/8"}, NULL, 0, NULL},
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
        cs_str word = blocks_word(b, r->addr ? &addr : NULL);
        if (r->word ? !str_is(word, r->word) : word.n > 0)
            fail_msg("%s: it is \"%.*s\"", r->label, CS_F(word));
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

static void test_join(void **state)
{
    (void)state;
    struct arena a;
    cs_str x[] = {CS_S("unix"), CS_S("10.0.0.0/8")}, y[] = {CS_S("10.9.0.0/16"), CS_S("all")};
    struct cidr_addr addr;
    size_t bad;
    const char *error;
    arena_init(&a, NULL);
    const cs_blocks *b = blocks_join(blocks_parse((cs_list){2, x}, &a, &bad, &error),
                                     blocks_parse((cs_list){2, y}, &a, &bad, &error), &a);
    assert_int_equal(b->words.n, 4);
    assert_true(cidr_addr_parse(CS_S("10.9.1.1"), &addr));
    assert_true(str_is(blocks_word(b, &addr), "10.9.0.0/16"));
    assert_true(cidr_addr_parse(CS_S("10.8.1.1"), &addr));
    assert_true(str_is(blocks_word(b, &addr), "10.0.0.0/8"));
    assert_true(str_is(blocks_word(b, NULL), "unix"));
    assert_true(cidr_addr_parse(CS_S("::1"), &addr));
    assert_true(str_is(blocks_word(b, &addr), "all"));
    arena_drop(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_find), cmocka_unit_test(test_bad),
                                       cmocka_unit_test(test_join)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
