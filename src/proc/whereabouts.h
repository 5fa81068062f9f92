/* whereabouts.h - in whose code a process is, or was when it died, in words: from the crumb that it leaves in its slot
 * (module/crumb.h). The process itself says it in its crash report, the master when it has died or does not come out. */
#ifndef PROC_WHEREABOUTS_H
#define PROC_WHEREABOUTS_H

#include "base/log.h"
#include "base/note.h"
#include "conf/conf.h"
#include "ipc/region.h"

#define WHEREABOUTS_PAIRS 12

struct whereabouts {
    unsigned module; /* its number; 0: not known */
    unsigned hook;   /* enum crumb_hook; CRUMB_NONE: in no module */
    uint64_t since_ms;
    int waits_for; /* pid of who holds the lock of a zone that it waits for; -1: somebody; 0: it does not */
    char name[IPC_MODULE_NAME], version[IPC_MODULE_VERSION];
    char request[24], route[40], path[64]; /* "" where they do not matter */
    char topic[IPC_TOPIC_NAME], seq[24], from[24];
    unsigned signal; /* of its own crash report; 0: it has written none */
    char at[96], address[24];
};

/* A copy of what the crumb says now. May be called in a signal handler, as all of these that do not say otherwise. */
void whereabouts_read(struct whereabouts *w, const struct region *r, const struct ipc_crumb *c);
static inline bool whereabouts_in_module(const struct whereabouts *w)
{
    return w->hook != 0;
}
/* ' in module "sse" 1.0, hook on_message' */
void whereabouts_say(const struct whereabouts *w, struct note *t);
/* ', at sse.so+0x1a3c (address 0x10)', if its own report says it. */
void whereabouts_say_place(const struct whereabouts *w, struct note *t);
/* ', waiting for the lock of a zone that process 4711 holds', if it does. */
void whereabouts_say_wait(const struct whereabouts *w, struct note *t);
/* A sentence, with the pairs behind it. Not in a signal handler. */
void whereabouts_log(const struct whereabouts *w, enum log_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Request or message, for the log; strings stay in *w. */
size_t whereabouts_pairs(const struct whereabouts *w, struct log_pair *out);

/* From now on this process writes a report when it crashes. Not in a signal handler, as the rest. */
void whereabouts_watch(const struct region *r, const struct conf *conf);
/* Tells of each stay in a module's code of warn_ms or more when it is over, and counts it; 0: of none. */
void whereabouts_watch_stays(struct region *r, uint64_t warn_ms);
/* Looks again which objects are loaded: start hooks may load others. */
void whereabouts_note_objects(const struct conf *conf);

#endif
