/* choice.h - shall this answer be compressed, and how? Nothing but looking, so that `explain` can look too. */
#ifndef COMPRESS_CHOICE_H
#define COMPRESS_CHOICE_H

#include "codec.h"

struct conf {
    cs_list codings;
    cs_list types;
    int64_t min_length;
    int64_t max_length;
    int64_t zstd_level;
    int64_t br_level;
    int64_t gzip_level;
    int64_t flush;
    int64_t memory;
};

struct choice {
    int coding;      /* -1: none */
    _Bool depends;   /* another client might get another form: Vary */
    const char *why; /* there is none */
};

/* The number of a name in `codings`; -1: there is no such coding. */
int choice_coding(cs_str name);
int choice_level(const struct conf *c, int coding);
/* Does a Vary of the answer say already that it depends on Accept-Encoding? */
_Bool choice_is_told(cs_req *r);
struct choice choice_of(cs_req *r, const struct conf *c);

#endif
