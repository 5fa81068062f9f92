/* wire.h - one way to bring messages from a process to others, as wire.c measures it.
 *
 * All of them run in the same loop: poll, read what there is, call. The sender has nothing else to do, so `send` may
 * wait for room. */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_RECEIVERS 16
#define WIRE_MAX       65536 /* bytes of a message */

struct wire {
    const char *name;
    void (*make)(int receivers);                /* before the forks */
    void (*begin_receiver)(int i);              /* in the i-th receiver, from 0 */
    void (*begin_sender)(void);                 /* after the forks */
    void (*send)(const void *data, size_t len); /* to all receivers, in order */
    void (*finish)(void);                       /* all has left for the receivers */
    void (*turn)(
        bool
            sleep); /* of a receiver: waits for something, if it may; wire_message for what there is */
    uint64_t (*calls)(
        void); /* system calls made to reach the other side, so far; asked by the sender */
};

extern const struct wire wire_mail, wire_channel, wire_pipe, wire_bare;

/* Given back by the receiver's turn; data is the receiver's own until it returns. */
void wire_message(const void *data, size_t len);
/* Whoever sees this has broken the rules of the benchmark. */
_Noreturn void wire_die(const char *what);

#endif
