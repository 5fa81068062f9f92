/* secret.h - passwords and how they are sent. */
#ifndef AUTH_SECRET_H
#define AUTH_SECRET_H

#include <cserver/cserver.h>

#ifdef AUTH_CRYPT
#include <crypt.h>
#endif

struct secret {
    const char *name, *password; /* as the client has sent them */
    const char *known;           /* the password, or its hash, that they are measured with */
    _Bool right;
#ifdef AUTH_CRYPT
    struct crypt_data crypt;
#endif
};

/* Takes name and password from a field such as "Basic YWxpY2U6c2VjcmV0". `room` has field.n bytes. False: it is none. */
_Bool secret_read(struct secret *s, cs_str field, char *room);
/* NULL, or why no password can be measured with this one. */
const char *secret_fault(const char *known);
/* What it takes to measure with this one: the rounds of a hash, slow by design; 0: hardly anything. */
unsigned long secret_cost(const char *known);
/* Sets `right`. arg: a struct secret. On any thread. */
void secret_check(void *arg);

#endif
