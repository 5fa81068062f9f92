#include "http/method.h"

/* The length decides which names are left to compare. */
enum http_method http_method_of(cs_str token)
{
    switch (token.n) {
    case 3:
        if (memcmp(token.p, "GET", 3) == 0)
            return HTTP_GET;
        return memcmp(token.p, "PUT", 3) == 0 ? HTTP_PUT : HTTP_OTHER;
    case 4:
        if (memcmp(token.p, "HEAD", 4) == 0)
            return HTTP_HEAD;
        return memcmp(token.p, "POST", 4) == 0 ? HTTP_POST : HTTP_OTHER;
    case 5:
        if (memcmp(token.p, "PATCH", 5) == 0)
            return HTTP_PATCH;
        return memcmp(token.p, "TRACE", 5) == 0 ? HTTP_TRACE : HTTP_OTHER;
    case 6:
        return memcmp(token.p, "DELETE", 6) == 0 ? HTTP_DELETE : HTTP_OTHER;
    case 7:
        if (memcmp(token.p, "OPTIONS", 7) == 0)
            return HTTP_OPTIONS;
        return memcmp(token.p, "CONNECT", 7) == 0 ? HTTP_CONNECT : HTTP_OTHER;
    default:
        return HTTP_OTHER;
    }
}
