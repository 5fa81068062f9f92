/* newcomer.c - see newcomer.h. */
#include "proc/newcomer.h"

#include "base/check.h"
#include "base/log.h"
#include "os/child.h"
#include "os/fd.h"
#include "os/notify.h"
#include "os/sig.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MOST_SAID 65536 /* of its standard error */
#define NOT_RUN   127   /* its status when there is no program, as a shell has it */

void newcomer_tell(const struct newcomer *n, const char *word)
{
    if (send(n->channel.fd, word, strlen(word), MSG_NOSIGNAL) < 0)
        log_debug("upgrade: pid %d does not hear \"%s\": %s", (int)n->pid, word, strerror(errno));
}

static void on_channel(struct loop_io *io, uint32_t events)
{
    struct newcomer *new = CONTAINER_OF(io, struct newcomer, channel);
    char text[HANDOVER_MESSAGE];
    ssize_t n = 1;

    (void)events;
    while (n > 0 && io->fd >= 0) {
        n = recv(io->fd, text, sizeof text, 0);
        if (n > 0)
            new->on_message(new, (cs_str){text, (size_t)n});
        else if (n < 0 && errno == EINTR)
            n = 1;
    }
    if (io->fd >= 0 && n <= 0 && (n == 0 || errno != EAGAIN))
        loop_del(new->loop, io);
}

/* More than MOST_SAID is read and thrown away: it must not wait for us. */
static void on_errors(struct loop_io *io, uint32_t events)
{
    struct newcomer *new = CONTAINER_OF(io, struct newcomer, errors);
    struct buf *said = &new->said;
    char text[4096];
    ssize_t n = 1;

    (void)events;
    while (n > 0) {
        n = read(io->fd, text, sizeof text);
        if (n > 0 && said->n < MOST_SAID)
            buf_add(said, text, (size_t)n);
        else if (n < 0 && errno == EINTR)
            n = 1;
    }
    if (n == 0 || errno != EAGAIN)
        loop_del(new->loop, io);
}

struct ends {
    int channel[2], errors[2]; /* ours first */
};

static int open_ends(struct ends *e)
{
    int rc = fd_pair(SOCK_SEQPACKET, e->channel);

    if (rc == 0 && pipe2(e->errors, O_CLOEXEC) < 0) {
        rc = -errno;
        fd_close(&e->channel[0]);
        fd_close(&e->channel[1]);
    }
    return rc < 0 ? rc : fd_set_nonblock(e->errors[0], true);
}

static int prepare(const struct handover *give, const struct ends *e)
{
    struct handover h = *give;

    h.channel = e->channel[1];
    h.errors = fcntl(STDERR_FILENO, F_DUPFD, STDERR_FILENO + 1);
    if (h.errors < 0)
        return -errno;
    notify_export();
    fd_cloexec_from(STDERR_FILENO + 1);
    if (dup2(e->errors[1], STDERR_FILENO) < 0)
        return -errno;
    return handover_give(&h);
}

static _Noreturn void child_main(const char *program, char **argv, const struct handover *give,
                                 const struct ends *e)
{
    char text[32];
    int rc = prepare(give, e);

    sig_reset();
    if (rc == 0) {
        execv(program, argv);
        rc = -errno;
    }
    snprintf(text, sizeof text, "exec %d", -rc);
    send(e->channel[1], text, strlen(text), MSG_NOSIGNAL);
    _exit(NOT_RUN);
}

static void watch(struct loop *loop, struct loop_io *io, int fd,
                  void (*on_ready)(struct loop_io *io, uint32_t events))
{
    *io = (struct loop_io){.fd = fd, .on_ready = on_ready};
    check(loop_set(loop, io, EPOLLIN) == 0);
}

int newcomer_start(struct newcomer *n, const char *program, char **argv,
                   const struct handover *give)
{
    struct ends e;
    pid_t pid;
    int rc = open_ends(&e);

    if (rc < 0)
        return rc;
    fflush(NULL);
    pid = child_fork(0);
    if (pid == 0)
        child_main(program, argv, give, &e);
    close(e.channel[1]);
    close(e.errors[1]);
    if (pid < 0) {
        close(e.channel[0]);
        close(e.errors[0]);
        return pid;
    }
    n->pid = pid;
    watch(n->loop, &n->channel, e.channel[0], on_channel);
    watch(n->loop, &n->errors, e.errors[0], on_errors);
    return 0;
}

void newcomer_hear_last(struct newcomer *n)
{
    if (n->channel.on_ready)
        on_channel(&n->channel, 0);
    if (n->errors.on_ready)
        on_errors(&n->errors, 0);
}

void newcomer_init(struct newcomer *n, struct loop *loop,
                   void (*on_message)(struct newcomer *n, cs_str message))
{
    n->loop = loop;
    n->on_message = on_message;
}

void newcomer_shed(struct newcomer *n)
{
    fd_close(&n->channel.fd);
    fd_close(&n->errors.fd);
}

void newcomer_close(struct newcomer *n)
{
    loop_del(n->loop, &n->channel);
    loop_del(n->loop, &n->errors);
    newcomer_shed(n);
}
