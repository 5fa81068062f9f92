/* match.c - "= /x" is one path, "/x" a start of paths, "~ ^/x" an expression. Paths are matched
 * decoded and normalised, so some strings could never match: those are told. */
#include "conf/bind.h"

static struct conf_origin place_of(const struct conf_section *s)
{
    for (const struct conf_entry *e = s->first; e; e = e->next)
        if (str_is(e->key, "match"))
            return e->value_at;
    return s->at;
}

/* What follows the sign; a blank at the end may be meant. */
static cs_str behind_sign(cs_str s)
{
    size_t n = 1;

    while (n < s.n && (s.p[n] == ' ' || s.p[n] == '\t'))
        n++;
    return (cs_str){s.p + n, s.n - n};
}

static const char *refused(const struct conf_route *r)
{
    if (str_starts(r->match, CS_S("~*")))
        return "is another server's form; an expression where case does not matter is written \"~ "
               "(?i)...\"";
    if (str_starts(r->match, CS_S("^~")))
        return "is another server's form; expressions come before starts of paths here, write one "
               "of them";
    if (r->match_kind == CONF_MATCH_REGEX)
        return r->match_arg.n ? NULL : "has no expression behind the \"~\"";
    if (!r->match_arg.n || r->match_arg.p[0] != '/')
        return "must start with \"/\" (a path and all below it), \"= /\" (one path) or \"~\" (an "
               "expression)";
    return NULL;
}

static bool has_dots(cs_str path)
{
    cs_str part;

    while (str_split(&path, '/', &part))
        if (str_is(part, ".") || str_is(part, ".."))
            return true;
    return false;
}

static bool has_escape(cs_str path)
{
    static const char hex[] = "0123456789abcdefABCDEF";

    for (size_t i = 0; i + 2 < path.n; i++)
        if (path.p[i] == '%' && path.p[i + 1] && strchr(hex, path.p[i + 1]) && path.p[i + 2] &&
            strchr(hex, path.p[i + 2]))
            return true;
    return false;
}

static const char *never_matches(cs_str path)
{
    if (has_escape(path))
        return "has %XX in it; paths are matched decoded, so write the character itself";
    if (memchr(path.p, '?', path.n))
        return "has a \"?\" in it; the query is no part of the path";
    if (memmem(path.p, path.n, "//", 2) || has_dots(path))
        return "has \"//\" or a dot segment in it; paths are normalised before they are matched";
    return NULL;
}

void match_bind(struct bind *b, struct conf_route *r, const struct conf_section *s)
{
    struct conf_origin at = place_of(s);
    const char *why;

    if (!r->match.n) /* it is missing: reported already */
        return;
    r->match_at = at;
    r->match_kind = r->match.p[0] == '='   ? CONF_MATCH_EXACT
                    : r->match.p[0] == '~' ? CONF_MATCH_REGEX
                                           : CONF_MATCH_PREFIX;
    r->match_arg = r->match_kind == CONF_MATCH_PREFIX ? r->match : behind_sign(r->match);
    why = refused(r);
    if (why) {
        report_error(b->rep, &at, (int)r->match.n, "match: \"%.*s\" %s",
                     r->match.n > 80 ? 80 : (int)r->match.n, r->match.p, why);
        r->match_arg = CS_S(""); /* one sentence about it is enough */
        return;
    }
    if (r->match.p[r->match.n - 1] == ';')
        report_warning(
            b->rep, &at, (int)r->match.n,
            "match: \"%.*s\" ends in \";\", which would be a part of the path; a setting "
            "ends with its line",
            r->match.n > 80 ? 80 : (int)r->match.n, r->match.p);
    if (r->match_kind != CONF_MATCH_REGEX && memchr(r->match.p, '*', r->match.n))
        report_warning(
            b->rep, &at, (int)r->match.n,
            "match: \"%.*s\" has a \"*\" in it, which is a plain character here: \"/x\" is "
            "/x and all below it, \"~ ^/x\" all that begins so",
            r->match.n > 80 ? 80 : (int)r->match.n, r->match.p);
    why = r->match_kind == CONF_MATCH_REGEX ? NULL : never_matches(r->match_arg);
    if (why)
        report_warning(b->rep, &at, (int)r->match.n, "match: \"%.*s\" never matches: it %s",
                       r->match.n > 80 ? 80 : (int)r->match.n, r->match.p, why);
}
