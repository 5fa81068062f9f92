/* bind_test.c - the tree: typed values, what is implicit, and whose settings a module sees where.
 */
#include "fake.h"

static const struct hello *hello_of(const void *conf)
{
    return conf;
}

static const struct files *files_of(const void *conf)
{
    return conf;
}

static void read_good(struct fake *f, const char *text)
{
    fake_read(f, text, NULL, 0);
    if (f->rep.errors)
        fail_msg("%s", fake_report(f));
}

static void test_types(void **state)
{
    struct fake f;
    const struct conf *c;

    (void)state;
    read_good(&f, "[server]\nworkers = 3\nmax_workers = 8\nuser = www\npid_file = x.pid\n"
                  "control = /run/c\nerror_log = logs/e\nlog_level = error\nlog_format = json\n"
                  "access_log = stdout\naccess_format = json\nmodules = m\n"
                  "shutdown_timeout = 5s\ndrain_timeout = 1m\ngive_up = 7\n"
                  "[accept]\nbatch = 9\nspread = off\n"
                  "[limits]\nmax_connections = 64\nmax_head = 4k\nmax_headers = 50\nmax_uri = 1k\n"
                  "max_body = 2g\nhead_timeout = 100ms\nkeepalive_requests = 5\n"
                  "[listen:x]\naddress = 127.0.0.1:0\nbacklog = 5\ndeferred = no\nmode = 0600\n");
    c = f.conf;
    assert_int_equal(c->server.workers, 3);
    assert_int_equal(c->server.max_workers, 8);
    assert_string_equal(c->server.user.p, "www");
    assert_string_equal(c->server.pid_file.p, "/p/x.pid");
    assert_string_equal(c->server.control.p, "/run/c");
    assert_string_equal(c->server.error_log.p, "/p/logs/e");
    assert_int_equal(c->server.log_level, 3);
    assert_int_equal(c->server.log_format, CONF_LOG_JSON);
    assert_string_equal(c->server.access_log.p, "stdout");
    assert_int_equal(c->server.access_format, CONF_ACCESS_JSON);
    assert_string_equal(c->server.modules.p, "/p/m");
    assert_int_equal(c->server.shutdown_timeout, 5000);
    assert_int_equal(c->server.drain_timeout, 60000);
    assert_int_equal(c->server.give_up, 7);
    assert_int_equal(c->accept.batch, 9);
    assert_false(c->accept.spread);
    assert_int_equal(c->limits.max_connections, 64);
    assert_int_equal(c->limits.max_head, 4096);
    assert_int_equal(c->limits.max_headers, 50);
    assert_int_equal(c->limits.max_uri, 1024);
    assert_true(c->limits.max_body == (int64_t)2 << 30);
    assert_int_equal(c->limits.head_timeout, 100);
    assert_int_equal(c->limits.keepalive_requests, 5);
    assert_int_equal(c->nlistens, 1);
    assert_string_equal(c->listens[0].head.label.p, "x");
    assert_int_equal(c->listens[0].backlog, 5);
    assert_false(c->listens[0].deferred);
    assert_int_equal(c->listens[0].mode, 0600);
    fake_free(&f);
}

static void test_defaults(void **state)
{
    struct fake f;
    const struct conf *c;

    (void)state;
    read_good(&f, "");
    c = f.conf;
    assert_int_equal(c->server.workers, 0);
    assert_int_equal(c->server.max_workers, 0);
    assert_int_equal(c->server.user.n, 0);
    assert_string_equal(c->server.pid_file.p, "/p/run/cserver.pid");
    assert_string_equal(c->server.control.p, "/p/run/cserver.sock");
    assert_string_equal(c->server.error_log.p, "stderr");
    assert_int_equal(c->server.log_level, 1);
    assert_string_equal(c->server.access_log.p, "off");
    assert_int_equal(c->server.modules.n, 0);
    assert_int_equal(c->server.shutdown_timeout, 25000);
    assert_int_equal(c->server.drain_timeout, 30000);
    assert_int_equal(c->accept.batch, 4);
    assert_true(c->accept.spread);
    assert_int_equal(c->limits.max_head, 16384);
    assert_int_equal(c->limits.max_headers, 100);
    assert_int_equal(c->limits.max_uri, 8192);
    assert_int_equal(c->limits.max_body, 1048576);
    assert_int_equal(c->limits.keepalive_timeout, 60000);
    assert_int_equal(c->nlistens, 1);
    assert_string_equal(c->listens[0].head.label.p, "main");
    assert_null(c->listens[0].head.at.file);
    assert_true(str_is(c->listens[0].address.v[0], ":8080"));
    assert_int_equal(c->listens[0].backlog, 4096);
    assert_true(c->listens[0].deferred);
    assert_int_equal(c->listens[0].mode, 0666);
    assert_int_equal(c->nsites, 1);
    assert_string_equal(c->sites[0].head.label.p, "default");
    assert_true(c->sites[0].host.n == 1 && str_is(c->sites[0].host.v[0], "*"));
    assert_int_equal(c->sites[0].root.n, 0);
    assert_int_equal(c->nroutes, 0);
    assert_int_equal(c->nmodules, 0);
    fake_free(&f);
}

