/* secret.h - passwords: how they are sent, and what they are measured with. */
#ifndef AUTH_SECRET_H
#define AUTH_SECRET_H

#include <cserver/cserver.h>

#ifdef AUTH_CRYPT
#include <crypt.h>
#endif

#define SECRET_COST  24 /* bytes of the text below, with its NUL */
#define SECRET_COSTS 4  /* different ones that are made to look alike */

/* As the client has sent them. */
struct secret {
    char *name, *password;
};

/* Takes name and password from a field such as "Basic YWxpY2U6c2VjcmV0". `room` has field.n + 1 bytes. False: it is none. */
_Bool secret_read(struct secret *s, cs_str field, char *room);
/* NULL, or why no password can be measured with this one: "has ...". */
const char *secret_fault(const char *known);
_Bool secret_is_hash(const char *known);
/* What it takes to measure with that hash: those with the same text take equally long. Only of one without a fault. */
void secret_cost(const char *known, char cost[SECRET_COST]);

/* Measures one password. All who try take equally long, whoever they say they are: with a hash of each cost. */
struct secret_check {
    const char *password;
    const char
        *known; /* the password, or its hash, of that name; NULL: there is nobody of that name */
    const char *others
        [SECRET_COSTS]; /* a hash of each cost, then NULL; of which not the result matters, but the time */
    _Bool right;
#ifdef AUTH_CRYPT
    struct crypt_data crypt;
#endif
};
/* Sets `right` and wipes what it has worked with. arg: a struct secret_check. On any thread. */
void secret_check(void *arg);

#endif
