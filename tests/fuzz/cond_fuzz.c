/* cond_fuzz.c - any bytes as validators and conditions, against the order of RFC 9110 section 13.2.2 written down a second time.
 *
 * The input: a byte that chooses method and date; our entity tag, a line; then a field in each line, named by its first byte. */
#include "http/cond.h"
#include "http/date.h"
#include "http/token.h"
#include "input.h"

#define MOST  12
#define NOW   1795000000
#define MTIME 784111777 /* Sun, 06 Nov 1994 08:49:37 GMT */

struct fields {
    struct http_header v[MOST];
    struct http_head head;
};

static const struct {
    char letter;
    enum http_field field;
} names[] = {{'m', HTTP_FIELD_IF_MATCH},
             {'n', HTTP_FIELD_IF_NONE_MATCH},
             {'s', HTTP_FIELD_IF_MODIFIED_SINCE},
             {'u', HTTP_FIELD_IF_UNMODIFIED_SINCE},
             {'r', HTTP_FIELD_IF_RANGE}};

static void add_field(struct fields *f, enum http_field field, cs_str value)
{
    struct http_header *h = &f->v[f->head.nheaders];
    if (f->head.nheaders == MOST)
        return;
    *h = (struct http_header){.field = field, .value = str_trim(value)};
    f->head.nheaders++;
    if (!f->head.field[field])
        f->head.field[field] = h;
}

static void read_fields(struct fields *f, cs_str rest)
{
    f->head.headers = f->v;
    while (rest.n) {
        cs_str line = input_line(&rest);
        unsigned letter = input_byte(&line);
        for (size_t i = 0; i < ARRAY_LEN(names); i++)
            if (names[i].letter == (char)letter)
                add_field(f, names[i].field, line);
    }
}

/* ---- The same again ---- */

/* Length of the tag at the beginning of s; 0: there is none. */
static size_t tag_length(cs_str s)
{
    size_t i = str_starts(s, CS_S("W/")) ? 2 : 0;
    if (i >= s.n || s.p[i] != '"')
        return 0;
    while (++i < s.n)
        if (s.p[i] == '"')
            return i + 1;
        else if ((unsigned char)s.p[i] <= ' ' || s.p[i] == 0x7f)
            return 0;
    return 0;
}

static cs_str opaque(cs_str tag)
{
    return str_starts(tag, CS_S("W/")) ? (cs_str){tag.p + 2, tag.n - 2} : tag;
}

static bool same_tag(cs_str a, cs_str b, bool strong)
{
    return strong ? str_eq(a, b) && a.p[0] == '"' : str_eq(opaque(a), opaque(b));
}

static bool list_names(cs_str list, cs_str tag, bool strong)
{
    for (;;) {
        while (list.n && strchr(", \t", list.p[0]) && list.p[0])
            list = (cs_str){list.p + 1, list.n - 1};
        size_t n = tag_length(list);
        if (!n)
            return false;
        if (same_tag((cs_str){list.p, n}, tag, strong))
            return true;
        list = (cs_str){list.p + n, list.n - n};
    }
}

static bool matches(const struct fields *f, enum http_field field, const struct http_validators *v,
                    bool exists, bool strong)
{
    if (str_is(f->head.field[field]->value, "*"))
        return exists;
    if (!exists || !v->etag.p || !v->etag.n || tag_length(v->etag) != v->etag.n)
        return false;
    for (size_t i = 0; i < f->head.nheaders; i++)
        if (f->v[i].field == field && list_names(f->v[i].value, v->etag, strong))
            return true;
    return false;
}

/* 1: changed since then, 0: not, -1: nobody has asked, or not in a way that can be understood. */
static int changed_since(const struct fields *f, enum http_field field, time_t mtime)
{
    time_t date;
    size_t n = 0;
    for (size_t i = 0; i < f->head.nheaders; i++)
        n += f->v[i].field == field;
    if (n != 1 || mtime == -1 || !http_date_parse(f->head.field[field]->value, NOW, &date))
        return -1;
    return mtime > date;
}

static int expected(const struct fields *f, const struct http_validators *v, bool exists)
{
    const struct http_header *const *asked = f->head.field;
    bool reads = f->head.method == HTTP_GET || f->head.method == HTTP_HEAD;
    time_t mtime = exists ? v->mtime : -1;
    if (asked[HTTP_FIELD_IF_MATCH] ? !matches(f, HTTP_FIELD_IF_MATCH, v, exists, true)
                                   : changed_since(f, HTTP_FIELD_IF_UNMODIFIED_SINCE, mtime) == 1)
        return 412;
    if (asked[HTTP_FIELD_IF_NONE_MATCH]) {
        bool hit = matches(f, HTTP_FIELD_IF_NONE_MATCH, v, exists, false);
        return !hit ? 0 : reads ? 304 : 412;
    }
    return reads && changed_since(f, HTTP_FIELD_IF_MODIFIED_SINCE, mtime) == 0 ? 304 : 0;
}

/* A range only of what the client surely has. */
static void check_range(const struct fields *f, const struct http_validators *v)
{
    const struct http_header *asked = f->head.field[HTTP_FIELD_IF_RANGE];
    if (!http_cond_range_ok(&f->head, v, NOW) || !asked)
        return;
    time_t date;
    bool by_tag = str_eq(asked->value, v->etag) && v->etag.p[0] == '"';
    check(by_tag || (http_date_parse(asked->value, NOW, &date) && date == v->mtime && date < NOW));
}

static void check_one(const struct fields *f, const struct http_validators *v, bool exists)
{
    int got = http_cond_eval(&f->head, v, exists, NOW);
    check(got == expected(f, v, exists));
    check(f->head.nheaders || got == 0);
    check_range(f, v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum http_method methods[] = {HTTP_GET, HTTP_HEAD, HTTP_PUT, HTTP_DELETE};
    static const time_t times[] = {-1, 0, MTIME, NOW};
    cs_str rest = input_of(data, size);
    unsigned choice = input_byte(&rest);
    cs_str tag = input_line(&rest);
    struct fields f = {.head.method = methods[choice & 3]};
    struct http_validators v = {.mtime = times[choice >> 2 & 3]};
    read_fields(&f, rest);
    check_one(&f, &v, choice & 16);
    v.etag = tag;
    check_one(&f, &v, choice & 16);
    return 0;
}
