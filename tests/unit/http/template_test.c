#include "http/template.h"

#include "base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

struct row {
    const char *label, *text;
    enum template_place place;
    const char *result; /* NULL: refused */
    const char *error;  /* ... with this in its sentence */
};

static const struct row rows[] = {
    {"plain", "hello", TEMPLATE_FIELD, "hello", NULL},
    {"empty", "", TEMPLATE_FIELD, "", NULL},
    {"one variable", "${host}", TEMPLATE_FIELD, "example.com", NULL},
    {"among text", "https://${host}${path}!", TEMPLATE_BODY, "https://example.com/a b/\xc3\xa9!",
     NULL},
    {"twice", "${host}${host}", TEMPLATE_FIELD, "example.comexample.com", NULL},
    {"path in a URL", "${path}", TEMPLATE_URL, "/a%20b/%C3%A9", NULL},
    {"query in a URL", "/x?${query}", TEMPLATE_URL, "/x?a=1&b=%20", NULL},
    {"named query in a URL", "/x?y=${query.a}", TEMPLATE_URL, "/x?y=1%262%0D%0AX%3A", NULL},
    {"named query in a field", "${query.a}", TEMPLATE_FIELD, "1&2  X:", NULL},
    {"named query in a body", "${query.a}", TEMPLATE_BODY, "1&2\r\nX:", NULL},
    {"header", "${header.X-Y}", TEMPLATE_FIELD, "<X-Y>", NULL},
    {"cookie", "${cookie.a.b}", TEMPLATE_FIELD, "<a.b>", NULL},
    {"named capture", "${capture.year}", TEMPLATE_FIELD, "<year>", NULL},
    {"numbered capture", "${capture.12}", TEMPLATE_FIELD, "#12", NULL},
    {"capture in a URL keeps slashes", "${capture.path}", TEMPLATE_URL, "%3Cpath%3E", NULL},
    {"nothing there", "[${user}]", TEMPLATE_FIELD, "[]", NULL},
    {"plain dollar", "5$ $x $", TEMPLATE_FIELD, "5$ $x $", NULL},
    {"plain braces", "{} $ {host}", TEMPLATE_FIELD, "{} $ {host}", NULL},
    {"escaped", "$${host}", TEMPLATE_FIELD, "${host}", NULL},
    {"escaped and not", "$${host}${host}", TEMPLATE_FIELD, "${host}example.com", NULL},
    {"three dollars", "$$${host}", TEMPLATE_FIELD, "$${host}", NULL},
    {"unknown", "${hosts}", TEMPLATE_FIELD, NULL, "did you mean ${host}?"},
    {"unknown with a name", "${headers.X}", TEMPLATE_FIELD, NULL, "did you mean ${header.NAME}?"},
    {"far from all", "${frobnicate}", TEMPLATE_FIELD, NULL, "is no variable of a request"},
    {"no name", "${}", TEMPLATE_FIELD, NULL, "is no variable"},
    {"no name behind the dot", "${header.}", TEMPLATE_FIELD, NULL, "is no variable"},
    {"no end", "a${host", TEMPLATE_FIELD, NULL, "without its \"}\""},
    {"in another", "${header.${host}}", TEMPLATE_FIELD, NULL, "nothing can have"},
    {"blank in a name", "${header.a b}", TEMPLATE_FIELD, NULL, "nothing can have"},
    {"capture 100", "${capture.100}", TEMPLATE_FIELD, NULL, "0 to 99"},
    {"capture 1a", "${capture.1a}", TEMPLATE_FIELD, NULL, "0 to 99"},
    {"env too late", "${env.HOME}", TEMPLATE_FIELD, NULL, "is no variable"},
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
    struct template t;
    struct arena a;
    struct buf out = {0}, error = {0};
    cs_str where = {0};
    char scratch[64];
    arena_init(&a, NULL);
    int rc = template_compile(&t, &a, str_of(r->text), &where, &error);
    if (rc == 0)
        template_render(&t, r->place, look_up, scratch, &out);
    buf_add_char(&error, '\0');
    if (rc == 0 ? !r->result || !str_is(buf_str(&out), r->result)
                : !r->error || !strstr(error.p, r->error) || !where.n)
        fail_msg("%s: %d \"%.*s\" %s", r->label, rc, (int)out.n, out.p, error.p);
    buf_free(&out);
    buf_free(&error);
    arena_drop(&a);
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
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
