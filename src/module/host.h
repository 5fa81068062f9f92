/* host.h - a process that runs modules, a worker or the primary: what they can do without a request. One per process.
 *
 *     host_open                     after the fork and the loss of privileges: joins the mail, runs the start hooks
 *     each turn of the loop, after parking:      ms = host_wait_ms(h); loop_wait(loop, ms)
 *     before the turn to accept is kept or passed on:       host_has_mail(h): callbacks will follow
 *     after the descriptors have been read:      host_drain(h)      (never with the accept turn in hand)
 *     host_stop                     stop hooks: the worker begins to drain, the primary to end
 *     host_is_done                  once it has nothing else to do: what has come until then is still handled
 *     host_end_work                 no more work on threads; false: some still runs, and what it uses must stay
 *     host_close                    leaves the mail, frees everything */
#ifndef MODULE_HOST_H
#define MODULE_HOST_H

#include "conf/conf.h"
#include "event/pool.h"
#include "ipc/mailbox.h"

struct host {
    const struct conf *conf;
    struct loop *loop;
    struct region *region;
    int slot;
    bool primary;
    cs_self_info self;
    struct cs_proc *procs; /* one for each module of the conf */
    struct mailbox mail;
    struct list timers; /* of modules */
    struct list watches;
    struct pool pool;
    struct pool
        disk; /* for work that may wait for a disk as long as that likes: nothing else is held up by it */
    uint64_t last_job; /* host_is_done: the last one there was when it was asked first, + 1 */
    struct list calls; /* cs_call and cs_publish_applied that wait */
    uint32_t last_call;
    uint64_t
        last_mail; /* host_is_done: what was in the ring when it was asked first; 0 = not yet */
    bool closing;  /* nothing more is waited for */
    const struct host_saved *adopting; /* on_adopt is running; else NULL */
    uint32_t *known; /* by slot: the incarnation that modules take to be there, 0 = none */
    void (*before_call)(void *arg); /* a module is about to be called; may be NULL */
    void *before_arg;
    void (*on_settings)(void *arg, const void *data, size_t len);
    void *settings_arg;
};

/* How far another worker was when it called on_save. */
struct host_saved {
    uint64_t mail; /* position in the ring */
};

struct host_opts {
    const struct conf *conf;
    struct loop *loop;
    struct region *region;
    int slot;
    unsigned workers; /* of this generation */
    uint32_t generation;
    void (*on_settings)(void *arg, const void *data,
                        size_t len); /* of POST_SETTINGS; may be NULL */
    void *settings_arg;
};

/* 0; -1 (logged, with the module's name) when a start hook fails or there is no place in the mail. */
int host_open(struct host *h, const struct host_opts *opts);
/* For a process that only asks what modules would do: no mail, no start hooks. host_part ends it. */
void host_pretend(struct host *h, const struct host_opts *opts);
void host_part(struct host *h);
/* Most milliseconds to sleep, 0 = not at all, -1 = for ever. Call it after parking. */
int host_wait_ms(struct host *h);
bool host_has_mail(const struct host *h);
void host_drain(struct host *h);
void host_stop(struct host *h);
/* Is everything handled that was there when this was asked first, messages and jobs, and everything sent? */
bool host_is_done(struct host *h);
/* Waits a moment for jobs that run, drops those that wait. Before anything is freed that they may use. False: the
 * process has to _exit. */
bool host_end_work(struct host *h);
void host_close(struct host *h);

/* Do these modules need a primary: is there a primary hook, or a topic somebody takes? Looks at descriptors only. */
bool host_wants_primary(const struct conf *conf);

/* The one of this process; NULL before host_open. */
struct host *host_here(void);
static inline void host_enter(const struct host *h)
{
    if (h->before_call)
        h->before_call(h->before_arg);
}
/* The process part of cs_api. */
const cs_self_info *host_self(void);
const void *host_module_conf(cs_proc *p);
/* The same by &cs_api_ of the module; NULL when it is none of this process. */
const void *host_conf_of(const void *mod);
void host_log(const void *mod, int level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
cs_timer *host_timer(cs_proc *p, int64_t ms, int repeat, cs_cb cb, void *arg);
void host_timer_cancel(cs_timer *t);
int64_t host_now_ms(void);

/* Worker number, 1..; 0 = a primary; CS_FROM_COMMAND = the master; CS_FROM_SERVER = nobody. */
int host_number(int slot);
/* The number of the module that p was given to. */
unsigned host_module_of(const cs_proc *p);
/* The name of the module with that number; "?" when there is none. */
const char *host_module_name(unsigned number);

#endif
