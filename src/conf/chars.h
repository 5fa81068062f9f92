/* chars.h - characters that settings must not have, since nobody can see them or they are not what they look like. */
#ifndef CONF_CHARS_H
#define CONF_CHARS_H

#include "base/buf.h"

/* The first byte that a value may not have at all (control characters, bytes that are not UTF-8),
 * and, unless `quoted`, the first character that looks like a blank or like nothing: its offset,
 * and a sentence in *error. *width gets its length in bytes. s.n when all is well. */
size_t chars_check(cs_str s, bool quoted, size_t *width, struct buf *error);
/* The sentence about a control character. */
void chars_say_control(uint32_t c, struct buf *error);
/* Does it start with one? Word processors turn quotes into these; taken as they are they would become part of the value. */
bool chars_is_curly_quote(cs_str s);

#endif
