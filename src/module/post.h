/* post.h - messages as modules see them: what they publish goes to the mailbox of their process, what comes from it goes
 * to the modules that take the topic. */
#ifndef MODULE_POST_H
#define MODULE_POST_H

#include "module/host.h"

/* What the master tells about settings; for host_opts.on_settings. Keeps its latest value. */
#define POST_SETTINGS     "cserver.settings"
#define POST_SETTINGS_MAX 1024

/* The server's own topics, known before any module's. Master (or probe). 0 or -errno. */
int post_init(struct region *r);
/* Gives the topics that desc declares their numbers and fills in its refs. Master (or probe), before the fork. 0, or -1
 * with a sentence. */
int post_declare(const cs_module *desc, struct region *r, struct buf *error);

struct cs_topic {
    unsigned number;
};

/* For host.c. post_open: between mailbox_init, which it does, and the start hooks; 0 or -errno of mailbox_join. */
int post_open(struct host *h);
void post_close(struct host *h);

int post_publish(cs_topic *t, int to, const void *data, size_t len);
int post_answer(const cs_msg *m, const void *data, size_t len);
int post_replay(cs_topic *t, uint64_t after, int (*each)(const cs_msg *m, void *arg), void *arg);

/* ---- For call.c ---- */

/* False for a number (CS_TO_...) that means nobody. */
bool post_target(int to, struct mail_target *target);
/* As CS_... */
int post_result(enum mail_result rc);
/* As a module sees it. */
cs_msg post_message(const struct mail_message *m, cs_topic *topic);

#endif
