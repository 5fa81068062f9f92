/* date_fuzz.c - any moment written as the C library writes it, in all three forms, and read back; any bytes as a date. */
#include "http/date.h"
#include "input.h"

#include <stdio.h>

#define YEAR_1    -62135596800
#define YEAR_9999 253402300799
#define NOW       INT64_C(1795000000)
#define CENTURY   3155760000 /* seconds */

static void check_reads(const char *form, const struct tm *tm, time_t t)
{
    char text[64];
    time_t back;
    check(strftime(text, sizeof text, form, tm) > 0);
    check(http_date_parse(str_of(text), NOW, &back) && back == t);
}

static void check_moment(time_t t)
{
    char ours[HTTP_DATE_LEN + 1], theirs[64], year[16];
    struct tm tm;
    check(gmtime_r(&t, &tm));
    snprintf(year, sizeof year, "%04d", (tm.tm_year + 1900) % 10000);
    check(strftime(theirs, sizeof theirs, "%a, %d %b 0000 %H:%M:%S GMT", &tm) == HTTP_DATE_LEN);
    memcpy(theirs + 12, year, 4);
    http_date_format(t, ours);
    check(strcmp(ours, theirs) == 0);
    time_t back;
    check(http_date_parse(str_of(ours), NOW, &back) && back == t);
    if (tm.tm_year >= -900)
        check_reads("%a %b %e %H:%M:%S %Y", &tm, t);
    if (t > NOW - CENTURY / 2 + 86400 && t < NOW + CENTURY / 2 - 86400)
        check_reads("%A, %d-%b-%y %H:%M:%S GMT", &tm, t);
}

/* What is a date says when it was, and nothing stands around it. */
static void check_text(cs_str text)
{
    char again[HTTP_DATE_LEN + 1];
    time_t t, back;
    if (!http_date_parse(text, NOW, &t))
        return;
    check(text.n == 24 || text.n == HTTP_DATE_LEN || (text.n >= 30 && text.n <= 33));
    check(text.n < 30 || (t <= NOW + CENTURY / 2 && t > NOW - CENTURY / 2 - 86400));
    http_date_format(t, again);
    check(http_date_parse(str_of(again), NOW, &back) ? back == t : t > YEAR_9999);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t raw = 0;
    memcpy(&raw, data, size < sizeof raw ? size : sizeof raw);
    check_moment((time_t)(raw % (uint64_t)(YEAR_9999 - YEAR_1 + 1)) + YEAR_1);
    check_moment((time_t)(raw % (uint64_t)(2 * NOW)));
    check_text(input_of(data, size));
    return 0;
}