static void test_matches(void **state)
{
    static const struct {
        const char *match;
        enum conf_match kind;
        const char *arg;
    } rows[] = {
        {"/", CONF_MATCH_PREFIX, "/"},
        {"/x", CONF_MATCH_PREFIX, "/x"},
        {"/x/", CONF_MATCH_PREFIX, "/x/"},
        {"/a b", CONF_MATCH_PREFIX, "/a b"},
        {"= /x", CONF_MATCH_EXACT, "/x"},
        {"=/x", CONF_MATCH_EXACT, "/x"},
        {"=   /x", CONF_MATCH_EXACT, "/x"},
        {"\"= /x \"", CONF_MATCH_EXACT, "/x "},
        {"~ ^/u/(?<id>\\d+)$", CONF_MATCH_REGEX, "^/u/(?<id>\\d+)$"},
        {"~^/x", CONF_MATCH_REGEX, "^/x"},
        {"~ a = b", CONF_MATCH_REGEX, "a = b"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[200];
        struct fake f;
        const struct conf_route *r;

        snprintf(text, sizeof text, "[site:a]\nroot = w\n[route:r]\nmatch = %s\n", rows[i].match);
        read_good(&f, text);
        r = &f.conf->routes[0];
        if (r->match_kind != rows[i].kind || strcmp(r->match_arg.p, rows[i].arg) != 0)
            fail_msg("match = %s: kind %d, \"%s\"", rows[i].match, (int)r->match_kind,
                     r->match_arg.p);
        assert_int_equal(r->match_at.line, 4);
        fake_free(&f);
    }
    printf("rows: %zu\n", ARRAY_LEN(rows));
}

static void test_routes(void **state)
{
    struct fake f;
    const struct conf_route *r;

    (void)state;
    read_good(&f,
              "[module:hello]\n[module:bare]\n[site:a]\nhost = a\nroot = /w\n[site:b]\nhost = b\n"
              "[route:r]\nsite = b\nmatch = /\nhandler = bare,\n  hello\n");
    r = &f.conf->routes[0];
    assert_ptr_equal(r->site, &f.conf->sites[1]);
    assert_int_equal(r->nhandlers, 2);
    assert_ptr_equal(r->handlers[0], &f.conf->modules[1]);
    assert_ptr_equal(r->handlers[1], &f.conf->modules[0]);
    assert_int_equal(r->root.n, 0);
    assert_int_equal(r->handler_at.line, 11);
    assert_int_equal(f.conf->nmodules, 3);
    assert_true(f.conf->modules[2].implicit);
    assert_false(f.conf->modules[0].implicit);
    assert_string_equal(f.conf->modules[2].head.label.p, "static");
    assert_string_equal(conf_origin_of(&r->head, "handler")->file, "t.ini");
    assert_int_equal(conf_origin_of(&r->head, "no such key")->line, 8);
    fake_free(&f);
}

/* ---- Inheritance ---- */

#define TREE                                                                                       \
    "[site:a]\nhost = a\nroot = w\n%s[site:b]\nhost = b\nroot = w\n"                               \
    "[route:a1]\nsite = a\nmatch = /1\nhandler = hello\n%s"                                        \
    "[route:a2]\nsite = a\nmatch = /2\nhandler = hello\n"                                          \
    "[route:b1]\nsite = b\nmatch = /1\nhandler = hello\n"                                          \
    "[module:hello]\n%s"

struct inherit_row {
    const char *label, *site, *route, *module;
    const char *want[6]; /* greeting in: module, site a, site b, route a1, a2, b1 */
    const char *shared;  /* "=" where the struct is the one of the level above */
};

static const struct inherit_row inherit_rows[] = {
    {"nothing is set", "", "", "", {"Hello", "Hello", "Hello", "Hello", "Hello", "Hello"}, "====="},
    {"the module", "", "", "greeting = M\n", {"M", "M", "M", "M", "M", "M"}, "====="},
    {"a site", "greeting = S\n", "", "", {"Hello", "S", "Hello", "S", "S", "Hello"}, "!===="},
    {"a route",
     "",
     "greeting = R\n",
     "",
     {"Hello", "Hello", "Hello", "R", "Hello", "Hello"},
     "==!=="},
    {"site over module",
     "greeting = S\n",
     "",
     "greeting = M\n",
     {"M", "S", "M", "S", "S", "M"},
     "!===="},
    {"route over module",
     "",
     "greeting = R\n",
     "greeting = M\n",
     {"M", "M", "M", "R", "M", "M"},
     "==!=="},
    {"route over site",
     "greeting = S\n",
     "greeting = R\n",
     "",
     {"Hello", "S", "Hello", "R", "S", "Hello"},
     "!=!=="},
    {"all three",
     "greeting = S\n",
     "greeting = R\n",
     "greeting = M\n",
     {"M", "S", "M", "R", "S", "M"},
     "!=!=="},
    {"module.key on the site",
     "hello.greeting = S\n",
     "",
     "greeting = M\n",
     {"M", "S", "M", "S", "S", "M"},
     "!===="},
    {"module.key on the route",
     "",
     "hello.greeting = R\n",
     "",
     {"Hello", "Hello", "Hello", "R", "Hello", "Hello"},
     "==!=="},
    {"a key of another module",
     "index = x\n",
     "",
     "",
     {"Hello", "Hello", "Hello", "Hello", "Hello", "Hello"},
     "====="},
};

static void check_level(const struct inherit_row *r, size_t i, const void *conf, const void *above)
{
    bool same = conf == above;

    if (!str_is(hello_of(conf)->greeting, r->want[i]))
        fail_msg("row \"%s\", level %zu: \"%s\"", r->label, i, hello_of(conf)->greeting.p);
    if (i > 0 && same != (r->shared[i - 1] == '='))
        fail_msg("row \"%s\", level %zu: %s", r->label, i, same ? "shared" : "a copy");
    assert_int_equal(hello_of(conf)->repeat, 1);
}

static void test_inheritance(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(inherit_rows); i++) {
        const struct inherit_row *r = &inherit_rows[i];
        char text[1000];
        struct fake f;
        const struct conf *c;

        snprintf(text, sizeof text, TREE, r->site, r->route, r->module);
        read_good(&f, text);
        c = f.conf;
        assert_string_equal(c->modules[0].head.label.p, "hello");
        check_level(r, 0, c->modules[0].conf, NULL);
        check_level(r, 1, c->sites[0].module_conf[0], c->modules[0].conf);
        check_level(r, 2, c->sites[1].module_conf[0], c->modules[0].conf);
        check_level(r, 3, c->routes[0].module_conf[0], c->sites[0].module_conf[0]);
        check_level(r, 4, c->routes[1].module_conf[0], c->sites[0].module_conf[0]);
        check_level(r, 5, c->routes[2].module_conf[0], c->sites[1].module_conf[0]);
        fake_free(&f);
    }
    printf("rows: %zu\n", ARRAY_LEN(inherit_rows));
}

