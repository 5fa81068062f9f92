/* drained.c - who has asked for a reload and waits until the old workers have gone. Only generations older than the one that
 * is live at that time matter: later reloads are others' business. */
#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"
#include "proc/command.h"
#include "proc/master.h"

#include <stdlib.h>

struct drain_wait {
    struct list node;
    struct master *master;
    struct control_call *call;
    uint32_t before; /* generations below this one */
    struct buf message, report;
};

static void free_wait(struct drain_wait *w)
{
    list_remove(&w->node);
    buf_free(&w->message);
    buf_free(&w->report);
    free(w);
}

static void on_gone(struct control_call *call)
{
    free_wait(call->keeper);
    control_answer(call, CS_S(""));
}

static bool is_older(const struct list *node, uint32_t before)
{
    return CONTAINER_OF(node, struct generation, node)->number < before;
}

static bool is_over(const struct master *m, uint32_t before)
{
    LIST_EACH(node, &m->draining)
    if (is_older(node, before))
        return false;
    return true;
}

/* "2 old workers with 5 connections, for at most 30 s" */
static void describe(const struct master *m, uint32_t before, struct buf *out)
{
    unsigned n = 0, connections = 0;
    uint64_t until = 0, now = clock_ms();
    bool limited = true;

    LIST_EACH(node, &m->draining)
    {
        const struct generation *g = CONTAINER_OF(node, struct generation, node);

        if (!is_older(node, before))
            continue;
        n += generation_count(g);
        connections += generation_connections(g);
        limited = limited && g->until > 0;
        until = g->until > until ? g->until : until;
    }
    buf_printf(out, "%u old worker%s with %u connection%s", n, n == 1 ? "" : "s", connections,
               connections == 1 ? "" : "s");
    if (limited)
        buf_printf(out, ", for at most %u s",
                   (unsigned)((until > now ? until - now + 999 : 0) / 1000));
}

static void wait_for(struct master *m, struct control_call *call, const char *message,
                     cs_str report)
{
    struct drain_wait *w = mem_alloc(sizeof *w);
    struct buf text = {0};

    *w = (struct drain_wait){.master = m, .call = call, .before = m->live->number};
    buf_add_z(&w->message, message);
    buf_add_str(&w->report, report);
    list_add_tail(&m->drains, &w->node);
    call->keeper = w;
    call->on_gone = on_gone;
    control_keep(call);
    buf_printf(&text, "%s; waiting for ", message);
    describe(m, w->before, &text);
    control_progress(call, text.p);
    buf_free(&text);
}

static unsigned count(const struct master *m)
{
    unsigned n = 0;

    LIST_EACH(node, &m->drains)
    n++;
    return n;
}

void drained_answer(struct master *m, struct control_call *call, const char *message, cs_str report)
{
    if (!call->drained || !call->client || is_over(m, m->live->number))
        command_answer(m, call, 0, message, report);
    else if (count(m) >= DRAINED_WAITS)
        command_answer(m, call, 1,
                       "the reload went well, but too many wait for old workers already: cserver "
                       "-s status lists them",
                       CS_S(""));
    else
        wait_for(m, call, message, report);
}

void drained_look(struct master *m)
{
    LIST_EACH(node, &m->drains)
    {
        struct drain_wait *w = CONTAINER_OF(node, struct drain_wait, node);

        if (!is_over(m, w->before))
            continue;
        buf_add_z(&w->message, "; the old workers have gone");
        command_answer(m, w->call, 0, w->message.p, buf_str(&w->report));
        free_wait(w);
    }
}

void drained_init(struct master *m)
{
    list_init(&m->drains);
}
