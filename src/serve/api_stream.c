/* The calls of cs_api about streams and groups. */
#include "module/crumb.h"
#include "module/host.h"
#include "serve/api_calls.h"
#include "serve/feed.h"
#include "serve/group.h"

#include <stdio.h>
#include <stdlib.h>

cs_stream *api_detach(cs_req *pub, int status)
{
    struct feed *f = feed_detach(request_of(pub), status);
    return f ? feed_public(f) : NULL;
}

int api_stream_send(cs_stream *s, cs_str data)
{
    return feed_send(feed_of(s), data);
}

size_t api_stream_queued(const cs_stream *s)
{
    return feed_queued(feed_of(s));
}

int api_stream_on_drain(cs_stream *s, void (*cb)(cs_stream *, void *), void *arg)
{
    return feed_on_drain(feed_of(s), (struct feed_call){cb, arg, crumb_module()});
}

void api_stream_close(cs_stream *s)
{
    feed_close(feed_of(s));
}

int api_stream_on_close(cs_stream *s, void (*cb)(cs_stream *, void *), void *arg)
{
    return feed_on_close(feed_of(s), (struct feed_call){cb, arg, crumb_module()});
}

cs_group *api_group(cs_proc *p, const cs_group_opts *opts)
{
    check(p != NULL && opts != NULL && opts->size >= sizeof *opts);
    return group_public(group_new(host_here()->loop, opts));
}

int api_group_join(cs_group *g, cs_stream *s)
{
    return g ? group_join(group_of(g), feed_of(s)) : CS_ERROR;
}

int api_group_send(cs_group *g, cs_str data)
{
    if (!g)
        return CS_ERROR;
    struct feed_msg *m = feed_msg_new(data.n);
    if (!m)
        return CS_NOMEM;
    if (data.n)
        memcpy(m->data, data.p, data.n);
    group_send(group_of(g), m);
    return CS_OK;
}

/* vsnprintf wants room for a NUL, which is not sent. */
static struct feed_msg *format(const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    struct feed_msg *m = n < 0 ? NULL : feed_msg_new((size_t)n + 1);
    if (m) {
        vsnprintf(m->data, (size_t)n + 1, fmt, again);
        m->n = (size_t)n;
    }
    va_end(again);
    return m;
}

int api_group_sendf(cs_group *g, const char *fmt, ...)
{
    va_list ap;
    if (!g)
        return CS_ERROR;
    va_start(ap, fmt);
    struct feed_msg *m = format(fmt, ap);
    va_end(ap);
    if (!m)
        return CS_NOMEM;
    group_send(group_of(g), m);
    return CS_OK;
}

size_t api_group_size(const cs_group *g)
{
    return g ? group_size(group_of(g)) : 0;
}

void api_group_end(cs_group *g)
{
    if (g)
        group_end(group_of(g));
}
