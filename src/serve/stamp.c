#include "serve/stamp.h"

#include "base/clock.h"

#include <string.h>

static uint64_t key_of(time_t t)
{
    return (uint64_t)t + 1;
}

const char *stamp_head(struct stamp *s)
{
    static const char before[] = STAMP_LINE STAMP_FIELD "Date: ";
    time_t now = clock_wall();
    if (s->key != key_of(now)) {
        memcpy(s->head, before, sizeof before - 1);
        http_date_format(now, s->head + sizeof before - 1);
        memcpy(s->head + STAMP_LEN - 2, "\r\n", 3);
        s->key = key_of(now);
    }
    return s->head;
}

/* Files of one site often differ by less than minutes. */
const char *stamp_file(struct stamp *s, time_t t)
{
    uint64_t key = key_of(t);
    size_t i = (key ^ key >> 4 ^ key >> 9) % STAMP_FILES;
    if (s->files[i].key != key) {
        http_date_format(t, s->files[i].text);
        s->files[i].key = key;
    }
    return s->files[i].text;
}
