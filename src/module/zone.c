/* zone.c - a zone is a page with the lock, then the memory. The table is the master's; those that it forks inherit what
 * was there then, at the same addresses. */
#include "module/zone.h"

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "module/crumb.h"
#include "os/lock.h"
#include "os/shm.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEAD_SIZE 4096

struct head {
    struct lock lock;
    _Atomic uint32_t ready; /* init has run to its end; under the lock */
    _Atomic int32_t holder; /* pid of who has the lock; may be of one that is dead */
};

struct cs_zone {
    struct cs_zone *next;
    char *name;
    size_t size;
    struct head *head;
    const cs_zone_def
        *def; /* of the module that is loaded in this process; NULL until it is attached */
    unsigned module;
};

static struct cs_zone *all; /* the newest first */
static int32_t self;        /* pid */

/* size 0: of any size. */
static struct cs_zone *find(const char *name, size_t size)
{
    for (struct cs_zone *z = all; z; z = z->next)
        if (strcmp(z->name, name) == 0 && (!size || z->size == size))
            return z;
    return NULL;
}

static struct cs_zone *make(const char *name, size_t size)
{
    struct head *head = shm_new(HEAD_SIZE + size, name);
    if (!head)
        return NULL;
    struct cs_zone *z = mem_alloc(sizeof *z);
    *z = (struct cs_zone){.next = all, .name = mem_strdup(name), .size = size, .head = head};
    lock_init(&head->lock);
    all = z;
    return z;
}

static int declare(const cs_module *desc, const cs_zone_def *def, bool loud, struct buf *error)
{
    char *name = mem_printf("%s.%s", desc->name, def->name);
    struct cs_zone *z = find(name, def->size), *other = z ? NULL : find(name, 0);
    if (other && loud)
        log_warn("the zone %s has %zu bytes now instead of %zu: it begins anew", name, def->size,
                 other->size);
    if (!z)
        z = make(name, def->size);
    if (!z)
        buf_printf(error,
                   "module \"%s\": cannot make its zone \"%s\" of %zu bytes: %s; half of the "
                   "machine's memory is the most",
                   desc->name, def->name, def->size, strerror(errno));
    *def->ref = z;
    free(name);
    return z ? 0 : -1;
}

int zone_declare(const cs_module *desc, bool loud, struct buf *error)
{
    for (const cs_zone_def *def = desc->zones; def && def->name; def++)
        if (declare(desc, def, loud, error) < 0)
            return -1;
    return 0;
}

void *zone_data(cs_zone *z)
{
    return (char *)z->head + HEAD_SIZE;
}

static void begin(cs_zone *z)
{
    if (z->def->init) {
        uint32_t was = crumb_enter(z->module, CRUMB_ZONE);
        z->def->init(zone_data(z), z->size);
        crumb_leave(was);
    }
    atomic_store(&z->head->ready, 1);
}

static bool mend(cs_zone *z)
{
    if (!z->def->recover)
        return false;
    uint32_t was = crumb_enter(z->module, CRUMB_ZONE);
    int rc = z->def->recover(zone_data(z), z->size);
    crumb_leave(was);
    return rc >= 0;
}

/* Whoever dies in here leaves a lock that says so to the next one. */
static void recover(cs_zone *z)
{
    bool ready = atomic_load(&z->head->ready);
    log_warn("a process has died with the lock of the zone %s: making it right", z->name);
    if (ready && mend(z))
        return;
    atomic_store(&z->head->ready, 0);
    memset(zone_data(z), 0, z->size);
    begin(z);
}

static int begin_with(cs_zone *z, enum lock_result got)
{
    if (got != LOCK_TAKEN && got != LOCK_RECOVERED)
        return CS_ERROR;
    atomic_store_explicit(&z->head->holder, self, memory_order_relaxed);
    if (got == LOCK_RECOVERED)
        recover(z);
    return CS_OK;
}

/* Who waits for one that does not give it back is not to blame for that. */
int zone_lock(cs_zone *z)
{
    enum lock_result got = lock_try(&z->head->lock);
    if (got == LOCK_BUSY) {
        crumb_wait(atomic_load_explicit(&z->head->holder, memory_order_relaxed));
        got = lock_take(&z->head->lock);
        crumb_waited();
    }
    return begin_with(z, got);
}

void zone_unlock(cs_zone *z)
{
    atomic_store_explicit(&z->head->holder, 0, memory_order_relaxed);
    lock_give(&z->head->lock);
}

/* What is ready already is not waited for: the holder may be standing still. */
static bool attach(const cs_zone_def *def, unsigned module)
{
    struct cs_zone *z = *def->ref;
    z->def = def;
    z->module = module;
    enum lock_result got = lock_try(&z->head->lock);
    if (got == LOCK_BUSY && atomic_load(&z->head->ready))
        return true;
    if (got == LOCK_BUSY)
        got = lock_take(&z->head->lock);
    if (begin_with(z, got) != CS_OK) {
        log_error("the lock of the zone %s cannot be recovered: restart the server", z->name);
        return false;
    }
    if (!atomic_load(&z->head->ready))
        begin(z);
    zone_unlock(z);
    return true;
}

bool zone_attach(const cs_module *desc, unsigned number)
{
    self = (int32_t)getpid();
    if (crumb_is_quarantined(number))
        return true;
    for (const cs_zone_def *def = desc->zones; def && def->name; def++)
        if (!attach(def, number))
            return false;
    return true;
}

void zone_drop(void)
{
    while (all) {
        struct cs_zone *z = all;
        all = z->next;
        shm_free(z->head, HEAD_SIZE + z->size);
        free(z->name);
        free(z);
    }
}
