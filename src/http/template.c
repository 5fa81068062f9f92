#include "http/template.h"

#include "base/check.h"
#include "http/escape.h"
#include "http/foreign.h"

struct variable {
    const char *name; /* with a dot at its end: a name follows */
    enum template_var var;
};

static const struct variable variables[] = {
    {"capture.", TEMPLATE_CAPTURE},
    {"client", TEMPLATE_CLIENT},
    {"cookie.", TEMPLATE_COOKIE},
    {"header.", TEMPLATE_HEADER},
    {"host", TEMPLATE_HOST},
    {"method", TEMPLATE_METHOD},
    {"path", TEMPLATE_PATH},
    {"peer", TEMPLATE_PEER},
    {"query", TEMPLATE_QUERY},
    {"query.", TEMPLATE_QUERY_NAME},
    {"request_id", TEMPLATE_REQUEST_ID},
    {"route", TEMPLATE_ROUTE},
    {"scheme", TEMPLATE_SCHEME},
    {"site", TEMPLATE_SITE},
    {"target", TEMPLATE_TARGET},
    {"user", TEMPLATE_USER},
};

#define NAME_SHOWN   60
#define NEAR         2 /* edits */
#define MOST_CAPTURE 99

static bool has_name(const struct variable *v)
{
    return v->name[strlen(v->name) - 1] == '.';
}

static const struct variable *find(cs_str inside, cs_str *name)
{
    for (size_t i = 0; i < ARRAY_LEN(variables); i++) {
        const struct variable *v = &variables[i];
        cs_str known = str_of(v->name);
        if (has_name(v) ? str_starts(inside, known) && inside.n > known.n : str_eq(inside, known)) {
            *name = has_name(v) ? (cs_str){inside.p + known.n, inside.n - known.n} : (cs_str){0};
            return v;
        }
    }
    return NULL;
}

/* ---- Compiling ---- */

static cs_str head_of(cs_str inside)
{
    const char *dot = inside.n ? memchr(inside.p, '.', inside.n) : NULL;
    return (cs_str){inside.p, dot ? (size_t)(dot + 1 - inside.p) : inside.n};
}

static void suggest(cs_str inside, struct buf *error)
{
    const struct variable *best = NULL;
    unsigned least = NEAR + 1;
    struct buf ours = {0};
    if (foreign_name(inside, &ours))
        buf_printf(error, "; what another server calls so is ${%s} here", ours.p);
    const bool known = ours.n;
    buf_free(&ours);
    if (known)
        return;
    for (size_t i = 0; i < ARRAY_LEN(variables); i++) {
        unsigned d = str_distance(head_of(inside), str_of(variables[i].name), NEAR);
        if (d < least) {
            least = d;
            best = &variables[i];
        }
    }
    if (best)
        buf_printf(error, "; did you mean ${%s%s}?", best->name, has_name(best) ? "NAME" : "");
}

static int refuse(cs_str inside, const char *why, struct buf *error)
{
    buf_printf(error, "${%.*s%s} %s", inside.n > NAME_SHOWN ? NAME_SHOWN : (int)inside.n, inside.p,
               inside.n > NAME_SHOWN ? "..." : "", why);
    return -1;
}

static bool is_number(cs_str s)
{
    return s.n > 0 && s.p[0] >= '0' && s.p[0] <= '9';
}

/* Only of what stands in fields and queries there can be any bytes; a brace or a control byte is a mistake. */
static bool is_name(cs_str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] <= ' ' || s.p[i] == 0x7f || s.p[i] == '{' || s.p[i] == '$')
            return false;
    return true;
}

static int compile_variable(struct template_part *p, cs_str inside, struct buf *error)
{
    uint64_t number = 0;
    const struct variable *v = find(inside, &p->text);
    if (!v) {
        refuse(inside, "is no variable of a request", error);
        suggest(inside, error);
        return -1;
    }
    p->var = v->var;
    if (!is_name(p->text))
        return refuse(inside, "has a name that nothing can have", error);
    if (v->var == TEMPLATE_CAPTURE && is_number(p->text)) {
        if (!str_to_u64(p->text, MOST_CAPTURE, &number))
            return refuse(inside, "is no group of a regex: there are 0 to 99", error);
        p->text = (cs_str){0};
    }
    p->number = (unsigned)number;
    return 0;
}

