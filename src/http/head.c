/* head.c - see head.h. One pass over the bytes, part by part:
 *
 *   START -> METHOD -> TARGET -> VERSION -> FIELDS -> end
 *
 * Each part is a run of bytes of one class and the byte that ends it. A part that runs out of bytes
 * returns MORE and is entered again at `scanned`. Every decision is made at a fixed byte, from what
 * stands before it; that is why the answer cannot depend on how the bytes were cut. */
#include "http/head.h"

#include "base/check.h"
#include "http/field.h"
#include "http/scan.h"
#include "http/token.h"
#include "http/uri.h"

enum part {
    START,
    METHOD,
    TARGET,
    VERSION,
    FIELDS
};

/* What a part returns, besides minus a status and the length of the whole head. */
enum {
    MORE = 0,
    NEXT = 1
};

#define MAX_EMPTY_LINES 2
#define VERSION_SIZE    10 /* "HTTP/1.1\r\n" */

struct input {
    const char *p;
    size_t n;
};

static int refuse(struct http_head *h, int status, const char *sentence)
{
    h->error = sentence;
    return -status;
}

/* The same with a better sentence for the two bytes that smuggle. */
static int refuse_byte(struct http_head *h, char c, const char *sentence)
{
    if (c == '\n')
        sentence = "a line ends with LF instead of CRLF";
    else if (c == '\r')
        sentence = "a CR without LF";
    return refuse(h, 400, sentence);
}

/* First byte at or after i that is not part of a token; n if there is none. */
static inline size_t skip_token(struct input in, size_t i)
{
    while (i < in.n && http_is_tchar((unsigned char)in.p[i]))
        i++;
    return i;
}

/* The parts up to and with the request line. */

static int on_start(struct http_head *h, struct input in)
{
    while (h->scanned < in.n && in.p[h->scanned] == '\r') {
        if (h->scanned + 1 == in.n)
            return MORE;
        if (in.p[h->scanned + 1] != '\n')
            return refuse(h, 400, "a CR without LF");
        h->scanned += 2;
        if (h->scanned > MAX_EMPTY_LINES * 2)
            return refuse(h, 400, "too many empty lines before the request line");
    }
    if (h->scanned == in.n)
        return MORE;
    h->line = h->scanned;
    h->part = METHOD;
    return NEXT;
}

static int split_path(struct http_head *h, const char *p, size_t n)
{
    const char *mark = memchr(p, '?', n);
    h->target_path = (cs_str){p, mark ? (size_t)(mark - p) : n};
    if (mark)
        h->target_query = (cs_str){mark + 1, n - h->target_path.n - 1};
    return NEXT;
}

/* The usual request line, when it is all there. Any other goes through the parts one by one. */
static bool take_request_line(struct http_head *h, struct input in, const struct http_limits *lim)
{
    static const char get[] = "GET /", version[] = " HTTP/1.1\r\n";
    const size_t before = sizeof get - 2, behind = sizeof version - 1;
    const char *line = in.p + h->line;
    if (in.n - h->line <= before + behind || memcmp(line, get, sizeof get - 1) != 0)
        return false;
    size_t end = scan_now->target(in.p, h->line + before, in.n);
    size_t length = end - h->line - before;
    if (in.n - end < behind || memcmp(in.p + end, version, behind) != 0 || length > lim->max_uri)
        return false;
    h->method_text = (cs_str){line, 3};
    h->method = HTTP_GET;
    h->target = (cs_str){line + before, length};
    h->minor = 1;
    h->keep_alive = true;
    h->line = h->scanned = end + behind;
    split_path(h, h->target.p, length);
    return true;
}

static int on_method(struct http_head *h, struct input in)
{
    size_t i = h->scanned = skip_token(in, h->scanned);
    if (i == in.n)
        return MORE;
    if (in.p[i] != ' ' || i == h->line)
        return refuse_byte(h, in.p[i], "the request line does not start with a method and a blank");
    h->method_text = (cs_str){in.p + h->line, i - h->line};
    h->method = http_method_of(h->method_text);
    h->mark = h->scanned = i + 1;
    h->part = TARGET;
    return NEXT;
}

