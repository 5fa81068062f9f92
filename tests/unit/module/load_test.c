/* Loading modules: good ones, and every kind of wrong one with its sentence. The modules are
 * written and compiled here, so this test needs cc. */
#include "module/load.h"

#include "base/check.h"
#include "base/mem.h"
#include "config.h"
#include "os/file.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

static char folder[PATH_MAX];

static int run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static int run(const char *fmt, ...)
{
    char command[4 * PATH_MAX];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(command, sizeof(command), fmt, ap);
    va_end(ap);
    assert_true(n > 0 && (size_t)n < sizeof(command));
    return system(command);
}

static int make_folder(void **state)
{
    (void)state;
    char name[] = "/tmp/cserver-load-XXXXXX";
    return mkdtemp(name) && realpath(name, folder) ? 0 : -1;
}

static int drop_folder(void **state)
{
    (void)state;
    return run("rm -rf '%s'", folder);
}

static const char *path_of(const char *file)
{
    static char path[PATH_MAX + 64];
    snprintf(path, sizeof(path), "%s/%s", folder, file);
    return path;
}

static void write_file(const char *file, const char *text)
{
    assert_int_equal(file_write_atomic(path_of(file), str_of(text), 0644), 0);
}

/* The source becomes `file` in the folder. */
static void compile(const char *file, const char *source, const char *flags)
{
    struct buf text = {0};
    buf_printf(&text, "#include <cserver/cserver.h>\n%s\n", source);
    write_file("source.c", text.p);
    buf_free(&text);
    const char *root = getenv("CSERVER_SRC");
    if (run("cc -w -std=c11 -shared -fPIC -I'%s/src/api' %s -o '%s' '%s/source.c'",
            root ? root : ".", flags, path_of(file), folder) != 0)
        fail_msg("cc does not compile: %s", source);
}

/* What loading the file as module `name` says; "" when it works. */
static int load(struct module *m, const char *name, const char *file, struct buf *error)
{
    buf_clear(error);
    buf_add_z(error, "");
    int rc = module_copy(m, name, path_of(file), error);
    if (rc == 0)
        rc = module_load(m, error);
    return rc;
}

/* ---- Refusals ---------------------------------------------------------------------------------
 */

#define GOOD    ".name = \"x\", .version = \"1.0\""
#define STR_(x) #x
#define STR(x)  STR_(x)
#define OUR_ABI STR(CS_ABI_MAJOR) "." STR(CS_ABI_MINOR)
#define REBUILD ": rebuild it with this cserver's cserver.h"
#define LONG_NAME                                                                                  \
    "a23456789_123456789_123456789_123456789_123456789_123456789_123456789_123456789_123456789_"   \
    "1234"

struct row {
    const char *label;
    const char *source; /* C, or the file itself where it starts with "=" */
    const char *says;   /* behind the path */
};

