#include "conf/schema.h"

#include "base/blocks.h"
#include "base/check.h"
#include "conf/member.h"
#include "http/template.h"

/* schema_format takes the first that divides. */
static const struct member_unit size_units[] = {{"t", (int64_t)1 << 40},
                                                {"g", (int64_t)1 << 30},
                                                {"m", (int64_t)1 << 20},
                                                {"k", (int64_t)1 << 10},
                                                {"", 1},
                                                {NULL, 0}};
const struct member_unit member_time_units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000},
                                                {"s", 1000},     {"ms", 1},      {NULL, 0}};
static const struct member_unit no_units[] = {{"", 1}, {NULL, 0}};

const struct member_unit *member_units(const cs_directive *d)
{
    return d->type == CS_T_SIZE ? size_units : d->type == CS_T_MSEC ? member_time_units : no_units;
}

const struct conf_kind *schema_kind(cs_str name)
{
    for (const struct conf_kind *k = conf_kinds; k->name; k++)
        if (str_is(name, k->name))
            return k;
    return NULL;
}

const cs_directive *schema_find(const cs_directive *table, cs_str name)
{
    for (const cs_directive *d = table; d && d->type != CS_T_END; d++)
        if (str_is(name, d->name))
            return d;
    return NULL;
}

/* ---- Lists that add up ---- */

static void set_pointer(const cs_directive *d, void *base, const void *v)
{
    memcpy(member_of(d, base), &v, sizeof v);
}

void schema_prepend(const cs_directive *d, const void *outer, void *base, struct arena *a)
{
    cs_list x, y;

    /* A list of templates has the same form: a number, and where its elements are. */
    if (d->type == CS_T_BLOCKS) {
        set_pointer(d, base, blocks_join(member_pointer(d, outer), member_pointer(d, base), a));
        return;
    }
    memcpy(&x, (const char *)outer + d->off, sizeof x);
    memcpy(&y, member_of(d, base), sizeof y);
    y.v = arena_join(a, x.v, x.n, y.v, y.n,
                     d->type == CS_T_LIST ? sizeof(cs_str) : sizeof(cs_template *));
    y.n += x.n;
    memcpy(member_of(d, base), &y, sizeof y);
}

/* ---- Defaults ---- */

static void zero(const cs_directive *d, void *base)
{
    static const cs_list empty;
    static const struct template no_text = {.pub = {.text = {"", 0}, .constant = 1}};
    static const struct blocks no_blocks;

    if (d->type == CS_T_BOOL)
        *(bool *)member_of(d, base) = false;
    else if (d->type == CS_T_STR || d->type == CS_T_PATH)
        *(cs_str *)member_of(d, base) = CS_S("");
    else if (d->type == CS_T_LIST || d->type == CS_T_TEMPLATES)
        memcpy(member_of(d, base), &empty, sizeof empty);
    else if (d->type == CS_T_TEMPLATE)
        set_pointer(d, base, &no_text.pub);
    else if (d->type == CS_T_BLOCKS)
        set_pointer(d, base, &no_blocks.pub);
    else
        *(int64_t *)member_of(d, base) = d->flags & CONF_OUTER ? -1 : 0;
}

int schema_defaults(const cs_directive *table, const char *prefix, void *base, struct arena *a,
                    struct buf *error)
{
    for (const cs_directive *d = table; d && d->type != CS_T_END; d++) {
        zero(d, base);
        if (d->def && schema_parse(d, str_of(d->def), prefix, base, a, error) < 0)
            return -1;
    }
    return 0;
}
