/* handover.c - see handover.h. A line is a word and what belongs to it:
 *
 *     from 4711
 *     channel 9
 *     errors 10
 *     socket LISTENING FILE GIVEN FD,FD,... ADDRESS
 *     name NAME                                      of that socket
 *     passed 1 0 GIVEN FD ADDRESS                    by systemd
 */
#include "proc/handover.h"

#include "base/mem.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define MOST_BYTES (16u << 20)

/* ---- Text ---- */

static void print_socket(const char *word, const struct listen_socket *s, struct buf *out)
{
    char text[SOCK_TEXT_MAX];

    buf_printf(out, "%s %zu %d %d ", word, s->nlistening, s->file, s->given);
    for (size_t i = 0; i < s->nfds; i++)
        buf_printf(out, "%s%d", i ? "," : "", s->fds[i]);
    sock_addr_text(&s->asked, text);
    buf_printf(out, " %s\n", text);
    if (s->name[0])
        buf_printf(out, "name %s\n", s->name);
}

static void print_set(const char *word, const struct listen_set *set, struct buf *out)
{
    for (size_t i = 0; i < set->n; i++)
        print_socket(word, &set->v[i], out);
}

void handover_print(const struct handover *h, struct buf *out)
{
    buf_printf(out, "from %d\nchannel %d\nerrors %d\n", h->from, h->channel, h->errors);
    print_set("socket", &h->listens, out);
    print_set("passed", &h->inherited, out);
}

static bool to_int(cs_str text, int *out)
{
    uint64_t n;

    if (!str_to_u64(text, INT32_MAX, &n))
        return false;
    *out = (int)n;
    return true;
}

static bool next_int(cs_str *rest, int *out)
{
    cs_str word = {0};

    return str_split(rest, ' ', &word) && to_int(word, out);
}

static bool parse_fds(cs_str list, struct listen_socket *s)
{
    cs_str piece;
    int fd;

    while (str_split(&list, ',', &piece)) {
        if (!to_int(piece, &fd) || fd <= STDERR_FILENO)
            return false;
        s->fds = mem_resize(s->fds, (s->nfds + 1) * sizeof *s->fds);
        s->fds[s->nfds++] = fd;
    }
    return s->nfds > 0;
}

/* An address that cannot be written in settings (the abstract one of a unix socket) stays unknown here. */
static bool parse_socket(cs_str rest, struct listen_socket *s)
{
    cs_str fds = {0};
    const char *error;
    int listening, file;

    if (!next_int(&rest, &listening) || !next_int(&rest, &file) || !next_int(&rest, &s->given) ||
        !str_split(&rest, ' ', &fds) || !parse_fds(fds, s))
        return false;
    s->nlistening = (size_t)listening;
    s->file = file == 1;
    if (!sock_addr_parse(rest, &s->asked, &error))
        s->asked.len = 0;
    return s->nlistening <= s->nfds;
}

static bool add_socket(cs_str rest, struct listen_set *set)
{
    set->v = mem_resize(set->v, (set->n + 1) * sizeof *set->v);
    set->v[set->n] = (struct listen_socket){0};
    return parse_socket(rest, &set->v[set->n++]);
}

static void add_name(cs_str name, struct listen_set *set)
{
    struct listen_socket *s;

    if (set->n == 0)
        return;
    s = &set->v[set->n - 1];
    snprintf(s->name, sizeof s->name, "%.*s", (int)name.n, name.p);
}

static bool parse_line(cs_str line, struct handover *h)
{
    cs_str word = {0};

    str_split(&line, ' ', &word);
    if (str_is(word, "from"))
        return to_int(line, &h->from);
    if (str_is(word, "channel"))
        return to_int(line, &h->channel);
    if (str_is(word, "errors"))
        return to_int(line, &h->errors);
    if (str_is(word, "socket"))
        return add_socket(line, &h->listens);
    if (str_is(word, "passed"))
        return add_socket(line, &h->inherited);
    if (str_is(word, "name"))
        add_name(line, h->inherited.n ? &h->inherited : &h->listens);
    return true;
}

