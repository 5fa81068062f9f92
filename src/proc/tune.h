/* tune.h - run-time settings: a reload that changes nothing else starts no workers. The master tells all processes of the
 * live generation the values of all such keys, in one message of a topic that keeps its latest value, and has them itself,
 * so whoever is forked later has them too. A process that was forked before and takes part in the mail afterwards gets
 * the latest value before it is ready. */
#ifndef PROC_TUNE_H
#define PROC_TUNE_H

#include "conf/diff.h"
#include "proc/heritage.h"

/* ---- A process ---- */

/* Takes the message into the settings it has inherited. False: it is for others, or says nothing new. */
bool tune_take(const struct heritage *h, uint32_t *revision, const void *data, size_t len);

/* ---- The master ---- */

struct master;

/* Why other settings can only be taken by new workers, whatever they are, in half a sentence; NULL: there is no reason. */
const char *tune_obstacle(const struct master *m);
/* Are these differences for running workers to take? */
bool tune_suffices(const struct conf_diff *d);
/* The live generation gets the run-time settings of s, which then belong to the master, and another revision. False:
 * they cannot be told, nothing has changed. */
bool tune_begin(struct master *m, const struct settings *s);
/* All processes of the live generation have them; *who: how those are called that have not. */
bool tune_is_done(const struct master *m, struct buf *who);
/* Is not interested in that any more. */
void tune_end(struct master *m);

#endif
