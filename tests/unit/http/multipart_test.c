/* What stands around the parts, byte by byte. */
#include "http/multipart.h"

#include "edge.h"

static const uint64_t salt[2] = {0x1, 0xfedcba9876543210};

static void is_as_the_rfc_shows(void **state)
{
    (void)state;
    const struct http_range r[2] = {{0, 4}, {7000, 7999}};
    struct http_multipart m;
    struct arena a;
    arena_init(&a, NULL);
    http_multipart_make(&m, &a, r, 2, 8000, CS_S("text/plain"), salt);
    assert_string_equal(m.type.p,
                        "multipart/byteranges; boundary=cserver-0000000000000001fedcba9876543210");
    assert_string_equal(m.heads[0].p, "\r\n--cserver-0000000000000001fedcba9876543210\r\n"
                                      "Content-Type: text/plain\r\n"
                                      "Content-Range: bytes 0-4/8000\r\n\r\n");
    assert_string_equal(m.heads[1].p, "\r\n--cserver-0000000000000001fedcba9876543210\r\n"
                                      "Content-Type: text/plain\r\n"
                                      "Content-Range: bytes 7000-7999/8000\r\n\r\n");
    assert_string_equal(m.tail.p, "\r\n--cserver-0000000000000001fedcba9876543210--\r\n");
    assert_int_equal(m.len, m.heads[0].n + 5 + m.heads[1].n + 1000 + m.tail.n);
    arena_drop(&a);
}

static void says_no_type_of_what_has_none(void **state)
{
    (void)state;
    const struct http_range r[1] = {{0, INT64_MAX - 1}};
    struct http_multipart m;
    struct arena a;
    arena_init(&a, NULL);
    http_multipart_make(&m, &a, r, 1, INT64_MAX, (cs_str){0}, salt);
    assert_string_equal(m.heads[0].p,
                        "\r\n--cserver-0000000000000001fedcba9876543210\r\n"
                        "Content-Range: bytes 0-9223372036854775806/9223372036854775807\r\n\r\n");
    arena_drop(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_as_the_rfc_shows),
        cmocka_unit_test(says_no_type_of_what_has_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