static const struct row wrong_rows[] = {
    {"text", "=not a module at all\n",
     "not a shared object: build the module with cc -shared -fPIC, and name the .so file here"},
    {"empty file", "=", "not a shared object"},
    {"a C source", "=#include <cserver/cserver.h>\n", "not a shared object"},
    {"cut off after the magic", "=\177ELF\002\001\001", "cannot be loaded: file too short"},
    {"garbage after the magic",
     "=\177ELFgarbage garbage garbage garbage garbage garbage garbage garbage garbage garbage",
     "cannot be loaded: "},
    {"no symbol", "int x;",
     "not a cserver module: it has no symbol cserver_module_1, which CS_MODULE of cserver.h makes"},
    {"hidden symbol", "__attribute__((visibility(\"hidden\"))) int cserver_module_1;",
     "not a cserver module"},
    {"next major", "const int cserver_module_2 = 1;",
     "built for module ABI 2, this cserver has ABI " STR(CS_ABI_MAJOR) REBUILD},
    {"far major", "const int cserver_module_9 = 1;",
     "built for module ABI 9, this cserver has ABI 1" REBUILD},
    {"other major inside", "CS_MODULE(" GOOD ", .abi_major = 3);",
     "built for module ABI 3, this cserver has ABI 1" REBUILD},
    {"newer minor", "CS_MODULE(" GOOD ", .abi_minor = 99);",
     "needs module ABI 1.99, this cserver has " OUR_ABI
     ": upgrade cserver or rebuild the module with the older header"},
    {"newer minor, larger", "CS_MODULE(" GOOD ", .abi_minor = 99, .size = sizeof(cs_module) + 64);",
     "needs module ABI 1.99, this cserver has " OUR_ABI},
    {"another symbol of that name", "long cserver_module_1[64] = {1, 2, 3};",
     "its cserver_module_1 is no module descriptor (magic 0x1 instead of 0x43534d31): let "
     "CS_MODULE of cserver.h "
     "write it"},
    {"wrong magic", "CS_MODULE(" GOOD ", .magic = 0x43534d32);",
     "magic 0x43534d32 instead of 0x43534d31"},
    {"no magic", "CS_MODULE(" GOOD ", .magic = 0);", "is no module descriptor"},
    {"too small", "CS_MODULE(" GOOD ", .size = 64);",
     "its descriptor has 64 bytes, module ABI " OUR_ABI " has "},
    {"one member short", "CS_MODULE(" GOOD ", .size = offsetof(cs_module, handler));", REBUILD},
    {"no size", "CS_MODULE(" GOOD ", .size = 0, .abi_major = 7);", "its descriptor has 0 bytes"},
    {"too large", "CS_MODULE(" GOOD ", .size = sizeof(cs_module) + 8);", "its descriptor has "},
    {"no table pointer", "CS_MODULE(" GOOD ", .api = 0);", "its descriptor has no .api"},
    {"no name", "CS_MODULE(.version = \"1.0\");",
     "its .name is \"\": a module's name is a letter and up to 30 of"},
    {"name of the server", "CS_MODULE(.name = \"cserver\", .version = \"1.0\");",
     "its .name is \"cserver\": \"cserver\" and what begins with \"cserver_\" are names of"},
    {"name of the server's counters", "CS_MODULE(.name = \"cserver_x\", .version = \"1.0\");",
     "its .name is \"cserver_x\": "},
    {"name with a capital", "CS_MODULE(.name = \"X\", .version = \"1.0\");", "its .name is \"X\""},
    {"name with a dash", "CS_MODULE(.name = \"my-mod\", .version = \"1.0\");",
     "its .name is \"my-mod\""},
    {"name starts with a digit", "CS_MODULE(.name = \"7up\", .version = \"1.0\");",
     "its .name is \"7up\""},
    {"name too long",
     "CS_MODULE(.name = \"abcdefghijklmnopqrstuvwxyz012345\", .version = \"1.0\");",
     "its .name is \"abcdefghijklmnopqrstuvwxyz012345\""},
    {"another module's name", "CS_MODULE(.name = \"other\", .version = \"1.0\");",
     "this is the module \"other\", not \"x\": name the section [module:other]"},
    {"no version", "CS_MODULE(.name = \"x\");", "it has no .version: give it one, such as \"1.0\""},
    {"topic without a name",
     "static cs_topic *t; static const cs_topic_def d[] = {{.ref = &t}, {0}}; CS_MODULE(" GOOD
     ", .topics = d);",
     "a topic is named \"\": a letter, then up to 46 letters"},
    {"topic with a blank",
     "static cs_topic *t; static const cs_topic_def d[] = {{&t, \"a b\", 0, 0, 0}, {0}}; "
     "CS_MODULE(" GOOD ", .topics = d);",
     "a topic is named \"a b\""},
    {"topic that starts with a digit",
     "static cs_topic *t; static const cs_topic_def d[] = {{&t, \"7\", 0, 0, 0}, {0}}; "
     "CS_MODULE(" GOOD ", .topics = d);",
     "a topic is named \"7\""},
    {"topic with a long name",
     "static cs_topic *t; static const cs_topic_def d[] = {{&t, "
     "\"a2345678901234567890123456789012345678901234567\" \"8\", 0, 0, 0}, {0}}; CS_MODULE(" GOOD
     ", .topics = d);",
     "then up to 46 letters"},
    {"topic of the server",
     "static cs_topic *t; static const cs_topic_def d[] = {{&t, \"cserver.x\", 0, 0, 0}, {0}}; "
     "CS_MODULE(" GOOD ", .topics = d);",
     "has a name of the server's own: take another"},
    {"topic without a pointer",
     "static const cs_topic_def d[] = {{0, \"a\", 0, 0, 0}, {0}}; CS_MODULE(" GOOD
     ", .topics = d);",
     "the topic \"a\" has no cs_topic pointer"},
    {"topic twice",
     "static cs_topic *t; static const cs_topic_def d[] = {{&t, \"a\", 0, 0, 0}, {&t, \"a\", 0, 0, "
     "0}, {0}}; CS_MODULE(" GOOD ", .topics = d);",
     "the topic \"a\" is declared twice"},
    {"topic too large",
     "static cs_topic *t; static const cs_topic_def d[] = {{&t, \"a\", 0, 65537, 0}, {0}}; "
     "CS_MODULE(" GOOD ", .topics = d);",
     "the topic \"a\" has max_len 65537: at most 65536 bytes"},
    {"latest value too large",
     "static cs_topic *t; static const cs_topic_def d[] = {{&t, \"a\", 0, 4097, CS_LATEST}, {0}}; "
     "CS_MODULE(" GOOD ", .topics = d);",
     "keeps its latest value and has max_len 4097: at most 4096 bytes"},
    {"topic with unknown flags",
     "static cs_topic *t; static const cs_topic_def d[] = {{&t, \"a\", 0, 0, 6}, {0}}; "
     "CS_MODULE(" GOOD ", .topics = d);",
     "the topic \"a\" has unknown flags 0x6: CS_LATEST is the only one"},
    {"zone without a name",
     "static cs_zone *z; static const cs_zone_def d[] = {{.ref = &z, .size = 1}, {0}}; "
     "CS_MODULE(" GOOD ", .zones = d);",
     "a zone is named \"\": a letter, then up to 30 of"},
    {"zone with a capital",
     "static cs_zone *z; static const cs_zone_def d[] = {{&z, \"A\", 1, 0, 0}, {0}}; "
     "CS_MODULE(" GOOD ", .zones = d);",
     "a zone is named \"A\""},
    {"zone without a pointer",
     "static const cs_zone_def d[] = {{0, \"a\", 1, 0, 0}, {0}}; CS_MODULE(" GOOD ", .zones = d);",
     "the zone \"a\" has no cs_zone pointer"},
    {"zone without a size",
     "static cs_zone *z; static const cs_zone_def d[] = {{&z, \"a\", 0, 0, 0}, {0}}; "
     "CS_MODULE(" GOOD ", .zones = d);",
     "the zone \"a\" has no size"},
    {"zone twice",
     "static cs_zone *z; static const cs_zone_def d[] = {{&z, \"a\", 1, 0, 0}, {&z, \"a\", 1, 0, "
     "0}, {0}}; CS_MODULE(" GOOD ", .zones = d);",
     "the zone \"a\" is declared twice"},
    {"default is no number",
     "struct c { int64_t n; }; static const cs_directive d[] = { CS_INT(struct c, n, \"abc\", 0, "
     "9, 0, \"Help.\"), "
     "CS_END }; CS_MODULE(" GOOD ", .directives = d, .conf_size = sizeof(struct c));",
     "the default of the key \"n\""},
    {"default out of range",
     "struct c { int64_t n; }; static const cs_directive d[] = { CS_INT(struct c, n, \"10\", 0, 9, "
     "0, \"Help.\"), "
     "CS_END }; CS_MODULE(" GOOD ", .directives = d, .conf_size = sizeof(struct c));",
     "the default of the key \"n\""},
    {"conf_size forgotten",
     "struct c { int64_t n; }; static const cs_directive d[] = { CS_INT(struct c, n, \"1\", 0, 9, "
     "0, \"Help.\"), "
     "CS_END }; CS_MODULE(" GOOD ", .directives = d);",
     "\"n\""},
    {"counter with a bad name",
     "static cs_counter *c; static const cs_counter_def t[] = {{&c, \"Hits\", \"h\"}, {0}}; "
     "CS_MODULE(" GOOD ", .counters = t);",
     "a counter is named \"Hits\": a letter, then a-z, 0-9 and \"_\""},
    {"counter without a name",
     "static cs_counter *c; static const cs_counter_def t[] = {{&c, 0, \"h\"}, {0}}; "
     "CS_MODULE(" GOOD ", .counters = t);",
     "a counter is named \"\""},
    {"counter without a pointer",
     "static const cs_counter_def t[] = {{0, \"hits_total\", \"h\"}, {0}}; CS_MODULE(" GOOD
     ", .counters = t);",
     "the counter \"hits_total\" has no cs_counter pointer"},
    {"counter twice",
     "static cs_counter *a, *b; static const cs_counter_def t[] = {{&a, \"hits_total\", \"\"}, "
     "{&b, \"hits_total\", "
     "\"\"}, {0}}; CS_MODULE(" GOOD ", .counters = t);",
     "the counter \"hits_total\" is declared twice"},
    {"counter with a long name",
     "static cs_counter *c; static const cs_counter_def t[] = {{&c, \"" LONG_NAME
     "\", 0}, {0}}; CS_MODULE(" GOOD ", .counters = t);",
     "is too long: at most 93 bytes"},
    {"undefined function",
     "int frobnicate(cs_req *); static int h(cs_req *r) { return frobnicate(r); } CS_MODULE(" GOOD
     ", .handler = h);",
     "cannot be loaded: undefined symbol: frobnicate: link the module with the library that has "
     "it; of cserver it "
     "may use only cserver.h"},
};

