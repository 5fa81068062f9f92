/* forms.h - compressed siblings of a file: x.js.zst, x.js.br, x.js.gz beside x.js. */
#ifndef STATIC_FORMS_H
#define STATIC_FORMS_H

#include "find.h"

/* The suffix's coding, "br" for "br"; NULL: there is no such suffix. */
const char *forms_coding(cs_str suffix);

/* Which file is to be sent for f: f itself, or the sibling that the client likes best. Takes over the reference to f and gives
 * one to what it returns; NULL: a thread looks for a sibling, and the request is called again then. Sets Vary where there is a sibling, and Content-Encoding. Tells `cserver explain` when `say` is set. */
struct file *forms_choose(cs_req *r, const struct conf *c, struct file *f, _Bool say);

#endif
