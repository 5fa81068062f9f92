/* tune.h - settings that a running generation can take without new workers: numbers, words and
 * switches of the core's single sections that are read again each time they are used (CONF_RUNTIME
 * in the tables). What travels from process to process are their values in the order of the tables,
 * which is the same in all processes of one program. */
#ifndef CONF_TUNE_H
#define CONF_TUNE_H

#include "conf/conf.h"

#define CONF_TUNE_MAX 64

/* How many there are; at most CONF_TUNE_MAX. */
size_t conf_tune_count(void);
void conf_tune_read(const struct conf *c, int64_t *values);
void conf_tune_write(struct conf *c, const int64_t *values);

/* `live` gets from `from` the values of all these keys, their texts and where they come from. Holds
 * nothing of `from` afterwards, nor of what was brought before. */
void conf_tune_take(struct conf *live, const struct conf *from);
/* Keys that only a restart changes (CONF_RESTART): `next` gets what holds since the start. */
void conf_tune_keep(struct conf *next, const struct conf *live);

#endif
