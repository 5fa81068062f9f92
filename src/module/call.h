/* call.h - what modules wait for: the answer to a call, or that all have applied a message. It comes, or a time limit does, or
 * the end of who was asked: each of them ends in one call of `done`, unless CS_OK was not returned. */
#ifndef MODULE_CALL_H
#define MODULE_CALL_H

#include "ipc/member.h"
#include "module/host.h"

int call_begin(cs_topic *t, int to, const void *data, size_t len, int64_t timeout_ms,
               void (*done)(int result, const cs_msg *answer, void *arg), void *arg);
int call_publish_applied(cs_topic *t, int to, const void *data, size_t len, int64_t timeout_ms,
                         void (*done)(int result, void *arg), void *arg);

/* Who has called with that arg waits no more: done does not come. */
void call_drop(const void *arg);

/* A message of the topic of answers. */
void call_take_answer(struct host *h, const struct mail_message *m);
/* Somebody has gone; the message `seq` says so. UINT64_MAX: it was lost. */
void call_end_of(struct host *h, const struct member_event *e, uint64_t seq);
/* The process ends. What is begun in these last callbacks is refused. */
void call_end_all(struct host *h);

#endif
