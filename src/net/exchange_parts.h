/* exchange_parts.h - what the files of an exchange have for each other: exchange.c (from the name to the end),
 * exchange_out.c (the request), exchange_in.c (the answer).
 *
 * Those that return bool may have told somebody. False: nothing is to be done here any more, and x may have been freed. */
#ifndef NET_EXCHANGE_PARTS_H
#define NET_EXCHANGE_PARTS_H

#include "net/exchange.h"

/* It is over, and on_over told. `what` is a sentence's end for `why`, NULL when the result is OK. */
void exchange_end(struct exchange *x, enum exchange_result result, const char *what);

/* Sends what is there and what the socket takes. */
bool exchange_out_flush(struct exchange *x);
/* Bytes that could be sent now. */
size_t exchange_out_waiting(const struct exchange *x);
/* The whole request has been sent. */
bool exchange_out_is_done(const struct exchange *x);
/* From the beginning, over another connection. */
void exchange_out_again(struct exchange *x);

/* Reads and delivers, until there is no more for now. */
bool exchange_in_read(struct exchange *x);
/* on_data said CS_AGAIN, and is ready now. */
bool exchange_in_resume(struct exchange *x);

/* In exchange.c: the connection has ended, or cannot be read (error: errno or 0) before the answer was whole. The request is
 * repeated if it may be. */
void exchange_lost(struct exchange *x, int error);
/* The answer is whole. keep: as far as the answer goes, the connection may be kept. */
void exchange_whole(struct exchange *x, bool keep);

#endif
