/* master.h - the process that keeps the server running: it reads the settings, opens what workers
 * need, forks them, restarts them, rolls out new settings, answers on the control socket, and ends.
 * It serves nothing, calls no module function and reads no byte from the network.
 *
 * One struct, and several files that each do one part of it:
 *   start.c       from a settings file to the first fork    rollout.c   a reload, step by step (room.c, retune.c)
 *   launch.c      new settings that are good go live        leaving.c   another program has taken our place
 *   master.c      main loop, signals, the end               reopen.c    log rotation
 *   keeper.c      workers that die, and new ones            announce.c  what is said when the server is ready
 *   succession.c  the primary, and who comes after it       patrol.c    connections that nobody accepts
 *   recycle.c     workers that have had their share         mailroom.c  the master's part in the mail
 *   command.c     what the control socket is asked          msg.c       messages for the command line
 *   status.c      what is told of the server                drained.c   who waits until old workers have gone
 *   herald.c      what systemd is told                      debut.c     new settings, tried on their first worker
 *   inquest.c     what a process died of                    vigil.c     processes that do not come out of a module
 *   upgrade.c     another program takes our place           takeover.c  we take the place of a running one
 *   compare.c     what a reload would change                tune.c      settings that need no new workers
 *   heir.c        who takes the streams of a worker that drains */
#ifndef PROC_MASTER_H
#define PROC_MASTER_H

#include "ipc/mailbox.h"
#include "ipc/postmaster.h"
#include "os/child.h"
#include "proc/compare.h"
#include "proc/control.h"
#include "proc/debut.h"
#include "proc/generation.h"
#include "proc/msg.h"
#include "proc/probe.h"
#include "proc/repeat.h"
#include "proc/takeover.h"
#include "proc/upgrade.h"

struct master_opts {
    struct settings_source source;
    bool daemon;           /* go to the background once the first worker is ready */
    bool quiet;            /* print errors only */
    const char *error_log; /* before the settings are read; NULL or "stderr" */
    char **argv;           /* the whole command line, for an upgrade; NULL: there is none */
};

enum master_stop {
    STOP_NOT,
    STOP_WAIT,
    STOP_DRAIN,
    STOP_NOW
}; /* each is more urgent than the one before */

enum rollout_state {
    ROLLOUT_IDLE,
    ROLLOUT_PROBING,
    ROLLOUT_TUNING,
    ROLLOUT_CLEARING,
    ROLLOUT_CANARY,
    ROLLOUT_STARTING,
    ROLLOUT_SETTLING,
    ROLLOUT_OPENING /* the first settings of all, before anybody is served */
};

struct rollout {
    enum rollout_state state;
    struct settings *settings; /* until they belong to `next` */
    struct probe probe;
    struct loop_io io;  /* of the probe's pipe */
    struct timer limit; /* of the probe, then of the start */
    struct generation *next;
    struct debut debut;
    struct list calls;   /* who asked for this one */
    struct list waiting; /* who asked while it was under way: for the next */
    bool again;          /* a signal asked meanwhile */
    bool fresh;          /* one of those who wait wants new workers in any case */
    bool anew;           /* the same of this one */
    uint64_t tune_until; /* monotonic ms: then it is too late */
    unsigned put_off;    /* changes that hold after a restart */
    unsigned warnings;   /* of the probe; its text says them */
    unsigned hurried;    /* connections of older generations that had to make room */
    /* The last one that ended. */
    bool any, ok;
    int code; /* as it was answered */
    uint64_t at_wall_us;
    char message[512];
};

struct reopen {
    struct list calls;
    struct timer limit;
    struct timer watch; /* the next look whether the files are where they were */
    pid_t probe;        /* that ran when it began: has to end; 0 = none */
    bool quiet;         /* a file cannot be opened again, and that has been told */
    char error[512];    /* first problem of this round */
};

/* One at a time: until the one that goes has ended. */
struct recycling {
    uint32_t generation;
    struct worker *going;  /* NULL: nothing is under way */
    struct worker *coming; /* its successor, until that is ready */
    uint64_t rest_until;   /* after a successor that did not start */
};

/* There is one at most, on the live settings. */
struct primary {
    pid_t pid;            /* 0: none now */
    int pass;             /* our end of its socket pair */
    bool ready;           /* has been READY */
    int told;             /* the signal that told it to end; 0 = none */
    bool killed;          /* by us, because it did not do what it should */
    unsigned crashes;     /* ends that nobody asked for, since the start */
    bool place;           /* in the mail, is kept for it */
    bool closed;          /* nobody can write to it any more: it goes without a successor */
    uint64_t close_until; /* so long that is tried; 0 = not yet */
    uint32_t generation;  /* whose settings it has */
    uint32_t reopen;      /* it has to acknowledge log descriptors up to this serial; 0 = none */
    uint64_t started_ms, ready_ms;
    struct respawn respawn;
    struct repeat repeat;
    struct timer again; /* its next start */
    struct timer limit; /* to become ready, or to end */
    struct timer calm, retry;
    uint64_t cursor; /* where the mail for it stood at its start */
};

