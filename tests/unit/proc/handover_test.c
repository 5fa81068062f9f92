/* What one master writes for the next, and what of it the next one understands. */
#include "proc/handover.h"

#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define ROWS(a) (sizeof(a) / sizeof *(a))
#define HEAD    "from 4711\nchannel 9\nerrors 10\n"

struct row {
    const char *label, *text;
    bool good;
    size_t nlistens, ninherited;
};

static const struct row rows[] = {
    {"nothing", "", false, 0, 0},
    {"only the head", HEAD, true, 0, 0},
    {"no line end", "from 1\nchannel 9\nerrors 10", true, 0, 0},
    {"no channel", "from 4711\nerrors 10\n", false, 0, 0},
    {"no pid", "channel 9\nerrors 10\n", false, 0, 0},
    {"no errors", "from 4711\nchannel 9\n", false, 0, 0},
    {"a channel that is standard output", "from 4711\nchannel 1\nerrors 10\n", false, 0, 0},
    {"a number that is none", HEAD "from x\n", false, 0, 0},
    {"words of a later version", HEAD "zones 7 8 9\n", true, 0, 0},
    {"a socket", HEAD "socket 1 0 0 5 127.0.0.1:80\n", true, 1, 0},
    {"several descriptors", HEAD "socket 2 0 0 5,6,7 *:80\n", true, 1, 0},
    {"a file", HEAD "socket 1 1 0 5 unix:/run/a b.sock\n", true, 1, 0},
    {"by name", HEAD "socket 1 0 3 5 socket:web\nname web\n", true, 1, 0},
    {"passed by systemd", HEAD "socket 1 0 3 5 *:80\npassed 1 0 3 3 *:80\nname web\n", true, 1, 1},
    {"an abstract address", HEAD "passed 1 0 3 3 unix:@x\n", true, 0, 1},
    {"a name of nothing", HEAD "name web\n", true, 0, 0},
    {"no descriptor", HEAD "socket 1 0 0  *:80\n", false, 0, 0},
    {"a standard descriptor", HEAD "socket 1 0 0 2 *:80\n", false, 0, 0},
    {"more listen than there are", HEAD "socket 2 0 0 5 *:80\n", false, 0, 0},
    {"cut off", HEAD "socket 1 0", false, 0, 0},
    {"negative", HEAD "socket 1 0 0 -5 *:80\n", false, 0, 0},
};

static void test_text(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct handover h;
        bool good = handover_parse(str_of(rows[i].text), &h);

        if (good != rows[i].good || h.listens.n != rows[i].nlistens ||
            h.inherited.n != rows[i].ninherited)
            fail_msg("%s: %s, %zu sockets, %zu passed", rows[i].label, good ? "good" : "bad",
                     h.listens.n, h.inherited.n);
        handover_free(&h);
    }
    printf("rows: %zu\n", ROWS(rows));
}

/* Cut at every byte it is understood or not, and never more. */
static void test_cut(void **state)
{
    const char *text = HEAD "socket 2 1 3 5,6,7 unix:/x\nname web\npassed 1 0 3 3 [::1]:8080\n";

    (void)state;
    for (size_t n = 0; n <= strlen(text); n++) {
        char *copy = strndup(text, n);
        struct handover h;

        handover_parse((cs_str){copy, n}, &h);
        handover_free(&h);
        free(copy);
    }
}

static void test_and_back(void **state)
{
    const char *text =
        HEAD "socket 2 0 0 5,6,7 *:8080\nsocket 1 1 0 8 unix:/run/x.sock\n"
             "socket 1 0 3 11 socket:web\nname web\npassed 1 0 3 3 [::1]:8080\nname web\n";
    struct handover h;
    struct buf out = {0};

    (void)state;
    assert_true(handover_parse(str_of(text), &h));
    assert_int_equal(h.from, 4711);
    assert_int_equal(h.listens.v[0].nlistening, 2);
    assert_int_equal(h.listens.v[0].nfds, 3);
    assert_true(h.listens.v[1].file);
    assert_int_equal(h.listens.v[2].given, 3);
    assert_string_equal(h.inherited.v[0].name, "web");
    handover_print(&h, &out);
    assert_string_equal(out.p, text);
    buf_free(&out);
    handover_free(&h);
}

/* ---- Descriptors ---- */

static bool stays_open(int fd)
{
    return !(fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

static struct listen_socket listener(void)
{
    struct listen_socket s = {.nfds = 1, .nlistening = 1};
    const char *error;

    assert_true(sock_addr_parse(CS_S("127.0.0.1:0"), &s.asked, &error));
    s.fds = malloc(sizeof *s.fds);
    s.fds[0] = sock_listen(&s.asked, &(struct sock_listen_opts){0});
    assert_true(s.fds[0] > 0);
    return s;
}

static void test_give_and_take(void **state)
{
    int ends[2];
    struct listen_socket s = listener();
    struct handover h = {.from = getpid(), .listens = {.n = 1, .v = &s}}, got;

    (void)state;
    assert_int_equal(fd_pair(SOCK_SEQPACKET, ends), 0);
    h.channel = ends[0];
    h.errors = ends[1];
    assert_int_equal(handover_give(&h), 0);
    assert_true(stays_open(ends[0]) && stays_open(ends[1]) && stays_open(s.fds[0]));
    assert_int_equal(handover_take(&got), 0);
    assert_null(getenv(HANDOVER_ENV));
    assert_false(stays_open(ends[0]) || stays_open(ends[1]) || stays_open(s.fds[0]));
    assert_int_equal(got.from, getpid());
    assert_int_equal(got.listens.v[0].fds[0], s.fds[0]);
    assert_true(strncmp(got.listens.v[0].text, "127.0.0.1:", 10) == 0);
    assert_true(
        sock_addr_same(&got.listens.v[0].asked, &s.asked)); /* port 0, as the settings say */
    assert_int_equal(handover_take(&h), -ENOENT);
    handover_free(&got);
    close(s.fds[0]);
    free(s.fds);
    close(ends[0]);
    close(ends[1]);
}

/* A memfd with this text, named in the environment. */
static void offer(const char *text)
{
    char number[16];
    int fd = memfd_create("test", 0);

    assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
    snprintf(number, sizeof number, "%d", fd);
    setenv(HANDOVER_ENV, number, 1);
}

static void test_not_understood(void **state)
{
    static const char *const wrong[] = {"", "x", "-1", "1", "0", "999999", "99999999999"};
    struct handover h;

    (void)state;
    for (size_t i = 0; i < ROWS(wrong); i++) {
        setenv(HANDOVER_ENV, wrong[i], 1);
        if (handover_take(&h) != -EINVAL || getenv(HANDOVER_ENV))
            fail_msg("it is understood: \"%s\"", wrong[i]);
    }
    offer("");
    assert_int_equal(handover_take(&h), -EINVAL);
    offer("from 1\nchannel 900\nerrors 901\nsocket 1 0 0 902 *:80\n"); /* no such descriptors */
    assert_int_equal(handover_take(&h), -EINVAL);
    assert_int_equal(h.listens.n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),           cmocka_unit_test(test_cut),
        cmocka_unit_test(test_and_back),       cmocka_unit_test(test_give_and_take),
        cmocka_unit_test(test_not_understood),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
