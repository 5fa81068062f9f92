/* guard.h - memory for those who look for mistakes: what is given back faults when it is touched, for a while, and its
 * addresses come to nobody else. */
#ifndef BASE_GUARD_H
#define BASE_GUARD_H

#include <stddef.h>

#define GUARD_PIECES 4096 /* most that are kept, however many steps they came in */

struct guard;

/* keep: for how many steps. */
struct guard *guard_new(unsigned keep);
/* Nothing that it gave out may be in use. May be NULL. */
void guard_free(struct guard *g);
/* Whole pages, not zeroed; *size becomes what there is. Never NULL. */
void *guard_take(struct guard *g, size_t *size);
void guard_give_back(struct guard *g, void *p, size_t size);
/* One step further: what was given back `keep` steps ago is gone for good. */
void guard_step(struct guard *g);

#endif
