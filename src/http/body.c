/* body.c - see body.h. Chunk data goes in one piece; everything else is short, so it is read byte
 * by byte, each byte moving the state on. Nothing is looked at twice, so cuts cannot change the
 * answer.
 *
 *   SIZE -> [ext] -> SIZE_LF -> DATA -> DATA_CR -> DATA_LF -> SIZE ...
 *               size 0: SIZE_LF -> TRAILER -> ... -> END_LF -> DONE
 *
 * Extension: *( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] ) */
#include "http/body.h"

#include "base/check.h"
#include "http/token.h"

enum state {
    SIZE,
    SIZE_LF,
    EXT_GAP,   /* blanks that must end in ";" */
    EXT_START, /* behind ";" */
    EXT_NAME,
    EXT_NAME_GAP, /* blanks behind a name: "=", ";" or the end may follow */
    EXT_EQUALS,   /* behind "=" */
    EXT_TOKEN,
    EXT_QUOTED,
    EXT_ESCAPE,    /* behind "\" */
    EXT_VALUE_END, /* behind a quoted string */
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILER, /* start of a trailer line, or of the empty line */
    TRAILER_NAME,
    TRAILER_VALUE,
    TRAILER_LF,
    END_LF,
    DONE,
    REFUSED_400,
    REFUSED_431
};

/* What step() returns for a byte that cannot stand here. */
#define WRONG (-1)

static bool is_blank(unsigned char ch)
{
    return ch == ' ' || ch == '\t';
}

/* What may stand behind a size or a complete extension. */
static int on_gap(unsigned char ch)
{
    if (ch == '\r')
        return SIZE_LF;
    if (ch == ';')
        return EXT_START;
    return is_blank(ch) ? EXT_GAP : WRONG;
}

static int on_size(struct http_chunked *c, unsigned char ch)
{
    int value = http_hex_value(ch);
    if (value < 0)
        return c->digits > 0 ? on_gap(ch) : WRONG;
    if (++c->digits > 16 || c->left > (uint64_t)INT64_MAX >> 4)
        return WRONG;
    c->left = c->left << 4 | (uint64_t)value;
    return SIZE;
}

static int on_extension_name(int state, unsigned char ch)
{
    if (http_is_tchar(ch) && state != EXT_NAME_GAP)
        return EXT_NAME;
    if (state == EXT_START)
        return is_blank(ch) ? EXT_START : WRONG;
    if (ch == '=')
        return EXT_EQUALS;
    if (is_blank(ch))
        return EXT_NAME_GAP;
    return state == EXT_NAME || ch == ';' ? on_gap(ch) : WRONG;
}

static int on_extension_value(int state, unsigned char ch)
{
    switch (state) {
    case EXT_EQUALS:
        if (ch == '"')
            return EXT_QUOTED;
        if (is_blank(ch))
            return EXT_EQUALS;
        return http_is_tchar(ch) ? EXT_TOKEN : WRONG;
    case EXT_TOKEN:
        return http_is_tchar(ch) ? EXT_TOKEN : on_gap(ch);
    case EXT_QUOTED:
        if (ch == '"')
            return EXT_VALUE_END;
        if (ch == '\\')
            return EXT_ESCAPE;
        return http_is(ch, HTTP_CLASS_VALUE) ? EXT_QUOTED : WRONG;
    case EXT_ESCAPE:
        return http_is(ch, HTTP_CLASS_VALUE) ? EXT_QUOTED : WRONG;
    case EXT_VALUE_END:
        return on_gap(ch);
    default: /* EXT_GAP */
        return ch == '\r' ? WRONG : on_gap(ch);
    }
}

/* The size line is complete. */
static int on_size_lf(struct http_chunked *c, unsigned char ch)
{
    if (ch != '\n' || c->left > (uint64_t)INT64_MAX - c->total)
        return WRONG;
    c->line = 0;
    c->digits = 0;
    return c->left > 0 ? DATA : TRAILER;
}

