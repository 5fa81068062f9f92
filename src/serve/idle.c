#include "serve/idle.h"

#include "base/clock.h"
#include "serve/deadline.h"
#include "serve/intake.h"

static void count(struct conn *c, bool idle)
{
    struct serve *s = c->serve;
    c->idle = idle;
    s->nidle += idle ? 1 : -1;
    atomic_store_explicit(&s->slot->idle, s->nidle, memory_order_relaxed);
}

void idle_leave(struct conn *c)
{
    list_remove(&c->idle_node);
    if (c->idle)
        count(c, false);
}

void idle_hurry(struct conn *c)
{
    if (c->wait == CONN_WAIT_NONE || c->deadline > clock_ms() + IDLE_LEAVE_MS)
        deadline_set(c, CONN_WAIT_IDLE, IDLE_LEAVE_MS);
}

void idle_enter(struct conn *c)
{
    struct serve *s = c->serve;
    intake_drop(c);
    if (list_empty(&c->idle_node))
        list_add_tail(&s->idle, &c->idle_node);
    if (!c->idle)
        count(c, true);
    if (c->requests)
        deadline_set(c, CONN_WAIT_IDLE, s->limits->keepalive_timeout);
    else if (c->wait != CONN_WAIT_HEAD)
        deadline_set(c, CONN_WAIT_HEAD, s->limits->head_timeout);
    if (s->leaving)
        idle_hurry(c);
}
