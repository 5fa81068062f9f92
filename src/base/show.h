/* show.h - any bytes for people, on one line of a terminal: printable UTF-8 as it is, all else (control characters, those
 * that turn the direction of writing, line separators, bytes that are no UTF-8, and the backslash itself) as \xHH for each
 * byte. So it does no harm, and can be turned back. */
#ifndef BASE_SHOW_H
#define BASE_SHOW_H

#include "base/buf.h"

void show_bytes(struct buf *out, cs_str bytes);

#endif
