/* pattern.c - stands in for serve/pattern.c, and so for libpcre2, so that who links the kit needs none: routes with a regular
 * expression are refused, so no match is ever looked for. */
#include "serve/pattern.h"

struct pattern_pool *pattern_pool_new(void)
{
    return NULL;
}

void pattern_pool_free(struct pattern_pool *pool)
{
    (void)pool;
}

struct pattern *pattern_new(struct pattern_pool *pool, cs_str text, struct buf *error)
{
    (void)pool, (void)text;
    buf_add_z(error, "the test kit has no regular expressions");
    return NULL;
}

enum pattern_result pattern_try(const struct pattern *p, cs_str subject)
{
    (void)p, (void)subject;
    return PATTERN_DIFFERS;
}

size_t pattern_ngroups(const struct pattern *p)
{
    (void)p;
    return 0;
}

void pattern_groups(const struct pattern *p, cs_str subject, cs_str *out)
{
    (void)p, (void)subject, (void)out;
}

bool pattern_name(const struct pattern *p, size_t i, cs_str *name, size_t *group)
{
    (void)p, (void)i, (void)name, (void)group;
    return false;
}
