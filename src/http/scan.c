/* scan.c - the plain way, and which way is taken. */
#include "http/scan.h"

#include "base/check.h"
#include "http/scan_ways.h"
#include "http/token.h"

#include <stdlib.h>

struct scan_rows scan_tchars, scan_targets, scan_paths, scan_hosts;

/* ---- Plain ---- */

/* First byte at or after i that is not of the class; n if there is none. */
static inline size_t skip(const char *p, size_t i, size_t n, unsigned char class)
{
    while (i < n && http_is((unsigned char)p[i], class))
        i++;
    return i;
}

/* Does one of the 8 bytes end a run of field value? HTAB also says yes, then the table decides.
 * The usual exact "is there a byte below n", "is there a zero byte". */
static inline bool has_control(uint64_t w)
{
    const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
    uint64_t del = w ^ (ones * 0x7f);
    return ((((w - ones * 0x20) & ~w) | ((del - ones) & ~del)) & tops) != 0;
}

static inline bool has_control_at(const char *p)
{
    uint64_t w;
    memcpy(&w, p, 8);
    return has_control(w);
}

static size_t plain_value(const char *p, size_t i, size_t n)
{
    for (; n - i >= 8; i += 8)
        if (has_control_at(p + i))
            return skip(p, i, n, HTTP_CLASS_VALUE);
    return n < 8 || has_control_at(p + n - 8) ? skip(p, i, n, HTTP_CLASS_VALUE) : n;
}

static size_t plain_target(const char *p, size_t i, size_t n)
{
    return skip(p, i, n, HTTP_CLASS_TARGET);
}

static size_t plain_host(const char *p, size_t n)
{
    return skip(p, 0, n, HTTP_CLASS_HOST);
}

static size_t plain_fields(const char *p, size_t i, size_t n, struct http_header *to, size_t room,
                           size_t *taken)
{
    size_t k = 0;
    for (; k < room; k++) {
        size_t colon = skip(p, i, n, HTTP_CLASS_TCHAR);
        if (colon == i || colon == n || p[colon] != ':')
            break;
        size_t end = plain_value(p, colon + 1, n);
        if (n - end < 2 || p[end] != '\r' || p[end + 1] != '\n')
            break;
        scan_keep(&to[k], p + i, p + colon, p + end);
        i = end + 2;
    }
    *taken = k;
    return i;
}

/* A dot at the start of a segment is left to the careful way. */
static bool plain_path(const char *p, size_t n, char *out)
{
    char before = 0;
    for (size_t i = 0; i < n; i++) {
        char c = p[i];
        if (!http_is((unsigned char)c, HTTP_CLASS_PATH))
            return false;
        if (before == '/' && (c == '/' || c == '.'))
            return false;
        out[i] = before = c;
    }
    return true;
}

const struct scan scan_plain = {"plain",    plain_target, plain_value,
                                plain_host, plain_fields, plain_path};

/* ---- The choice ---- */

static const struct scan *ways[4] = {&scan_plain};
const struct scan *scan_now = &scan_plain;

const struct scan *scan_way(size_t i)
{
    check(i < ARRAY_LEN(ways));
    return ways[i];
}

bool scan_use(const char *name)
{
    for (size_t i = 0; ways[i]; i++)
        if (strcmp(ways[i]->name, name) == 0) {
            scan_now = ways[i];
            return true;
        }
    return false;
}

#ifdef __x86_64__
static void fill(struct scan_rows *rows, unsigned char class)
{
    for (unsigned c = 0; c < 128; c++)
        if (http_is((unsigned char)c, class))
            rows->row[c & 15] |= (unsigned char)(1u << (c >> 4));
}

static void look_up(void)
{
    size_t n = 1;
    fill(&scan_tchars, HTTP_CLASS_TCHAR);
    fill(&scan_targets, HTTP_CLASS_TARGET);
    fill(&scan_paths, HTTP_CLASS_PATH);
    fill(&scan_hosts, HTTP_CLASS_HOST);
    __builtin_cpu_init();
    if (__builtin_cpu_supports("sse4.2"))
        scan_now = ways[n++] = &scan_sse42;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi"))
        scan_now = ways[n++] = &scan_avx2;
}
#else
static void look_up(void)
{
}
#endif

/* Nobody can forget to call it, and no thread is there yet. */
__attribute__((constructor)) static void choose(void)
{
    const char *asked = getenv("CSERVER_SCAN");
    look_up();
    if (asked)
        scan_use(asked);
}
