#include "http/query.h"

#include "http/token.h"

/* Takes one decoded byte off *rest, which is not empty. */
static char take(cs_str *rest)
{
    char c = rest->p[0];
    size_t n = 1;
    if (c == '+') {
        c = ' ';
    } else if (c == '%' && rest->n >= 3) {
        int high = http_hex_value((unsigned char)rest->p[1]);
        int low = http_hex_value((unsigned char)rest->p[2]);
        if (high >= 0 && low >= 0) {
            c = (char)(high << 4 | low);
            n = 3;
        }
    }
    *rest = (cs_str){rest->p + n, rest->n - n};
    return c;
}

static bool is_same(cs_str raw, cs_str name)
{
    size_t i = 0;
    for (; raw.n && i < name.n; i++)
        if (take(&raw) != name.p[i])
            return false;
    return !raw.n && i == name.n;
}

/* Cuts "name=value" at its first "="; without one the value is empty. */
static cs_str cut_name(cs_str *pair)
{
    const char *eq = pair->n ? memchr(pair->p, '=', pair->n) : NULL;
    size_t n = eq ? (size_t)(eq - pair->p) : pair->n, skip = eq ? n + 1 : n;
    cs_str name = {pair->p, n};
    *pair = (cs_str){pair->p + skip, pair->n - skip};
    return name;
}

cs_str http_query_find(cs_str query, cs_str name)
{
    cs_str value;
    while (str_split(&query, '&', &value))
        if (value.n && is_same(cut_name(&value), name))
            return value;
    return (cs_str){0};
}

bool http_query_is_coded(cs_str raw)
{
    return raw.n && (memchr(raw.p, '%', raw.n) || memchr(raw.p, '+', raw.n));
}

size_t http_query_decode(cs_str raw, char *out)
{
    size_t n = 0;
    while (raw.n)
        out[n++] = take(&raw);
    return n;
}

cs_str http_cookie_find(cs_str field, cs_str name)
{
    cs_str value;
    while (str_split(&field, ';', &value)) {
        value = str_trim(value);
        if (value.n && str_eq(cut_name(&value), name))
            return value;
    }
    return (cs_str){0};
}
