/* good_test.c - what files mean: each row is a file and lines that -T must then have. Every row
 * also goes round: printed and read again it gives the same settings. */
#include "conf/schema.h"

#include "fake.h"

#include "base/blocks.h"

#include <stdlib.h>

#define N10  "aaaaaaaaaa"
#define N100 N10 N10 N10 N10 N10 N10 N10 N10 N10 N10

static const struct {
    const char *label, *text;
    const char *lines; /* separated by line breaks, each a whole line of the plain print */
} rows[] = {
    {"an empty file", "",
     "[listen:main]\naddress = :8080\n[site:default]\nhost = *\nworkers = auto"},
    {"only comments", "; a\n# b\n   ; c\n\t# d\n\n", "workers = auto"},
    {"nothing but a root", "[site:x]\nroot = www\n",
     "root = /p/www\n[module:static]\naddress = :8080"},
    {"a section without keys", "[server]\n[accept]\n", "batch = 4"},
    {"a rewrite, and no files",
     "[module:hello]\n[route:a]\nmatch = /a\nrewrite = /b\n[route:b]\nmatch = /b\nhandler = "
     "hello\n",
     "rewrite = /b"},
    {"no blanks around equals", "[server]\nworkers=4\n", "workers = 4"},
    {"many blanks", "[server]\nworkers   =\t  4   \n", "workers = 4"},
    {"comments everywhere", "[server] ; x\n; y\nworkers = 4 ; z ; z\n# w\nlog_level = warn\t;v\n",
     "workers = 4\nlog_level = warn"},
    {"comment behind nothing", "[site:a]\nroot = ; none\n", "root ="},
    {"semicolon inside", "[module:hello]\ngreeting = a;b;c\n", "greeting = a;b;c"},
    {"equals inside", "[module:hello]\ngreeting = a=b:c\n", "greeting = a=b:c"},
    {"brackets inside", "[module:hello]\ngreeting = [a] ]\n", "greeting = [a] ]"},
    {"quotes inside", "[module:hello]\ngreeting = say \"hi\"\n", "greeting = say \"hi\""},
    {"backslashes outside quotes", "[module:hello]\ngreeting = \\d\\\\\n", "greeting = \\d\\\\"},
    {"quoted", "[module:hello]\ngreeting = \"Hi\"\n", "greeting = Hi"},
    {"quoted with a comment behind", "[module:hello]\ngreeting = \"Hi\" ; you\n", "greeting = Hi"},
    {"quoted blanks and semicolon", "[module:hello]\ngreeting = \"  a ; b # c  \"\n",
     "greeting = \"  a ; b # c  \""},
    {"quoted escapes", "[module:hello]\ngreeting = \"\\\"a\\\\b\\\"\"\n",
     "greeting = \"\\\"a\\\\b\\\"\""},
    {"quoted tab", "[module:hello]\ngreeting = \"\ta\t\"\n", "greeting = \"\ta\t\""},
    {"quoted no-break space", "[module:hello]\ngreeting = \"a\302\240b\"\n",
     "greeting = \"a\302\240b\""},
    {"quoted number", "[server]\nworkers = \" 4 \"\n", "workers = 4"},
    {"starts with a hash", "[module:hello]\ngreeting = #1\n", "greeting = \"#1\""},
    {"no-break space in a comment", "[server]\n; a\302\240b\nworkers = 4 ; c\302\240d\n",
     "workers = 4"},
    {"UTF-8", "[module:hello]\ngreeting = Gr\303\274\303\237 \342\202\254 \360\237\230\200\n",
     "greeting = Gr\303\274\303\237 \342\202\254 \360\237\230\200"},
    {"text over two lines", "[module:hello]\ngreeting = a\n  b\n\tc ; d\n", "greeting = a b c"},
    {"text that starts on the next line", "[module:hello]\ngreeting =\n  a\n", "greeting = a"},
    {"a comment between lines", "[module:hello]\ngreeting = a\n; x\n\n  ; y\n  b\n",
     "greeting = a b"},
    {"a quoted line that goes on", "[module:hello]\ngreeting = a\n  \" ; b=\"\n  \"[c]\"\n",
     "greeting = \"a  ; b= [c]\""},
    {"an empty quoted line", "[module:hello]\ngreeting = a\n  \"\"\n  b\n", "greeting = a  b"},
    {"a path over two lines", "[site:a]\nroot = /srv\n  /www\n", "root = /srv/www"},
    {"an expression over two lines", "[site:a]\nroot = w\n[route:a]\nmatch = ~ ^/(a|\n   b)$\n",
     "match = ~ ^/(a|b)$"},
    {"an expression with a comment sign",
     "[site:a]\nroot = w\n[route:a]\nmatch = \"~ ^/a ;\\\\d$\"\n", "match = \"~ ^/a ;\\\\d$\""},
    {"a line of 190 bytes",
     "[module:hello]\ngreeting = " N100 N10 N10 " " N10 N10 N10 N10 N10 ";x\n",
     "greeting = " N100 N10 N10 " " N10 N10 N10 N10 N10 ";x"},
    {"a comment of 400 bytes",
     "; " N100 N100 N100 N100 "=x\n[server]\nworkers = 4 ; " N100 N100 " a = b\n", "workers = 4"},
    {"a label of 39 characters", "[site:" N10 N10 N10 "a.B-c_d8e]\n",
     "[site:" N10 N10 N10 "a.B-c_d8e]"},

    {"variable", "[server]\nuser = ${env.CS_TEST_USER}\n", "user = me"},
    {"default that is not used", "[server]\nuser = ${env.CS_TEST_USER:you}\n", "user = me"},
    {"default that is used", "[server]\nuser = ${env.CS_TEST_NOT_SET:you}\n", "user = you"},
    {"empty default", "[site:a]\nroot = ${env.CS_TEST_NOT_SET:}\n", "root ="},
    {"variables inside", "[module:hello]\ngreeting = a${env.CS_TEST_USER}b${env.CS_TEST_USER}\n",
     "greeting = amebme"},
    {"variable in quotes", "[module:hello]\ngreeting = \" ${env.CS_TEST_USER} \"\n",
     "greeting = \" me \""},
    {"variable that needs quotes", "[module:hello]\ngreeting = ${env.CS_TEST_ODD}\n",
     "greeting = \" a ; \\\"b\\\\$${x} \""},
    {"a variable is a list", "[site:a]\nhost = ${env.CS_TEST_HOSTS}, d\n", "host = b, c, d"},
    {"a quoted variable is one element", "[module:tag]\ntags = \"${env.CS_TEST_HOSTS}\"\n",
     "tags = \"b,c\""},
    {"plain braces", "[module:hello]\ngreeting = $${host} $$ $x {y}\n",
     "greeting = $${host} $$ $x {y}"},
    {"dollar before braces", "[module:hello]\ngreeting = $$${host}\n", "greeting = $$${host}"},

    {"template", "[module:view]\ntext = a ${path}, ${query.x}\n", "text = a ${path}, ${query.x}"},
    {"default of a template", "[module:view]\n", "text = Hello ${host}"},
    {"template and the environment", "[module:view]\ntext = ${env.CS_TEST_USER} ${host}\n",
     "text = me ${host}"},
    {"the environment is no template", "[module:view]\ntext = ${env.CS_TEST_ODD}\n",
     "text = \" a ; \\\"b\\\\$${x} \""},
    {"nor is a default", "[module:view]\ntext = ${env.CS_TEST_NOT_SET:${x}\n", "text = $${x"},
    {"plain braces in a template", "[module:view]\ntext = $${host} ${host}\n",
     "text = $${host} ${host}"},
    {"list of templates", "[module:view]\nfields = A: ${host}, \"B: 1, ${path}\"\n  C: $${x}\n",
     "fields = \"A: ${host}\"\n    \"B: 1, ${path}\"\n    \"C: $${x}\""},
    {"blocks", "[module:view]\nfrom = 10.0.0.0/8, ::1, unix, all\n",
     "from = 10.0.0.0/8, ::1, unix, all"},
    {"no blocks", "[module:view]\nfrom =\n", "from ="},

    {"list in one line", "[site:a]\nhost = a, b,c\n", "host = a, b, c"},
    {"list over lines", "[site:a]\nhost =\n  a\n  b, c,\n  d\n", "host = a, b, c, d"},
    {"list of two keys", "[site:a]\nhost = a\nhost = b\n", "host = a, b"},
    {"list with quoted lines", "[module:tag]\ntags = a\n  \"b, c\"\n  \" d\"\n",
     "tags = \"a\"\n    \"b, c\"\n    \" d\""},
    {"quoted elements inside", "[module:tag]\ntags = a, \"b, c\", d\n",
     "tags = \"a\"\n    \"b, c\"\n    \"d\""},
    {"empty elements", "[module:tag]\ntags = \"\"\n  \"\"\n", "tags = \"\"\n    \"\""},
    {"empty list", "[module:tag]\ntags =\n", "tags ="},
    {"a long list",
     "[module:tag]\ntags = " N10 N10 N10 ", " N10 N10 N10 ", " N10 N10 ", [x], a=b\n",
     "tags = \"" N10 N10 N10 "\"\n    \"" N10 N10 N10 "\"\n    \"" N10 N10
     "\"\n    \"[x]\"\n    \"a=b\""},
    {"IPv6 in a list", "[listen:a]\naddress = [::1]:80,\n  \"[::2]:80\"\n",
     "address = [::1]:80, [::2]:80"},
    {"unix socket", "[listen:a]\naddress = unix:/run/x y.sock\nmode = 0600\n",
     "address = unix:/run/x y.sock\nmode = 0600"},
    {"unix socket under reuseport",
     "[accept]\npolicy = reuseport\n[listen:a]\naddress = :80, unix:/run/x.sock\n",
     "policy = reuseport\npolicy = default"},
    {"a policy of its own",
     "[listen:a]\naddress = :80\npolicy = reuseport\n[listen:b]\naddress = "
     "unix:/x\npolicy = exclusive\n",
     "policy = turn\npolicy = reuseport\npolicy = exclusive"},

    {"hosts in lower case", "[site:a]\nhost = A.Example.COM, *.X.org, [::A]\n",
     "host = a.example.com, *.x.org, [::a]"},
    {"same host on two listeners",
     "[listen:x]\naddress = :1\n[listen:y]\naddress = :2\n"
     "[site:a]\nhost = h\nlisten = x\n[site:b]\nhost = h\nlisten = y\n",
     "[site:b]"},
    {"several hosts, one default", "[site:a]\nhost = a\n[site:b]\nhost = *\n[site:c]\nhost = *.a\n",
     "[site:c]"},
    {"port 0 twice", "[listen:x]\naddress = 127.0.0.1:0\n[listen:y]\naddress = 127.0.0.1:0\n",
     "[listen:y]"},
    {"same match on two sites",
     "[site:a]\nhost = a\nroot = w\n[site:b]\nhost = b\nroot = w\n"
     "[route:a]\nsite = a\nmatch = /\n[route:b]\nsite = b\nmatch = /\n",
     "site = a\nsite = b"},
    {"exact and prefix differ",
     "[site:a]\nroot = w\n[route:a]\nmatch = = /\n[route:b]\nmatch = /\n", "match = = /"},
    {"the only site", "[site:a]\nroot = w\n[route:a]\nmatch = /x\n", "site = a"},
    {"the implicit site", "[module:hello]\n[route:a]\nmatch = /x\nhandler = hello\n",
     "site = default"},
    {"a route with a root", "[route:a]\nmatch = /x\nroot = /y\n", "[module:static]\nroot = /y"},
    {"a handler that needs no section", "[route:a]\nmatch = /x\nhandler = static\n",
     "[module:static]\nhandler = static"},

    {"a module's defaults", "[module:hello]\n", "greeting = Hello\nrepeat = 1\nfile ="},
    {"a module's file", "[module:hello]\nfile = other/hello.so\n", "file = other/hello.so"},
    {"a secret", "[module:hello]\npassword = top\n", "password = ***"},
    {"key of a handler", "[module:hello]\n[route:a]\nmatch = /\nhandler = hello\ngreeting = Hi\n",
     "hello.greeting = Hi"},
    {"key of static on a route without handler",
     "[site:a]\nroot = w\n[route:a]\nmatch = /\nindex = x\n", "static.index = x"},
    {"key of static behind a handler",
     "[module:hello]\n[site:a]\nroot = w\n[route:a]\nmatch = /\nhandler = hello\nindex = x\n",
     "static.index = x"},
    {"a handler's key before static's",
     "[module:files]\n[site:a]\nroot = w\n[route:a]\nmatch = /\nhandler = files\nindex = x\n",
     "files.index = x"},
    {"module.key for two handlers",
     "[module:files]\n[route:a]\nmatch = /\nhandler = files, static\n"
     "files.index = x\nstatic.index = y\n",
     "files.index = x\nstatic.index = y"},
    {"key of a module without handler", "[module:tag]\n[route:a]\nmatch = /\nroot = w\ntags = x\n",
     "tag.tags = x"},
    {"key on a site", "[module:hello]\n[site:a]\ngreeting = Hi\n", "hello.greeting = Hi"},
    {"in use on a site", "[module:stamp]\n[site:a]\nroot = w\nuse = stamp\nink = red\n",
     "use = stamp\nstamp.ink = red"},
    {"key of what the site uses, on a route",
     "[module:stamp]\n[site:a]\nroot = w\nuse = stamp\n[route:a]\nmatch = /\nink = red\n",
     "stamp.ink = red"},
    {"in use on a route",
     "[module:auth]\n[site:a]\nroot = w\n[route:a]\nmatch = /\nuse = auth\nrealm = x\n",
     "use = auth\nauth.realm = x"},
    {"one key of two", "[module:door]\n[route:a]\nmatch = /\nroot = w\nuse = door\ncode = 1234\n",
     "door.code = 1234"},
    {"one key of two, another one on the route",
     "[module:door]\nkey = k\n[route:a]\nmatch = /\nroot = w\nuse = door\ncode = 1234\n",
     "use = door\ndoor.code = 1234"},
    {"taken away on a route",
     "[module:stamp]\n[site:a]\nroot = w\nuse = stamp\n[route:a]\nmatch = /\nuse = -stamp\n",
     "use = -stamp"},
    {"taken away and put behind another",
     "[module:stamp]\n[module:both]\n[site:a]\nroot = w\nuse = stamp\n"
     "[route:a]\nmatch = /\nuse = -stamp, both, stamp\n",
     "use = -stamp, both, stamp"},
    {"a handler that the site uses",
     "[module:both]\n[site:a]\nuse = both\n[route:a]\nmatch = /\nhandler = both\n",
     "handler = both"},
    {"list of two keys on a route",
     "[route:a]\nmatch = /\nroot = w\nindex = x\nstatic.index = y, z\n", "static.index = x, y, z"},
    {"needed key on the site",
     "[module:proxy]\ntoken = t\n[site:a]\ntarget = x\n[route:a]\nmatch = /\nhandler = proxy\n",
     "proxy.target = x"},
    {"needed key of a module that nobody uses", "[module:proxy]\ntoken = t\n", "token = t"},
    {"a module that could not be loaded",
     "[module:broken]\nany = thing\n[route:a]\nmatch = /\nhandler = broken\nx = y\nbroken.z = 1\n",
     "handler = broken"},
};

