/* loop.c - epoll behind the words of loop.h. */
#include "event/loop.h"

#include "base/clock.h"
#include "base/mem.h"
#include "os/fd.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

int loop_init(struct loop *l, int batch)
{
    check(batch > 0);
    *l = (struct loop){.batch = batch};
    l->epfd = epoll_create1(EPOLL_CLOEXEC);
    if (l->epfd < 0)
        return -errno;
    l->ready = mem_alloc((size_t)batch * sizeof(*l->ready));
    list_init(&l->tasks);
    clock_update();
    timer_wheel_init(&l->timers, clock_ms());
    return 0;
}

void loop_free(struct loop *l)
{
    fd_close(&l->epfd);
    free(l->ready);
    l->ready = NULL;
    l->nready = l->next_ready = 0;
}

/* The pending event of an io that goes away must not reach it. */
static void drop_pending(struct loop *l, const struct loop_io *io)
{
    for (int i = l->next_ready; i < l->nready; i++) {
        if (l->ready[i].data.ptr == io) {
            l->ready[i].data.ptr = NULL;
            return;
        }
    }
}

int loop_set(struct loop *l, struct loop_io *io, uint32_t events)
{
    if (events == io->events)
        return 0;
    int op = !io->events ? EPOLL_CTL_ADD : events ? EPOLL_CTL_MOD : EPOLL_CTL_DEL;
    struct epoll_event ev = {.events = events, .data.ptr = io};
    if (epoll_ctl(l->epfd, op, io->fd, &ev) < 0)
        return -errno;
    io->events = events;
    if (!events)
        drop_pending(l, io);
    return 0;
}

void loop_del(struct loop *l, struct loop_io *io)
{
    check(loop_set(l, io, 0) == 0);
    io->on_ready = NULL;
}

void loop_forget(struct loop *l, struct loop_io *io)
{
    if (io->events)
        drop_pending(l, io);
    io->events = 0;
    io->on_ready = NULL;
}

static int timeout_of(const struct loop *l, int max_ms)
{
    if (!list_empty(&l->tasks))
        return 0;
    int64_t next = timer_next(&l->timers, clock_ms());
    if (next < 0 || (max_ms >= 0 && next > max_ms))
        return max_ms;
    return next < INT_MAX ? (int)next : INT_MAX;
}

int loop_wait(struct loop *l, int max_ms)
{
    int n = epoll_wait(l->epfd, l->ready, l->batch, timeout_of(l, max_ms));
    check(n >= 0 || errno == EINTR);
    clock_update();
    l->waits++;
    l->next_ready = 0;
    l->nready = n > 0 ? n : 0;
    return l->nready;
}

/* Interest may have changed since the wait; what nobody asks for any more is not passed on. */
struct loop_io *loop_ready(struct loop *l, int i, uint32_t *events)
{
    check(i >= 0 && i < l->nready);
    struct loop_io *io = l->ready[i].data.ptr;
    if (!io)
        return NULL;
    *events = l->ready[i].events & (io->events | EPOLLERR | EPOLLHUP);
    return *events ? io : NULL;
}

void loop_take(struct loop *l, int i)
{
    check(i >= 0 && i < l->nready);
    l->ready[i].data.ptr = NULL;
}

void loop_dispatch(struct loop *l)
{
    while (l->next_ready < l->nready) {
        uint32_t events;
        int i = l->next_ready++;
        struct loop_io *io = loop_ready(l, i, &events);
        if (io && io->on_ready)
            io->on_ready(io, events);
    }
}

void loop_run_timers(struct loop *l)
{
    timer_run(&l->timers, clock_ms());
}

void loop_later(struct loop *l, struct loop_task *t)
{
    if (!t->node.next)
        list_init(&t->node);
    if (list_empty(&t->node))
        list_add_tail(&l->tasks, &t->node);
}

/* The tasks of this turn move to a list of their own; a task may take another one off it. */
void loop_reap(struct loop *l)
{
    struct list todo, *node;
    if (list_empty(&l->tasks))
        return;
    todo = l->tasks;
    todo.next->prev = &todo;
    todo.prev->next = &todo;
    list_init(&l->tasks);
    while ((node = list_first(&todo))) {
        list_remove(node);
        struct loop_task *t = CONTAINER_OF(node, struct loop_task, node);
        t->run(t);
    }
}
