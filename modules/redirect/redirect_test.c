#undef NDEBUG
#include <assert.h>
#include <cserver/test.h>
#include <stdio.h>

static void test_locations(void)
{
    static const struct {
        const char *settings, *target, *location;
        int status;
    } rows[] = {
        {"to = /new\n", "/old?x=1", "/new", 302},
        {"to = /new\nstatus = 301\n", "/old", "/new", 301},
        {"to = https://example.com/\nkeep_path = on\n", "/a%20b", "https://example.com/a%20b", 302},
        {"to = https://example.com\nkeep_path = on\n", "/a%2Fb", "https://example.com/a%2Fb", 302},
        {"to = /new#end\nkeep_query = on\n", "/old?x=1", "/new?x=1#end", 302},
        {"to = /new?a=1\nkeep_query = on\n", "/old?x=1", "/new?a=1&x=1", 302},
        {"to = https://new.example${path}\n", "/a%20b?x", "https://new.example/a%20b", 302},
        {"to = ${path}/\n", "/", "/", 302},
        {"to = ${path}/index.html?${query}\n", "/?a=1", "/index.html?a=1", 302},
        {"to = /user/${query.name}\n", "/old?name=a%2Fb%0D%0AX%3A%20y", "/user/a%2Fb%0D%0AX%3A%20y",
         302},
        {"to = ${query.next}\n", "/?next=//evil.example", "/%2F%2Fevil.example", 302},
        {"to = ${query}\n", "/?https://evil.example", "/https://evil.example", 302},
        {"to = ${user}\n", "/", "/", 302},
        {"to = ${target}\n", "//evil.example", "/evil.example", 302},
        {"to = /\nkeep_path = on\n", "//evil.example", "/evil.example", 302},
        {"to = ${query.next}\nkeep_path = on\n", "/evil.example", "/evil.example", 302},
        {"to = ${query.next}?x=1#y\nkeep_path = on\n", "/evil.example", "/evil.example?x=1#y", 302},
        {"to = ${query.next}\nkeep_path = on\n", "/evil.example?next=/", "/%2F/evil.example", 302},
        {"to = ${query}\nkeep_path = on\n", "/evil.example?/", "/evil.example", 302},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct cst *t = cst_open("./redirect.so", rows[i].settings);
        cst_answer a = cst_expect(cst_get(t, rows[i].target), rows[i].status, NULL);
        cs_str to = cst_field(&a, "Location");
        if (!cst_is(to, rows[i].location))
            printf("%s leads to %.*s, not to %s\n", rows[i].target, CS_F(to), rows[i].location);
        assert(cst_is(to, rows[i].location));
        cst_close(t);
    }
}

/* Whose host it is has to be in the settings. */
static void test_hosts(void)
{
    static const char *const refused[] = {"https://${query.h}", "https://${header.X}/x",
                                          "//${cookie.c}?x", "https://${query.a}${query.b}:8443/",
                                          "HTTPS://${query.h}#x"};
    static const char *const good[] = {
        "https://${host}/x",     "https://${query.h}.example.com/", "https://10.0.0.1${path}",
        "https://www.${host}/x", "//${query.h}.example.com",        "/${query.h}",
    };
    char line[100];
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        snprintf(line, sizeof line, "to = %s\n", refused[i]);
        assert(strstr(cst_check("./redirect.so", line), "whatever host"));
    }
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        snprintf(line, sizeof line, "to = %s\n", good[i]);
        cst_close(cst_open("./redirect.so", line));
    }
}

int main(void)
{
    test_locations();
    struct cst *t = cst_open("./redirect.so", "to = /new\n");
    cst_fail(t, "alloc", 1);
    cst_expect(cst_get(t, "/"), 503, NULL);
    cst_close(t);
    assert(strstr(cst_check("./redirect.so", NULL), "\"to\""));
    assert(strstr(cst_check("./redirect.so", "to = example.com\n"), "https://example.com"));
    test_hosts();
    assert(strstr(cst_check("./redirect.so", "to = /${pth}\n"), "did you mean ${path}?"));
}
