/* serve.h - everything one worker does with connections, as its main loop (proc/worker.c) sees it.
 *
 *     for (;;) {
 *         serve_before_wait(s);          turn, listeners, parking, lines for the logs
 *         loop_wait(loop, host_wait_ms(h));
 *         serve_after_wait(s);           kicks, a batch of accepts, the turn goes on, then the new
 * connections loop_dispatch(loop);           signals, descriptors passed, connections
 *         if (!serve_has_turn(s)) host_drain(h), serve_hear_mail(s);      messages, never with the turn in hand
 *         loop_run_timers(loop);
 *         loop_reap(loop);
 *         if (draining && serve_idle(s)) end
 *     }
 */
#ifndef SERVE_SERVE_H
#define SERVE_SERVE_H

#include "event/loop.h"
#include "module/host.h"
#include "serve/plan.h"

struct serve;

/* How many connections one worker takes: [limits] max_connections, or what RLIMIT_NOFILE (*nofile) allows when that is
 * less. max_workers: of the shared memory. Raises the soft limit to the hard one. */
unsigned serve_connection_limit(const struct serve_plan *plan, unsigned max_workers,
                                size_t *nofile);

/* A worker's state, once per process, after the fork and after privileges are dropped, in a host that is open (its start
 * hooks have run). -1: the listeners cannot be watched (logged). */
int serve_new(struct serve **out, struct serve_plan *plan, struct host *host);
/* Call once the slot's state is READY: from here on the worker accepts, as soon as its settings are live. */
void serve_open(struct serve *s);

/* Run-time settings of its plan's conf have changed: those that are not read each time they are used are looked at again. */
void serve_tune(struct serve *s);

void serve_before_wait(struct serve *s);
void serve_after_wait(struct serve *s);

bool serve_has_turn(const struct serve *s);

/* Stops taking turns and lets the listeners go; calls worker_stop hooks; every answer from now on
 * ends its connection with "Connection: close". An idle keep-alive connection stays until its next
 * answer (house decision 10). */
void serve_drain(struct serve *s);
/* While it drains: by then (monotonic ms, 0 = there is no limit) its streams are to have gone; see giver.h. */
void serve_drain_until(struct serve *s, uint64_t until);
/* While it drains: nobody takes its place. Who has nothing under way is waited for no longer than a moment, and streams end
 * as soon as they can without all coming back at once. */
void serve_leave(struct serve *s);
/* Channels from the master (taken over): to a worker that takes streams from this one, so many at most, which drains; and
 * from one that drains. */
void serve_give(struct serve *s, int channel, unsigned most);
void serve_take(struct serve *s, int channel);
/* After host_drain: goes on with streams that have come and wait for mail. */
void serve_hear_mail(struct serve *s);
/* No connection is left. */
bool serve_idle(const struct serve *s);
/* Open connections and, among them, those with a request in flight. */
void serve_count(const struct serve *s, unsigned *connections, unsigned *busy);
/* Deadline: closes idle connections properly and cuts the others. */
void serve_cut(struct serve *s);
/* A stream socket that has come by no listener (taken over): served as a connection of the first one, from a unix socket,
 * also before the settings are live. Not with the turn in hand. */
void serve_adopt(struct serve *s, int fd);
/* Another descriptor for one of conf->logs (takes it over, and closes that of the plan). Something may still be written to
 * the old one until serve_is_reopening is false. */
void serve_reopen_access_log(struct serve *s, unsigned index, int fd);
bool serve_is_reopening(const struct serve *s);
/* Before a worker ends, in each turn of the loop: are all lines written, or beyond hope? limited: the worker has a
 * deadline, else the logs get one (log_writer_hurry). */
bool serve_has_logged(struct serve *s, bool limited);
/* The end of the access logs, after the last request. False: a thread still writes, and the process has to _exit. */
bool serve_end_logs(struct serve *s);
/* Frees everything (for leak checks); after serve_end_logs. */
void serve_free(struct serve *s);

#endif
