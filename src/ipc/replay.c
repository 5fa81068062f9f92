/* replay.c - the walk goes forwards, from a beginning of a record that the writers have noted (ring_start) to the head.
 * What turns out to be overwritten, or damaged, is left behind together with what has been found so far, and the walk
 * goes on at the next beginning that is known.
 *
 * Behind the cursor it only looks at numbers: the first one of the topic tells what is missing before it. */
#include "ipc/replay.h"

#include "ipc/membership.h"
#include "ipc/topic.h"

#include <string.h>

#define ALIGN 16

struct walk {
    struct replay *rp;
    const struct region *region;
    unsigned topic;
    uint64_t after, from, limit;
    uint64_t first, last; /* numbers of the topic that were seen, 0 = none */
    bool torn;            /* what had been found had to be left behind */
};

static size_t room_of(const struct ipc_mail_record *rec)
{
    return (sizeof(*rec) + rec->len + ALIGN - 1) / ALIGN * ALIGN;
}

static bool is_wanted(const struct walk *w, const struct ipc_mail_record *rec)
{
    return rec->topic == w->topic && (rec->to == MAIL_ALL || rec->to == MAIL_WORKERS) &&
           rec->number > w->after && rec->pos >= w->from && rec->pos < w->limit;
}

static void copy(struct walk *w, const struct ipc_mail_record *rec)
{
    char *to = buf_reserve(&w->rp->copies, room_of(rec));
    memcpy(to, rec, sizeof(*rec));
    ring_read_data(w->region, rec, to + sizeof(*rec));
    buf_added(&w->rp->copies, room_of(rec));
}

/* The place behind the record at pos; 0 when that is not what it was. */
static uint64_t step(struct walk *w, uint64_t pos)
{
    struct ipc_mail_record rec;
    bool sane = ring_read(w->region, pos, &rec);
    if (sane && is_wanted(w, &rec))
        copy(w, &rec);
    if (pos < ring_oldest(w->region) || !sane)
        return 0;
    if (rec.topic == w->topic) {
        w->first = w->first ? w->first : rec.number;
        w->last = rec.number;
    }
    return pos + rec.cells;
}

static void walk(struct walk *w, uint64_t pos, uint64_t head)
{
    while (pos < head) {
        uint64_t next = step(w, pos);
        if (!next) {
            uint64_t oldest = ring_oldest(w->region);
            next = ring_start(w->region, oldest > pos ? oldest : pos + 1, head);
            buf_clear(&w->rp->copies);
            w->first = 0;
            w->torn = true;
        }
        pos = next;
    }
}

/* The count of the topic is read before the head: what it counts lies before the head, and what it does not yet count is
 * found in the ring. */
void replay_take(struct replay *rp, const struct mailbox *mb, unsigned topic, uint64_t after)
{
    const struct region *r = mb->region;
    *rp = (struct replay){0};
    struct walk w = {.rp = rp, .region = r, .topic = topic, .after = after, .limit = mb->cursor};
    uint64_t published =
        atomic_load_explicit(&topic_get(r, topic)->published, memory_order_acquire);
    uint64_t head = ring_head(r);
    walk(&w, ring_start(r, ring_oldest(r), head), head);
    rp->missing = w.first ? after + 1 < w.first : after < published;
    rp->beyond = after > published && after > w.last;
}

void replay_take_since(struct replay *rp, const struct mailbox *mb, unsigned topic, uint64_t from)
{
    const struct region *r = mb->region;
    *rp = (struct replay){0};
    struct walk w = {.rp = rp, .region = r, .topic = topic, .from = from, .limit = mb->cursor};
    uint64_t oldest = ring_oldest(r);
    walk(&w, from < oldest ? ring_start(r, oldest, mb->cursor) : from, mb->cursor);
    rp->missing = w.torn || (from < oldest && from < mb->cursor);
}

bool replay_next(struct replay *rp, struct mail_message *m)
{
    struct ipc_mail_record rec;
    if (rp->at == rp->copies.n)
        return false;
    memcpy(&rec, rp->copies.p + rp->at, sizeof(rec));
    *m = membership_message(&rec);
    m->data = rp->copies.p + rp->at + sizeof(rec);
    m->call = 0;
    rp->at += room_of(&rec);
    return true;
}

void replay_free(struct replay *rp)
{
    buf_free(&rp->copies);
}
