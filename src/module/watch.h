/* watch.h - descriptors of modules that the loop looks after: part of cs_api, which says what the calls do. */
#ifndef MODULE_WATCH_H
#define MODULE_WATCH_H

#include "module/host.h"

cs_watch *host_watch(cs_proc *p, int fd, int events, void (*cb)(int fd, int events, void *arg),
                     void *arg);
int host_watch_set(cs_watch *w, int events);
void host_watch_end(cs_watch *w);

/* Ends all that are left, when the process does. Their descriptors may be closed by now. */
void watch_end_all(struct host *h);

#endif
