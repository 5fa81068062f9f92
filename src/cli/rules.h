/* rules.h - what does not go together on a command line, or is missing. */
#ifndef CLI_RULES_H
#define CLI_RULES_H

#include "cli/option.h"
#include "cli/options.h"

/* Of each kind of command line an option that was there and belongs to that kind alone; NULL: there was none. */
struct rules_seen {
    const struct option *only[OPTIONS_KINDS];
};

/* All words have been taken. 0, or -1 with *error a sentence. */
int rules_check(const struct options *o, const struct rules_seen *seen, struct buf *error);

#endif
