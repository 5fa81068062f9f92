/* bind.c - from the text to the tree: each kind of section by its table, then what they say about
 * each other. */
#include "conf/bind.h"

#include "base/blocks.h"
#include "base/mem.h"
#include "conf/cpu.h"

#include <stdlib.h>

static size_t count(const struct conf_text *t, const char *kind)
{
    size_t n = 0;

    for (const struct conf_section *s = t->first; s; s = s->next)
        n += !s->again && s->labelled && str_is(s->kind, kind);
    return n;
}

/* The next section of that kind behind `s` (NULL: the first). */
static const struct conf_section *next(const struct bind *b, const struct conf_section *s,
                                       const char *kind)
{
    for (s = s ? s->next : b->t->first; s; s = s->next)
        if (!s->again && s->labelled && str_is(s->kind, kind))
            break;
    return s;
}

/* Keys of a section that has no module keys. */
static void core_keys_only(struct bind *b, const struct conf_section *s)
{
    const struct conf_kind *kind = schema_kind(s->kind);

    for (const struct conf_entry *e = s->first; e; e = e->next)
        if (!schema_find(kind->table, e->key))
            keys_unknown(b, s, e, NULL);
}

static void bind_single(struct bind *b, const char *name, void *base, struct conf_head *head)
{
    const struct conf_section *s = conf_text_find(b->t, str_of(name), CS_S(""));

    value_section(b, schema_kind(str_of(name)), s, base, head);
    if (s)
        core_keys_only(b, s);
}

/* ---- The server ---- */

static void bind_server(struct bind *b)
{
    struct conf_server *server = &b->c->server;
    struct conf_cpu cpu;
    struct buf error = {0};
    size_t bad;

    bind_single(b, "server", server, &server->head);
    if (conf_cpu_parse(&server->cpu, &cpu, &bad, &error) < 0) {
        cs_str element = server->cpu.v[bad];
        struct conf_origin at =
            value_place(b, conf_text_find(b->t, CS_S("server"), CS_S("")), "cpu", bad, element);

        report_error(b->rep, &at, element.n ? (int)element.n : 1, "%s", error.p);
    }
    conf_cpu_free(&cpu);
    buf_free(&error);
}

/* ---- Reload ---- */

static void bind_trial(struct bind *b, const struct conf_section *s, size_t i)
{
    struct conf_reload *r = &b->c->reload;
    struct conf_trial *trial = &r->trials[r->ntrials];
    cs_str text = r->probe.v[i];
    struct conf_origin at = value_place(b, s, "probe", i, text);
    struct buf error = {0};

    if (conf_trial_parse(text, trial, &error) == 0) {
        trial->at = at;
        r->ntrials++;
    } else {
        report_error(b->rep, &at, text.n ? (int)text.n : 1, "%s", error.p);
    }
    buf_free(&error);
}

static void bind_reload(struct bind *b)
{
    const struct conf_section *s = conf_text_find(b->t, CS_S("reload"), CS_S(""));
    struct conf_reload *r = &b->c->reload;

    bind_single(b, "reload", r, &r->head);
    r->trials = arena_zalloc(&b->c->arena, (r->probe.n + 1) * sizeof *r->trials);
    for (size_t i = 0; i < r->probe.n; i++)
        bind_trial(b, s, i);
}

/* ---- Modules ---- */

static void bind_module(struct bind *b, size_t i, const struct conf_module_ref *ref)
{
    const struct conf_section *s = conf_text_find(b->t, CS_S("module"), ref->name);
    struct conf_module *m = &b->c->modules[i];

    value_section(b, schema_kind(CS_S("module")), s, m, &m->head);
    m->head.label = arena_dup(&b->c->arena, ref->name);
    m->desc = b->desc[i];
    m->implicit = s == NULL;
    if (s && !participants_is_name(ref->name))
        report_error(
            b->rep, &s->at, (int)ref->name.n + 9,
            "a module's name starts with a-z and has at most 31 characters of a-z, 0-9 and \"_\"");
}

