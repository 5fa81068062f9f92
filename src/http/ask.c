/* ask.c - see ask.h. First all is looked at, then all is written. */
#include "http/ask.h"

#include "base/check.h"
#include "base/digits.h"
#include "http/method.h"
#include "http/scan.h"
#include "http/token.h"
#include "http/uri.h"

static int refuse(const char **error, const char *sentence)
{
    *error = sentence;
    return -1;
}

/* ---- What is refused ---- */

static int check_start(const struct http_ask *a, const char **error)
{
    bool bodiless = str_is(a->method, "TRACE");
    if (!http_is_token(a->method))
        return refuse(error, "the method is not a token");
    if (str_is(a->method, "CONNECT"))
        return refuse(error, "CONNECT asks for a tunnel, and there is none");
    if (bodiless && a->body_len != 0)
        return refuse(error, "TRACE has no body");
    return 0;
}

static int check_target(const struct http_ask *a, const char **error)
{
    cs_str t = a->target;
    if (t.n && scan_now->target(t.p, 0, t.n) < t.n)
        return refuse(error, "the target has a blank, a #, a control byte or one outside of ASCII");
    if (!t.n || t.p[0] == '/' || t.p[0] == '?')
        return 0;
    if (!str_is(t, "*"))
        return refuse(error, "the target does not begin with /");
    return str_is(a->method, "OPTIONS") ? 0 : refuse(error, "the target * is for OPTIONS only");
}

static int check_host(const struct http_ask *a, const char **error)
{
    cs_str host;
    int port;
    if (!a->host.n)
        return refuse(error, "there is no host");
    if (!http_host_split(a->host, &host, &port) || !host.n)
        return refuse(error, "the host is not a host with an optional port");
    return 0;
}

/* clang-format off */
static const struct {
    const char *name, *why;
} reserved[] = {
    {"Host", "the field Host is made from the URL"},
    {"Content-Length", "the field Content-Length is made from the body"},
    {"Transfer-Encoding", "the field Transfer-Encoding is made from the body"},
    {"Connection", "the field Connection is the server's: connections are kept for others"},
    {"Keep-Alive", "the field Keep-Alive is the server's: connections are kept for others"},
    {"Proxy-Connection", "the field Proxy-Connection is the server's: connections are kept for others"},
    {"TE", "the field TE asks for what is not read: trailers and other codings"},
    {"Trailer", "the field Trailer promises what is not sent: trailers"},
    {"Upgrade", "the field Upgrade asks for another protocol, and only HTTP/1.1 is spoken"},
    {"Expect", "the field Expect asks to wait before the body, and nobody does"},
};
/* clang-format on */

static int check_field(const struct http_header *f, const char **error)
{
    if (!http_is_token(f->name))
        return refuse(error, "the name of a field is not a token");
    if (f->value.n && !http_is_field_value(f->value))
        return refuse(error, "the value of a field has a line end or another control byte");
    for (size_t i = 0; i < ARRAY_LEN(reserved); i++)
        if (str_eq_nocase(f->name, str_of(reserved[i].name)))
            return refuse(error, reserved[i].why);
    return 0;
}

static int check_all(const struct http_ask *a, const char **error)
{
    check(a->body_len >= HTTP_ASK_CHUNKED);
    if (check_start(a, error) < 0 || check_target(a, error) < 0 || check_host(a, error) < 0)
        return -1;
    for (size_t i = 0; i < a->nfields; i++)
        if (check_field(&a->fields[i], error) < 0)
            return -1;
    return 0;
}

/* ---- What is written ---- */

static void add_field(struct buf *out, cs_str name, cs_str value)
{
    buf_add_str(out, name);
    buf_add(out, ": ", 2);
    buf_add_str(out, value);
    buf_add(out, "\r\n", 2);
}

static void add_start(const struct http_ask *a, struct buf *out)
{
    buf_add_str(out, a->method);
    buf_add_char(out, ' ');
    if (!a->target.n || a->target.p[0] == '?')
        buf_add_char(out, '/');
    buf_add_str(out, a->target);
    buf_add_z(out, " HTTP/1.1\r\n");
    add_field(out, CS_S("Host"), a->host);
}

/* An empty body is told where one is expected (RFC 9110 section 8.6). */
static bool says_empty(cs_str method)
{
    enum http_method m = http_method_of(method);
    return m == HTTP_POST || m == HTTP_PUT || m == HTTP_PATCH;
}

static void add_framing(const struct http_ask *a, struct buf *out)
{
    char digits[DIGITS_MAX];
    if (a->body_len == HTTP_ASK_CHUNKED) {
        add_field(out, CS_S("Transfer-Encoding"), CS_S("chunked"));
    } else if (a->body_len > 0 || says_empty(a->method)) {
        size_t n = (size_t)(digits_put(digits, (uint64_t)a->body_len) - digits);
        add_field(out, CS_S("Content-Length"), (cs_str){digits, n});
    }
    buf_add(out, "\r\n", 2);
}

int http_ask_write(const struct http_ask *a, struct buf *out, const char **error)
{
    if (check_all(a, error) < 0)
        return -1;
    add_start(a, out);
    for (size_t i = 0; i < a->nfields; i++)
        add_field(out, a->fields[i].name, str_trim(a->fields[i].value));
    add_framing(a, out);
    return 0;
}
