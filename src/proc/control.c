/* control.c - see control.h. */
#include "proc/control.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/sock_unix.h"

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
#define FLUSH_AT        65536 /* bytes of lines: these do not wait for the end of the turn */

struct control_client {
    struct list node;
    struct control *control;
    struct loop_io io;
    struct loop_task free_task, work_task, flush_task;
    struct timer idle; /* no whole request, or no progress with an answer, for too long */
    struct buf in, out;
    size_t searched;           /* bytes of `in` without a line end */
    struct control_call *call; /* being worked on */
    int pid;                   /* of who has connected */
    unsigned uid;
    bool closing; /* after the output */
    bool half;    /* it sends no more, but may still want its answer */
    bool dead;
};

struct control {
    struct loop *loop;
    struct loop_io io;
    struct timer rest; /* no descriptor was left for a client that waits */
    int spare; /* given up for one client when no other descriptor is left, so that it gets an answer; -1 = none */
    struct list clients; /* the one that has been quiet longest first */
    unsigned nclients, nreleased;
    char *path;
    dev_t dev; /* of the socket file, to know it again */
    ino_t ino;
    control_handler *handler;
    void *arg;
};

static void run_free(struct loop_task *task)
{
    struct control_client *cl = CONTAINER_OF(task, struct control_client, free_task);
    struct control_call *call = cl->call;

    if (call)
        call->client = NULL;
    if (call && call->on_gone)
        call->on_gone(call);
    buf_free(&cl->in);
    buf_free(&cl->out);
    free(cl);
}

