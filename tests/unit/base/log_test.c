/* log_test.c - lines as they arrive at the other end of a pipe. */
#include "base/log.h"

#include "base/check.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static int pipe_fds[2];
static time_t pretended; /* 0: the real time */
static char line[2 * LOG_LINE_MAX];

static int open_pipe(void **state)
{
    (void)state;
    log_set_level(LOG_LEVEL_INFO);
    log_set_name("master");
    return pipe2(pipe_fds, O_NONBLOCK);
}

static int close_pipe(void **state)
{
    (void)state;
    log_open(STDERR_FILENO, false);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    return 0;
}

/* Takes the place of the C library's in this program, so that a line can be written on any day. */
int clock_gettime(clockid_t id, struct timespec *ts)
{
    if (pretended && id == CLOCK_REALTIME) {
        *ts = (struct timespec){.tv_sec = pretended, .tv_nsec = 7999999};
        return 0;
    }
    return (int)syscall(SYS_clock_gettime, id, ts);
}

/* Everything in the pipe; its length. */
static size_t take(void)
{
    ssize_t n = read(pipe_fds[0], line, sizeof(line) - 1);
    size_t len = n > 0 ? (size_t)n : 0;
    line[len] = '\0';
    return len;
}

/* What follows the head of a text line. */
static const char *sentence(void)
{
    const char *at = strstr(line, "]: ");
    return at ? at + 3 : "(no head)";
}

static void write_pairs(const struct log_pair *pairs, size_t n, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void write_pairs(const struct log_pair *pairs, size_t n, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    log_write_with(LOG_LEVEL_INFO, pairs, n, fmt, ap);
    va_end(ap);
}

static void test_head(void **state)
{
    (void)state;
    int year, month, day, hour, minute, second, ms, pid, end = 0;
    time_t now = time(NULL);
    log_open(pipe_fds[1], false);
    log_warn("sentence %d", 5);
    take();
    assert_int_equal(sscanf(line, "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ warn master[%d]: sentence 5%n",
                            &year, &month, &day, &hour, &minute, &second, &ms, &pid, &end),
                     8);
    assert_int_equal(pid, getpid());
    assert_string_equal(line + end, "\n");
    struct tm tm = {.tm_year = year - 1900,
                    .tm_mon = month - 1,
                    .tm_mday = day,
                    .tm_hour = hour,
                    .tm_min = minute,
                    .tm_sec = second};
    time_t said = timegm(&tm);
    assert_true(said >= now && said <= now + 2);
}

static void test_dates(void **state)
{
    (void)state;
    char want[64];
    struct tm tm;
    int days = 0;
    log_open(pipe_fds[1], false);
    for (time_t day = 1; day<60000; day += day % 365> 50 && day % 365 < 330 ? 30 : 1) {
        pretended = day * 86400 + day % 86400;
        log_info("x");
        take();
        gmtime_r(&pretended, &tm);
        strftime(want, sizeof(want), "%Y-%m-%dT%H:%M:%S.007Z info", &tm);
        if (memcmp(line, want, strlen(want)) != 0)
            fail_msg("day %ld: %.30s, not %s", (long)day, line, want);
        days++;
    }
    pretended = 0;
    assert_true(days > 10000);
}

static void test_text_escapes(void **state)
{
    (void)state;
    static const struct {
        const char *label, *text, *want;
    } table[] = {
        {"plain", "all fine", "all fine\n"},
        {"empty", "", "\n"},
        {"newline", "a\nb", "a\\nb\n"},
        {"faked line", "a\r\n2026 info", "a\\r\\n2026 info\n"},
        {"tab", "a\tb", "a\\tb\n"},
        {"terminal escape", "\x1b[31m", "\\x1b[31m\n"},
        {"delete", "\x7f", "\\x7f\n"},
        {"C1 control", "\xc2\x9b", "\\xc2\\x9b\n"},
        {"no-break space is none", "\xc2\xa0", "\xc2\xa0\n"},
        {"UTF-8", "\xc3\xa4\xe2\x82\xac", "\xc3\xa4\xe2\x82\xac\n"},
        {"Latin-1", "M\xfcller", "M\\xfcller\n"},
        {"quotes and backslashes", "\"\\d\"", "\"\\d\"\n"},
    };
    log_open(pipe_fds[1], false);
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        log_info("%s", table[i].text);
        take();
        if (strcmp(sentence(), table[i].want) != 0)
            fail_msg("row \"%s\": %s", table[i].label, line);
    }
    printf("rows: %zu\n", ARRAY_LEN(table));
}