static const char *has_lines(const char *text, const char *lines)
{
    static char line[600];
    cs_str rest = str_of(lines), one;

    while (str_split(&rest, '\n', &one)) {
        snprintf(line, sizeof line, "\n%.*s\n", CS_F(one));
        if (!strstr(text, line))
            return line;
    }
    return NULL;
}

/* Reads what conf_print made of f; the plain prints must be equal. */
static void check_round(const char *label, const struct fake *f, const char *plain)
{
    struct buf full = {0}, again = {0};
    struct fake g;

    conf_print(f->conf, &full);
    fake_read(&g, full.p, NULL, 0);
    if (g.rep.errors || g.rep.warnings)
        fail_msg("row \"%s\": does not read back:\n%.3000s\n%.3000s", label, fake_report(&g),
                 full.p);
    conf_print_plain(g.conf, &again);
    if (strcmp(again.p, plain) != 0)
        fail_msg("row \"%s\": reads back as\n%.3000s\ninstead of\n%.3000s", label, again.p, plain);
    buf_free(&full);
    buf_free(&again);
    fake_free(&g);
}

static void set_variables(void)
{
    unsetenv("CS_TEST_NOT_SET");
    setenv("CS_TEST_USER", "me", 1);
    setenv("CS_TEST_ODD", " a ; \"b\\${x} ", 1);
    setenv("CS_TEST_HOSTS", "b,c", 1);
}

