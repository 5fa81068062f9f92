#include "serve/pieces.h"

#include "http/body.h"
#include "http/status.h"
#include "serve/filter.h"
#include "serve/header.h"
#include "serve/jump.h"
#include "serve/respond.h"

#include <stdlib.h>

static char *put(char *to, cs_str s)
{
    memcpy(to, s.p, s.n);
    return to + s.n;
}

int pieces_start(struct request *r, int status, const char *type, int64_t len)
{
    if (!respond_may(r) || status < 200 || status > 599 || len < -1)
        return CS_ERROR;
    r->status = status = jump_status(r, status);
    header_set_type(r, type);
    r->promised = len;
    if (!respond_filters_agree(r))
        return CS_ERROR;
    r->no_body = r->no_body || http_status_bodiless(status);
    if (r->filter) {
        filter_pieces(r, len);
        len = filter_len(r->filter);
    }
    respond_settle_end(r);
    timer_clear(&r->serve->loop->timers, &r->patience);
    header_send(r, &(struct header_body){.len = len});
    conn_wake(r->conn);
    return CS_OK;
}

/* A piece on the heap, framed as a chunk where needed: a stream may be endless, an arena may not.
 */
static void queue_copy(struct request *r, cs_str data, bool last)
{
    char head[20];
    size_t nhead = r->chunked_out && data.n ? http_chunk_head(head, data.n) : 0;
    cs_str tail = {0};
    if (r->chunked_out)
        tail = !last ? CS_S("\r\n") : data.n ? CS_S("\r\n0\r\n\r\n") : CS_S("0\r\n\r\n");
    size_t n = nhead + data.n + tail.n;
    if (!n)
        return;
    struct out_piece *piece = malloc(sizeof *piece + n);
    check(piece != NULL);
    char *p = (char *)(piece + 1);
    *piece = (struct out_piece){.p = p, .n = n, .fd = -1, .release = free, .arg = piece};
    p = put(p, (cs_str){head, nhead});
    if (data.n)
        p = put(p, data);
    if (tail.n)
        put(p, tail);
    r->out.head += nhead + tail.n;
    out_add(&r->out, piece);
}

int pieces_put(struct request *r, cs_str data, bool last)
{
    r->body_sent += data.n;
    if ((data.n || last) && !r->no_body)
        queue_copy(r, data, last);
    if (last) {
        respond_complete(r);
        return CS_OK;
    }
    conn_wake(r->conn);
    return r->out.queued >= PIECES_HIGH_WATER ? CS_AGAIN : CS_OK;
}

int pieces_send(struct request *r, cs_str data, bool last)
{
    if (!r->answered || r->complete)
        return CS_ERROR;
    if (r->conn->broken || r->conn->closed)
        return CS_CLOSED;
    if (r->filter && !r->no_body)
        return filter_send(r, data, last);
    if (r->promised >= 0 && r->body_sent + data.n > (uint64_t)r->promised) {
        request_log(r, CS_ERR, NULL, "more body than the %lld bytes announced",
                    (long long)r->promised);
        respond_abort(r);
        return CS_ERROR;
    }
    if (last && r->promised >= 0 && r->body_sent + data.n < (uint64_t)r->promised && !r->no_body) {
        request_log(r, CS_ERR, NULL, "less body than the %lld bytes announced; closing",
                    (long long)r->promised);
        pieces_put(r, data, false);
        respond_abort(r);
        return CS_ERROR;
    }
    return pieces_put(r, data, last);
}