static void bind_modules(struct bind *b, const struct conf_module_ref *refs, size_t n)
{
    b->c->nmodules = n;
    b->c->modules = arena_zalloc(&b->c->arena, (n + 1) * sizeof *b->c->modules);
    for (size_t i = 0; i < n; i++)
        bind_module(b, i, &refs[i]);
    for (size_t i = 0; i < n; i++)
        if (b->desc[i])
            inherit_module(b, i, conf_text_find(b->t, CS_S("module"), refs[i].name));
}

/* ---- Listeners ---- */

static void implicit_listen(struct bind *b)
{
    const struct conf_kind *kind = schema_kind(CS_S("listen"));
    struct conf_listen *l = &b->c->listens[0];
    const cs_directive *d = schema_find(kind->table, CS_S("address"));
    struct buf error = {0};

    b->c->nlistens = 1;
    value_section(b, kind, NULL, l, &l->head);
    l->head.label = CS_S("main");
    schema_parse(d, CS_S(":8080"), b->t->prefix, l, &b->c->arena, &error);
    l->head.values[d - kind->table].text = CS_S(":8080");
    buf_free(&error);
}

/* Only for TCP does the kernel spread connections over several sockets. Where [accept] says reuseport, a unix socket takes
 * turns: there nobody has asked for it. */
static void check_policy(struct bind *b, const struct conf_section *s, const struct conf_listen *l)
{
    for (size_t i = 0; i < l->address.n && l->policy == CONF_POLICY_REUSEPORT; i++) {
        cs_str address = l->address.v[i];

        if (!str_starts(address, CS_S("unix:")))
            continue;
        struct conf_origin at = value_place(b, s, "policy", 0, CS_S("reuseport"));

        report_error(b->rep, &at, 9,
                     "policy: reuseport is for TCP, and %.*s is a unix socket; write turn or "
                     "exclusive, or give it a [listen:...] section of its own",
                     CS_F(address));
        return;
    }
}

/* Keys that do nothing without another one, and one that lets everybody be whom he likes. */
static void check_proxies(struct bind *b, const struct conf_listen *l)
{
    bool blind = l->client_from == CONF_CLIENT_OFF && !l->proxy_protocol;
    bool any = l->trusted->words.n > 0;

    if (any && blind)
        report_warning(b->rep, conf_origin_of(&l->head, "trusted"), 7,
                       "trusted: it means nothing here, since client_from is off and there is no "
                       "proxy_protocol");
    if (!any && (l->client_from == CONF_CLIENT_XFF || l->client_from == CONF_CLIENT_FORWARDED))
        report_warning(
            b->rep, conf_origin_of(&l->head, "client_from"), 11,
            "client_from: it means nothing here, since nobody is `trusted`; add trusted = "
            "with the addresses of your proxies");
}

static void bind_listens(struct bind *b)
{
    size_t n = count(b->t, "listen"), i = 0;

    b->c->listens = arena_zalloc(&b->c->arena, (n + 1) * sizeof *b->c->listens);
    b->c->nlistens = n;
    for (const struct conf_section *s = next(b, NULL, "listen"); s; s = next(b, s, "listen")) {
        struct conf_listen *l = &b->c->listens[i++];

        value_section(b, schema_kind(s->kind), s, l, &l->head);
        core_keys_only(b, s);
        check_policy(b, s, l);
        check_proxies(b, l);
    }
    if (!n)
        implicit_listen(b);
}

/* ---- Sites ---- */

/* "no [listen:mian]; did you mean ...", with the caret under element i of the key. */
static void no_such(struct bind *b, const struct conf_section *s, const char *key, size_t i,
                    cs_str label, const char *kind, const cs_str *known, size_t nknown)
{
    struct conf_origin at = value_place(b, s, key, i, label);
    struct buf tail = {0};

    keys_did_you_mean(label, known, nknown, &tail);
    report_error(b->rep, &at, label.n ? (int)label.n : 1, "%s: there is no [%s:%.*s]%s", key, kind,
                 CS_F(label), tail.n ? tail.p : "");
    buf_free(&tail);
}

