#include "http/template.h"

#include "base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

struct row {
    const char *label, *text;
    int place;
    const char *result; /* NULL: refused */
    const char *error;  /* ... with this in its sentence */
};

static const struct row rows[] = {
    {"plain", "hello", CS_ESCAPE_FIELD, "hello", NULL},
    {"empty", "", CS_ESCAPE_FIELD, "", NULL},
    {"one variable", "${host}", CS_ESCAPE_FIELD, "example.com", NULL},
    {"among text", "https://${host}${path}!", CS_ESCAPE_NONE, "https://example.com/a b/\xc3\xa9!",
     NULL},
    {"twice", "${host}${host}", CS_ESCAPE_FIELD, "example.comexample.com", NULL},
    {"path in a URL", "${path}", CS_ESCAPE_URL, "/a%20b/%C3%A9", NULL},
    {"query in a URL", "/x?${query}", CS_ESCAPE_URL, "/x?a=1&b=%20", NULL},
    {"named query in a URL", "/x?y=${query.a}", CS_ESCAPE_URL, "/x?y=1%262%0D%0AX%3A", NULL},
    {"named query in a field", "${query.a}", CS_ESCAPE_FIELD, "1&2  X:", NULL},
    {"named query in a body", "${query.a}", CS_ESCAPE_NONE, "1&2\r\nX:", NULL},
    {"header", "${header.X-Y}", CS_ESCAPE_FIELD, "<X-Y>", NULL},
    {"cookie", "${cookie.a.b}", CS_ESCAPE_FIELD, "<a.b>", NULL},
    {"named capture", "${capture.year}", CS_ESCAPE_FIELD, "<year>", NULL},
    {"numbered capture", "${capture.12}", CS_ESCAPE_FIELD, "#12", NULL},
    {"capture in a URL keeps slashes", "${capture.path}", CS_ESCAPE_URL, "%3Cpath%3E", NULL},
    {"nothing there", "[${user}]", CS_ESCAPE_FIELD, "[]", NULL},
    {"plain dollar", "5$ $x $", CS_ESCAPE_FIELD, "5$ $x $", NULL},
    {"plain braces", "{} $ {host}", CS_ESCAPE_FIELD, "{} $ {host}", NULL},
    {"escaped", "$${host}", CS_ESCAPE_FIELD, "${host}", NULL},
    {"escaped and not", "$${host}${host}", CS_ESCAPE_FIELD, "${host}example.com", NULL},
    {"three dollars", "$$${host}", CS_ESCAPE_FIELD, "$${host}", NULL},
    {"unknown", "${hosts}", CS_ESCAPE_FIELD, NULL, "did you mean ${host}?"},
    {"unknown with a name", "${headers.X}", CS_ESCAPE_FIELD, NULL, "did you mean ${header.NAME}?"},
    {"far from all", "${frobnicate}", CS_ESCAPE_FIELD, NULL, "is no variable of a request"},
    {"no name", "${}", CS_ESCAPE_FIELD, NULL, "is no variable"},
    {"no name behind the dot", "${header.}", CS_ESCAPE_FIELD, NULL, "is no variable"},
    {"no end", "a${host", CS_ESCAPE_FIELD, NULL, "without its \"}\""},
    {"in another", "${header.${host}}", CS_ESCAPE_FIELD, NULL, "nothing can have"},
    {"blank in a name", "${header.a b}", CS_ESCAPE_FIELD, NULL, "nothing can have"},
    {"capture 100", "${capture.100}", CS_ESCAPE_FIELD, NULL, "0 to 99"},
    {"capture 1a", "${capture.1a}", CS_ESCAPE_FIELD, NULL, "0 to 99"},
    {"env too late", "${env.HOME}", CS_ESCAPE_FIELD, NULL, "is no variable"},
};

static cs_str look_up(void *arg, const struct template_part *p)
{
    char *z = arg;
    switch (p->var) {
    case TEMPLATE_HOST:
        return CS_S("example.com");
    case TEMPLATE_PATH:
        return CS_S("/a b/\xc3\xa9");
    case TEMPLATE_QUERY:
        return CS_S("a=1&b=%20");
    case TEMPLATE_QUERY_NAME:
        return CS_S("1&2\r\nX:");
    case TEMPLATE_USER:
        return (cs_str){0};
    default:
        if (p->text.n)
            return (cs_str){z, (size_t)sprintf(z, "<%.*s>", CS_F(p->text))};
        return (cs_str){z, (size_t)sprintf(z, "#%u", p->number)};
    }
}

static void run(const struct row *r)
{
    struct arena a;
    struct buf out = {0}, error = {0};
    cs_str where = {0};
    char scratch[64];
    arena_init(&a, NULL);
    const struct template *t = template_compile(&a, str_of(r->text), &where, &error);
    if (t)
        template_render(t, r->place, look_up, scratch, &out);
    buf_add_char(&error, '\0');
    if (t ? !r->result || !str_is(buf_str(&out), r->result)
          : !r->error || !strstr(error.p, r->error) || !where.n)
        fail_msg("%s: %d \"%.*s\" %s", r->label, !!t, (int)out.n, out.p, error.p);
    buf_free(&out);
    buf_free(&error);
    arena_drop(&a);
}

/* In an address, with one value for all variables. */
struct url {
    const char *text, *value, *result;
};