static bool all_loaded(const struct conf *c)
{
    for (size_t i = 0; i < c->nmodules; i++)
        if (!c->modules[i].desc)
            return false;
    return true;
}

static void test_good_files(void **state)
{
    (void)state;
    set_variables();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf plain = {0};
        const char *missing;
        struct fake f;

        fake_read(&f, rows[i].text, NULL, 0);
        if (f.rep.errors)
            fail_msg("row \"%s\": refused:\n%s", rows[i].label, fake_report(&f));
        buf_add_char(&plain, '\n');
        conf_print_plain(f.conf, &plain);
        missing = has_lines(plain.p, rows[i].lines);
        if (missing)
            fail_msg("row \"%s\": no line \"%s\" in:%s", rows[i].label, missing, plain.p);
        buf_clear(&plain);
        conf_print_plain(f.conf, &plain);
        if (all_loaded(f.conf))
            check_round(rows[i].label, &f, plain.p);
        buf_free(&plain);
        fake_free(&f);
    }
    printf("rows: %zu\n", ARRAY_LEN(rows));
}

static cs_str words_of(const struct view *v, struct buf *out)
{
    buf_clear(out);
    for (size_t i = 0; i < v->words.n; i++)
        buf_printf(out, "%.*s ", CS_F(v->words.v[i]));
    for (size_t i = 0; i < v->fields.n; i++)
        buf_printf(out, "%.*s ", CS_F(v->fields.v[i]->text));
    for (size_t i = 0; i < v->from->words.n; i++)
        buf_printf(out, "%.*s ", CS_F(v->from->words.v[i]));
    return buf_str(out);
}