static void check_refusal(const struct row *row)
{
    if (row->source[0] == '=')
        write_file("x.so", row->source + 1);
    else
        compile("x.so", row->source, "");
    struct module m;
    struct buf error = {0};
    int rc = load(&m, "x", "x.so", &error);
    char *start = mem_printf("%s: ", path_of("x.so"));
    bool says = strncmp(error.p, start, strlen(start)) == 0 && strstr(error.p, row->says);
    if (rc != -1 || !says || m.desc) {
        fail_msg("%s: result %d\n  says     %s\n  expected %s%s", row->label, rc, error.p, start,
                 row->says);
    }
    free(start);
    buf_free(&error);
    module_free(&m);
}

static void test_refusals(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(wrong_rows); i++)
        check_refusal(&wrong_rows[i]);
    print_message("rows: %zu\n", ARRAY_LEN(wrong_rows));
}

static void test_no_file(void **state)
{
    (void)state;
    struct module m;
    struct buf error = {0};
    assert_int_equal(load(&m, "gone", "gone.so", &error), -1);
    assert_non_null(strstr(
        error.p, "gone.so: there is no such file: build or install the module, or say where it "
                 "lies with \"file\" in [module:gone] or \"modules\" in [server]"));
    assert_int_equal(m.fd, -1);
    assert_int_equal(load(&m, "x", ".", &error), -1);
    assert_non_null(strstr(error.p, "this is a folder"));
    assert_int_equal(load(&m, "x", "x.so/y", &error), -1);
    assert_non_null(strstr(error.p, "cannot be read: Not a directory"));
    buf_free(&error);
}