bool handover_parse(cs_str text, struct handover *out)
{
    cs_str line;
    bool good = true;

    *out = (struct handover){.channel = -1, .errors = -1};
    while (good && str_split(&text, '\n', &line))
        good = line.n == 0 || parse_line(line, out);
    if (good && out->from > 0 && out->channel > STDERR_FILENO && out->errors > STDERR_FILENO)
        return true;
    handover_free(out);
    return false;
}

static void free_set(struct listen_set *set)
{
    for (size_t i = 0; i < set->n; i++)
        free(set->v[i].fds);
    free(set->v);
}

void handover_free(struct handover *h)
{
    free_set(&h->listens);
    free_set(&h->inherited);
    *h = (struct handover){.channel = -1, .errors = -1};
}

/* ---- Descriptors ---- */

static int keep_set_open(const struct listen_set *set, bool open)
{
    int rc = 0;

    for (size_t i = 0; i < set->n; i++)
        for (size_t k = 0; rc == 0 && k < set->v[i].nfds; k++)
            rc = fd_set_cloexec(set->v[i].fds[k], !open);
    return rc;
}

static int keep_open(const struct handover *h, bool open)
{
    int rc = fd_set_cloexec(h->channel, !open);

    if (rc == 0)
        rc = fd_set_cloexec(h->errors, !open);
    if (rc == 0)
        rc = keep_set_open(&h->listens, open);
    return rc == 0 ? keep_set_open(&h->inherited, open) : rc;
}

static int write_text(const struct handover *h)
{
    struct buf text = {0};
    int fd = memfd_create("handover", 0), rc = fd < 0 ? -errno : 0;

    handover_print(h, &text);
    if (rc == 0)
        rc = fd_write_all(fd, text.p, text.n);
    buf_free(&text);
    if (rc < 0)
        fd_close(&fd);
    return rc < 0 ? rc : fd;
}

int handover_give(const struct handover *h)
{
    char number[16];
    int fd = write_text(h);

    if (fd < 0)
        return fd;
    snprintf(number, sizeof number, "%d", fd);
    return setenv(HANDOVER_ENV, number, 1) < 0 ? -errno : keep_open(h, true);
}

static bool read_text(int fd, struct buf *out)
{
    ssize_t n;

    do {
        n = pread(fd, buf_reserve(out, 65536), 65536, (off_t)out->n);
        if (n > 0)
            buf_added(out, (size_t)n);
    } while (out->n < MOST_BYTES && (n > 0 || (n < 0 && errno == EINTR)));
    return n == 0;
}

/* The real address, and whether this is a socket at all. */
static bool look_at(struct listen_socket *s)
{
    if (sock_addr_of(s->fds[0], &s->bound) < 0 || !fd_listens(s->fds[0]))
        return false;
    if (s->asked.len == 0)
        s->asked = s->bound;
    sock_addr_text(&s->bound, s->text);
    for (size_t i = 0; i < s->nfds; i++)
        fd_set_nonblock(s->fds[i], true);
    return true;
}

static bool look_at_set(struct listen_set *set)
{
    bool good = true;

    for (size_t i = 0; good && i < set->n; i++)
        good = look_at(&set->v[i]);
    return good;
}

static bool take_from(int fd, struct handover *out)
{
    struct buf text = {0};
    bool good = read_text(fd, &text) && handover_parse(buf_str(&text), out);

    buf_free(&text);
    good = good && look_at_set(&out->listens) && look_at_set(&out->inherited);
    return good && keep_open(out, false) == 0 && fd_set_nonblock(out->channel, true) == 0;
}

int handover_take(struct handover *out)
{
    const char *number = getenv(HANDOVER_ENV);
    bool good;
    int fd;

    *out = (struct handover){.channel = -1, .errors = -1};
    if (!number)
        return -ENOENT;
    good = to_int(str_of(number), &fd) && fd > STDERR_FILENO;
    unsetenv(HANDOVER_ENV);
    if (!good)
        return -EINVAL;
    good = take_from(fd, out);
    close(fd);
    if (!good)
        handover_free(out);
    return good ? 0 : -EINVAL;
}
