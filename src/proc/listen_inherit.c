/* listen_inherit.c - sockets that systemd has opened (sd_listen_fds(3)): read by hand, no library is needed for three
 * environment variables. */
#include "base/log.h"
#include "base/mem.h"
#include "os/fd.h"
#include "proc/listen.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FIRST_INHERITED 3
#define MOST_INHERITED  256

static uint64_t env_number(const char *name)
{
    const char *z = getenv(name);
    uint64_t n = 0;

    return z && str_to_u64(str_of(z), INT32_MAX, &n) ? n : 0;
}

static bool is_stream(int fd)
{
    int type = 0;
    socklen_t n = sizeof type;

    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) == 0 && type == SOCK_STREAM;
}

static void inherit_one(struct listen_set *out, int fd, cs_str name)
{
    struct listen_socket s = {.given = fd};

    snprintf(s.name, sizeof s.name, "%.*s", (int)name.n, name.n ? name.p : "");
    if (!fd_listens(fd) || !is_stream(fd) || sock_addr_of(fd, &s.bound) < 0) {
        log_warn("descriptor %d%s%s was passed to this server and is no stream socket that "
                 "listens: it is not used (in a .socket unit: ListenStream, and no Accept=yes)",
                 fd, s.name[0] ? ", called " : "", s.name);
        fd_close(&fd);
        return;
    }
    fd_set_cloexec(fd, true);
    fd_set_nonblock(fd, true);
    sock_adopt(fd);
    s.asked = s.bound;
    sock_addr_text(&s.bound, s.text);
    s.fds = mem_alloc(sizeof *s.fds);
    s.fds[0] = fd;
    s.nfds = s.nlistening = 1;
    out->v = mem_resize(out->v, (out->n + 1) * sizeof *out->v);
    out->v[out->n++] = s;
}

void listen_inherit(struct listen_set *out)
{
    uint64_t n = env_number("LISTEN_FDS");
    const char *z = getenv("LISTEN_FDNAMES");
    cs_str names = z ? str_of(z) : CS_S(""), name;

    *out = (struct listen_set){0};
    if (env_number("LISTEN_PID") == (uint64_t)getpid())
        for (uint64_t i = 0; i < n && i < MOST_INHERITED; i++) {
            if (!str_split(&names, ':', &name))
                name = CS_S("");
            inherit_one(out, FIRST_INHERITED + (int)i, name);
        }
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
}
