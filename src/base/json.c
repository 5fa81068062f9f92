/* json.c - RFC 8259, the writing half; and one small look-up for replies that this program wrote.
 */
#include "base/json.h"

void json_init(struct json *j, struct buf *out)
{
    *j = (struct json){.out = out};
}

static bool is_plain(char c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

static char short_escape(char c)
{
    switch (c) {
    case '"':
    case '\\':
        return c;
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    case '\b':
        return 'b';
    case '\f':
        return 'f';
    default:
        return 0;
    }
}

static size_t escape_ascii(char c, char out[JSON_STEP_MAX])
{
    static const char hex[] = "0123456789abcdef";
    char letter = short_escape(c);
    if (is_plain(c)) {
        out[0] = c;
        return 1;
    }
    out[0] = '\\';
    if (letter) {
        out[1] = letter;
        return 2;
    }
    memcpy(out + 1, "u00", 3);
    out[4] = hex[(c >> 4) & 15];
    out[5] = hex[c & 15];
    return 6;
}

size_t json_escape_step(cs_str *rest, char out[JSON_STEP_MAX])
{
    size_t n = str_utf8_next(*rest), len;
    if (n == 1) {
        len = escape_ascii(rest->p[0], out);
    } else if (n) {
        memcpy(out, rest->p, n);
        len = n;
    } else {
        memcpy(out, "\xef\xbf\xbd", 3); /* U+FFFD for one byte that fits nowhere */
        len = 3;
        n = 1;
    }
    rest->p += n;
    rest->n -= n;
    return len;
}

void json_escape(struct buf *out, cs_str value)
{
    while (value.n) {
        size_t run = 0;
        while (run < value.n && is_plain(value.p[run]))
            run++;
        buf_add(out, value.p, run);
        value.p += run;
        value.n -= run;
        if (value.n) {
            char step[JSON_STEP_MAX];
            size_t n = json_escape_step(&value, step);
            buf_add(out, step, n);
        }
    }
}

static void quoted(struct json *j, cs_str s)
{
    buf_add_char(j->out, '"');
    json_escape(j->out, s);
    buf_add_char(j->out, '"');
}

/* Comma and key: everything that stands in front of a value. */
static void begin(struct json *j, const char *key)
{
    if (j->need_comma)
        buf_add_char(j->out, ',');
    if (key) {
        quoted(j, str_of(key));
        buf_add_char(j->out, ':');
    }
    j->need_comma = true;
}

static void open_with(struct json *j, const char *key, char bracket)
{
    begin(j, key);
    buf_add_char(j->out, bracket);
    j->need_comma = false;
}

static void close_with(struct json *j, char bracket)
{
    buf_add_char(j->out, bracket);
    j->need_comma = true;
}

void json_object(struct json *j, const char *key)
{
    open_with(j, key, '{');
}

void json_array(struct json *j, const char *key)
{
    open_with(j, key, '[');
}

void json_end_object(struct json *j)
{
    close_with(j, '}');
}

void json_end_array(struct json *j)
{
    close_with(j, ']');
}

void json_str(struct json *j, const char *key, cs_str value)
{
    begin(j, key);
    quoted(j, value);
}

void json_z(struct json *j, const char *key, const char *value)
{
    if (value) {
        json_str(j, key, str_of(value));
        return;
    }
    begin(j, key);
    buf_add_z(j->out, "null");
}

void json_int(struct json *j, const char *key, int64_t value)
{
    begin(j, key);
    buf_printf(j->out, "%lld", (long long)value);
}

void json_bool(struct json *j, const char *key, bool value)
{
    begin(j, key);
    buf_add_z(j->out, value ? "true" : "false");
}

static void skip(cs_str *s, size_t n)
{
    s->p += n;
    s->n -= n;
}

static void skip_space(cs_str *s)
{
    while (s->n && memchr(" \t\r\n", s->p[0], 4))
        skip(s, 1);
}

/* A string's inside, escapes as they are; *s goes behind the closing quote. */
static bool take_string(cs_str *s, cs_str *out)
{
    if (s->n == 0 || s->p[0] != '"')
        return false;
    size_t i = 1;
    while (i < s->n && s->p[i] != '"')
        i += s->p[i] == '\\' ? 2 : 1;
    if (i >= s->n)
        return false;
    *out = (cs_str){s->p + 1, i - 1};
    skip(s, i + 1);
    return true;
}

/* A value of any kind but a string: up to the comma or bracket that ends it at depth 0. */
static bool take_other(cs_str *s, cs_str *out)
{
    cs_str start = *s, ignored;
    int depth = 0;
    while (s->n) {
        char c = s->p[0];
        if (c == '"') {
            if (!take_string(s, &ignored))
                return false;
            continue;
        }
        if (depth == 0 && (c == ',' || c == '}' || c == ']'))
            break;
        depth += c == '{' || c == '[';
        depth -= c == '}' || c == ']';
        skip(s, 1);
    }
    size_t n = start.n - s->n;
    while (n && memchr(" \t\r\n", start.p[n - 1], 4))
        n--;
    *out = (cs_str){start.p, n};
    return n > 0 && depth == 0;
}

static bool take_pair(cs_str *s, cs_str *name, cs_str *value)
{
    skip_space(s);
    if (!take_string(s, name))
        return false;
    skip_space(s);
    if (s->n == 0 || s->p[0] != ':')
        return false;
    skip(s, 1);
    skip_space(s);
    bool ok = s->n && s->p[0] == '"' ? take_string(s, value) : take_other(s, value);
    skip_space(s);
    return ok;
}

bool json_find(cs_str object, const char *key, cs_str *value)
{
    cs_str s = object, name, found;
    skip_space(&s);
    if (s.n == 0 || s.p[0] != '{')
        return false;
    do {
        skip(&s, 1);
        if (!take_pair(&s, &name, &found))
            return false;
        if (str_is(name, key)) {
            *value = found;
            return true;
        }
    } while (s.n && s.p[0] == ',');
    return false;
}

/* Four hexadecimal digits; -1. */
static int take_hex(cs_str *s)
{
    int v = 0;
    if (s->n < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        char c = str_lower_char(s->p[i]);
        int d = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (d < 0)
            return -1;
        v = v << 4 | d;
    }
    skip(s, 4);
    return v;
}

/* What follows "\u": one code point, perhaps from a pair; -1. */
static int take_code(cs_str *s)
{
    int high = take_hex(s), low;
    if (high < 0xd800 || high > 0xdfff)
        return high;
    if (high > 0xdbff || s->n < 6 || s->p[0] != '\\' || s->p[1] != 'u')
        return -1;
    skip(s, 2);
    low = take_hex(s);
    if (low < 0xdc00 || low > 0xdfff)
        return -1;
    return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
}

static void add_utf8(struct buf *out, unsigned c)
{
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    unsigned n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    buf_add_char(out, (char)(lead[n] | c >> 6 * (n - 1)));
    while (--n)
        buf_add_char(out, (char)(0x80 | (c >> 6 * (n - 1) & 0x3f)));
}

static bool take_escape(struct buf *out, cs_str *s)
{
    static const char letters[] = "\"\\/bfnrt", bytes[] = "\"\\/\b\f\n\r\t";
    const char *at;
    if (s->n == 0 || s->p[0] == '\0')
        return false;
    if (s->p[0] == 'u') {
        skip(s, 1);
        int c = take_code(s);
        if (c >= 0)
            add_utf8(out, (unsigned)c);
        return c >= 0;
    }
    at = strchr(letters, s->p[0]);
    if (!at)
        return false;
    buf_add_char(out, bytes[at - letters]);
    skip(s, 1);
    return true;
}

bool json_unescape(struct buf *out, cs_str inside)
{
    size_t before = out->n;
    while (inside.n) {
        const char *slash = memchr(inside.p, '\\', inside.n);
        size_t run = slash ? (size_t)(slash - inside.p) : inside.n;
        buf_add(out, inside.p, run);
        skip(&inside, run);
        if (!slash)
            break;
        skip(&inside, 1);
        if (!take_escape(out, &inside)) {
            out->n = before;
            out->p[before] = '\0';
            return false;
        }
    }
    return true;
}
