/* expand.h - ${...} in values. When the file is read ${env.NAME} and ${env.NAME:default} are replaced; variables of a request
 * and "$${", which stands for "${", stay until the type of the key is known. */
#ifndef CONF_EXPAND_H
#define CONF_EXPAND_H

#include "base/buf.h"

/* Appends `value` with its variables replaced. *env: did it take anything from the environment? 0,
 * or -1 with a sentence in *error and the text that is wrong in *where. */
int expand_value(cs_str value, struct buf *out, bool *env, cs_str *where, struct buf *error);
/* For a value that takes no variables of a request: "$${" becomes "${". Results as above. */
int expand_plain(cs_str value, struct buf *out, cs_str *where, struct buf *error);

#endif
