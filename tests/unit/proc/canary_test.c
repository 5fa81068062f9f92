/* What is made of the answers of a new worker, also of one that is out of its mind. A child plays the worker. */
#include "proc/canary.h"

#include "ipc/fdpass.h"
#include "os/child.h"
#include "os/fd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum then {
    THEN_CLOSE,
    THEN_WAIT, /* leave the connection open, and say no more */
    THEN_DIE   /* without having taken the connection */
};

struct row {
    const char *label, *answer; /* NULL: 100 KiB of one letter */
    enum then then;
    bool good;
    enum canary_fault fault;
    const char *words; /* in the line or in the fault */
};

static const struct row rows[] = {
    {"good", "HTTP/1.1 200 OK\r\n\r\n", THEN_CLOSE, true, 0,
     "answers GET /health with 200 OK after"},
    {"a stream", "HTTP/1.1 200 OK\r\nA: b\r\n\r\nx", THEN_WAIT, true, 0, "with 200 OK"},
    {"another good one", "HTTP/1.1 299 \r\n\r\n", THEN_CLOSE, true, 0, "with 299"},
    {"HTTP/1.0", "HTTP/1.0 204 Fine\r\n\r\n", THEN_CLOSE, true, 0, "204 Fine"},
    {"after 103", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", THEN_CLOSE,
     true, 0, "200 OK"},
    {"103 alone", "HTTP/1.1 103 Early Hints\r\n\r\n", THEN_CLOSE, false, CANARY_LOST,
     "has closed the connection of GET /health"},
    {"wrong", "HTTP/1.1 503 Service Unavailable\r\n\r\n", THEN_CLOSE, false, CANARY_WRONG,
     "t.ini:7: worker 3 answers GET /health with 503 Service Unavailable, not with 2xx, after"},
    {"below", "HTTP/1.1 199 x\r\n\r\n", THEN_WAIT, false, CANARY_WRONG, "has not answered"},
    {"above", "HTTP/1.1 300 x\r\n\r\n", THEN_CLOSE, false, CANARY_WRONG, "with 300 x, not"},
    {"no three digits", "HTTP/1.1 20 OK\r\n\r\n", THEN_CLOSE, false, CANARY_WRONG, "no HTTP"},
    {"a sign", "HTTP/1.1 +20 OK\r\n\r\n", THEN_CLOSE, false, CANARY_WRONG, "no HTTP"},
    {"below 100", "HTTP/1.1 099 OK\r\n\r\n", THEN_CLOSE, false, CANARY_WRONG, "no HTTP"},
    {"not HTTP", "SSH-2.0-x\r\n\r\n", THEN_CLOSE, false, CANARY_WRONG, "no HTTP"},
    {"short", "H\r\n\r\n", THEN_CLOSE, false, CANARY_WRONG, "no HTTP"},
    {"odd bytes", "HTTP/1.1 404 \x1b[31m\t\n\xff\r\n\r\n", THEN_CLOSE, false, CANARY_WRONG,
     "404 ?[31m???, not"},
    {"half a head", "HTTP/1.1 200 OK\r\nA: ", THEN_CLOSE, false, CANARY_LOST,
     "closed the connection"},
    {"half a head, and silence", "HTTP/1.1 200 OK\r\n", THEN_WAIT, false, CANARY_WRONG,
     "t.ini:7: worker 3 has not answered GET /health after"},
    {"nothing", "", THEN_CLOSE, false, CANARY_LOST, "closed the connection"},
    {"silence", "", THEN_WAIT, false, CANARY_WRONG, "has not answered"},
    {"no end of the head", NULL, THEN_WAIT, false, CANARY_WRONG, "has sent no head for"},
    {"dead", "", THEN_DIE, false, CANARY_LOST, "GET /health"},
};

static char said[1024];

static bool become(void *arg)
{
    (void)arg;
    return true;
}

static void on_line(void *arg, const char *line)
{
    (void)arg;
    snprintf(said, sizeof said, "%s", line);
}

static void answer(int fd, const struct row *row)
{
    char bytes[4096], request[4096] = "";
    size_t n = 0;

    while (!strstr(request, "\r\n\r\n") && n < sizeof request - 1) {
        ssize_t got = read(fd, request + n, sizeof request - 1 - n);
        if (got <= 0)
            break;
        n += (size_t)got;
        request[n] = '\0';
    }
    memset(bytes, 'x', sizeof bytes);
    if (row->answer)
        fd_write_all(fd, row->answer, strlen(row->answer));
    for (int i = 0; !row->answer && i < 25; i++)
        if (send(fd, bytes, sizeof bytes, MSG_NOSIGNAL) < 0)
            break;
}

/* Until the other side closes, too: it goes then. */
static _Noreturn void play_worker(int pass, const struct row *row)
{
    struct pollfd p = {.fd = pass, .events = POLLIN};
    struct fdpass_msg msg;
    char byte;
    int fd;

    if (row->then == THEN_DIE || poll(&p, 1, -1) != 1 || fdpass_recv(pass, &msg, &fd) != 1)
        _exit(1);
    fd_set_nonblock(fd, false);
    answer(fd, row);
    if (row->then == THEN_CLOSE)
        close(fd);
    while (row->then == THEN_WAIT && read(fd, &byte, 1) > 0) {
    }
    _exit(0);
}

static void run(struct canary *c, const struct canary_ask *ask)
{
    struct pollfd p;
    int status;

    assert_int_equal(canary_begin(c, ask), 0);
    p = (struct pollfd){.fd = c->fd, .events = POLLIN};
    while (poll(&p, 1, -1) >= 0 && canary_read(c)) {
    }
    assert_int_equal(waitpid(c->pid, &status, 0), c->pid);
    canary_end(c, status);
}

static void check_row(const struct row *row)
{
    struct conf_trial trial;
    struct buf error = {0};
    struct conf_reload reload = {.probe_timeout = 200, .ntrials = 1, .trials = &trial};
    struct canary_ask ask = {
        .reload = &reload, .worker = "worker 3", .become = become, .on_line = on_line};
    struct canary c;
    int ends[2], status;
    const char *heard;

    said[0] = '\0';
    canary_init(&c);
    assert_int_equal(conf_trial_parse(CS_S("GET /health 2xx"), &trial, &error), 0);
    trial.at = (struct conf_origin){.file = "t.ini", .line = 7};
    if (!strstr(row->words, "has not answered"))
        reload.probe_timeout = 60000;
    assert_int_equal(fd_pair(SOCK_SEQPACKET, ends), 0);
    fflush(NULL);
    pid_t worker = child_fork(0);
    if (worker == 0) {
        close(ends[0]);
        play_worker(ends[1], row);
    }
    close(ends[1]);
    if (row->then == THEN_DIE)
        assert_int_equal(waitpid(worker, &status, 0), worker);
    ask.pass = ends[0];
    run(&c, &ask);
    heard = row->good ? said : c.text.p;
    if (c.good != row->good || !heard || !strstr(heard, row->words))
        fail_msg("%s: %s: %s", row->label, c.good ? "good" : "bad", heard ? heard : "nothing");
    if (!row->good && c.fault != row->fault)
        fail_msg("%s: fault %d: %s", row->label, (int)c.fault, heard);
    if (row->then != THEN_DIE)
        assert_int_equal(waitpid(worker, &status, 0), worker);
    close(ends[0]);
    canary_free(&c);
    buf_free(&error);
}

static void test_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        check_row(&rows[i]);
    printf("rows: %zu\n", sizeof rows / sizeof *rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_answers)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
