/* expect.c - looking at answers. */
#include "kit/kit.h"

#include "kit/reply.h"

cs_str cst_field(const cst_answer *a, const char *name)
{
    return reply_field(a->head, str_of(name));
}

int cst_is(cs_str text, const char *string)
{
    return str_is(text, string);
}

static const char *how(const cst_answer *a)
{
    if (!a->status)
        return a->closed ? "no answer, and the connection has ended" : "no answer yet";
    return a->whole ? "whole" : a->closed ? "cut short" : "not yet whole";
}

cst_answer cst_expect_at(cst_answer a, int status, const char *body, const char *file, int line)
{
    if (a.whole && a.status == status && (!body || str_is(a.body, body)))
        return a;
    kit_die("%s:%d: the answer is not what was expected\n"
            "  expected: %d%s%s\n"
            "  got:      %d, %s\n%.*s\n\n%.*s",
            file, line, status, body ? " with the body\n" : "", body ? body : "", a.status, how(&a),
            CS_F(a.head), CS_F(a.body));
}
