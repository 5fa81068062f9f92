/* What a search tells of the routes that it looked at, and what it costs: in instructions, which are counted by stepping through
 * it, so that neither the machine nor its load matters. */
#include "serve/lookup.h"

#include "base/check.h"
#include "conf/reader.h"
#include "serve/plan.h"
#include "serve/route.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "unit/steps.h"


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

struct world {
    struct report report;
    struct conf_text *text;
    struct conf *conf;
    struct serve_plan *plan;
    const struct router_site *site;
};

static void make(struct world *w, cs_str text)
{
    report_init(&w->report);
    struct conf_read_opts opts = {.prefix = "/tmp"};
    w->text = conf_read_bytes("test.ini", text, &opts, &w->report);
    struct conf_module_ref *refs;
    cs_str folder;
    size_t n = conf_module_refs(w->text, &refs, &folder);
    const cs_module *desc[1] = {&hello};
    assert_int_equal(n, 1);
    w->conf = conf_bind(w->text, refs, desc, n, &w->report);
    w->plan = w->report.errors ? NULL : serve_plan_new(w->conf, &w->report);
    if (!w->plan) {
        struct buf b = {0};
        report_print(&w->report, &b);
        fail_msg("%.2000s", b.p);
    }
    w->site = router_site(w->plan->router, &w->conf->listens[0], CS_S("x"), NULL);
}

static void drop(struct world *w)
{
    serve_plan_free(w->plan);
    conf_free(w->conf);
    conf_text_free(w->text);
    report_free(&w->report);
}

/* ---- What it tells ---- */

static const char settings[] = "[module:hello]\n"
                               "[route:exact]\nmatch = = /a/b\nmethods = POST\nhandler = hello\n"
                               "[route:user]\nmatch = ~ ^/a/(?<x>.)(.)?$\nhandler = hello\n"
                               "[route:other]\nmatch = ~ ^/a/\\d$\nhandler = hello\n"
                               "[route:deep]\nmatch = /a/\nheaders = X-A: 1\nhandler = hello\n"
                               "[route:query]\nmatch = /a\nquery = !q\nhandler = hello\n"
                               "[route:client]\nmatch = /\nclients = 10.0.0.0/8\nhandler = hello\n"
                               "[route:all]\nmatch = /\nhandler = hello\n"
                               "[route:greedy]\nmatch = ~ ^/x(a+)+$\nhandler = hello\n";

static const struct row {
    const char *label, *path, *query, *told;
    int result;
} rows[] = {
    {"a regex is taken", "/a/b", "q=1",
     "exact method: method GET is not in methods @4\n"
     "user taken: regex match\n"
     "x=b\n"
     "2=\n"
     "other differs: its regex does not match the path\n"
     "deep header: header X-A is not \"1\" @14\n"
     "query query: query parameter q is there, and must not be @18\n"
     "client client: the client is not in clients @22\n"
     "all behind: it would fit too, but regexes come before prefixes\n",
     LOOKUP_FOUND},
    {"a prefix is taken", "/a", "",
     "query taken: prefix match\n"
     "client client: the client is not in clients @22\n"
     "all behind: it would fit too, but a longer prefix comes first\n",
     LOOKUP_FOUND},
    {"a regex gives up", "/xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", "",
     "greedy gave up: its regex ran into its limits @28\n", LOOKUP_GAVE_UP},
};

static bool from_afar(void *arg, struct cidr_addr *out)
{
    (void)arg;
    return cidr_addr_parse(CS_S("192.0.2.1"), out);
}

static void tell(const struct trace *t, struct buf *out)
{
    for (const struct trace_step *s = t->first; s; s = s->next) {
        if (s->what == TRACE_CAPTURE)
            buf_printf(out, "%.*s=%.*s", CS_F(s->key), CS_F(s->text));
        else
            buf_printf(out, "%.*s %s: %.*s", CS_F(s->route->label), trace_verdict_name(s->verdict),
                       CS_F(s->text));
        if (s->at)
            buf_printf(out, " @%d", s->at->line);
        buf_add_char(out, '\n');
    }
}

