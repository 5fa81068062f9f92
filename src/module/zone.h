/* zone.h - what a cs_zone of a module is: a mapping of its own, made by the master before it forks those who use it.
 * It is kept, by name and size, until the server ends: settings that did not go live leave what was there as it was. */
#ifndef MODULE_ZONE_H
#define MODULE_ZONE_H

#include "base/buf.h"

#define ZONE_NAME 96 /* "module.zone", with its NUL */

/* Makes or finds the zones that desc declares and fills in its refs. Master (or probe), before the fork. 0, or -1 with
 * a sentence. loud: logs that one has another size than before. */
int zone_declare(const cs_module *desc, bool loud, struct buf *error);
/* In a process that runs the module's hooks, before them: runs what init is still due; a module in quarantine gets
 * none. number: of the module. False when a lock is broken (logged). */
bool zone_attach(const cs_module *desc, unsigned number);

void *zone_data(cs_zone *z);
int zone_lock(cs_zone *z);
void zone_unlock(cs_zone *z);

/* Frees all zones: for tests, between two servers in one process. */
void zone_drop(void);

#endif
