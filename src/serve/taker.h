/* taker.h - streams that come from a worker that drains (FDPASS_LEGACY): see giver.h and parcel.h. Each begins here when
 * this worker has had the mail that the old one had, in the order of the parcels. */
#ifndef SERVE_TAKER_H
#define SERVE_TAKER_H

#include "serve/ctx.h"

/* Streams come from there (taken over). */
void taker_new(struct serve *s, int channel);
/* Mail has come: goes on with what has waited for that. */
void taker_look(struct serve *s);
void taker_free_all(struct serve *s);

#endif