/* A route that sets one key keeps the others of its site; a list takes the place of the list above.
 */
static void test_one_key_of_many(void **state)
{
    struct fake f;
    const struct files *site, *route;

    (void)state;
    read_good(&f, "[site:a]\nroot = w\nindex = a, b\ncache_control = c\n"
                  "[route:r]\nmatch = /\nmax_age = 5s\nindex = d\n");
    site = files_of(f.conf->sites[0].module_conf[0]);
    route = files_of(f.conf->routes[0].module_conf[0]);
    assert_int_equal(site->index.n, 2);
    assert_int_equal(site->max_age, 90000);
    assert_int_equal(route->index.n, 1);
    assert_true(str_is(route->index.v[0], "d"));
    assert_true(str_is(route->cache_control, "c"));
    assert_int_equal(route->max_age, 5000);
    fake_free(&f);
}

/* ---- Overrides ---- */

static void test_overrides(void **state)
{
    static const struct {
        const char *label, *override, *second, *line;
    } rows[] = {
        {"a key of the file", "server.workers=2", NULL, "workers = 2"},
        {"another key", "server.user=x", NULL, "user = x"},
        {"a section that is not there", "limits.max_body=5", NULL, "max_body = 5"},
        {"the later one wins", "server.workers=2", "server.workers=3", "workers = 3"},
        {"blanks", " server.workers = 2 ", NULL, "workers = 2"},
        {"a list is replaced", "site:a.host=y, z", NULL, "host = y, z"},
        {"quoted", "module:hello.greeting=\" a ; b \"", NULL, "greeting = \" a ; b \""},
        {"no comments", "module:hello.greeting=a ; b", NULL, "greeting = \"a ; b\""},
        {"equals in the value", "module:hello.greeting=a=b", NULL, "greeting = a=b"},
        {"empty", "site:a.root=", NULL, "root ="},
        {"a new label", "listen:new.address=:81", NULL, "[listen:new]"},
        {"a label with dots", "site:x.y.host=q", NULL, "host = q"},
        {"a new label with dots", "site:n.e.w.host=q", NULL, "[site:n.e.w]"},
        {"module.key", "route:r.hello.greeting=G", NULL, "hello.greeting = G"},
        {"plain key over module.key", "route:r.greeting=G", NULL, "hello.greeting = G"},
    };
    static const char text[] =
        "[server]\nworkers = 1\n[module:hello]\n"
        "[site:a]\nhost = a\nhost = b\nroot = w\n[site:x.y]\nhost = c\n"
        "[route:r]\nsite = a\nmatch = /\nhandler = hello\nhello.greeting = F\n";

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct conf_override o[2] = {{rows[i].override}, {rows[i].second}};
        struct buf plain = {0};
        char line[100];
        struct fake f;

        fake_read(&f, text, o, rows[i].second ? 2 : 1);
        if (f.rep.errors)
            fail_msg("row \"%s\":\n%s", rows[i].label, fake_report(&f));
        conf_print_plain(f.conf, &plain);
        snprintf(line, sizeof line, "\n%s\n", rows[i].line);
        if (!strstr(plain.p, line))
            fail_msg("row \"%s\": no line \"%s\" in\n%s", rows[i].label, rows[i].line, plain.p);
        buf_free(&plain);
        fake_free(&f);
    }
    printf("rows: %zu\n", ARRAY_LEN(rows));
}

