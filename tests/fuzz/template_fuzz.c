/* template_fuzz.c - any bytes as a template and as the values of its variables: compiled and written again it is the same text,
 * and no value gets out of the place where it stands.
 *
 * The input: the template, a line; values, a line each, given to the variables in turn. */
#include "http/template.h"
#include "http/token.h"
#include "input.h"

#define MOST 8

struct values {
    cs_str v[MOST];
    size_t n, next;
};

static cs_str look_up(void *arg, const struct template_part *part)
{
    struct values *v = arg;
    cs_str value = v->n ? v->v[v->next++ % v->n] : (cs_str){0};
    if (part->var == TEMPLATE_HOST) /* has been checked */
        for (size_t i = 0; i < value.n; i++)
            if (!http_is((unsigned char)value.p[i], HTTP_CLASS_HOST))
                return CS_S("example.com");
    return value;
}

static void render(const struct template *t, int place, struct values *v, struct buf *out)
{
    buf_clear(out);
    v->next = 0;
    template_render(t, place, look_up, v, out);
}

/* ---- Compiling ---- */

/* "${" of a text is "$${". A text may have been cut between the two, but not between "$" and a variable. */
static void write_text(struct buf *out, cs_str text)
{
    for (size_t i = 0; i < text.n; i++) {
        if (str_starts((cs_str){text.p + i, text.n - i}, CS_S("${")))
            buf_add_char(out, '$');
        buf_add_char(out, text.p[i]);
    }
}

/* The parts as somebody would write them; names of variables that have none behind a dot are not known here. */
static void check_parts(const struct template *t, cs_str text)
{
    struct buf again = {0};
    cs_str rest = text;
    uint32_t uses = 0;
    for (size_t i = 0; i < t->nparts; i++) {
        const struct template_part *p = &t->parts[i];
        cs_str inside;
        if (p->var == TEMPLATE_TEXT) {
            check(p->text.n > 0);
            write_text(&again, p->text);
            continue;
        }
        uses |= 1u << p->var;
        rest = (cs_str){text.p + again.n, text.n - again.n};
        check(str_starts(rest, CS_S("${")) && str_split(&rest, '}', &inside) && rest.p);
        check(p->text.n < inside.n && p->number <= 99);
        check(!p->text.n || !memcmp(inside.p + inside.n - p->text.n, p->text.p, p->text.n));
        buf_add_str(&again, inside);
        buf_add_char(&again, '}');
    }
    check(str_eq(buf_str(&again), text));
    check(t->uses == uses && t->pub.constant == !uses && str_eq(t->pub.text, text));
    buf_free(&again);
}

/* ---- Rendering ---- */

/* Neither a control byte nor one of these, unless the operator has written it. */
static void check_without(cs_str text, cs_str out, const char *bytes, bool controls)
{
    for (size_t i = 0; i < out.n; i++) {
        unsigned char c = (unsigned char)out.p[i];
        if ((controls && (c < ' ' || c == 0x7f)) || (c && strchr(bytes, c)))
            check(memchr(text.p, c, text.n));
    }
}

/* A browser reads "\" as "/". */
static bool is_slash(const struct buf *b, size_t i)
{
    return b->n > i && (b->p[i] == '/' || b->p[i] == '\\');
}

/* Can the text before the first variable only begin a path? */
static bool begins_path(const struct template *t)
{
    if (!t->nparts || t->parts[0].var == TEMPLATE_PATH || t->parts[0].var == TEMPLATE_TARGET)
        return true;
    cs_str s = t->parts[0].text;
    if (t->parts[0].var != TEMPLATE_TEXT || s.p[0] != '/')
        return false;
    return s.n == 1 || (s.p[1] != '/' && s.p[1] != '\\' && (unsigned char)s.p[1] > ' ');
}

