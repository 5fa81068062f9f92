/* deal.c - see deal.h. */
#include "proc/deal.h"

#define NOBODY (-1)

void deal_sockets(int32_t *owners, size_t n, const struct deal_worker *ready, size_t nready)
{
    for (size_t i = 0; i < n; i++)
        owners[i] = NOBODY;
    for (size_t i = 0; i < nready; i++)
        if (ready[i].position < n && owners[ready[i].position] == NOBODY)
            owners[ready[i].position] = ready[i].slot;
    for (size_t i = 0; i < n && nready > 0; i++)
        if (owners[i] == NOBODY)
            owners[i] = ready[i % nready].slot;
}
