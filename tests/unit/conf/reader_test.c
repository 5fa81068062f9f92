/* reader_test.c - files on a disk: includes, their order, and what goes wrong with them. */
#include "fake.h"

#include "base/mem.h"

#include <ftw.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char *top; /* a folder of our own; the tests run inside it */

static int on_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static int make_top(void **state)
{
    char template[] = "/tmp/conf_test_XXXXXX";

    (void)state;
    top = realpath(mkdtemp(template), NULL);
    return chdir(top);
}

static int remove_top(void **state)
{
    (void)state;
    if (chdir("/") < 0 || nftw(top, on_entry, 8, FTW_DEPTH | FTW_PHYS) < 0)
        return -1;
    free(top);
    return 0;
}

static void write_file(const char *path, const char *text)
{
    char *copy = mem_strdup(path);
    FILE *f;

    for (char *slash = copy; (slash = strchr(slash + 1, '/'));) {
        *slash = '\0';
        mkdir(copy, 0755);
        *slash = '/';
    }
    f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    free(copy);
}

static void read_path(struct fake *f, const char *path)
{
    struct conf_read_opts opts = {.prefix = NULL};

    f->conf = NULL;
    report_init(&f->rep);
    f->text = conf_read(path, &opts, &f->rep);
}

static void check_sections(const struct fake *f, const char *want)
{
    char got[200] = "";

    if (f->rep.errors)
        fail_msg("%s", fake_report(f));
    for (const struct conf_section *s = f->text->first; s; s = s->next) {
        strcat(got, s->label.n ? s->label.p : s->kind.p);
        strcat(got, " ");
    }
    assert_string_equal(got, want);
}

static void check_error(const struct fake *f, const char *want)
{
    if (f->rep.errors != 1 || !strstr(fake_report(f), want))
        fail_msg("%u errors, no \"%s\" in:\n%s", f->rep.errors, want, fake_report(f));
}

static void test_pattern(void **state)
{
    struct fake f;

    (void)state;
    write_file("conf/a.ini", "[server]\ninclude = sites/*.ini\nworkers = 3\n[accept]\n");
    write_file("conf/sites/20.ini", "[site:x20]\nhost = b\n");
    write_file("conf/sites/100.ini", "[site:x100]\nhost = a\n");
    write_file("conf/sites/30.ini~", "[nonsense\n");
    write_file("conf/sites/.hidden.ini", "[nonsense\n");
    read_path(&f, "conf/a.ini");
    check_sections(&f, "server x100 x20 accept ");
    assert_string_equal(f.text->prefix, top);
    assert_true(
        str_is(f.text->first->first->key, "workers")); /* [server] goes on behind the include */
    assert_string_equal(f.text->first->next->at.file, "conf/sites/100.ini");
    fake_free(&f);
}

static void test_lists_and_places(void **state)
{
    struct fake f;

    (void)state;
    write_file("l/a.ini",
               "include = b.ini, none*.ini,\n  c.ini\ninclude = \"d,d.ini\"\n[server]\n");
    write_file("l/b.ini", "include = sub/e.ini\n[site:b]\nhost = b\n");
    write_file("l/c.ini", "[site:c]\nhost = c\n");
    write_file("l/d,d.ini", "[site:d]\nhost = d\n");
    write_file("l/sub/e.ini", "include = ../f.ini\n[site:e]\nhost = e\n");
    write_file("l/f.ini", "[site:f]\nhost = f\n");
    read_path(&f, "l/a.ini");
    check_sections(&f, "f e b c d server ");
    fake_free(&f);
}

/* The including folder's own name is no pattern. */
static void test_odd_folder(void **state)
{
    struct fake f;

    (void)state;
    write_file("o [x]*\\/a.ini", "include = s*.ini\n");
    write_file("o [x]*\\/s1.ini", "[site:s1]\n");
    read_path(&f, "o [x]*\\/a.ini");
    check_sections(&f, "s1 ");
    fake_free(&f);
}

