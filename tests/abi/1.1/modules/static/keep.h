/* keep.h - how long an answer may be kept by whom: the Cache-Control field. */
#ifndef STATIC_KEEP_H
#define STATIC_KEEP_H

#include "conf.h"

/* The value for a file of that name and media type; empty: none. */
cs_str keep_for(const struct conf *c, cs_str path, const char *type);

/* An element of cache_by, "image/...: value" (with a star) or ".js: value": is it one? */
_Bool keep_split(cs_str element, cs_str *what, cs_str *value);

#endif
