/* table.c - is a module's table of keys fit to be used? A default that its own type refuses, or a
 * member outside the struct, is the module's mistake and is told when it is loaded. */
#include "conf/conf.h"
#include "conf/schema.h"

#include "base/mem.h"

#include <stdlib.h>

#define KEYS_MAX 256
#define FLAGS    (CS_REQUIRED | CS_PER_ROUTE | CS_SECRET | CS_ADDS | CS_ONE_OF)

static size_t size_of(unsigned type)
{
    switch (type) {
    case CS_T_BOOL:
        return sizeof(bool);
    case CS_T_INT:
    case CS_T_SIZE:
    case CS_T_MSEC:
    case CS_T_ENUM:
        return sizeof(int64_t);
    case CS_T_STR:
    case CS_T_PATH:
        return sizeof(cs_str);
    case CS_T_LIST:
    case CS_T_TEMPLATES:
        return sizeof(cs_list);
    case CS_T_TEMPLATE:
    case CS_T_BLOCKS:
        return sizeof(void *);
    default:
        return 0;
    }
}

static bool name_ok(const char *z)
{
    size_t n = z ? strlen(z) : 0;

    if (n < 1 || n > 31 || z[0] < 'a' || z[0] > 'z')
        return false;
    for (size_t i = 0; i < n; i++)
        if (!((z[i] >= 'a' && z[i] <= 'z') || (z[i] >= '0' && z[i] <= '9') || z[i] == '_'))
            return false;
    return true;
}

static const char *wrong(const cs_directive *d, size_t conf_size)
{
    const char *const *words = d->aux;
    size_t size = size_of(d->type);

    if (strcmp(d->name, "file") == 0)
        return "is the name of a key that every [module:...] has";
    if (!size)
        return "has an unknown type";
    if (d->flags & ~FLAGS)
        return "has an unknown flag";
    if (conf_size < size || d->off > conf_size - size)
        return "lies outside the struct of conf_size bytes";
    if (d->type != CS_T_BOOL && d->off % sizeof(int64_t))
        return "is not aligned in its struct";
    if (d->flags & CS_ONE_OF && !(d->flags & CS_REQUIRED))
        return "has CS_ONE_OF without CS_REQUIRED";
    if (d->flags & CS_ADDS && !schema_is_list(d))
        return "is no list, so nothing can be added to it";
    if (d->type == CS_T_ENUM && (!words || !words[0]))
        return "has no words";
    if (d->min > d->max && d->max != 0)
        return "has a range whose end is below its start";
    if (!d->help || !d->help[0])
        return "has no help text";
    return NULL;
}

static bool default_ok(const cs_directive *d, void *scratch, struct buf *error)
{
    cs_directive one[2] = {*d, CS_END};
    struct arena a;
    bool ok;

    arena_init(&a, NULL);
    ok = schema_defaults(one, "/", scratch, &a, error) == 0;
    if (ok && !d->def && !(d->flags & CS_REQUIRED)) {
        struct buf zero = {0};

        buf_add_z(&zero, "");
        schema_format(d, scratch, &zero);
        ok = schema_parse(d, buf_str(&zero), "/", scratch, &a, error) == 0;
        buf_free(&zero);
    }
    arena_drop(&a);
    return ok;
}

static int check_one(const cs_directive *table, const cs_directive *d, void *scratch,
                     size_t conf_size, struct buf *error)
{
    const char *why;

    if (!name_ok(d->name)) {
        buf_printf(error, "key %zu has no good name: at most 31 characters of a-z, 0-9 and \"_\"",
                   (size_t)(d - table) + 1);
        return -1;
    }
    why = wrong(d, conf_size);
    for (const cs_directive *e = table; e < d && !why; e++)
        why = strcmp(e->name, d->name) == 0 ? "is in the table twice" : NULL;
    if (why) {
        buf_printf(error, "the key \"%s\" %s", d->name, why);
        return -1;
    }
    buf_printf(error, "the default of the key \"%s\": ", d->name);
    if (!default_ok(d, scratch, error))
        return -1;
    buf_clear(error);
    return 0;
}

int conf_table_check(const cs_directive *table, size_t conf_size, struct buf *error)
{
    void *scratch = mem_alloc(conf_size + 1);
    size_t n = 0;
    int r = 0;

    for (const cs_directive *d = table; d && d->type != CS_T_END && r == 0; d++) {
        if (++n > KEYS_MAX) {
            buf_printf(error, "more than %d keys, or no CS_END", KEYS_MAX);
            r = -1;
        } else {
            r = check_one(table, d, scratch, conf_size, error);
        }
    }
    free(scratch);
    return r;
}
