/* control.c - see control.h. */
#include "proc/control.h"

#include "base/check.h"
#include "base/mem.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/sock_unix.h"
#include "proc/control_client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define MODE            0660
#define ACCEPTS_AT_ONCE 8
#define REST_MS         500

struct control {
    struct control_clients clients;
    struct loop_io io;
    struct timer rest; /* no descriptor was left for a client that waits */
    int spare; /* given up for one client when no other descriptor is left, so that it gets an answer; -1 = none */
    char *path;
    dev_t dev; /* of the socket file, to know it again */
    ino_t ino;
};

static void take_spare(struct control *c)
{
    if (c->spare < 0)
        c->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void on_closed(struct control_clients *all)
{
    take_spare(CONTAINER_OF(all, struct control, clients));
}

static bool is_shortage(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS;
}

/* A server without descriptors is one whose operator has questions. */
static int accept_client(struct control *c)
{
    int fd = accept4(c->io.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    int error = fd < 0 ? errno : 0;

    if (is_shortage(error) && c->spare >= 0) {
        fd_close(&c->spare);
        fd = accept4(c->io.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        error = fd < 0 ? errno : 0;
        if (fd < 0)
            take_spare(c);
    }
    return fd < 0 ? -error : fd;
}

/* Who waits makes the socket ready again at once; looking so often finds no descriptor. */
static void rest(struct control *c, int error)
{
    if (!is_shortage(error))
        return;
    loop_set(c->clients.loop, &c->io, 0);
    timer_set(&c->clients.loop->timers, &c->rest, REST_MS);
}

static void on_rested(struct timer *t)
{
    struct control *c = CONTAINER_OF(t, struct control, rest);

    if (loop_set(c->clients.loop, &c->io, EPOLLIN) < 0)
        timer_set(&c->clients.loop->timers, &c->rest, REST_MS);
}

static void on_listen(struct loop_io *io, uint32_t events)
{
    struct control *c = CONTAINER_OF(io, struct control, io);

    (void)events;
    for (int i = 0; i < ACCEPTS_AT_ONCE; i++) {
        int fd = accept_client(c);

        if (fd < 0) {
            rest(c, -fd);
            return;
        }
        while (c->clients.n >= CONTROL_CLIENTS && control_client_make_room(&c->clients)) {
        } /* more than one, where many have had their answers after a long wait */
        control_client_new(&c->clients, fd);
    }
}

static void note_file(struct control *c)
{
    struct stat st = {0};

    lstat(c->path, &st);
    c->dev = st.st_dev;
    c->ino = st.st_ino;
}

static bool has_file(const struct control *c)
{
    struct stat st;

    return lstat(c->path, &st) == 0 && st.st_dev == c->dev && st.st_ino == c->ino;
}

/* Under a short name in the same folder, since a socket's name cannot be much longer than it is. */
static int listen_over(const char *path)
{
    char *dir = file_dirname(path), *beside = mem_printf("%s/.cs-%d", dir, (int)getpid());
    int fd = sock_unix_listen(beside, MODE);

    if (fd >= 0 && rename(beside, path) < 0) {
        int error = errno;

        fd_close(&fd);
        unlink(beside);
        fd = -error;
    }
    free(beside);
    free(dir);
    return fd;
}

static struct control *open_on(int fd, struct loop *loop, const char *path,
                               control_handler *handler, void *arg)
{
    struct control *c = mem_alloc(sizeof *c);

    c->clients = (struct control_clients){
        .loop = loop, .handler = handler, .arg = arg, .on_closed = on_closed};
    c->path = mem_strdup(path);
    c->io = (struct loop_io){.fd = fd, .on_ready = on_listen};
    c->spare = -1;
    take_spare(c);
    timer_init(&c->rest, on_rested);
    list_init(&c->clients.list);
    fd_set_nonblock(fd, true);
    check(loop_set(loop, &c->io, EPOLLIN) == 0);
    note_file(c);
    return c;
}

int control_new(struct control **out, struct loop *loop, const char *path, control_handler *handler,
                void *arg)
{
    int fd, rc = file_make_parent(path);

    fd = rc < 0 ? rc : sock_unix_listen(path, MODE);
    if (fd < 0)
        return fd;
    *out = open_on(fd, loop, path, handler, arg);
    return 0;
}

int control_take(struct control **out, struct loop *loop, const char *path,
                 control_handler *handler, void *arg)
{
    int fd, rc = file_make_parent(path);

    fd = rc < 0 ? rc : listen_over(path);
    if (fd < 0)
        return fd;
    *out = open_on(fd, loop, path, handler, arg);
    return 0;
}

int control_reclaim(struct control *c)
{
    int fd;

    if (has_file(c))
        return 0;
    fd = listen_over(c->path);
    if (fd < 0)
        return fd;
    loop_del(c->clients.loop, &c->io);
    fd_close(&c->io.fd);
    c->io = (struct loop_io){.fd = fd, .on_ready = on_listen};
    fd_set_nonblock(fd, true);
    check(loop_set(c->clients.loop, &c->io, EPOLLIN) == 0);
    note_file(c);
    return 0;
}

void control_free(struct control *c)
{
    if (!c)
        return;
    if (has_file(c))
        unlink(c->path);
    control_client_drop_all(&c->clients);
    timer_clear(&c->clients.loop->timers, &c->rest);
    loop_del(c->clients.loop, &c->io);
    fd_close(&c->io.fd);
    fd_close(&c->spare);
    free(c->path);
    free(c);
}

void control_shed(struct control *c)
{
    if (!c)
        return;
    fd_close(&c->io.fd);
    fd_close(&c->spare);
    control_client_shed(&c->clients);
}
