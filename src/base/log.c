/* log.c - a line is put together in one buffer on the stack and leaves in one write(2).
 *
 * Nothing here takes memory or a lock, so a line can also be written where the heap is in doubt, and
 * by any thread. Who changes the descriptor waits for threads that are just writing to the old one.
 * The date is computed by hand for the same reason: gmtime_r reads the zone file on its first call.
 */
#include "base/log.h"

#include "base/json.h"
#include "base/note.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define CONTEXT_ROOM 1024 /* what a long sentence leaves for the pairs behind it */
#define PAIR_ROOM    32   /* least room that makes a pair worth beginning */
#define END_ROOM     8    /* for "..." and what closes the line */
#define STEP_MAX     8
#define MOST_LINES   100

static struct {
    _Atomic int fd;
    _Atomic bool json, may_fill; /* may_fill: a pipe, a terminal: its reader may have stopped */
    _Atomic int level;           /* enum log_level */
    char name[64];
    _Atomic uint64_t failed, told; /* told: how many of the failed ones the log has heard of */
    _Atomic int why;               /* errno of the last failure */
    _Atomic bool torn;             /* the log ends in the middle of a line */
    _Atomic unsigned writing;      /* calls that may have read fd and not written yet */
} state = {.fd = STDERR_FILENO, .level = LOG_LEVEL_INFO, .name = "cserver"};

static const char *const level_names[] = {"debug", "info", "warn", "error"};

struct line {
    size_t n;
    char b[LOG_LINE_MAX];
};

/* How one character of a value is written: takes it off *rest, returns the length. */
typedef size_t step_fn(cs_str *rest, char out[STEP_MAX]);

void log_open(int fd, bool json)
{
    struct stat st;
    state.json = json;
    state.may_fill = fstat(fd, &st) == 0 && !S_ISREG(st.st_mode);
    state.fd = fd;
    while (state.writing)
        sched_yield();
    state.torn = false;
}

void log_set_level(enum log_level level)
{
    state.level = (int)level;
}

bool log_enabled(enum log_level level)
{
    return (int)level >= atomic_load_explicit(&state.level, memory_order_relaxed);
}

void log_set_name(const char *name)
{
    snprintf(state.name, sizeof(state.name), "%s", name);
}

bool log_is_json(void)
{
    return state.json;
}

int log_fd(void)
{
    return state.fd;
}

uint64_t log_failed(void)
{
    return state.failed;
}

static size_t step_json(cs_str *rest, char out[STEP_MAX])
{
    return json_escape_step(rest, out);
}

/* C1 controls (U+0080..U+009F) count as control bytes too: terminals obey them. */
static bool is_c1(cs_str s, size_t n)
{
    return n == 2 && (unsigned char)s.p[0] == 0xc2 && (unsigned char)s.p[1] < 0xa0;
}

static size_t step_text(cs_str *rest, char out[STEP_MAX])
{
    static const char hex[] = "0123456789abcdef";
    size_t n = str_utf8_next(*rest), len;
    unsigned char c = (unsigned char)rest->p[0];
    if (c == '\n' || c == '\r' || c == '\t') {
        out[0] = '\\';
        out[1] = c == '\n' ? 'n' : c == '\r' ? 'r' : 't';
        len = 2;
    } else if (n == 0 || c < 0x20 || c == 0x7f || is_c1(*rest, n)) {
        memcpy(out, "\\x", 2);
        out[2] = hex[c >> 4];
        out[3] = hex[c & 15];
        len = 4;
        n = 1;
    } else {
        memcpy(out, rest->p, n);
        len = n;
    }
    rest->p += n;
    rest->n -= n;
    return len;
}

/* Inside the quotes of a text value. */
static size_t step_quoted(cs_str *rest, char out[STEP_MAX])
{
    char c = rest->p[0];
    if (c != '"' && c != '\\')
        return step_text(rest, out);
    out[0] = '\\';
    out[1] = c;
    rest->p++;
    rest->n--;
    return 2;
}

