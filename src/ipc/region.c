/* region.c - one mapping with everything in it, in the order that layout.h names; it is only ever
 * made in one piece and dropped in one piece. */
#include "ipc/region.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"
#include "os/fd.h"
#include "os/shm.h"

#include <errno.h>
#include <stdlib.h>

struct offsets {
    size_t turn, names, modules, slots, mail, topics, latest, mailboxes, ring, end;
};

static size_t round_up(size_t n)
{
    return (n + IPC_CACHE_LINE - 1) / IPC_CACHE_LINE * IPC_CACHE_LINE;
}

static struct offsets offsets_for(unsigned nslots)
{
    struct offsets o;
    o.turn = round_up(sizeof(struct ipc_header));
    o.names = round_up(o.turn + sizeof(struct ipc_turn));
    o.modules = round_up(o.names + IPC_MODULE_COUNTERS * sizeof(struct ipc_counter_name));
    o.slots = round_up(o.modules + IPC_MODULES * sizeof(struct ipc_module));
    o.mail = round_up(o.slots + nslots * sizeof(struct ipc_slot));
    o.topics = round_up(o.mail + sizeof(struct ipc_mail));
    o.latest = round_up(o.topics + IPC_TOPICS * sizeof(struct ipc_topic));
    o.mailboxes = round_up(o.latest + IPC_LATEST * sizeof(struct ipc_latest));
    o.ring = round_up(o.mailboxes + nslots * sizeof(struct ipc_mail_slot));
    o.end = o.ring + (size_t)IPC_MAIL_CELLS * IPC_MAIL_CELL;
    return o;
}

static void set_pointers(struct region *r, char *base, const struct offsets *o)
{
    r->header = (void *)base;
    r->turn = (void *)(base + o->turn);
    r->names = (void *)(base + o->names);
    r->modules = (void *)(base + o->modules);
    r->slots = (void *)(base + o->slots);
    r->mail = (void *)(base + o->mail);
    r->topics = (void *)(base + o->topics);
    r->latest = (void *)(base + o->latest);
    r->mailboxes = (void *)(base + o->mailboxes);
    r->ring = (void *)(base + o->ring);
    r->size = o->end;
}

static void fill(struct region *r, unsigned max_workers)
{
    clock_update();
    r->header->magic = IPC_MAGIC;
    r->header->version = IPC_LAYOUT_VERSION;
    r->header->size = r->size;
    r->header->max_workers = max_workers;
    r->header->nslots = r->nslots;
    atomic_store_explicit(&r->header->started_wall_us, clock_wall_us(), memory_order_relaxed);
    lock_init(&r->turn->lock);
    atomic_store_explicit(&r->turn->owner, -1, memory_order_relaxed);
    for (unsigned i = 0; i < r->nslots; i++)
        atomic_store_explicit(&r->slots[i].socket_owner, -1, memory_order_relaxed);
}

static void fill_mail(struct region *r)
{
    lock_init(&r->mail->lock);
    r->mail->cells = IPC_MAIL_CELLS;
    for (unsigned i = 0; i < IPC_TOPICS; i++)
        atomic_store_explicit(&r->topics[i].latest, -1, memory_order_relaxed);
}

static int make_bells(struct region *r)
{
    r->bells = mem_alloc(r->nslots * sizeof(*r->bells));
    for (unsigned i = 0; i < r->nslots; i++)
        r->bells[i] = -1;
    for (unsigned i = 0; i < r->nslots; i++) {
        r->bells[i] = fd_event_new();
        if (r->bells[i] < 0)
            return r->bells[i];
    }
    r->master_bell = fd_event_new();
    return r->master_bell < 0 ? r->master_bell : 0;
}

int region_new(struct region *r, unsigned max_workers)
{
    *r = (struct region){.nslots = IPC_SLOT_WORKERS + 3 * max_workers, .master_bell = -1};
    struct offsets o = offsets_for(r->nslots);
    char *base = shm_new(o.end, "cserver");
    if (!base)
        return -errno;
    set_pointers(r, base, &o);
    fill(r, max_workers);
    fill_mail(r);
    int rc = make_bells(r);
    if (rc < 0)
        region_free(r);
    return rc;
}

void region_free(struct region *r)
{
    for (unsigned i = 0; r->bells && i < r->nslots; i++)
        fd_close(&r->bells[i]);
    fd_close(&r->master_bell);
    free(r->bells);
    if (r->header)
        shm_free(r->header, r->size);
    *r = (struct region){.master_bell = -1};
}

/* Cut where it is too long: it is for people. */
static void copy_text(char *to, size_t room, const char *from)
{
    size_t n = from ? strlen(from) : 0;
    n = n < room ? n : room - 1;
    if (n)
        memcpy(to, from, n);
    to[n] = '\0';
}

/* A name may be read by others while it is made: `used` is set when it is complete, and it never
 * changes after. */
int region_counter(struct region *r, const char *name, const char *help)
{
    size_t n = strlen(name);
    check(n > 0);
    if (n >= IPC_COUNTER_NAME)
        return -ENAMETOOLONG;
    for (int i = 0; i < IPC_MODULE_COUNTERS; i++) {
        struct ipc_counter_name *c = &r->names[i];
        if (!atomic_load_explicit(&c->used, memory_order_acquire)) {
            memcpy(c->name, name, n + 1);
            copy_text(c->help, sizeof(c->help), help);
            atomic_store_explicit(&c->used, 1, memory_order_release);
            return i;
        }
        if (strcmp(c->name, name) == 0)
            return i;
    }
    return -ENOSPC;
}

unsigned region_module(struct region *r, const char *name, const char *version)
{
    size_t n = strlen(name);
    if (n == 0 || n >= IPC_MODULE_NAME)
        return 0;
    for (unsigned i = 1; i < IPC_MODULES; i++) {
        struct ipc_module *m = &r->modules[i];
        bool used = atomic_load_explicit(&m->used, memory_order_acquire);
        if (used && strcmp(m->name, name) != 0)
            continue;
        copy_text(m->version, sizeof(m->version), version);
        if (!used)
            memcpy(m->name, name, n + 1);
        atomic_store_explicit(&m->used, 1, memory_order_release);
        return i;
    }
    return 0;
}
