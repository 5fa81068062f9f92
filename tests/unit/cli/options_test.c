/* Command lines. */
#include "cli/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define MOST 8

struct row {
    const char *label;
    const char *args[MOST];
    const char *
        what; /* "action conf prefix log command flags timeout overrides", or "!" and a part of the error */
};

static const struct row rows[] = {
    {"nothing", {0}, "0 - - - - . -1 0"},
    {"a file", {"-c", "x.ini"}, "0 x.ini - - - . -1 0"},
    {"joined", {"-cx.ini"}, "0 x.ini - - - . -1 0"},
    {"long", {"--config", "x.ini"}, "0 x.ini - - - . -1 0"},
    {"long, joined", {"--config=x.ini"}, "0 x.ini - - - . -1 0"},
    {"the last one wins", {"-c", "a", "-c", "b"}, "0 b - - - . -1 0"},
    {"test", {"-t"}, "1 - - - - . -1 0"},
    {"quiet test, joined", {"-tq"}, "1 - - - - q -1 0"},
    {"test with file, joined", {"-tqc", "x"}, "1 x - - - q -1 0"},
    {"print wins over test", {"-T", "-t"}, "2 - - - - . -1 0"},
    {"help wins over all", {"-h", "-t", "-v"}, "6 - - - - . -1 0"},
    {"command", {"-s", "reload"}, "3 - - - reload . -1 0"},
    {"command and file, in this order", {"-s", "stop", "-c", "x"}, "3 x - - stop . -1 0"},
    {"command and file, in that order", {"-c", "x", "-s", "stop"}, "3 x - - stop . -1 0"},
    {"json", {"-s", "status", "--json"}, "3 - - - status j -1 0"},
    {"timeout in seconds", {"--timeout", "5", "-s", "stop"}, "3 - - - stop . 5000 0"},
    {"timeout with unit", {"--timeout=2m"}, "0 - - - - . 120000 0"},
    {"timeout in ms", {"--timeout=250ms"}, "0 - - - - . 250 0"},
    {"no timeout", {"--timeout=0"}, "0 - - - - . 0 0"},
    {"daemon", {"-D"}, "0 - - - - d -1 0"},
    {"prefix and log", {"-p", "/x", "-e", "stderr"}, "0 - /x stderr - . -1 0"},
    {"overrides", {"-g", "a.b=1", "--set=c.d=2"}, "0 - - - - . -1 2"},
    {"version", {"-v"}, "4 - - - - . -1 0"},
    {"build", {"-V"}, "5 - - - - . -1 0"},
    {"reference", {"--reference"}, "7 - - - - . -1 0"},
    {"unknown letter", {"-x"}, "!unknown option -x"},
    {"unknown letter behind known ones", {"-tqx"}, "!unknown option -x"},
    {"unknown word", {"--frobnicate"}, "!unknown option --frobnicate"},
    {"nearly a word", {"--confg", "x"}, "!did you mean --config?"},
    {"missing value", {"-c"}, "!-c needs a value"},
    {"missing long value", {"--config"}, "!--config needs a value"},
    {"empty value", {"-c", ""}, "!-c needs a value"},
    {"a value too many", {"--test=x"}, "!takes no value"},
    {"unknown command", {"-s", "restart"}, "!not \"restart\""},
    {"test and command", {"-t", "-s", "reload"}, "!not both"},
    {"command and print", {"-s", "reload", "-T"}, "!not both"},
    {"daemon and command", {"-D", "-s", "stop"}, "!not both"},
    {"two commands", {"-s", "stop", "-s", "reload"}, "!one -s at a time"},
    {"bad time", {"--timeout=soon"}, "!--timeout takes a time"},
    {"time too long", {"--timeout=25000h"}, "!--timeout takes a time"},
    {"a command without -s", {"reload"}, "!did you mean -s reload?"},
    {"a word", {"x.ini"}, "!what is \"x.ini\"?"},
    {"a dash", {"-"}, "!what is \"-\"?"},
    {"two dashes", {"--"}, "!what is \"--\"?"},
};

static const char *or_dash(const char *z)
{
    return z ? z : "-";
}

static void describe(const struct options *o, struct buf *out)
{
    buf_printf(out, "%d %s %s %s %s %s %lld %zu", (int)o->action, or_dash(o->conf),
               or_dash(o->prefix), or_dash(o->error_log), or_dash(o->command),
               o->daemon  ? "d"
               : o->quiet ? "q"
               : o->json  ? "j"
                          : ".",
               (long long)o->timeout_ms, o->noverrides);
}

static void try_row(const struct row *row)
{
    char copies[MOST][32], *argv[MOST + 2] = {(char[]){"cserver"}};
    struct buf out = {0}, error = {0};
    struct options o;
    int argc = 1;

    for (int i = 0; i < MOST && row->args[i]; i++) {
        snprintf(copies[i], sizeof copies[i], "%s", row->args[i]);
        argv[argc++] = copies[i];
    }
    if (options_parse(argc, argv, &o, &error) == 0)
        describe(&o, &out);
    else
        buf_printf(&out, "!%s", error.p);
    if (row->what[0] == '!' ? !(out.p[0] == '!' && strstr(out.p, row->what + 1))
                            : strcmp(out.p, row->what) != 0)
        fail_msg("%s: %s, not %s", row->label, out.p, row->what);
    options_free(&o);
    buf_free(&out);
    buf_free(&error);
}

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        try_row(&rows[i]);
    printf("rows: %zu\n", sizeof rows / sizeof *rows);
}

/* Every option has its line, and lines fit a terminal. */
static void test_help(void **state)
{
    static const char *const words[] = {"--config", "--test", "--signal", "--daemon", "--timeout"};
    struct buf out = {0};
    cs_str rest, line;

    (void)state;
    options_help(&out, false);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        assert_non_null(strstr(out.p, words[i]));
    rest = buf_str(&out);
    while (str_split(&rest, '\n', &line))
        if (line.n > 100)
            fail_msg("too long: %.*s", (int)line.n, line.p);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows), cmocka_unit_test(test_help)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
