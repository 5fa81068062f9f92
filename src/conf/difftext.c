/* difftext.c - differences in words and as JSON. */
#include "conf/diff.h"

#define SHOWN 80 /* bytes of a value in a sentence */
#define NAMED 4  /* changes of each need that a sum names */

const char *conf_need_name(enum conf_need need)
{
    static const char *const names[] = {"run-time", "new workers", "restart"};

    return names[need];
}

/* In one line, and not in the middle of a character. */
static void say_value(cs_str text, struct buf *out)
{
    size_t n = text.n > SHOWN ? SHOWN : text.n;

    while (n < text.n && n > 0 && ((unsigned char)text.p[n] & 0xc0) == 0x80)
        n--;
    for (size_t i = 0; i < n; i++)
        buf_add_char(out, (unsigned char)text.p[i] < 0x20 || text.p[i] == 0x7f ? '?' : text.p[i]);
    buf_add_z(out, n < text.n ? "..." : "");
}

static void say_text(cs_str text, struct buf *out)
{

    if (!text.p)
        buf_add_z(out, "(not set)");
    else if (!text.n)
        buf_add_z(out, "(empty)");
    else
        say_value(text, out);
}

static void say_place(const struct conf_change *c, struct buf *out)
{
    if (!c->at.file && !c->at.what && !c->at.text)
        return;
    buf_add_z(out, " (");
    report_origin(&c->at, out);
    buf_add_char(out, ')');
}

static void say_name(const struct conf_change *c, struct buf *out)
{
    buf_printf(out, "[%.*s%s]", CS_F(c->section), c->what == CONF_CHANGE_ORDER ? ":..." : "");
    if (c->key.n)
        buf_printf(out, " %.*s", CS_F(c->key));
}

void conf_diff_say(const struct conf_change *c, struct buf *out)
{
    say_name(c, out);
    switch (c->what) {
    case CONF_CHANGE_VALUE:
        buf_add_z(out, ": ");
        say_text(c->before, out);
        buf_add_z(out, " -> ");
        say_text(c->after, out);
        break;
    case CONF_CHANGE_ADDED:
        buf_add_z(out, " is new");
        break;
    case CONF_CHANGE_REMOVED:
        buf_add_z(out, " is gone");
        break;
    case CONF_CHANGE_ORDER:
        buf_add_z(out, " stand in another order");
        break;
    case CONF_CHANGE_BEHIND:
        buf_printf(out, ": %.*s", CS_F(c->after));
        break;
    }
    say_place(c, out);
}

/* ---- The sum ---- */

/* Values of a new section are part of it. */
static bool is_named(const struct conf_change *c, const struct conf_change *added)
{
    return !(c->what == CONF_CHANGE_VALUE && added && str_eq(c->section, added->section));
}

static void name_some(const struct conf_diff *d, enum conf_need need, struct buf *out)
{
    const struct conf_change *added = NULL;
    unsigned n = 0;

    for (const struct conf_change *c = d->first; c; c = c->next) {
        added = c->what == CONF_CHANGE_ADDED ? c : added;
        if (c->need != need || !is_named(c, added) || ++n > NAMED)
            continue;
        buf_add_z(out, n > 1 ? ", " : "");
        say_name(c, out);
    }
    if (n > NAMED)
        buf_printf(out, " and %u more", n - NAMED);
}

void conf_diff_sum(const struct conf_diff *d, struct buf *out)
{
    static const char *const words[] = {"at run time", "with new workers", "after a restart"};
    unsigned kinds = 0;

    if (!d->n) {
        buf_add_z(out, "no difference");
        return;
    }
    buf_printf(out, "%u change%s", d->n, d->n == 1 ? "" : "s");
    for (enum conf_need i = 0; i < CONF_NEEDS; i++) {
        if (!d->needs[i])
            continue;
        buf_add_z(out, kinds++ ? "; " : ": ");
        if (d->needs[i] < d->n)
            buf_printf(out, "%u ", d->needs[i]);
        buf_printf(out, "%s (", words[i]);
        name_some(d, i, out);
        buf_add_char(out, ')');
    }
}

/* ---- JSON ---- */

static void put_text(struct json *j, const char *key, cs_str text)
{
    if (text.p)
        json_str(j, key, text);
    else
        json_z(j, key, NULL);
}

static void put_change(struct json *j, const struct conf_change *c)
{
    static const char *const whats[] = {"value", "added", "removed", "order", "behind"};
    struct buf text = {0}, at = {0};

    conf_diff_say(c, &text);
    report_origin(&c->at, &at);
    json_object(j, NULL);
    json_z(j, "need", conf_need_name(c->need));
    json_z(j, "what", whats[c->what]);
    json_str(j, "section", c->section);
    if (c->key.n)
        json_str(j, "key", c->key);
    if (c->what == CONF_CHANGE_VALUE) {
        put_text(j, "before", c->before);
        put_text(j, "after", c->after);
    }
    if (at.n)
        json_str(j, "at", buf_str(&at));
    json_str(j, "text", buf_str(&text));
    json_end_object(j);
    buf_free(&text);
    buf_free(&at);
}

void conf_diff_json(const struct conf_diff *d, struct json *j)
{
    json_array(j, "changes");
    for (const struct conf_change *c = d->first; c; c = c->next)
        put_change(j, c);
    json_end_array(j);
}
