#include "http/escape.h"

#include "base/json.h"
#include "http/token.h"

struct sink {
    char *out; /* NULL: only counts */
    size_t n;
};

static void put(struct sink *s, const char *p, size_t n)
{
    if (s->out && n)
        memcpy(s->out + s->n, p, n);
    s->n += n;
}

static void put_percent(struct sink *s, unsigned char c)
{
    static const char hex[] = "0123456789ABCDEF";
    put(s, (const char[]){'%', hex[c >> 4], hex[c & 15]}, 3);
}

/* "%2F" of a normalised path is an encoded slash, and stays one. ":" does not stay: at the
 * start of a link it would make a scheme of what is before it. */
static void put_path(struct sink *s, cs_str text)
{
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        bool slash = c == '%' && text.n - i >= 3 && !memcmp(text.p + i, "%2F", 3);
        if (slash || c == '/' || http_is(c, HTTP_CLASS_HOST))
            put(s, text.p + i, 1);
        else
            put_percent(s, c);
    }
}

static void put_query(struct sink *s, cs_str text)
{
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (http_is(c, HTTP_CLASS_UNRESERVED))
            put(s, text.p + i, 1);
        else
            put_percent(s, c);
    }
}

static cs_str html_of(char c)
{
    switch (c) {
    case '&':
        return CS_S("&amp;");
    case '<':
        return CS_S("&lt;");
    case '>':
        return CS_S("&gt;");
    case '"':
        return CS_S("&quot;");
    case '\'':
        return CS_S("&#39;");
    default:
        return (cs_str){0};
    }
}

static void put_html(struct sink *s, cs_str text)
{
    for (size_t i = 0; i < text.n; i++) {
        cs_str word = html_of(text.p[i]);
        if (word.n)
            put(s, word.p, word.n);
        else
            put(s, text.p + i, 1);
    }
}

/* Of strings in JavaScript too, which may stand between single quotes. */
static void put_json(struct sink *s, cs_str text)
{
    char step[JSON_STEP_MAX];
    while (text.n) {
        bool quote = text.p[0] == '\'';
        size_t n = json_escape_step(&text, step);
        put(s, quote ? "\\u0027" : step, quote ? 6 : n);
    }
}

static void put_field(struct sink *s, cs_str text)
{
    for (size_t i = 0; i < text.n; i++)
        put(s, (unsigned char)text.p[i] < ' ' || text.p[i] == 0x7f ? " " : text.p + i, 1);
}

long http_escape(int where, cs_str text, char *out)
{
    struct sink s = {.out = out};
    switch (where) {
    case CS_ESCAPE_PATH:
        put_path(&s, text);
        break;
    case CS_ESCAPE_QUERY:
        put_query(&s, text);
        break;
    case CS_ESCAPE_HTML:
        put_html(&s, text);
        break;
    case CS_ESCAPE_JSON:
        put_json(&s, text);
        break;
    case CS_ESCAPE_NONE:
        put(&s, text.p, text.n);
        break;
    case CS_ESCAPE_FIELD:
        put_field(&s, text);
        break;
    default:
        return -1;
    }
    return (long)s.n;
}
