/* room.h - memory that answers are read into: pieces of one size, of which some are kept for the next who needs one. Who has
 * nothing to read holds none. */
#ifndef NET_ROOM_H
#define NET_ROOM_H

#include "http/headers.h"

#define ROOM_SIZE   16384 /* bytes */
#define ROOM_FIELDS 100   /* of a head that is being read */
#define ROOM_SPARE  16    /* kept at most */

struct room {
    struct room *next; /* spare one */
    size_t cap;
    size_t off, len; /* what was read and not taken stands at off..len */
    struct http_header fields[ROOM_FIELDS];
    char bytes[];
};

struct rooms { /* zeroed: none */
    struct room *spare;
    unsigned nspare;
};

static inline bool room_is_empty(const struct room *r)
{
    return r->off == r->len;
}

/* An empty one of ROOM_SIZE. */
struct room *room_take(struct rooms *rooms);
/* NULL is allowed. */
void room_give(struct rooms *rooms, struct room *r);
/* Twice as large, at most `most` bytes; with the same contents, at off 0 (fields as they are). It is another one then. */
struct room *room_grow(struct rooms *rooms, struct room *r, size_t most);
/* What is left moves to the front. */
void room_compact(struct room *r);
void rooms_drain(struct rooms *rooms);

#endif
