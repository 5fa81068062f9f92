#include "accept.h"

#include <strings.h>

/* How much a format is wanted: the range that names it most closely decides. */
struct wish {
    int closeness; /* 0 = not named at all */
    int q;         /* in thousandths */
};

/* The piece before `sep`, which goes from *rest; without blanks around it. */
static cs_str cut(cs_str *rest, char sep)
{
    const char *end = rest->n ? memchr(rest->p, sep, rest->n) : NULL;
    cs_str piece = {rest->p, end ? (size_t)(end - rest->p) : rest->n};
    const size_t used = piece.n + (end ? 1 : 0);
    rest->p += used;
    rest->n -= used;
    while (piece.n && (*piece.p == ' ' || *piece.p == '\t')) {
        piece.p++;
        piece.n--;
    }
    while (piece.n && (piece.p[piece.n - 1] == ' ' || piece.p[piece.n - 1] == '\t'))
        piece.n--;
    return piece;
}

static _Bool is(cs_str s, const char *word)
{
    return s.n == strlen(word) && !strncasecmp(s.p, word, s.n);
}

/* "0.75" as 750; what is no weight counts as 0. */
static int weight(cs_str s)
{
    int q = 0, unit = 1000;
    for (size_t i = 0; i < s.n && unit; i++) {
        if (s.p[i] == '.' && i == 1)
            continue;
        if (s.p[i] < '0' || s.p[i] > '9')
            return 0;
        q += (s.p[i] - '0') * unit;
        unit /= 10;
    }
    return q < 1000 ? q : 1000;
}

static cs_str unquoted(cs_str s)
{
    if (s.n >= 2 && *s.p == '"' && s.p[s.n - 1] == '"')
        return (cs_str){s.p + 1, s.n - 2};
    return s;
}

static void wish_for(struct wish *w, int closeness, int q)
{
    if (closeness > w->closeness || (closeness == w->closeness && q > w->q))
        *w = (struct wish){closeness, q};
}

/* One range, such as "text/plain;version=0.0.4;q=0.5". */
static void read_range(cs_str range, struct wish *openmetrics, struct wish *plain)
{
    const cs_str type = cut(&range, ';');
    cs_str version = {NULL, 0};
    int q = 1000;
    while (range.n) {
        cs_str value = cut(&range, ';');
        const cs_str name = cut(&value, '=');
        if (is(name, "q"))
            q = weight(value);
        else if (is(name, "version"))
            version = unquoted(value);
    }
    if (is(type, "application/openmetrics-text") && (!version.n || is(version, "1.0.0")))
        wish_for(openmetrics, 3, q);
    if (is(type, "text/plain") && (!version.n || is(version, "0.0.4")))
        wish_for(plain, 3, q);
    if (is(type, "text/*") || is(type, "*/*"))
        wish_for(plain, type.p[0] == '*' ? 1 : 2, q);
}

_Bool accept_openmetrics(cs_str field)
{
    struct wish openmetrics = {0, 0}, plain = {0, 0};
    while (field.n)
        read_range(cut(&field, ','), &openmetrics, &plain);
    return openmetrics.q > 0 && openmetrics.q >= plain.q;
}
