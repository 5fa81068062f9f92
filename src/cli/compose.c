/* compose.c - the head that a client would send, put together from a URL; and where it comes to. */
#include "cli/explain.h"

#include "base/cidr.h"
#include "base/json.h"
#include "http/uri.h"
#include "proc/client.h"

#include <arpa/inet.h>
#include <netinet/in.h>

/* What a URL says. */
struct address {
    cs_str method, authority, target; /* authority: n 0 = not given */
    cs_str host;
    int port;   /* -1: not given */
    bool https; /* and there is a scheme */
    bool http;
};

/* ---- The URL ---- */

static cs_str behind(cs_str s, size_t n)
{
    return (cs_str){s.p + n, s.n - n};
}

static cs_str until(cs_str s, const char *any)
{
    size_t n = 0;

    while (n < s.n && !strchr(any, s.p[n]))
        n++;
    return (cs_str){s.p, n};
}

static bool is_method(cs_str word)
{
    for (size_t i = 0; i < word.n; i++)
        if (!((word.p[i] >= 'A' && word.p[i] <= 'Z') || word.p[i] == '-' || word.p[i] == '_'))
            return false;
    return word.n > 0;
}

static int split_authority(struct address *out, struct buf *error)
{
    if (!out->authority.n || http_host_split(out->authority, &out->host, &out->port))
        return 0;
    buf_printf(error, "\"%.*s\" is no host and port%s", CS_F(out->authority),
               memchr(out->authority.p, ' ', out->authority.n)
                   ? "; a request is METHOD URL, with the method in capital letters"
                   : "");
    return -1;
}

/* As it stands in a log: a URL has no blank. */
static cs_str without_version(cs_str text)
{
    static const char *const versions[] = {" HTTP/1.1", " HTTP/1.0", " HTTP/2.0"};

    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
        const cs_str v = str_of(versions[i]);

        if (text.n > v.n && str_eq((cs_str){text.p + text.n - v.n, v.n}, v))
            return (cs_str){text.p, text.n - v.n};
    }
    return text;
}

static int parse(cs_str text, struct address *out, struct arena *a, struct buf *error)
{
    cs_str word;

    text = without_version(text);
    word = until(text, " ");
    *out = (struct address){.method = CS_S("GET"), .port = -1};
    if (word.n < text.n && is_method(word)) {
        out->method = word;
        text = behind(text, word.n + 1);
    }
    out->https = str_starts(text, CS_S("https://"));
    out->http = str_starts(text, CS_S("http://"));
    if (out->https || out->http)
        text = behind(text, out->https ? 8 : 7);
    if (out->https || out->http || (text.n && text.p[0] != '/' && text.p[0] != '*'))
        out->authority = until(text, "/?");
    text = behind(text, out->authority.n);
    out->target = !text.n            ? CS_S("/")
                  : text.p[0] == '?' ? arena_printf(a, "/%.*s", CS_F(text))
                                     : text;
    if (!out->authority.n && !text.n) {
        buf_add_z(error, "explain needs a URL, such as http://example.com/users/7 or /users/7");
        return -1;
    }
    return split_authority(out, error);
}

/* Nobody could send these: they would be other requests. */
static bool has_control(cs_str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < ' ' && s.p[i] != '\t')
            return true;
    return false;
}

/* ---- The head ---- */

static int add_header(cs_str h, bool *host, struct buf *head, struct buf *error)
{
    cs_str name = until(h, ":");

    if (name.n == h.n || !name.n || has_control(h)) {
        buf_printf(error, "\"%.*s\" is no header field: write it as 'Name: value'", CS_F(h));
        return -1;
    }
    *host = *host || str_eq_nocase(name, CS_S("Host"));
    buf_printf(head, "%.*s\r\n", CS_F(h));
    return 0;
}

static int write_head(const struct explain_wish *w, const struct address *u, struct buf *head,
                      struct buf *error)
{
    bool host = false;

    if (has_control(w->request)) {
        buf_add_z(error, "a request has no control bytes in its URL: write them as %0D and so on");
        return -1;
    }
    buf_printf(head, "%.*s %.*s HTTP/1.1\r\n", CS_F(u->method), CS_F(u->target));
    for (size_t i = 0; i < w->nheaders; i++)
        if (add_header(w->headers[i], &host, head, error) < 0)
            return -1;
    if (!host)
        buf_printf(head, "Host: %.*s\r\n", CS_F(u->authority.n ? u->authority : CS_S("localhost")));
    buf_add_z(head, "\r\n");
    return 0;
}

/* ---- The listener ---- */

static int port_of(cs_str address)
{
    struct sock_addr a;
    const char *error;

    if (!sock_addr_parse(address, &a, &error))
        return -1;
    if (a.u.sa.sa_family == AF_INET)
        return ntohs(((const struct sockaddr_in *)(const void *)&a.u)->sin_port);
    if (a.u.sa.sa_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)(const void *)&a.u)->sin6_port);
    return -1;
}

static bool has_port(const struct conf_listen *l, int port)
{
    for (size_t i = 0; i < l->address.n; i++)
        if (port_of(l->address.v[i]) == port)
            return true;
    return false;
}

static bool is_unix(const struct conf_listen *l)
{
    return l->address.n && str_starts(l->address.v[0], CS_S("unix:"));
}

static bool listens_on(const struct conf_site *s, const struct conf_listen *l)
{
    for (size_t i = 0; i < s->listen.n; i++)
        if (str_eq(s->listen.v[i], l->head.label))
            return true;
    return s->listen.n == 0;
}

