/* quote.c - see quote.h. */
#include "conf/quote.h"

#include "conf/chars.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

void quote_undo(cs_str raw, struct buf *out)
{
    for (size_t i = 0; i < raw.n; i++) {
        if (raw.p[i] == '\\' && i + 1 < raw.n)
            i++;
        buf_add_char(out, raw.p[i]);
    }
}

static bool needs_quotes(cs_str v)
{
    struct buf why = {0};
    size_t width;
    bool unseen_inside = chars_check(v, false, &width, &why) != v.n;

    buf_free(&why);
    if (unseen_inside || chars_is_curly_quote(v))
        return true;
    if (v.n && (is_blank(v.p[0]) || is_blank(v.p[v.n - 1]) || strchr("\";#", v.p[0])))
        return true;
    for (size_t i = 1; i < v.n; i++)
        if (is_blank(v.p[i - 1]) && (v.p[i] == ';' || v.p[i] == '#'))
            return true;
    return false;
}

void quote_write(cs_str value, bool always, bool variables, struct buf *out)
{
    bool quotes = always || needs_quotes(value);

    if (quotes)
        buf_add_char(out, '"');
    for (size_t i = 0; i < value.n; i++) {
        char c = value.p[i];

        if (quotes && (c == '"' || c == '\\'))
            buf_add_char(out, '\\');
        if (!variables && c == '$' && i + 1 < value.n && value.p[i + 1] == '{')
            buf_add_char(out, '$');
        buf_add_char(out, c);
    }
    if (quotes)
        buf_add_char(out, '"');
}
