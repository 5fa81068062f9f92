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

/* ---- Paths ---- */

WAY static inline uint32_t equal(struct lanes s, char c)
{
    return (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(s.v, _mm_set1_epi8(c)));
}

/* behind: the bytes that stand behind a slash. */
WAY static inline bool clean(struct lanes s, uint32_t slashes, uint32_t behind)
{
    uint64_t bad = not_in(s, rows_of(&scan_paths)) | (behind & (slashes | equal(s, '.')));
    return (bad & 0xffff) == 0;
}

/* 8 to 15 bytes: the first 8 and the last 8 in one register. The first of the last 8 is among the first
 * 8 too, where it is known what it stands behind. */
WAY static bool path_of_halves(const char *p, size_t n, char *out)
{
    uint64_t head, tail;
    memcpy(&head, p, 8);
    memcpy(&tail, p + n - 8, 8);
    struct lanes s = {_mm_set_epi64x((long long)tail, (long long)head)};
    uint32_t slashes = equal(s, '/');
    memcpy(out, &head, 8);
    memcpy(out + n - 8, &tail, 8);
    return clean(s, slashes, (slashes << 1) & ~0x100u);
}

WAY static bool path(const char *p, size_t n, char *out)
{
    uint32_t slashes = 0;
    if (n < LANES)
        return n < 8 ? scan_plain.path(p, n, out) : path_of_halves(p, n, out);
    for (size_t i = 0; n - i >= LANES; i += LANES) {
        struct lanes s = load(p + i);
        uint32_t carried = slashes >> (LANES - 1);
        slashes = equal(s, '/');
        if (!clean(s, slashes, slashes << 1 | carried))
            return false;
        _mm_storeu_si128((__m128i *)(out + i), s.v);
    }
    struct lanes last = load(p + n - LANES);
    _mm_storeu_si128((__m128i *)(out + n - LANES), last.v);
    slashes = equal(last, '/');
    return clean(last, slashes, slashes << 1);
}

const struct scan scan_sse42 = {"sse4.2", wide_target, wide_value, wide_fields, path};

#endif
