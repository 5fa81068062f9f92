#include "serve/intake.h"

#include <errno.h>
#include <string.h>

static size_t room(const struct conn *c)
{
    return c->in->cap - c->in_len;
}

static void begin_at(struct conn *c, size_t left)
{
    c->in_off = 0;
    c->in_len = (uint32_t)left;
}

/* Makes room behind the unread bytes. What a request still points into is left where it is. */
static void make_room(struct conn *c)
{
    if (!c->in) {
        c->in = inbuf_new(c->serve, 0);
        begin_at(c, 0);
        return;
    }
    size_t left = intake_left(c);
    if (c->in->refs == 1) {
        if (left && c->in_off && room(c) < c->in->cap / 4)
            memmove(c->in->data, c->in->data + c->in_off, left);
        else if (left)
            return;
        begin_at(c, left);
    } else if (!room(c) && left < c->in->cap) {
        struct inbuf *b = inbuf_new(c->serve, left);
        memcpy(b->data, c->in->data + c->in_off, left);
        inbuf_release(c->serve, c->in);
        c->in = b;
        begin_at(c, left);
    }
}

bool intake_fill(struct conn *c)
{
    make_room(c);
    size_t most = room(c);
    if (!most)
        return false;
    ssize_t n = stream_recv(&c->stream, c->in->data + c->in_len, most);
    if (n == -EAGAIN)
        return false;
    if (n < 0)
        c->broken = true;
    else if (n == 0)
        c->eof = true;
    else {
        c->in_len += (uint32_t)n;
        region_add(c->serve->slot, IPC_BYTES_IN, (uint64_t)n);
    }
    return true;
}

void intake_drop(struct conn *c)
{
    inbuf_release(c->serve, c->in);
    c->in = NULL;
    begin_at(c, 0);
}

void intake_waste(struct conn *c, int times)
{
    char waste[16 * 1024];
    ssize_t n = 1;
    while (n > 0 && times--) {
        n = stream_recv(&c->stream, waste, sizeof waste);
        c->dropped += n > 0 ? (uint32_t)n : 0;
    }
    c->eof = c->eof || n == 0;
    c->broken = c->broken || (n < 0 && n != -EAGAIN);
}