/* What does not fit is left out: for the server's own, short words. */
static void put(struct line *l, const char *z)
{
    size_t n = strlen(z);
    if (n < sizeof(l->b) - l->n) {
        memcpy(l->b + l->n, z, n);
        l->n += n;
    }
}

/* The value, in whole characters, up to `limit` bytes of the line; "..." where it was cut. */
static void put_value(struct line *l, cs_str s, step_fn *step, size_t limit)
{
    char out[STEP_MAX];
    while (s.n) {
        size_t n = step(&s, out);
        if (l->n + n > limit) {
            put(l, "...");
            return;
        }
        memcpy(l->b + l->n, out, n);
        l->n += n;
    }
}

static bool is_leap(int year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

struct date {
    int year, month, day;
};

/* Counts the years and months off: some sixty steps, nothing beside the write. */
static struct date date_of(long days)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year = 1970, month = 0;
    while (days >= 365 + is_leap(year))
        days -= 365 + is_leap(year++);
    for (;;) {
        int length = lengths[month] + (month == 1 && is_leap(year));
        if (days < length)
            return (struct date){year, month + 1, (int)days + 1};
        days -= length;
        month++;
    }
}

/* At least `width` digits, by hand for the sake of signal handlers. */
static void put_digits(struct line *l, unsigned long n, int width, const char *after)
{
    char text[24];
    size_t at = sizeof(text) - 1;
    text[at] = '\0';
    for (; at > 0 && (n > 0 || width > 0); n /= 10, width--)
        text[--at] = (char)('0' + n % 10);
    put(l, text + at);
    put(l, after);
}

static void put_time(struct line *l)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    long secs = (long)ts.tv_sec;
    unsigned long second = (unsigned long)(secs % 86400);
    struct date d = date_of(secs / 86400);
    put_digits(l, (unsigned long)d.year, 4, "-");
    put_digits(l, (unsigned long)d.month, 2, "-");
    put_digits(l, (unsigned long)d.day, 2, "T");
    put_digits(l, second / 3600, 2, ":");
    put_digits(l, second / 60 % 60, 2, ":");
    put_digits(l, second % 60, 2, ".");
    put_digits(l, (unsigned long)ts.tv_nsec / 1000000, 3, "Z");
}

static void put_pid(struct line *l, const char *before, const char *after)
{
    put(l, before);
    put_digits(l, (unsigned long)getpid(), 1, after);
}

static bool needs_quotes(cs_str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == ' ' || s.p[i] == '"' || s.p[i] == '\\')
            return true;
    return s.n == 0;
}

static void text_pair(struct line *l, const struct log_pair *pair)
{
    const char *quote = needs_quotes(pair->value) ? "\"" : "";
    put(l, " ");
    put(l, pair->key);
    put(l, "=");
    put(l, quote);
    put_value(l, pair->value, *quote ? step_quoted : step_text, sizeof(l->b) - END_ROOM);
    put(l, quote);
}

static void json_pair(struct line *l, const char *key, cs_str value, size_t limit)
{
    put(l, ",\"");
    put(l, key);
    put(l, "\":\"");
    put_value(l, value, step_json, limit);
    put(l, "\"");
}

static bool has_room(const struct line *l, const struct log_pair *pair)
{
    return l->n + strlen(pair->key) + PAIR_ROOM <= sizeof(l->b);
}

static void text_line(struct line *l, enum log_level level, cs_str message, size_t limit)
{
    put_time(l);
    put(l, " ");
    put(l, level_names[level]);
    put(l, " ");
    put(l, state.name);
    put_pid(l, "[", "]: ");
    put_value(l, message, step_text, limit);
}

static void json_line(struct line *l, enum log_level level, cs_str message, size_t limit)
{
    put(l, "{\"ts\":\"");
    put_time(l);
    put(l, "\",\"level\":\"");
    put(l, level_names[level]);
    put(l, "\"");
    json_pair(l, "process", str_of(state.name), limit);
    put_pid(l, ",\"pid\":", "");
    json_pair(l, "message", message, limit);
}

