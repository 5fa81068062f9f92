/* upper.c - a body filter: the letters a-z of texts become A-Z on their way out. */
#include <cserver/cserver.h>

static _Bool is_text(cs_req *r)
{
    cs_str type = cs_response_header(r, "Content-Type");
    return cs_starts(type, "text/") && !cs_response_header(r, "Content-Encoding").p;
}

/* The length stays, but a file's is not known here. */
static int header_filter(cs_req *r)
{
    if (is_text(r))
        cs_filter_body(r, -1);
    return CS_OK;
}

/* Piece by piece, however large the answer is; all of it is taken, so a slow client is the server's affair. */
static int body_filter(cs_req *r, cs_str data, int last)
{
    char piece[4096];
    size_t n = 0;
    do {
        n = data.n < sizeof piece ? data.n : sizeof piece;
        for (size_t i = 0; i < n; i++)
            piece[i] = (char)(data.p[i] >= 'a' && data.p[i] <= 'z' ? data.p[i] - 32 : data.p[i]);
        data = (cs_str){data.p + n, data.n - n};
        int rc = cs_send(r, (cs_str){piece, n}, last && !data.n);
        if (rc < 0 && rc != CS_AGAIN)
            return rc;
    } while (data.n);
    return CS_OK;
}

static int explain(cs_req *r, int hook)
{
    return hook == CS_HOOK_HEADER_FILTER ? header_filter(r) : CS_DECLINED;
}

CS_MODULE(.name = "upper", .version = "1.0", .help = "Sends texts in capital letters.",
          .header_filter = header_filter, .body_filter = body_filter, .explain = explain);
