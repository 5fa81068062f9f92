/* member.h - the members of the struct that a directive fills, and its units: what schema.c, format.c and parse.c share. */
#ifndef CONF_MEMBER_H
#define CONF_MEMBER_H

#include "conf/schema.h"

struct member_unit {
    const char *name;
    int64_t factor;
};

extern const struct member_unit member_time_units[];
/* Largest first, the last one has no name; those of a plain number are "" alone. */
const struct member_unit *member_units(const cs_directive *d);

static inline bool member_has_range(const cs_directive *d)
{
    return d->min != 0 || d->max != 0;
}

static inline void *member_of(const cs_directive *d, void *base)
{
    return (char *)base + d->off;
}

static inline const void *member_at(const cs_directive *d, const void *base)
{
    return (const char *)base + d->off;
}

static inline int64_t member_number(const cs_directive *d, const void *base)
{
    int64_t v;

    memcpy(&v, (const char *)base + d->off, sizeof v);
    return v;
}

static inline cs_str member_str(const cs_directive *d, const void *base)
{
    cs_str v;

    memcpy(&v, (const char *)base + d->off, sizeof v);
    return v;
}

static inline const void *member_pointer(const cs_directive *d, const void *base)
{
    const void *v;

    memcpy(&v, (const char *)base + d->off, sizeof v);
    return v;
}

#endif
