/* For tests of listening sockets: settings in a folder of their own, and visitors. */
#ifndef UNIT_PROC_LISTEN_FAKE_H
#define UNIT_PROC_LISTEN_FAKE_H

#include "proc/listen.h"

#include "base/check.h"
#include "ipc/region.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define POSITIONS 4

static struct region region;
static char folder[64];

static inline unsigned count_fds(void)
{
    DIR *d = opendir("/proc/self/fd");
    unsigned n = 0;

    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

/* A folder @ in the text is ours. */
static inline struct settings *settings_of(const char *text)
{
    char path[96];
    struct settings_source src = {.path = path};
    FILE *f;

    snprintf(path, sizeof path, "%s/t.ini", folder);
    f = fopen(path, "w");
    assert_non_null(f);
    for (const char *p = text; *p; p++)
        if (*p == '@')
            fputs(folder, f);
        else
            fputc(*p, f);
    fclose(f);
    struct settings *s = settings_read(&src);
    if (!settings_bind(s, NULL) || !settings_plan(s, &region, NULL)) {
        struct buf why = {0};

        report_print(&s->report, &why);
        fail_msg("bad settings: %.*s", (int)why.n, why.p);
    }
    return s;
}

static inline bool listens(int fd)
{
    int on = 0;
    socklen_t n = sizeof on;

    assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &n), 0);
    return on != 0;
}

static inline int visit(const struct listen_socket *s)
{
    struct sock_addr to = s->bound;
    int fd = socket(to.u.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(connect(fd, &to.u.sa, to.len), 0);
    return fd;
}

static inline void visit_often(const struct listen_socket *s, unsigned n)
{
    while (n-- > 0)
        close(visit(s));
}

/* Connections that wait in each socket of the address. */
static inline void count_waiting(const struct listen_socket *s, unsigned out[POSITIONS])
{
    for (size_t i = 0; i < s->nfds; i++) {
        out[i] = 0;
        while (listens(s->fds[i])) {
            struct pollfd p = {.fd = s->fds[i], .events = POLLIN};
            struct sockaddr_storage peer;
            socklen_t n;
            int fd = poll(&p, 1, 0) == 1 ? sock_accept(s->fds[i], &peer, &n) : -EAGAIN;

            if (fd < 0)
                break;
            close(fd);
            out[i]++;
        }
    }
}

static inline int begin(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/listen-XXXXXX");
    return mkdtemp(folder) && region_new(&region, POSITIONS) == 0 ? 0 : -1;
}

static inline int end(void **state)
{
    char path[96];

    (void)state;
    region_free(&region);
    snprintf(path, sizeof path, "%s/t.ini", folder);
    unlink(path);
    return rmdir(folder);
}

#endif
