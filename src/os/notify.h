/* notify.h - what the service manager (systemd) is told of this service: the datagrams of sd_notify(3), by hand. There is
 * one place to send them per process, so there is no object. Only the main process of the service is heard. */
#ifndef OS_NOTIFY_H
#define OS_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

/* Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID, and takes them out of the environment: children have nothing to say.
 * A place that cannot be meant is logged. */
void notify_open(void);
/* Is there somebody to be told? */
bool notify_wanted(void);
/* Sends lines of NAME=VALUE. 0, also where nobody wants it; -EAGAIN when the manager's queue is full: never waits. */
int notify_send(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* A sentence for people; control bytes become blanks. The last one stays when the process ends. */
int notify_status(const char *sentence);
/* Microseconds within which the manager wants to hear WATCHDOG=1 from this process, again and again; 0: it does not. */
uint64_t notify_watchdog_us(void);
/* In a child that is about to run the next main process of the service: puts the variables back, the watchdog's for
 * whichever process that is. */
void notify_export(void);
/* Another process is the main one yet: nothing is sent, and notify_wanted is false, until this is taken back. */
void notify_hold(bool on);
/* Another process is the main one from now on: nothing is sent any more. */
void notify_close(void);

#endif
