/* event.c - who comes again says what it has seen last; the rest is in the server's ring for a while. */
#include "event.h"

#include <stdio.h>

#define MOST_LATE (128 * 1024) /* bytes that may wait for who comes again */

struct late {
    cs_stream *stream;
    uint64_t birth, seen; /* seen: number of the last event it has got */
    _Bool told;           /* that some are missing */
    _Bool unsure;         /* seen is not known */
};

cs_str event_of(const cs_msg *m, uint64_t birth)
{
    static char text[64 + 7 * EVENT_MAX];
    const char *data = m->data;
    char *to = text + sprintf(text, "id: %llx-%llu\ndata: ", (unsigned long long)birth,
                              (unsigned long long)m->number);
    for (size_t i = 0; i < m->len && i < EVENT_MAX; i++)
        if (data[i] == '\n' && i && data[i - 1] == '\r')
            continue;
        else if (data[i] == '\n' || data[i] == '\r')
            to = stpcpy(to, "\ndata: ");
        else
            *to++ = data[i];
    to = stpcpy(to, "\n\n");
    return (cs_str){text, (size_t)(to - text)};
}

static void tell(struct late *l)
{
    if (!l->told)
        cs_stream_send(l->stream, "event: lost\ndata: ?\n\n");
    l->told = 1;
}

static int on_replayed(const cs_msg *m, void *arg)
{
    struct late *l = arg;
    if (!l->unsure && m->number != l->seen + 1)
        tell(l);
    l->seen = m->number;
    l->unsure = 0;
    cs_stream_send(l->stream, event_of(m, l->birth));
    return cs_stream_queued(l->stream) >= MOST_LATE;
}

static void replay(cs_topic *topic, struct late *l, uint64_t after)
{
    int rc = cs_replay(topic, after, on_replayed, l);
    if (rc < 0)
        tell(l);
    if (rc > 0)
        cs_stream_close(l->stream);
}

void event_replay(cs_topic *topic, cs_stream *s, const char *last, uint64_t birth)
{
    struct late l = {.stream = s, .birth = birth};
    unsigned long long lived = 0, seen = 0;
    if (sscanf(last, "%llx-%llu", &lived, &seen) == 2 && lived == birth)
        l.seen = seen;
    else
        tell(&l);
    replay(topic, &l, l.seen);
}

void event_go_on(cs_topic *topic, cs_stream *s, uint64_t seen, uint64_t birth)
{
    struct late l = {.stream = s, .birth = birth, .seen = seen, .unsure = !seen};
    replay(topic, &l, CS_SINCE_SAVE);
}