/* From the module to the site to the route, and -T shows what each of them says itself. */
static void test_adds_up(void **state)
{
    (void)state;
    struct fake f;
    struct buf text = {0}, plain = {0};

    fake_read(&f,
              "[module:view]\nwords = a\nfields = m${host}\nfrom = 10.0.0.0/8\n"
              "[site:s]\nwords = b, c\nfrom = unix\n"
              "[route:r]\nmatch = /\nhandler = view\nwords = d\nfields = r\n"
              "[route:q]\nmatch = /q\nhandler = view\n",
              NULL, 0);
    assert_int_equal(f.rep.errors, 0);
    assert_true(str_is(words_of(f.conf->modules[0].conf, &text), "a m${host} 10.0.0.0/8 "));
    assert_true(str_is(words_of(f.conf->sites[0].module_conf[0], &text),
                       "a b c m${host} 10.0.0.0/8 unix "));
    assert_true(str_is(words_of(f.conf->routes[0].module_conf[0], &text),
                       "a b c d m${host} r 10.0.0.0/8 unix "));
    assert_ptr_equal(f.conf->routes[1].module_conf[0], f.conf->sites[0].module_conf[0]);
    conf_print_plain(f.conf, &plain);
    buf_add_char(&plain, '\0');
    assert_non_null(strstr(plain.p, "view.words = b, c\n"));
    assert_non_null(strstr(plain.p, "view.words = d\n"));
    buf_free(&text);
    buf_free(&plain);
    fake_free(&f);
}

