/* echo.c - sends the body of a request back while it still arrives, at the pace of the slower side.
 *
 *   piece --> on_data --> cs_send: OK ---------------> taken, next piece
 *                             \--- AGAIN -> full ----> taken, but the next piece finds `full` and
 *                                                      stays with the server (on_data: CS_AGAIN)
 *   on_drained: full = 0, and the piece that was turned away is asked for again.
 *
 * A piece is sent exactly when on_data returns CS_OK for it, so none is lost and none doubled. */
#include <cserver/cserver.h>

struct echo {
    _Bool started; /* the head of the answer is out */
    _Bool full;    /* the client is slow: on_drained has not come yet */
    _Bool done;    /* all of the answer has been handed over */
};

static void on_drained(cs_req *r, void *arg)
{
    ((struct echo *)arg)->full = 0;
    cs_body_resume(r);
}

/* What a stranger sent must not run in somebody's browser. */
static void set_headers(cs_req *r)
{
    cs_set_header(r, "X-Content-Type-Options", "nosniff");
    cs_set_header(r, "Cache-Control", "no-store");
}

/* With the first piece, not in the handler: until then the server can still say "100 Continue" or refuse a broken body. */
static int begin(cs_req *r, struct echo *e)
{
    cs_str type = cs_format(r, "%.*s", CS_F(cs_header(r, "Content-Type")));
    e->started = 1;
    set_headers(r);
    return cs_start(r, 200, type.n ? type.p : "application/octet-stream", cs_info(r)->body_len);
}

static int on_data(cs_req *r, cs_str data, int last, void *arg)
{
    struct echo *e = arg;
    if (e->full)
        return CS_AGAIN;
    int rc = e->started ? CS_OK : begin(r, e);
    if (rc == CS_OK && (data.n || last))
        rc = cs_send(r, data, last);
    e->done = last && (rc == CS_OK || rc == CS_AGAIN);
    if (e->done || rc != CS_AGAIN)
        return e->done ? CS_OK : rc;
    e->full = 1;
    return cs_on_drain(r, on_drained, e);
}

static int describe(cs_req *r)
{
    const cs_req_info *q = cs_info(r);
    set_headers(r);
    return cs_textf(r, 200,
                    "method  %.*s\ntarget  %.*s\npath    %.*s\nquery   %.*s\nhost    %.*s\n"
                    "http    %d.%d\nclient  %.*s\nid      %.*s\nsite    %.*s\nroute   %.*s\n",
                    CS_F(q->method), CS_F(q->target), CS_F(q->path), CS_F(q->query), CS_F(q->host),
                    q->http / 10, q->http % 10, CS_F(q->client), CS_F(q->id), CS_F(q->site),
                    CS_F(q->route));
}

static int handler(cs_req *r)
{
    if (cs_info(r)->body_len == 0 && (cs_is(r, "GET") || cs_is(r, "HEAD")))
        return describe(r);
    struct echo *e = cs_alloc(r, sizeof *e);
    int rc = e ? cs_body_stream(r, on_data, e) : CS_NOMEM;
    return rc != CS_OK ? rc : e->done ? CS_OK : CS_PENDING;
}

CS_MODULE(.name = "echo", .version = "1.0", .flags = CS_BODY_STREAM,
          .help = "Sends the body of a request back as it arrives.", .handler = handler);
