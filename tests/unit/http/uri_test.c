/* Paths, hosts and escapes, each flush against an unreadable page. */
#include "http/uri.h"

#include "edge.h"

struct row {
    const char *label;
    cs_str raw;
    const char *path; /* NULL: refused */
};

#define ROW(label, raw, path)                                                                      \
    {                                                                                              \
        label, {raw, sizeof(raw) - 1}, path                                                        \
    }

static const struct row paths[] = {
    ROW("root", "/", "/"),
    ROW("clean", "/a/b.html", "/a/b.html"),
    ROW("clean folder", "/a/b/", "/a/b/"),
    ROW("dots inside a name", "/a..b/c.d./e...", "/a..b/c.d./e..."),
    ROW("all that stands for itself", "/!$&'()*+,-.:;<=>@[\\]^_`{|}~\"#?",
        "/!$&'()*+,-.:;<=>@[\\]^_`{|}~\"#?"),
    ROW("blank", "/a b", "/a b"),
    ROW("backslash is no slash", "/a\\..\\b", "/a\\..\\b"),
    ROW("encoded letter", "/%41%6a", "/Aj"),
    ROW("encoded blank", "/a%20b", "/a b"),
    ROW("encoded percent", "/100%25", "/100%"),
    ROW("percent is decoded once", "/%2541", "/%41"),
    ROW("dots are decoded once", "/%252e%252e/a", "/%2e%2e/a"),
    ROW("encoded question mark", "/a%3Fb", "/a?b"),
    ROW("encoded slash", "/a%2Fb", "/a%2Fb"),
    ROW("encoded slash, small letter", "/a%2fb", "/a%2Fb"),
    ROW("dots and an encoded slash are a name", "/..%2fa", "/..%2Fa"),
    ROW("dots between encoded slashes", "/a%2f..%2fb", "/a%2F..%2Fb"),
    ROW("encoded backslash", "/a%5Cb", "/a\\b"),
    ROW("dots and backslash are a name", "/..\\a", "/..\\a"),
    ROW("two slashes", "//", "/"),
    ROW("slashes inside", "/a//b///c", "/a/b/c"),
    ROW("slashes first and last", "///a//", "/a/"),
    ROW("dot", "/.", "/"),
    ROW("dot folder", "/./", "/"),
    ROW("dots inside", "/a/./b/././c", "/a/b/c"),
    ROW("dot at the end", "/a/.", "/a/"),
    ROW("encoded dot", "/a/%2e/b", "/a/b"),
    ROW("encoded dot, capital", "/a/%2E", "/a/"),
    ROW("parent", "/a/../b", "/b"),
    ROW("parent at the end", "/a/b/..", "/a/"),
    ROW("parent folder at the end", "/a/b/../", "/a/"),
    ROW("parent up to the root", "/a/..", "/"),
    ROW("parents", "/a/b/c/../../d", "/a/d"),
    ROW("encoded parent", "/a/%2e%2e/b", "/b"),
    ROW("half encoded parent", "/a/.%2e/b", "/b"),
    ROW("other half encoded parent", "/a/%2E./b", "/b"),
    ROW("parent of an empty segment", "/a//../b", "/b"),
    ROW("parent of a dot", "/a/./../b", "/b"),
    ROW("three dots are a name", "/a/.../b", "/a/.../b"),
    ROW("hidden file", "/.git/config", "/.git/config"),
    ROW("name that begins with two dots", "/..a/b", "/..a/b"),
    ROW("name that ends with two dots", "/a../b", "/a../b"),
    ROW("UTF-8 of two bytes", "/%c3%a4", "/\xc3\xa4"),
    ROW("UTF-8, not encoded", "/\xc3\xa4", "/\xc3\xa4"),
    ROW("UTF-8, half encoded", "/\xc3%a4", "/\xc3\xa4"),
    ROW("UTF-8 of three bytes", "/%E2%82%AC", "/\xe2\x82\xac"),
    ROW("UTF-8 of four bytes", "/%F0%9F%98%80", "/\xf0\x9f\x98\x80"),
    ROW("last code point", "/%F4%8F%BF%BF", "/\xf4\x8f\xbf\xbf"),
    ROW("full-width dots are a name", "/%ef%bc%8e%ef%bc%8e/a", "/\xef\xbc\x8e\xef\xbc\x8e/a"),
    ROW("empty", "", NULL),
    ROW("no slash", "a", NULL),
    ROW("asterisk", "*", NULL),
    ROW("encoded slash first", "%2fa", NULL),
    ROW("percent at the end", "/%", NULL),
    ROW("percent and one digit", "/%4", NULL),
    ROW("percent and no digits", "/%zz", NULL),
    ROW("percent and half a number", "/%4z", NULL),
    ROW("percent before a slash", "/%4/a", NULL),
    ROW("percent and a percent", "/%%41", NULL),
    ROW("percent u", "/%u0041", NULL),
    ROW("percent and a sign", "/%+1", NULL),
    ROW("NUL", "/a\0b", NULL),
    ROW("encoded NUL", "/a%00", NULL),
    ROW("encoded NUL and an extension", "/a.php%00.jpg", NULL),
    ROW("encoded CR LF", "/a%0d%0a", NULL),
    ROW("encoded tab", "/%09", NULL),
    ROW("control byte", "/\x01", NULL),
    ROW("encoded DEL", "/%7f", NULL),
    ROW("DEL", "/\x7f", NULL),
    ROW("above the root", "/..", NULL),
    ROW("above the root, folder", "/../", NULL),
    ROW("above the root, file", "/../etc/passwd", NULL),
    ROW("above the root, encoded", "/%2e%2e/etc/passwd", NULL),
    ROW("above the root, half encoded", "/.%2E/", NULL),
    ROW("above the root later", "/a/../../b", NULL),
    ROW("above the root and back", "/../a/", NULL),
    ROW("above the root through a dot", "/./../a", NULL),
    ROW("above the root through slashes", "//../a", NULL),
    ROW("overlong slash", "/%c0%af", NULL),
    ROW("overlong dot", "/%c0%ae%c0%ae/", NULL),
    ROW("overlong of three bytes", "/%e0%80%af", NULL),
    ROW("overlong of four bytes", "/%f0%80%80%af", NULL),
    ROW("surrogate", "/%ed%a0%80", NULL),
    ROW("beyond the last code point", "/%f4%90%80%80", NULL),
    ROW("lone continuation", "/%80", NULL),
    ROW("lone start", "/%c3", NULL),
    ROW("start before a slash", "/%c3/%a4", NULL),
    ROW("start before an encoded slash", "/%c3%2f", NULL),
    ROW("Latin-1", "/\xe4.html", NULL),
    ROW("byte ff", "/%ff", NULL),
};

