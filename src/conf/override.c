/* override.c - "server.workers=4" and "listen:main.address=:80" from the command line. */
#include "conf/line.h"
#include "conf/text.h"

struct target {
    cs_str kind, label, key;
    bool labelled;
    struct conf_section *section; /* NULL: it is to be made */
};

static struct conf_origin origin_of(const char *text, const char *at)
{
    return (struct conf_origin){.col = (int)(at - text) + 1, .text = text, .what = "command line"};
}

static void refuse(struct report *rep, const char *text, cs_str part, const char *why)
{
    struct conf_origin at = origin_of(text, part.p);

    report_error(rep, &at, (int)part.n, "%s", why);
}

/* Cuts "kind:label.key" behind the longest label that is a section, else at the last dot: labels
 * and keys may both have dots. */
static bool split_labelled(const struct conf_text *t, cs_str left, struct target *out)
{
    const char *colon = memchr(left.p, ':', left.n), *end = left.p + left.n, *dot = NULL;

    out->labelled = true;
    out->kind = (cs_str){left.p, (size_t)(colon - left.p)};
    for (const char *p = end - 1; p > colon; p--) {
        cs_str label = {colon + 1, (size_t)(p - colon) - 1};

        if (*p != '.')
            continue;
        if (!dot)
            dot = p;
        out->section = conf_text_find(t, out->kind, label);
        if (out->section) {
            dot = p;
            break;
        }
    }
    if (!dot)
        return false;
    out->label = (cs_str){colon + 1, (size_t)(dot - colon) - 1};
    out->key = (cs_str){dot + 1, (size_t)(end - dot) - 1};
    return true;
}

static bool split(const struct conf_text *t, cs_str left, struct target *out)
{
    const char *dot;

    *out = (struct target){.section = NULL};
    if (memchr(left.p, ':', left.n))
        return split_labelled(t, left, out);
    dot = memchr(left.p, '.', left.n);
    if (!dot)
        return false;
    out->kind = (cs_str){left.p, (size_t)(dot - left.p)};
    out->label = (cs_str){dot, 0};
    out->key = (cs_str){dot + 1, left.n - out->kind.n - 1};
    out->section = conf_text_find(t, out->kind, out->label);
    return true;
}

static bool target_ok(const struct target *g)
{
    return line_is_name(g->kind, LINE_KIND_MAX) && line_is_name(g->key, LINE_KEY_MAX) &&
           (!g->labelled || line_is_name(g->label, LINE_LABEL_MAX));
}

/* What the files, or an earlier -g, say about the key no longer counts. */
static void remove_key(struct conf_section *s, cs_str key)
{
    struct conf_entry **link = &s->first;

    while (*link) {
        if (str_eq((*link)->key, key)) {
            *link = (*link)->next;
            s->nentries--;
        } else {
            link = &(*link)->next;
        }
    }
    s->last = link;
}

static void set(struct conf_text *t, const struct target *g, const char *text, cs_str value,
                struct report *rep)
{
    struct conf_origin at = origin_of(text, g->key.p), value_at;
    struct conf_origin nowhere = {.what = "command line"};
    struct conf_section *s = g->section;
    struct buf error = {0};
    struct conf_entry *e;
    struct line l;

    if (!s)
        s = text_add_section(t, g->kind, g->label, g->labelled, &nowhere);
    remove_key(s, g->key);
    e = text_add_entry(t, s, g->key, &at);
    line_read_value(value, &l, &error);
    if (l.kind == LINE_BAD) {
        value_at = origin_of(text, value.p + l.bad_col - 1);
        report_error(rep, &value_at, l.bad_width, "%s", error.p);
        e->bad = true;
    } else {
        value_at = origin_of(text, l.value.n ? l.value.p : value.p);
        text_add_piece(t, e, l.value, l.quoted, &value_at, rep);
    }
    text_close_entry(t, e);
    buf_free(&error);
}

void text_override(struct conf_text *t, const char *override, struct report *rep)
{
    const char *text = arena_strdup(&t->arena, override), *eq = strchr(text, '=');
    cs_str left = str_trim((cs_str){text, eq ? (size_t)(eq - text) : strlen(text)});
    struct target g;

    if (!eq)
        refuse(rep, text, left,
               "-g takes section.key=value or kind:label.key=value; the \"=\" is missing");
    else if (!split(t, left, &g) || !target_ok(&g))
        refuse(rep, text, left,
               "-g takes section.key=value or kind:label.key=value, such as "
               "-g server.workers=4 or -g listen:main.address=:8081");
    else if (str_is(g.key, "include"))
        refuse(rep, text, left, "\"include\" can only stand in a settings file");
    else
        set(t, &g, text, str_of(eq + 1), rep);
}