static void take_spare(struct control *c)
{
    if (c->spare < 0)
        c->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void drop(struct control_client *cl)
{
    struct control *c = cl->control;

    if (cl->dead)
        return;
    cl->dead = true;
    timer_clear(&c->loop->timers, &cl->idle);
    if (cl->work_task.node.next)
        list_remove(&cl->work_task.node);
    if (cl->flush_task.node.next)
        list_remove(&cl->flush_task.node);
    loop_del(c->loop, &cl->io);
    fd_close(&cl->io.fd);
    take_spare(c);
    list_remove(&cl->node);
    if (!cl->call || !cl->call->kept)
        c->nclients--;
    loop_later(c->loop, &cl->free_task);
}

static void on_idle(struct timer *t)
{
    drop(CONTAINER_OF(t, struct control_client, idle));
}

static void touch(struct control_client *cl)
{
    struct control *c = cl->control;

    list_remove(&cl->node);
    list_add_tail(&c->clients, &cl->node);
    if (!cl->call)
        timer_set(&c->loop->timers, &cl->idle, CONTROL_IDLE_MS);
}

/* Interest follows from what is to be done; a client whose request is being worked on is not read from, but its going away
 * is still seen. That of a half-closed one is a hang-up, which is told of whatever is registered, as long as something is;
 * EPOLLONESHOT alone asks for nothing. */
static void set_interest(struct control_client *cl)
{
    uint32_t events = cl->half ? EPOLLONESHOT : EPOLLRDHUP;

    if (!cl->call && !cl->closing)
        events |= EPOLLIN;
    if (cl->out.n > 0)
        events |= EPOLLOUT;
    if (events & (EPOLLIN | EPOLLOUT))
        events &= ~(uint32_t)EPOLLONESHOT;
    if (loop_set(cl->control->loop, &cl->io, events) < 0)
        drop(cl);
}

static void flush(struct control_client *cl)
{
    ssize_t n = 1;

    while (cl->out.n > 0 && n > 0) {
        n = send(cl->io.fd, cl->out.p, cl->out.n, MSG_NOSIGNAL);
        if (n > 0) {
            buf_consume(&cl->out, (size_t)n);
            touch(cl);
        }
    }
    if ((n < 0 && errno != EAGAIN && errno != EINTR) || (cl->closing && cl->out.n == 0))
        drop(cl);
    else
        set_interest(cl);
}

static void send_more(struct control_client *cl)
{
    flush(cl);
    if (!cl->dead && cl->out.n == 0 && cl->call && cl->call->on_sent)
        cl->call->on_sent(cl->call);
}

static void run_flush(struct loop_task *task)
{
    send_more(CONTAINER_OF(task, struct control_client, flush_task));
}

static bool add_line(struct control_client *cl, cs_str json)
{
    if (cl->out.n + json.n > CONTROL_OUT) {
        drop(cl);
        return false;
    }
    buf_add_str(&cl->out, json);
    buf_add_char(&cl->out, '\n');
    return true;
}

static void put_line(struct control_client *cl, cs_str json)
{
    if (add_line(cl, json))
        flush(cl);
}

static void refuse(struct control_client *cl, int code, const char *message)
{
    struct buf out = {0};
    struct json j;

    json_init(&j, &out);
    json_object(&j, NULL);
    json_bool(&j, "ok", false);
    json_int(&j, "code", code);
    json_z(&j, "message", message);
    json_int(&j, "pid", getpid());
    json_end_object(&j);
    cl->closing = true;
    put_line(cl, buf_str(&out));
    buf_free(&out);
}

void control_progress(struct control_call *call, const char *text)
{
    struct buf out = {0};
    struct json j;

    json_init(&j, &out);
    json_object(&j, NULL);
    json_z(&j, "progress", text);
    json_end_object(&j);
    if (call->client && !call->client->dead)
        put_line(call->client, buf_str(&out));
    buf_free(&out);
}

/* Lines come many at a time: they leave together. Who has not taken earlier ones is waited for anyhow. */
void control_line(struct control_call *call, cs_str json)
{
    struct control_client *cl = call->client;
    size_t before = cl ? cl->out.n : 0;

    if (!cl || cl->dead || !add_line(cl, json))
        return;
    if (before == 0)
        loop_later(cl->control->loop, &cl->flush_task);
    else if (before < FLUSH_AT && cl->out.n >= FLUSH_AT)
        flush(cl);
}

size_t control_backlog(const struct control_call *call)
{
    return call->client ? call->client->out.n : 0;
}

void control_keep(struct control_call *call)
{
    if (call->kept || !call->client || call->client->dead)
        return;
    call->kept = true;
    call->client->control->nclients--;
}

/* The client's next request is looked at in another turn: answers given at once do not nest. */
static void tell_client(struct control_call *call, cs_str json)
{
    struct control_client *cl = call->client;

    call->client = NULL;
    if (!cl)
        return;
    cl->call = NULL;
    if (cl->dead)
        return;
    if (call->kept)
        cl->control->nclients++;
    call->kept = false;
    touch(cl);
    loop_later(cl->control->loop, &cl->work_task);
    put_line(cl, json);
}

bool control_release(struct control_call *call, cs_str json)
{
    struct control *c = call->client ? call->client->control : NULL;

    if (!c || c->nreleased >= CONTROL_RELEASED)
        return false;
    call->released = c;
    c->nreleased++;
    tell_client(call, json);
    return true;
}

void control_answer(struct control_call *call, cs_str json)
{
    tell_client(call, json);
    if (call->released)
        call->released->nreleased--;
    free(call);
}

/* Hands the first line of the input over, and takes it off. A client that goes away meanwhile is still there until the
 * end of the turn. */
static void run_line(struct control_client *cl, size_t n)
{
    struct control_call *call = mem_alloc(sizeof *call);
    size_t text = n > 0 && cl->in.p[n - 1] == '\r' ? n - 1 : n;

    list_init(&call->node);
    call->client = cl;
    call->pid = cl->pid;
    call->uid = cl->uid;
    cl->call = call;
    timer_clear(&cl->control->loop->timers, &cl->idle);
    cl->control->handler(cl->control->arg, call, str_trim((cs_str){cl->in.p, text}));
    buf_consume(&cl->in, n + 1);
}

static void next_request(struct control_client *cl)
{
    size_t from = cl->searched;
    char *end = cl->in.n > from ? memchr(cl->in.p + from, '\n', cl->in.n - from) : NULL;
    size_t n = end ? (size_t)(end - cl->in.p) : cl->in.n;
    char text[64];

    cl->searched = end ? 0 : n;
    if (n >= CONTROL_LINE) {
        snprintf(text, sizeof text, "a request line has at most %d bytes", CONTROL_LINE - 1);
        refuse(cl, 2, text);
    } else if (end) {
        run_line(cl, n);
    }
}

static void work(struct control_client *cl)
{
    while (!cl->dead && !cl->call && !cl->closing) {
        size_t before = cl->in.n;

        next_request(cl);
        if (cl->in.n == before)
            break;
    }
    if (!cl->dead)
        set_interest(cl);
}

static void run_work(struct loop_task *task)
{
    work(CONTAINER_OF(task, struct control_client, work_task));
}

static void receive(struct control_client *cl)
{
    char bytes[16384];
    ssize_t n = recv(cl->io.fd, bytes, sizeof bytes, 0);

    if (n == 0 && cl->out.n > 0) {
        cl->closing = true;
        set_interest(cl);
        return;
    }
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        drop(cl);
        return;
    }
    if (n > 0)
        buf_add(&cl->in, bytes, (size_t)n);
    work(cl);
}