static int on_target(struct http_head *h, struct input in, const struct http_limits *lim)
{
    size_t i = h->scanned = scan_now->target(in.p, h->scanned, in.n);
    if (i - h->mark > lim->max_uri)
        return refuse(h, 414, "the request target is too long");
    if (i == in.n)
        return MORE;
    if (in.p[i] != ' ' || i == h->mark)
        return refuse_byte(h, in.p[i], "the request target is empty or has a byte it may not have");
    h->target = (cs_str){in.p + h->mark, i - h->mark};
    h->mark = h->scanned = i + 1;
    h->part = VERSION;
    return NEXT;
}

static int absolute_form(struct http_head *h)
{
    static const cs_str schemes[] = {{"http://", 7}, {"https://", 8}};
    cs_str t = h->target;
    size_t skipped = 0;
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
        if (t.n >= schemes[i].n && str_eq_nocase((cs_str){t.p, schemes[i].n}, schemes[i]))
            skipped = schemes[i].n;
    if (skipped == 0)
        return refuse(h, 400, "the request target has none of the four forms");
    size_t end = skipped;
    while (end < t.n && t.p[end] != '/' && t.p[end] != '?')
        end++;
    if (!http_host_split((cs_str){t.p + skipped, end - skipped}, &h->host, &h->port) ||
        h->host.n == 0)
        return refuse(h, 400, "the request target has no valid host");
    h->form = HTTP_ABSOLUTE_FORM;
    split_path(h, t.p + end, t.n - end);
    if (h->target_path.n == 0)
        h->target_path = CS_S("/");
    return NEXT;
}

