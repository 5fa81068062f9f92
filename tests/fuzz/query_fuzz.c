/* query_fuzz.c - any bytes as a query, a name and a value: what is escaped is found again and decoded, and a cookie too.
 *
 * The input: the name, a line; the value, a line; the query or field. */
#include "http/escape.h"
#include "http/query.h"
#include "input.h"

static void add_escaped(struct buf *b, cs_str text)
{
    long n = http_escape(CS_ESCAPE_QUERY, text, buf_reserve(b, HTTP_ESCAPE_GROWS * text.n + 1));
    check(n >= 0);
    buf_added(b, (size_t)n);
}

static void check_decodes(cs_str raw, cs_str want)
{
    struct buf out = {0};
    size_t n = http_query_decode(raw, buf_reserve(&out, raw.n + 1));
    check(n <= raw.n && str_eq((cs_str){out.p, n}, want));
    buf_free(&out);
}

/* A form writes "+" for a blank. */
static void check_form(cs_str value)
{
    struct buf escaped = {0}, form = {0};
    add_escaped(&escaped, value);
    for (size_t i = 0; i < escaped.n; i++) {
        bool blank = strncmp(escaped.p + i, "%20", 3) == 0;
        buf_add_char(&form, blank ? '+' : escaped.p[i]);
        i += blank ? 2 : 0;
    }
    check_decodes(buf_str(&form), value);
    buf_free(&escaped);
    buf_free(&form);
}

static void check_plain(cs_str raw)
{
    struct buf out = {0};
    size_t n = http_query_decode(raw, buf_reserve(&out, raw.n + 1));
    check(n <= raw.n && (http_query_is_coded(raw) || str_eq((cs_str){out.p, n}, raw)));
    buf_free(&out);
}

/* Behind the others it is found where no other has that name, before them it is found always. */
static void check_found(cs_str name, cs_str value, cs_str query)
{
    struct buf first = {0}, last = {0};
    add_escaped(&first, name);
    buf_add_char(&first, '=');
    add_escaped(&first, value);
    buf_add_str(&last, query);
    buf_add_char(&last, '&');
    buf_add_str(&last, buf_str(&first));
    buf_add_char(&first, '&');
    buf_add_str(&first, query);
    check_decodes(http_query_find(buf_str(&first), name), value);
    cs_str found = http_query_find(query, name);
    if (!found.p)
        check_decodes(http_query_find(buf_str(&last), name), value);
    else
        check(is_within(found, query));
    buf_free(&first);
    buf_free(&last);
}

/* Neither has bytes that the syntax takes. */
static bool is_cookie(cs_str name, cs_str value)
{
    const cs_str parts[2] = {name, value};
    for (int i = 0; i < 2; i++)
        if (!str_eq(str_trim(parts[i]), parts[i]) ||
            (parts[i].n && memchr(parts[i].p, ';', parts[i].n)))
            return false;
    return name.n && !memchr(name.p, '=', name.n);
}

static void check_cookie(cs_str name, cs_str value, cs_str field)
{
    struct buf b = {0};
    cs_str found = http_cookie_find(field, name);
    check(!found.p || is_within(found, field));
    buf_printf(&b, "a-name-before=1; ");
    buf_add_str(&b, name);
    buf_add_char(&b, '=');
    buf_add_str(&b, value);
    buf_add_char(&b, ';');
    buf_add_str(&b, field);
    check(str_is(name, "a-name-before") || str_eq(http_cookie_find(buf_str(&b), name), value));
    buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cs_str query = input_of(data, size);
    if (!size)
        return 0;
    cs_str name = input_line(&query), value = input_line(&query);
    check_plain(query);
    check_form(value);
    check_found(name, value, query);
    if (is_cookie(name, value))
        check_cookie(name, value, query);
    return 0;
}
