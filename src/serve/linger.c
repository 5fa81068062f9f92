#include "serve/linger.h"

#include "base/clock.h"
#include "serve/deadline.h"
#include "serve/intake.h"

#define STEP_MS    2000
#define STEP_BYTES (16 * 1024) /* so many within that time, and it goes on */
#define MOST_MS    30000       /* in all */
#define READS      16          /* before others are looked at */

void linger_begin(struct conn *c)
{
    c->lingering = true;
    c->dropped = 0;
    intake_drop(c);
    stream_shut(&c->stream);
    c->linger_until = clock_ms() + MOST_MS;
    deadline_set(c, CONN_WAIT_LINGER, STEP_MS);
    if (loop_set(c->serve->loop, &c->io, EPOLLIN))
        conn_close(c);
    else
        linger_hear(c);
}

void linger_hear(struct conn *c)
{
    intake_waste(c, READS);
    if (c->eof || c->broken)
        conn_close(c);
}

void linger_on(struct conn *c)
{
    if (c->dropped < STEP_BYTES || clock_ms() >= c->linger_until) {
        conn_close(c);
        return;
    }
    c->dropped = 0;
    deadline_set(c, CONN_WAIT_LINGER, STEP_MS);
}
