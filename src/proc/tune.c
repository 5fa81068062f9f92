/* tune.c - see tune.h. */
#include "proc/tune.h"

#include "base/log.h"
#include "conf/tune.h"
#include "ipc/board.h"
#include "ipc/topic.h"
#include "module/post.h"
#include "proc/master.h"

#include <string.h>

#define MOST_SLOTS 4096
#define SOME       6 /* are named */

struct message {
    uint32_t generation, revision;
    int64_t values[CONF_TUNE_MAX];
};

_Static_assert(sizeof(struct message) <= POST_SETTINGS_MAX, "it is one message");

static size_t size_of_message(void)
{
    return offsetof(struct message, values) + conf_tune_count() * sizeof(int64_t);
}

/* ---- A process ---- */

bool tune_take(const struct heritage *h, uint32_t *revision, const void *data, size_t len)
{
    struct message msg;

    if (len != size_of_message())
        return false;
    memcpy(&msg, data, len);
    if (msg.generation != h->generation || msg.revision <= *revision)
        return false;
    conf_tune_write(h->conf, msg.values);
    *revision = msg.revision;
    return true;
}

/* ---- The master ---- */

/* A reload also is what one does to get rid of trouble. */
const char *tune_obstacle(const struct master *m)
{
    const struct ipc_module *module;

    if (m->paused)
        return "there are no workers at the moment";
    if (m->workers_fail || m->primary_fails)
        return "processes of this generation do not start";
    for (unsigned i = 1; (module = board_module(&m->region, i)); i++)
        if (board_is_quarantined(&m->region, module))
            return "a module is in quarantine";
    return NULL;
}

bool tune_suffices(const struct conf_diff *d)
{
    return d->needs[CONF_NEED_MESSAGE] > 0 && d->needs[CONF_NEED_WORKERS] == 0;
}

static bool publish(struct master *m, const struct settings *s)
{
    struct message msg = {.generation = m->live->number, .revision = m->live->revision + 1};
    int topic = topic_find(&m->region, POST_SETTINGS);
    enum mail_result rc;

    conf_tune_read(s->conf, msg.values);
    m->tuning = (struct mail_receipt){.on_applied = NULL};
    if (topic < 0)
        return false;
    rc = mailbox_publish(&m->mail, (unsigned)topic, (struct mail_target){.to = MAIL_ALL}, &msg,
                         size_of_message(), &m->tuning);
    if (rc == MAIL_SENT || rc == MAIL_QUEUED)
        return true;
    log_warn("the workers cannot be told of run-time settings: %s", mailbox_result_name(rc));
    return false;
}

bool tune_begin(struct master *m, const struct settings *s)
{
    struct generation *g = m->live;

    if (!publish(m, s))
        return false;
    conf_tune_take(g->settings->conf, s->conf);
    g->revision++;
    atomic_store(&m->region.header->revision, g->revision);
    g->logs.level = g->settings->conf->server.log_level;
    log_set_level((enum log_level)g->logs.level);
    return true;
}

/* Draining generations have settings of their own. A place that is held for a primary has nobody who could take them. */
static bool concerns(const struct master *m, int slot)
{
    const struct ipc_slot *s = region_slot(&m->region, slot);

    return atomic_load(&s->pid) > 0 && atomic_load(&s->generation) == m->live->number;
}

bool tune_is_done(const struct master *m, struct buf *who)
{
    int slots[MOST_SLOTS];
    unsigned missing = 0, n;

    if (m->tuning.state != MAIL_RECEIPT_SENT) {
        buf_add_z(who, "the master's own queue");
        return false;
    }
    n = mailbox_unapplied(&m->mail, &m->tuning, slots, MOST_SLOTS);
    for (unsigned i = 0; i < n && i < MOST_SLOTS; i++) {
        if (!concerns(m, slots[i]))
            continue;
        if (missing++ >= SOME)
            continue;
        buf_add_z(who, missing > 1 ? ", " : "");
        msg_describe(m, slots[i], who);
    }
    if (missing > SOME)
        buf_printf(who, " and %u more", missing - SOME);
    return missing == 0;
}

void tune_end(struct master *m)
{
    mailbox_forget(&m->mail, &m->tuning);
}
