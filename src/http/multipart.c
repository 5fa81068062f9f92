#include "http/multipart.h"

static cs_str make_head(struct arena *a, cs_str boundary, cs_str type, struct http_range r,
                        uint64_t size)
{
    return arena_printf(a, "\r\n--%.*s\r\n%s%.*s%sContent-Range: bytes %llu-%llu/%llu\r\n\r\n",
                        CS_F(boundary), type.n ? "Content-Type: " : "", CS_F(type),
                        type.n ? "\r\n" : "", (unsigned long long)r.first,
                        (unsigned long long)r.last, (unsigned long long)size);
}

void http_multipart_make(struct http_multipart *m, struct arena *a, const struct http_range *r,
                         int n, uint64_t size, cs_str type, const uint64_t salt[2])
{
    cs_str boundary = arena_printf(a, "cserver-%016llx%016llx", (unsigned long long)salt[0],
                                   (unsigned long long)salt[1]);
    m->type = arena_printf(a, "multipart/byteranges; boundary=%.*s", CS_F(boundary));
    m->heads = arena_alloc(a, (size_t)n * sizeof *m->heads);
    m->tail = arena_printf(a, "\r\n--%.*s--\r\n", CS_F(boundary));
    m->len = m->tail.n;
    for (int i = 0; i < n; i++) {
        m->heads[i] = make_head(a, boundary, type, r[i], size);
        m->len += m->heads[i].n + r[i].last - r[i].first + 1;
    }
}
