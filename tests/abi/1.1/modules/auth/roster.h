/* roster.h - the users of a file, one a line: name:hash, as htpasswd writes it. Comments begin with #; what is behind a
 * second colon does not count. */
#ifndef AUTH_ROSTER_H
#define AUTH_ROSTER_H

#include "secret.h"

struct roster_user {
    const char *name, *known;
    unsigned line;
};

struct roster {
    struct roster_user *users; /* by name */
    size_t n;
    const char *costs[SECRET_COSTS + 1]; /* a hash of each, then NULL */
    char *text;                          /* what all of them point into */
};

#define ROSTER_SIZE  (4 << 20) /* most bytes of a file */
#define ROSTER_ERROR 512

/* 0; -1 with a sentence in `error`, FILE:LINE first, and nothing in *to. */
int roster_read(struct roster *to, const char *path, char error[ROSTER_ERROR]);
void roster_free(struct roster *r);
/* What is known of that name; NULL: nothing. */
const char *roster_find(const struct roster *r, const char *name);

/* Adds the hash to the list of different costs. False: there are too many. */
_Bool roster_add_cost(const char *costs[SECRET_COSTS + 1], const char *hash);

/* The users of the file as they are now: at most once in a second it is looked whether it has changed. Where it cannot be
 * read any more, or there is something wrong with it, those it had remain, and the log says why. NULL: it never was
 * right; *error says why, until the next call. */
const struct roster *roster_of(const char *path, int64_t now_ms, const char **error);

#endif
