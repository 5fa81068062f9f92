/* mark.h - scopes, and where templates stand. */
#ifndef CONF_MARK_H
#define CONF_MARK_H

#include "base/str.h"

/* CS_SCOPE_... of a kind of section. */
int mark_scope(cs_str kind);

#endif
