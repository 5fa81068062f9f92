/* cpu.c - see cpu.h. */
#include "conf/cpu.h"

#include "base/mem.h"

#include <stdlib.h>

#define ALLOWED "off, auto, or numbers and ranges such as 0, 2, 4-7 (below 8192)"

_Static_assert(CONF_CPU_MOST == 8192, "the sentence above names it");

static bool number(cs_str text, unsigned *out)
{
    uint64_t n = 0;

    if (!str_to_u64(text, CONF_CPU_MOST - 1, &n))
        return false;
    *out = (unsigned)n;
    return true;
}

bool conf_cpu_range(cs_str text, unsigned *first, unsigned *last)
{
    size_t dash = 0;

    while (dash < text.n && text.p[dash] != '-')
        dash++;
    if (dash == text.n)
        return number(text, first) && number(text, last);
    return number((cs_str){text.p, dash}, first) &&
           number((cs_str){text.p + dash + 1, text.n - dash - 1}, last);
}

static bool is_word(cs_str text)
{
    return str_is(text, "off") || str_is(text, "auto");
}

static int refuse(struct buf *error, cs_str text)
{
    unsigned first = 0, last = 0;

    if (is_word(text))
        buf_printf(error, "cpu: \"%.*s\" stands alone", CS_F(text));
    else if (conf_cpu_range(text, &first, &last))
        buf_printf(error, "cpu: the range %.*s ends before it begins", CS_F(text));
    else
        buf_printf(error, "cpu: \"%.*s\" is no CPU; allowed: " ALLOWED, CS_F(text));
    return -1;
}

static void add(struct conf_cpu *c, unsigned first, unsigned last)
{
    c->v = mem_resize(c->v, (c->n + last - first + 1) * sizeof *c->v);
    for (unsigned i = first; i <= last; i++)
        c->v[c->n++] = i;
}

int conf_cpu_parse(const cs_list *list, struct conf_cpu *out, size_t *bad, struct buf *error)
{
    *out = (struct conf_cpu){.mode = CONF_CPU_LIST};
    *bad = 0;
    if (list->n == 1 && is_word(list->v[0])) {
        out->mode = str_is(list->v[0], "off") ? CONF_CPU_OFF : CONF_CPU_AUTO;
        return 0;
    }
    for (size_t i = 0; i < list->n; i++) {
        unsigned first, last;

        if (!conf_cpu_range(list->v[i], &first, &last) || first > last) {
            conf_cpu_free(out);
            *bad = i;
            return refuse(error, list->v[i]);
        }
        add(out, first, last);
    }
    return 0;
}

void conf_cpu_free(struct conf_cpu *c)
{
    free(c->v);
    *c = (struct conf_cpu){.mode = CONF_CPU_OFF};
}
