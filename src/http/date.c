/* date.c - dates by the proleptic Gregorian calendar, without the C library: no time zones, no
 * locale.
 *
 * Days are counted in years that begin in March, so that the leap day is the last day of a year and
 * the months fall into a pattern of 153 days in five. */
#include "http/date.h"

#define DAY 86400

static const char month_names[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
static const char *const day_names[7] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                         "Thursday", "Friday", "Saturday"};

struct civil {
    int year, month, day; /* month 1..12 */
    int hour, minute, second;
};

/* Days since 1970-01-01. */
static int64_t days_of(int year, int month, int day)
{
    int64_t y = month > 2 ? year : year - 1;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t of_era = y - era * 400;
    int64_t of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static struct civil civil_of(int64_t days)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t day = days - era * 146097;
    int64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    int64_t of_year = day - (year * 365 + year / 4 - year / 100);
    int64_t month = (of_year * 5 + 2) / 153;
    struct civil c = {.day = (int)(of_year - (month * 153 + 2) / 5 + 1),
                      .month = (int)(month < 10 ? month + 3 : month - 9)};
    c.year = (int)(year + era * 400 + (c.month <= 2));
    return c;
}

static void put_number(char *out, int value, int digits)
{
    while (digits-- > 0) {
        out[digits] = (char)('0' + value % 10);
        value /= 10;
    }
}

void http_date_format(time_t t, char out[HTTP_DATE_LEN + 1])
{
    int64_t days = t / DAY, rest = t % DAY;
    if (rest < 0) {
        rest += DAY;
        days--;
    }
    struct civil c = civil_of(days);
    int64_t weekday = (days % 7 + 11) % 7; /* 1970-01-01 was a Thursday */
    memcpy(out, "Sun, 00 Jan 0000 00:00:00 GMT", HTTP_DATE_LEN + 1);
    memcpy(out, day_names[weekday], 3);
    put_number(out + 5, c.day, 2);
    memcpy(out + 8, month_names[c.month - 1], 3);
    put_number(out + 12, c.year, 4);
    put_number(out + 17, (int)(rest / 3600), 2);
    put_number(out + 20, (int)(rest / 60 % 60), 2);
    put_number(out + 23, (int)(rest % 60), 2);
}

/* The readers below take what they understand from the front of *s; false if it is not there. */

static bool take(cs_str *s, const char *text)
{
    cs_str want = str_of(text);
    if (!str_starts(*s, want))
        return false;
    s->p += want.n;
    s->n -= want.n;
    return true;
}

static bool take_number(cs_str *s, size_t digits, int *out)
{
    uint64_t value;
    if (s->n < digits || !str_to_u64((cs_str){s->p, digits}, 9999, &value))
        return false;
    s->p += digits;
    s->n -= digits;
    *out = (int)value;
    return true;
}

static bool take_month(cs_str *s, int *month)
{
    for (*month = 1; *month <= 12; ++*month)
        if (take(s, month_names[*month - 1]))
            return true;
    return false;
}

static bool take_time(cs_str *s, struct civil *c)
{
    return take_number(s, 2, &c->hour) && take(s, ":") && take_number(s, 2, &c->minute) &&
           take(s, ":") && take_number(s, 2, &c->second);
}

/* "06 Nov 1994 08:49:37 GMT" */
static bool take_fixdate(cs_str s, struct civil *c)
{
    return take_number(&s, 2, &c->day) && take(&s, " ") && take_month(&s, &c->month) &&
           take(&s, " ") && take_number(&s, 4, &c->year) && take(&s, " ") && take_time(&s, c) &&
           take(&s, " GMT") && s.n == 0;
}

/* "06-Nov-94 08:49:37 GMT" */
static bool take_rfc850(cs_str s, struct civil *c)
{
    return take_number(&s, 2, &c->day) && take(&s, "-") && take_month(&s, &c->month) &&
           take(&s, "-") && take_number(&s, 2, &c->year) && take(&s, " ") && take_time(&s, c) &&
           take(&s, " GMT") && s.n == 0;
}

/* "Nov  6 08:49:37 1994" */
static bool take_asctime(cs_str s, struct civil *c)
{
    return take_month(&s, &c->month) && take(&s, " ") &&
           (take(&s, " ") ? take_number(&s, 1, &c->day) : take_number(&s, 2, &c->day)) &&
           take(&s, " ") && take_time(&s, c) && take(&s, " ") && take_number(&s, 4, &c->year) &&
           s.n == 0;
}

static int64_t seconds_of(const struct civil *c)
{
    return days_of(c->year, c->month, c->day) * DAY + c->hour * 3600 + c->minute * 60 + c->second;
}

/* A second of 60 is a leap second: the first second of the next minute, as the kernel counts. */
static bool to_time(const struct civil *c, time_t *out)
{
    static const int days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = c->year % 4 == 0 && (c->year % 100 != 0 || c->year % 400 == 0);
    int last = days[c->month - 1] + (leap && c->month == 2);
    if (c->day < 1 || c->day > last || c->hour > 23 || c->minute > 59 || c->second > 60)
        return false;
    *out = (time_t)seconds_of(c);
    return true;
}

/* A year of two digits: the last such year that is not more than 50 years ahead. */
static void guess_century(struct civil *c, time_t now)
{
    int64_t limit = (int64_t)now + 50 * (int64_t)31556952;
    c->year += (civil_of(now / DAY).year / 100 + 1) * 100;
    while (c->year >= 100 && seconds_of(c) > limit)
        c->year -= 100;
}

/* The name of the day must be one, but need not be right: nothing depends on it. */
bool http_date_parse(cs_str s, time_t now, time_t *out)
{
    for (int i = 0; i < 7; i++) {
        struct civil c = {0};
        cs_str rest = s;
        if (take(&rest, day_names[i])) {
            if (!take(&rest, ", ") || !take_rfc850(rest, &c))
                return false;
            guess_century(&c, now);
            return to_time(&c, out);
        }
        if (!str_starts(rest, (cs_str){day_names[i], 3}))
            continue;
        rest = (cs_str){s.p + 3, s.n - 3};
        if (take(&rest, ", "))
            return take_fixdate(rest, &c) && to_time(&c, out);
        return take(&rest, " ") && take_asctime(rest, &c) && to_time(&c, out);
    }
    return false;
}
