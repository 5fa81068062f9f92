/* topic.c - names are only ever added, by one writer, and shown when they are complete: `used` is stored last. */
#include "ipc/topic.h"

#include "ipc/ring.h"
#include "ipc/words.h"

#include <errno.h>
#include <string.h>

static uint64_t get(const _Atomic uint64_t *n)
{
    return atomic_load_explicit(n, memory_order_relaxed);
}

static void copy_name(char *to, size_t room, const char *from)
{
    size_t n = from ? strnlen(from, room - 1) : 0;
    if (n)
        memcpy(to, from, n);
    to[n] = '\0';
}

/* The next free place for a value, -ENOSPC when all are taken. */
static int32_t free_latest(const struct region *r)
{
    int32_t next = 0;
    for (unsigned i = 0; i < IPC_TOPICS; i++) {
        int32_t at = atomic_load_explicit(&r->topics[i].latest, memory_order_relaxed);
        next = at >= next ? at + 1 : next;
    }
    return next < IPC_LATEST ? next : -ENOSPC;
}

static int make_room(struct region *r, struct ipc_topic *t, const struct topic_spec *spec)
{
    bool keeps = atomic_load_explicit(&t->latest, memory_order_relaxed) >= 0;
    if ((keeps || spec->latest) && spec->max_len > IPC_LATEST_MAX)
        return -EINVAL;
    if (spec->latest && !keeps) {
        if (atomic_load_explicit(&t->max_len, memory_order_relaxed) > IPC_LATEST_MAX)
            return -EINVAL;
        int32_t at = free_latest(r);
        if (at < 0)
            return at;
        atomic_store_explicit(&t->latest, at, memory_order_release);
    }
    if (spec->max_len > atomic_load_explicit(&t->max_len, memory_order_relaxed))
        atomic_store_explicit(&t->max_len, (uint32_t)spec->max_len, memory_order_relaxed);
    return 0;
}

int topic_new(struct region *r, const struct topic_spec *spec)
{
    size_t n = strlen(spec->name);
    if (n >= IPC_TOPIC_NAME)
        return -ENAMETOOLONG;
    if (n == 0 || spec->max_len == 0 || spec->max_len > IPC_MAIL_MAX)
        return -EINVAL;
    for (int i = 0; i < IPC_TOPICS; i++) {
        struct ipc_topic *t = &r->topics[i];
        bool known = atomic_load_explicit(&t->used, memory_order_relaxed);
        if (known && strcmp(t->name, spec->name) != 0)
            continue;
        int rc = make_room(r, t, spec);
        if (rc < 0)
            return rc;
        if (!known) {
            copy_name(t->name, sizeof(t->name), spec->name);
            copy_name(t->owner, sizeof(t->owner), spec->owner);
            atomic_store_explicit(&t->used, 1, memory_order_release);
        }
        return i;
    }
    return -ENOSPC;
}

const struct ipc_topic *topic_get(const struct region *r, unsigned topic)
{
    if (topic >= IPC_TOPICS || !atomic_load_explicit(&r->topics[topic].used, memory_order_acquire))
        return NULL;
    return &r->topics[topic];
}

int topic_find(const struct region *r, const char *name)
{
    const struct ipc_topic *t;
    for (unsigned i = 0; (t = topic_get(r, i)); i++)
        if (strcmp(t->name, name) == 0)
            return (int)i;
    return -ENOENT;
}

uint64_t topic_expected(const struct region *r, int slot, unsigned topic)
{
    const struct ipc_topic *t = &r->topics[topic];
    uint64_t n = get(&r->mailboxes[slot].extra[topic]);
    if (slot >= IPC_SLOT_WORKERS)
        n += get(&t->sent[IPC_MAIL_TO_ALL]) + get(&t->sent[IPC_MAIL_TO_WORKERS]);
    else if (ring_is_primary(slot))
        n += get(&t->sent[IPC_MAIL_TO_ALL]) + get(&t->sent[IPC_MAIL_TO_PRIMARY]);
    return n;
}

uint64_t topic_owed(const struct region *r, int slot, unsigned topic)
{
    const struct ipc_mail_slot *s = &r->mailboxes[slot];
    return topic_expected(r, slot, topic) - get(&s->base[topic]) - get(&s->delivered[topic]) -
           get(&s->lost[topic]);
}

static struct ipc_latest *latest_of(const struct region *r, unsigned topic)
{
    int32_t at = atomic_load_explicit(&r->topics[topic].latest, memory_order_acquire);
    return at >= 0 ? &r->latest[at] : NULL;
}

/* The position is the first word of a record. */
static uint64_t pos_of(const struct ipc_latest_copy *c)
{
    uint64_t pos;
    words_load(c->words, &pos, sizeof(pos));
    return pos;
}

static bool is_valid(const struct ipc_latest_copy *c)
{
    return atomic_load_explicit(&c->valid, memory_order_acquire) != 0;
}

/* The newer of the two, -1 when there is none. */
static int newest(const struct ipc_latest *l)
{
    bool a = is_valid(&l->copy[0]), b = is_valid(&l->copy[1]);
    if (a && b)
        return pos_of(&l->copy[1]) > pos_of(&l->copy[0]);
    return a ? 0 : b ? 1 : -1;
}

/* What is for one slot is no value for those who come later. */
void topic_keep(struct region *r, const struct ipc_mail_record *rec, const void *data)
{
    struct ipc_latest *l = latest_of(r, rec->topic);
    if (!l || rec->to >= 0 || rec->len > IPC_LATEST_MAX)
        return;
    struct ipc_latest_copy *c = &l->copy[newest(l) == 0];
    atomic_store_explicit(&c->valid, 0, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    words_store(c->words, rec, sizeof(*rec));
    words_store(c->words + IPC_MAIL_HEAD, data, rec->len);
    atomic_store_explicit(&c->valid, 1, memory_order_release);
}

bool topic_latest(const struct region *r, unsigned topic, struct ipc_mail_record *rec, void *data)
{
    const struct ipc_latest *l = latest_of(r, topic);
    int at = l ? newest(l) : -1;
    if (at < 0)
        return false;
    const struct ipc_latest_copy *c = &l->copy[at];
    words_load(c->words, rec, sizeof(*rec));
    if (rec->len > IPC_LATEST_MAX)
        return false;
    words_load(c->words + IPC_MAIL_HEAD, data, rec->len);
    return true;
}

void topic_repair(struct region *r)
{
    uint64_t head = ring_head(r);
    for (unsigned i = 0; i < 2 * IPC_LATEST; i++) {
        struct ipc_latest_copy *c = &r->latest[i / 2].copy[i % 2];
        if (is_valid(c) && pos_of(c) >= head)
            atomic_store_explicit(&c->valid, 0, memory_order_relaxed);
    }
}
