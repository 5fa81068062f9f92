/* words.h - the words of a command line that are no options: msg, module, diff and explain, and what stands behind them. */
#ifndef CLI_WORDS_H
#define CLI_WORDS_H

#include "cli/options.h"

/* 0, or -1 with *error a sentence. */
int words_take(struct options *o, const char *word, struct buf *error);
/* Can it stand behind -s? */
bool words_is_command(const char *word);

/* What can stand behind `module`. */
struct words_verb {
    const char *word, *takes; /* as its help says it */
    size_t least, most;       /* words behind it */
};
/* NULL: it is none. */
const struct words_verb *words_verb(const char *word);

#endif