static int on_trailer(struct http_chunked *c, int state, unsigned char ch)
{
    switch (state) {
    case TRAILER:
        if (ch == '\r')
            return END_LF;
        return http_is_tchar(ch) ? TRAILER_NAME : WRONG;
    case TRAILER_NAME:
        if (ch == ':')
            return TRAILER_VALUE;
        return http_is_tchar(ch) ? TRAILER_NAME : WRONG;
    case TRAILER_VALUE:
        if (ch == '\r')
            return TRAILER_LF;
        return http_is(ch, HTTP_CLASS_VALUE) ? TRAILER_VALUE : WRONG;
    case TRAILER_LF:
        c->line = 0;
        return ch == '\n' ? TRAILER : WRONG;
    default: /* END_LF */
        return ch == '\n' ? DONE : WRONG;
    }
}

/* The state behind ch, or WRONG. Never in DATA, DONE or a refused state. */
static int step(struct http_chunked *c, unsigned char ch)
{
    switch (c->state) {
    case SIZE:
        return on_size(c, ch);
    case SIZE_LF:
        return on_size_lf(c, ch);
    case EXT_START:
    case EXT_NAME:
    case EXT_NAME_GAP:
        return on_extension_name(c->state, ch);
    case EXT_GAP:
    case EXT_EQUALS:
    case EXT_TOKEN:
    case EXT_QUOTED:
    case EXT_ESCAPE:
    case EXT_VALUE_END:
        return on_extension_value(c->state, ch);
    case DATA_CR:
        return ch == '\r' ? DATA_LF : WRONG;
    case DATA_LF:
        return ch == '\n' ? SIZE : WRONG;
    default:
        return on_trailer(c, c->state, ch);
    }
}

static bool is_extension(int state)
{
    return state >= EXT_GAP && state <= EXT_VALUE_END;
}

static bool is_in_trailer(int state)
{
    return state >= TRAILER_NAME && state <= TRAILER_LF;
}

static const char *sentence(int state)
{
    if (state == SIZE)
        return "a chunk size is not 1 to 16 hex digits, or too large";
    if (state == SIZE_LF || is_extension(state))
        return "a chunk extension is malformed, or its line does not end in CRLF";
    if (state == DATA_CR || state == DATA_LF)
        return "a chunk is longer than its size says";
    return "a trailer field is malformed";
}

static int refuse(struct http_chunked *c, int state, const char *why)
{
    c->state = state;
    c->error = why;
    return state == REFUSED_431 ? -431 : -400;
}

/* Counts a byte that led to `state`; true when there are too many of its kind. */
static bool too_much(struct http_chunked *c, int state)
{
    if (!is_extension(state) && !is_in_trailer(state))
        return false;
    c->overhead++;
    return ++c->line > HTTP_CHUNKED_MAX_LINE ||
           c->overhead > HTTP_CHUNKED_MAX_OVERHEAD + c->total / 16;
}

static int take_data(struct http_chunked *c, const char *in, size_t n, size_t *used, cs_str *data)
{
    size_t len = n - *used;
    if (len > c->left)
        len = (size_t)c->left;
    *data = (cs_str){in + *used, len};
    *used += len;
    c->total += len;
    c->left -= len;
    if (c->left == 0)
        c->state = DATA_CR;
    return HTTP_CHUNKED_DATA;
}

int http_chunked_next(struct http_chunked *c, const char *in, size_t n, size_t *used, cs_str *data)
{
    *used = 0;
    *data = (cs_str){NULL, 0};
    while (c->state < DONE && *used < n) {
        if (c->state == DATA)
            return take_data(c, in, n, used, data);
        int state = step(c, (unsigned char)in[(*used)++]);
        if (state == WRONG)
            return refuse(c, REFUSED_400, sentence(c->state));
        if (too_much(c, state))
            return refuse(c, REFUSED_431, "chunk extensions or trailers are too large");
        c->state = state;
    }
    if (c->state > DONE)
        return refuse(c, c->state, c->error);
    return c->state == DONE ? HTTP_CHUNKED_DONE : HTTP_CHUNKED_MORE;
}

size_t http_chunk_head(char *out, size_t n)
{
    char digits[16];
    size_t count = 0, len = 0;
    check(n > 0);
    for (; n > 0; n >>= 4)
        digits[count++] = "0123456789abcdef"[n & 15];
    while (count > 0)
        out[len++] = digits[--count];
    out[len++] = '\r';
    out[len++] = '\n';
    return len;
}
