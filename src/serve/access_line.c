/* access_line.c - written straight into room for the longest line that there can be: one look at the buffer for each line, not
 * for each field. Text goes 16 bytes at a time, since hardly any of it has to be escaped. */
#include "serve/access_line.h"

#include "base/check.h"
#include "base/digits.h"
#include "base/json.h"

#define STEP      16
#define ROOM      1024 /* for all that is no text of clients or settings */
#define WORST     6    /* bytes that one byte may become: \u001f */
#define LOCAL_LEN 26
#define UTC_LEN   19

/* GCC and clang make of it what the machine has for it. */
typedef unsigned char block __attribute__((vector_size(STEP)));

/* How one character that is not plain is written: takes it off *rest, returns the length. */
typedef size_t step_fn(cs_str *rest, char *out);

#define PUT(at, literal) put(at, literal, sizeof(literal) - 1)

static inline char *put(char *at, const char *p, size_t n)
{
    memcpy(at, p, n);
    return at + n;
}

static inline bool is_plain(char c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

/* Copies a block and says whether all of it is plain. */
static inline bool put_block(char *at, const char *p)
{
    block b;
    uint64_t odd[2];
    memcpy(&b, p, sizeof b);
    block mask = (block)(b < 0x20) | (block)(b > 0x7e) | (block)(b == '"') | (block)(b == '\\');
    memcpy(odd, &mask, sizeof odd);
    memcpy(at, &b, sizeof b);
    return !(odd[0] | odd[1]);
}

/* Up to a block's length, or one character more where that does not end there. */
static char *put_slowly(char *at, cs_str *s, step_fn *step)
{
    const char *end = s->p + (s->n < STEP ? s->n : STEP);
    while (s->p < end) {
        if (is_plain(s->p[0])) {
            *at++ = *s->p++;
            s->n--;
        } else {
            at += step(s, at);
        }
    }
    return at;
}

/* The rest of a text that is no whole block, once more with the end of the block before it, if that stands in the line as
 * it is: then both are the same bytes. */
static char *put_rest(char *at, cs_str s, bool as_it_is, step_fn *step)
{
    size_t back = STEP - s.n;
    if (!s.n)
        return at;
    if (as_it_is && put_block(at - back, s.p - back))
        return at + s.n;
    return put_slowly(at, &s, step);
}

/* Has any of eight bytes to be escaped? A borrow only comes from one that has. */
static inline bool is_odd(uint64_t x)
{
    const uint64_t ones = UINT64_MAX / 255;
    uint64_t low = x - ones * 0x20, quote = (x ^ ones * '"') - ones,
             slash = (x ^ ones * '\\') - ones, del = (x ^ ones * 0x7f) - ones;
    return (x | low | quote | slash | del) & ones * 0x80;
}

/* Their first and their last bytes, which may be the same ones. False: some are odd. */
static inline bool put_8_to_16(char *at, cs_str s)
{
    uint64_t first, last;
    memcpy(&first, s.p, 8);
    memcpy(&last, s.p + s.n - 8, 8);
    memcpy(at, &first, 8);
    memcpy(at + s.n - 8, &last, 8);
    return !is_odd(first) && !is_odd(last);
}

static inline bool put_4_to_8(char *at, cs_str s)
{
    uint32_t first, last;
    memcpy(&first, s.p, 4);
    memcpy(&last, s.p + s.n - 4, 4);
    memcpy(at, &first, 4);
    memcpy(at + s.n - 4, &last, 4);
    return !is_odd((uint64_t)first << 32 | last);
}

/* Less than a block. */
static inline char *put_short(char *at, cs_str s, step_fn *step)
{
    if (s.n < 4 || !(s.n < 8 ? put_4_to_8(at, s) : put_8_to_16(at, s)))
        return put_slowly(at, &s, step);
    return at + s.n;
}

static char *put_text(char *at, cs_str s, step_fn *step)
{
    bool plain = false;
    if (s.n < STEP)
        return put_short(at, s, step);
    while (s.n >= STEP) {
        plain = put_block(at, s.p);
        if (plain) {
            at += STEP;
            s.p += STEP;
            s.n -= STEP;
        } else {
            at = put_slowly(at, &s, step);
        }
    }
    return put_rest(at, s, plain, step);
}

static char *put_signed(char *at, int64_t n)
{
    if (n < 0)
        *at++ = '-';
    return digits_put(at, n < 0 ? 0 - (uint64_t)n : (uint64_t)n);
}

static char *room_for(struct buf *out, const struct access_facts *f)
{
    size_t n = f->client.n + f->user.n + f->referer.n + f->agent.n + f->request_line.n +
               f->method.n + f->host.n + f->path.n + f->query.n;
    return buf_reserve(out, ROOM + WORST * n + f->place.n);
}

static void end_at(struct buf *out, const char *at)
{
    buf_added(out, (size_t)(at - (out->p + out->n)));
}

/* ---- combined ---- */

static size_t step_hex(cs_str *rest, char *out)
{
    static const char hex[] = "0123456789ABCDEF";
    unsigned char c = (unsigned char)rest->p[0];
    memcpy(out, "\\x", 2);
    out[2] = hex[c >> 4];
    out[3] = hex[c & 15];
    rest->p++;
    rest->n--;
    return 4;
}

static char *put_or_dash(char *at, cs_str s)
{
    if (s.n)
        return put_text(at, s, step_hex);
    *at++ = '-';
    return at;
}

static const char *local_time(struct access_clock *c, uint64_t wall_us)
{
    time_t now = (time_t)(wall_us / 1000000);
    struct tm tm;
    if (c->local_at == now + 1)
        return c->local;
    if (!localtime_r(&now, &tm) ||
        strftime(c->local, sizeof c->local, "%d/%b/%Y:%H:%M:%S %z", &tm) != LOCAL_LEN)
        memcpy(c->local, "01/Jan/1970:00:00:00 +0000", LOCAL_LEN + 1);
    c->local_at = now + 1;
    return c->local;
}

void access_line_combined(struct buf *out, const struct access_facts *f, struct access_clock *c)
{
    char *at = room_for(out, f);
    at = put_text(at, f->client, step_hex);
    at = PUT(at, " - ");
    at = put_or_dash(at, f->user);
    at = PUT(at, " [");
    at = put(at, local_time(c, f->wall_us), LOCAL_LEN);
    at = PUT(at, "] \"");
    at = put_or_dash(at, f->request_line);
    at = PUT(at, "\" ");
    at = put_signed(at, f->status);
    *at++ = ' ';
    at = digits_put(at, f->bytes_out);
    at = PUT(at, " \"");
    at = put_or_dash(at, f->referer);
    at = PUT(at, "\" \"");
    at = put_or_dash(at, f->agent);
    at = PUT(at, "\"\n");
    end_at(out, at);
}

/* ---- JSON ---- */

static size_t step_json(cs_str *rest, char *out)
{
    return json_escape_step(rest, out);
}

static char *put_string(char *at, cs_str s)
{
    *at++ = '"';
    if (s.n)
        at = put_text(at, s, step_json);
    *at++ = '"';
    return at;
}

static const char *utc(struct access_clock *c, time_t now)
{
    struct tm tm;
    if (c->utc_at == now + 1)
        return c->utc;
    if (!gmtime_r(&now, &tm) ||
        strftime(c->utc, sizeof c->utc, "%Y-%m-%dT%H:%M:%S", &tm) != UTC_LEN)
        memcpy(c->utc, "1970-01-01T00:00:00", UTC_LEN + 1);
    c->utc_at = now + 1;
    return c->utc;
}

static char *put_moment(char *at, struct access_clock *c, uint64_t wall_us)
{
    at = put(at, utc(c, (time_t)(wall_us / 1000000)), UTC_LEN);
    *at++ = '.';
    at = digits_put_fixed(at, wall_us % 1000000, 6);
    *at++ = 'Z';
    return at;
}

static char *put_what(char *at, const struct access_facts *f)
{
    at = PUT(at, ",\"client\":");
    at = put_string(at, f->client);
    at = PUT(at, ",\"user\":");
    at = put_string(at, f->user);
    at = PUT(at, ",\"method\":");
    at = put_string(at, f->method);
    at = PUT(at, ",\"host\":");
    at = put_string(at, f->host);
    at = PUT(at, ",\"path\":");
    at = put_string(at, f->path);
    at = PUT(at, ",\"query\":");
    at = put_string(at, f->query);
    return f->http10 ? PUT(at, ",\"proto\":\"HTTP/1.0\"") : PUT(at, ",\"proto\":\"HTTP/1.1\"");
}

static char *put_result(char *at, const struct access_facts *f)
{
    at = PUT(at, ",\"status\":");
    at = put_signed(at, f->status);
    at = PUT(at, ",\"bytes_in\":");
    at = digits_put(at, f->bytes_in);
    at = PUT(at, ",\"bytes_out\":");
    at = digits_put(at, f->bytes_out);
    at = PUT(at, ",\"dur_us\":");
    return digits_put(at, f->dur_us);
}

void access_line_place(struct buf *out, const struct access_place *p)
{
    char *at = buf_reserve(out, ROOM + WORST * (p->site.n + p->route.n + p->module.n));
    at = PUT(at, ",\"site\":");
    at = put_string(at, p->site);
    at = PUT(at, ",\"route\":");
    at = put_string(at, p->route);
    at = PUT(at, ",\"module\":");
    at = p->module.p ? put_string(at, p->module) : PUT(at, "null");
    at = PUT(at, ",\"worker\":");
    at = put_signed(at, p->worker);
    at = PUT(at, ",\"generation\":");
    end_at(out, digits_put(at, p->generation));
}

void access_line_json(struct buf *out, const struct access_facts *f, struct access_clock *c)
{
    char *at = room_for(out, f);
    at = PUT(at, "{\"ts\":\"");
    at = put_moment(at, c, f->wall_us);
    at = PUT(at, "\",\"request_id\":\"");
    at = digits_put_hex(at, f->id);
    *at++ = '"';
    at = put_what(at, f);
    at = put_result(at, f);
    at = f->place.n ? put(at, f->place.p, f->place.n) : at;
    at = PUT(at, ",\"referer\":");
    at = put_string(at, f->referer);
    at = PUT(at, ",\"ua\":");
    at = put_string(at, f->agent);
    at = PUT(at, "}\n");
    end_at(out, at);
}
