/* [reload] probe: which requests can be written there, and what is said about the others. */
#include "conf/trial.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct row {
    const char *label, *text, *method, *host, *path;
    int first, last;
    const char *error; /* a part of it; NULL: good */
};

static const struct row rows[] = {
    {"path", "GET /health 200", "GET", "localhost", "/health", 200, 200, NULL},
    {"class", "GET /health 2xx", "GET", "localhost", "/health", 200, 299, NULL},
    {"last class", "GET / 5xx", "GET", "localhost", "/", 500, 599, NULL},
    {"query", "GET /a?b=c&d 204", "GET", "localhost", "/a?b=c&d", 204, 204, NULL},
    {"host", "HEAD http://example.com/x 301", "HEAD", "example.com", "/x", 301, 301, NULL},
    {"host and port", "GET http://example.com:81/ 200", "GET", "example.com:81", "/", 200, 200,
     NULL},
    {"host alone", "GET http://example.com 200", "GET", "example.com", "/", 200, 200, NULL},
    {"address", "GET http://[::1]:80/x 200", "GET", "[::1]:80", "/x", 200, 200, NULL},
    {"more blanks", "  PURGE \t /x   404 ", "PURGE", "localhost", "/x", 404, 404, NULL},
    {"least status", "GET / 200", "GET", "localhost", "/", 200, 200, NULL},
    {"greatest status", "GET / 599", "GET", "localhost", "/", 599, 599, NULL},
    {"empty", "", NULL, NULL, NULL, 0, 0, "has not three words"},
    {"one word", "/health", NULL, NULL, NULL, 0, 0, "has not three words"},
    {"no status", "GET /health", NULL, NULL, NULL, 0, 0, "METHOD TARGET STATUS"},
    {"four words", "GET /a b 200", NULL, NULL, NULL, 0, 0, "has not three words"},
    {"method", "G(T /a 200", NULL, NULL, NULL, 0, 0, "\"G(T\" is no method"},
    {"CONNECT", "CONNECT /a 200", NULL, NULL, NULL, 0, 0, "is no method"},
    {"relative", "GET health 200", NULL, NULL, NULL, 0, 0, "\"health\" is no target"},
    {"fragment", "GET /a#b 200", NULL, NULL, NULL, 0, 0, "is no target"},
    {"not ASCII", "GET /\xc3\xa4 200", NULL, NULL, NULL, 0, 0, "outside of ASCII"},
    {"control byte", "GET /a\rb 200", NULL, NULL, NULL, 0, 0, "is no target"},
    {"https", "GET https://x/ 200", NULL, NULL, NULL, 0, 0, "plain HTTP"},
    {"no host", "GET http:///x 200", NULL, NULL, NULL, 0, 0, "names no host"},
    {"host with a query", "GET http://x?y 200", NULL, NULL, NULL, 0, 0, "is no target"},
    {"user", "GET http://me@x/ 200", NULL, NULL, NULL, 0, 0, "names no host"},
    {"1xx", "GET / 100", NULL, NULL, NULL, 0, 0, "\"100\" is no status"},
    {"1xx as a class", "GET / 1xx", NULL, NULL, NULL, 0, 0, "is no status"},
    {"600", "GET / 600", NULL, NULL, NULL, 0, 0, "is no status"},
    {"two digits", "GET / 20", NULL, NULL, NULL, 0, 0, "is no status"},
    {"four digits", "GET / 2000", NULL, NULL, NULL, 0, 0, "is no status"},
    {"half a class", "GET / 20x", NULL, NULL, NULL, 0, 0, "2xx to 5xx"},
};

static void is(const struct row *row, const char *what, cs_str found, const char *wanted)
{
    if (!str_is(found, wanted))
        fail_msg("%s: the %s is \"%.*s\"", row->label, what, CS_F(found));
}

static void check_row(const struct row *row)
{
    struct conf_trial t;
    struct buf error = {0};
    int rc = conf_trial_parse(str_of(row->text), &t, &error);

    if ((rc == 0) != (row->error == NULL))
        fail_msg("%s: %s", row->label, rc ? error.p : "no error");
    if (row->error && !strstr(error.p, row->error))
        fail_msg("%s: %s", row->label, error.p);
    if (!row->error) {
        is(row, "method", t.method, row->method);
        is(row, "host", t.host, row->host);
        is(row, "path", t.path, row->path);
        if (t.first != row->first || t.last != row->last)
            fail_msg("%s: %d to %d", row->label, t.first, t.last);
    }
    buf_free(&error);
}

static void test_trials(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        check_row(&rows[i]);
    printf("rows: %zu\n", sizeof rows / sizeof *rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_trials)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
