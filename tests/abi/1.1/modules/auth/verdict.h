/* verdict.h - who has shown the right password lately in this process, so that not each request costs a hash.
 *
 * What is kept is no password and no hash, but a keyed hash of name, password and what it was measured with: whatever
 * changes in the settings or in the file of users, it fits no longer. Only those that were right are kept, so nobody fills
 * it with guesses. */
#ifndef AUTH_VERDICT_H
#define AUTH_VERDICT_H

#include "secret.h"

_Bool verdict_is_known(const struct secret *s, const char *known, int64_t now_ms);
void verdict_keep(const struct secret *s, const char *known, int64_t until_ms);

#endif
