/* deal.h - which worker accepts from which socket of the listeners with policy reuseport. Arithmetic only.
 *
 * Socket n belongs to the worker at position n. Where there is none (fewer workers than there were once, one that has
 * died), somebody else serves it too: connections wait in it already, or come, since it listens. */
#ifndef PROC_DEAL_H
#define PROC_DEAL_H

#include <stddef.h>
#include <stdint.h>

struct deal_worker { /* that is ready */
    int slot;
    unsigned position;
};

/* owners[0..n): the slot that accepts from each of n sockets; -1 where nobody is ready. Of two workers at one position
 * the first counts. */
void deal_sockets(int32_t *owners, size_t n, const struct deal_worker *ready, size_t nready);

#endif