/* What the service manager has been told. */
struct herald {
    bool open, ready, reloading, failed;
    uint64_t rollouts;  /* that have ended, and it knows */
    uint64_t extend_at; /* of a stop: when to ask for more time; 0 = it does not know of it yet */
    char status[256];
    struct timer tick, watchdog;
};

struct patrol;
struct vigil;

struct master {
    struct loop loop;
    struct loop_io signals, bell;
    struct region region;
    struct crew crew;
    struct settings_source source;
    char *path; /* of the settings, absolute */
    char *pid_file;
    struct timer pid_again; /* it could not be written: the next try */
    bool pid_late;
    struct control *control;

    struct listen_set inherited; /* of systemd; until the server stops */
    struct generation *live;
    struct list draining; /* generations, oldest first */
    uint32_t generations; /* number of the newest */
    struct rollout rollout;
    struct list drains; /* who waits until old workers have gone */
    struct upgrade upgrade;
    struct takeover takeover;
    struct reopen reopen;
    struct list compares;

    struct herald herald;
    struct respawn respawn;
    struct repeat repeat;
    struct timer respawn_timer, calm, watch;
    struct recycling recycling;
    struct patrol *patrol;
    struct vigil *vigil;
    struct primary primary;

    struct mailbox mail; /* as IPC_SLOT_MASTER */
    struct msg msg;
    unsigned members; /* the topic for struct member_event */
    struct mail_receipt tuning;
    struct list untold; /* events for which there was no room yet */
    struct postmaster_watch mail_watch;

    enum master_stop stop;
    bool paused;                      /* WINCH: no workers, on purpose */
    bool serving;                     /* a worker has been ready */
    bool announced;                   /* all have been */
    bool workers_fail, primary_fails; /* again and again: either makes the server degraded */
    bool quiet, daemon;
    int release; /* -D: tells the process that was started how it went; -1 = done */
    int exit_code;
    uint64_t started_ms;
};

/* The whole life of a server: returns the exit status. */
int master_run(const struct master_opts *opts);

/* ---- What the parts need of each other ---- */

/* start.c: opens and forks everything; returns with the main loop to run, or ends the process. */
void master_start(struct master *m, const struct master_opts *opts);
/* Callbacks, timers and lists; no descriptors yet. */
void master_init(struct master *m);
/* Stops: drains and ends, the more urgently the higher `how`. */
void master_stop(struct master *m, enum master_stop how);
/* Another master has taken our place: we drain as after a reload, and end. */
void master_leave(struct master *m);
/* Child: closes what is the master's, and the sockets that are not of `of` (may be NULL). */
void master_shed(void *master, const struct generation *of);
/* The number of settings that hold is known to workers, logs and status. */
void master_switch(struct master *m, struct generation *next);
/* Writes the pid file, now or as soon as that can be done. */
void master_write_pid(struct master *m);
/* The live settings count from now on: their workers may accept. */
void master_open(struct master *m);
/* -D: the outcome of the start. */
void master_release(struct master *m, int code);
/* How many workers of older generations still take connections. */
unsigned master_old_accepting(const struct master *m);
/* workers_fail or primary_fails has changed, or a module goes into quarantine or leaves it. */
void master_judge(struct master *m);

/* keeper.c */
void keeper_init(struct master *m);
/* Forks all workers of g that have no process. 0 or -errno of the first failure; the live
 * generation is tried again. */
int keeper_start(struct master *m, struct generation *g);
void keeper_ended(struct master *m, struct worker *w, int status);
void keeper_ready(void *master, struct worker *w);
/* Forks one, and watches that it becomes ready. 0 or -errno. */
int keeper_fork(struct master *m, struct worker *w);
/* Is somebody serving? Tells so, once. */
void keeper_look(struct master *m);
void keeper_stop(struct master *m);  /* no more spawns */
void keeper_hurry(struct master *m); /* what made workers die is out of the way: no more delay */
void keeper_resize(struct master *m, int by); /* TTIN, TTOU */
void keeper_pause(struct master *m);          /* WINCH */

/* recycle.c: a worker that has had its share of requests gets a successor at its position, and drains
 * once that is ready. */