/* ---- Good ones ---------------------------------------------------------------------------------
 */

static int fake_reply(cs_req *r, int status, const char *type, cs_str body)
{
    (void)r;
    (void)type;
    (void)body;
    return status + 1;
}

static const char good_source[] =
    "struct conf { int64_t n; cs_str word; };\n"
    "static const cs_directive directives[] = {\n"
    "    CS_INT(struct conf, n, \"5\", 0, 10, 0, \"A number.\"),\n"
    "    CS_STRING(struct conf, word, \"hi\", 0, 10, CS_PER_ROUTE, \"A word.\"), CS_END };\n"
    "static cs_counter *hits;\n"
    "static const cs_counter_def counters[] = { { &hits, \"hits_total\", \"Hits.\" }, { 0 } };\n"
    "static int handler(cs_req *r) { return cs_text(r, 200, \"hi\"); }\n"
    "CS_MODULE(.name = \"good\", .version = \"1.2\", .help = \"Is good.\", .directives = "
    "directives,\n"
    "          .conf_size = sizeof(struct conf), .counters = counters, .handler = handler);\n";

static void test_good(void **state)
{
    (void)state;
    compile("good.so", good_source, "-fvisibility=hidden");
    struct module m;
    struct buf error = {0};
    int rc = load(&m, "good", "good.so", &error);
    if (rc != 0)
        fail_msg("refused: %s", error.p);
    assert_int_equal(error.n, 0);
    assert_string_equal(m.name, "good");
    assert_string_equal(m.path, path_of("good.so"));
    assert_string_equal(m.desc->version, "1.2");
    assert_string_equal(m.desc->counters[0].name, "hits_total");
    assert_null(*m.desc->api);
    static const cs_api api = {.size = sizeof(api), .reply = fake_reply};
    module_attach(&m, &api);
    assert_int_equal(m.desc->handler(NULL), 201);
    module_free(&m);
    assert_null(m.desc);
    assert_int_equal(m.fd, -1);
    module_free(&m);
    buf_free(&error);
}

