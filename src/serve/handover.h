/* handover.h - the hooks on_save and on_adopt, called for a stream. */
#ifndef SERVE_HANDOVER_H
#define SERVE_HANDOVER_H

#include "module/host.h"
#include "serve/feed.h"

/* The stream's module; NULL when its streams do not move: it lacks a hook, or is in quarantine. */
const struct conf_module *handover_module(const struct feed *f);
/* on_save: what it has returned. *at is what on_adopt has to be given with them. The stream has
 * nothing to send, and its group has given it all. */
int handover_save(struct feed *f, const struct conf_module *m, char *to, size_t room,
                  struct host_saved *at);
/* Has this process been given all the mail that the stream's old worker had? */
bool handover_is_due(const struct serve *s, struct host_saved at);
/* The stream begins on c (conn_moved) with on_adopt, whose result this is. It does not end c. */
int handover_adopt(struct conn *c, const struct route *route, const struct conf_module *m,
                   cs_str saved, struct host_saved at);

#endif
