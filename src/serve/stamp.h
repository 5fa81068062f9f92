/* stamp.h - dates as heads have them, each written once and not for every answer. Zero-initialised it knows none. */
#ifndef SERVE_STAMP_H
#define SERVE_STAMP_H

#include "http/date.h"

#include <stdint.h>

#define STAMP_LINE  "HTTP/1.1 200 OK\r\n"
#define STAMP_FIELD "Server: cserver\r\n"
#define STAMP_DATE  (6 + HTTP_DATE_LEN + 2) /* "Date: ...\r\n" */
#define STAMP_LEN   (sizeof STAMP_LINE - 1 + sizeof STAMP_FIELD - 1 + STAMP_DATE)

#define STAMP_FILES 16 /* a power of two */

struct stamp {
    uint64_t key;             /* the second for which `head` is, + 1; 0: none */
    char head[STAMP_LEN + 1]; /* how most answers begin: status 200, Server, Date */
    struct {
        uint64_t key; /* the same */
        char text[HTTP_DATE_LEN + 1];
    } files[STAMP_FILES];
};

/* The head's beginning for this second: STAMP_LEN bytes. */
const char *stamp_head(struct stamp *s);

/* A time, not before 1970, as it stands in Last-Modified: HTTP_DATE_LEN bytes, valid until the next one. */
const char *stamp_file(struct stamp *s, time_t t);

#endif