static void test_trace(void **state)
{
    (void)state;
    static struct http_header field = {CS_S("X-A"), CS_S("2"), HTTP_FIELD_OTHER};
    const struct http_head head = {.headers = &field, .nheaders = 1};
    struct world w;
    make(&w, str_of(settings));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a;
        struct trace t;
        struct route_found found, quiet;
        struct buf told = {0};
        arena_init(&a, NULL);
        trace_init(&t, &a);
        struct route_ask ask = {.path = str_of(rows[i].path),
                                .method_text = CS_S("GET"),
                                .query = str_of(rows[i].query),
                                .head = &head,
                                .arena = &a,
                                .client = from_afar,
                                .trace = &t};
        int result = router_find(w.site, &ask, &found);
        tell(&t, &told);
        if (result != rows[i].result || strcmp(told.p, rows[i].told) != 0)
            fail_msg("%s: result %d\n%s", rows[i].label, result, told.p);
        ask.trace = NULL;
        if ((int)router_find(w.site, &ask, &quiet) != result || quiet.route != found.route)
            fail_msg("%s: without a trace something else is found", rows[i].label);
        buf_free(&told);
        arena_drop(&a);
    }
    drop(&w);
    printf("rows: %zu\n", ARRAY_LEN(rows));
}

/* ---- What it costs ---- */

/* 40 % exact matches, 40 % prefixes, 20 % regexes. */
static void write_routes(struct buf *out, unsigned n)
{
    buf_add_z(out, "[module:hello]\n");
    for (unsigned i = 0; i < n; i++) {
        unsigned part = i % 97;
        buf_printf(out, "[route:r%u]\nhandler = hello\nmatch = ", i);
        if (i % 5 < 2)
            buf_printf(out, "= /exact/part%u/item%u\n", part, i);
        else if (i % 5 < 4)
            buf_printf(out, "/prefix/part%u/item%u/\n", part, i);
        else
            buf_printf(out, "~ ^/regex/part%u/item%u/(?<id>[0-9]+)$\n", part, i);
    }
}

static const struct lookup_row {
    const char *label, *path, *route;
} lookups[] = {
    {"exact", "/exact/part5/item5", "r5"},
    {"prefix", "/prefix/part7/item7/some/thing/else", "r7"},
    {"regex", "/regex/part9/item9/12345", "r9"},
    {"regex that differs", "/regex/part9/item9/12345x", ""},
    {"none", "/nothing/part9/item9/12345", ""},
    {"none, and no end", "/prefix/part7/item", ""},
};

static void look_up(const struct world *w, const struct lookup_row *row, struct arena *a)
{
    static const struct http_head head;
    struct route_found found;
    const struct route_ask ask = {
        .path = str_of(row->path), .method_text = CS_S("GET"), .head = &head, .arena = a};
    if (router_find(w->site, &ask, &found) != LOOKUP_FOUND ||
        !str_is(found.route->label, row->route))
        _exit(1);
}

/* What happens between the two stops is counted. The first of the two searches warms up what is only bound when it is used. */
_Noreturn static void be_stepped(const struct world *w, const struct lookup_row *row)
{
    struct arena a;
    arena_init(&a, NULL);
    arena_alloc(&a, 64);
    if (row)
        look_up(w, row, &a);
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
        _exit(77);
    raise(SIGSTOP);
    if (row)
        look_up(w, row, &a);
    raise(SIGSTOP);
    _exit(0);
}

/* NULL: of nothing. */
static long cost(const struct world *w, const struct lookup_row *row)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        be_stepped(w, row);
    return count_steps(child);
}

static void test_flat(void **state)
{
    (void)state;
    static const unsigned numbers[] = {10, 1000, 10000};
    long costs[ARRAY_LEN(numbers)][ARRAY_LEN(lookups)];
    long nothing = cost(NULL, NULL);
    if (nothing < 0 || ARENA_POISONS) {
        print_message("nothing is counted: children cannot be traced, or a sanitizer counts too\n");
        skip();
    }
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        struct world w;
        struct buf text = {0};
        write_routes(&text, numbers[i]);
        make(&w, buf_str(&text));
        for (size_t k = 0; k < ARRAY_LEN(lookups); k++)
            costs[i][k] = cost(&w, &lookups[k]) - nothing;
        buf_free(&text);
        drop(&w);
    }
    bool flat = true;
    for (size_t k = 0; k < ARRAY_LEN(lookups); k++) {
        print_message("%s: %ld instructions with 10 routes, %ld with 1,000, %ld with 10,000\n",
                      lookups[k].label, costs[0][k], costs[1][k], costs[2][k]);
        flat = flat && costs[2][k] * 10 <= costs[0][k] * 12;
    }
    assert_true(flat);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_trace), cmocka_unit_test(test_flat)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
