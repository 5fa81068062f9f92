/* reply.c - see reply.h. The status line, then field lines: many at once where nothing is odd, else one by one. */
#include "http/reply.h"

#include "base/check.h"
#include "http/scan.h"
#include "http/token.h"

/* What a part returns, besides -1 and the length of the whole head. */
enum {
    MORE = 0,
    NEXT = 1
};

#define STATUS_SIZE 12 /* "HTTP/1.1 200" */

static int refuse(struct http_reply *r, const char *sentence)
{
    r->error = sentence;
    return -1;
}

/* ---- The status line ---- */

static const char *wrong_start(char c, size_t at)
{
    if (c == '\n')
        return "a line ends with LF instead of CRLF";
    if (c == '\r' && at == 0)
        return "an empty line before the status line";
    return at < sizeof "HTTP/1.1" - 1 ? "the status line does not start with HTTP/ and a version"
                                      : "the status is not three digits from 100 to 599";
}

static bool fits(char c, char form)
{
    switch (form) {
    case '0':
        return c >= '0' && c <= '9';
    case '5':
        return c >= '1' && c <= '5';
    default:
        return c == form;
    }
}

/* "HTTP/1.1 200" is short, so it is looked at again after each pause. */
static int on_status(struct http_reply *r, const char *p, size_t n)
{
    static const char form[] = "HTTP/0.0 500";
    for (size_t i = 0; i < n && i < STATUS_SIZE; i++) {
        if (!fits(p[i], form[i]))
            return refuse(r, wrong_start(p[i], i));
        if (i == 7 && p[5] != '1')
            return refuse(r, "the major version is not 1");
    }
    if (n <= STATUS_SIZE)
        return MORE;
    if (p[STATUS_SIZE] != ' ' && p[STATUS_SIZE] != '\r')
        return refuse(r, wrong_start(p[STATUS_SIZE], STATUS_SIZE));
    r->minor = p[7] == '0' ? 0 : 1;
    r->keep_alive = r->minor == 1;
    r->status = (p[9] - '0') * 100 + (p[10] - '0') * 10 + (p[11] - '0');
    r->place.scanned = STATUS_SIZE + (p[STATUS_SIZE] == ' ');
    return NEXT;
}

/* Up to the end of the line. Without a blank behind the status there is no reason. */
static int on_reason(struct http_reply *r, const char *p, size_t n)
{
    size_t i = r->place.scanned, start = p[STATUS_SIZE] == ' ' ? STATUS_SIZE + 1 : STATUS_SIZE;
    i = r->place.scanned = scan_now->value(p, i, n);
    if (i == n)
        return MORE;
    if (p[i] == '\n')
        return refuse(r, "a line ends with LF instead of CRLF");
    if (p[i] != '\r')
        return refuse(r, "the reason phrase has a control byte");
    if (i + 1 == n)
        return MORE;
    if (p[i + 1] != '\n')
        return refuse(r, "a CR without LF");
    r->reason = (cs_str){p + start, i - start};
    r->place = (struct field_place){.line = i + 2, .scanned = i + 2};
    r->in_fields = true;
    return NEXT;
}

/* ---- The fields that matter to framing ---- */

static int on_content_length(struct http_reply *r, cs_str value)
{
    uint64_t length;
    if (r->content_length >= 0)
        return refuse(r, "more than one Content-Length");
    if (r->coding_given)
        return refuse(r, "Content-Length beside Transfer-Encoding");
    if (!str_to_u64(value, INT64_MAX, &length))
        return refuse(r, "Content-Length is not a number");
    r->content_length = (int64_t)length;
    return NEXT;
}

static int on_transfer_encoding(struct http_reply *r, cs_str value)
{
    if (r->minor == 0)
        return refuse(r, "Transfer-Encoding in HTTP/1.0");
    if (r->coding_given)
        return refuse(r, "more than one Transfer-Encoding");
    if (r->content_length >= 0)
        return refuse(r, "Content-Length beside Transfer-Encoding");
    if (!str_eq_nocase(value, CS_S("chunked")))
        return refuse(r, "Transfer-Encoding is not exactly \"chunked\"");
    r->coding_given = r->chunked = true;
    return NEXT;
}

static int on_connection(struct http_reply *r, cs_str list)
{
    cs_str option;
    while (http_tokens_next(&list, &option))
        if (str_eq_nocase(option, CS_S("close")))
            r->close_asked = true;
        else if (str_eq_nocase(option, CS_S("keep-alive")))
            r->keep_alive = true;
    if (r->close_asked)
        r->keep_alive = false;
    return NEXT;
}