/* ---- Module references ---- */

static void test_refs(void **state)
{
    static const struct {
        const char *label, *text, *names, *folder;
    } rows[] = {
        {"none", "[server]\n", "", ""},
        {"in the order of the file", "[module:b]\n[module:a]\n", "b a ", ""},
        {"a root needs static", "[module:b]\n[site:x]\nroot = w\n", "b static ", ""},
        {"a root of a route", "[route:x]\nroot = w\n", "static ", ""},
        {"static is there", "[site:x]\nroot = w\n[module:static]\n", "static ", ""},
        {"no root", "[site:x]\nroot =\n", "", ""},
        {"handler static", "[route:x]\nhandler = a, static\n", "static ", ""},
        {"the folder", "[server]\nmodules = m\n", "", "/p/m"},
        {"an absolute folder", "[server]\nmodules = /m\n", "", "/m"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct conf_read_opts opts = {.prefix = "/p"};
        struct conf_module_ref *refs;
        char names[100] = "";
        struct report rep;
        cs_str folder;

        report_init(&rep);
        struct conf_text *t = conf_read_bytes("t.ini", str_of(rows[i].text), &opts, &rep);
        size_t n = conf_module_refs(t, &refs, &folder);
        for (size_t k = 0; k < n; k++) {
            strcat(names, refs[k].name.p);
            strcat(names, " ");
        }
        if (strcmp(names, rows[i].names) != 0 || !str_is(folder, rows[i].folder))
            fail_msg("row \"%s\": \"%s\", folder \"%.*s\"", rows[i].label, names, CS_F(folder));
        conf_text_free(t);
        report_free(&rep);
    }
    printf("rows: %zu\n", ARRAY_LEN(rows));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),       cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_matches),     cmocka_unit_test(test_routes),
        cmocka_unit_test(test_inheritance), cmocka_unit_test(test_one_key_of_many),
        cmocka_unit_test(test_overrides),   cmocka_unit_test(test_refs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
