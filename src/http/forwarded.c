#include "http/forwarded.h"

bool http_xff_last(cs_str *rest, cs_str *element)
{
    if (!rest->p)
        return false;
    size_t n = rest->n;
    while (n > 0 && rest->p[n - 1] != ',')
        n--;
    *element = str_trim((cs_str){rest->p + n, rest->n - n});
    *rest = n > 0 ? (cs_str){rest->p, n - 1} : (cs_str){0};
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

/* Where the last element begins: behind the last comma that is in no quoted string. SIZE_MAX: a quoted string does not end. */
static size_t last_start(cs_str list)
{
    size_t start = 0;
    bool quoted = false;
    for (size_t i = 0; i < list.n; i++)
        if (quoted && list.p[i] == '\\')
            i++;
        else if (list.p[i] == '"')
            quoted = !quoted;
        else if (list.p[i] == ',' && !quoted)
            start = i + 1;
    return quoted ? SIZE_MAX : start;
}

static size_t pair_end(cs_str text)
{
    bool quoted = false;
    size_t i = 0;
    for (; i < text.n && (quoted || text.p[i] != ';'); i++)
        if (quoted && text.p[i] == '\\')
            i++;
        else if (text.p[i] == '"')
            quoted = !quoted;
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
        size_t end = pair_end(element);
        cs_str value = {element.p, end}, name;
        if (str_split(&value, '=', &name) && str_eq_nocase(str_trim(name), CS_S("for")) && value.p)
            return unquoted(value);
        end += end < element.n;
        element = (cs_str){element.p + end, element.n - end};
    }
    return (cs_str){0};
}

bool http_forwarded_last(cs_str *rest, cs_str *element)
{
    if (!rest->p)
        return false;
    size_t at = last_start(*rest);
    if (at == SIZE_MAX) {
        *rest = (cs_str){0};
        return false;
    }
    *element = find_for((cs_str){rest->p + at, rest->n - at});
    *rest = at > 0 ? (cs_str){rest->p, at - 1} : (cs_str){0};
    return true;
}
