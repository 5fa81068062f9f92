/* dial.c - see dial.h. What decides (a connection stands, all have failed, the time is over) is noted where it is seen and told
 * by one task, at the end of the same turn of the loop. */
#include "net/dial.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/note.h"
#include "net/reach.h"
#include "os/fd.h"
#include "os/sock_addr.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>

struct
try {
    struct loop_io io; /* fd -1: not open */
    struct dial *dial;
    struct sock_addr addr;
};

struct dial {
    struct loop *loop;
    void (*on_end)(void *whose, const struct dial_end *end);
    void *whose;
    struct loop_task task;
    struct timer timer; /* the next address, or the end, whichever comes first */
    uint64_t next_at, due;
    unsigned n, begun, open;
    int fd; /* the one that stands */
    bool late;
    char room[DIAL_WHY_SIZE];
    struct note why;
    struct try tries[];
};

static void go_on(struct dial *d);

static void add_why(struct dial *d, const struct sock_addr *a, const char *what)
{
    char text[SOCK_TEXT_MAX];
    size_t n = sock_addr_text(a, text);
    if (d->why.n)
        note_add(&d->why, "; ");
    note_add_str(&d->why, (cs_str){text, n});
    note_add(&d->why, ": ");
    note_add(&d->why, what);
}

static void end_try(struct try *t)
{
    if (t->io.fd < 0)
        return;
    loop_forget(t->dial->loop, &t->io);
    fd_close(&t->io.fd);
    t->dial->open--;
}

static void end_tries(struct dial *d)
{
    for (unsigned i = 0; i < d->begun; i++)
        end_try(&d->tries[i]);
    timer_clear(&d->loop->timers, &d->timer);
}

static void settle(struct dial *d)
{
    end_tries(d);
    loop_later(d->loop, &d->task);
}

static bool is_settled(const struct dial *d)
{
    return d->fd >= 0 || d->late;
}

static void win(struct try *t)
{
    struct dial *d = t->dial;
    int one = 1;
    loop_del(d->loop, &t->io);
    d->fd = t->io.fd;
    t->io.fd = -1;
    d->open--;
    if (t->addr.u.sa.sa_family != AF_UNIX)
        setsockopt(d->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    settle(d);
}

static void on_ready(struct loop_io *io, uint32_t events)
{
    struct try *t = CONTAINER_OF(io, struct try, io);
    struct dial *d = t->dial;
    int error = 0;
    socklen_t len = sizeof error;
    (void)events;
    if (getsockopt(io->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
        error = errno;
    if (!error) {
        win(t);
        return;
    }
    add_why(d, &t->addr, strerror(error));
    end_try(t);
    d->next_at = clock_ms();
    go_on(d);
}

/* False: it has failed at once, and why is noted. */
static bool begin_try(struct try *t)
{
    struct dial *d = t->dial;
    const char *why;
    int rc = reach(&t->addr, &t->io.fd, &why);
    if (rc && rc != -EINPROGRESS) {
        add_why(d, &t->addr, why);
        return false;
    }
    d->open++;
    if (rc == 0) {
        win(t);
        return true;
    }
    rc = loop_set(d->loop, &t->io, EPOLLOUT);
    if (rc) {
        end_try(t);
        add_why(d, &t->addr, strerror(-rc));
    }
    return rc == 0;
}

/* Begins with the next address that does not fail at once. */
static void begin_next(struct dial *d)
{
    bool begun = false;
    while (!begun && d->begun < d->n)
        begun = begin_try(&d->tries[d->begun++]);
    d->next_at = d->begun < d->n ? clock_ms() + DIAL_NEXT_MS : 0;
}

static void go_on(struct dial *d)
{
    if (d->next_at && d->next_at <= clock_ms())
        begin_next(d);
    if (is_settled(d))
        return;
    if (d->open == 0) {
        settle(d);
        return;
    }
    uint64_t at = d->next_at && (!d->due || d->next_at < d->due) ? d->next_at : d->due;
    if (at)
        timer_set_at(&d->loop->timers, &d->timer, at);
}

static void on_timer(struct timer *timer)
{
    struct dial *d = CONTAINER_OF(timer, struct dial, timer);
    if (d->due && d->due <= clock_ms()) {
        for (unsigned i = 0; i < d->begun; i++)
            if (d->tries[i].io.fd >= 0)
                add_why(d, &d->tries[i].addr, "no answer");
        d->late = true;
        settle(d);
        return;
    }
    go_on(d);
}

static void on_task(struct loop_task *task)
{
    struct dial *d = CONTAINER_OF(task, struct dial, task);
    char why[DIAL_WHY_SIZE];
    struct dial_end end = {.fd = d->fd, .late = d->late, .why = why};
    void (*on_end)(void *, const struct dial_end *) = d->on_end;
    void *whose = d->whose;
    memcpy(why, d->room, sizeof why);
    free(d);
    on_end(whose, &end);
}

struct dial *dial_new(struct loop *loop, const struct names_address *v, unsigned n, uint64_t due,
                      void (*on_end)(void *whose, const struct dial_end *end), void *whose)
{
    check(n > 0 && n <= NAMES_ADDRESSES);
    struct dial *d = mem_alloc(sizeof *d + n * sizeof d->tries[0]);
    d->loop = loop;
    d->on_end = on_end;
    d->whose = whose;
    d->task.run = on_task;
    list_init(&d->task.node);
    timer_init(&d->timer, on_timer);
    d->due = due;
    d->n = n;
    d->fd = -1;
    d->why = note_on(d->room, sizeof d->room);
    for (unsigned i = 0; i < n; i++) {
        d->tries[i].io = (struct loop_io){.on_ready = on_ready, .fd = -1};
        d->tries[i].dial = d;
        d->tries[i].addr.len = v[i].len;
        d->tries[i].addr.u.storage = v[i].addr;
    }
    d->next_at = clock_ms();
    go_on(d);
    return d;
}

void dial_drop(struct dial *d)
{
    if (!d)
        return;
    end_tries(d);
    list_remove(&d->task.node);
    fd_close(&d->fd);
    free(d);
}