/* Each line of -T says where its value comes from. */
static void test_origins(void **state)
{
    static const char text[] = "[server]\n"
                               "workers = 4\n"
                               "user = ${env.CS_TEST_USER}\n"
                               "log_level = info\n"
                               "[site:a]\n"
                               "host =\n"
                               "  a\n"
                               "root = w\n"
                               "index = x\n";
    static const struct conf_override overrides[] = {{"server.log_level=debug"}, {"site:b.host=b"}};
    static const char want[] = "workers = 4 ; t.ini:2\n"
                               "user = me ; t.ini:3, environment\n"
                               "log_level = debug ; command line\n"
                               "log_format = text ; default\n"
                               "[limits] ; default\n"
                               "[listen:main] ; default\n"
                               "host = a ; t.ini:6\n"
                               "root = /p/w ; t.ini:8\n"
                               "static.index = x ; t.ini:9\n"
                               "[module:static] ; default\n"
                               "index = index.html ; default\n"
                               "[site:b] ; command line\n"
                               "host = b ; command line";
    struct buf out = {0};
    const char *missing;
    struct fake f;

    (void)state;
    set_variables();
    fake_read(&f, text, overrides, ARRAY_LEN(overrides));
    assert_int_equal(f.rep.errors, 0);
    conf_print(f.conf, &out);
    assert_true(str_starts(buf_str(&out), CS_S("[server] ; t.ini:1\n")));
    missing = has_lines(out.p, want);
    if (missing)
        fail_msg("no line \"%s\" in:%s", missing, out.p);
    buf_free(&out);
    fake_free(&f);
}

