/* range.c - see range.h. The field is optional to obey, so whatever is odd is ignored as a whole.
 */
#include "http/range.h"

#include "http/token.h"

/* Decimal number, saturating: a range may end far behind any file. */
static bool read_number(cs_str s, uint64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        uint64_t digit = (uint64_t)(s.p[i] - '0');
        *out = *out > (UINT64_MAX - digit) / 10 ? UINT64_MAX : *out * 10 + digit;
    }
    return s.n > 0;
}

enum verdict {
    BAD,
    GOOD,
    OUTSIDE
};

/* One "first-", "first-last" or "-suffix". A suffix of nothing is all of it, and no Content-Range
 * can say so: BAD, the answer is the whole. */
static enum verdict read_spec(cs_str spec, uint64_t size, struct http_range *r)
{
    const char *dash = memchr(spec.p, '-', spec.n);
    if (!dash)
        return BAD;
    cs_str a = {spec.p, (size_t)(dash - spec.p)};
    cs_str b = {dash + 1, spec.n - a.n - 1};
    uint64_t last = UINT64_MAX;
    if (a.n == 0) {
        if (!read_number(b, &last) || (size == 0 && last > 0))
            return BAD;
        if (last == 0)
            return OUTSIDE;
        *r = (struct http_range){last < size ? size - last : 0, size - 1};
        return GOOD;
    }
    if (!read_number(a, &r->first) || (b.n > 0 && !read_number(b, &last)) || last < r->first)
        return BAD;
    if (r->first >= size)
        return OUTSIDE;
    r->last = last < size ? last : size - 1;
    return GOOD;
}

/* Do they overlap or touch? Then a covers both. */
static bool merge(struct http_range *a, const struct http_range *b)
{
    if (b->first > a->last + 1 || a->first > b->last + 1)
        return false;
    a->first = a->first < b->first ? a->first : b->first;
    a->last = a->last > b->last ? a->last : b->last;
    return true;
}

/* What r makes of those that are there: it is merged with each that it overlaps or touches, at the place of the first. */
static int place(struct http_range *out, int n, struct http_range r)
{
    int at = -1, kept = 0;
    for (int i = 0; i < n; i++) {
        if (at < 0 && merge(&out[i], &r))
            at = kept;
        else if (at >= 0 && merge(&out[at], &out[i]))
            continue;
        out[kept++] = out[i];
    }
    if (at < 0)
        out[kept++] = r;
    return kept;
}

static uint64_t total(const struct http_range *r, int n)
{
    uint64_t sum = 0;
    for (int i = 0; i < n; i++) {
        uint64_t len = r[i].last - r[i].first + 1;
        sum = len > UINT64_MAX - sum ? UINT64_MAX : sum + len;
    }
    return sum;
}

int http_range_parse(cs_str value, uint64_t size, struct http_range *out, int max)
{
    static const cs_str unit = {"bytes=", 6};
    int specs = 0, n = 0;
    cs_str spec;
    if (value.n < unit.n || !str_eq_nocase((cs_str){value.p, unit.n}, unit))
        return 0;
    value = (cs_str){value.p + unit.n, value.n - unit.n};
    while (http_list_next(&value, &spec)) {
        struct http_range r;
        enum verdict verdict = read_spec(spec, size, &r);
        if (++specs > max || verdict == BAD)
            return 0;
        if (verdict == GOOD)
            n = place(out, n, r);
    }
    if (specs == 0)
        return 0;
    if (n == 0)
        return -416;
    return specs > 1 && total(out, n) >= size ? 0 : n;
}
