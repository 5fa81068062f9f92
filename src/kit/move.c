/* move.c - a stream goes to another worker: the socket and what on_save has written are all that it takes along. */
#include "kit/client.h"

#include "serve/group.h"
#include "serve/handover.h"

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

static void adopt(cst_req *q, int fd, cs_str saved, struct host_saved at)
{
    struct conn *c = kit_client_connection(q, q->test->serve, fd);
    if (handover_adopt(c, NULL, mover(q->test), saved, at) != CS_OK)
        conn_close(c);
}

int cst_move(cst_req *q)
{
    struct cst *t = q->test;
    char saved[ROOM];
    struct host_saved at;
    kit_run(t);
    const struct conf_module *m = mover(t);
    struct feed *f = stream_of(q);
    int n = m && f ? handover_save(f, m, saved, sizeof saved, &at) : -1;
    if (n < 0)
        return CS_DECLINED;
    if (n > ROOM)
        kit_die("on_save of the module %s has written %d bytes into room for %d", m->desc->name, n,
                ROOM);
    int fd = dup(f->conn->stream.fd);
    conn_close(f->conn);
    q->moving = true;
    int rc = cst_worker(t, t->wish.number, t->wish.workers);
    q->moving = false;
    if (rc == CS_OK) {
        adopt(q, fd, (cs_str){saved, (size_t)n}, at);
        kit_run(t);
    } else {
        close(fd);
    }
    return rc;
}
