/* repeat.h - the same sentence again and again becomes one line now and then, so that a server in
 * trouble does not fill the disk with its log. */
#ifndef PROC_REPEAT_H
#define PROC_REPEAT_H

#include <stdbool.h>
#include <stdint.h>

#define REPEAT_EVERY_MS 30000

struct repeat {
    char last[256];
    unsigned skipped;
    uint64_t said_ms;
};

/* Shall `text` be logged now? Then *skipped says how often the sentence before it (or itself) was
 * left out. */
bool repeat_say(struct repeat *r, const char *text, uint64_t now_ms, unsigned *skipped);

#endif
