/* Reading shared objects: what a compiler makes, and the same with bytes that lie. */
#include "os/elf.h"

#include "base/check.h"
#include "base/mem.h"
#include "os/fd.h"
#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[PATH_MAX];

static int make_folder(void **state)
{
    char name[] = "/tmp/cserver-elf-XXXXXX";

    (void)state;
    return mkdtemp(name) && realpath(name, folder) ? 0 : -1;
}

static int drop_folder(void **state)
{
    char *command = mem_printf("rm -rf '%s'", folder);
    int rc = system(command);

    (void)state;
    free(command);
    return rc;
}

static char *compile(const char *source, const char *flags)
{
    char *c = file_join(folder, "x.c"), *so = file_join(folder, "x.so");
    char *command = mem_printf("cc -w -fPIC -nostdlib -o '%s' '%s' %s", so, c, flags);

    assert_int_equal(file_write_atomic(c, str_of(source), 0644), 0);
    if (system(command) != 0)
        fail_msg("cannot compile with %s", flags);
    free(command);
    free(c);
    return so;
}

struct row {
    const char *label, *flags;
    const char *facts; /* a word for each fact, in the order of describe */
};

static const struct row rows[] = {
    {"as careful as can be", "-shared -Wl,-z,relro,-z,now,-z,noexecstack", "relro now"},
    {"lazy", "-shared -Wl,-z,relro,-z,lazy,-z,noexecstack", "relro"},
    {"without relro", "-shared -Wl,-z,norelro,-z,now,-z,noexecstack", "now"},
    {"a stack with code", "-shared -Wl,-z,relro,-z,now,-z,execstack", "relro now stack"},
    {"a name", "-shared -Wl,-z,relro,-z,now,-z,noexecstack,-soname,libx.so.3",
     "relro now libx.so.3"},
};

static void describe(const struct elf *e, struct buf *out)
{
    if (e->relro)
        buf_add_z(out, " relro");
    if (e->bind_now)
        buf_add_z(out, " now");
    if (e->exec_stack)
        buf_add_z(out, " stack");
    if (e->text_relocs)
        buf_add_z(out, " text");
    if (e->soname)
        buf_printf(out, " %s", e->soname);
}

static void test_facts(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char *so = compile("int x(void) { return 1; }", rows[i].flags);
        struct buf out = {0};
        struct elf e;

        assert_int_equal(elf_open_path(&e, so), 0);
        describe(&e, &out);
        if (strcmp(out.p + 1, rows[i].facts) != 0)
            fail_msg("%s: %s", rows[i].label, out.p);
        elf_close(&e);
        buf_free(&out);
        free(so);
    }
    printf("rows: %zu\n", ARRAY_LEN(rows));
}

/* "name" of each symbol, with "?" where it is to be found elsewhere, "~" where it is weak. */
static void symbols_of(const struct elf *e, struct buf *out)
{
    struct elf_symbol s;

    for (size_t i = 0; i < e->nsymbols; i++)
        if (elf_symbol(e, i, &s))
            buf_printf(out, " %s%s%s", s.name, s.defined ? "" : "?", s.weak ? "~" : "");
}

static void test_symbols(void **state)
{
    static const char source[] =
        "int seen(void); extern int wanted; __attribute__((weak)) int maybe(void); "
        "__attribute__((visibility(\"hidden\"))) int hidden(void) { return 1; } static int own; "
        "int seen(void) { own++; return wanted + hidden() + (maybe ? maybe() : 0); }";
    char *so = compile(source, "-shared -Wl,-soname,me.so");
    struct buf out = {0};
    struct elf e;

    (void)state;
    assert_int_equal(elf_open_path(&e, so), 0);
    symbols_of(&e, &out);
    assert_non_null(strstr(out.p, " seen"));
    assert_null(strstr(out.p, " seen?"));
    assert_non_null(strstr(out.p, " wanted?"));
    assert_non_null(strstr(out.p, " maybe?~"));
    assert_null(strstr(out.p, "hidden"));
    assert_null(strstr(out.p, "own"));
    assert_null(elf_needed(&e, 0));
    elf_close(&e);
    buf_free(&out);
    free(so);
}

static void test_needed(void **state)
{
    struct elf e;
    char *so = compile("int x;", "-shared -Wl,--no-as-needed -lm -lc");

    (void)state;
    assert_int_equal(elf_open_path(&e, so), 0);
    assert_string_equal(elf_needed(&e, 0), "libm.so.6");
    assert_string_equal(elf_needed(&e, 1), "libc.so.6");
    assert_null(elf_needed(&e, 2));
    elf_close(&e);
    free(so);
}

static void test_none(void **state)
{
    char *so = compile("void _start(void) {}", "-no-pie -static"),
         *text = file_join(folder, "text");
    struct elf e;

    (void)state;
    assert_int_equal(elf_open_path(&e, so), -ENOEXEC);
    assert_int_equal(file_write_atomic(text,
                                       CS_S("no object, however long it is, makes an object "
                                            "of itself by being long enough for a head"),
                                       0644),
                     0);
    assert_int_equal(elf_open_path(&e, text), -ENOEXEC);
    assert_int_equal(elf_open_path(&e, folder), -ENOEXEC);
    assert_int_equal(elf_open_path(&e, "/nowhere/at/all"), -ENOENT);
    free(so);
    free(text);
}

/* Whatever the bytes say, nothing beyond them is read: the last page of the file ends where the mapping does. */
static void look_at(struct elf *e)
{
    struct buf out = {0};

    describe(e, &out);
    symbols_of(e, &out);
    for (size_t i = 0; elf_needed(e, i) && i < 1000; i++)
        buf_add_z(&out, elf_needed(e, i));
    buf_free(&out);
}

static void try_bytes(cs_str bytes)
{
    int fd = memfd_create("elf", MFD_CLOEXEC);
    struct elf e;

    assert_true(fd >= 0);
    assert_int_equal(fd_write_all(fd, bytes.p, bytes.n), 0);
    if (elf_open(&e, fd) == 0) {
        look_at(&e);
        elf_close(&e);
    }
    fd_close(&fd);
}

static void test_lies(void **state)
{
    static const unsigned char values[] = {0, 1, 0x7f, 0x80, 0xff};
    char *so = compile("int x(void) { return 1; } int y; int z(void); int w(void) { return z(); }",
                       "-shared -Wl,-soname,libx.so.3 -s");
    struct buf bytes = {0};
    size_t n = 0;

    (void)state;
    assert_int_equal(file_read(so, 1 << 20, &bytes), 0);
    for (size_t at = 0; at < bytes.n; at += at < 1024 ? 3 : 29) {
        char old = bytes.p[at];

        for (size_t i = 0; i < sizeof values; i++, n++) {
            bytes.p[at] = (char)values[i];
            try_bytes(buf_str(&bytes));
        }
        bytes.p[at] = old;
    }
    for (size_t cut = 0; cut < bytes.n; cut += 301, n++)
        try_bytes((cs_str){bytes.p, cut});
    printf("rows: %zu\n", n);
    buf_free(&bytes);
    free(so);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_facts), cmocka_unit_test(test_symbols),
                                       cmocka_unit_test(test_needed), cmocka_unit_test(test_none),
                                       cmocka_unit_test(test_lies)};

    return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
