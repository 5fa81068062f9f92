/* line.c - what libinih 55 would misread is seen here first: blanks before names, ` ;` inside
 * quotes, sections that are not exactly one name in brackets, ':' for '=', and characters that
 * nobody can see.
 *
 * Each rule that refuses says what to do instead. */
#include "conf/line.h"

#include "conf/chars.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '-';
}

bool line_is_name(cs_str s, size_t max)
{
    if (s.n < 1 || s.n > max)
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (!is_name_char(s.p[i]))
            return false;
    return true;
}

static size_t skip_blanks(cs_str s, size_t at)
{
    while (at < s.n && is_blank(s.p[at]))
        at++;
    return at;
}

static cs_str slice(cs_str s, size_t from, size_t to)
{
    return (cs_str){s.p + from, to - from};
}

static void bad(struct line *l, size_t at, size_t width)
{
    l->kind = LINE_BAD;
    l->bad_col = (int)at + 1;
    l->bad_width = width ? (int)width : 1;
}

/* Is text[from..to) fit to be part of a line? */
static bool text_ok(cs_str text, size_t from, size_t to, bool quoted, struct line *l,
                    struct buf *error)
{
    size_t width = 1, at = chars_check(slice(text, from, to), quoted, &width, error);

    if (from + at == to)
        return true;
    bad(l, from + at, width);
    return false;
}

/* Control characters are refused in comments too: an editor that shows a line in two, or hides half
 * of it, must not make a setting look like a comment. */
static bool controls_ok(cs_str text, struct line *l, struct buf *error)
{
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];

        if ((c < 0x20 && c != '\t') || c == 0x7f) {
            chars_say_control(c, error);
            bad(l, i, 1);
            return false;
        }
    }
    return true;
}

/* The end of an unquoted value that starts at `from`: a comment needs a blank before its ";". */
static size_t plain_end(cs_str text, size_t from, bool comments)
{
    size_t end = text.n;

    for (size_t i = from; comments && i < text.n; i++)
        if (text.p[i] == ';' && i > 0 && is_blank(text.p[i - 1])) {
            end = i;
            break;
        }
    while (end > from && is_blank(text.p[end - 1]))
        end--;
    return end;
}

/* ---- Sections ---- */

static bool section_tail_ok(cs_str text, size_t at, struct line *l, struct buf *error)
{
    size_t next = skip_blanks(text, at);

    if (!text_ok(text, at, plain_end(text, at, true), false, l, error))
        return false;
    if (next == text.n || (next > at && text.p[next] == ';'))
        return true;
    bad(l, next, text.n - next);
    if (text.p[next] == ';' || text.p[next] == '#')
        buf_add_z(error, "a comment behind a section is written as a blank and \";\"");
    else
        buf_add_z(error, "text behind the section's \"]\"; a section stands alone on its line");
    return false;
}

static bool section_label_ok(cs_str text, size_t from, struct line *l, struct buf *error)
{
    if (line_is_name(l->label, LINE_LABEL_MAX))
        return true;
    bad(l, from, l->label.n);
    if (!l->label.n)
        buf_printf(error, "the label is missing: [%.*s:name]", CS_F(l->name));
    else if (line_is_name(l->label, text.n))
        buf_printf(error, "a label of %zu characters; at most %d are possible", l->label.n,
                   LINE_LABEL_MAX);
    else
        buf_add_z(error, "a label consists of letters, digits, \"_\", \".\" and \"-\"");
    return false;
}

static void read_section(cs_str text, struct line *l, struct buf *error)
{
    const char *close = memchr(text.p, ']', text.n), *colon;
    size_t end = close ? (size_t)(close - text.p) : text.n;
    cs_str in = slice(text, 1, end);

    l->kind = LINE_SECTION;
    l->col = 1;
    if (!text_ok(text, 0, end, false, l, error))
        return;
    if (!close) {
        bad(l, 0, text.n);
        buf_add_z(error, "the section's closing \"]\" is missing");
        return;
    }
    colon = memchr(in.p, ':', in.n);
    l->labelled = colon != NULL;
    l->name = colon ? slice(in, 0, (size_t)(colon - in.p)) : in;
    l->label = colon ? slice(in, l->name.n + 1, in.n) : (cs_str){in.p, 0};
    if (!line_is_name(l->name, LINE_KIND_MAX)) {
        bad(l, 1, in.n);
        buf_add_z(error, "a section is written [kind] or [kind:label], without blanks or quotes, "
                         "such as [server] or [listen:main]");
        return;
    }
    if (l->labelled && !section_label_ok(text, 2 + l->name.n, l, error))
        return;
    section_tail_ok(text, end + 1, l, error);
}

/* ---- Values ---- */

/* Offset behind the closing quote, or 0. `from` is the first byte inside. */
static size_t quoted_end(cs_str text, size_t from)
{
    for (size_t i = from; i < text.n; i++)
        if (text.p[i] == '\\')
            i++;
        else if (text.p[i] == '"')
            return i + 1;
    return 0;
}

static bool escapes_ok(cs_str text, size_t from, size_t to, struct line *l, struct buf *error)
{
    for (size_t i = from; i < to; i++) {
        if (text.p[i] != '\\')
            continue;
        i++;
        if (text.p[i] == '\\' || text.p[i] == '"')
            continue;
        bad(l, i - 1, 2);
        buf_add_z(error,
                  "inside quotes a backslash is written as \"\\\\\" and a quote as \"\\\"\"; "
                  "there are no other escapes");
        return false;
    }
    return true;
}