static void test_errors_of_includes(void **state)
{
    static const struct {
        const char *label, *main, *other, *want;
    } rows[] = {
        {"missing file", "include = none.ini\n", "",
         "m.ini:1:11: error: \"e/none.ini\" cannot be read: No such file"},
        {"a folder", "include = dir\n", "", "\"e/dir\" is not a file"},
        {"itself", "[server]\ninclude = m.ini\n", "",
         "m.ini:2:11: error: \"e/m.ini\" includes itself"},
        {"a pattern with itself", "include = m*.ini\n", "", "includes itself"},
        {"a loop", "include = o.ini\n", "include = m.ini\n",
         "e/o.ini:1:11: error: \"e/m.ini\" includes itself"},
        {"a loop below", "include = o.ini\n", "include = ./o.ini\n", "o.ini\" includes itself"},
        {"twice", "include = o.ini\n\ninclude = ./o.ini\n", "[accept]\n",
         "m.ini:3:11: error: \"e/./o.ini\" is included a second time; the first time is at "
         "e/m.ini:1"},
        {"a section of two files", "include = o.ini\n[accept]\n", "[accept]\n",
         "e/m.ini:2:1: error: [accept] is opened a second time; the first time is at e/o.ini:1"},
        {"a mistake in there", "include = o.ini\n", "[server]\nworkers\n",
         "e/o.ini:2:1: error: a line without"},
        {"a key before any section in there", "[server]\ninclude = o.ini\n", "workers = 3\n",
         "e/o.ini:1:1: error: a key before the first section"},
        {"a variable that is not set", "include = ${env.CS_TEST_NOT_SET}.ini\n", "", "is not set"},
    };

    (void)state;
    unsetenv("CS_TEST_NOT_SET");
    write_file("e/dir/x", "");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct fake f;

        write_file("e/m.ini", rows[i].main);
        write_file("e/o.ini", rows[i].other);
        read_path(&f, "e/m.ini");
        if (f.rep.errors != 1 || !strstr(fake_report(&f), rows[i].want))
            fail_msg("row \"%s\": %u errors, no \"%s\" in:\n%s", rows[i].label, f.rep.errors,
                     rows[i].want, fake_report(&f));
        fake_free(&f);
    }
    printf("rows: %zu\n", ARRAY_LEN(rows));
}

static void test_depth(void **state)
{
    struct fake f;

    (void)state;
    for (int i = 0; i < 10; i++) {
        char name[32], text[64];

        snprintf(name, sizeof name, "d/%d.ini", i);
        snprintf(text, sizeof text, "include = %d.ini\n[site:s%d]\n", i + 1, i);
        write_file(name, text);
    }
    write_file("d/10.ini", "");
    read_path(&f, "d/2.ini");
    check_sections(&f, "s9 s8 s7 s6 s5 s4 s3 s2 ");
    fake_free(&f);
    read_path(&f, "d/1.ini");
    check_error(&f, "more than 8 deep");
    fake_free(&f);
}

static void test_main_file(void **state)
{
    struct fake f;

    (void)state;
    read_path(&f, "no/such.ini");
    assert_null(f.text);
    check_error(&f, "no/such.ini: error: the settings file cannot be read: No such file");
    fake_free(&f);
    mkdir("folder.ini", 0755);
    read_path(&f, "folder.ini");
    assert_null(f.text);
    check_error(&f, "Is a directory");
    fake_free(&f);
    write_file("plain.ini", "[server]");
    read_path(&f, "plain.ini");
    check_sections(&f, "server ");
    fake_free(&f);
}

/* A pipe that nobody writes to must not hold up the server. */
static void test_fifo(void **state)
{
    struct fake f;

    (void)state;
    write_file("p/m.ini", "include = *.fifo\n");
    assert_int_equal(mkfifo("p/x.fifo", 0600), 0);
    read_path(&f, "p/m.ini");
    check_error(&f, "\"p/x.fifo\" is not a file");
    fake_free(&f);
}

