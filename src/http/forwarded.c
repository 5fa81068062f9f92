#include "http/forwarded.h"

bool http_xff_next(cs_str *rest, cs_str *element)
{
    if (!str_split(rest, ',', element))
        return false;
    *element = str_trim(*element);
    return true;
}

/* "[v6]", "[v6]:port" */
static bool bracketed(cs_str text, struct cidr_addr *out)
{
    const char *end = memchr(text.p, ']', text.n);
    if (!end)
        return false;
    cs_str behind = {end + 1, text.n - (size_t)(end + 1 - text.p)};
    cs_str inside = {text.p + 1, (size_t)(end - text.p) - 1};
    return (!behind.n || behind.p[0] == ':') && memchr(inside.p, ':', inside.n) &&
           cidr_addr_parse(inside, out);
}

bool http_xff_addr(cs_str e, struct cidr_addr *out)
{
    if (!e.n)
        return false;
    if (e.p[0] == '[')
        return bracketed(e, out);
    const char *colon = memchr(e.p, ':', e.n);
    size_t before = colon ? (size_t)(colon - e.p) : e.n;
    bool one = colon && !memchr(colon + 1, ':', e.n - before - 1);
    return cidr_addr_parse((cs_str){e.p, one ? before : e.n}, out);
}

/* Where the first `sep` is that stands in no quoted string, or the end. *whole: all quoted strings end. */
static size_t part_end(cs_str text, char sep, bool *whole)
{
    bool quoted = false;
    size_t i = 0;
    for (; i < text.n && (quoted || text.p[i] != sep); i++)
        if (quoted && text.p[i] == '\\')
            i++;
        else if (text.p[i] == '"')
            quoted = !quoted;
    *whole = !quoted;
    return i < text.n ? i : text.n;
}

static cs_str unquoted(cs_str v)
{
    v = str_trim(v);
    return v.n >= 2 && v.p[0] == '"' && v.p[v.n - 1] == '"' ? (cs_str){v.p + 1, v.n - 2} : v;
}

static cs_str find_for(cs_str element)
{
    while (element.n) {
        bool whole;
        size_t end = part_end(element, ';', &whole);
        cs_str value = {element.p, end}, name;
        if (str_split(&value, '=', &name) && str_eq_nocase(str_trim(name), CS_S("for")) && value.p)
            return unquoted(value);
        end += end < element.n;
        element = (cs_str){element.p + end, element.n - end};
    }
    return (cs_str){0};
}

bool http_forwarded_next(cs_str *rest, cs_str *element)
{
    if (!rest->p)
        return false;
    bool whole;
    size_t end = part_end(*rest, ',', &whole);
    *element = whole ? find_for((cs_str){rest->p, end}) : (cs_str){0};
    *rest = end < rest->n ? (cs_str){rest->p + end + 1, rest->n - end - 1} : (cs_str){0};
    return true;
}
