#include "verdict.h"

#include "siphash.h"

#include <sys/random.h>

#define WAYS 4
#define SETS 512

static struct verdict {
    uint64_t id[2];
    int64_t until; /* 0: there is none */
} all[SETS][WAYS];

static uint64_t key[2];
static _Bool has_key;

/* Without random numbers nothing is kept. */
static _Bool is_usable(void)
{
    if (!has_key)
        has_key = getrandom(key, sizeof key, 0) == sizeof key;
    return has_key;
}

static void identify(const struct secret *s, const char *known, uint64_t id[2])
{
    struct siphash h;
    siphash_begin(&h, key);
    siphash_add(&h, s->name, strlen(s->name) + 1);
    siphash_add(&h, known, strlen(known) + 1);
    siphash_add(&h, s->password, strlen(s->password) + 1);
    siphash_end(&h, id);
}

static _Bool is_same(const struct verdict *v, const uint64_t id[2])
{
    return !((v->id[0] ^ id[0]) | (v->id[1] ^ id[1]));
}

_Bool verdict_is_known(const struct secret *s, const char *known, int64_t now_ms)
{
    uint64_t id[2];
    _Bool found = 0;
    if (!is_usable())
        return 0;
    identify(s, known, id);
    for (int i = 0; i < WAYS; i++) {
        const struct verdict *v = &all[id[0] % SETS][i];
        found |= is_same(v, id) && v->until > now_ms;
    }
    return found;
}

/* In place of the one that ends first, or of itself. */
void verdict_keep(const struct secret *s, const char *known, int64_t until_ms)
{
    uint64_t id[2];
    if (!is_usable())
        return;
    identify(s, known, id);
    struct verdict *set = all[id[0] % SETS], *to = set;
    for (int i = 0; i < WAYS; i++) {
        if (is_same(&set[i], id)) {
            to = &set[i];
            break;
        }
        to = set[i].until < to->until ? &set[i] : to;
    }
    *to = (struct verdict){{id[0], id[1]}, until_ms};
}
