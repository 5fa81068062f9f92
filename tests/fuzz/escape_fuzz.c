/* escape_fuzz.c - any bytes made fit for each place: what is read there is what was written, and nothing of it means anything
 * there. */
#include "base/base64.h"
#include "base/json.h"
#include "http/escape.h"
#include "http/query.h"
#include "input.h"

#include <stdio.h>

static struct buf escaped(int place, cs_str text)
{
    struct buf out = {0};
    long counted = http_escape(place, text, NULL);
    long n = http_escape(place, text, buf_reserve(&out, HTTP_ESCAPE_GROWS * text.n + 1));
    check(n == counted && n >= 0 && (size_t)n <= HTTP_ESCAPE_GROWS * text.n);
    buf_added(&out, (size_t)n);
    return out;
}

static bool has_any(cs_str text, const char *bytes)
{
    for (; *bytes; bytes++)
        if (text.n && memchr(text.p, *bytes, text.n))
            return true;
    return false;
}

static bool is_visible(cs_str text)
{
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] <= ' ' || text.p[i] >= 0x7f)
            return false;
    return true;
}

static void check_query(cs_str text)
{
    struct buf e = escaped(CS_ESCAPE_QUERY, text), back = {0};
    check(is_visible(buf_str(&e)) && !has_any(buf_str(&e), "/&=+;,?#:@\"'<>\\"));
    buf_added(&back, http_query_decode(buf_str(&e), buf_reserve(&back, e.n + 1)));
    check(str_eq(buf_str(&back), text));
    buf_free(&e);
    buf_free(&back);
}

/* "%2F" of a path stays, so only what has none comes back as it was. */
static void check_path(cs_str text)
{
    struct buf e = escaped(CS_ESCAPE_PATH, text), back = {0};
    check(is_visible(buf_str(&e)) && !has_any(buf_str(&e), "?#:\"<>\\"));
    for (cs_str rest = buf_str(&e); rest.n; rest = (cs_str){rest.p + 1, rest.n - 1})
        if (rest.p[0] == '+') /* stands for itself in a path */
            buf_add_char(&back, '+');
        else if (rest.p[0] == '%') {
            check(rest.n >= 3 &&
                  http_query_decode((cs_str){rest.p, 3}, buf_reserve(&back, 3)) == 1);
            buf_added(&back, 1);
            rest = (cs_str){rest.p + 2, rest.n - 2};
        } else
            buf_add_char(&back, rest.p[0]);
    check(memmem(text.p, text.n, "%2F", 3) || str_eq(buf_str(&back), text));
    buf_free(&e);
    buf_free(&back);
}

static void check_html(cs_str text)
{
    static const char *const words[] = {"&amp;", "&lt;", "&gt;", "&quot;", "&#39;"};
    struct buf e = escaped(CS_ESCAPE_HTML, text), back = {0};
    check(!has_any(buf_str(&e), "<>\"'"));
    for (size_t i = 0; i < e.n; i++) {
        size_t w = 0;
        if (e.p[i] == '&') {
            while (w < ARRAY_LEN(words) && strncmp(e.p + i, words[w], strlen(words[w])) != 0)
                w++;
            check(w < ARRAY_LEN(words));
            i += strlen(words[w]) - 1;
            buf_add_char(&back, "&<>\"'"[w]);
        } else {
            buf_add_char(&back, e.p[i]);
        }
    }
    check(str_eq(buf_str(&back), text));
    buf_free(&e);
    buf_free(&back);
}

static void check_json(cs_str text)
{
    struct buf e = escaped(CS_ESCAPE_JSON, text), back = {0};
    check(str_is_utf8(buf_str(&e)) && !has_any(buf_str(&e), "'"));
    for (size_t i = 0; i < e.n; i++)
        check((unsigned char)e.p[i] >= ' ');
    check(json_unescape(&back, buf_str(&e)) && str_is_utf8(buf_str(&back)));
    check(str_is_utf8(text) == str_eq(buf_str(&back), text));
    buf_free(&e);
    buf_free(&back);
}

static void check_field(cs_str text)
{
    struct buf e = escaped(CS_ESCAPE_FIELD, text);
    check(e.n == text.n);
    for (size_t i = 0; i < e.n; i++) {
        bool control = (unsigned char)text.p[i] < ' ' || text.p[i] == 0x7f;
        check(e.p[i] == (control ? ' ' : text.p[i]));
    }
    buf_free(&e);
}

/* As written by the writer, and as somebody else may have written it. */
static void check_json_object(cs_str text)
{
    struct buf out = {0}, back = {0};
    struct json j;
    cs_str raw;
    json_init(&j, &out);
    json_object(&j, NULL);
    json_str(&j, "a", text);
    json_int(&j, "b", (int64_t)text.n);
    json_end_object(&j);
    check(json_find(buf_str(&out), "a", &raw) && json_unescape(&back, raw));
    check(!str_is_utf8(text) || str_eq(buf_str(&back), text));
    check(json_find(buf_str(&out), "b", &raw));
    if (json_find(text, "a", &raw))
        check(is_within(raw, text));
    buf_clear(&back);
    if (!json_unescape(&back, text))
        check(back.n == 0);
    buf_free(&out);
    buf_free(&back);
}

static void check_base64(cs_str text)
{
    struct buf coded = {0}, back = {0};
    base64_add(&coded, text);
    check(coded.n == (text.n + 2) / 3 * 4);
    check(base64_decode(&back, buf_str(&coded)) && str_eq(buf_str(&back), text));
    buf_clear(&back);
    buf_clear(&coded);
    if (base64_decode(&back, text)) {
        base64_add(&coded, buf_str(&back));
        check(str_eq(buf_str(&coded), text));
    } else {
        check(back.n == 0);
    }
    buf_free(&coded);
    buf_free(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cs_str text = input_of(data, size);
    if (!size)
        text.p = "";
    check_query(text);
    check_path(text);
    check_html(text);
    check_json(text);
    check_field(text);
    check_json_object(text);
    check_base64(text);
    return 0;
}
