/* room.c - who makes room for a new generation: at most two drain at a time, and there are so many slots. */
#include "base/clock.h"
#include "base/log.h"
#include "proc/rollout.h"

#define MOST_DRAINING 1 /* before the live one joins them: two in all */

/* Those that were rolled back have nothing to lose, and end soon. */
static unsigned count_served(const struct master *m, struct generation **oldest)
{
    unsigned n = 0;

    *oldest = NULL;
    LIST_EACH(node, &m->draining)
    {
        struct generation *g = CONTAINER_OF(node, struct generation, node);

        if (g->undone)
            continue;
        *oldest = *oldest ? *oldest : g;
        n++;
    }
    return n;
}

static bool has_undone(const struct master *m)
{
    LIST_EACH(node, &m->draining)
    if (CONTAINER_OF(node, struct generation, node)->undone)
        return true;
    return false;
}

/* Its requests get a last moment; what is still there then is cut by the workers themselves. */
static void hurry(struct master *m, struct generation *g)
{
    uint64_t until = clock_ms() + ROOM_LAST_MS;

    if (g->until != 0 && g->until <= until)
        return;
    unsigned n = generation_connections(g);

    log_warn("generation %u still drains and has to make room for another: its %u connection%s %d "
             "ms",
             (unsigned)g->number, n, n == 1 ? " has" : "s have", ROOM_LAST_MS);
    m->rollout.hurried += n;
    generation_drain(g, until);
}

enum room room_make(struct master *m)
{
    struct generation *oldest;
    unsigned n = count_served(m, &oldest);

    if (n <= MOST_DRAINING && crew_free_slots(&m->crew) >= m->rollout.settings->workers)
        return ROOM_MADE;
    if (list_empty(&m->draining))
        return ROOM_NEVER;
    if (oldest && (n > MOST_DRAINING || !has_undone(m)))
        hurry(m, oldest);
    return ROOM_LATER;
}
