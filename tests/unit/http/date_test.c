/* Dates in the three forms, and there and back over the years. */
#include "http/date.h"

#include "edge.h"

#define NOW ((time_t)1795000000) /* 18 November 2026 */
#define BAD ((time_t)-7777777)

static void read_dates(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        time_t t;
    } rows[] = {
        {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
        {"Sunday, 06-Nov-94 08:49:37 GMT", 784111777},
        {"Sun Nov  6 08:49:37 1994", 784111777},
        {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
        {"Wed, 31 Dec 1969 23:59:59 GMT", -1},
        {"Fri, 13 Feb 2009 23:31:30 GMT", 1234567890},
        {"Tue, 19 Jan 2038 03:14:08 GMT", 2147483648},
        {"Tue, 29 Feb 2000 00:00:00 GMT", 951782400},
        {"Mon, 29 Feb 2016 12:00:00 GMT", 1456747200},
        {"Wed Feb 29 00:00:00 2012", 1330473600},
        {"Fri, 31 Dec 9999 23:59:59 GMT", 253402300799},
        {"Sat, 01 Jan 0000 00:00:00 GMT", -62167219200},
        {"Sat Nov 16 08:49:37 1994", 784975777},
        {"Sat, 31 Dec 2016 23:59:60 GMT", 1483228800},
        {"Tue, 30 Jun 2015 23:59:60 GMT", 1435708800},
        {"Saturday, 31-Dec-16 23:59:60 GMT", 1483228800},
        {"Sat Dec 31 23:59:60 2016", 1483228800},
        {"Mon, 06 Nov 1994 08:49:37 GMT", 784111777}, /* it was a Sunday */
        /* Two digits: 2026 + 50 is the last year ahead. */
        {"Monday, 01-Jan-70 00:00:00 GMT", 3155760000},
        {"Tuesday, 01-Jan-99 00:00:00 GMT", 915148800},
        {"Saturday, 01-Jan-00 00:00:00 GMT", 946684800},
        {"Wednesday, 01-Jan-76 00:00:00 GMT", 3345062400},
        {"Wednesday, 17-Nov-76 00:00:00 GMT", 3372796800},
        {"Saturday, 20-Nov-76 00:00:00 GMT", 217296000},
        {"Saturday, 01-Jan-77 00:00:00 GMT", 220924800},
        {"Sunday, 29-Feb-04 00:00:00 GMT", 1078012800},
        {"", BAD},
        {"0", BAD},
        {"S", BAD},
        {"Sun", BAD},
        {"Sunday", BAD},
        {"Sun,", BAD},
        {"Sunday,", BAD},
        {"1994-11-06T08:49:37Z", BAD},
        {"784111777", BAD},
        {"Sun, 06 Nov 1994 08:49:37", BAD},
        {"Sun, 06 Nov 1994 08:49:37 ", BAD},
        {"Sun, 06 Nov 1994 08:49:37 GM", BAD},
        {"Sun, 06 Nov 1994 08:49:37 GMT ", BAD},
        {" Sun, 06 Nov 1994 08:49:37 GMT", BAD},
        {"Sun, 06 Nov 1994 08:49:37 UTC", BAD},
        {"Sun, 06 Nov 1994 08:49:37 gmt", BAD},
        {"Sun, 06 Nov 1994 08:49:37 +0000", BAD},
        {"sun, 06 Nov 1994 08:49:37 GMT", BAD},
        {"Sun, 06 nov 1994 08:49:37 GMT", BAD},
        {"Son, 06 Nov 1994 08:49:37 GMT", BAD},
        {"Sun 06 Nov 1994 08:49:37 GMT", BAD},
        {"Sun,06 Nov 1994 08:49:37 GMT", BAD},
        {"Sun, 6 Nov 1994 08:49:37 GMT", BAD},
        {"Sun,  6 Nov 1994 08:49:37 GMT", BAD},
        {"Sun, 06-Nov-1994 08:49:37 GMT", BAD},
        {"Sun, 06 Nov 94 08:49:37 GMT", BAD},
        {"Sun, 06 Nov 1994 8:49:37 GMT", BAD},
        {"Sun, 06 Nov 1994 08:49 GMT", BAD},
        {"Sun, 06 Nov 1994 24:00:00 GMT", BAD},
        {"Sun, 06 Nov 1994 08:60:00 GMT", BAD},
        {"Sun, 06 Nov 1994 08:49:61 GMT", BAD},
        {"Sun, 06 Nov 1994 -8:49:37 GMT", BAD},
        {"Sun, 06 Nov +994 08:49:37 GMT", BAD},
        {"Sun, 00 Nov 1994 08:49:37 GMT", BAD},
        {"Sun, 32 Jan 1994 08:49:37 GMT", BAD},
        {"Sun, 31 Nov 1994 08:49:37 GMT", BAD},
        {"Sun, 29 Feb 1994 08:49:37 GMT", BAD},
        {"Sun, 29 Feb 1900 08:49:37 GMT", BAD},
        {"Sun, 30 Feb 2000 08:49:37 GMT", BAD},
        {"Sun, 06 Foo 1994 08:49:37 GMT", BAD},
        {"Sunday, 06 Nov 1994 08:49:37 GMT", BAD},
        {"Sunday, 06-Nov-1994 08:49:37 GMT", BAD},
        {"Sunday, 30-Feb-04 00:00:00 GMT", BAD},
        {"Sunday 06-Nov-94 08:49:37 GMT", BAD},
        {"Sun, 06-Nov-94 08:49:37 GMT", BAD},
        {"Sun Nov 6 08:49:37 1994", BAD},
        {"Sun Nov 06 08:49:37 94", BAD},
        {"Sun Nov  6 08:49:37 1994 GMT", BAD},
        {"Sun Nov   6 08:49:37 1994", BAD},
        {"Sun Nov 31 08:49:37 1994", BAD},
    };
    struct edge page = edge_open(4096);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        time_t t = BAD;
        bool ok = http_date_parse(edge_put(&page, str_of(rows[i].text)), NOW, &t);
        if (ok != (rows[i].t != BAD) || (ok && t != rows[i].t))
            fail_msg("\"%s\": %s %lld", rows[i].text, ok ? "read as" : "refused", (long long)t);
    }
    edge_close(&page);
    printf("rows: %zu\n", sizeof rows / sizeof rows[0]);
}

