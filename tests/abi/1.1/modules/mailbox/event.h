/* event.h - messages as server-sent events. An event's id is BIRTH-NUMBER: numbers begin again when the server does, and
 * `birth` tells its lives apart. */
#ifndef MAILBOX_EVENT_H
#define MAILBOX_EVENT_H

#include <cserver/cserver.h>

#define EVENT_MAX 8192 /* bytes of a message */

/* Each line of the data is a field of its own. Valid until the next call. */
cs_str event_of(const cs_msg *m, uint64_t birth);
/* Sends what a client has missed that has seen the event `last` (NUL-terminated), as far as it is there, and an event
 * `lost` before it where it is not. Where that is much, the stream ends behind a part, and the client comes again for the
 * rest: else who takes nothing has everything wait for him. */
void event_replay(cs_topic *topic, cs_stream *s, const char *last, uint64_t birth);
/* Sends what has come since on_save, in on_adopt, to a client that has seen the event number `seen` last, 0 = not known. */
void event_go_on(cs_topic *topic, cs_stream *s, uint64_t seen, uint64_t birth);

#endif
