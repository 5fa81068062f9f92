/* pieces.h - an answer whose body comes in pieces. */
#ifndef SERVE_PIECES_H
#define SERVE_PIECES_H

#include "serve/request.h"

/* Bytes above which pieces_send says CS_AGAIN. */
#define PIECES_HIGH_WATER (256 * 1024)

/* Begins it; len -1: unknown. */
int pieces_start(struct request *r, int status, const char *type, int64_t len);
/* A piece, copied. CS_OK, CS_AGAIN (taken, but wait), CS_CLOSED, CS_ERROR (not started, or over
 * already, or more or, with last, less than announced: that aborts the answer). */
int pieces_send(struct request *r, cs_str data, bool last);

/* For filters: a piece as it goes to the client. */
int pieces_put(struct request *r, cs_str data, bool last);

#endif
