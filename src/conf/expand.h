/* expand.h - ${...} in values: when the file is read, only ${env.NAME} and ${env.NAME:default} mean
 * something.
 * "$${" is a plain "${". */
#ifndef CONF_EXPAND_H
#define CONF_EXPAND_H

#include "base/buf.h"

/* Appends `value` with its variables replaced. *env: did it take anything from the environment? 0,
 * or -1 with a sentence in *error and the text that is wrong in *where. */
int expand_value(cs_str value, struct buf *out, bool *env, cs_str *where, struct buf *error);

#endif