/* Is it the beginning of an address up to a host that could go on, such as "https://new.example"? */
static bool is_open_host(cs_str s)
{
    size_t i = 0, host;
    while (i < s.n && str_lower_char(s.p[i]) >= 'a' && str_lower_char(s.p[i]) <= 'z')
        i++;
    i += i < s.n && s.p[i] == ':';
    if (!str_starts((cs_str){s.p + i, s.n - i}, CS_S("//")))
        return false;
    for (host = i += 2; i < s.n; i++)
        if (strchr("/\\?#", s.p[i]))
            return false;
    return i > host;
}

/* The variable behind the host of the text does not go on with it, unless the operator has put more text there. */
static bool ends_host(const struct template *t)
{
    return t->nparts > 1 && t->parts[0].var == TEMPLATE_TEXT && is_open_host(t->parts[0].text) &&
           t->parts[1].var != TEMPLATE_TEXT && t->parts[1].var != TEMPLATE_HOST &&
           (t->nparts == 2 ||
            (t->parts[2].var == TEMPLATE_TEXT && memchr("/?#", t->parts[2].text.p[0], 3)));
}

static bool is_query(const struct template *t)
{
    const uint32_t raw = 1u << TEMPLATE_QUERY | 1u << TEMPLATE_HOST;
    return t->nparts && t->parts[0].var == TEMPLATE_TEXT && !(t->uses & raw) &&
           memchr(t->parts[0].text.p, '?', t->parts[0].text.n);
}

/* What begins with a path does not lead to another host; what has a host keeps it. */
static void check_url(const struct template *t, struct values *v, struct buf *out)
{
    render(t, CS_ESCAPE_URL, v, out);
    check_without(t->pub.text, buf_str(out), "\"<>\\^`{|} ", true);
    check(!begins_path(t) || !is_slash(out, 0) || !is_slash(out, 1));
    if (is_query(t))
        check_without(t->pub.text, buf_str(out), "/&=+#", true);
    if (!t->nparts || t->parts[0].var != TEMPLATE_TEXT)
        return;
    cs_str first = t->parts[0].text;
    check(str_starts(buf_str(out), first));
    check(!ends_host(t) || out->n == first.n || strchr("/?#", out->p[first.n]));
}

static void check_rendered(const struct template *t, struct values *v, struct buf *out)
{
    cs_str text = t->pub.text, plain = template_plain(t);
    render(t, CS_ESCAPE_FIELD, v, out);
    check_without(text, buf_str(out), "", true);
    check(!plain.p || str_eq(buf_str(out), plain));
    render(t, CS_ESCAPE_HTML, v, out);
    check_without(text, buf_str(out), "<>\"'", false);
    render(t, CS_ESCAPE_JSON, v, out);
    check_without(text, buf_str(out), "'", true);
    check(str_is_utf8(buf_str(out)) || !str_is_utf8(text));
    render(t, CS_ESCAPE_QUERY, v, out);
    check_without(text, buf_str(out), " /&=+?#:@\\", true);
    render(t, CS_ESCAPE_PATH, v, out);
    check_without(text, buf_str(out), " ?#:\\", true);
    render(t, CS_ESCAPE_NONE, v, out);
    check(!plain.p || str_eq(buf_str(out), plain));
    check_url(t, v, out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cs_str rest = input_of(data, size), text = input_line(&rest), where = {0};
    struct values v = {0};
    struct buf error = {0}, out = {0};
    struct arena a;
    while (rest.n && v.n < MOST)
        v.v[v.n++] = input_line(&rest);
    arena_init(&a, NULL);
    const struct template *t = template_compile(&a, text, &where, &error);
    if (t) {
        check_parts(t, text);
        check_rendered(t, &v, &out);
    } else {
        check(error.n && where.n && is_within(where, text));
    }
    buf_clear(&out);
    if (template_bare(text, &where, &out))
        check(out.n && is_within(where, text) && where.p[0] == '$');
    buf_free(&error);
    buf_free(&out);
    arena_drop(&a);
    return 0;
}
