#include "choice.h"

#include <strings.h>

int choice_coding(cs_str name)
{
    for (int i = 0; i < CODEC_COUNT; i++)
        if (cs_eq(name, codec_name(i)))
            return i;
    return -1;
}

int choice_level(const struct conf *c, int coding)
{
    return (int)(coding == CODEC_ZSTD ? c->zstd_level
                 : coding == CODEC_BR ? c->br_level
                                      : c->gzip_level);
}

static _Bool same_nocase(cs_str a, cs_str b)
{
    return a.n == b.n && strncasecmp(a.p, b.p, a.n) == 0;
}

/* Is the word an element of the list, up to its "=" or ";"? */
static _Bool has_word(cs_str list, cs_str word)
{
    while (list.n) {
        size_t n = 0;
        while (list.n && strchr(" \t,;", list.p[0]))
            list = (cs_str){list.p + 1, list.n - 1};
        while (n < list.n && !strchr(" \t,;=", list.p[n]))
            n++;
        if (same_nocase((cs_str){list.p, n}, word))
            return 1;
        while (n < list.n && list.p[n] != ',')
            n++;
        list = (cs_str){list.p + n, list.n - n};
    }
    return 0;
}

/* "text/html; charset=utf-8" is one of "text/html", "text/..." (with a star) or "*". */
static _Bool is_type(cs_str type, cs_list types)
{
    size_t n = 0;
    while (n < type.n && !strchr("; \t", type.p[n]))
        n++;
    type.n = n;
    for (size_t i = 0; i < types.n; i++) {
        cs_str t = types.v[i];
        if (cs_eq(t, "*") || same_nocase(t, type))
            return 1;
        if (cs_ends(t, "/*") && type.n >= t.n - 1 &&
            same_nocase((cs_str){type.p, t.n - 1}, (cs_str){t.p, t.n - 1}))
            return 1;
    }
    return 0;
}

/* The one that the client likes most; of several, the first of the settings. -1: none. */
static int best(cs_req *r, const struct conf *c)
{
    int found = -1, weight = 0;
    const size_t n = c->codings.n ? c->codings.n : CODEC_COUNT;
    for (size_t i = 0; i < n; i++) {
        const int coding = c->codings.n ? choice_coding(c->codings.v[i]) : (int)i;
        if (coding < 0 || !codec_is_there(coding))
            continue;
        const int w = cs_coding_weight(r, codec_name(coding));
        if (w > weight) {
            found = coding;
            weight = w;
        }
    }
    return found >= 0 && cs_coding_weight(r, "identity") <= weight ? found : -1;
}

static struct choice none(const char *why, _Bool depends)
{
    return (struct choice){.coding = -1, .depends = depends, .why = why};
}

_Bool choice_is_told(cs_req *r)
{
    const cs_str vary = cs_response_header(r, "Vary");
    return has_word(vary, CS_S("Accept-Encoding")) || has_word(vary, CS_S("*"));
}

/* A part of a body is a part of the body as it is. With If-Range the client has the beginning of an answer, and it may have been
 * a compressed one: a part of another form must not be put behind that, so it gets all of it. */
static _Bool wants_part(cs_req *r)
{
    return cs_is(r, "GET") && cs_header(r, "Range").p && !cs_header(r, "If-Range").p &&
           cs_status(r) == 200;
}

struct choice choice_of(cs_req *r, const struct conf *c)
{
    const int64_t len = cs_body_length(r);
    const int status = cs_status(r);
    if (status == 204 || status == 205 || status == 206 || status == 416)
        return none("an answer with such a status stays as it is", 0);
    if (cs_response_header(r, "Content-Encoding").p)
        return none("it has a Content-Encoding already", 0);
    if (has_word(cs_response_header(r, "Cache-Control"), CS_S("no-transform")))
        return none("its Cache-Control says no-transform", 0);
    const cs_str type = cs_response_header(r, "Content-Type");
    if (!type.n || !is_type(type, c->types))
        return none("its type is not among `types`", 0);
    const _Bool must = cs_coding_weight(r, "identity") == 0;
    if (len >= 0 && len < c->min_length && !must)
        return none("it is shorter than min_length", 0);
    if (len > c->max_length)
        return none("it is longer than max_length", 0);
    const int coding = best(r, c);
    if (coding < 0)
        return none("the client takes no coding that there is", 1);
    if (wants_part(r))
        return none("the client wants a range of it", 1);
    return (struct choice){.coding = coding, .depends = 1};
}
