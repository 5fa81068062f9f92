/* range_fuzz.c - any bytes as a Range field: what comes out lies inside the representation, in fewer bytes than the whole unless
 * one range asked for it; and of a small representation it is exactly the bytes that a bitmap says, in as few ranges as they make.
 * The same bytes go through lists. */
#include "http/range.h"
#include "http/token.h"
#include "input.h"

#define MOST  8
#define SMALL 64

static void check_ranges(cs_str value, uint64_t size)
{
    struct http_range r[MOST];
    uint64_t sum = 0;
    int n = http_range_parse(value, size, r, MOST);
    check(n == -416 || (n >= 0 && n <= MOST));
    for (int i = 0; i < n; i++) {
        check(r[i].first <= r[i].last && r[i].last < size);
        sum += r[i].last - r[i].first + 1;
    }
    check(n <= 1 || sum < size);
}

/* ---- With a bitmap ---- */

/* As far as a small representation can tell numbers apart; -1: it is none. */
static int small_number(cs_str s)
{
    int n = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return -1;
        n = n * 10 + (s.p[i] - '0');
        n = n < 1000000 ? n : 1000000;
    }
    return s.n ? n : -1;
}

/* "7-99999999999999999999" and "1000001-1000000" need more than small numbers. */
static bool has_large(cs_str value)
{
    size_t digits = 0;
    for (size_t i = 0; i < value.n; i++) {
        digits = value.p[i] >= '0' && value.p[i] <= '9' ? digits + 1 : 0;
        if (digits > 6)
            return true;
    }
    return false;
}

/* Adds the bytes that it asks for; false: it is none. */
static bool add_spec(cs_str spec, int size, uint64_t *bytes)
{
    cs_str last = spec, first;
    if (!str_split(&last, '-', &first) || !last.p)
        return false;
    int a = small_number(first), b = last.n ? small_number(last) : INT32_MAX;
    if (!first.n) {
        if (!last.n || b < 0)
            return false;
        a = b < size ? size - b : 0;
        b = INT32_MAX;
    }
    if (a < 0 || b < a)
        return false;
    for (int i = a; i < size && i <= b; i++)
        *bytes |= UINT64_C(1) << i;
    return true;
}

/* -1: the field is to be ignored. */
static int read_specs(cs_str value, int size, uint64_t *bytes)
{
    int specs = 0;
    cs_str spec;
    if (value.n < 6 || !str_eq_nocase((cs_str){value.p, 6}, CS_S("bytes=")))
        return -1;
    value = (cs_str){value.p + 6, value.n - 6};
    while (str_split(&value, ',', &spec)) {
        spec = str_trim(spec);
        if (!spec.n)
            continue;
        if (++specs > MOST || !add_spec(spec, size, bytes))
            return -1;
    }
    return specs ? specs : -1;
}

static int count_runs(uint64_t bytes)
{
    return __builtin_popcountll(bytes & ~(bytes << 1));
}

static void check_bytes(cs_str value, int size)
{
    struct http_range r[MOST];
    uint64_t want = 0, got = 0;
    int n = http_range_parse(value, (uint64_t)size, r, MOST);
    int specs = read_specs(value, size, &want);
    if (specs < 0 || (specs > 1 && __builtin_popcountll(want) == size)) {
        check(n == 0);
        return;
    }
    if (!want) {
        check(n == -416);
        return;
    }
    check(n == count_runs(want));
    for (int i = 0; i < n; i++)
        for (uint64_t k = r[i].first; k <= r[i].last; k++)
            got |= UINT64_C(1) << k;
    check(got == want);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cs_str value = input_of(data, size), rest = value, element;
    check_ranges(value, 0);
    check_ranges(value, 1);
    check_ranges(value, 1000);
    check_ranges(value, INT64_MAX);
    if (!has_large(value)) {
        check_bytes(value, 1);
        check_bytes(value, 10);
        check_bytes(value, SMALL);
    }
    while (http_list_next(&rest, &element))
        check(element.n > 0 && is_within(element, value));
    return 0;
}