static void make_numbered(const char *file, int number, const char *flags)
{
    char *source = mem_printf(
        "static int calls; static int h(cs_req *r) { return %d + calls++; } CS_MODULE(" GOOD
        ", .handler = h);",
        number);
    compile(file, source, flags);
    free(source);
}

static int call(const struct module *m)
{
    return m->desc->handler(NULL);
}

/* The file may be replaced, overwritten or removed once it has been copied. */
static void test_copy_is_private(void **state)
{
    (void)state;
    struct module m;
    struct buf error = {0};
    make_numbered("x.so", 100, "");
    assert_int_equal(module_copy(&m, "x", path_of("x.so"), &error), 0);
    make_numbered("new.so", 200, "");
    assert_int_equal(run("cd '%s' && cat new.so > x.so", folder), 0);
    assert_int_equal(module_load(&m, &error), 0);
    assert_int_equal(run("rm '%s'", path_of("x.so")), 0);
    assert_int_equal(call(&m), 100);
    module_free(&m);
    buf_free(&error);
}

/* A reload: the old code and the new live side by side, each with variables of its own. */
static void test_generations(void **state)
{
    (void)state;
    struct module old, new, again;
    struct buf error = {0};
    make_numbered("x.so", 100, "");
    assert_int_equal(load(&old, "x", "x.so", &error), 0);
    assert_int_equal(call(&old), 100);
    make_numbered("x.so", 200, "");
    assert_int_equal(load(&new, "x", "x.so", &error), 0);
    assert_int_equal(load(&again, "x", "x.so", &error), 0);
    assert_int_equal(call(&new), 200);
    assert_int_equal(call(&old), 101);
    assert_int_equal(call(&new), 201);
    assert_int_equal(call(&again), 200);
    module_free(&old);
    assert_int_equal(call(&new), 202);
    module_free(&new);
    module_free(&again);
    buf_free(&error);
}

/* Some libraries cannot be unloaded; their successor must not be taken for them. */
static void test_unload_refused(void **state)
{
    (void)state;
    struct module m;
    struct buf error = {0};
    for (int i = 1; i <= 4; i++) {
        make_numbered("x.so", 100 * i, "-Wl,-z,nodelete");
        assert_int_equal(load(&m, "x", "x.so", &error), 0);
        assert_int_equal(call(&m), 100 * i);
        module_free(&m);
    }
    buf_free(&error);
}

/* ---- What is there already --------------------------------------------------------------------- */

#define COPY "int pcre2_compile_8(void) { return 7; } int pcre2_match_8(void) { return 8; }"
#define MINE                                                                                       \
    "int pcre2_compile_8(void); static int h(cs_req *r) { (void)r; return pcre2_compile_8(); } "   \
    "CS_MODULE(" GOOD ", .handler = h);"