/* A date that is cut short is no date, nor is one with a byte more. */
static void cut_dates(void **state)
{
    (void)state;
    static const char *const texts[] = {"Sun, 06 Nov 1994 08:49:37 GMT",
                                        "Sunday, 06-Nov-94 08:49:37 GMT",
                                        "Sun Nov  6 08:49:37 1994"};
    struct edge page = edge_open(4096);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        cs_str whole = str_of(texts[i]);
        for (size_t n = 0; n <= whole.n + 1; n++) {
            time_t t;
            cs_str part = edge_put(&page, (cs_str){whole.p, n});
            if (http_date_parse(part, NOW, &t) != (n == whole.n))
                fail_msg("\"%.*s\"", CS_F(part));
        }
    }
    edge_close(&page);
}

/* Against the C library, which knows the same calendar. */
static void there_and_back(void **state)
{
    (void)state;
    for (int64_t t = -62167219200; t < 253402300800; t += 86400 * 9 + 3661) {
        char got[HTTP_DATE_LEN + 1], want[64];
        time_t when = (time_t)t, back = BAD;
        struct tm tm;
        http_date_format(when, got);
        gmtime_r(&when, &tm);
        strftime(want, sizeof want, "%a, %d %b ", &tm);
        snprintf(want + 12, sizeof want - 12, "%04d %02d:%02d:%02d GMT", tm.tm_year + 1900,
                 tm.tm_hour, tm.tm_min, tm.tm_sec);
        assert_string_equal(got, want);
        assert_true(http_date_parse(str_of(got), NOW, &back));
        assert_int_equal(back, when);
    }
}

/* The two old forms of every 100th day of a century around now. */
static void old_forms_there_and_back(void **state)
{
    (void)state;
    for (time_t t = NOW - 49 * 31556952LL; t < NOW + 49 * 31556952LL; t += 86400 * 100 + 3661) {
        char text[64];
        struct tm tm;
        time_t back = BAD;
        gmtime_r(&t, &tm);
        strftime(text, sizeof text, "%A, %d-%b-%y %H:%M:%S GMT", &tm);
        assert_true(http_date_parse(str_of(text), NOW, &back));
        assert_int_equal(back, t);
        strftime(text, sizeof text, "%a %b %e %H:%M:%S %Y", &tm);
        assert_true(http_date_parse(str_of(text), NOW, &back));
        assert_int_equal(back, t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(read_dates),
        cmocka_unit_test(cut_dates),
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(old_forms_there_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
