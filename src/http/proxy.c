#include "http/proxy.h"

#define V1_MAX  107 /* with its CR LF */
#define V2_HEAD 16
#define V2_V4   12
#define V2_V6   36

static const char signature[12] = "\r\n\r\n\0\r\nQUIT\n";

static long refuse(const char **error, const char *why)
{
    *error = why;
    return -1;
}

/* Does `in` begin with it, as far as it goes? */
static bool may_be(cs_str in, cs_str what)
{
    size_t n = in.n < what.n ? in.n : what.n;
    return memcmp(in.p, what.p, n) == 0;
}

/* ---- Version 1: a line of text ---- */

static bool read_port(cs_str text, uint16_t *out)
{
    uint64_t n;
    if (!str_to_u64(text, UINT16_MAX, &n) || (text.n > 1 && text.p[0] == '0'))
        return false;
    *out = (uint16_t)n;
    return true;
}

static bool read_addr(cs_str text, bool v6, struct cidr_addr *out)
{
    return (memchr(text.p, ':', text.n) != NULL) == v6 && cidr_addr_parse(text, out);
}

static bool read_words(cs_str line, struct http_proxy *out)
{
    cs_str word[5] = {{0}};
    size_t n = 0;
    while (n < 5 && str_split(&line, ' ', &word[n]))
        n++;
    bool v6 = str_is(word[0], "TCP6");
    if (n < 5 || line.p || (!v6 && !str_is(word[0], "TCP4")))
        return false;
    out->kind = HTTP_PROXY_IP;
    return word[1].n && word[2].n && read_addr(word[1], v6, &out->client) &&
           read_addr(word[2], v6, &out->server) && read_port(word[3], &out->client_port) &&
           read_port(word[4], &out->server_port);
}

static long parse_line(cs_str in, struct http_proxy *out, const char **error)
{
    cs_str seen = {in.p, in.n < V1_MAX ? in.n : V1_MAX};
    const char *end = memchr(seen.p, '\n', seen.n);
    if (!end)
        return in.n < V1_MAX ? 0 : refuse(error, "the PROXY line does not end within 107 bytes");
    size_t n = (size_t)(end - in.p);
    if (n < 6 || in.p[n - 1] != '\r')
        return refuse(error, "the PROXY line does not end with CR LF");
    cs_str line = {in.p + 6, n >= 7 ? n - 7 : 0};
    if (str_is(line, "UNKNOWN") || str_starts(line, CS_S("UNKNOWN ")))
        out->kind = HTTP_PROXY_OTHER;
    else if (!read_words(line, out))
        return refuse(error, "the PROXY line is malformed");
    return (long)n + 1;
}

/* ---- Version 2: binary ---- */

static uint16_t number_at(const char *p)
{
    const unsigned char *u = (const unsigned char *)p;
    return (uint16_t)(u[0] << 8 | u[1]);
}

static void addr_at(const char *p, bool v6, struct cidr_addr *out)
{
    *out = (struct cidr_addr){.byte = {[10] = 0xff, [11] = 0xff}};
    memcpy(v6 ? out->byte : out->byte + 12, p, v6 ? 16 : 4);
}

static void read_block(const char *p, bool v6, struct http_proxy *out)
{
    size_t size = v6 ? 16 : 4;
    out->kind = HTTP_PROXY_IP;
    addr_at(p, v6, &out->client);
    addr_at(p + size, v6, &out->server);
    out->client_port = number_at(p + 2 * size);
    out->server_port = number_at(p + 2 * size + 2);
}

static long parse_binary(cs_str in, struct http_proxy *out, const char **error)
{
    if (in.n < V2_HEAD)
        return 0;
    unsigned command = (unsigned char)in.p[12], family = (unsigned char)in.p[13];
    size_t n = number_at(in.p + 14);
    bool v6 = family >> 4 == 2;
    if (command >> 4 != 2 || (command & 15) > 1 || family >> 4 > 3 || (family & 15) > 2)
        return refuse(error, "the PROXY header has an unknown version, command or family");
    if (V2_HEAD + n > HTTP_PROXY_MAX)
        return refuse(error, "the PROXY header is too long");
    bool ip = (family >> 4 == 1 || v6) && (family & 15) == 1;
    if ((command & 15) == 1 && ip && n < (v6 ? V2_V6 : V2_V4))
        return refuse(error, "the PROXY header is too short for its addresses");
    if (in.n < V2_HEAD + n)
        return 0;
    out->kind = (command & 15) == 0 ? HTTP_PROXY_LOCAL : HTTP_PROXY_OTHER;
    if (out->kind != HTTP_PROXY_LOCAL && ip)
        read_block(in.p + V2_HEAD, v6, out);
    return (long)(V2_HEAD + n);
}

long http_proxy_parse(cs_str in, struct http_proxy *out, const char **error)
{
    cs_str binary = {signature, sizeof signature}, line = CS_S("PROXY ");
    *out = (struct http_proxy){.kind = HTTP_PROXY_OTHER};
    if (in.n == 0)
        return 0;
    if (may_be(in, binary))
        return in.n < binary.n ? 0 : parse_binary(in, out, error);
    if (may_be(in, line))
        return in.n < line.n ? 0 : parse_line(in, out, error);
    return refuse(error, "the connection does not begin with a PROXY header");
}
