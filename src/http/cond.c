/* cond.c - see cond.h. A precondition that cannot be read is taken as absent where the RFC says so
 * (dates), and as not matching where it is a list of tags. */
#include "http/cond.h"

#include "http/date.h"
#include "http/token.h"

/* An entity tag: opaque part with its quotes. */
struct tag {
    cs_str opaque;
    bool weak;
};

static bool is_etagc(unsigned char c)
{
    return c == 0x21 || (c >= 0x23 && c <= 0x7e) || c >= 0x80;
}

/* Reads a tag off the front of *s. */
static bool take_tag(cs_str *s, struct tag *tag)
{
    size_t i = s->n >= 2 && memcmp(s->p, "W/", 2) == 0 ? 2 : 0, start = i;
    if (i >= s->n || s->p[i] != '"')
        return false;
    for (i++; i < s->n && is_etagc((unsigned char)s->p[i]); i++)
        ;
    if (i == s->n || s->p[i] != '"')
        return false;
    i++;
    *tag = (struct tag){{s->p + start, i - start}, start == 2};
    *s = (cs_str){s->p + i, s->n - i};
    return true;
}

/* Section 8.8.3.2. Strong: both strong and equal. Weak: equal. */
static bool tag_equal(const struct tag *a, const struct tag *b, bool strong)
{
    return !(strong && (a->weak || b->weak)) && str_eq(a->opaque, b->opaque);
}

static bool own_tag(const struct http_validators *v, struct tag *tag)
{
    cs_str s = v->etag;
    return s.p != NULL && take_tag(&s, tag) && s.n == 0;
}

/* Is our tag in this list? http_list_next does not fit: a backslash in a tag is only a backslash.
 */
static bool list_has_tag(cs_str list, const struct tag *own, bool strong)
{
    while (list.n > 0) {
        struct tag tag;
        char c = list.p[0];
        if (c == ' ' || c == '\t' || c == ',') {
            list = (cs_str){list.p + 1, list.n - 1};
            continue;
        }
        if (!take_tag(&list, &tag))
            return false;
        if (tag_equal(&tag, own, strong))
            return true;
    }
    return false;
}

/* If-Match and If-None-Match are lists and may come in several fields. */
static bool match(const struct http_head *h, enum http_field field, const struct http_validators *v,
                  bool exists, bool strong)
{
    struct tag own;
    if (str_is(h->field[field]->value, "*"))
        return exists;
    if (!exists || !own_tag(v, &own))
        return false;
    for (size_t i = 0; i < h->nheaders; i++)
        if (h->headers[i].field == field && list_has_tag(h->headers[i].value, &own, strong))
            return true;
    return false;
}

static size_t count(const struct http_head *h, enum http_field field)
{
    size_t n = 0;
    for (size_t i = 0; i < h->nheaders; i++)
        n += h->headers[i].field == field;
    return n;
}

/* The date of a field that is there exactly once. */
static bool single_date(const struct http_head *h, enum http_field field, time_t now, time_t *date)
{
    const struct http_header *f = h->field[field];
    return f && count(h, field) == 1 && http_date_parse(f->value, now, date);
}

int http_cond_eval(const struct http_head *h, const struct http_validators *v, bool exists,
                   time_t now)
{
    bool reading = h->method == HTTP_GET || h->method == HTTP_HEAD;
    bool dated = exists && v->mtime != -1;
    time_t date;
    if (h->field[HTTP_FIELD_IF_MATCH]) {
        if (!match(h, HTTP_FIELD_IF_MATCH, v, exists, true))
            return 412;
    } else if (dated && single_date(h, HTTP_FIELD_IF_UNMODIFIED_SINCE, now, &date)) {
        if (v->mtime > date)
            return 412;
    }
    if (h->field[HTTP_FIELD_IF_NONE_MATCH]) {
        if (match(h, HTTP_FIELD_IF_NONE_MATCH, v, exists, false))
            return reading ? 304 : 412;
    } else if (reading && dated && single_date(h, HTTP_FIELD_IF_MODIFIED_SINCE, now, &date)) {
        if (v->mtime <= date)
            return 304;
    }
    return 0;
}

bool http_cond_range_ok(const struct http_head *h, const struct http_validators *v, time_t now)
{
    const struct http_header *f = h->field[HTTP_FIELD_IF_RANGE];
    struct tag own, theirs;
    time_t date;
    if (!f)
        return true;
    if (count(h, HTTP_FIELD_IF_RANGE) > 1)
        return false;
    cs_str s = f->value;
    if (take_tag(&s, &theirs))
        return s.n == 0 && own_tag(v, &own) && tag_equal(&theirs, &own, true);
    return v->mtime != -1 && http_date_parse(f->value, now, &date) && date == v->mtime &&
           now - v->mtime >= 1;
}
