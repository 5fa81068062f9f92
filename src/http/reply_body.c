#include "http/reply_body.h"

/* What it ends with. */
enum {
    NOTHING, /* it is over with the head */
    LENGTH,
    CHUNKS,
    CLOSE
};

static int end_of(const struct http_reply *r, bool to_head)
{
    if (to_head || r->status < 200 || r->status == 204 || r->status == 304)
        return NOTHING;
    if (r->chunked)
        return CHUNKS;
    return r->content_length >= 0 ? LENGTH : CLOSE;
}

void http_reply_body_begin(struct http_reply_body *b, const struct http_reply *r, bool to_head)
{
    *b = (struct http_reply_body){.end = end_of(r, to_head), .keep = r->keep_alive, .length = -1};
    if (b->end == NOTHING)
        b->length = 0;
    if (b->end == LENGTH) {
        b->length = r->content_length;
        b->left = (uint64_t)b->length;
    }
}

static int next_chunk(struct http_reply_body *b, const char *in, size_t n, size_t *used,
                      cs_str *data)
{
    int verdict = http_chunked_next(&b->chunked, in, n, used, data);
    b->over = verdict == HTTP_CHUNKED_DONE;
    b->error = b->chunked.error;
    return verdict;
}

/* Up to `most` bytes as they are. */
static int take(const char *in, size_t n, uint64_t most, size_t *used, cs_str *data)
{
    *used = n < most ? n : (size_t)most;
    *data = (cs_str){in, *used};
    return *used > 0 ? HTTP_CHUNKED_DATA : HTTP_CHUNKED_MORE;
}

int http_reply_body_next(struct http_reply_body *b, const char *in, size_t n, size_t *used,
                         cs_str *data)
{
    int verdict;
    *used = 0;
    *data = (cs_str){NULL, 0};
    if (b->end == CHUNKS)
        return next_chunk(b, in, n, used, data);
    b->over = b->over || b->end == NOTHING || (b->end == LENGTH && b->left == 0);
    if (b->over)
        return HTTP_CHUNKED_DONE;
    verdict = take(in, n, b->end == LENGTH ? b->left : UINT64_MAX, used, data);
    if (b->end == LENGTH)
        b->left -= *used;
    return verdict;
}

int http_reply_body_end(struct http_reply_body *b)
{
    b->over = b->over || b->end == NOTHING || b->end == CLOSE || (b->end == LENGTH && b->left == 0);
    if (!b->over && !b->error)
        b->error = "the connection ended before the body was whole";
    return b->over ? 0 : -1;
}

bool http_reply_body_keeps(const struct http_reply_body *b)
{
    return b->keep && b->end != CLOSE && !b->error;
}
