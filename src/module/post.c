/* post.c - a topic's handle is its number; an answer is a message of a topic of its own, to the incarnation that asked. */
#include "module/post.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "ipc/member.h"
#include "ipc/replay.h"
#include "ipc/topic.h"
#include "module/call.h"
#include "module/company.h"
#include "module/crumb.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ANSWERS         "cserver.answers"
#define DEFAULT_MAX_LEN 4096
#define SLOW_US         100000

/* Who takes a topic, in the order of the modules. */
struct taker {
    struct taker *next;
    void (*on_message)(const cs_msg *m);
    const struct conf_module *module;
    const char *topic;
};

static cs_topic handles[IPC_TOPICS];
static struct taker *takers[IPC_TOPICS];
static int answers = -1, members = -1, settings = -1;

/* ---- Names ---- */

static size_t limit_of(const cs_topic_def *def)
{
    return def->max_len ? def->max_len : DEFAULT_MAX_LEN;
}

static const char *why_not(int rc)
{
    if (rc == -ENOSPC)
        return "this server has all the topics there can be (256, and 64 that keep a value), those "
               "of modules that "
               "have gone included; a restart frees them";
    if (rc == -EINVAL)
        return "one module lets it keep its latest value, which has at most 4096 bytes, and "
               "another declares it larger; "
               "what was declared once holds until a restart";
    return strerror(-rc);
}

static int declare(const cs_module *desc, const cs_topic_def *def, struct region *r,
                   struct buf *error)
{
    struct topic_spec spec = {.name = def->name,
                              .owner = desc->name,
                              .max_len = limit_of(def),
                              .latest = def->flags & CS_LATEST};
    int number = topic_new(r, &spec);
    if (number < 0) {
        buf_printf(error, "module \"%s\": cannot have its topic \"%s\": %s", desc->name, def->name,
                   why_not(number));
        return -1;
    }
    handles[number].number = (unsigned)number;
    *def->ref = &handles[number];
    return 0;
}

int post_declare(const cs_module *desc, struct region *r, struct buf *error)
{
    for (const cs_topic_def *def = desc->topics; def && def->name; def++)
        if (declare(desc, def, r, error) < 0)
            return -1;
    return 0;
}

int post_init(struct region *r)
{
    answers = topic_new(
        r, &(struct topic_spec){.name = ANSWERS, .owner = "cserver", .max_len = IPC_MAIL_MAX});
    members = topic_new(r, &(struct topic_spec){.name = MEMBER_TOPIC,
                                                .owner = "cserver",
                                                .max_len = sizeof(struct member_event)});
    settings = topic_new(r, &(struct topic_spec){.name = POST_SETTINGS,
                                                 .owner = "cserver",
                                                 .max_len = POST_SETTINGS_MAX,
                                                 .latest = true});
    return answers < 0 ? answers : members < 0 ? members : settings < 0 ? settings : 0;
}

/* ---- Sending ---- */

int post_result(enum mail_result rc)
{
    switch (rc) {
    case MAIL_SENT:
    case MAIL_QUEUED:
        return CS_OK;
    case MAIL_AGAIN:
        return CS_AGAIN;
    case MAIL_TOOBIG:
        return CS_TOOBIG;
    case MAIL_LOOP:
        return CS_LOOP;
    case MAIL_UNKNOWN:
    case MAIL_NOBODY:
        return CS_CLOSED;
    case MAIL_BROKEN:
        break;
    }
    return CS_ERROR;
}

bool post_target(int to, struct mail_target *target)
{
    if (to == 0 || to == CS_TO_PRIMARY)
        *target = (struct mail_target){.to = MAIL_PRIMARY};
    else if (to > 0 && to < INT16_MAX - IPC_SLOT_WORKERS)
        *target = (struct mail_target){.to = IPC_SLOT_WORKERS + to - 1};
    else if (to == CS_TO_ALL || to == CS_TO_WORKERS || to == CS_TO_OTHERS)
        *target = (struct mail_target){.to = to};
    else
        return false;
    return true;
}

int post_publish(cs_topic *t, int to, const void *data, size_t len)
{
    struct host *h = host_here();
    struct mail_target target;
    check(h && t);
    if (!post_target(to, &target))
        return CS_CLOSED;
    return post_result(mailbox_publish(&h->mail, t->number, target, data, len, NULL));
}

static int slot_of(int number)
{
    return number == 0 ? IPC_SLOT_PRIMARY_A : IPC_SLOT_WORKERS + number - 1;
}

int post_answer(const cs_msg *m, const void *data, size_t len)
{
    struct host *h = host_here();
    check(h && m);
    if (!m->call || m->from_slot < 0)
        return CS_ERROR;
    if (len > atomic_load(&topic_get(h->region, m->topic->number)->max_len))
        return CS_TOOBIG;
    struct mail_target target = {
        .to = slot_of(m->from_slot), .incarnation = m->from_incarnation, .call = m->call};
    return post_result(mailbox_publish(&h->mail, (unsigned)answers, target, data, len, NULL));
}

/* ---- Receiving ---- */