static void test_text_pairs(void **state)
{
    (void)state;
    static const struct {
        const char *value, *want;
    } table[] = {
        {"plain", "s k=plain\n"},
        {"", "s k=\"\"\n"},
        {"two words", "s k=\"two words\"\n"},
        {"a\"b", "s k=\"a\\\"b\"\n"},
        {"a\\b", "s k=\"a\\\\b\"\n"},
        {"a\nb", "s k=a\\nb\n"},
        {"a\nb c", "s k=\"a\\nb c\"\n"},
    };
    log_open(pipe_fds[1], false);
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct log_pair pair = {"k", str_of(table[i].value)};
        write_pairs(&pair, 1, "%s", "s");
        take();
        if (strcmp(sentence(), table[i].want) != 0)
            fail_msg("row \"%s\": %s", table[i].value, line);
    }
    struct log_pair two[] = {{"a", CS_S("1")}, {"b", CS_S("2")}};
    write_pairs(two, 2, "%s", "s");
    take();
    assert_string_equal(sentence(), "s a=1 b=2\n");
    printf("rows: %zu\n", ARRAY_LEN(table) + 1);
}

static void test_json(void **state)
{
    (void)state;
    char want[256];
    struct log_pair pairs[] = {{"id", CS_S("x\"y")}, {"path", CS_S("/a\xff")}};
    log_open(pipe_fds[1], true);
    log_set_name("worker 1");
    write_pairs(pairs, 2, "line\n%d", 2);
    take();
    assert_memory_equal(line, "{\"ts\":\"", 7);
    snprintf(want, sizeof(want),
             "Z\",\"level\":\"info\",\"process\":\"worker 1\",\"pid\":%d,\"message\":\"line\\n2\","
             "\"id\":\"x\\\"y\",\"path\":\"/a\xef\xbf\xbd\"}\n",
             (int)getpid());
    assert_string_equal(strchr(line, 'Z'), want);
}

/* Every length around the limit, in both forms, with and without pairs: one line, never too long,
 * whole characters, and the context is there. */
static void test_long(void **state)
{
    (void)state;
    static char text[5002];
    struct log_pair pair = {"id", CS_S("abc")};
    for (int form = 0; form < 8; form++) {
        bool json = form & 1, with_pair = form & 2, wide = form & 4;
        log_open(pipe_fds[1], json);
        for (size_t n = 2900; n < 5000; n += 7) {
            memset(text, 'x', n);
            for (size_t i = 0; wide && i + 1 < n; i += 2)
                memcpy(text + i, "\xc3\xa4", 2);
            text[n] = '\0';
            write_pairs(&pair, with_pair, "%s", text);
            size_t len = take();
            assert_true(len <= LOG_LINE_MAX);
            assert_ptr_equal(strchr(line, '\n'), line + len - 1);
            bool whole = strstr(line, text) != NULL;
            assert_true(whole != (strstr(line, "...") != NULL));
            assert_true(whole || n > (with_pair ? 2900 : 3900));
            assert_true(!with_pair || strstr(line, "abc"));
            assert_true(!json || line[len - 2] == '}');
            assert_true(whole || str_is_utf8((cs_str){line, len}));
        }
    }
}

static void test_many_pairs(void **state)
{
    (void)state;
    static char value[2000];
    struct log_pair pairs[12];
    memset(value, 'v', sizeof(value));
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
        pairs[i] = (struct log_pair){"a_key_of_some_length", {value, 150 * i}};
    for (int json = 0; json < 2; json++) {
        log_open(pipe_fds[1], json);
        write_pairs(pairs, ARRAY_LEN(pairs), "%s", "s");
        size_t len = take();
        assert_true(len <= LOG_LINE_MAX);
        assert_int_equal(line[len - 1], '\n');
        assert_true(!json || memcmp(line + len - 3, "\"}\n", 3) == 0);
    }
}

static void test_levels(void **state)
{
    (void)state;
    log_open(pipe_fds[1], false);
    log_debug("not this");
    assert_int_equal(take(), 0);
    log_set_level(LOG_LEVEL_DEBUG);
    log_debug("this");
    assert_true(take() > 0);
    log_set_level(LOG_LEVEL_ERROR);
    log_warn("not this");
    assert_int_equal(take(), 0);
    assert_false(log_enabled(LOG_LEVEL_WARN));
    assert_true(log_enabled(LOG_LEVEL_ERROR));
    assert_int_equal(log_fd(), pipe_fds[1]);
}

