#include "http/accept.h"

#include "http/token.h"

/* "0", "0.25", "1.000": 0..1000. -1: it is none. */
static int read_weight(cs_str s)
{
    int value, scale = 100;
    if (s.n < 1 || s.n > 5 || (s.p[0] != '0' && s.p[0] != '1') || (s.n > 1 && s.p[1] != '.'))
        return -1;
    value = s.p[0] == '1' ? 1000 : 0;
    for (size_t i = 2; i < s.n; i++, scale /= 10) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return -1;
        value += (s.p[i] - '0') * scale;
    }
    return value > 1000 ? -1 : value;
}

/* Splits "gzip ; q=0.5" at its semicolon. The weight, or -1: it is not well formed. */
static int split(cs_str element, cs_str *word)
{
    const char *semicolon = memchr(element.p, ';', element.n);
    if (!semicolon) {
        *word = element;
        return 1000;
    }
    *word = str_trim((cs_str){element.p, (size_t)(semicolon - element.p)});
    cs_str q = str_trim((cs_str){semicolon + 1, element.n - (size_t)(semicolon - element.p) - 1});
    if (q.n < 2 || (q.p[0] | 0x20) != 'q' || q.p[1] != '=')
        return -1;
    return read_weight((cs_str){q.p + 2, q.n - 2});
}

static bool is_same(cs_str given, cs_str word)
{
    if (str_eq_nocase(given, word))
        return true;
    return str_eq_nocase(word, CS_S("gzip")) && str_eq_nocase(given, CS_S("x-gzip"));
}

void http_accept_read(cs_str list, cs_str word, struct http_accept *a)
{
    cs_str element, given;
    while (http_list_next(&list, &element)) {
        int weight = split(element, &given);
        if (weight < 0 || !http_is_token(given))
            continue;
        if (a->named < 0 && is_same(given, word))
            a->named = weight;
        else if (a->rest < 0 && given.n == 1 && given.p[0] == '*')
            a->rest = weight;
    }
}
