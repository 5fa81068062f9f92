#include "serve/capture.h"

#include "conf/schema.h"

/* Of groups with the same name it is the one that took part. */
static cs_str named_group(const struct route_found *f, cs_str name)
{
    cs_str known;
    size_t group;
    for (size_t i = 0; pattern_name(f->route->pattern, i, &known, &group); i++)
        if (str_eq(known, name) && f->groups[group].p)
            return f->groups[group];
    return CS_S("");
}

cs_str capture_value(const struct route_found *f, const struct template_part *part)
{
    const struct conf_route *c = f->route ? f->route->conf : NULL;
    size_t i = part->number;
    if (f->ngroups) {
        if (part->text.n)
            return named_group(f, part->text);
        return i < f->ngroups && f->groups[i].p ? f->groups[i] : CS_S("");
    }
    if (c && c->match_kind == CONF_MATCH_PREFIX && str_is(part->text, "rest"))
        return (cs_str){f->path.p + c->match_arg.n, f->path.n - c->match_arg.n};
    return CS_S("");
}

static bool exists(const struct route *r, const struct template_part *part)
{
    cs_str known;
    size_t group;
    if (!r->pattern)
        return r->conf->match_kind == CONF_MATCH_PREFIX && str_is(part->text, "rest");
    if (!part->text.n)
        return part->number < pattern_ngroups(r->pattern);
    for (size_t i = 0; pattern_name(r->pattern, i, &known, &group); i++)
        if (str_eq(known, part->text))
            return true;
    return false;
}

/* ---- Checking ---- */

/* What it can have, for the sentence. */
static void say_captures(const struct route *r, struct buf *out)
{
    cs_str name;
    size_t group;
    if (!r->pattern) {
        buf_add_z(out, r->conf->match_kind == CONF_MATCH_PREFIX
                           ? "a start of paths has ${capture.rest} only, what is behind it"
                           : "an exact match catches nothing");
        return;
    }
    buf_add_z(out, "its regex has");
    for (size_t i = 0; i < pattern_ngroups(r->pattern) && i < 10; i++)
        buf_printf(out, "%s %zu", i ? "," : "", i);
    for (size_t i = 0; pattern_name(r->pattern, i, &name, &group); i++)
        buf_printf(out, ", %.*s", CS_F(name));
}

/* One template: element `index` of its key. */
static void check_one(const struct conf *conf, const struct route *r, const struct conf_value *v,
                      const cs_template *pub, size_t index, struct report *rep)
{
    const struct template *t = template_of(pub);
    for (size_t i = 0; i < t->nparts; i++) {
        const struct template_part *part = &t->parts[i];
        if (part->var != TEMPLATE_CAPTURE || exists(r, part))
            continue;
        struct buf has = {0}, name = {0};
        struct conf_origin at = conf_place_of(conf, &r->conf->head, v, index, pub->text);
        say_captures(r, &has);
        if (part->text.n)
            buf_add_str(&name, part->text);
        else
            buf_printf(&name, "%u", part->number);
        report_error(rep, &at, (int)pub->text.n, "%s: [route:%s] has no ${capture.%s}: %s",
                     v->directive->name, r->label.p, name.p, has.p);
        buf_free(&has);
        buf_free(&name);
        return;
    }
}

static void check_value(const struct conf *conf, const struct route *r, const struct conf_value *v,
                        struct report *rep)
{
    const struct conf_route *c = r->conf;
    size_t module = v->module ? (size_t)(v->module - conf->modules) : 0;
    const char *base = v->module ? c->module_conf[module] : (const void *)c;
    const cs_template *one;
    cs_templates list, outer = {0};
    if (v->directive->type == CS_T_TEMPLATE) {
        memcpy(&one, base + v->directive->off, sizeof one);
        check_one(conf, r, v, one, 0, rep);
        return;
    }
    memcpy(&list, base + v->directive->off, sizeof list);
    if (v->module && v->directive->flags & CS_ADDS)
        memcpy(&outer, (const char *)c->site->module_conf[module] + v->directive->off,
               sizeof outer);
    for (size_t i = outer.n; i < list.n; i++)
        check_one(conf, r, v, list.v[i], i - outer.n, rep);
}

void capture_check(const struct conf *conf, const struct route *r, struct report *rep)
{
    if (r->conf->match_kind == CONF_MATCH_REGEX && !r->pattern)
        return;
    for (size_t i = 0; i < r->conf->head.nvalues; i++)
        if (schema_is_template(r->conf->head.values[i].directive) && r->conf->head.values[i].text.p)
            check_value(conf, r, &r->conf->head.values[i], rep);
}
