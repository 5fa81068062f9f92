/* format.c - a value as text, and in words what there can be. */
#include "base/blocks.h"
#include "base/check.h"
#include "conf/member.h"

static void format_number(int64_t v, const struct member_unit *units, struct buf *out)
{
    const struct member_unit *u = units;

    while (u[1].name && v % u->factor != 0)
        u++;
    if (v == 0)
        buf_add_char(out, '0');
    else
        buf_printf(out, "%lld%s", (long long)(v / u->factor), u->name);
}

static void format_int(const cs_directive *d, int64_t v, struct buf *out)
{
    if (d->flags & CONF_OUTER && v < 0)
        return;
    if (d->type == CS_T_INT && d->aux && v == 0)
        buf_add_z(out, d->aux);
    else if (d->flags & CONF_OCTAL)
        buf_printf(out, "0%llo", (unsigned long long)v);
    else
        format_number(v, member_units(d), out);
}

/* An element that would not come back as it is goes in quotes. */
static void format_element(cs_str e, struct buf *out)
{
    cs_str trimmed = str_trim(e);

    if (!e.n || trimmed.n != e.n || e.p[0] == '"' || memchr(e.p, ',', e.n)) {
        buf_add_char(out, '"');
        for (size_t i = 0; i < e.n; i++) {
            if (e.p[i] == '"' || e.p[i] == '\\')
                buf_add_char(out, '\\');
            buf_add_char(out, e.p[i]);
        }
        buf_add_char(out, '"');
    } else {
        buf_add_str(out, e);
    }
}

static void format_one_more(size_t i, cs_str e, struct buf *out)
{
    if (i)
        buf_add_z(out, ", ");
    format_element(e, out);
}

static void format_list(const cs_list *l, struct buf *out)
{
    for (size_t i = 0; i < l->n; i++)
        format_one_more(i, l->v[i], out);
}

static void format_templates(const cs_templates *l, struct buf *out)
{
    for (size_t i = 0; i < l->n; i++)
        format_one_more(i, l->v[i]->text, out);
}

void schema_format(const cs_directive *d, const void *base, struct buf *out)
{
    const char *const *words = d->aux;
    cs_str s;

    switch (d->type) {
    case CS_T_BOOL:
        buf_add_z(out, *((const char *)base + d->off) ? "on" : "off");
        break;
    case CS_T_INT:
    case CS_T_SIZE:
    case CS_T_MSEC:
        format_int(d, member_number(d, base), out);
        break;
    case CS_T_ENUM:
        if (!(d->flags & CONF_OUTER) || member_number(d, base) >= 0)
            buf_add_z(out, words[member_number(d, base)]);
        break;
    case CS_T_STR:
        s = member_str(d, base);
        if (!s.n && d->aux)
            buf_add_z(out, d->aux);
        else
            buf_add_str(out, s);
        break;
    case CS_T_PATH:
        buf_add_str(out, member_str(d, base));
        break;
    case CS_T_LIST:
        format_list(member_at(d, base), out);
        break;
    case CS_T_TEMPLATE:
        buf_add_str(out, ((const cs_template *)member_pointer(d, base))->text);
        break;
    case CS_T_TEMPLATES:
        format_templates(member_at(d, base), out);
        break;
    case CS_T_BLOCKS:
        format_list(&((const cs_blocks *)member_pointer(d, base))->words, out);
        break;
    default:
        check(false);
    }
}

static void accepts_words(const char *const *words, const char *last, struct buf *out)
{
    for (size_t i = 0; words[i]; i++) {
        if (i)
            buf_add_z(out, words[i + 1] ? ", " : last);
        buf_add_z(out, words[i]);
    }
}

static void accepts_range(const cs_directive *d, struct buf *out)
{
    if (!member_has_range(d))
        return;
    buf_add_z(out, " from ");
    if (d->flags & CONF_OCTAL)
        buf_printf(out, "0 to 0%llo", (unsigned long long)d->max);
    else {
        format_number(d->min, member_units(d), out);
        if (d->max == INT64_MAX) {
            buf_add_z(out, " up");
        } else {
            buf_add_z(out, " to ");
            format_number(d->max, member_units(d), out);
        }
    }
}

static void accepts_length(const cs_directive *d, const char *what, const char *unit,
                           struct buf *out)
{
    buf_add_z(out, what);
    if (d->max > 0 && d->min > 0)
        buf_printf(out, " of %lld to %lld %s", (long long)d->min, (long long)d->max, unit);
    else if (d->max > 0)
        buf_printf(out, " of at most %lld %s", (long long)d->max, unit);
    else if (d->min > 0)
        buf_printf(out, " of at least %lld %s", (long long)d->min, unit);
}

void schema_accepts(const cs_directive *d, struct buf *out)
{
    switch (d->type) {
    case CS_T_BOOL:
        buf_add_z(out, "on or off");
        break;
    case CS_T_INT:
        buf_add_z(out, d->flags & CONF_OCTAL ? "an octal number" : "a whole number");
        accepts_range(d, out);
        break;
    case CS_T_SIZE:
        buf_add_z(out, "a size");
        accepts_range(d, out);
        buf_add_z(out, " (units k, m, g, t)");
        break;
    case CS_T_MSEC:
        buf_add_z(out, "a time");
        accepts_range(d, out);
        buf_add_z(out, " (units ms, s, m, h, d)");
        break;
    case CS_T_ENUM:
        accepts_words(d->aux, " or ", out);
        break;
    case CS_T_STR:
        accepts_length(d, "text", "bytes", out);
        break;
    case CS_T_PATH:
        if (d->aux)
            accepts_words(d->aux, ", ", out);
        buf_add_z(out, d->aux ? " or a path" : "a path");
        break;
    case CS_T_LIST:
        accepts_length(d, "a list", "elements", out);
        break;
    case CS_T_TEMPLATE:
        accepts_length(d, "text with variables such as ${host}", "bytes", out);
        break;
    case CS_T_TEMPLATES:
        accepts_length(d, "a list with variables such as ${host}", "elements", out);
        break;
    case CS_T_BLOCKS:
        accepts_length(d, "a list of addresses, blocks such as 10.0.0.0/8, all and unix",
                       "elements", out);
        break;
    default:
        check(false);
    }
    if ((d->type == CS_T_INT || d->type == CS_T_STR) && d->aux)
        buf_printf(out, ", or %s", (const char *)d->aux);
    if (d->flags & CONF_OUTER)
        buf_add_z(out, ", or nothing");
}
