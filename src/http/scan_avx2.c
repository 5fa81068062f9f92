/* scan_avx2.c - 32 bytes at a time. */
#include "http/scan_ways.h"

#ifdef __x86_64__

#include <immintrin.h>

#define WAY      __attribute__((target("avx2,bmi")))
#define LANES    32
#define NARROWER scan_sse42

struct lanes {
    __m256i v;
};

WAY static inline struct lanes load(const char *p)
{
    return (struct lanes){_mm256_loadu_si256((const __m256i *)p)};
}

WAY static inline struct lanes rows_of(const struct scan_rows *r)
{
    return (struct lanes){_mm256_broadcastsi128_si256(_mm_load_si128((const __m128i *)r->row))};
}

/* Each byte chooses its row by its low half (and none if it is not ASCII), its bit by its high half. */
WAY static inline uint64_t not_in(struct lanes s, struct lanes rows)
{
    const __m256i bits = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(1, 2, 4, 8, 16, 32, 64, -128, 0, 0, 0, 0, 0, 0, 0, 0));
    __m256i high = _mm256_and_si256(_mm256_srli_epi16(s.v, 4), _mm256_set1_epi8(15));
    __m256i hit =
        _mm256_and_si256(_mm256_shuffle_epi8(rows.v, s.v), _mm256_shuffle_epi8(bits, high));
    return (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(hit, _mm256_setzero_si256()));
}

/* Below the blank but no HTAB, or DEL. */
WAY static inline uint64_t not_value(struct lanes s)
{
    __m256i low = _mm256_cmpeq_epi8(_mm256_min_epu8(s.v, _mm256_set1_epi8(0x1f)), s.v);
    __m256i tab = _mm256_cmpeq_epi8(s.v, _mm256_set1_epi8('\t'));
    __m256i del = _mm256_cmpeq_epi8(s.v, _mm256_set1_epi8(0x7f));
    return (uint32_t)_mm256_movemask_epi8(_mm256_or_si256(_mm256_andnot_si256(tab, low), del));
}

#include "http/scan_lanes.h"

/* Paths and hosts are seldom longer than 32 bytes. */
static bool path(const char *p, size_t n, char *out)
{
    return scan_sse42.path(p, n, out);
}

static size_t host(const char *p, size_t n)
{
    return scan_sse42.host(p, n);
}

const struct scan scan_avx2 = {"avx2", wide_target, wide_value, host, wide_fields, path};

#endif
