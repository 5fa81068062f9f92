#include "module/watch.h"

#include "base/log.h"
#include "base/mem.h"
#include "module/crumb.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct cs_watch {
    struct loop_io io;
    struct list node; /* in host.watches */
    unsigned module;  /* whose it is */
    void (*cb)(int fd, int events, void *arg);
    void *arg;
};

/* That the other end has closed is noticed by who reads; somebody who only writes may go on. */
static uint32_t to_epoll(int events)
{
    return (events & CS_READ ? EPOLLIN | EPOLLRDHUP : 0u) | (events & CS_WRITE ? EPOLLOUT : 0u);
}

static int from_epoll(uint32_t events)
{
    return (events & EPOLLIN ? CS_READ : 0) | (events & EPOLLOUT ? CS_WRITE : 0) |
           (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR) ? CS_HANGUP : 0);
}

/* The callback may end any watch, this one too: nothing is looked at behind it. */
static void on_ready(struct loop_io *io, uint32_t events)
{
    cs_watch *w = CONTAINER_OF(io, cs_watch, io);
    if (crumb_is_quarantined(w->module)) {
        loop_set(host_here()->loop, io, 0);
        return;
    }
    host_enter(host_here());
    uint32_t was = crumb_enter(w->module, CRUMB_WATCH);
    w->cb(io->fd, from_epoll(events), w->arg);
    crumb_leave(was);
}

/* Whether a descriptor can be watched is not known before it is, so one that is to rest is watched for a moment. */
static int begin(struct loop *l, struct loop_io *io, int events)
{
    uint32_t wanted = to_epoll(events);
    int rc = loop_set(l, io, wanted ? wanted : EPOLLERR);
    if (rc == 0 && !wanted)
        rc = loop_set(l, io, 0);
    return rc;
}

cs_watch *host_watch(cs_proc *p, int fd, int events, void (*cb)(int fd, int events, void *arg),
                     void *arg)
{
    struct host *h = host_here();
    check(p != NULL && h != NULL && cb != NULL);
    cs_watch *w = mem_alloc(sizeof *w);
    *w = (cs_watch){
        .io = {.fd = fd, .on_ready = on_ready}, .module = host_module_of(p), .cb = cb, .arg = arg};
    int rc = begin(h->loop, &w->io, events);
    if (rc < 0) {
        log_debug("module %s: descriptor %d cannot be watched: %s", host_module_name(w->module), fd,
                  rc == -EEXIST ? "it is watched already" : strerror(-rc));
        free(w);
        return NULL;
    }
    list_add_tail(&h->watches, &w->node);
    return w;
}

int host_watch_set(cs_watch *w, int events)
{
    return loop_set(host_here()->loop, &w->io, to_epoll(events)) < 0 ? CS_ERROR : CS_OK;
}

/* A descriptor that has been closed too early, and has a copy somewhere, cannot be taken out of the loop any more: its
 * events must not find freed memory, so the watch stays as an empty shell. */
void host_watch_end(cs_watch *w)
{
    struct loop *l = host_here()->loop;
    if (!w)
        return;
    if (loop_set(l, &w->io, 0) == 0) {
        list_remove(&w->node);
        free(w);
        return;
    }
    log_warn("module %s: descriptor %d was closed before its watch was ended",
             host_module_name(w->module), w->io.fd);
    loop_forget(l, &w->io);
}

void watch_end_all(struct host *h)
{
    LIST_EACH(it, &h->watches)
    {
        cs_watch *w = CONTAINER_OF(it, cs_watch, node);
        if (loop_set(h->loop, &w->io, 0) < 0)
            loop_forget(h->loop, &w->io);
        list_remove(it);
        free(w);
    }
}