static void build(struct line *l, enum log_level level, cs_str message,
                  const struct log_pair *pairs, size_t npairs)
{
    size_t limit = sizeof(l->b) - (npairs ? CONTEXT_ROOM : END_ROOM);
    (state.json ? json_line : text_line)(l, level, message, limit);
    for (size_t i = 0; i < npairs && has_room(l, &pairs[i]); i++)
        if (state.json)
            json_pair(l, pairs[i].key, pairs[i].value, sizeof(l->b) - END_ROOM);
        else
            text_pair(l, &pairs[i]);
    put(l, state.json ? "}\n" : "\n");
}

/* The descriptor may be shared with whoever started us, so it is asked, not made non-blocking. */
static bool is_full(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    return state.may_fill && poll(&p, 1, 0) == 0;
}

/* A full disk may take the first half of a line. What comes next begins a line of its own. */
static bool put_out(int fd, const struct line *l)
{
    bool torn = state.torn;
    struct iovec parts[2] = {{.iov_len = torn}, {.iov_len = l->n}};
    parts[0].iov_base = (void *)(uintptr_t) "\n";
    parts[1].iov_base = (void *)(uintptr_t)l->b;
    ssize_t n = writev(fd, parts, 2);
    if (n > 0)
        state.torn = (size_t)n != l->n + torn && ((size_t)n > torn || !torn);
    return n == (ssize_t)(l->n + torn);
}

static bool write_line(const struct line *l)
{
    errno = 0;
    state.writing++;
    int fd = state.fd;
    bool full = is_full(fd), good = !full && put_out(fd, l);
    if (!good)
        state.why = full ? EAGAIN : errno ? errno : ENOSPC;
    state.writing--;
    return good;
}

static const char *reason(int error)
{
    return error == ENOSPC || error == EDQUOT || error == EFBIG ? ": there was no room"
           : error == EAGAIN                                    ? ": nobody read them"
                                                                : "";
}

/* Once lines can be written again: how many are missing. */
static void tell_lost(void)
{
    char text[128];
    struct note note = note_on(text, sizeof text);
    struct line l = {.n = 0};
    uint64_t failed = state.failed, told = atomic_exchange(&state.told, failed);
    if (failed <= told)
        return;
    note_add_number(&note, failed - told);
    note_add(&note, failed - told == 1 ? " line" : " lines");
    note_add(&note, " of this process could not be written");
    note_add(&note, reason(state.why));
    build(&l, LOG_LEVEL_WARN, note_str(&note), NULL, 0);
    if (!write_line(&l))
        state.told = told;
}

void log_write_plain(enum log_level level, cs_str message, const struct log_pair *pairs,
                     size_t npairs)
{
    struct line l;
    l.n = 0; /* the rest need not be zeroed */
    int saved = errno;
    if (!log_enabled(level))
        return;
    build(&l, level, message, pairs, npairs);
    if (!write_line(&l))
        state.failed++;
    else if (state.failed != state.told)
        tell_lost();
    errno = saved;
}

void log_write_with(enum log_level level, const struct log_pair *pairs, size_t npairs,
                    const char *fmt, va_list ap)
{
    char message[LOG_LINE_MAX];
    int saved = errno;
    if (!log_enabled(level))
        return;
    int n = vsnprintf(message, sizeof(message), fmt, ap);
    if (n < 0)
        n = 0;
    size_t len = (size_t)n < sizeof(message) ? (size_t)n : sizeof(message) - 1;
    log_write_plain(level, (cs_str){message, len}, pairs, npairs);
    errno = saved;
}

void log_write(enum log_level level, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    log_write_with(level, NULL, 0, fmt, ap);
    va_end(ap);
}

void log_lines(enum log_level level, cs_str text)
{
    cs_str line;

    for (int i = 0; i < MOST_LINES && str_split(&text, '\n', &line); i++)
        if (line.n > 0)
            log_write(level, "  %.*s", CS_F(line));
}

void fatal(int code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    log_write_with(LOG_LEVEL_ERROR, NULL, 0, fmt, ap);
    va_end(ap);
    exit(code);
}
