/* resolver.c - stands in for net/resolver.c, and so for c-ares, so that who links the kit needs none and no test asks a
 * server: localhost is 127.0.0.1, and there is no other host. */
#include "net/resolver.h"

#include "base/check.h"

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
    if (str_is(str_of(name), "localhost")) {
        check(host_addr_parse(CS_S("127.0.0.1"), &a.v[0]));
        a.error = HOST_FOUND;
        a.n = 1;
    }
    done(who, &a);
}