static struct edge in, out;

/* The result may be as long as the raw path and its NUL, not a byte longer. */
static long normalise(cs_str raw, char **path, const char **error)
{
    cs_str bytes = edge_put(&in, raw);
    *path = out.pages + out.room - raw.n - 1;
    *error = NULL;
    return http_path_normalise(bytes, *path, error);
}

static void normalised_paths(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        const struct row *r = &paths[i];
        char *path;
        const char *error;
        long n = normalise(r->raw, &path, &error);
        if (n < 0)
            assert_int_equal(n, -400);
        if (n < 0 && !error)
            fail_msg("row \"%s\": refused without a sentence", r->label);
        if ((n < 0) != (r->path == NULL))
            fail_msg("row \"%s\": %ld", r->label, n);
        if (n < 0)
            continue;
        expect_text(r->label, "path", path, r->path);
        assert_int_equal(strlen(path), n);
    }
    printf("rows: %zu\n", sizeof paths / sizeof paths[0]);
}

/* A good path, escaped, is another way to write the same path. */
static void escaping_keeps_the_path(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        char *path, escaped[256], first[128];
        const char *error;
        long n = normalise(paths[i].raw, &path, &error);
        if (n < 0)
            continue;
        memcpy(first, path, (size_t)n + 1);
        size_t len = http_path_escape((cs_str){path, (size_t)n}, escaped);
        n = normalise((cs_str){escaped, len}, &path, &error);
        if (n < 0)
            fail_msg("row \"%s\": its escape \"%.*s\" is refused", paths[i].label, (int)len,
                     escaped);
        expect_text(paths[i].label, "escaped and back", path, first);
    }
}

static void escaped_paths(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"/", "/"},
        {"/a-b._~9", "/a-b._~9"},
        {"/!$&'()*+,;=", "/!$&'()*+,;="},
        {"/a b", "/a%20b"},
        {"/a%2Fb", "/a%2Fb"},
        {"/100%", "/100%25"},
        {"/%2f", "/%252f"},
        {"/%2", "/%252"},
        {"/a?b#c", "/a%3Fb%23c"},
        {"/<\">\\", "/%3C%22%3E%5C"},
        {"/a:b@[c]", "/a%3Ab%40%5Bc%5D"},
        {"/\xc3\xa4", "/%C3%A4"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cs_str path = edge_put(&in, str_of(rows[i][0]));
        char *to = out.pages + out.room - 3 * path.n - 1;
        to[http_path_escape(path, to)] = 0;
        expect_text(rows[i][0], "escaped", to, rows[i][1]);
    }
    printf("rows: %zu\n", sizeof rows / sizeof rows[0]);
}

