/* repeat.c - see repeat.h. */
#include "proc/repeat.h"

#include <stdio.h>
#include <string.h>

bool repeat_say(struct repeat *r, const char *text, uint64_t now_ms, unsigned *skipped)
{
    char cut[sizeof r->last];

    snprintf(cut, sizeof cut, "%s", text);
    if (strcmp(cut, r->last) == 0 && now_ms - r->said_ms < REPEAT_EVERY_MS) {
        r->skipped++;
        return false;
    }
    *skipped = r->skipped;
    memcpy(r->last, cut, sizeof cut);
    r->skipped = 0;
    r->said_ms = now_ms;
    return true;
}
