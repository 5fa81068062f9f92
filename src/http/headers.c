#include "http/headers.h"

/* Is it that name, in any case? `lower` is in small letters, of at least 4 bytes and of the length of `name`, which is
 * a constant where this is inlined: then it takes one or two comparisons of words. Of a letter, and of nothing
 * else in `lower`, bit 5 says its case, bit 6 is set. */
static inline uint64_t folded(const char *p, const char *lower, size_t n)
{
    uint64_t word = 0, want = 0;
    memcpy(&word, p, n);
    memcpy(&want, lower, n);
    return (word | (want & 0x4040404040404040u) >> 1) ^ want;
}

__attribute__((always_inline)) static inline bool is_name(cs_str name, const char *lower, size_t n)
{
    if (n < 8)
        return folded(name.p, lower, n) == 0;
    uint64_t wrong = folded(name.p, lower, 8);
    for (size_t i = 8; i + 8 <= n; i += 8)
        wrong |= folded(name.p + i, lower + i, 8);
    return (wrong | folded(name.p + n - 8, lower + n - 8, 8)) == 0;
}
#define is(name, lower) is_name(name, lower, sizeof(lower) - 1)

/* The length leaves at most three candidates, the first letter mostly one. */
enum http_field http_field_of(cs_str name)
{
    switch (name.n) {
    case 4:
        return is(name, "host") ? HTTP_FIELD_HOST : HTTP_FIELD_OTHER;
    case 5:
        return is(name, "range") ? HTTP_FIELD_RANGE : HTTP_FIELD_OTHER;
    case 6:
        return is(name, "expect") ? HTTP_FIELD_EXPECT : HTTP_FIELD_OTHER;
    case 7:
        return is(name, "referer") ? HTTP_FIELD_REFERER : HTTP_FIELD_OTHER;
    case 8:
        if (is(name, "if-match"))
            return HTTP_FIELD_IF_MATCH;
        return is(name, "if-range") ? HTTP_FIELD_IF_RANGE : HTTP_FIELD_OTHER;
    case 10:
        if (is(name, "user-agent"))
            return HTTP_FIELD_USER_AGENT;
        return is(name, "connection") ? HTTP_FIELD_CONNECTION : HTTP_FIELD_OTHER;
    case 13:
        return is(name, "if-none-match") ? HTTP_FIELD_IF_NONE_MATCH : HTTP_FIELD_OTHER;
    case 14:
        return is(name, "content-length") ? HTTP_FIELD_CONTENT_LENGTH : HTTP_FIELD_OTHER;
    case 17:
        if (is(name, "if-modified-since"))
            return HTTP_FIELD_IF_MODIFIED_SINCE;
        return is(name, "transfer-encoding") ? HTTP_FIELD_TRANSFER_ENCODING : HTTP_FIELD_OTHER;
    case 19:
        return is(name, "if-unmodified-since") ? HTTP_FIELD_IF_UNMODIFIED_SINCE : HTTP_FIELD_OTHER;
    default:
        return HTTP_FIELD_OTHER;
    }
}

const struct http_header *http_header_find(const struct http_header *v, size_t n, cs_str name)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq_nocase(v[i].name, name))
            return &v[i];
    return NULL;
}
