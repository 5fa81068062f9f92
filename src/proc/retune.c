/* retune.c - a reload that changes only run-time settings: the running workers take them (tune.h), and who asked waits until
 * they have. */
#include "base/clock.h"
#include "base/log.h"
#include "proc/code.h"
#include "proc/rollout.h"
#include "proc/tune.h"

#include <stdio.h>

#define MOST_CHANGES  20 /* of the settings, in the log */
#define TUNE_LOOK_MS  50
#define TUNE_LIMIT_MS 10000 /* for processes to take them */

const char *rollout_put_off(const struct master *m, char out[ROLLOUT_PUT_OFF])
{
    unsigned n = m->rollout.put_off;

    out[0] = '\0';
    if (n > 0)
        snprintf(out, ROLLOUT_PUT_OFF, "; %u change%s for a restart", n,
                 n == 1 ? " waits" : "s wait");
    return out;
}

static void say_tuned(struct master *m)
{
    char message[480], put_off[ROLLOUT_PUT_OFF];

    tune_end(m);
    snprintf(message, sizeof message,
             "generation %u has its new run-time settings (revision %u), without new workers%s",
             (unsigned)m->live->number, (unsigned)m->live->revision, rollout_put_off(m, put_off));
    rollout_finish(m, 0, message, buf_str(&m->rollout.probe.text));
}

static void say_untuned(struct master *m, const char *who, const char *until)
{
    char message[480];

    tune_end(m);
    snprintf(message, sizeof message,
             "generation %u has its new run-time settings (revision %u), but %s they are not taken "
             "by %s; who does not answer takes them when it goes on",
             (unsigned)m->live->number, (unsigned)m->live->revision, until, who);
    rollout_finish(m, CODE_LATE, message, buf_str(&m->rollout.probe.text));
}

void retune_look(struct master *m)
{
    struct buf who = {0};
    char until[64];

    if (tune_is_done(m, &who)) {
        say_tuned(m);
    } else if (clock_ms() >= m->rollout.tune_until) {
        snprintf(until, sizeof until, "after %d s", TUNE_LIMIT_MS / 1000);
        say_untuned(m, who.p, until);
    } else {
        timer_set(&m->loop.timers, &m->rollout.limit, TUNE_LOOK_MS);
    }
    buf_free(&who);
}

void retune_cancel(struct master *m)
{
    say_untuned(m, "all", "since the server is stopping");
}

bool retune_begin(struct master *m, const struct conf_diff *d)
{
    struct rollout *r = &m->rollout;
    const char *obstacle = tune_obstacle(m);

    if (r->anew || !tune_suffices(d))
        return false;
    if (obstacle)
        log_info("reload: new workers take the changes, since %s", obstacle);
    if (obstacle || !tune_begin(m, r->settings))
        return false;
    r->state = ROLLOUT_TUNING;
    r->tune_until = clock_ms() + TUNE_LIMIT_MS;
    rollout_say(m, "the settings are good; telling the running workers");
    timer_set(&m->loop.timers, &r->limit, 0); /* not before the loop has gone round */
    return true;
}

static void log_changes(const struct conf_diff *d)
{
    struct buf line = {0};
    unsigned n = 0;

    for (const struct conf_change *c = d->first; c && n < MOST_CHANGES; c = c->next, n++) {
        buf_clear(&line);
        conf_diff_say(c, &line);
        log_info("reload: %s: %s", conf_need_name(c->need), line.p);
    }
    if (d->n > n)
        log_info("reload: and %u changes more", d->n - n);
    buf_free(&line);
}

void retune_tell(struct master *m, const struct conf_diff *d)
{
    struct buf sum = {0};

    conf_diff_sum(d, &sum);
    rollout_say(m, sum.p);
    log_changes(d);
    buf_free(&sum);
}
