#include "keep.h"

#include <strings.h>

_Bool keep_split(cs_str element, cs_str *what, cs_str *value)
{
    const char *colon = element.n ? memchr(element.p, ':', element.n) : NULL;
    if (!colon)
        return 0;
    *what = (cs_str){element.p, (size_t)(colon - element.p)};
    *value = (cs_str){colon + 1, element.n - what->n - 1};
    while (value->n && (value->p[0] == ' ' || value->p[0] == '\t'))
        *value = (cs_str){value->p + 1, value->n - 1};
    const _Bool is_suffix = what->n > 1 && what->p[0] == '.' && !memchr(what->p, '/', what->n);
    const _Bool is_type = what->n > 2 && memchr(what->p + 1, '/', what->n - 2);
    return is_suffix || is_type;
}

static _Bool same_nocase(cs_str a, cs_str b)
{
    return a.n == b.n && strncasecmp(a.p, b.p, a.n) == 0;
}

static _Bool fits(cs_str what, cs_str path, cs_str type)
{
    if (what.p[0] == '.')
        return path.n > what.n && same_nocase((cs_str){path.p + path.n - what.n, what.n}, what);
    if (cs_ends(what, "/*"))
        return type.n >= what.n - 1 &&
               same_nocase((cs_str){type.p, what.n - 1}, (cs_str){what.p, what.n - 1});
    return same_nocase(type, what);
}

cs_str keep_for(const struct conf *c, cs_str path, const char *type)
{
    cs_str what, value;
    const cs_str plain = {type, strcspn(type, "; ")};
    for (size_t i = 0; i < c->cache_by.n; i++)
        if (keep_split(c->cache_by.v[i], &what, &value) && fits(what, path, plain))
            return value;
    return c->cache_control;
}
