/* log_sink_test.c - whole lines into files, pipes and places without room. */
#include "serve/log_sink.h"

#include "base/buf.h"
#include "base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

static struct log_sink sink;
static _Atomic uint64_t written;
static int error;
static char path[] = "/tmp/log_sink_XXXXXX";

static void open_file(void)
{
    int fd = mkstemp(path);
    assert_true(fd >= 0 && fcntl(fd, F_SETFL, O_APPEND) == 0);
    log_sink_open(&sink, fd);
    written = 0;
}

static void close_file(void)
{
    close(sink.fd);
    unlink(path);
    memcpy(path + sizeof path - 7, "XXXXXX", 6);
}

static void expect_file(const char *want)
{
    char text[4096] = "";
    assert_true(pread(sink.fd, text, sizeof text - 1, 0) >= 0);
    assert_string_equal(text, want);
}

static size_t put(const char *lines)
{
    return log_sink_write(&sink, str_of(lines), &written, &error);
}

static void test_file(void **state)
{
    (void)state;
    open_file();
    assert_true(sink.regular);
    assert_int_equal(put("one\ntwo\n"), 8);
    assert_int_equal(put("three\n"), 6);
    assert_int_equal(put(""), 0);
    assert_int_equal(error, 0);
    assert_int_equal(written, 3);
    expect_file("one\ntwo\nthree\n");
    close_file();
}

/* The file may have so many bytes; more are EFBIG, as a full disk's are ENOSPC. */
static void limit(rlim_t bytes)
{
    struct rlimit l;
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &l);
    l.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &l), 0);
}

static void test_without_room(void **state)
{
    (void)state;
    static const struct {
        const char *label;
        rlim_t room;
        size_t done;
        uint64_t written;
        const char *file; /* when there is room again, and the rest has been written */
    } rows[] = {
        {"none", 0, 0, 0, "\none\ntwo\nthree\n"},
        {"part of the first", 2, 0, 0, "on\none\ntwo\nthree\n"},
        {"one", 4, 4, 1, "one\n\ntwo\nthree\n"},
        {"one and a half", 6, 4, 1, "one\ntw\ntwo\nthree\n"},
        {"all but the last newline", 13, 8, 2, "one\ntwo\nthree\nthree\n"},
        {"just enough", 14, 14, 3, "one\ntwo\nthree\n"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *lines = "one\ntwo\nthree\n";
        open_file();
        limit(rows[i].room);
        size_t done = put(lines);
        limit(RLIM_INFINITY);
        print_message("row \"%s\"\n", rows[i].label);
        assert_int_equal(done, rows[i].done);
        assert_int_equal(written, rows[i].written);
        assert_int_equal(error, done == strlen(lines) ? 0 : EFBIG);
        assert_int_equal(put(lines + done), strlen(lines) - done);
        assert_int_equal(written, 3);
        expect_file(rows[i].file);
        close_file();
    }
    printf("rows: %zu\n", ARRAY_LEN(rows));
}

/* Each write to a pipe is a whole number of lines and at most PIPE_BUF, but for longer lines: O_DIRECT keeps them apart. */
static void test_pieces(void **state)
{
    (void)state;
    static char piece[1 << 20];
    int ends[2];
    struct buf b = {0};
    static const int lengths[] = {100, 3000, 1000, 5000, 96, 4000, 4096, 4097, 1};
    assert_int_equal(pipe2(ends, O_DIRECT | O_NONBLOCK), 0);
    log_sink_open(&sink, ends[1]);
    written = 0;
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        char *to = buf_reserve(&b, (size_t)lengths[i]);
        memset(to, 'a' + (int)i, (size_t)lengths[i] - 1);
        to[lengths[i] - 1] = '\n';
        buf_added(&b, (size_t)lengths[i]);
    }
    assert_int_equal(log_sink_write(&sink, buf_str(&b), &written, &error), b.n);
    assert_int_equal(written, ARRAY_LEN(lengths));
    static const ssize_t reads[] = {3100, 1000, 4096, 904, 4096, 4096, 4096, 1, 1};
    for (size_t i = 0; i < ARRAY_LEN(reads); i++)
        assert_int_equal(read(ends[0], piece, sizeof piece), reads[i]);
    close(ends[0]);
    close(ends[1]);
    buf_free(&b);
    printf("rows: %zu\n", ARRAY_LEN(reads));
}

/* A reader that has stopped: EAGAIN, and it goes on where it has stopped. */
static void test_full_pipe(void **state)
{
    (void)state;
    static char all[1 << 20];
    int ends[2];
    struct buf b = {0};
    size_t done, n = 0;
    assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
    log_sink_open(&sink, ends[1]);
    written = 0;
    for (int i = 0; i < 20000; i++)
        buf_printf(&b, "line %d\n", i);
    done = log_sink_write(&sink, buf_str(&b), &written, &error);
    assert_true(done > 0 && done < b.n);
    assert_int_equal(error, EAGAIN);
    assert_int_equal(b.p[done - 1], '\n');
    while (done < b.n) {
        n += (size_t)read(ends[0], all + n, sizeof all - n);
        done += log_sink_write(&sink, (cs_str){b.p + done, b.n - done}, &written, &error);
    }
    n += (size_t)read(ends[0], all + n, sizeof all - n);
    assert_int_equal(error, 0);
    assert_int_equal(written, 20000);
    assert_int_equal(n, b.n);
    assert_memory_equal(all, b.p, n);
    close(ends[0]);
    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(put("x\n"), 0);
    assert_int_equal(error, EPIPE);
    close(ends[1]);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_without_room),
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_full_pipe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
