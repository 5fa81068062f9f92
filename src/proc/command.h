/* command.h - answers of the control socket, for those who write their own. */
#ifndef PROC_COMMAND_H
#define PROC_COMMAND_H

#include "base/json.h"
#include "proc/control.h"

struct master;

/* Begins an answer with ok, code, and who we are; the caller adds to it. */
void command_begin(struct master *m, struct json *j, struct buf *out, int code);
/* Sends it, and frees out and the call. */
void command_end(struct control_call *call, struct json *j, struct buf *out);

#endif
