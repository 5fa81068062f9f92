/* Sites and routes, from settings text to the route that answers. */
#include "serve/route.h"

#include "base/check.h"
#include "conf/reader.h"
#include "serve/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static int never(cs_req *r)
{
    (void)r;
    return CS_DECLINED;
}

static const cs_api *unused;
static const cs_module hello = {.magic = CS_MAGIC,
                                .size = sizeof(cs_module),
                                .api = &unused,
                                .name = "hello",
                                .version = "1",
                                .handler = never};

static int never_body(cs_req *r, cs_str data, int last)
{
    (void)r;
    (void)data;
    return last;
}

static void never_log(cs_req *r)
{
    (void)r;
}

static const cs_module auth = {
    .api = &unused, .name = "auth", .access = never, .on_log = never_log};
static const cs_module zip = {
    .api = &unused, .name = "zip", .header_filter = never, .body_filter = never_body};
static const cs_module both = {.api = &unused, .name = "both", .handler = never, .access = never};
static const cs_module *const others[] = {&auth, &zip, &both};

static const char settings[] =
    "[listen:main]\naddress = 127.0.0.1:8080\n"
    "[listen:other]\naddress = 127.0.0.1:8081\n"
    "[module:hello]\n"
    "[site:plain]\nhost = *\n"
    "[site:example]\nlisten = main\nhost = example.com, www.example.com\n"
    "[site:wild]\nhost = *.example.com\n"
    "[site:deep]\nhost = *.a.example.com\n"
    "[site:v6]\nhost = [::1]\n"
    "[route:exact]\nsite = example\nmatch = = /users/7\nhandler = hello\n"
    "[route:user]\nsite = example\nmatch = ~ ^/users/(?<id>\\d+)$\nhandler = hello\n"
    "[route:second]\nsite = example\nmatch = ~ ^/users/\nhandler = hello\n"
    "[route:prefix]\nsite = example\nmatch = /users/list/all/\nhandler = hello\n"
    "[route:files]\nsite = example\nmatch = /files/\nhandler = hello\n"
    "[route:deeper]\nsite = example\nmatch = /files/big/\nhandler = hello\n"
    "[route:plainroute]\nsite = plain\nmatch = /\nhandler = hello\n"
    "[route:hungry]\nsite = wild\nmatch = ~ ^/(a+)+$\nhandler = hello\n";

struct row {
    const char *label, *listen, *host, *path, *site, *route;
};

static const struct row rows[] = {
    {"exact before regex", "main", "example.com", "/users/7", "example", "exact"},
    {"regex", "main", "example.com", "/users/8", "example", "user"},
    {"regexes in file order", "main", "example.com", "/users/x", "example", "second"},
    {"regex before prefix", "main", "example.com", "/users/list/all/", "example", "second"},
    {"prefix", "main", "example.com", "/files/a", "example", "files"},
    {"longest prefix", "main", "example.com", "/files/big/a", "example", "deeper"},
    {"prefix needs its border", "main", "example.com", "/filesystem", "example", ""},
    {"prefix with slash is not the bare name", "main", "example.com", "/files", "example", ""},
    {"no route", "main", "example.com", "/nothing", "example", ""},
    {"second name", "main", "www.example.com", "/files/a", "example", "files"},
    {"wildcard", "main", "x.example.com", "/", "wild", ""},
    {"longer wildcard", "main", "x.a.example.com", "/", "deep", ""},
    {"wildcard over two labels", "main", "x.y.example.com", "/", "wild", ""},
    {"wildcard is not the bare name", "other", "example.com", "/", "plain", "plainroute"},
    {"name of another listener", "other", "www.example.com", "/", "wild", ""},
    {"unknown name", "main", "nobody.test", "/a/b", "plain", "plainroute"},
    {"no name", "main", "", "/", "plain", "plainroute"},
    {"address", "main", "127.0.0.1", "/", "plain", "plainroute"},
    {"IPv6 literal", "main", "[::1]", "/", "v6", ""},
};

struct world {
    struct arena arena; /* what is found */
    struct report report;
    struct conf_text *text;
    struct conf *conf;
    struct serve_plan *plan;
};

static const cs_module *desc_of(cs_str name)
{
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        if (str_is(name, others[i]->name))
            return others[i];
    return &hello;
}