/* RFC 9112 section 3.2: which form fits which method. */
static int target_form(struct http_head *h)
{
    cs_str t = h->target;
    if (h->method == HTTP_CONNECT) {
        if (!http_host_split(t, &h->host, &h->port) || h->host.n == 0 || h->port <= 0)
            return refuse(h, 400, "the target of CONNECT is not host:port");
        h->form = HTTP_AUTHORITY_FORM;
        return NEXT;
    }
    if (t.p[0] == '/') {
        h->form = HTTP_ORIGIN_FORM;
        return split_path(h, t.p, t.n);
    }
    if (t.n == 1 && t.p[0] == '*' && h->method == HTTP_OPTIONS) {
        h->form = HTTP_ASTERISK_FORM;
        return NEXT;
    }
    return absolute_form(h);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* At most 10 bytes, so they are looked at again after each pause. */
static int on_version(struct http_head *h, struct input in)
{
    static const char form[] = "HTTP/0.0\r\n";
    const char *v = in.p + h->mark;
    size_t there = in.n - h->mark;
    bool usual = there >= VERSION_SIZE && memcmp(v, "HTTP/1.1\r\n", VERSION_SIZE) == 0;
    for (size_t i = 0; !usual && i < VERSION_SIZE && i < there; i++)
        if (form[i] == '0' ? !is_digit(v[i]) : v[i] != form[i])
            return refuse_byte(h, v[i], "the request line does not end with HTTP/ and a version");
    if (there < VERSION_SIZE)
        return MORE;
    if (v[5] != '1')
        return refuse(h, 505, "the major version is not 1");
    h->minor = v[7] == '0' ? 0 : 1;
    h->keep_alive = h->minor == 1;
    h->line = h->scanned = h->mark + VERSION_SIZE;
    h->mark = 0;
    h->part = FIELDS;
    return target_form(h);
}

/* The fields that matter to framing and routing. */

static int on_host(struct http_head *h, cs_str value)
{
    cs_str host;
    int port;
    if (h->field[HTTP_FIELD_HOST])
        return refuse(h, 400, "more than one Host");
    if (!http_host_split(value, &host, &port) || (host.n == 0 && value.n > 0))
        return refuse(h, 400, "Host is not a host with an optional port");
    if (h->form == HTTP_ORIGIN_FORM || h->form == HTTP_ASTERISK_FORM) {
        h->host = host;
        h->port = port;
    }
    return NEXT;
}

static int on_content_length(struct http_head *h, cs_str value)
{
    uint64_t length;
    if (h->field[HTTP_FIELD_CONTENT_LENGTH])
        return refuse(h, 400, "more than one Content-Length");
    if (h->field[HTTP_FIELD_TRANSFER_ENCODING])
        return refuse(h, 400, "Content-Length beside Transfer-Encoding");
    if (!str_to_u64(value, INT64_MAX, &length))
        return refuse(h, 400, "Content-Length is not a number");
    h->content_length = (int64_t)length;
    return NEXT;
}

static int on_transfer_encoding(struct http_head *h, cs_str value)
{
    static const cs_str chunked = {"chunked", 7};
    if (h->minor == 0)
        return refuse(h, 400, "Transfer-Encoding in HTTP/1.0");
    if (h->field[HTTP_FIELD_TRANSFER_ENCODING])
        return refuse(h, 400, "more than one Transfer-Encoding");
    if (h->field[HTTP_FIELD_CONTENT_LENGTH])
        return refuse(h, 400, "Content-Length beside Transfer-Encoding");
    h->chunked = true;
    if (str_eq_nocase(value, chunked))
        return NEXT;
    cs_str coding = {NULL, 0};
    bool others = false;
    while (http_list_next(&value, &coding)) {
        if (!http_is_token(coding) || (str_eq_nocase(coding, chunked) && value.n > 0))
            return refuse(h, 400, "Transfer-Encoding is not exactly \"chunked\"");
        others = others || !str_eq_nocase(coding, chunked);
    }
    if (!others || !str_eq_nocase(coding, chunked))
        return refuse(h, 400, "the last transfer coding is not chunked");
    return refuse(h, 501, "a transfer coding other than chunked");
}

static int on_connection(struct http_head *h, cs_str list)
{
    cs_str option;
    if (str_eq_nocase(list, CS_S("keep-alive")) && !h->close_asked) {
        h->keep_alive = true;
        return NEXT;
    }
    while (http_tokens_next(&list, &option))
        if (str_eq_nocase(option, CS_S("close")))
            h->close_asked = true;
        else if (str_eq_nocase(option, CS_S("keep-alive")))
            h->keep_alive = true;
    if (h->close_asked)
        h->keep_alive = false;
    return NEXT;
}

static int on_expect(struct http_head *h, cs_str list)
{
    cs_str member;
    if (h->minor == 0)
        return NEXT;
    while (http_list_next(&list, &member)) {
        if (!str_eq_nocase(member, CS_S("100-continue")))
            return refuse(h, 417, "Expect is not 100-continue");
        h->expect_continue = true;
    }
    return NEXT;
}

static int look_at(struct http_head *h, const struct http_header *f)
{
    switch (f->field) {
    case HTTP_FIELD_HOST:
        return on_host(h, f->value);
    case HTTP_FIELD_CONTENT_LENGTH:
        return on_content_length(h, f->value);
    case HTTP_FIELD_TRANSFER_ENCODING:
        return on_transfer_encoding(h, f->value);
    case HTTP_FIELD_CONNECTION:
        return on_connection(h, f->value);
    case HTTP_FIELD_EXPECT:
        return on_expect(h, f->value);
    default:
        return NEXT;
    }
}

/* The parts of a field line. */

static long on_end(struct http_head *h)
{
    if (h->minor == 1 && !h->field[HTTP_FIELD_HOST])
        return refuse(h, 400, "no Host");
    return (long)(h->line + 2);
}

/* A field that the server itself looks at. */
static int add_known(struct http_head *h, const struct http_header *f)
{
    int verdict = look_at(h, f);
    if (!h->field[f->field])
        h->field[f->field] = f;
    return verdict;
}

/* Counts in fields that stand behind the others. */
static inline int add_fields(struct http_head *h, size_t n)
{
    struct http_header *f = h->headers + h->nheaders, *end = f + n;
    int verdict = NEXT;
    for (; f < end && verdict == NEXT; f++) {
        f->field = http_field_of(f->name);
        if (f->field != HTTP_FIELD_OTHER)
            verdict = add_known(h, f);
    }
    h->nheaders = (size_t)(f - h->headers);
    return verdict;
}

/* Whole lines, where nothing is odd: most heads have no others. What is left goes through the parts one by one. */
static int take_fields(struct http_head *h, struct input in, const struct http_limits *lim)
{
    size_t room = lim->max_headers < h->headers_cap ? lim->max_headers : h->headers_cap, taken;
    size_t end = scan_now->fields(in.p, h->line, in.n, h->headers + h->nheaders,
                                  room > h->nheaders ? room - h->nheaders : 0, &taken);
    int verdict = add_fields(h, taken);
    if (verdict == NEXT)
        h->line = h->scanned = end;
    return verdict;
}

/* A line that is odd, or not all there. */
static int read_field(struct http_head *h, struct input in, const struct http_limits *lim)
{
    struct field_place at = {h->line, h->mark, h->scanned};
    bool room = h->nheaders < lim->max_headers && h->nheaders < h->headers_cap;
    struct http_header *to = room || at.scanned > at.line ? &h->headers[h->nheaders] : NULL;
    int verdict = field_next(&at, in.p, in.n, to, &h->error);
    h->line = at.line;
    h->mark = at.colon;
    h->scanned = at.scanned;
    switch (verdict) {
    case FIELD_MORE:
        return MORE;
    case FIELD_LINE:
        return add_fields(h, 1);
    case FIELD_FULL:
        return refuse(h, 431, "too many fields");
    default:
        return -400;
    }
}

static long on_fields(struct http_head *h, struct input in, const struct http_limits *lim)
{
    int verdict = h->scanned == h->line ? take_fields(h, in, lim) : NEXT;
    if (verdict != NEXT)
        return verdict;
    return field_is_end(in.p, h->line, in.n) ? on_end(h) : read_field(h, in, lim);
}

static long run(struct http_head *h, struct input in, const struct http_limits *lim)
{
    for (;;) {
        long verdict = MORE;
        switch ((enum part)h->part) {
        case START:
            verdict = on_start(h, in);
            if (verdict == NEXT && take_request_line(h, in, lim))
                h->part = FIELDS;
            break;
        case METHOD:
            verdict = on_method(h, in);
            break;
        case TARGET:
            verdict = on_target(h, in, lim);
            break;
        case VERSION:
            verdict = on_version(h, in);
            break;
        case FIELDS:
            verdict = on_fields(h, in, lim);
            break;
        }
        if (verdict != NEXT)
            return verdict;
    }
}

/* Word by word: a structure that is cleared as a whole takes longer than all the rest. Up to 64 bytes compilers
 * write out as well, hence the halves. */
static void begin(struct http_head *h)
{
    const size_t half = sizeof h->field / 2;
    h->nheaders = 0;
    h->method_text = h->target = h->target_path = h->target_query = h->host = (cs_str){NULL, 0};
    h->method = HTTP_OTHER;
    h->form = HTTP_ORIGIN_FORM;
    h->minor = 0;
    h->port = -1;
    h->content_length = -1;
    h->chunked = h->keep_alive = h->expect_continue = h->close_asked = false;
    memset(h->field, 0, half);
    memset((char *)h->field + half, 0, sizeof h->field - half);
    h->error = NULL;
    h->part = START;
    h->line = h->mark = 0;
}

static void move(cs_str *s, uintptr_t from, size_t n, const char *to)
{
    uintptr_t at = (uintptr_t)s->p;
    if (at >= from && at <= from + n)
        s->p = to + (at - from);
}

/* The caller's buffer has moved between two calls: so do the pointers into it. */
static void rebase(struct http_head *h, const char *bytes)
{
    uintptr_t from = (uintptr_t)h->base;
    cs_str *own[] = {&h->method_text, &h->target, &h->target_path, &h->target_query, &h->host};
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        move(own[i], from, h->scanned, bytes);
    for (size_t i = 0; i < h->nheaders; i++) {
        move(&h->headers[i].name, from, h->scanned, bytes);
        move(&h->headers[i].value, from, h->scanned, bytes);
    }
}

long http_head_parse(struct http_head *h, const char *bytes, size_t n,
                     const struct http_limits *lim)
{
    if (h->scanned == 0)
        begin(h);
    else if (h->base != bytes)
        rebase(h, bytes);
    h->base = bytes;
    size_t seen = n < lim->max_head ? n : lim->max_head;
    /* The limit may have become less than what has been looked at. */
    long verdict = seen < h->scanned ? MORE : run(h, (struct input){bytes, seen}, lim);
    if (verdict != MORE || n < lim->max_head)
        return verdict;
    if (h->part == TARGET)
        return refuse(h, 414, "the request target is too long");
    return refuse(h, 431, "the head is too long");
}

const struct http_header *http_head_find(const struct http_head *h, cs_str name)
{
    return http_header_find(h->headers, h->nheaders, name);
}
