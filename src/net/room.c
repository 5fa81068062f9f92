#include "net/room.h"

#include "base/arena.h"
#include "base/mem.h"

#include <stdlib.h>

static struct room *make(size_t cap)
{
    struct room *r = mem_resize(NULL, sizeof *r + cap);
    r->next = NULL;
    r->cap = cap;
    r->off = r->len = 0;
    return r;
}

struct room *room_take(struct rooms *rooms)
{
    struct room *r = rooms->spare;
    if (!r)
        return make(ROOM_SIZE);
    rooms->spare = r->next;
    rooms->nspare--;
    r->off = r->len = 0;
    return r;
}

/* None is kept where the address sanitizer watches: it then knows of those that are used too late. */
void room_give(struct rooms *rooms, struct room *r)
{
    if (!r || ARENA_POISONS || r->cap != ROOM_SIZE || rooms->nspare == ROOM_SPARE) {
        free(r);
        return;
    }
    r->next = rooms->spare;
    rooms->spare = r;
    rooms->nspare++;
}

struct room *room_grow(struct rooms *rooms, struct room *r, size_t most)
{
    struct room *to = make(r->cap < most / 2 ? r->cap * 2 : most);
    to->len = r->len - r->off;
    memcpy(to->bytes, r->bytes + r->off, to->len);
    memcpy(to->fields, r->fields, sizeof to->fields);
    room_give(rooms, r);
    return to;
}

void room_compact(struct room *r)
{
    memmove(r->bytes, r->bytes + r->off, r->len - r->off);
    r->len -= r->off;
    r->off = 0;
}

void rooms_drain(struct rooms *rooms)
{
    while (rooms->spare) {
        struct room *r = rooms->spare;
        rooms->spare = r->next;
        free(r);
    }
    rooms->nspare = 0;
}
