/* stopping.c - see stopping.h. */
#include "proc/stopping.h"

#include "base/json.h"

static int64_t number(cs_str object, const char *key)
{
    cs_str text;
    uint64_t n;

    return json_find(object, key, &text) && str_to_u64(text, INT64_MAX, &n) ? (int64_t)n : 0;
}

/* What the workers have together. */
struct rest {
    unsigned workers;
    bool limited;    /* all of them */
    int64_t left_ms; /* of the last one */
};

static struct rest look_at_workers(cs_str status)
{
    struct rest r = {.limited = true};
    cs_str list, w, drains, left;
    uint64_t ms;

    if (!json_find(status, "workers", &list))
        return r;
    while (client_next(&list, &w)) {
        if (number(w, "pid") == 0)
            continue;
        r.workers++;
        if (!json_find(w, "drains", &drains) || !json_find(drains, "left_ms", &left) ||
            !str_to_u64(left, INT64_MAX, &ms))
            r.limited = false;
        else if ((int64_t)ms > r.left_ms)
            r.left_ms = (int64_t)ms;
    }
    return r;
}

static void put_kind(struct buf *out, int64_t n, const char *kind, const char **before)
{
    if (n <= 0)
        return;
    buf_printf(out, "%s%lld %s", *before, (long long)n, kind);
    *before = ", ";
}

static void put_connections(cs_str status, int64_t n, struct buf *out)
{
    int64_t streams = number(status, "streams"), idle = number(status, "idle");
    const char *before = " (";

    buf_printf(out, "waiting for %lld connection%s", (long long)n, n == 1 ? "" : "s");
    put_kind(out, n - streams - idle, "in a request", &before);
    put_kind(out, streams, streams == 1 ? "stream" : "streams", &before);
    put_kind(out, idle, "idle", &before);
    if (before[0] == ',')
        buf_add_char(out, ')');
}

static void put_others(cs_str status, const struct rest *r, struct buf *out)
{
    cs_str primary = {0};

    json_find(status, "primary", &primary);
    if (r->workers > 0)
        buf_printf(out, "waiting for %u worker%s to end", r->workers, r->workers == 1 ? "" : "s");
    else if (number(primary, "pid") > 0)
        buf_printf(out, "waiting for the primary (pid %lld) to end",
                   (long long)number(primary, "pid"));
    else if (number(status, "old_pid") > 0)
        buf_printf(out, "waiting for the server before (pid %lld), which drains",
                   (long long)number(status, "old_pid"));
    else
        buf_add_z(out, "about to end");
}

bool stopping_say(cs_str status, struct buf *out)
{
    struct rest r = look_at_workers(status);
    int64_t connections = number(status, "connections");
    cs_str state;

    if (!json_find(status, "state", &state) || !str_is(state, "stopping"))
        return false;
    if (connections > 0)
        put_connections(status, connections, out);
    else
        put_others(status, &r, out);
    if (r.workers > 0 && r.limited)
        buf_printf(out, ", at most %lld s", (long long)((r.left_ms + 999) / 1000));
    else if (r.workers > 0)
        buf_add_z(out, ", without a time limit");
    return true;
}

bool stopping_ask(struct client *c, int64_t limit_ms, struct buf *out)
{
    struct buf answer = {0};
    bool stops = client_ask(c, "status", limit_ms, NULL, NULL, &answer) == 0 &&
                 stopping_say(buf_str(&answer), out);

    buf_free(&answer);
    return stops;
}