struct copy_row {
    const char *label;
    const char *library; /* flags that make the library's file, NULL: an archive */
    const char *file;    /* of the library */
    const char *flags;   /* of the module */
    const char *says;    /* behind "x.so: "; NULL: it is loaded */
};

static const struct copy_row copy_rows[] = {
    {"linked by its path", "-shared", "libpcre2-8.so.0", "'%s/libpcre2-8.so.0'",
     "it brings %s/libpcre2-8.so.0, another copy of /"},
    {"of another version", "-shared -Wl,-soname,libpcre2-8.so.7", "libpcre2-8.so.7",
     "'%s/libpcre2-8.so.7' -Wl,-rpath,'%s'", "it brings %s/libpcre2-8.so.7, another copy of /"},
    {"under another file's name", "-shared -Wl,-soname,libpcre2-8.so.7", "other.so",
     "'%s/other.so'", NULL}, /* the linker does not find libpcre2-8.so.7 */
    {"an archive", NULL, "copy.a", "'%s/copy.a'",
     "it defines pcre2_compile_8 and 1 more names that this program has from /"},
    {"an archive that is kept inside", NULL, "copy.a", "'%s/copy.a' -Wl,--exclude-libs,ALL", ""},
    {"a library that nobody has", "-shared", "libother.so.0", "'%s/libother.so.0'", ""},
    {"a name that begins the same", "-shared", "libpcre2-8x.so.0", "'%s/libpcre2-8x.so.0'", ""},
};

/* "%s" in it is the folder. */
static char *with_folder(const char *text)
{
    struct buf out = {0};
    for (const char *at; (at = strstr(text, "%s")); text = at + 2) {
        buf_add(&out, text, (size_t)(at - text));
        buf_add_z(&out, folder);
    }
    buf_add_z(&out, text);
    return out.p;
}

static void make_library(const struct copy_row *row)
{
    write_file("copy.c", COPY);
    if (row->library)
        assert_int_equal(
            run("cd '%s' && cc -fPIC %s -o %s copy.c", folder, row->library, row->file), 0);
    else
        assert_int_equal(
            run("cd '%s' && cc -fPIC -c copy.c && ar rcs %s copy.o", folder, row->file), 0);
}

static void check_copy(const struct copy_row *row)
{
    char *flags = with_folder(row->flags), *says = with_folder(row->says ? row->says : "");
    struct module m;
    struct buf error = {0};
    make_library(row);
    /* Behind the source, where the linker wants libraries. */
    write_file("y.c", "#include <cserver/cserver.h>\n" MINE);
    const char *root = getenv("CSERVER_SRC");
    assert_int_equal(run("cc -w -shared -fPIC -I'%s/src/api' -o '%s/x.so' '%s/y.c' %s",
                         root ? root : ".", folder, folder, flags),
                     0);
    int rc = load(&m, "x", "x.so", &error);
    if (row->says && !*row->says && rc != 0)
        fail_msg("%s: %s", row->label, error.p);
    if ((!row->says || *row->says) && rc == 0)
        fail_msg("%s: it is loaded", row->label);
    if (!strstr(error.p, says))
        fail_msg("%s: %s", row->label, error.p);
    module_free(&m);
    run("cd '%s' && rm -f %s copy.o x.so", folder, row->file);
    buf_free(&error);
    free(flags);
    free(says);
}

static void test_copies(void **state)
{
    uint32_t used; /* else this program would not have the library */

    (void)state;
    assert_int_equal(pcre2_config(PCRE2_CONFIG_JIT, &used), 0);
    for (size_t i = 0; i < ARRAY_LEN(copy_rows); i++)
        check_copy(&copy_rows[i]);
    printf("rows: %zu\n", ARRAY_LEN(copy_rows));
}

/* Names of libc, with the remedy. */
static void test_names(void **state)
{
    (void)state;
    struct module m;
    struct buf error = {0};
    compile("x.so", "char *index(const char *s, int c) { return 0; } CS_MODULE(" GOOD ");", "");
    assert_int_equal(load(&m, "x", "x.so", &error), -1);
    assert_non_null(strstr(error.p, "it defines index that this program has from /"));
    assert_non_null(strstr(error.p, "-fvisibility=hidden"));
    module_free(&m);
    compile("x.so", "char *index(const char *s, int c) { return 0; } CS_MODULE(" GOOD ");",
            "-fvisibility=hidden");
    assert_int_equal(load(&m, "x", "x.so", &error), 0);
    module_free(&m);
    buf_free(&error);
}