static void check_site_listens(struct bind *b, const struct conf_site *site,
                               const struct conf_section *s)
{
    size_t n = b->c->nlistens;
    cs_str *labels = mem_alloc(n * sizeof *labels);

    for (size_t i = 0; i < n; i++)
        labels[i] = b->c->listens[i].head.label;
    for (size_t i = 0; i < site->listen.n; i++) {
        bool found = false;

        for (size_t k = 0; k < n; k++)
            found = found || str_eq(labels[k], site->listen.v[i]);
        if (!found)
            no_such(b, s, "listen", i, site->listen.v[i], "listen", labels, n);
    }
    free(labels);
}

static void lower_hosts(struct bind *b, struct conf_site *site, const struct conf_section *s)
{
    cs_str *names = arena_alloc(&b->c->arena, (site->host.n + 1) * sizeof *names);
    struct buf error = {0};

    for (size_t i = 0; i < site->host.n; i++) {
        names[i] = site->host.v[i];
        if (host_check(site->host.v[i], &b->c->arena, &names[i], &error) < 0) {
            struct conf_origin at = value_place(b, s, "host", i, site->host.v[i]);

            report_error(b->rep, &at, site->host.v[i].n ? (int)site->host.v[i].n : 1, "%s",
                         error.p);
        }
        buf_clear(&error);
    }
    site->host.v = names;
    buf_free(&error);
}

/* host is shown as it is compared. */
static void refresh(struct bind *b, struct conf_head *head, const char *key, const void *base)
{
    struct buf text = {0};

    for (size_t i = 0; i < head->nvalues; i++)
        if (!head->values[i].module && strcmp(head->values[i].directive->name, key) == 0) {
            schema_format(head->values[i].directive, base, &text);
            head->values[i].text = arena_dup(&b->c->arena, buf_str(&text));
        }
    buf_free(&text);
}

static void bind_site(struct bind *b, struct conf_site *site, const struct conf_section *s)
{
    value_section(b, schema_kind(CS_S("site")), s, site, &site->head);
    if (!s)
        site->head.label = CS_S("default");
    check_site_listens(b, site, s);
    lower_hosts(b, site, s);
    refresh(b, &site->head, "host", site);
    pages_bind(b, s, &site->error_pages, &site->pages);
    participants_site(b, site, s);
    inherit_site(b, site, s);
}

static bool reaches(const struct conf_site *site, cs_str listener)
{
    for (size_t i = 0; i < site->listen.n; i++)
        if (str_eq(site->listen.v[i], listener))
            return true;
    return site->listen.n == 0;
}

/* A request has to come to some site, and all of them say that they are not there. A name that is wrong has been told
 * of already. */
static void check_reached(struct bind *b, const struct conf_listen *l)
{
    for (size_t i = 0; i < b->c->nsites; i++)
        if (reaches(&b->c->sites[i], l->head.label))
            return;
    report_error(
        b->rep, &l->head.at, (int)l->head.label.n + 9,
        "[listen:%s] leads to no site, since each of them names others in \"listen\"; name "
        "it in one, or remove it",
        l->head.label.p);
}

static void bind_sites(struct bind *b)
{
    size_t n = count(b->t, "site"), i = 0;

    b->c->nsites = n ? n : 1;
    b->c->sites = arena_zalloc(&b->c->arena, b->c->nsites * sizeof *b->c->sites);
    for (const struct conf_section *s = next(b, NULL, "site"); s; s = next(b, s, "site"))
        bind_site(b, &b->c->sites[i++], s);
    if (!n)
        bind_site(b, &b->c->sites[0], NULL);
}

/* ---- Routes ---- */

