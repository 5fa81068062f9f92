/* resolver.c - stands in for net/resolver.c, and so for c-ares, so that who links the kit needs none and no test asks a
 * server: every name has an address, which only the kit knows (origin.c), but for those of which the test says otherwise. */
#include "net/resolver.h"

#include "kit/kit.h"

struct resolver *resolver_new(struct loop *loop, const struct resolver_options *o)
{
    (void)loop, (void)o;
    return NULL;
}

void resolver_free(struct resolver *r)
{
    (void)r;
}

void resolver_ask(struct resolver *r, const char *name,
                  void (*done)(void *who, const struct resolver_answer *a), void *who)
{
    struct resolver_answer a = {.error = HOST_NONE, .local = true};
    (void)r;
    if (origins_know(&kit_here->origins, str_of(name), &a.v[0])) {
        a.error = HOST_FOUND;
        a.n = 1;
    }
    done(who, &a);
}
