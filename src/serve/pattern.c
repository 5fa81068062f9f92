#include "serve/pattern.h"

#include "base/check.h"
#include "base/mem.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>
#include <time.h>

struct pattern_pool {
    pcre2_match_context *limits;
    pcre2_jit_stack *stack;
    pcre2_match_data *data; /* for the pattern with the most groups */
    size_t most_groups;
    struct pattern *first;
};

struct pattern {
    struct pattern *next;
    struct pattern_pool *pool;
    pcre2_code *code;
    bool jit, anchored; /* it begins at the beginning only */
    uint32_t ngroups, nnames, name_size;
    PCRE2_SPTR names; /* entries of name_size bytes: two of the group's number, the name, a NUL */
};

/* \C could leave a match in the middle of a character, which nothing behind it expects. */
#define OPTIONS                                                                                    \
    (PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C | PCRE2_USE_OFFSET_LIMIT)

static void *must(void *p)
{
    check(p != NULL);
    return p;
}

struct pattern_pool *pattern_pool_new(void)
{
    struct pattern_pool *pool = mem_alloc(sizeof *pool);
    pool->limits = must(pcre2_match_context_create(NULL));
    pcre2_set_match_limit(pool->limits, PATTERN_MATCH_LIMIT);
    pcre2_set_depth_limit(pool->limits, PATTERN_DEPTH_LIMIT);
    pcre2_set_heap_limit(pool->limits, PATTERN_HEAP_KIB);
    pool->stack = pcre2_jit_stack_create(32 * 1024, PATTERN_STACK, NULL);
    if (pool->stack)
        pcre2_jit_stack_assign(pool->limits, NULL, pool->stack);
    return pool;
}

void pattern_pool_free(struct pattern_pool *pool)
{
    if (!pool)
        return;
    for (struct pattern *p = pool->first, *next; p; p = next) {
        next = p->next;
        pcre2_code_free(p->code);
        free(p);
    }
    pcre2_match_data_free(pool->data);
    pcre2_jit_stack_free(pool->stack);
    pcre2_match_context_free(pool->limits);
    free(pool);
}

static void make_room(struct pattern_pool *pool, size_t groups)
{
    if (groups <= pool->most_groups)
        return;
    pcre2_match_data_free(pool->data);
    pool->data = must(pcre2_match_data_create((uint32_t)groups, NULL));
    pool->most_groups = groups;
}

static void look_at(struct pattern *p)
{
    size_t jit = 0;
    uint32_t groups = 0, options = 0;
    pcre2_pattern_info(p->code, PCRE2_INFO_ALLOPTIONS, &options);
    pcre2_pattern_info(p->code, PCRE2_INFO_JITSIZE, &jit);
    pcre2_pattern_info(p->code, PCRE2_INFO_CAPTURECOUNT, &groups);
    pcre2_pattern_info(p->code, PCRE2_INFO_NAMECOUNT, &p->nnames);
    pcre2_pattern_info(p->code, PCRE2_INFO_NAMEENTRYSIZE, &p->name_size);
    pcre2_pattern_info(p->code, PCRE2_INFO_NAMETABLE, &p->names);
    p->jit = jit > 0;
    p->anchored = options & PCRE2_ANCHORED;
    p->ngroups = groups + 1;
}

struct pattern *pattern_new(struct pattern_pool *pool, cs_str text, struct buf *error)
{
    int number;
    PCRE2_SIZE at;
    PCRE2_UCHAR why[160];
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)text.p, text.n, OPTIONS, &number, &at, NULL);
    if (!code) {
        pcre2_get_error_message(number, why, sizeof why);
        buf_printf(error, "%s at character %zu", (const char *)why, at + 1);
        return NULL;
    }
    struct pattern *p = mem_alloc(sizeof *p);
    *p = (struct pattern){.next = pool->first, .pool = pool, .code = code};
    pool->first = p;
    pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
    look_at(p);
    make_room(pool, p->ngroups);
    return p;
}

/* The JIT's entry skips checks that are for callers who know less. */
static int match(const struct pattern *p, cs_str s, size_t from)
{
    const struct pattern_pool *pool = p->pool;
    PCRE2_SPTR text = (PCRE2_SPTR)(s.p ? s.p : "");
    return p->jit ? pcre2_jit_match(p->code, text, s.n, from, 0, pool->data, pool->limits)
                  : pcre2_match(p->code, text, s.n, from, PCRE2_NO_UTF_CHECK, pool->data,
                                pool->limits);
}

/* Of this thread alone: what others do is not its fault. */
static int64_t cpu_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* A place between two characters, at or behind i; behind the end: there is no such place. */
static size_t border(cs_str s, size_t i)
{
    while (i < s.n && ((unsigned char)s.p[i] & 0xc0) == 0x80)
        i++;
    return i < s.n ? i : s.n + 1;
}

/* Parts grow, since PCRE2 remembers within a part what is in vain. */
static int match_long(const struct pattern *p, cs_str s)
{
    int64_t until = cpu_ms() + PATTERN_LONG_CPU_MS;
    int rc = PCRE2_ERROR_NOMATCH;
    size_t part = PATTERN_PART_MIN;
    for (size_t from = 0, end; from <= s.n && rc == PCRE2_ERROR_NOMATCH; from = end) {
        end = border(s, from + part);
        part = part < PATTERN_PART_MAX ? 2 * part : part;
        pcre2_set_offset_limit(p->pool->limits, end - 1);
        rc = match(p, s, from);
        if (rc == PCRE2_ERROR_NOMATCH && end <= s.n && cpu_ms() > until)
            rc = PCRE2_ERROR_MATCHLIMIT;
    }
    pcre2_set_offset_limit(p->pool->limits, PCRE2_UNSET);
    return rc;
}

enum pattern_result pattern_try(const struct pattern *p, cs_str s)
{
    int rc = p->anchored || s.n < PATTERN_LONG ? match(p, s, 0) : match_long(p, s);
    if (rc >= 0)
        return PATTERN_MATCHES;
    return rc == PCRE2_ERROR_NOMATCH ? PATTERN_DIFFERS : PATTERN_GAVE_UP;
}

size_t pattern_ngroups(const struct pattern *p)
{
    return p->ngroups;
}

void pattern_groups(const struct pattern *p, cs_str subject, cs_str *out)
{
    const PCRE2_SIZE *v = pcre2_get_ovector_pointer(p->pool->data);
    for (size_t i = 0; i < p->ngroups; i++) {
        PCRE2_SIZE from = v[2 * i], to = v[2 * i + 1];
        out[i] = (cs_str){NULL, 0};
        if (from != PCRE2_UNSET) /* \K can put the beginning behind the end */
            out[i] = (cs_str){subject.p + from, to > from ? to - from : 0};
    }
}

bool pattern_name(const struct pattern *p, size_t i, cs_str *name, size_t *group)
{
    if (i >= p->nnames)
        return false;
    PCRE2_SPTR entry = p->names + i * p->name_size;
    *group = (size_t)entry[0] << 8 | entry[1];
    *name = str_of((const char *)entry + 2);
    return true;
}
