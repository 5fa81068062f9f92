/* move.c - a stream goes to another worker: the socket and what on_save has written are all that it takes along. */
#include "kit/client.h"

#include "module/crumb.h"
#include "serve/feed.h"
#include "serve/group.h"

#include <stdlib.h>
#include <unistd.h>

#define ROOM 256 /* the least that on_save may count on */

/* NULL: the client has no stream that can move. */
static struct feed *stream_of(const cst_req *q)
{
    const struct serve *s = q->test->serve;
    struct feed *f = NULL;
    if (!s || q->fd < 0)
        return NULL;
    LIST_EACH(it, &s->conns)
    {
        struct conn *c = CONTAINER_OF(it, struct conn, node);
        f = c->stream.fd == q->server ? c->feed : f;
    }
    if (f && f->group)
        group_catch_up(f);
    return f && f->conn && !f->queued && !f->closing ? f : NULL;
}

/* The module under test, or the first that moves streams. */
static const struct conf_module *mover(const struct cst *t)
{
    for (size_t i = 0; i < t->settings.conf->nmodules; i++)
        if (t->settings.descs[i]->on_save && t->settings.descs[i]->on_adopt)
            return &t->settings.conf->modules[i];
    return NULL;
}

/* Its length, or negative. */
static int save(const struct conf_module *m, struct feed *f, char *to)
{
    uint32_t was = crumb_enter(m->number, CRUMB_STREAM);
    int n = m->desc->on_save(feed_public(f), to, ROOM);
    crumb_leave(was);
    if (n > ROOM)
        kit_die("on_save of the module %s has written %d bytes into room for %d", m->desc->name, n,
                ROOM);
    return n;
}

static void adopt(cst_req *q, int fd, cs_str saved)
{
    const struct conf_module *m = mover(q->test);
    struct conn *c = kit_client_connection(q, q->test->serve, fd);
    struct feed *f = feed_adopt(c);
    uint32_t was = crumb_enter(m->number, CRUMB_STREAM);
    int rc = m->desc->on_adopt(feed_public(f), saved);
    crumb_leave(was);
    if (rc < 0)
        conn_close(c);
}

int cst_move(cst_req *q)
{
    struct cst *t = q->test;
    char saved[ROOM];
    kit_run(t);
    const struct conf_module *m = mover(t);
    struct feed *f = stream_of(q);
    int n = m && f ? save(m, f, saved) : -1;
    if (n < 0)
        return CS_DECLINED;
    int fd = dup(f->conn->stream.fd);
    conn_close(f->conn);
    q->moving = true;
    int rc = cst_worker(t, t->wish.number, t->wish.workers);
    q->moving = false;
    if (rc == CS_OK) {
        adopt(q, fd, (cs_str){saved, (size_t)n});
        kit_run(t);
    } else {
        close(fd);
    }
    return rc;
}
