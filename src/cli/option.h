/* option.h - the options of the command line, one by one: the table that is parser, help and hints. What they come to is in
 * options.h. */
#ifndef CLI_OPTION_H
#define CLI_OPTION_H

#include "cli/options.h"

/* The set of one kind of command line (OPTIONS_...). */
#define OF(kind) (1u << (kind))
enum {
    OF_SERVER = OF(OPTIONS_SERVER), /* without msg, module and explain */
    OF_MSG = OF(OPTIONS_MSG),       /* behind msg */
    OF_MODULE = OF(OPTIONS_MODULE),
    OF_EXPLAIN = OF(OPTIONS_EXPLAIN)
};

struct option {
    char letter; /* 0: none */
    unsigned of;
    const char *word;
    const char *value; /* what it takes, for the help; NULL: nothing */
    const char *help;
    const char *msg_help; /* where it is another one behind msg; else NULL */
};

/* NULL: there is none. Where two have the same name that of the mode (OF_...) is meant. */
const struct option *option_by_letter(char c, unsigned mode);
const struct option *option_by_word(cs_str word, unsigned mode);
/* One that is called nearly like it, NULL if none is. */
const char *option_nearest(cs_str word);

#endif
