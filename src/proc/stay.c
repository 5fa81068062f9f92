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

/* Nobody is blamed at the first look: what it saw may have been many short stays of one turn of the loop. */
static void begin(struct stay *s, const struct stay_look *look)
{
    *s = (struct stay){.incarnation = look->incarnation};
    if (!look->inside)
        return;
    s->since_ms = look->since_ms;
    s->looked_ms = look->now_ms;
    if (!look->held && look->now_ms > look->since_ms)
        s->counted_ms = at_most(look->now_ms - look->since_ms);
}

static unsigned go_on(struct stay *s, const struct stay_look *look, const struct stay_limits *l)
{
    unsigned verdict = 0;

    if (!look->held)
        s->counted_ms += at_most(look->now_ms - s->looked_ms);
    s->looked_ms = look->now_ms;
    if (look->held)
        return 0;
    if (l->warn_ms > 0 && s->counted_ms >= l->warn_ms && !s->told) {
        s->told = true;
        verdict |= STAY_LONG;
    }
    if (l->kill_ms > 0 && s->counted_ms >= l->kill_ms && !s->aborted_ms) {
        s->aborted_ms = look->now_ms;
        return verdict | STAY_ABORT;
    }
    if (s->aborted_ms && !s->killed && look->now_ms - s->aborted_ms >= STAY_KILL_MS) {
        s->killed = true;
        verdict |= STAY_KILL;
    }
    return verdict;
}

unsigned stay_judge(struct stay *s, const struct stay_look *look, const struct stay_limits *limits)
{
    bool over = s->told && s->incarnation == look->incarnation;

    if (is_same(s, look))
        return go_on(s, look, limits);
    begin(s, look);
    return over ? STAY_OVER : 0;
}
