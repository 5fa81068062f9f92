/* chunked_fuzz.c - any bytes as a chunked body: byte by byte as in one piece. */
#include "base/check.h"
#include "http/body.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct result {
    int verdict;
    size_t used, n;
    uint64_t sum; /* of the body: each byte times its place */
};

static struct result decode(const char *bytes, size_t size, size_t step)
{
    struct http_chunked c = {0};
    struct result r = {0};
    for (size_t at = 0; at < size && r.verdict == HTTP_CHUNKED_MORE; at += step) {
        size_t left = size - at < step ? size - at : step, used;
        cs_str out;
        do {
            r.verdict = http_chunked_next(&c, bytes + r.used, left, &used, &out);
            check(used <= left && out.n <= used);
            check((out.n > 0) == (r.verdict == HTTP_CHUNKED_DATA));
            for (size_t i = 0; i < out.n; i++)
                r.sum += ++r.n * (unsigned char)out.p[i];
            r.used += used;
            left -= used;
        } while (r.verdict == HTTP_CHUNKED_DATA);
        check(r.verdict != HTTP_CHUNKED_MORE || left == 0);
    }
    check(c.total == r.n && (r.verdict < 0) == (c.error != NULL));
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct result whole = decode((const char *)data, size, size);
    for (size_t step = 1; step <= 3; step++) {
        struct result cut = decode((const char *)data, size, step);
        check(cut.verdict == whole.verdict && cut.used == whole.used);
        check(cut.n == whole.n && cut.sum == whole.sum);
    }
    return 0;
}
