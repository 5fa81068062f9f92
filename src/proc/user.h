/* user.h - whom workers, primary and probe run as, and how they become that: for good, and with nothing kept. */
#ifndef PROC_USER_H
#define PROC_USER_H

#include "proc/settings.h"

/* Works s->user out from the bound settings; says in the report what is wrong with them. */
void user_find(struct settings *s);
/* In a child: becomes that user and gives up all capabilities; the user root, where it is allowed, keeps them. 0 or
 * -errno; user_complaint puts the latter in a sentence, to be freed. */
int user_become(const struct settings_user *u);
char *user_complaint(const struct settings_user *u, int error);

#endif