static void test_errno_and_failures(void **state)
{
    (void)state;
    uint64_t before = log_failed();
    log_open(pipe_fds[1], false);
    errno = ENOENT;
    log_info("kept");
    assert_int_equal(errno, ENOENT);
    take();
    assert_string_equal(sentence(), "kept\n");
    log_open(-1, false);
    errno = EBUSY;
    log_info("lost");
    assert_int_equal(errno, EBUSY);
    assert_int_equal(log_failed() - before, 1);
}

/* The descriptor blocks, as one does that we were started with: a line more than fits is lost. */
static void test_full_pipe(void **state)
{
    (void)state;
    uint64_t before = log_failed();
    assert_int_equal(fcntl(pipe_fds[1], F_SETFL, 0), 0);
    log_open(pipe_fds[1], false);
    for (int i = 0; i < 20000 && log_failed() == before; i++)
        log_info("one line of many, and nobody reads them: %080d", i);
    assert_int_equal(log_failed() - before, 1);
    while (take() > 0)
        ;
    log_info("again");
    take();
    assert_non_null(strstr(line, ": again\n"));
    assert_non_null(strstr(line, " of this process could not be written: nobody read them\n"));
    log_info("and again");
    take();
    assert_string_equal(sentence(), "and again\n");
}

static char *read_back(int fd, char *out, size_t n)
{
    ssize_t got = pread(fd, out, n - 1, 0);
    out[got > 0 ? got : 0] = '\0';
    return out;
}

/* Room for the first half of a line: the next begins a new one, and says how many are missing. */
static void test_full_disk(void **state)
{
    (void)state;
    char path[] = "/tmp/cs-log-XXXXXX", text[8192];
    struct rlimit before, small;
    int fd = mkostemp(path, O_APPEND);
    assert_true(fd >= 0);
    unlink(path);
    log_open(fd, false);
    log_info("first");
    small.rlim_cur = strlen(read_back(fd, text, sizeof(text))) + 10;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small.rlim_max = before.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    log_info("second");
    log_info("third");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    log_info("fourth");
    log_info("fifth");
    log_open(pipe_fds[1], false);
    read_back(fd, text, sizeof(text));
    close(fd);
    assert_null(strstr(text, "second"));
    assert_null(strstr(text, "third"));
    assert_non_null(strstr(text, "fourth\n"));
    assert_non_null(
        strstr(text, ": 2 lines of this process could not be written: there was no room\n"));
    assert_non_null(strstr(text, "fifth\n"));
    char *torn = strchr(text, '\n') + 1;
    assert_int_equal(strchr(torn, '\n') - torn, 10);
}

static int status_of(void (*what)(void))
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        what();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    take();
    return status;
}

static void fail_check(void)
{
    signal(SIGABRT, SIG_DFL);
    check(1 + 1 == 3);
}

static void pass_check(void)
{
    check(1 + 1 == 2);
}

static void end_fatally(void)
{
    fatal(78, "no %s", "good");
}

static void test_ends(void **state)
{
    (void)state;
    log_open(pipe_fds[1], false);
    int status = status_of(fail_check);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_non_null(strstr(line, "error master["));
    assert_non_null(strstr(line, "bug: check failed: 1 + 1 == 3"));
    assert_non_null(strstr(line, "fail_check"));
    assert_int_equal(status_of(pass_check), 0);
    assert_string_equal(line, "");
    status = status_of(end_fatally);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 78);
    assert_string_equal(sentence(), "no good\n");
}

#define PIPE_TEST(f) cmocka_unit_test_setup_teardown(f, open_pipe, close_pipe)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PIPE_TEST(test_head),       PIPE_TEST(test_dates),     PIPE_TEST(test_text_escapes),
        PIPE_TEST(test_text_pairs), PIPE_TEST(test_json),      PIPE_TEST(test_long),
        PIPE_TEST(test_many_pairs), PIPE_TEST(test_levels),    PIPE_TEST(test_errno_and_failures),
        PIPE_TEST(test_full_pipe),  PIPE_TEST(test_full_disk), PIPE_TEST(test_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