cs_msg post_message(const struct mail_message *m, cs_topic *topic)
{
    return (cs_msg){.size = sizeof(cs_msg),
                    .from_slot = host_number(m->from_slot),
                    .from_incarnation = m->from_incarnation,
                    .hops = m->hops,
                    .topic = topic,
                    .data = m->data,
                    .len = m->len,
                    .seq = m->seq,
                    .number = m->number,
                    .lost = m->lost,
                    .retained = m->retained,
                    .call = m->call};
}

/* What `each` publishes may write over the ring, not over the copies. */
int post_replay(cs_topic *t, uint64_t after, int (*each)(const cs_msg *m, void *arg), void *arg)
{
    struct host *h = host_here();
    struct mail_message m;
    struct replay rp;
    check(h && t && each);
    if (after == CS_SINCE_SAVE && !h->adopting)
        return CS_ERROR;
    if (after == CS_SINCE_SAVE)
        replay_take_since(&rp, &h->mail, t->number, h->adopting->mail);
    else
        replay_take(&rp, &h->mail, t->number, after);
    int rc = rp.beyond ? CS_ERROR : rp.missing ? CS_CLOSED : CS_OK, stop = 0;
    while (!stop && replay_next(&rp, &m)) {
        cs_msg msg = post_message(&m, t);
        stop = each(&msg, arg);
    }
    replay_free(&rp);
    return stop ? stop : rc;
}

/* For a report of a crash. */
static void note_message(const struct mail_message *m)
{
    struct ipc_crumb *c = crumb_here;
    atomic_store_explicit(&c->seq, m->seq, memory_order_relaxed);
    atomic_store_explicit(&c->topic, m->topic, memory_order_relaxed);
    atomic_store_explicit(&c->from, m->from_slot, memory_order_relaxed);
}

/* Nothing else of this process goes on meanwhile. */
static void deliver(const struct taker *t, const cs_msg *m)
{
    if (crumb_is_quarantined(t->module->number))
        return;
    uint64_t before = clock_us_now();
    uint32_t was = crumb_enter(t->module->number, CRUMB_ON_MESSAGE);
    t->on_message(m);
    crumb_leave(was);
    uint64_t took = clock_us_now() - before;
    if (took > SLOW_US)
        log_warn(
            "the module %s was busy with a message of the topic %s for %llu ms: all else waited",
            t->module->desc->name, t->topic, (unsigned long long)took / 1000);
}

static void on_message(void *arg, const struct mail_message *m)
{
    struct host *h = arg;
    host_enter(h);
    if ((int)m->topic == answers) {
        call_take_answer(h, m);
    } else if ((int)m->topic == members) {
        company_take(h, m);
    } else if ((int)m->topic == settings) {
        if (h->on_settings)
            h->on_settings(h->settings_arg, m->data, m->len);
    } else {
        cs_msg msg = post_message(m, &handles[m->topic]);
        note_message(m);
        for (const struct taker *t = takers[m->topic]; t; t = t->next)
            deliver(t, &msg);
    }
}

/* ---- The process ---- */

static void take_topics(struct host *h, const struct conf_module *m)
{
    for (const cs_topic_def *def = m->desc->topics; def && def->name; def++) {
        struct taker **at = &takers[(*def->ref)->number];
        if (!def->on_message)
            continue;
        while (*at)
            at = &(*at)->next;
        *at = mem_alloc(sizeof **at);
        **at = (struct taker){.on_message = def->on_message, .module = m, .topic = def->name};
        mailbox_subscribe(&h->mail, (*def->ref)->number, true);
    }
}

/* Without such a module nobody is woken for events and answers that nobody waits for. */
static bool uses_mail(const cs_module *desc)
{
    return (desc->topics && desc->topics->name) || desc->on_join || desc->on_leave;
}

static void take_all(struct host *h)
{
    bool used = false;
    for (size_t i = 0; i < h->conf->nmodules; i++) {
        take_topics(h, &h->conf->modules[i]);
        used |= uses_mail(h->conf->modules[i].desc);
    }
    mailbox_subscribe(&h->mail, (unsigned)answers, used);
    mailbox_subscribe(&h->mail, (unsigned)members, used);
    if (settings >= 0)
        mailbox_subscribe(&h->mail, (unsigned)settings, h->on_settings != NULL);
}

int post_open(struct host *h)
{
    list_init(&h->calls);
    mailbox_init(&h->mail, h->region, h->slot, on_message, h);
    take_all(h);
    int rc = mailbox_join(&h->mail);
    company_open(h);
    return rc;
}

static void free_takers(void)
{
    for (size_t i = 0; i < IPC_TOPICS; i++)
        for (struct taker *t = takers[i], *next; t; t = next) {
            next = t->next;
            free(t);
        }
    memset(takers, 0, sizeof takers);
}

void post_close(struct host *h)
{
    call_end_all(h);
    free_takers();
    company_close(h);
    unsigned unsent = mailbox_leave(&h->mail);
    if (unsent)
        log_warn("%u message%s could not be sent any more: those for whom they were are too slow",
                 unsent, unsent == 1 ? "" : "s");
}
