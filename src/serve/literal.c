#include "serve/literal.h"

/* "[:alpha:]": at its "]". What only looks like one is an ordinary "[". */
static size_t skip_name(cs_str s, size_t i)
{
    size_t k = i + 2;
    while (k < s.n && s.p[k] >= 'a' && s.p[k] <= 'z')
        k++;
    return str_starts((cs_str){s.p + k, s.n - k}, CS_S(":]")) ? k + 1 : i;
}

/* At the "]" of a class. One that does not end is refused by the compiler. */
static size_t skip_class(cs_str s, size_t i)
{
    i++;
    if (i < s.n && s.p[i] == '^')
        i++;
    if (i < s.n && s.p[i] == ']')
        i++;
    for (; i < s.n && s.p[i] != ']'; i++)
        if (s.p[i] == '\\')
            i++;
        else if (str_starts((cs_str){s.p + i, s.n - i}, CS_S("[:")))
            i = skip_name(s, i);
    return i;
}

/* Alternatives that are in no brackets: then the beginning is that of the first one only. Quoting (\Q), comments, names of verbs
 * ("(*MARK:()") and strings of callouts may hide anything: they count as such. */
static bool has_choice(cs_str s)
{
    int depth = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\\') {
            i++;
            if (i < s.n && (s.p[i] == 'Q' || s.p[i] == 'E'))
                return true;
        } else if (s.p[i] == '[') {
            i = skip_class(s, i);
        } else if (s.p[i] == '(') {
            cs_str rest = {s.p + i, s.n - i};
            if (str_starts(rest, CS_S("(?#")) || str_starts(rest, CS_S("(*")) ||
                str_starts(rest, CS_S("(?C")))
                return true;
            depth++;
        } else if (s.p[i] == ')') {
            depth--;
        } else if (s.p[i] == '|' && depth == 0) {
            return true;
        }
    }
    return false;
}

static bool is_meta(char c)
{
    return c && strchr("\\^$.[]|()?*+{}", c);
}

static bool is_punctuation(char c)
{
    return (unsigned char)c > ' ' && (unsigned char)c < 0x7f && !(c >= '0' && c <= '9') &&
           !(c >= 'A' && c <= 'Z') && !(c >= 'a' && c <= 'z');
}

/* The literal character that s begins with: its length in the pattern; 0: it is something else. */
static size_t next_char(cs_str s, cs_str *out)
{
    if (s.n >= 2 && s.p[0] == '\\' && is_punctuation(s.p[1])) {
        *out = (cs_str){s.p + 1, 1};
        return 2;
    }
    size_t n = is_meta(s.p[0]) ? 0 : str_utf8_next(s);
    *out = (cs_str){s.p, n};
    return n;
}

size_t literal_of(cs_str pattern, char *out)
{
    size_t n = 0, i = 1;
    if (!pattern.n || pattern.p[0] != '^' || has_choice(pattern))
        return 0;
    while (i < pattern.n) {
        cs_str c;
        size_t width = next_char((cs_str){pattern.p + i, pattern.n - i}, &c);
        char behind = width && i + width < pattern.n ? pattern.p[i + width] : '\0';
        if (!width || behind == '*' || behind == '?' || behind == '{')
            break;
        memcpy(out + n, c.p, c.n);
        n += c.n;
        i += width;
        if (behind == '+')
            break;
    }
    return n;
}
