/* scan_sse42.c - 16 bytes at a time. Of SSE4.2 it wants the shuffle of SSSE3; PCMPESTRI, which could
 * compare with ranges, takes longer than these few simple instructions. */
#include "http/scan_ways.h"

#ifdef __x86_64__

#include <immintrin.h>

#define WAY      __attribute__((target("sse4.2")))
#define LANES    16
#define NARROWER scan_plain

struct lanes {
    __m128i v;
};

WAY static inline struct lanes load(const char *p)
{
    return (struct lanes){_mm_loadu_si128((const __m128i *)p)};
}

WAY static inline struct lanes rows_of(const struct scan_rows *r)
{
    return (struct lanes){_mm_load_si128((const __m128i *)r->row)};
}

/* Each byte chooses its row by its low half (and none if it is not ASCII), its bit by its high half. */
WAY static inline uint64_t not_in(struct lanes s, struct lanes rows)
{
    const __m128i bits = _mm_setr_epi8(1, 2, 4, 8, 16, 32, 64, -128, 0, 0, 0, 0, 0, 0, 0, 0);
    __m128i high = _mm_and_si128(_mm_srli_epi16(s.v, 4), _mm_set1_epi8(15));
    __m128i hit = _mm_and_si128(_mm_shuffle_epi8(rows.v, s.v), _mm_shuffle_epi8(bits, high));
    return (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(hit, _mm_setzero_si128()));
}

/* Below the blank but no HTAB, or DEL. */
WAY static inline uint64_t not_value(struct lanes s)
{
    __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(s.v, _mm_set1_epi8(0x1f)), s.v);
    __m128i tab = _mm_cmpeq_epi8(s.v, _mm_set1_epi8('\t'));
    __m128i del = _mm_cmpeq_epi8(s.v, _mm_set1_epi8(0x7f));
    return (uint32_t)_mm_movemask_epi8(_mm_or_si128(_mm_andnot_si128(tab, low), del));
}

#include "http/scan_lanes.h"

/* ---- What is short ---- */

/* 4 to 15 bytes in one register: the first and the last 4, or 8, some of them twice. */
WAY static inline struct lanes halves(const char *p, size_t n, size_t half)
{
    uint64_t head = 0, tail = 0;
    memcpy(&head, p, half);
    memcpy(&tail, p + n - half, half);
    return (struct lanes){half == 8 ? _mm_set_epi64x((long long)tail, (long long)head)
                                    : _mm_cvtsi64_si128((long long)(head | tail << 32))};
}

WAY static inline size_t host_of_halves(const char *p, size_t n, size_t half)
{
    uint64_t stop = not_in(halves(p, n, half), rows_of(&scan_hosts)) & ((1u << 2 * half) - 1);
    size_t at = stop ? first(stop) : n;
    return stop && at >= half ? n - 2 * half + at : at;
}

WAY static size_t host(const char *p, size_t n)
{
    if (n >= LANES)
        return (size_t)(run_in(rows_of(&scan_hosts), p, p + n) - p);
    if (n < 4)
        return scan_plain.host(p, n);
    return n < 8 ? host_of_halves(p, n, 4) : host_of_halves(p, n, 8);
}

/* ---- Paths ---- */

WAY static inline uint32_t equal(struct lanes s, char c)
{
    return (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(s.v, _mm_set1_epi8(c)));
}

/* Among the bytes of `all`; behind: those that stand behind a slash. */
WAY static inline bool clean(struct lanes s, uint32_t slashes, uint32_t behind, uint32_t all)
{
    uint64_t bad = not_in(s, rows_of(&scan_paths)) | (behind & (slashes | equal(s, '.')));
    return (bad & all) == 0;
}

/* The first byte of the last half is in the first half too, where it is known what it stands behind. */
WAY static inline bool path_of_halves(const char *p, size_t n, char *out, size_t half)
{
    struct lanes s = halves(p, n, half);
    uint32_t slashes = equal(s, '/');
    memcpy(out, p, half);
    memcpy(out + n - half, p + n - half, half);
    return clean(s, slashes, (slashes << 1) & ~(1u << half), (1u << 2 * half) - 1);
}

WAY static bool short_path(const char *p, size_t n, char *out)
{
    if (n < 4)
        return scan_plain.path(p, n, out);
    return n < 8 ? path_of_halves(p, n, out, 4) : path_of_halves(p, n, out, 8);
}

WAY static bool path(const char *p, size_t n, char *out)
{
    uint32_t slashes = 0;
    if (n < LANES)
        return short_path(p, n, out);
    for (size_t i = 0; n - i >= LANES; i += LANES) {
        struct lanes s = load(p + i);
        uint32_t carried = slashes >> (LANES - 1);
        slashes = equal(s, '/');
        if (!clean(s, slashes, slashes << 1 | carried, 0xffff))
            return false;
        _mm_storeu_si128((__m128i *)(out + i), s.v);
    }
    struct lanes last = load(p + n - LANES);
    _mm_storeu_si128((__m128i *)(out + n - LANES), last.v);
    slashes = equal(last, '/');
    return clean(last, slashes, slashes << 1, 0xffff);
}

const struct scan scan_sse42 = {"sse4.2", wide_target, wide_value, host, wide_fields, path};

#endif
