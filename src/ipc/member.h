/* member.h - what the master tells all processes about each other: who has become ready, who has ended. A topic like any
 * other, so that it is ordered with all messages. Who has not become ready is only of interest to those who wait for its
 * answer. */
#ifndef IPC_MEMBER_H
#define IPC_MEMBER_H

#include <stdint.h>

#define MEMBER_TOPIC "cserver.members"

/* The message, to MAIL_ALL. */
struct member_event {
    int32_t slot; /* IPC_SLOT_... */
    uint32_t incarnation;
    uint32_t
        left; /* 0: it is ready; 1: it has ended; 2: it has ended before it was ready, but took mail already */
    int32_t signal; /* left: what killed it, or 0 */
};

#endif
