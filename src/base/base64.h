/* base64.h - RFC 4648, with padding: bytes that travel in JSON. */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include "base/buf.h"

void base64_add(struct buf *out, cs_str bytes);
/* Adds what `text` stands for. False (*out is then as before) when it is not exactly what base64_add writes for some
 * bytes. */
bool base64_decode(struct buf *out, cs_str text);

#endif
