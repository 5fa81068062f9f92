/* msgtext.h - messages as the control socket writes them: their bytes in JSON, and whom they are from and for in words. */
#ifndef PROC_MSGTEXT_H
#define PROC_MSGTEXT_H

#include "base/json.h"

/* Bytes are a JSON string when they are UTF-8, else {"base64":"..."}. */
void msgtext_put_data(struct json *j, const char *key, cs_str bytes);
/* Adds the bytes. False (*out is then as before) where there is neither form behind the key. */
bool msgtext_take_data(cs_str object, const char *key, struct buf *out);

/* "all", "workers", "primary", "worker:N" as enum mail_group or a slot. False: none of these, or no number that fits. */
bool msgtext_target(cs_str whom, int *to);
/* The other way round; the master is "command", since that is for whom it sends. */
#define MSGTEXT_NAME 24
void msgtext_name(int slot_or_group, char out[MSGTEXT_NAME]);

#endif
