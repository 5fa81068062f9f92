#include "serve/deadline.h"

#include "base/clock.h"
#include "serve/fetch.h"
#include "serve/limit.h"
#include "serve/linger.h"
#include "serve/request.h"
#include "serve/respond.h"

#define LOOKS 4 /* at a client that takes nothing, within write_timeout */

void deadline_set(struct conn *c, enum conn_wait wait, int64_t ms)
{
    c->wait = (uint8_t)(ms ? wait : CONN_WAIT_NONE);
    if (!ms)
        return;
    c->deadline = clock_ms() + (uint64_t)ms;
    if (!timer_is_set(&c->timer) || c->timer.due > c->deadline)
        timer_set(&c->serve->loop->timers, &c->timer, (uint64_t)ms);
}

/* The kernel's buffer can be so large that it asks for more only every few minutes, so progress is
 * looked for in the socket, four times within the limit. */
static int64_t look_ms(const struct conn *c)
{
    return (limit_write(c) + LOOKS - 1) / LOOKS;
}

void deadline_set_write(struct conn *c)
{
    if (c->wait != CONN_WAIT_WRITE || c->progress) {
        deadline_set(c, CONN_WAIT_WRITE, look_ms(c));
        c->silent = 0;
        c->unsent = -1;
    }
    c->progress = false;
}

static void look_at_progress(struct conn *c)
{
    int unsent = stream_unsent(&c->stream);
    c->silent = unsent == c->unsent ? (uint8_t)(c->silent + 1) : 0;
    c->unsent = unsent;
    if (c->silent < LOOKS - 1) {
        deadline_set(c, CONN_WAIT_WRITE, look_ms(c));
        return;
    }
    const bool cold = fetch_holds(c);
    serve_count_one(c->serve, cold ? IPC_DISK_TIMEOUT : IPC_TIMEOUT_WRITE);
    if (cold)
        limit_tell(c->first, NULL, CONF_WRITE_TIMEOUT, "the disk does not give what is to be sent");
    else if (c->first)
        limit_tell(c->first, NULL, CONF_WRITE_TIMEOUT, "the client takes nothing of its answer");
    conn_close(c);
}

static void refuse_late(struct conn *c, enum ipc_counter counter)
{
    struct request *r = c->current;
    serve_count_one(c->serve, counter);
    if (!r || r->answered) {
        conn_close(c);
        return;
    }
    respond_refuse(r, 408);
    conn_wake(c);
}

static void pass(struct conn *c)
{
    switch ((enum conn_wait)c->wait) {
    case CONN_WAIT_HEAD:
        refuse_late(c, IPC_TIMEOUT_HEAD);
        break;
    case CONN_WAIT_BODY:
        limit_tell(c->current, NULL, CONF_BODY_TIMEOUT, "the rest of the body does not come");
        refuse_late(c, IPC_TIMEOUT_BODY);
        break;
    case CONN_WAIT_IDLE:
        serve_count_one(c->serve, IPC_TIMEOUT_IDLE);
        conn_close(c);
        break;
    case CONN_WAIT_WRITE:
        look_at_progress(c);
        break;
    case CONN_WAIT_LINGER:
        linger_on(c);
        break;
    case CONN_WAIT_NONE:
        break;
    }
}

static void on_timer(struct timer *t)
{
    struct conn *c = CONTAINER_OF(t, struct conn, timer);
    uint64_t now = clock_ms();
    if (c->wait != CONN_WAIT_NONE && now < c->deadline)
        timer_set(&c->serve->loop->timers, t, c->deadline - now);
    else
        pass(c);
}

void deadline_init(struct conn *c)
{
    timer_init(&c->timer, on_timer);
}