/* ---- Where they lie ----------------------------------------------------------------------------
 */

static void test_paths(void **state)
{
    (void)state;
    static const struct {
        const char *label, *name, *file, *expect;
    } rows[] = {
        {"no file", "hello", "", "/mods/hello.so"},
        {"plain name", "hello", "greet.so", "/mods/greet.so"},
        {"below the prefix", "hello", "lib/greet.so", "/srv/lib/greet.so"},
        {"dot and slash", "hello", "./greet.so", "/srv/./greet.so"},
        {"absolute", "hello", "/opt/greet.so", "/opt/greet.so"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char *got = module_path(rows[i].name, str_of(rows[i].file), "/mods", "/srv");
        if (strcmp(got, rows[i].expect) != 0)
            fail_msg("%s: %s, expected %s", rows[i].label, got, rows[i].expect);
        free(got);
    }
    print_message("rows: %zu\n", ARRAY_LEN(rows));
}

/* This program, copied to folder/place, says its default folder. */
static void ask(const char *place, char *out, size_t n)
{
    char *dir = file_dirname(place);
    assert_int_equal(run("mkdir -p '%s/%s' && cp /proc/%d/exe '%s/%s'", folder, dir, (int)getpid(),
                         folder, place),
                     0);
    free(dir);
    char *command = mem_printf("'%s' --default-folder", path_of(place));
    FILE *f = popen(command, "r");
    free(command);
    assert_non_null(f);
    size_t got = fread(out, 1, n - 1, f);
    out[got] = '\0';
    assert_int_equal(pclose(f), 0);
}

static void test_default_folder(void **state)
{
    (void)state;
    static const struct {
        const char *label, *program, *mkdir; /* below the test's folder */
        const char *below;                   /* the answer starts with the test's folder and this */
        const char *expect;
    } rows[] = {
        {"build folder", "build/cserver", "build/modules", "/build", "/modules"},
        {"lonely program", "lonely/cserver", "lonely", NULL, CSERVER_MODULE_DIR},
        {"staged", "dest" CSERVER_SBINDIR "/cserver", "dest", "/dest", CSERVER_MODULE_DIR},
        {"staged, modules beside it", "dest2" CSERVER_SBINDIR "/cserver",
         "dest2" CSERVER_SBINDIR "/modules", "/dest2", CSERVER_MODULE_DIR},
        {"other name", "dest3" CSERVER_SBINDIR "/other", "dest3" CSERVER_SBINDIR "/modules",
         "/dest3" CSERVER_SBINDIR, "/modules"},
        {"path with blanks", "a b/cserver", "a b/modules", "/a b", "/modules"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char got[PATH_MAX], expect[2 * PATH_MAX];
        assert_int_equal(run("mkdir -p '%s'", path_of(rows[i].mkdir)), 0);
        ask(rows[i].program, got, sizeof(got));
        snprintf(expect, sizeof(expect), "%s%s%s", rows[i].below ? folder : "",
                 rows[i].below ? rows[i].below : "", rows[i].expect);
        if (strcmp(got, expect) != 0)
            fail_msg("%s: %s, expected %s", rows[i].label, got, expect);
    }
    print_message("rows: %zu\n", ARRAY_LEN(rows));
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--default-folder") == 0) {
        char *path = module_default_folder();
        fputs(path, stdout);
        free(path);
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals),    cmocka_unit_test(test_no_file),
        cmocka_unit_test(test_good),        cmocka_unit_test(test_copy_is_private),
        cmocka_unit_test(test_generations), cmocka_unit_test(test_unload_refused),
        cmocka_unit_test(test_copies),      cmocka_unit_test(test_names),
        cmocka_unit_test(test_paths),       cmocka_unit_test(test_default_folder),
    };
    return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
