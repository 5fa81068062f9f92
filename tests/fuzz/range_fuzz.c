/* range_fuzz.c - any bytes as a Range field: what comes out lies inside the representation, in
 * fewer bytes than the whole unless one range asked for it. The same bytes go through dates and
 * lists. */
#include "base/check.h"
#include "http/date.h"
#include "http/range.h"
#include "http/token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_ranges(cs_str value, uint64_t size)
{
    struct http_range r[8];
    uint64_t sum = 0;
    int n = http_range_parse(value, size, r, 8);
    check(n == -416 || (n >= 0 && n <= 8));
    for (int i = 0; i < n; i++) {
        check(r[i].first <= r[i].last && r[i].last < size);
        sum += r[i].last - r[i].first + 1;
    }
    check(n <= 1 || sum < size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cs_str value = {(const char *)data, size}, rest = value, element;
    check_ranges(value, 0);
    check_ranges(value, 1);
    check_ranges(value, 1000);
    check_ranges(value, INT64_MAX);
    while (http_list_next(&rest, &element))
        check(element.n > 0 && element.p >= value.p && element.p + element.n <= value.p + size);
    time_t t, back;
    if (http_date_parse(value, 1795000000, &t)) {
        char text[HTTP_DATE_LEN + 1];
        http_date_format(t, text);
        check(http_date_parse((cs_str){text, HTTP_DATE_LEN}, 1795000000, &back));
        check(back == t || t > 253402300799);
    }
    return 0;
}