static void test_large_file(void **state)
{
    struct buf b = {0};
    struct fake f;

    (void)state;
    for (int i = 0; i < (4 << 20) / 16; i++)
        buf_add_z(&b, "; fifteen bytes\n");
    write_file("big.ini", b.p);
    read_path(&f, "big.ini");
    check_sections(&f, "");
    fake_free(&f);
    buf_add_char(&b, '\n');
    write_file("big.ini", b.p);
    read_path(&f, "big.ini");
    check_error(&f, "larger than 4 MiB");
    fake_free(&f);
    buf_free(&b);
}

/* Bytes in memory never lead to files. */
static void test_bytes_include_nothing(void **state)
{
    struct fake f;

    (void)state;
    write_file("x.ini", "[accept]\n");
    fake_read(&f, "include = x.ini\n", NULL, 0);
    check_error(&f, "not possible here");
    fake_free(&f);
}

/* Thousands of mistakes are not all told. */
static void test_many_errors(void **state)
{
    struct buf b = {0};
    struct fake f;

    (void)state;
    buf_add_z(&b, "[server]\n");
    for (int i = 0; i < 100000; i++)
        buf_add_z(&b, "?\n");
    fake_read(&f, b.p, NULL, 0);
    assert_true(f.rep.errors > 100 && f.rep.errors < 1000);
    assert_non_null(strstr(fake_report(&f), "too many errors"));
    fake_free(&f);
    buf_free(&b);
}

static void test_prefix(void **state)
{
    static const struct {
        const char *path, *want; /* want: "." stands for our folder */
    } rows[] = {
        {"q/conf/c.ini", "/q"},
        {"conf/c.ini", ""},
        {"q/c.ini", "/q"},
        {"c.ini", ""},
        {"q/etc/cserver/c.ini", "/q"},
        {"q/cserver/c.ini", "/q/cserver"},
        {"q/my conf/c.ini", "/q/my conf"},
        {"q/myconf/c.ini", "/q/myconf"},
        {"link/c.ini", "/q"},
        {"gone/conf/c.ini", "/gone"},
    };

    (void)state;
    write_file("q/conf/c.ini", "");
    write_file("q/etc/cserver/c.ini", "");
    write_file("q/cserver/c.ini", "");
    write_file("q/my conf/c.ini", "");
    write_file("q/myconf/c.ini", "");
    assert_int_equal(symlink("q/conf", "link"), 0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char *got = conf_prefix_of(rows[i].path), *want = mem_printf("%s%s", top, rows[i].want);

        if (strcmp(got, want) != 0)
            fail_msg("prefix of %s: %s, not %s", rows[i].path, got, want);
        free(got);
        free(want);
    }
    char *root = conf_prefix_of("/etc/cserver/cserver.ini");
    assert_string_equal(root, "/");
    free(root);
    printf("rows: %zu\n", ARRAY_LEN(rows));
}

/* The example of the reference is a file that works. */
static void test_example_of_the_reference(void **state)
{
    struct buf page = {0};
    const char *from;
    char *to;
    struct fake f;

    (void)state;
    conf_reference(NULL, 0, &page);
    from = strstr(page.p, "```ini\n") + strlen("```ini\n");
    to = strstr(from, "```");
    *to = '\0';
    write_file("r/conf/c.ini", from);
    unsetenv("WWW");
    read_path(&f, "r/conf/c.ini");
    check_sections(&f, "server main ");
    fake_bind(&f);
    if (f.rep.errors || f.rep.warnings)
        fail_msg("%s", fake_report(&f));
    assert_string_equal(f.conf->sites[0].root.p, "/srv/www");
    assert_int_equal(f.conf->sites[0].host.n, 2);
    buf_free(&page);
    fake_free(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pattern),
        cmocka_unit_test(test_lists_and_places),
        cmocka_unit_test(test_odd_folder),
        cmocka_unit_test(test_errors_of_includes),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_main_file),
        cmocka_unit_test(test_fifo),
        cmocka_unit_test(test_large_file),
        cmocka_unit_test(test_bytes_include_nothing),
        cmocka_unit_test(test_many_errors),
        cmocka_unit_test(test_prefix),
        cmocka_unit_test(test_example_of_the_reference),
    };

    return cmocka_run_group_tests(tests, make_top, remove_top);
}
