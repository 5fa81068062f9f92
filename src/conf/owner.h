/* owner.h - whose key is it? Sites and routes have keys of modules besides their own. */
#ifndef CONF_OWNER_H
#define CONF_OWNER_H

#include "conf/bind.h"

/* The section whose keys are looked at. */
struct owner_level {
    struct bind *b;
    const struct conf_section *s;
    const struct conf_route *route; /* NULL: a site */
    const cs_list *use;
    bool *candidate; /* [module]: its plain keys may stand here */
    size_t fallback; /* index of static where it serves the root, else none */
};

struct owner {
    const cs_directive *d; /* NULL: nobody's; that has been reported */
    size_t module;
};

struct owner owner_of(const struct owner_level *l, const struct conf_entry *e);
/* The number of modules when there is none of that name. */
size_t owner_find_module(const struct bind *b, cs_str name);

#endif