/* The site names the host itself. */
static bool names(const struct conf *conf, const struct conf_listen *l, cs_str host)
{
    for (size_t i = 0; i < conf->nsites; i++)
        for (size_t k = 0; k < conf->sites[i].host.n; k++)
            if (str_eq_nocase(conf->sites[i].host.v[k], host) && listens_on(&conf->sites[i], l))
                return true;
    return false;
}

static int find_label(const struct conf *conf, cs_str label, unsigned *out, struct buf *error)
{
    for (size_t i = 0; i < conf->nlistens; i++)
        if (str_eq(conf->listens[i].head.label, label)) {
            *out = (unsigned)i;
            return 0;
        }
    buf_printf(error, "there is no [listen:%.*s]; there is", CS_F(label));
    for (size_t i = 0; i < conf->nlistens; i++)
        buf_printf(error, "%s [listen:%.*s]", i ? "," : "", CS_F(conf->listens[i].head.label));
    return -1;
}

static int choose(const struct explain_wish *w, const struct conf *conf, const struct address *u,
                  unsigned *out, const char **why, struct buf *error)
{
    int port = u->port >= 0 ? u->port : u->https ? 443 : u->http ? 80 : -1;

    *out = 0;
    *why = "by --listen";
    if (w->listen.n)
        return find_label(conf, w->listen, out, error);
    *why = "by its port";
    for (size_t i = 0; i < conf->nlistens && port >= 0; i++)
        if (has_port(&conf->listens[i], port)) {
            *out = (unsigned)i;
            return 0;
        }
    *why = "the first with a site of that name; no listener has the port of the URL";
    for (size_t i = 0; i < conf->nlistens && u->host.n; i++)
        if (names(conf, &conf->listens[i], u->host)) {
            *out = (unsigned)i;
            return 0;
        }
    *why = port >= 0 ? "the first; none has the port of the URL" : "the first";
    return 0;
}

/* ---- The client ---- */

static int set_peer(const struct explain_wish *w, bool by_unix, struct explain_ask *out,
                    struct buf *error)
{
    cs_str text = w->client.n ? w->client : by_unix ? CS_S("unix:") : CS_S("127.0.0.1");
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(40000)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(40000)};
    struct cidr_addr parsed;
    char z[64];

    out->peer_len = 0;
    if (str_is(text, "unix:"))
        return 0;
    if (!cidr_addr_parse(text, &parsed) || text.n >= sizeof z) {
        buf_printf(error, "client: \"%.*s\" is no address, such as 192.0.2.1 or 2001:db8::1",
                   CS_F(text));
        return -1;
    }
    memcpy(z, text.p, text.n);
    z[text.n] = '\0';
    if (inet_pton(AF_INET, z, &in.sin_addr) == 1) {
        memcpy(&out->peer, &in, sizeof in);
        out->peer_len = sizeof in;
        return 0;
    }
    memcpy(&in6.sin6_addr, parsed.byte, sizeof parsed.byte);
    memcpy(&out->peer, &in6, sizeof in6);
    out->peer_len = sizeof in6;
    return 0;
}

int explain_compose(const struct explain_wish *w, const struct conf *conf, struct arena *a,
                    struct explain_ask *out, const char **why, struct buf *error)
{
    struct address u;
    struct buf head = {0};
    int rc = -1;

    *out = (struct explain_ask){.user = w->user};
    if (!conf->nlistens)
        buf_add_z(error, "there is no [listen:...]: nobody could send a request");
    else if (parse(w->request, &u, a, error) == 0 &&
             choose(w, conf, &u, &out->section, why, error) == 0 &&
             set_peer(w, is_unix(&conf->listens[out->section]), out, error) == 0)
        rc = write_head(w, &u, &head, error);
    out->head = arena_dup(a, buf_str(&head));
    buf_free(&head);
    return rc;
}

/* ---- A line of standard input ---- */

static cs_str unescaped(cs_str inside, struct arena *a)
{
    struct buf text = {0};
    cs_str copy = {"", 0};

    if (json_unescape(&text, inside))
        copy = arena_dup(a, buf_str(&text));
    buf_free(&text);
    return copy;
}

static void take_headers(cs_str list, struct arena *a, struct explain_wish *out)
{
    size_t most = 0;
    cs_str *v, element;

    for (size_t i = 0; i < list.n; i++)
        most += list.p[i] == '"';
    v = arena_alloc(a, (most + 1) * sizeof *v);
    while (out->nheaders < most && client_next(&list, &element))
        v[out->nheaders++] = unescaped(element, a);
    out->headers = v;
}

int explain_line(cs_str line, struct arena *a, struct explain_wish *out, struct buf *error)
{
    cs_str value;

    *out = (struct explain_wish){.request = line};
    if (!line.n || line.p[0] != '{')
        return 0;
    out->request = (cs_str){"", 0};
    if (json_find(line, "request", &value))
        out->request = unescaped(value, a);
    if (json_find(line, "client", &value))
        out->client = unescaped(value, a);
    if (json_find(line, "listen", &value))
        out->listen = unescaped(value, a);
    if (json_find(line, "user", &value))
        out->user = unescaped(value, a);
    if (json_find(line, "headers", &value)) {
        if (value.n && value.p[0] != '[') {
            buf_add_z(error, "\"headers\" is an array, such as [\"X-Beta: yes\"]");
            return -1;
        }
        take_headers(value, a, out);
    }
    if (out->request.n)
        return 0;
    buf_add_z(error,
              "the line has no \"request\", such as {\"request\": \"GET http://example.com/\"}");
    return -1;
}