static void which_site(struct bind *b, struct conf_route *r, const struct conf_section *s)
{
    size_t n = b->c->nsites;
    cs_str *labels;

    r->site = &b->c->sites[0];
    if (!r->site_label.n) {
        if (n > 1)
            report_error(b->rep, &s->at, (int)s->label.n + 8,
                         "[route:%s] needs \"site\", since there are %zu sites", s->label.p, n);
        return;
    }
    for (size_t i = 0; i < n; i++)
        if (str_eq(b->c->sites[i].head.label, r->site_label)) {
            r->site = &b->c->sites[i];
            return;
        }
    labels = mem_alloc(n * sizeof *labels);
    for (size_t i = 0; i < n; i++)
        labels[i] = b->c->sites[i].head.label;
    no_such(b, s, "site", 0, r->site_label, "site", labels, n);
    free(labels);
}

static void bind_route(struct bind *b, struct conf_route *r, const struct conf_section *s)
{
    value_section(b, schema_kind(s->kind), s, r, &r->head);
    which_site(b, r, s);
    if (!r->site_label.n) {
        r->site_label = r->site->head.label;
        refresh(b, &r->head, "site", r);
    }
    r->match_at = *conf_origin_of(&r->head, "match");
    r->handler_at = *conf_origin_of(&r->head, "handler");
    r->root_at = *conf_origin_of(&r->head, "root");
    r->rewrite_at = *conf_origin_of(&r->head, "rewrite");
    match_bind(b, r, s);
    condition_bind(b, r, s);
    rewrite_bind(b, r, s);
    pages_bind(b, s, &r->error_pages, &r->pages);
    participants_route(b, r, s);
    inherit_route(b, r, s);
}

static void bind_routes(struct bind *b)
{
    size_t n = count(b->t, "route"), i = 0;

    b->c->nroutes = n;
    b->c->routes = arena_zalloc(&b->c->arena, (n + 1) * sizeof *b->c->routes);
    for (const struct conf_section *s = next(b, NULL, "route"); s; s = next(b, s, "route"))
        bind_route(b, &b->c->routes[i++], s);
}

/* ---- All ---- */

/* A section that is opened a second time counts for nothing, but its values are looked at. */
static void check_again(struct bind *b, const struct conf_section *s)
{
    const struct conf_kind *kind = schema_kind(s->kind);
    struct conf_head head;
    void *scratch = arena_zalloc(&b->c->arena, kind->size);

    value_section(b, kind, s, scratch, &head);
}

static bool kind_ok(const struct conf_section *s)
{
    const struct conf_kind *kind = schema_kind(s->kind);

    return kind && kind->labelled == s->labelled;
}

static void check_kinds(struct bind *b)
{
    for (const struct conf_section *s = b->t->first; s; s = s->next)
        if (!kind_ok(s))
            keys_unknown_kind(b, s);
        else if (s->again)
            check_again(b, s);
}

struct conf *conf_bind(struct conf_text *t, const struct conf_module_ref *refs,
                       const cs_module *const *desc, size_t nrefs, struct report *rep)
{
    struct conf *c = mem_alloc(sizeof *c);
    struct bind b = {.c = c, .t = t, .rep = rep, .desc = desc};

    arena_init(&c->arena, NULL);
    arena_init(&c->tuned, NULL);
    c->text = t;
    check_kinds(&b);
    bind_modules(&b, refs, nrefs);
    bind_server(&b);
    bind_single(&b, "accept", &c->accept, &c->accept.head);
    bind_single(&b, "limits", &c->limits, &c->limits.head);
    bind_reload(&b);
    bind_listens(&b);
    conflict_listens(&b);
    bind_sites(&b);
    conflict_hosts(&b);
    for (size_t i = 0; i < c->nlistens && !rep->errors; i++)
        check_reached(&b, &c->listens[i]);
    bind_routes(&b);
    conflict_routes(&b);
    required_unread(&b);
    required_check(&b);
    own_bind_logs(&b);
    report_sort(rep);
    return c;
}