static void read_quoted(cs_str text, size_t open, bool comments, struct line *l, struct buf *error)
{
    size_t behind = quoted_end(text, open + 1), next;

    l->quoted = true;
    if (!behind) {
        bad(l, open, text.n - open);
        buf_add_z(error, "the closing quote is missing; a quoted value ends on its own line");
        return;
    }
    l->value = slice(text, open + 1, behind - 1);
    l->value_col = (int)open + 2;
    next = skip_blanks(text, behind);
    if (next < text.n && !(comments && next > behind && text.p[next] == ';')) {
        bad(l, next, text.n - next);
        buf_printf(error, "text behind the closing quote; %s",
                   comments
                       ? "only a comment (a blank and \";\") may follow, and a quote inside the "
                         "value is written \\\""
                       : "a quote inside the value is written \\\"");
        return;
    }
    if (text_ok(text, open + 1, behind - 1, true, l, error))
        escapes_ok(text, open + 1, behind - 1, l, error);
}

static void find_hash(cs_str text, size_t from, size_t to, struct line *l)
{
    for (size_t i = from + 1; i < to; i++)
        if (text.p[i] == '#' && is_blank(text.p[i - 1])) {
            l->hash_col = (int)i + 1;
            return;
        }
}

/* Reads the value whose first blank or byte is at `from`. */
static void read_value(cs_str text, size_t from, bool comments, struct line *l, struct buf *error)
{
    size_t start = skip_blanks(text, from), end;

    if (start < text.n && text.p[start] == '"') {
        read_quoted(text, start, comments, l, error);
        return;
    }
    end = plain_end(text, start, comments);
    l->value = slice(text, start, end);
    l->value_col = (int)start + 1;
    if (comments && start == from && start < text.n && text.p[start] == ';') {
        bad(l, start, text.n - start);
        buf_add_z(
            error,
            "\";\" right behind \"=\": put a blank before a comment, or quotes around a value");
    } else if (chars_is_curly_quote(l->value)) {
        bad(l, start, 3);
        buf_add_z(error, "a typographic quote; write a plain \"");
    } else if (text_ok(text, start, end, false, l, error)) {
        find_hash(text, start, end, l);
    }
}

void line_read_value(cs_str text, struct line *out, struct buf *error)
{
    *out = (struct line){.kind = LINE_KEY};
    read_value(text, 0, false, out, error);
}

/* ---- Keys and continuation lines ---- */

static bool looks_like_key(cs_str s)
{
    size_t n = 0;

    while (n < s.n && is_name_char(s.p[n]))
        n++;
    n = n ? skip_blanks(s, n) : s.n;
    return n < s.n && s.p[n] == '=';
}

static void read_more(cs_str text, size_t start, struct line *l, struct buf *error)
{
    cs_str rest = slice(text, start, text.n);

    l->kind = LINE_MORE;
    l->col = (int)start + 1;
    if (rest.p[0] != '[' && !looks_like_key(rest)) {
        read_value(text, start, true, l, error);
        return;
    }
    bad(l, start, rest.n);
    buf_printf(
        error,
        "an indented line goes on with the value above it, but this one reads like a %s; remove "
        "the blanks at its start, or put it in quotes",
        rest.p[0] == '[' ? "section" : "key");
}

static bool key_ok(cs_str text, cs_str key, size_t eq, struct line *l, struct buf *error)
{
    const char *colon = memchr(text.p, ':', eq);
    size_t at = 0;

    if (line_is_name(key, LINE_KEY_MAX))
        return true;
    while (at < key.n && is_name_char(key.p[at]))
        at++;
    bad(l, at < key.n ? at : 0, at < key.n ? 1 : key.n);
    if (!key.n)
        buf_add_z(error, "the name before \"=\" is missing");
    else if (colon)
        buf_add_z(error, "a \":\" before the \"=\"; write \"name = value\"");
    else if (at == key.n)
        buf_printf(error, "a name of %zu characters; at most %d are possible", key.n, LINE_KEY_MAX);
    else
        buf_add_z(error, "a name consists of letters, digits, \"_\", \".\" and \"-\"");
    return false;
}

static void no_equals(cs_str text, size_t end, struct line *l, struct buf *error)
{
    const char *colon = memchr(text.p, ':', end);

    bad(l, 0, end);
    if (end && strchr("{};", text.p[end - 1]))
        buf_add_z(error, "this reads like nginx; here a block is a section, such as [site:main] or "
                         "[route:api], and a line in it is name = value, without a \";\"");
    else if (colon &&
             line_is_name(str_trim(slice(text, 0, (size_t)(colon - text.p))), LINE_KEY_MAX))
        buf_add_z(error, "\":\" does not separate a name from its value; write \"name = value\"");
    else
        buf_add_z(error, "a line without \"=\"; it is neither [section] nor name = value (a value "
                         "that goes on is indented)");
}

static void read_key(cs_str text, struct line *l, struct buf *error)
{
    const char *hit = memchr(text.p, '=', text.n);
    size_t eq = hit ? (size_t)(hit - text.p) : plain_end(text, 0, true);
    cs_str key = str_trim(slice(text, 0, eq));

    l->kind = LINE_KEY;
    l->col = 1;
    if (!text_ok(text, 0, eq, false, l, error))
        return;
    if (!hit) {
        no_equals(text, eq, l, error);
        return;
    }
    if (!key_ok(text, key, eq, l, error))
        return;
    l->name = key;
    read_value(text, eq + 1, true, l, error);
}

void line_read(cs_str text, struct line *out, struct buf *error)
{
    size_t start = skip_blanks(text, 0);

    *out = (struct line){.kind = LINE_BLANK};
    if (!controls_ok(text, out, error))
        return;
    if (start == text.n || text.p[start] == ';' || text.p[start] == '#')
        return;
    if (start > 0)
        read_more(text, start, out, error);
    else if (text.p[0] == '[')
        read_section(text, out, error);
    else
        read_key(text, out, error);
}