static int look_at(struct http_reply *r, const struct http_header *f)
{
    switch (f->field) {
    case HTTP_FIELD_CONTENT_LENGTH:
        return on_content_length(r, f->value);
    case HTTP_FIELD_TRANSFER_ENCODING:
        return on_transfer_encoding(r, f->value);
    case HTTP_FIELD_CONNECTION:
        return on_connection(r, f->value);
    default:
        return NEXT;
    }
}

/* Counts in fields that stand behind the others. */
static int add_fields(struct http_reply *r, size_t n)
{
    int verdict = NEXT;
    for (; n > 0 && verdict == NEXT; n--) {
        struct http_header *f = &r->headers[r->nheaders++];
        f->field = http_field_of(f->name);
        verdict = look_at(r, f);
    }
    return verdict;
}

/* ---- The field lines ---- */

static size_t room_of(const struct http_reply *r, const struct http_limits *lim)
{
    size_t room = lim->max_headers < r->headers_cap ? lim->max_headers : r->headers_cap;
    return room > r->nheaders ? room - r->nheaders : 0;
}

static int take_fields(struct http_reply *r, const char *p, size_t n, const struct http_limits *lim)
{
    size_t taken, line = scan_now->fields(p, r->place.line, n, r->headers + r->nheaders,
                                          room_of(r, lim), &taken);
    r->place.line = r->place.scanned = line;
    return add_fields(r, taken);
}

/* RFC 9110 sections 8.6 and 15.2: 1xx and 204 end with their heads, and must not say otherwise. */
static long on_end(struct http_reply *r)
{
    bool announced = r->chunked || r->content_length > 0;
    if (announced && r->status < 200)
        return refuse(r, "a 1xx response announces a body");
    if (announced && r->status == 204)
        r->keep_alive = false;
    return (long)r->place.line + 2;
}

static long on_field(struct http_reply *r, const char *p, size_t n, const struct http_limits *lim)
{
    struct field_place *at = &r->place;
    if (at->scanned == at->line) {
        int verdict = take_fields(r, p, n, lim);
        if (verdict != NEXT)
            return verdict;
    }
    if (field_is_end(p, at->line, n))
        return on_end(r);
    bool room = room_of(r, lim) > 0 || at->scanned > at->line;
    switch (field_next(at, p, n, room ? &r->headers[r->nheaders] : NULL, &r->error)) {
    case FIELD_MORE:
        return MORE;
    case FIELD_LINE:
        return add_fields(r, 1);
    case FIELD_FULL:
        return refuse(r, "too many fields");
    default:
        return -1;
    }
}

static long run(struct http_reply *r, const char *p, size_t n, const struct http_limits *lim)
{
    long verdict = r->place.scanned > 0 ? NEXT : on_status(r, p, n);
    if (verdict == NEXT && !r->in_fields)
        verdict = on_reason(r, p, n);
    while (verdict == NEXT)
        verdict = on_field(r, p, n, lim);
    return verdict;
}

/* ---- Between calls ---- */

static void begin(struct http_reply *r)
{
    *r = (struct http_reply){
        .headers = r->headers, .headers_cap = r->headers_cap, .content_length = -1};
}

static void move(cs_str *s, const char *from, const char *to)
{
    s->p = to + ((uintptr_t)s->p - (uintptr_t)from);
}

/* The caller's buffer has moved between two calls: so do the pointers into it. */
static void rebase(struct http_reply *r, const char *bytes)
{
    if (r->in_fields)
        move(&r->reason, r->base, bytes);
    for (size_t i = 0; i < r->nheaders; i++) {
        move(&r->headers[i].name, r->base, bytes);
        move(&r->headers[i].value, r->base, bytes);
    }
}

long http_reply_parse(struct http_reply *r, const char *bytes, size_t n,
                      const struct http_limits *lim)
{
    if (r->place.scanned == 0)
        begin(r);
    else if (r->error)
        return -1;
    else if (r->base != bytes)
        rebase(r, bytes);
    r->base = bytes;
    size_t seen = n < lim->max_head ? n : lim->max_head;
    /* The limit may have become less than what has been looked at. */
    long verdict = seen < r->place.scanned ? MORE : run(r, bytes, seen, lim);
    if (verdict == MORE && n >= lim->max_head)
        return refuse(r, "the head is too long");
    return verdict;
}

const struct http_header *http_reply_find(const struct http_reply *r, cs_str name)
{
    return http_header_find(r->headers, r->nheaders, name);
}
