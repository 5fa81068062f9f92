/* host.c - see host.h. */
#include "net/host.h"

#include "base/check.h"

#include <arpa/inet.h>

#define NAME_MOST 253 /* RFC 1035 section 2.3.4, as text */

const char *host_error_text(enum host_error e)
{
    static const char *const texts[] = {
        [HOST_FOUND] = "it was found",
        [HOST_BAD] = "this is no name of a host",
        [HOST_NONE] = "there is no such host",
        [HOST_SILENT] = "the name servers do not answer",
        [HOST_FAILED] = "the name servers could not tell",
        [HOST_BUSY] = "too many names are being looked up",
    };
    check((size_t)e < ARRAY_LEN(texts));
    return texts[e];
}

/* As inet_pton wants it; most names are sorted out by one look. */
static bool to_number(int family, cs_str text, void *out)
{
    char z[INET6_ADDRSTRLEN];
    if (text.n == 0 || text.n >= sizeof z || memchr(text.p, '\0', text.n))
        return false;
    memcpy(z, text.p, text.n);
    z[text.n] = '\0';
    return inet_pton(family, z, out) == 1;
}

bool host_addr_parse(cs_str text, union host_addr *out)
{
    memset(out, 0, sizeof *out);
    if (text.n && memchr(text.p, ':', text.n)) {
        bool brackets = text.n > 2 && text.p[0] == '[' && text.p[text.n - 1] == ']';
        cs_str inside = brackets ? (cs_str){text.p + 1, text.n - 2} : text;
        out->v6.sin6_family = AF_INET6;
        return to_number(AF_INET6, inside, &out->v6.sin6_addr);
    }
    out->v4.sin_family = AF_INET;
    return text.n && text.p[text.n - 1] >= '0' && text.p[text.n - 1] <= '9' &&
           to_number(AF_INET, text, &out->v4.sin_addr);
}

socklen_t host_addr_put(const union host_addr *a, uint16_t port, struct sockaddr_storage *to)
{
    bool v6 = a->any.sa_family == AF_INET6;
    union host_addr copy = *a;
    socklen_t len = v6 ? sizeof copy.v6 : sizeof copy.v4;
    if (v6)
        copy.v6.sin6_port = htons(port);
    else
        copy.v4.sin_port = htons(port);
    memcpy(to, &copy, len);
    return len;
}

static bool may_be_in_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

size_t host_name_put(cs_str name, char out[HOST_ROOM])
{
    size_t most = name.n && name.p[name.n - 1] == '.' ? NAME_MOST + 1 : NAME_MOST;
    char before = '.'; /* so the first one is none */
    if (name.n > most)
        return 0;
    for (size_t i = 0; i < name.n; before = out[i++]) {
        out[i] = str_lower_char(name.p[i]);
        if (!may_be_in_name(out[i]) || (out[i] == '.' && before == '.'))
            return 0;
    }
    out[name.n] = '\0';
    return name.n;
}
