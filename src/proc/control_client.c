/* control_client.c - see control_client.h; and what control.h says of calls. */
#include "proc/control_client.h"

#include "proc/code.h"

#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "os/fd.h"
#include "os/sock_unix.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FLUSH_AT 65536 /* bytes of lines: these do not wait for the end of the turn */

struct control_client {
    struct list node;
    struct control_clients *all;
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

static void drop(struct control_client *cl)
{
    struct control_clients *all = cl->all;

    if (cl->dead)
        return;
    cl->dead = true;
    timer_clear(&all->loop->timers, &cl->idle);
    if (cl->work_task.node.next)
        list_remove(&cl->work_task.node);
    if (cl->flush_task.node.next)
        list_remove(&cl->flush_task.node);
    loop_del(all->loop, &cl->io);
    fd_close(&cl->io.fd);
    all->on_closed(all);
    list_remove(&cl->node);
    if (!cl->call || !cl->call->kept)
        all->n--;
    loop_later(all->loop, &cl->free_task);
}

static void on_idle(struct timer *t)
{
    drop(CONTAINER_OF(t, struct control_client, idle));
}

static void touch(struct control_client *cl)
{
    struct control_clients *all = cl->all;

    list_remove(&cl->node);
    list_add_tail(&all->list, &cl->node);
    if (!cl->call)
        timer_set(&all->loop->timers, &cl->idle, CONTROL_IDLE_MS);
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
    if (loop_set(cl->all->loop, &cl->io, events) < 0)
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

/* ---- Calls ---- */

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
        loop_later(cl->all->loop, &cl->flush_task);
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
    call->client->all->n--;
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
        cl->all->n++;
    call->kept = false;
    touch(cl);
    loop_later(cl->all->loop, &cl->work_task);
    put_line(cl, json);
}

bool control_release(struct control_call *call, cs_str json)
{
    struct control_clients *all = call->client ? call->client->all : NULL;

    if (!all || all->nreleased >= CONTROL_RELEASED)
        return false;
    call->released = all;
    all->nreleased++;
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

/* ---- Requests ---- */

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
    timer_clear(&cl->all->loop->timers, &cl->idle);
    cl->all->handler(cl->all->arg, call, str_trim((cs_str){cl->in.p, text}));
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
        refuse(cl, CODE_WRONG, text);
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

/* ---- All of them ---- */

void control_client_new(struct control_clients *all, int fd)
{
    struct control_client *cl = mem_alloc(sizeof *cl);
    unsigned gid;

    cl->all = all;
    cl->io = (struct loop_io){.fd = fd, .on_ready = on_client};
    cl->free_task.run = run_free;
    cl->work_task.run = run_work;
    cl->flush_task.run = run_flush;
    timer_init(&cl->idle, on_idle);
    list_init(&cl->node);
    all->n++;
    touch(cl);
    if (sock_unix_peer(fd, &cl->pid, &cl->uid, &gid) < 0 ||
        (cl->uid != 0 && cl->uid != geteuid())) {
        log_debug("control: refused a client of user %u (pid %d)", cl->uid, cl->pid);
        refuse(cl, CODE_DENIED,
               "only root and the user that the server runs as may use the control socket");
    } else if (all->n > CONTROL_CLIENTS) {
        refuse(cl, CODE_FAILED, "too many clients are waiting for answers; try again later");
    } else {
        set_interest(cl);
    }
}

bool control_client_make_room(struct control_clients *all)
{
    LIST_EACH(node, &all->list)
    {
        struct control_client *cl = CONTAINER_OF(node, struct control_client, node);

        if (!cl->call) {
            drop(cl);
            return true;
        }
    }
    return false;
}

void control_client_drop_all(struct control_clients *all)
{
    LIST_EACH(node, &all->list)
    drop(CONTAINER_OF(node, struct control_client, node));
    loop_reap(all->loop);
}

void control_client_shed(struct control_clients *all)
{
    LIST_EACH(node, &all->list)
    fd_close(&CONTAINER_OF(node, struct control_client, node)->io.fd);
}
