/* uri.c - paths are decoded once, here; whoever decodes again opens the door to "%252e%252e".
 *
 * Most paths are clean already: one look at each byte while it is copied. The others go segment by
 * segment: decode, then see what the segment is, so that "%2e%2e" is the ".." it means. */
#include "http/uri.h"

#include "http/escape.h"
#include "http/scan.h"
#include "http/token.h"

#include <arpa/inet.h>

/* Decodes one segment (up to "/" or the end) from raw at *i to out; returns its length or -400. */
static long decode_segment(cs_str raw, size_t *i, char *out, const char **error)
{
    size_t n = 0;
    for (; *i < raw.n && raw.p[*i] != '/'; ++*i) {
        unsigned char c = (unsigned char)raw.p[*i];
        if (c == '%') {
            if (raw.n - *i < 3 || http_hex_value((unsigned char)raw.p[*i + 1]) < 0 ||
                http_hex_value((unsigned char)raw.p[*i + 2]) < 0) {
                *error = "the path has a % without two hex digits";
                return -400;
            }
            c = (unsigned char)(http_hex_value((unsigned char)raw.p[*i + 1]) * 16 +
                                http_hex_value((unsigned char)raw.p[*i + 2]));
            *i += 2;
            if (c == '/') {
                out[n++] = '%';
                out[n++] = '2';
                c = 'F';
            }
        }
        if (c < 0x20 || c == 0x7f) {
            *error = "the path has a control byte";
            return -400;
        }
        out[n++] = (char)c;
    }
    return (long)n;
}

/* `len` bytes of out end in "/": back to behind the slash before. -1 at the root. */
static long parent(const char *out, size_t len)
{
    if (len <= 1)
        return -1;
    do
        len--;
    while (out[len - 1] != '/');
    return (long)len;
}

static bool is_dots(const char *segment, long n, long dots)
{
    return n == dots && segment[0] == '.' && segment[n - 1] == '.';
}

/* The careful way. `len` counts the bytes of out, which always end in "/" when a segment begins. */
static long normalise(cs_str raw, char *out, const char **error)
{
    size_t i = 1, len = 1;
    out[0] = '/';
    while (i < raw.n) {
        long n = decode_segment(raw, &i, out + len, error);
        if (n < 0)
            return n;
        bool slash = i < raw.n;
        i += slash;
        if (n == 0 || is_dots(out + len, n, 1))
            continue;
        if (is_dots(out + len, n, 2)) {
            long up = parent(out, len);
            if (up < 0) {
                *error = "the path leads above the root";
                return -400;
            }
            len = (size_t)up;
            continue;
        }
        len += (size_t)n;
        if (slash)
            out[len++] = '/';
    }
    if (!str_is_utf8((cs_str){out, len})) {
        *error = "the path is not UTF-8";
        return -400;
    }
    return (long)len;
}

long http_path_normalise(cs_str raw, char *out, const char **error)
{
    if (raw.n == 0 || raw.p[0] != '/') {
        *error = "the path does not start with /";
        return -400;
    }
    long len = (long)raw.n;
    if (!scan_now->path(raw.p, raw.n, out))
        len = normalise(raw, out, error);
    if (len >= 0)
        out[len] = 0;
    return len;
}

size_t http_path_escape(cs_str path, char *out)
{
    return (size_t)http_escape(CS_ESCAPE_PATH, path, out);
}

static bool is_escape(cs_str s, size_t i)
{
    return s.n - i >= 3 && s.p[i] == '%' && http_hex_value((unsigned char)s.p[i + 1]) >= 0 &&
           http_hex_value((unsigned char)s.p[i + 2]) >= 0;
}

/* How far the name goes with which s begins: all that may be in one. */
static size_t reg_name_length(cs_str s)
{
    size_t i = scan_now->host(s.p, s.n);
    while (i < s.n && is_escape(s, i))
        i += 3 + scan_now->host(s.p + i + 3, s.n - i - 3);
    return i;
}

/* inet_pton knows the grammar of section 3.2.2 exactly; no zone, no IPvFuture. */
static bool is_v6(cs_str s)
{
    char z[INET6_ADDRSTRLEN];
    unsigned char address[16];
    if (s.n >= sizeof z || memchr(s.p, 0, s.n))
        return false;
    memcpy(z, s.p, s.n);
    z[s.n] = 0;
    return inet_pton(AF_INET6, z, address) == 1;
}

/* The same of an address in brackets; 0: it is none. */
static size_t v6_length(cs_str s)
{
    const char *end = memchr(s.p, ']', s.n);
    size_t n = end ? (size_t)(end - s.p) : 0;
    return end && is_v6((cs_str){s.p + 1, n - 1}) ? n + 1 : 0;
}

/* What stands behind the host: nothing, or ":" and digits, which may be missing. */
static bool read_port(cs_str s, int *port)
{
    uint64_t number;
    *port = -1;
    if (s.n <= 1)
        return s.n == 0 || s.p[0] == ':';
    if (s.p[0] != ':' || !str_to_u64((cs_str){s.p + 1, s.n - 1}, 65535, &number))
        return false;
    *port = (int)number;
    return true;
}

bool http_host_split(cs_str authority, cs_str *host, int *port)
{
    bool bracket = authority.n > 0 && authority.p[0] == '[';
    size_t n = bracket ? v6_length(authority) : reg_name_length(authority);
    *host = (cs_str){authority.p, n};
    if (n == authority.n) {
        *port = -1;
        return true;
    }
    return !(bracket && n == 0) && read_port((cs_str){authority.p + n, authority.n - n}, port);
}

static cs_str short_v6(cs_str host, char *out)
{
    char z[HTTP_V6_MAX];
    unsigned char address[16];
    if (host.n < 2 || host.n - 2 >= sizeof z)
        return host;
    memcpy(z, host.p + 1, host.n - 2);
    z[host.n - 2] = 0;
    if (inet_pton(AF_INET6, z, address) != 1)
        return host;
    out[0] = '[';
    inet_ntop(AF_INET6, address, out + 1, HTTP_V6_MAX - 2);
    size_t n = strlen(out);
    out[n] = ']';
    return (cs_str){out, n + 1};
}

cs_str http_host_normalise(cs_str host, char *out)
{
    if (host.n && host.p[0] == '[')
        return short_v6(host, out);
    host.n -= host.n && host.p[host.n - 1] == '.';
    size_t i = 0;
    while (i < host.n && str_lower_char(host.p[i]) == host.p[i])
        i++;
    if (i == host.n)
        return host;
    for (i = 0; i < host.n; i++)
        out[i] = str_lower_char(host.p[i]);
    return (cs_str){out, host.n};
}
