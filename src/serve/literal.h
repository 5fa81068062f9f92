/* literal.h - how a path must begin for a regex to match it, as far as that can be seen from the pattern. Of thousands of
 * regexes only those need to be tried whose beginning fits. */
#ifndef SERVE_LITERAL_H
#define SERVE_LITERAL_H

#include "base/str.h"

/* The bytes that every match of the pattern (PCRE2 syntax, no options but UTF) begins with, at the path's beginning. out has
 * room for pattern.n. Returns their number; 0: it may match anything. Errs on that side only. */
size_t literal_of(cs_str pattern, char *out);

#endif