/* A client that only shuts down its sending side may still want its answer. */
static void on_client(struct loop_io *io, uint32_t events)
{
    struct control_client *cl = CONTAINER_OF(io, struct control_client, io);

    if (events & EPOLLOUT)
        send_more(cl);
    if (cl->dead)
        return;
    if (events & EPOLLIN)
        receive(cl);
    else if (events & (EPOLLHUP | EPOLLERR))
        drop(cl);
    else if (events & EPOLLRDHUP && !cl->call && cl->out.n == 0)
        drop(cl);
    else if (events & EPOLLRDHUP) {
        cl->half = true;
        set_interest(cl);
    }
}

/* The one that has been quiet longest, and is not waiting for us. False: all are. */
static bool make_room(struct control *c)
{
    LIST_EACH(node, &c->clients)
    {
        struct control_client *cl = CONTAINER_OF(node, struct control_client, node);

        if (!cl->call) {
            drop(cl);
            return true;
        }
    }
    return false;
}

static void welcome(struct control *c, int fd)
{
    struct control_client *cl = mem_alloc(sizeof *cl);
    unsigned gid;

    cl->control = c;
    cl->io = (struct loop_io){.fd = fd, .on_ready = on_client};
    cl->free_task.run = run_free;
    cl->work_task.run = run_work;
    cl->flush_task.run = run_flush;
    timer_init(&cl->idle, on_idle);
    list_init(&cl->node);
    c->nclients++;
    touch(cl);
    if (sock_unix_peer(fd, &cl->pid, &cl->uid, &gid) < 0 ||
        (cl->uid != 0 && cl->uid != geteuid())) {
        log_debug("control: refused a client of user %u (pid %d)", cl->uid, cl->pid);
        refuse(cl, 4, "only root and the user that the server runs as may use the control socket");
    } else if (c->nclients > CONTROL_CLIENTS) {
        refuse(cl, 1, "too many clients are waiting for answers; try again later");
    } else {
        set_interest(cl);
    }
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
    loop_set(c->loop, &c->io, 0);
    timer_set(&c->loop->timers, &c->rest, REST_MS);
}

static void on_rested(struct timer *t)
{
    struct control *c = CONTAINER_OF(t, struct control, rest);

    if (loop_set(c->loop, &c->io, EPOLLIN) < 0)
        timer_set(&c->loop->timers, &c->rest, REST_MS);
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
        while (c->nclients >= CONTROL_CLIENTS && make_room(c)) {
        } /* more than one, where many have had their answers after a long wait */
        welcome(c, fd);
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

    c->loop = loop;
    c->path = mem_strdup(path);
    c->handler = handler;
    c->arg = arg;
    c->io = (struct loop_io){.fd = fd, .on_ready = on_listen};
    c->spare = -1;
    take_spare(c);
    timer_init(&c->rest, on_rested);
    list_init(&c->clients);
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
    loop_del(c->loop, &c->io);
    fd_close(&c->io.fd);
    c->io = (struct loop_io){.fd = fd, .on_ready = on_listen};
    fd_set_nonblock(fd, true);
    check(loop_set(c->loop, &c->io, EPOLLIN) == 0);
    note_file(c);
    return 0;
}

void control_free(struct control *c)
{
    if (!c)
        return;
    if (has_file(c))
        unlink(c->path);
    LIST_EACH(node, &c->clients)
    drop(CONTAINER_OF(node, struct control_client, node));
    loop_reap(c->loop);
    timer_clear(&c->loop->timers, &c->rest);
    loop_del(c->loop, &c->io);
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
    LIST_EACH(node, &c->clients)
    fd_close(&CONTAINER_OF(node, struct control_client, node)->io.fd);
}
