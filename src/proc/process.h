/* process.h - what a worker and the primary have in common: who they are, signals, the master's death, descriptors that
 * the master passes. What follows from these is their own business. */
#ifndef PROC_PROCESS_H
#define PROC_PROCESS_H

#include "event/loop.h"
#include "ipc/fdpass.h"
#include "module/host.h"
#include "proc/heritage.h"

#include <signal.h>

/* What the kernel sends to a process when its master dies; see process.c. One that has not got that far yet ends of it. */
#define PROCESS_ORPHAN_SIGNAL (SIGRTMIN + 2)

struct process {
    const struct heritage *heritage;
    struct ipc_slot *slot;
    struct loop loop;
    struct loop_io signals, lifeline, pass;
    int error_log; /* ours to close: a rotated file that stays open still takes room; -1 = none */
    uint32_t revision; /* of the run-time settings */
    uint32_t
        reopen; /* number of the last log that has come, 0 = the master knows that it is in use */

    /* Set by the owner before process_init. */
    void (*on_signal)(struct process *p, int sig);
    void (*on_orphaned)(struct process *p); /* the master has died */
    void (*on_access_log)(struct process *p, unsigned index,
                          int log); /* takes it over; NULL: it is closed */
    bool (*is_reopening)(
        struct process *p);              /* has not done yet what on_access_log asks; may be NULL */
    void (*on_tuned)(struct process *p); /* run-time settings have changed; may be NULL */
    void (*on_connection)(struct process *p, int fd); /* the same */
    /* FDPASS_HEIR, FDPASS_LEGACY: the same */
    void (*on_channel)(struct process *p, const struct fdpass_msg *msg, int fd);
};

/* What it is called in logs and titles; before anything is logged. */
void process_init(struct process *p, const struct heritage *h, const char *name);
/* Becomes the user it is to be, and opens its loop. False: it is logged what went wrong. */
bool process_open(struct process *p);
/* host_open with what it has inherited. */
int process_open_host(struct process *p, struct host *host);
/* Adds a descriptor to the loop. 0 or -errno; a negative fd is an error already. */
int process_watch(struct process *p, struct loop_io *io, int fd,
                  void (*on_ready)(struct loop_io *io, uint32_t events));
/* In each turn of the loop: tells the master of logs that are in use now. */
void process_look(struct process *p);
/* Said to the master too. */
void process_set_state(struct process *p, enum ipc_state state);
/* After process_open, however that went, and host_close. */
void process_close(struct process *p);

#endif