static const struct url urls[] = {
    {"${path}", "/a", "/a"},
    {"${path}", "//evil.example/", "/evil.example/"},
    {"${path}", "///evil.example", "/evil.example"},
    {"${path}", "/\\evil.example", "/%5Cevil.example"},
    {"${path}", "/", "/"},
    {"${path}/", "/", "/"},
    {"${path}/index.html", "/", "/index.html"},
    {"${path}/index.html", "/a", "/a/index.html"},
    {"${path}${path}", "/", "/"},
    {"${user}${path}", "", ""},
    {"/${path}", "/a", "/a"},
    {"/${capture.1}", "/evil.example", "/evil.example"},
    {"/${capture.1}", "//evil.example", "/evil.example"},
    {"/${capture.1}", "", "/"},
    {"/x/${capture.1}", "/y", "/x//y"},
    {"${capture.1}", "https://evil.example", "https%3A//evil.example"},
    {"${query.next}", "https://evil.example", "https%3A%2F%2Fevil.example"},
    {"${query.next}", "//evil.example", "%2F%2Fevil.example"},
    {"${target}", "https://evil.example/", "/https://evil.example/"},
    {"${query}", "https://evil.example/", "/https://evil.example/"},
    {"${target}", "//evil.example/a?b", "/evil.example/a?b"},
    {"${target}", "/\\evil.example", "/%5Cevil.example"},
    {"${target}", "/a?b=<c>", "/a?b=%3Cc%3E"},
    {"https://new.example${path}", "/a", "https://new.example/a"},
    {"https://new.example${path}", "", "https://new.example"},
    {"https://new.example${path}", "//a", "https://new.example//a"},
    {"https://new.example${capture.1}", ".evil.example", "https://new.example/.evil.example"},
    {"https:\\\\new.example${capture.1}", ".evil.example", "https:\\\\new.example/.evil.example"},
    {"\\/new.example${capture.1}\\x", ".evil.example", "\\/new.example/.evil.example\\x"},
    {"/${query.x}\\${capture.1}", "", "/"},
    {"\\${capture.1}", "//evil.example", "\\evil.example"},
    {"https://new.example${capture.1}", "@evil.example", "https://new.example/%40evil.example"},
    {"https://new.example${capture.1}", ":80@evil.example",
     "https://new.example/%3A80%40evil.example"},
    {"https://new.example${query.x}", "//evil.example", "https://new.example/%2F%2Fevil.example"},
    {"https://new.example${query.x}", "", "https://new.example"},
    {"https://new.example${query}", "@evil.example", "https://new.example/@evil.example"},
    {"https://new.example${target}", "@evil.example/", "https://new.example/@evil.example/"},
    {"https://new.example${capture.1}/x", ".evil.example", "https://new.example/.evil.example/x"},
    {"https://new.example${capture.1}?x", ".evil.example", "https://new.example/.evil.example?x"},
    {"https://${capture.1}.example${path}", "/de", "https://%2Fde.example/de"},
    {"https://${capture.1}.example/", "de", "https://de.example/"},
    {"https://${capture.1}.example/", "evil.example/", "https://evil.example%2F.example/"},
    {"https://${capture.1}.example/", "evil.example#", "https://evil.example%23.example/"},
    {"https://${capture.1}.example/", "evil.example?", "https://evil.example%3F.example/"},
    {"https://${capture.1}.example/", "evil.example\\", "https://evil.example%5C.example/"},
    {"https://a-${capture.1}.example/", "/x", "https://a-%2Fx.example/"},
    {"https://a-${capture.1}.example/", "u@b", "https://a-u%40b.example/"},
    {"https://${host}/x", "a.example", "https://a.example/x"},
    {"https://${host}${path}", "a.example", "https://a.example/a.example"},
    {"//${host}/x", "a.example", "//a.example/x"},
    {"//cdn.example${capture.1}", ".evil.example", "//cdn.example/.evil.example"},
    {"/a?u=${target}", "/x?a=1&b=2", "/a?u=%2Fx%3Fa%3D1%26b%3D2"},
    {"/a?u=${path}", "/x&y", "/a?u=%2Fx%26y"},
    {"${path}?u=${path}", "/x", "/x?u=%2Fx"},
    {"/a?u=${query.x}", "a&b=c#d", "/a?u=a%26b%3Dc%23d"},
    {"/a?u=${header.X}", "\r\nSet-Cookie: a=b", "/a?u=%0D%0ASet-Cookie%3A%20a%3Db"},
    {"/a?${query}", "a=\r\nb", "/a?a=%0D%0Ab"},
};

static cs_str same_for_all(void *arg, const struct template_part *p)
{
    (void)p;
    return str_of(arg);
}

static void test_urls(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
        const struct url *u = &urls[i];
        struct arena a;
        struct buf out = {0}, error = {0};
        cs_str where = {0};
        char value[100];
        arena_init(&a, NULL);
        snprintf(value, sizeof value, "%s", u->value);
        const struct template *t = template_compile(&a, str_of(u->text), &where, &error);
        assert_non_null(t);
        template_render(t, CS_ESCAPE_URL, same_for_all, value, &out);
        if (!str_is(buf_str(&out), u->result))
            fail_msg("%s with \"%s\": \"%.*s\", not \"%s\"", u->text, u->value, (int)out.n, out.p,
                     u->result);
        buf_free(&out);
        arena_drop(&a);
    }
    printf("rows: %zu\n", ARRAY_LEN(urls));
}

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        run(&rows[i]);
    printf("rows: %zu\n", ARRAY_LEN(rows));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows), cmocka_unit_test(test_urls)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
