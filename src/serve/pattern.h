/* pattern.h - regular expressions (PCRE2) that cost a bounded time. They are compiled, with JIT, in the master before it
 * forks. What they are tried on is UTF-8 that was checked before: once, not for each of them.
 *
 * "$" is the end, not the place before a last line break: a path may end with one (%0A), and "^/x$" does not mean that. */
#ifndef SERVE_PATTERN_H
#define SERVE_PATTERN_H

#include "base/buf.h"
#include "base/str.h"

/* What one try may take. Who needs more is a mistake, or an attack on one. */
#define PATTERN_MATCH_LIMIT 100000
#define PATTERN_DEPTH_LIMIT 10000 /* where there is no JIT */
#define PATTERN_HEAP_KIB    1024
#define PATTERN_STACK       (512 * 1024) /* of the JIT's code */

/* PCRE2 counts anew at each place where a match may begin, and does not count all that its JIT does. So an expression that may
 * begin anywhere is tried on a long text part by part, until it has taken this much time of the CPU. */
#define PATTERN_LONG        256
#define PATTERN_PART_MIN    1
#define PATTERN_PART_MAX    512
#define PATTERN_LONG_CPU_MS 100

struct pattern;
struct
    pattern_pool; /* owns patterns, and has what all of them use while they run: one try at a time */

struct pattern_pool *pattern_pool_new(void);
/* With all of its patterns; NULL is fine. */
void pattern_pool_free(struct pattern_pool *pool);

/* NULL with a sentence in *error ("missing closing parenthesis at character 5"). */
struct pattern *pattern_new(struct pattern_pool *pool, cs_str text, struct buf *error);

enum pattern_result {
    PATTERN_DIFFERS,
    PATTERN_MATCHES,
    PATTERN_GAVE_UP /* it ran into a limit */
};

enum pattern_result pattern_try(const struct pattern *p, cs_str subject);

/* How many groups it has, the whole match (0) included. */
size_t pattern_ngroups(const struct pattern *p);
/* After PATTERN_MATCHES, until the next try: what the groups have caught, as parts of the subject; p NULL where one took no
 * part. out has room for pattern_ngroups. */
void pattern_groups(const struct pattern *p, cs_str subject, cs_str *out);
/* The names of groups, sorted; several groups may have the same one. false: there is no i-th. */
bool pattern_name(const struct pattern *p, size_t i, cs_str *name, size_t *group);

#endif
