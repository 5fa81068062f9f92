/* mirror.c - a module for tests: says what the server understood of a request, in one field of the answer, as hex:
 * X-Mirror: METHOD TARGET HOST BODY */
#include <cserver/cserver.h>

static char *hex(char *to, cs_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        *to++ = "0123456789abcdef"[(unsigned char)s.p[i] >> 4];
        *to++ = "0123456789abcdef"[s.p[i] & 15];
    }
    *to++ = '.';
    return to;
}

static int handler(cs_req *r)
{
    const cs_req_info *q = cs_info(r);
    cs_str parts[] = {q->method, q->target, q->host, cs_body(r)};
    char *text = cs_alloc(r, 2 * (parts[0].n + parts[1].n + parts[2].n + parts[3].n) + 5);
    if (!text)
        return CS_NOMEM;
    char *end = text;
    for (int i = 0; i < 4; i++)
        end = hex(end, parts[i]);
    *end = 0;
    cs_set_header(r, "X-Mirror", text);
    return cs_textf(r, 200, "%s", "");
}

CS_MODULE(.name = "mirror", .version = "1.0", .help = "Says what it was asked.",
          .handler = handler);