static void make(struct world *w, const char *text)
{
    arena_init(&w->arena, NULL);
    report_init(&w->report);
    struct conf_read_opts opts = {.prefix = "/tmp"};
    w->text = conf_read_bytes("test.ini", str_of(text), &opts, &w->report);
    struct conf_module_ref *refs;
    cs_str folder;
    size_t n = conf_module_refs(w->text, &refs, &folder);
    const cs_module *desc[8] = {NULL};
    assert_true(n < 8);
    for (size_t i = 0; i < n; i++)
        desc[i] = desc_of(refs[i].name);
    w->conf = conf_bind(w->text, refs, desc, n, &w->report);
    w->plan = w->report.errors ? NULL : serve_plan_new(w->conf, &w->report);
}

static void drop(struct world *w)
{
    serve_plan_free(w->plan);
    conf_free(w->conf);
    conf_text_free(w->text);
    report_free(&w->report);
    arena_drop(&w->arena);
}

static enum lookup_result search(struct world *w, const struct router_site *s, const char *path,
                                 struct route_found *found)
{
    static const struct http_head none;
    const struct route_ask ask = {
        .path = str_of(path), .method_text = CS_S("GET"), .head = &none, .arena = &w->arena};
    return router_find(s, &ask, found);
}

static struct route_found find(struct world *w, const struct router_site *s, const char *path)
{
    struct route_found found;
    assert_int_equal(search(w, s, path, &found), LOOKUP_FOUND);
    return found;
}

static const struct conf_listen *listener(const struct world *w, const char *label)
{
    for (size_t i = 0; i < w->conf->nlistens; i++)
        if (str_is(w->conf->listens[i].head.label, label))
            return &w->conf->listens[i];
    return NULL;
}

static void explain(struct world *w)
{
    struct buf b = {0};
    report_print(&w->report, &b);
    print_error("%s", b.p ? b.p : "");
    buf_free(&b);
}

static void test_table(void **state)
{
    (void)state;
    struct world w;
    make(&w, settings);
    if (!w.plan)
        explain(&w);
    assert_non_null(w.plan);
    assert_true(router_needs_host(w.plan->router));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct row *row = &rows[i];
        const struct router_site *s =
            router_site(w.plan->router, listener(&w, row->listen), str_of(row->host), NULL);
        struct route_found found = find(&w, s, row->path);
        const struct route *r = found.route;
        if (!str_is(r->site->head.label, row->site) || !str_is(r->label, row->route))
            fail_msg("%s: [site:%s] [route:%s]", row->label, r->site->head.label.p, r->label.p);
    }
    drop(&w);
    printf("rows: %zu\n", ARRAY_LEN(rows));
}

/* By their labels, as another generation knew them. */
static void test_labels(void **state)
{
    (void)state;
    static const struct {
        const char *label, *site, *route, *module;
        bool found, named;
    } label_rows[] = {
        {"a route", "example", "files", "hello", true, true},
        {"another module", "example", "files", "auth", true, false},
        {"of another site", "plain", "files", "hello", false, false},
        {"none of that name", "example", "nothing", "hello", false, false},
        {"the site's root", "deep", "", "hello", true, false},
        {"no such site", "none", "", "hello", false, false},
        {"no such site, a route", "none", "files", "hello", false, false},
    };
    struct world w;
    make(&w, settings);
    for (size_t i = 0; i < ARRAY_LEN(label_rows); i++) {
        const struct route *r =
            router_route(w.plan->router, str_of(label_rows[i].site), str_of(label_rows[i].route));
        const struct route_link *l = r ? route_names(r, str_of(label_rows[i].module)) : NULL;
        if (!r != !label_rows[i].found || !l != !label_rows[i].named)
            fail_msg("%s: %s, %s", label_rows[i].label, r ? "found" : "not found",
                     l ? "named" : "not named");
        if (r && (!str_is(r->label, label_rows[i].route) ||
                  !str_is(r->site->head.label, label_rows[i].site)))
            fail_msg("%s: it is another one", label_rows[i].label);
    }
    drop(&w);
    printf("rows: %zu\n", ARRAY_LEN(label_rows));
}

