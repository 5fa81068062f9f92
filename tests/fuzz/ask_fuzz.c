/* ask_fuzz.c - any bytes as the parts of a request that is sent: a byte for the body, then, each up to a byte 0xff, method,
 * target, host, and names and values of fields. What is written is read back as it was meant; what is refused for its bytes
 * could not have been. */
#include "http/ask.h"
#include "http/head.h"

#include "input.h"

#define MAX_FIELDS 6

static cs_str next_part(cs_str *in)
{
    const char *end = in->n ? memchr(in->p, 0xff, in->n) : NULL;
    cs_str part = {in->p, end ? (size_t)(end - in->p) : in->n};
    size_t used = end ? part.n + 1 : part.n;
    *in = (cs_str){in->p + used, in->n - used};
    return part;
}

static void read_parts(struct http_ask *a, struct http_header *fields, cs_str in)
{
    static const int64_t lengths[] = {0, 1, HTTP_ASK_CHUNKED, INT64_MAX};
    *a = (struct http_ask){.fields = fields, .body_len = lengths[input_byte(&in) % 4]};
    a->method = next_part(&in);
    a->target = next_part(&in);
    a->host = next_part(&in);
    for (; in.n && a->nfields < MAX_FIELDS; a->nfields++) {
        cs_str name = next_part(&in);
        fields[a->nfields] = (struct http_header){name, next_part(&in), HTTP_FIELD_OTHER};
    }
}

/* The same without a look at what it is. */
static void write_blindly(const struct http_ask *a, struct buf *b)
{
    buf_add_str(b, a->method);
    buf_add_z(b, !a->target.n || a->target.p[0] == '?' ? " /" : " ");
    buf_add_str(b, a->target);
    buf_add_z(b, " HTTP/1.1\r\nHost: ");
    buf_add_str(b, a->host);
    for (size_t i = 0; i < a->nfields; i++) {
        buf_add_z(b, "\r\n");
        buf_add_str(b, a->fields[i].name);
        buf_add_z(b, ": ");
        buf_add_str(b, a->fields[i].value);
    }
    buf_add_z(b, "\r\n\r\n");
}

static bool is_target(const struct http_ask *a, cs_str target)
{
    bool slash = !a->target.n || a->target.p[0] == '?';
    return target.n == a->target.n + slash && (!slash || target.p[0] == '/') &&
           str_eq(a->target, (cs_str){target.p + slash, target.n - slash});
}

/* Is it one head, and the one that was meant, with nothing but `more` fields behind it? */
static bool is_meant(const struct http_ask *a, cs_str bytes, struct http_head *h, size_t more)
{
    struct http_limits lim = {SIZE_MAX, SIZE_MAX, MAX_FIELDS + 2};
    if (http_head_parse(h, bytes.p, bytes.n, &lim) != (long)bytes.n)
        return false;
    bool same = str_eq(h->method_text, a->method) && is_target(a, h->target) &&
                h->nheaders == 1 + a->nfields + more && str_eq(h->headers[0].name, CS_S("Host")) &&
                str_eq(h->headers[0].value, a->host);
    for (size_t i = 0; same && i < a->nfields; i++)
        same = str_eq(h->headers[i + 1].name, a->fields[i].name) &&
               str_eq(h->headers[i + 1].value, str_trim(a->fields[i].value));
    return same;
}

static bool is_told(const struct http_ask *a)
{
    return a->body_len != 0 || str_is(a->method, "POST") || str_is(a->method, "PUT") ||
           str_is(a->method, "PATCH");
}

static void check_written(const struct http_ask *a, cs_str bytes, struct http_head *h)
{
    check(is_meant(a, bytes, h, is_told(a)) && h->keep_alive && !h->expect_continue);
    check(h->chunked == (a->body_len == HTTP_ASK_CHUNKED));
    check(h->content_length == (h->chunked || !is_told(a) ? -1 : a->body_len));
}

/* For its bytes, not because the server does not do that, or makes it itself. */
static bool is_for_bytes(const char *error)
{
    static const char *const sentences[] = {
        "the method is not a token",
        "the target has a blank, a #, a control byte or one outside of ASCII",
        "the host is not a host with an optional port",
        "the name of a field is not a token",
        "the value of a field has a line end or another control byte",
    };
    for (size_t i = 0; i < ARRAY_LEN(sentences); i++)
        if (strcmp(error, sentences[i]) == 0)
            return true;
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_header fields[MAX_FIELDS], read[MAX_FIELDS + 2];
    struct http_head h = {.headers = read, .headers_cap = ARRAY_LEN(read)};
    struct http_ask a;
    struct buf out = {0};
    const char *error = NULL;
    read_parts(&a, fields, input_of(data, size));
    int verdict = http_ask_write(&a, &out, &error);
    check(verdict == (error ? -1 : 0) && (verdict == 0 || out.n == 0));
    if (verdict == 0) {
        check_written(&a, buf_str(&out), &h);
    } else if (is_for_bytes(error)) {
        write_blindly(&a, &out);
        check(!is_meant(&a, buf_str(&out), &h, 0));
    }
    buf_free(&out);
    return 0;
}
