/* stall.c - see stall.h. */
#include "proc/stall.h"

#define MOST_MS (STALL_LOOK_MS * 3 / 2)

static unsigned elapsed(const struct stall *s, const struct stall_look *look)
{
    uint64_t ms = look->now_ms - s->last.now_ms;

    return ms < MOST_MS ? (unsigned)ms : MOST_MS;
}

/* Somebody has accepted, or nobody waits. */
static unsigned moves(struct stall *s)
{
    bool told = s->told;

    s->told = s->named = s->killed = false;
    s->guilty_ms = 0;
    return told ? STALL_OVER : 0;
}

/* The queue stands; somebody else is to blame for it than at the last look. */
static unsigned another(struct stall *s)
{
    s->named = s->killed = false;
    s->guilty_ms = 0;
    return s->told ? STALL_LASTS : 0;
}

static unsigned stands(struct stall *s, const struct stall_look *look, unsigned ms,
                       unsigned kill_ms)
{
    unsigned verdict = STALL_LASTS;

    s->guilty_ms = look->guilty && s->last.guilty ? s->guilty_ms + ms : 0;
    if (!s->named)
        verdict |= STALL_BEGINS;
    s->told = s->named = true;
    if (kill_ms > 0 && s->guilty_ms >= kill_ms && !s->killed) {
        s->killed = true;
        verdict |= STALL_KILL;
    }
    return verdict;
}

unsigned stall_judge(struct stall *s, const struct stall_look *look, unsigned kill_ms)
{
    bool same = s->last.waiting && look->waiting && s->last.progress == look->progress;
    unsigned ms = elapsed(s, look), verdict;

    s->looks = look->waiting ? s->looks + 1 : 0;
    if (same)
        s->lasts_ms = s->stood ? s->lasts_ms + ms : ms;
    s->stood = same;
    if (!same)
        verdict = moves(s);
    else if (s->last.culprit != look->culprit)
        verdict = another(s);
    else
        verdict = stands(s, look, ms, kill_ms);
    s->last = *look;
    return verdict;
}
