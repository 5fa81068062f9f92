#include "http/url.h"

#include "base/check.h"
#include "http/uri.h"

static int refuse(const char **error, const char *sentence)
{
    *error = sentence;
    return -1;
}

static const struct scheme {
    cs_str start;
    int port;
    bool tls;
} schemes[] = {{{"http://", 7}, 80, false}, {{"https://", 8}, 443, true}};

static const struct scheme *scheme_of(cs_str text)
{
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
        cs_str start = schemes[i].start;
        if (text.n >= start.n && str_eq_nocase((cs_str){text.p, start.n}, start))
            return &schemes[i];
    }
    return NULL;
}

/* Up to the first of the bytes in `ends`, or all. */
static cs_str cut_before(cs_str s, const char *ends)
{
    size_t n = 0;
    while (n < s.n && !strchr(ends, s.p[n]))
        n++;
    return (cs_str){s.p, n};
}

static cs_str behind(cs_str s, size_t n)
{
    return (cs_str){s.p + n, s.n - n};
}

static bool is_visible(cs_str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] > '~')
            return false;
    return true;
}

/* A host to be looked up: http_host_split knows the bytes, but it also takes escapes, which have no meaning in the DNS. */
static int read_authority(struct http_url *u, cs_str authority, const char **error)
{
    int port;
    if (authority.n && memchr(authority.p, '@', authority.n))
        return refuse(error, "has a user name");
    if (authority.n && memchr(authority.p, '%', authority.n))
        return refuse(error, "has a % in its host");
    if (!http_host_split(authority, &u->host, &port))
        return refuse(error, "has no valid host and port");
    if (u->host.n == 0)
        return refuse(error, "has no host");
    if (port == 0)
        return refuse(error, "has port 0");
    if (port > 0)
        u->port = port;
    u->authority = port > 0 ? authority : u->host;
    u->is_v6 = u->host.p[0] == '[';
    if (u->is_v6)
        u->host = (cs_str){u->host.p + 1, u->host.n - 2};
    return 0;
}

int http_url_parse(struct http_url *u, cs_str text, const char **error)
{
    const struct scheme *scheme = scheme_of(text);
    if (!is_visible(text))
        return refuse(error, "has a blank, a control byte or one outside of ASCII");
    if (!scheme)
        return refuse(error, "does not begin with http://");
    cs_str rest = behind(text, scheme->start.n), authority = cut_before(rest, "/?#");
    *u = (struct http_url){.port = scheme->port, .tls = scheme->tls};
    u->target = cut_before(behind(rest, authority.n), "#");
    return read_authority(u, authority, error);
}
