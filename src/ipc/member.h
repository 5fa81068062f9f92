/* member.h - what the master tells all processes about each other: who has become ready, who has ended. A topic like any
 * other, so that it is ordered with all messages. */
#ifndef IPC_MEMBER_H
#define IPC_MEMBER_H

#include <stdint.h>

#define MEMBER_TOPIC "cserver.members"

/* The message, to MAIL_ALL. */
struct member_event {
    int32_t slot; /* IPC_SLOT_... */
    uint32_t incarnation;
    uint32_t left;  /* 0: it is ready; 1: it has ended */
    int32_t signal; /* left: what killed it, or 0 */
};

#endif
