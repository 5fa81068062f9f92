/* escape.h - texts made fit for where they are going to stand. */
#ifndef HTTP_ESCAPE_H
#define HTTP_ESCAPE_H

#include "base/str.h"

/* Most bytes that one byte of the text becomes. */
#define HTTP_ESCAPE_GROWS 6

/* where: CS_ESCAPE_PATH ... out has room for HTTP_ESCAPE_GROWS * text.n bytes; NULL only counts. Returns the length, or -1
 * where there is no such place. */
long http_escape(int where, cs_str text, char *out);

#endif
