/* option.h - the options of the command line, one by one: the table that is parser, help and hints. What they come to is in
 * options.h. */
#ifndef CLI_OPTION_H
#define CLI_OPTION_H

#include "base/str.h"

enum {
    OF_SERVER = 1, /* without msg, module and explain */
    OF_MSG = 2,    /* behind msg */
    OF_MODULE = 4, /* behind module */
    OF_EXPLAIN = 8 /* behind explain */
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
