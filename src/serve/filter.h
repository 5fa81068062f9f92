/* filter.h - the filters of an answer: the header filters of its route before the head is made, and the chain of body
 * filters between what the answer is made of and the connection.
 *
 *     source (memory, a file, or the pieces of cs_send) -> body_filter -> body_filter -> pieces_put
 *
 * A filter passes on with cs_send while it runs; nothing waits between two of them. What comes from memory or a file is
 * taken piece by piece, as long as not too much waits for the client. */
#ifndef SERVE_FILTER_H
#define SERVE_FILTER_H

#include "serve/respond.h"

/* Runs the header filters, once for a request, and makes r->filter where body filters take part. 0, or the status of a page
 * that is to be sent in place of the answer: one has failed, and said so. */
int filter_head(struct request *r);

/* Length of the filtered body; -1: not known. */
int64_t filter_len(const struct filter *f);

/* cs_filter_body. */
int filter_want(struct request *r, const void *mod, int64_t len);

/* The body of a complete answer, whose head is there: taken over. */
void filter_source(struct request *r, const struct respond_body *body);
/* The answer comes in pieces: so long, or -1. */
void filter_pieces(struct request *r, int64_t len);

/* Is it a filter that calls? */
bool filter_runs(const struct request *r);

/* cs_send, from a filter that runs, or from who answers in pieces. As pieces_send. */
int filter_send(struct request *r, cs_str data, bool last);

/* Nothing waits for the client any more: goes on with the source. r->filter is set, also below. */
void filter_drained(struct request *r);

/* The request ends: lets the source go. */
void filter_drop(struct request *r);

#endif