/* Does what can be done now. */
void recycle_look(struct master *m);
/* A worker is ready; of those that concern nobody here nothing happens. */
void recycle_ready(struct master *m, const struct worker *w);
/* A process of the live generation has ended, and still has its slot. True: it is dropped, nobody is to
 * be started in its place. */
bool recycle_ended(struct master *m, struct worker *w, const char *how);
/* Forgets what is under way: a successor that is not ready yet is told to end. */
void recycle_cancel(struct master *m);

/* succession.c: a primary runs where the live settings want one, and each that ends gets a successor, never before it has
 * ended. Nothing that happens to it touches workers or requests. */
void succession_init(struct master *m);
/* Keeps its place in the mail, if there is to be one: before processes are forked that may write to it. */
void succession_hold(struct master *m);
/* Does what can be done now: starts it, or tells it to end. Any event may have changed what is wanted, so it is called
 * before each wait. */
void succession_look(struct master *m);
void succession_bell(struct master *m); /* it may have become ready */
/* Was it the primary that ended? It is a zombie yet. */
bool succession_ended(struct master *m, const struct child_end *end);
/* Other settings have gone live: what the old ones did wrong is forgotten. */
void succession_switch(struct master *m);
/* For a status: false when there is none and none is wanted. */
struct primary_info {
    pid_t pid;         /* 0: none now */
    const char *state; /* as for workers; "waiting" for its next start */
    uint32_t generation, starts;
    uint64_t uptime_ms;
};
bool succession_info(const struct master *m, struct primary_info *info);

/* mailroom.c */
/* The master joins the mail; before the first fork. */
void mailroom_open(struct master *m);
void mailroom_close(struct master *m);
/* Before and after the loop waits. The first handles what has come and gives the most milliseconds to wait, -1 = for ever. */
int mailroom_park(struct master *m);
void mailroom_wake(struct master *m);
/* Once a second: who does not read is not waited for any longer. */
void mailroom_look(struct master *m);
/* Tells everybody. unseen: it has been ready, but that was not told yet. A process that has ended has been buried. */
void mailroom_joined(struct master *m, int slot);
void mailroom_left(struct master *m, int slot, bool unseen, int signal);
/* The same for one that has not become ready. */
void mailroom_failed(struct master *m, int slot, int signal);

/* heir.c: each worker that drains and has streams that can move asks (ipc_slot.heirs) for a worker of the live generation
 * that takes some of them; it asks again when that one has had its share, has no room, or is gone. Called before each
 * wait. */
void heir_look(struct master *m);

/* patrol.c */
void patrol_init(struct master *m);
void patrol_free(struct master *m);

/* vigil.c */
void vigil_init(struct master *m);
void vigil_free(struct master *m);
void vigil_look(struct master *m); /* once a second */

/* rollout.c. A NULL call: a signal asked. One with call->fresh wants new workers, whatever has changed. */
void rollout_init(struct master *m);
void rollout_request(struct master *m, struct control_call *call);
/* Was it the probe that ended? */
bool rollout_reaped(struct master *m, pid_t pid, int status);
void rollout_say(struct master *m, const char *step); /* to who waits, and in the log */
void rollout_look(struct master *m); /* workers have changed their state, or ended */
void rollout_cancel(struct master *m, const char *why);

/* reopen.c */
void reopen_init(struct master *m);
void reopen_request(struct master *m, struct control_call *call);
void reopen_look(struct master *m);
/* From now on files that have been moved away are noticed. */
void reopen_watch(struct master *m);

/* command.c */
control_handler command_run;
/* Answers with ok, code, message, pid and generation, and a report if there is one. */
void command_answer(struct master *m, struct control_call *call, int code, const char *message,
                    cs_str report);

/* status.c */
const char *status_state(const struct master *m);
void status_request(struct master *m, struct control_call *call);
void status_listeners(struct master *m, struct control_call *call);

#define DRAINED_WAITS 64
/* drained.c: the answer to a reload that went well, at once or, where the call says so, when the generations that drain now
 * have gone. */
void drained_init(struct master *m);
void drained_answer(struct master *m, struct control_call *call, const char *message,
                    cs_str report);
void drained_look(struct master *m); /* a worker has ended */

/* herald.c: systemd is told. herald_open: from now on, after notify_open and with a loop; a master that takes over from
 * another one does so when it is the main process. */
void herald_open(struct master *m);
/* Says what is new; before each wait. */
void herald_look(struct master *m);

/* announce.c: logs (and on a terminal prints) that the server is ready and where. */
void announce_ready(const struct master *m);
/* "http://127.0.0.1:8080/", as one opens it from this machine. */
void announce_url(const char *listener, struct buf *out);

#endif