/* Around the edges of libinih's lines every length arrives whole. */
static void test_line_lengths(void **state)
{
    struct buf text = {0};
    struct fake f;

    (void)state;
    for (size_t len = 140; len < 620; len++) {
        const struct tag *tag;

        buf_clear(&text);
        buf_add_z(&text, "[module:tag]\ntags = ");
        for (size_t i = 0; i < len; i++)
            buf_add_char(&text, i % 7 == 5 ? ' ' : i % 11 == 3 ? '#' : (char)('a' + i % 26));
        buf_add_z(&text, "z\n");
        fake_read(&f, text.p, NULL, 0);
        assert_int_equal(f.rep.errors, 0);
        tag = f.conf->modules[0].conf;
        assert_int_equal(tag->tags.n, 1);
        assert_int_equal(tag->tags.v[0].n, len + 1);
        assert_memory_equal(tag->tags.v[0].p, text.p + strlen("[module:tag]\ntags = "), len + 1);
        fake_free(&f);
    }
    buf_free(&text);
}

/* The largest values survive libinih and the way round. */
static void test_largest_values(void **state)
{
    struct buf text = {0}, plain = {0};
    const struct tag *tag;
    struct fake f;

    (void)state;
    buf_add_z(&text, "[module:tag]\ntags = \"");
    for (int i = 0; i < 65536; i++)
        buf_add_z(&text, i % 3 == 0 ? "\\\"" : i % 5 == 0 ? " " : i % 7 == 0 ? ";" : "\\\\");
    buf_add_z(&text, "\"\n");
    fake_read(&f, text.p, NULL, 0);
    assert_int_equal(f.rep.errors, 0);
    tag = f.conf->modules[0].conf;
    assert_int_equal(tag->tags.v[0].n, 65536);
    conf_print_plain(f.conf, &plain);
    check_round("64 KiB", &f, plain.p);
    fake_free(&f);

    buf_clear(&text);
    buf_clear(&plain);
    buf_add_z(&text, "[module:tag]\ntags =");
    for (int i = 0; i < 32000; i++)
        buf_add_z(&text, i % 100 == 0 ? "\n  a" : ",a");
    fake_read(&f, text.p, NULL, 0);
    if (f.rep.errors)
        fail_msg("%.2000s", fake_report(&f));
    tag = f.conf->modules[0].conf;
    assert_int_equal(tag->tags.n, 32000);
    conf_print_plain(f.conf, &plain);
    check_round("list of 64 KiB", &f, plain.p);
    fake_free(&f);
    buf_free(&text);
    buf_free(&plain);
}

/* -T shows a secret nowhere. */
static void test_secret(void **state)
{
    struct buf out = {0};
    const struct hello *hello;
    struct fake f;

    (void)state;
    fake_read(&f, "[module:hello]\npassword = open sesame\n", NULL, 0);
    conf_print(f.conf, &out);
    assert_null(strstr(out.p, "sesame"));
    hello = f.conf->modules[0].conf;
    assert_true(str_is(hello->password, "open sesame"));
    buf_free(&out);
    fake_free(&f);
}

/* The reference has every key of the core and of the modules it is given, and the rules. */
static void test_reference(void **state)
{
    const cs_module *modules[] = {&fakes[0], &fakes[5]};
    struct buf out = {0};
    size_t n = 0;

    (void)state;
    conf_reference(modules, 2, &out);
    for (const struct conf_kind *k = conf_kinds; k->name; k++)
        for (const cs_directive *d = k->table; d->type != CS_T_END; d++, n++) {
            char row[80];

            snprintf(row, sizeof row, "\n| `%s` | ", d->name);
            if (!strstr(out.p, row))
                fail_msg("[%s] %s is not in the reference", k->name, d->name);
        }
    assert_non_null(strstr(
        out.p, "\n| `greeting` | text of 1 to 200 bytes | `Hello` | What it says. *(route)* |\n"));
    assert_non_null(strstr(out.p, "\n## [module:bare]\n"));
    assert_non_null(
        strstr(out.p, "\n| `workers` | a whole number from 1 to 1024, or auto | `auto` | "));
    assert_non_null(strstr(out.p, "${env.NAME:default}"));
    buf_free(&out);
    printf("rows: %zu\n", n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_files),     cmocka_unit_test(test_adds_up),
        cmocka_unit_test(test_origins),        cmocka_unit_test(test_line_lengths),
        cmocka_unit_test(test_largest_values), cmocka_unit_test(test_secret),
        cmocka_unit_test(test_reference),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
