/* quote.h - values in quotes, as line.h reads them. */
#ifndef CONF_QUOTE_H
#define CONF_QUOTE_H

#include "base/buf.h"

/* Replaces \" and \\ of a quoted value. */
void quote_undo(cs_str raw, struct buf *out);
/* Writes a value so that line_read gives it back: in quotes where it needs them, or always. variables: "${" and "$${" in it
 * are meant as such, otherwise "${" is a text. */
void quote_write(cs_str value, bool always, bool variables, struct buf *out);

#endif