/* Who takes part in the requests of /x. */
static const struct part_row {
    const char *label, *site, *route, *chain;
    size_t first_handler;
    unsigned hooks;
} part_rows[] = {
    {"a handler", "", "handler = hello\n", "hello", 0, 0},
    {"one in use on the site", "use = auth\n", "handler = hello\n", "auth hello", 1,
     ROUTE_ACCESS | ROUTE_LOG},
    {"the site's before the route's", "use = zip\n", "use = auth\nhandler = hello\n",
     "zip auth hello", 2, ROUTE_ACCESS | ROUTE_LOG | ROUTE_HEADER_FILTER | ROUTE_BODY_FILTER},
    {"order as written", "", "use = zip, auth\nhandler = hello\n", "zip auth hello", 2,
     ROUTE_ACCESS | ROUTE_LOG | ROUTE_HEADER_FILTER | ROUTE_BODY_FILTER},
    {"taken away", "use = auth, zip\n", "use = -auth\nhandler = hello\n", "zip hello", 1,
     ROUTE_HEADER_FILTER | ROUTE_BODY_FILTER},
    {"moved behind another", "use = auth\n", "use = zip, -auth, auth\nhandler = hello\n",
     "zip auth hello", 2, ROUTE_ACCESS | ROUTE_LOG | ROUTE_HEADER_FILTER | ROUTE_BODY_FILTER},
    {"a handler's hooks count", "", "handler = both, hello\n", "both hello", 0, ROUTE_ACCESS},
    {"in use, but a handler here", "use = both, zip\n", "handler = hello, both\n", "zip hello both",
     1, ROUTE_ACCESS | ROUTE_HEADER_FILTER | ROUTE_BODY_FILTER},
    {"the site's root", "use = auth\n", NULL, "auth", 1, ROUTE_ACCESS | ROUTE_LOG},
};

static void chain_text(const struct route *r, char *out, size_t room)
{
    size_t n = 0;
    out[0] = '\0';
    for (size_t i = 0; i < r->nlinks; i++)
        n += (size_t)snprintf(out + n, room - n, "%s%s", i ? " " : "",
                              r->chain[i].module->head.label.p);
}

static void test_participants(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(part_rows); i++) {
        const struct part_row *row = &part_rows[i];
        struct world w;
        char text[400], chain[100];
        snprintf(text, sizeof text,
                 "[module:hello]\n[module:auth]\n[module:zip]\n[module:both]\n[site:s]\n%s%s%s",
                 row->site, row->route ? "[route:x]\nmatch = /x\n" : "",
                 row->route ? row->route : "");
        make(&w, text);
        if (!w.plan)
            explain(&w);
        assert_non_null(w.plan);
        const struct router_site *s =
            router_site(w.plan->router, &w.conf->listens[0], CS_S("any"), NULL);
        struct route_found found = find(&w, s, "/x");
        const struct route *r = found.route;
        chain_text(r, chain, sizeof chain);
        if (strcmp(chain, row->chain) != 0 || r->first_handler != row->first_handler ||
            r->hooks != row->hooks)
            fail_msg("row \"%s\": chain \"%s\", handlers from %zu on, hooks %u", row->label, chain,
                     r->first_handler, r->hooks);
        drop(&w);
    }
    printf("rows: %zu\n", ARRAY_LEN(part_rows));
}

static void test_match_limit(void **state)
{
    (void)state;
    struct world w;
    char path[64];
    struct route_found found;
    make(&w, settings);
    memset(path, 'a', sizeof path);
    path[0] = '/';
    path[60] = '!';
    path[61] = '\0';
    const struct router_site *s =
        router_site(w.plan->router, listener(&w, "main"), CS_S("x.example.com"), NULL);
    assert_int_equal(search(&w, s, path, &found), LOOKUP_GAVE_UP);
    assert_true(str_is(found.route->label, "hungry"));
    assert_int_equal(found.at->line, found.route->conf->match_at.line);
    drop(&w);
}

static void test_bad_regex(void **state)
{
    (void)state;
    struct world w;
    struct buf b = {0};
    make(&w, "[module:hello]\n[route:r]\nmatch = ~ ^/(a$\nhandler = hello\n");
    assert_null(w.plan);
    report_print(&w.report, &b);
    assert_non_null(strstr(b.p, "test.ini:3"));
    assert_non_null(strstr(b.p, "bad regex"));
    buf_free(&b);
    drop(&w);
}

static void test_missing_root(void **state)
{
    (void)state;
    struct world w;
    struct buf b = {0};
    make(&w, "[site:a]\nroot = /nowhere/at/all\n");
    report_print(&w.report, &b);
    assert_null(w.plan);
    assert_non_null(strstr(b.p, "test.ini:2"));
    assert_non_null(strstr(b.p, "/nowhere/at/all"));
    buf_free(&b);
    drop(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),        cmocka_unit_test(test_labels),
        cmocka_unit_test(test_participants), cmocka_unit_test(test_match_limit),
        cmocka_unit_test(test_bad_regex),    cmocka_unit_test(test_missing_root)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
