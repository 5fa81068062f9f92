/* replay.h - messages of one topic that have been taken already and are still in the ring, for those who come later: a
 * client that connects again and says what it has seen last.
 *
 * Nobody waits for who reads here, and nothing is locked: all is copied first, and a copy that may have been written over
 * meanwhile is thrown away with all before it. So what there is has no gaps, and ends where the mailbox goes on. */
#ifndef IPC_REPLAY_H
#define IPC_REPLAY_H

#include "base/buf.h"
#include "ipc/mailbox.h"

struct replay {
    struct buf copies;
    size_t at;    /* of the next one */
    bool missing; /* some with a number above `after` are in the ring no longer */
    bool beyond;  /* no message has had the number `after` yet */
};

/* Those to MAIL_ALL or MAIL_WORKERS with a number above `after` that lie before the mailbox's cursor. Then replay_free. */
void replay_take(struct replay *rp, const struct mailbox *mb, unsigned topic, uint64_t after);
/* The same, of those from the position `from` on, where a mailbox's cursor has been: `missing` means that the ring does not
 * go back so far. */
void replay_take_since(struct replay *rp, const struct mailbox *mb, unsigned topic, uint64_t from);
/* The next one, in order; its data is valid until replay_free. */
bool replay_next(struct replay *rp, struct mail_message *m);
void replay_free(struct replay *rp);

#endif