static void hosts(void **state)
{
    (void)state;
    static const struct {
        const char *authority, *host; /* NULL: refused */
        int port;
    } rows[] = {
        {"", "", -1},
        {"a", "a", -1},
        {"a:80", "a", 80},
        {"a:", "a", -1},
        {":80", "", 80},
        {":", "", -1},
        {"a:0", "a", 0},
        {"a:00080", "a", 80},
        {"a:65535", "a", 65535},
        {"WWW.Example.COM.", "WWW.Example.COM.", -1},
        {"a_b-c.d~e", "a_b-c.d~e", -1},
        {"127.0.0.1:8080", "127.0.0.1", 8080},
        {"1.2.3.4.5", "1.2.3.4.5", -1},
        {"a!$&'()*+,;=", "a!$&'()*+,;=", -1},
        {"a%C3%A4", "a%C3%A4", -1},
        {"[::]", "[::]", -1},
        {"[::1]:443", "[::1]", 443},
        {"[::1]:", "[::1]", -1},
        {"[2001:DB8::a.b]", NULL, 0},
        {"[::ffff:1.2.3.4]", "[::ffff:1.2.3.4]", -1},
        {"[1:2:3:4:5:6:7:8]", "[1:2:3:4:5:6:7:8]", -1},
        {"[1:2:3:4:5:6:7:8:9]", NULL, 0},
        {"[1:2:3]", NULL, 0},
        {"[]", NULL, 0},
        {"[", NULL, 0},
        {"]", NULL, 0},
        {"[::1", NULL, 0},
        {"::1]", NULL, 0},
        {"[::1]a", NULL, 0},
        {"[::1]]", NULL, 0},
        {"[[::1]]", NULL, 0},
        {"[::1]:x", NULL, 0},
        {"[v1.a]", NULL, 0},
        {"[fe80::1%eth0]", NULL, 0},
        {"[00000000000000000000000000000000000000000000001::]", NULL, 0},
        {"::1", NULL, 0},
        {"a:b", NULL, 0},
        {"a:1:2", NULL, 0},
        {"a:65536", NULL, 0},
        {"a:99999999999999999999", NULL, 0},
        {"a:-1", NULL, 0},
        {"a:+1", NULL, 0},
        {"a: 1", NULL, 0},
        {"a:1 ", NULL, 0},
        {" a", NULL, 0},
        {"a b", NULL, 0},
        {"a/b", NULL, 0},
        {"a?b", NULL, 0},
        {"a#b", NULL, 0},
        {"u@a", NULL, 0},
        {"u:p@a", NULL, 0},
        {"a\\b", NULL, 0},
        {"a\tb", NULL, 0},
        {"a\x7f", NULL, 0},
        {"\xc3\xa4", NULL, 0},
        {"a%", NULL, 0},
        {"a%4", NULL, 0},
        {"a%zz", NULL, 0},
        {"<a>", NULL, 0},
        {"\"a\"", NULL, 0},
        {"a|b", NULL, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cs_str host = {NULL, 0};
        int port = -2;
        bool ok = http_host_split(edge_put(&in, str_of(rows[i].authority)), &host, &port);
        if (ok != (rows[i].host != NULL))
            fail_msg("host \"%s\": %s", rows[i].authority, ok ? "accepted" : "refused");
        if (ok && (!str_is(host, rows[i].host) || port != rows[i].port))
            fail_msg("host \"%s\": \"%.*s\", port %d", rows[i].authority, CS_F(host), port);
    }
    printf("rows: %zu\n", sizeof rows / sizeof rows[0]);
}

static void one_form_of_hosts(void **state)
{
    (void)state;
    static const struct {
        const char *host, *becomes;
    } rows[] = {
        {"example.com", "example.com"},
        {"Example.COM", "example.com"},
        {"example.com.", "example.com"},
        {"EXAMPLE.com.", "example.com"},
        {"example.com..", "example.com."},
        {".", ""},
        {"", ""},
        {"[::1]", "[::1]"},
        {"[0:0:0:0:0:0:0:1]", "[::1]"},
        {"[2001:DB8::0:1]", "[2001:db8::1]"},
        {"[0000:0000:0000:0000:0000:ffff:255.255.255.255]", "[::ffff:255.255.255.255]"},
        {"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]"},
        {"[", "["},
        {"[x]", "[x]"},
        {"ex%41mple.com", "ex%41mple.com"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char room[HTTP_V6_MAX];
        cs_str got = http_host_normalise(edge_put(&in, str_of(rows[i].host)), room);
        if (!str_is(got, rows[i].becomes))
            fail_msg("host \"%s\" becomes \"%.*s\"", rows[i].host, CS_F(got));
    }
    printf("rows: %zu\n", sizeof rows / sizeof rows[0]);
}

static int open_pages(void **state)
{
    (void)state;
    in = edge_open(4096);
    out = edge_open(4096);
    return 0;
}

static int close_pages(void **state)
{
    (void)state;
    edge_close(&in);
    edge_close(&out);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(normalised_paths),  cmocka_unit_test(escaping_keeps_the_path),
        cmocka_unit_test(escaped_paths),     cmocka_unit_test(hosts),
        cmocka_unit_test(one_form_of_hosts),
    };
    return cmocka_run_group_tests(tests, open_pages, close_pages);
}