static size_t count_parts(cs_str text)
{
    size_t n = 1;
    for (size_t i = 0; i < text.n; i++)
        n += text.p[i] == '$' ? 2 : 0;
    return n;
}

static void add_text(struct template *t, const char *from, const char *to)
{
    if (to > from)
        t->parts[t->nparts++] =
            (struct template_part){.var = TEMPLATE_TEXT, .text = {from, (size_t)(to - from)}};
}

/* 0 or -1. */
static int compile(struct template *t, cs_str text, cs_str *where, struct buf *error)
{
    const char *from = text.p, *end = text.p + text.n;
    for (const char *p = text.p; p < end; p++) {
        cs_str rest = {p, (size_t)(end - p)};
        if (str_starts(rest, CS_S("$${"))) {
            add_text(t, from, p);
            from = p + 1; /* what follows is text, "${" included */
            p += 2;
            continue;
        }
        if (!str_starts(rest, CS_S("${")))
            continue;
        const char *close = memchr(p, '}', rest.n);
        *where = (cs_str){p, close ? (size_t)(close + 1 - p) : rest.n};
        if (!close) {
            buf_add_z(error, "\"${\" without its \"}\"; a plain \"${\" is written \"$${\"");
            return -1;
        }
        add_text(t, from, p);
        if (compile_variable(&t->parts[t->nparts], (cs_str){p + 2, where->n - 3}, error) < 0)
            return -1;
        t->uses |= 1u << t->parts[t->nparts++].var;
        p = close;
        from = close + 1;
    }
    add_text(t, from, end);
    return 0;
}

const struct template *template_compile(struct arena *a, cs_str text, cs_str *where,
                                        struct buf *error)
{
    struct template *t = arena_zalloc(a, sizeof *t);
    t->pub.text = arena_dup(a, text);
    t->parts = arena_zalloc(a, count_parts(text) * sizeof *t->parts);
    if (compile(t, t->pub.text, where, error) < 0) {
        where->p = text.p + (where->p - t->pub.text.p);
        return NULL;
    }
    t->pub.constant = !t->uses;
    return t;
}

cs_str template_plain(const struct template *t)
{
    if (!t->nparts)
        return CS_S("");
    return t->nparts == 1 && t->pub.constant ? t->parts[0].text : (cs_str){0};
}

/* ---- Signs of another server ---- */

static bool is_word_char(char c)
{
    return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z');
}

bool template_bare(cs_str text, cs_str *where, struct buf *ours)
{
    for (size_t i = 0; i + 1 < text.n; i++) {
        size_t end = i + 1;
        cs_str rest;
        if (text.p[i] != '$')
            continue;
        while (end < text.n && is_word_char(text.p[end]))
            end++;
        const cs_str name = {text.p + i + 1, end - i - 1};
        *where = (cs_str){text.p + i, end - i};
        if (foreign_name(name, ours))
            return true;
        if (find(name, &rest)) {
            buf_add_str(ours, name);
            return true;
        }
    }
    return false;
}

/* ---- Rendering ---- */

/* What the client has sent encoded stays encoded: it is a part of a URL already. A host has been checked. */
static bool is_raw(enum template_var var)
{
    return var == TEMPLATE_QUERY || var == TEMPLATE_TARGET || var == TEMPLATE_HOST;
}

static void add_escaped(int where, cs_str v, struct buf *out)
{
    long n = http_escape(where, v, buf_reserve(out, HTTP_ESCAPE_GROWS * v.n + 1));
    check(n >= 0);
    buf_added(out, (size_t)n);
}

/* ---- Addresses: what comes from the client fills in paths and queries. It never makes an address lead to another host: an
 * open redirect is what people use to make their links look like ours. ---- */

/* Raw bytes that browsers read as "/", or that no URL has. */
static void add_raw(cs_str v, struct buf *out)
{
    for (size_t i = 0; i < v.n; i++) {
        unsigned char c = (unsigned char)v.p[i];
        if (c <= ' ' || c >= 0x7f || strchr("\"<>\\^`{|}#", c))
            buf_printf(out, "%%%02X", c);
        else
            buf_add_char(out, v.p[i]);
    }
}

