/* header.h - the head of an answer: its status line and its fields, those of modules and those that the server makes. */
#ifndef SERVE_HEADER_H
#define SERVE_HEADER_H

#include "serve/request.h"

/* What the head needs to know about the body. */
struct header_body {
    int64_t len;          /* -1: unknown */
    bool ranges;          /* "Accept-Ranges: bytes" */
    bool open;            /* ends with the connection */
    cs_str content_range; /* "bytes 0-1/2"; p == NULL: none */
};

/* A field of the answer, in place of those with this name or (add) beside them; no value: none. CS_OK, CS_ERROR (bad or
 * reserved), CS_CLOSED (too late). */
int header_set(struct request *r, cs_str name, cs_str value, bool add);

/* Content-Type, of an answer whose head has not been made; NULL: what it is stays. */
void header_set_type(struct request *r, const char *type);

/* Writes the head, which is then settled: the request is answered. It stands in the arena with `room` bytes left behind it.
 * Returns its start; *end is where it ends. */
char *header_make(struct request *r, const struct header_body *b, size_t room, char **end);

/* The same, and queues it. */
void header_send(struct request *r, const struct header_body *b);

#endif
