/* company.c - see company.h. */
#include "module/company.h"

#include "base/mem.h"
#include "ipc/member.h"
#include "module/call.h"
#include "module/crumb.h"

#include <stdlib.h>
#include <string.h>

static void tell_join(struct host *h, int slot, uint32_t incarnation)
{
    h->known[slot] = incarnation;
    for (size_t i = 0; i < h->conf->nmodules; i++) {
        const struct conf_module *m = &h->conf->modules[i];
        void (*hook)(int, uint32_t) = m->desc->on_join;
        if (!hook || crumb_is_quarantined(m->number))
            continue;
        uint32_t was = crumb_enter(m->number, CRUMB_ON_JOIN);
        hook(host_number(slot), incarnation);
        crumb_leave(was);
    }
}

static void tell_leave(struct host *h, int slot, uint32_t incarnation, int signal)
{
    h->known[slot] = 0;
    for (size_t i = 0; i < h->conf->nmodules; i++) {
        const struct conf_module *m = &h->conf->modules[i];
        void (*hook)(int, uint32_t, int) = m->desc->on_leave;
        if (!hook || crumb_is_quarantined(m->number))
            continue;
        uint32_t was = crumb_enter(m->number, CRUMB_ON_LEAVE);
        hook(host_number(slot), incarnation, signal);
        crumb_leave(was);
    }
}

static bool is_event_for(const struct host *h, const struct member_event *e)
{
    return e->slot >= 0 && (unsigned)e->slot < h->region->nslots &&
           !(e->slot == h->slot && e->incarnation == h->self.incarnation);
}

static void take(struct host *h, const struct mail_message *m)
{
    struct member_event e;
    if (m->len != sizeof e)
        return;
    memcpy(&e, m->data, sizeof e);
    if (!is_event_for(h, &e))
        return;
    if (e.left)
        call_end_of(h, &e, m->seq);
    if (!e.left)
        tell_join(h, e.slot, e.incarnation);
    else if (e.left == 1)
        tell_leave(h, e.slot, e.incarnation, e.signal);
}

/* The incarnation that is ready there; 0: none. */
static uint32_t ready_at(const struct host *h, int slot)
{
    const struct ipc_slot *s = region_slot(h->region, slot);
    return atomic_load(&s->state) >= IPC_READY ? atomic_load(&s->incarnation) : 0;
}

void company_open(struct host *h)
{
    h->known = mem_alloc(h->region->nslots * sizeof *h->known);
    for (int i = IPC_SLOT_PRIMARY_A; i < (int)h->region->nslots; i++)
        h->known[i] = i == h->slot ? 0 : ready_at(h, i);
}

/* Events were lost: what they told is on the board. Who asked somebody that was not yet ready may wait for its time limit. */
static void look_again(struct host *h)
{
    for (int i = IPC_SLOT_PRIMARY_A; i < (int)h->region->nslots; i++) {
        uint32_t before = h->known[i], now = ready_at(h, i);
        struct member_event left = {.slot = i, .incarnation = before, .left = 1};
        if (i == h->slot || before == now)
            continue;
        if (before) {
            call_end_of(h, &left, UINT64_MAX);
            tell_leave(h, i, before, 0);
        }
        if (now)
            tell_join(h, i, now);
    }
}

void company_take(struct host *h, const struct mail_message *m)
{
    if (m->lost)
        look_again(h);
    else
        take(h, m);
}

void company_close(struct host *h)
{
    free(h->known);
    h->known = NULL;
}