/* Browsers read "\" as "/". Of values none is left by then, of the operator's text there may be. */
static bool is_slash(char c)
{
    return c == '/' || c == '\\';
}

/* "https://" or "//" and a host that may go on: it has no "/" yet. *empty: not even a host. */
static bool is_in_host(cs_str so_far, bool *empty)
{
    size_t i = 0;
    while (i < so_far.n && so_far.p[i] != ':' && !is_slash(so_far.p[i]))
        i++;
    i += i < so_far.n && so_far.p[i] == ':';
    if (so_far.n - i < 2 || !is_slash(so_far.p[i]) || !is_slash(so_far.p[i + 1]))
        return false;
    i += 2;
    *empty = i == so_far.n;
    while (i < so_far.n && !is_slash(so_far.p[i]) && so_far.p[i] != '?' && so_far.p[i] != '#')
        i++;
    return i == so_far.n;
}

/* Does the host end with part i, so that its value can only be the path behind it? */
static bool ends_host(const struct template *t, size_t i)
{
    const struct template_part *next = i + 1 < t->nparts ? &t->parts[i + 1] : NULL;
    return !next || next->var != TEMPLATE_TEXT || strchr("/\\?#", next->text.p[0]);
}

/* A path has one slash at its beginning: two would begin a host. `own`: the operator's text, in which "\" is not going to be
 * escaped. */
static cs_str one_slash(cs_str so_far, cs_str v, bool own)
{
    size_t keep = so_far.n ? 0 : 1;
    if (so_far.n > 1 || (so_far.n && !is_slash(so_far.p[0])))
        return v;
    while (v.n > keep &&
           (own ? is_slash(v.p[0]) && is_slash(v.p[keep]) : v.p[0] == '/' && v.p[keep] == '/'))
        v = (cs_str){v.p + 1, v.n - 1};
    return v;
}

static bool is_path(enum template_var var)
{
    return var == TEMPLATE_PATH || var == TEMPLATE_CAPTURE || var == TEMPLATE_TARGET;
}

static void add_to_url(const struct template *t, size_t i, cs_str so_far, cs_str v, struct buf *out)
{
    enum template_var var = t->parts[i].var;
    bool raw = is_raw(var), path = is_path(var), empty = false;
    bool in_host = var != TEMPLATE_HOST && is_in_host(so_far, &empty);
    bool behind = so_far.n && memchr(so_far.p, '?', so_far.n);
    bool begins = in_host || (!so_far.n && raw && var != TEMPLATE_HOST);
    if ((in_host && (empty || !ends_host(t, i))) || (path && behind) || !(raw || path)) {
        if (in_host && !empty && v.n && ends_host(t, i))
            buf_add_char(out, '/');
        add_escaped(CS_ESCAPE_QUERY, v, out);
        return;
    }
    if (begins && v.n && v.p[0] != '/')
        buf_add_char(out, '/');
    if (raw)
        add_raw(one_slash(so_far, v, false), out);
    else
        add_escaped(CS_ESCAPE_PATH, one_slash(so_far, v, false), out);
}

void template_render(const struct template *t, int place, template_lookup *look_up, void *arg,
                     struct buf *out)
{
    size_t start = out->n;
    for (size_t i = 0; i < t->nparts; i++) {
        const struct template_part *p = &t->parts[i];
        cs_str so_far = {out->p ? out->p + start : "", out->n - start};
        if (p->var == TEMPLATE_TEXT)
            buf_add_str(out,
                        i && place == CS_ESCAPE_URL ? one_slash(so_far, p->text, true) : p->text);
        else if (place == CS_ESCAPE_URL)
            add_to_url(t, i, so_far, look_up(arg, p), out);
        else
            add_escaped(place, look_up(arg, p), out);
    }
}

void template_names(struct buf *out)
{
    for (size_t i = 0; i < ARRAY_LEN(variables); i++)
        buf_printf(out, "%s%s%s", i ? ", " : "", variables[i].name,
                   has_name(&variables[i]) ? "NAME" : "");
}
