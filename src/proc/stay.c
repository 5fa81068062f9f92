#include "proc/stay.h"

static uint64_t at_most(uint64_t ms)
{
    return ms < STAY_MOST_MS ? ms : STAY_MOST_MS;
}

static bool is_same(const struct stay *s, const struct stay_look *look)
{
    return look->inside && s->looked_ms > 0 && s->incarnation == look->incarnation &&
           s->since_ms == look->since_ms;
}

/* Nobody is blamed at the first look: what it saw may be over by now. */
static void begin(struct stay *s, const struct stay_look *look)
{
    *s = (struct stay){.incarnation = look->incarnation};
    if (!look->inside)
        return;
    s->since_ms = look->since_ms;
    s->looked_ms = look->now_ms;
    if (!look->held && look->now_ms > look->since_ms)
        s->counted_ms = at_most(look->now_ms - look->since_ms);
    if (look->waits)
        s->waited_ms = s->counted_ms;
}

static bool is_over_due(const struct stay *s, const struct stay_look *look)
{
    uint64_t ms = look->now_ms - s->aborted_ms;

    return s->aborted_ms && !s->killed && ms >= (look->dumping ? STAY_DUMP_MS : STAY_KILL_MS);
}

static unsigned go_on(struct stay *s, const struct stay_look *look, const struct stay_limits *l)
{
    unsigned verdict = 0;

    if (!look->held)
        s->counted_ms += at_most(look->now_ms - s->looked_ms);
    if (!look->held && look->waits)
        s->waited_ms += at_most(look->now_ms - s->looked_ms);
    s->looked_ms = look->now_ms;
    if (look->held)
        return 0;
    if (l->warn_ms > 0 && s->counted_ms >= l->warn_ms && !s->told) {
        s->told = true;
        verdict |= STAY_LONG;
    }
    if (l->kill_ms > 0 && !look->waits && s->counted_ms - s->waited_ms >= l->kill_ms &&
        !s->aborted_ms) {
        s->aborted_ms = look->now_ms;
        return verdict | STAY_ABORT;
    }
    if (is_over_due(s, look)) {
        s->killed = true;
        verdict |= STAY_KILL;
    }
    return verdict;
}

unsigned stay_judge(struct stay *s, const struct stay_look *look, const struct stay_limits *limits)
{
    if (is_same(s, look))
        return go_on(s, look, limits);
    begin(s, look);
    return 0;
}
