#include "serve/log_sink.h"

#include <errno.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/uio.h>

void log_sink_open(struct log_sink *s, int fd)
{
    struct stat st;
    *s = (struct log_sink){.fd = fd, .regular = fstat(fd, &st) == 0 && S_ISREG(st.st_mode)};
}

/* So many bytes of `lines` as one write may have. */
static size_t piece_of(const struct log_sink *s, cs_str lines)
{
    const char *end;
    if (s->regular || lines.n + s->torn <= PIPE_BUF)
        return lines.n;
    end = memrchr(lines.p, '\n', PIPE_BUF - s->torn);
    if (!end) /* longer than that */
        end = memchr(lines.p, '\n', lines.n);
    return end ? (size_t)(end - lines.p) + 1 : lines.n;
}

/* Bytes of `lines` that are there now; -errno. */
static ssize_t put(const struct log_sink *s, cs_str lines)
{
    struct iovec parts[2] = {{.iov_len = s->torn}, {.iov_len = lines.n}};
    parts[0].iov_base = (void *)(uintptr_t) "\n";
    parts[1].iov_base = (void *)(uintptr_t)lines.p;
    ssize_t n;
    do
        n = s->torn ? writev(s->fd, parts, 2) : writev(s->fd, parts + 1, 1);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    return s->torn && n > 0 ? n - 1 : n;
}

static bool is_full(int error)
{
    return error == ENOSPC || error == EDQUOT || error == EFBIG;
}

/* The end of the last whole line within n bytes. */
static size_t whole(cs_str lines, size_t n)
{
    const char *end = n ? memrchr(lines.p, '\n', n) : NULL;
    return end ? (size_t)(end - lines.p) + 1 : 0;
}

static uint64_t count(cs_str lines)
{
    uint64_t n = 0;
    const char *p = lines.p, *end = lines.p + lines.n;
    while (p < end && (p = memchr(p, '\n', (size_t)(end - p)))) {
        n++;
        p++;
    }
    return n;
}

/* One write. Bytes of whole lines; *error when it cannot go on. */
static size_t put_piece(struct log_sink *s, cs_str piece, int *error)
{
    ssize_t n = put(s, piece);
    if (n < 0) {
        *error = (int)-n;
        s->torn = s->torn || (s->regular && is_full(*error));
        return 0;
    }
    size_t good = whole(piece, (size_t)n);
    if (n > 0)
        s->torn = good != (size_t)n;
    return good;
}

size_t log_sink_write(struct log_sink *s, cs_str lines, _Atomic uint64_t *written, int *error)
{
    size_t done = 0;
    unsigned idle = 0;
    *error = 0;
    while (done < lines.n && !*error) {
        cs_str rest = {lines.p + done, lines.n - done};
        size_t n = put_piece(s, (cs_str){rest.p, piece_of(s, rest)}, error);
        atomic_fetch_add_explicit(written, count((cs_str){rest.p, n}), memory_order_relaxed);
        done += n;
        idle = n ? 0 : idle + 1;
        if (idle > 1 && !*error) /* it takes bytes and never a line */
            *error = ENOSPC;
    }
    return done;
}
