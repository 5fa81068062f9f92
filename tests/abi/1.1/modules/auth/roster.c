#include "roster.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOOK_MS 1000
#define SETTLED_S                                                                                  \
    2 /* a file that was written so shortly before may be written again, and keep its time */

/* ---- One file ---- */

static int complain(char error[ROSTER_ERROR], const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static int complain(char error[ROSTER_ERROR], const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(error, ROSTER_ERROR, fmt, ap);
    va_end(ap);
    return -1;
}

_Bool roster_add_cost(const char *costs[SECRET_COSTS + 1], const char *hash)
{
    char cost[SECRET_COST], other[SECRET_COST];
    size_t i = 0;
    secret_cost(hash, cost);
    for (; costs[i]; i++) {
        secret_cost(costs[i], other);
        if (strcmp(cost, other) == 0)
            return 1;
    }
    if (i == SECRET_COSTS)
        return 0;
    costs[i] = hash;
    return 1;
}

static const char *fault_of(struct roster *r, const char *known)
{
    const char *fault = secret_fault(known);
    if (!fault && !secret_is_hash(known))
        fault =
            "has no hash: in a file there are no plain passwords; `openssl passwd -6` makes one";
    if (!fault && !roster_add_cost(r->costs, known))
        fault =
            "has a hash that takes another time than those of the others, of which there are four "
            "kinds already: make some of them anew";
    return fault;
}

static int take_line(struct roster *r, char *line, unsigned number, const char *path,
                     char error[ROSTER_ERROR])
{
    line[strcspn(line, "\r")] = '\0';
    char *colon = strchr(line, ':');
    if (!*line || *line == '#')
        return 0;
    if (!colon || colon == line)
        return complain(error, "%s:%u: this is not name:hash", path, number);
    *colon = '\0';
    colon[1 + strcspn(colon + 1, ":")] = '\0';
    const char *fault = fault_of(r, colon + 1);
    if (fault)
        return complain(error, "%s:%u: %.40s %s", path, number, line, fault);
    struct roster_user *more = reallocarray(r->users, r->n + 1, sizeof *more);
    if (!more)
        return complain(error, "%s: no memory for so many users", path);
    r->users = more;
    r->users[r->n++] = (struct roster_user){line, colon + 1, number};
    return 0;
}

static int by_name(const void *a, const void *b)
{
    const struct roster_user *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static int check_all(struct roster *r, const char *path, char error[ROSTER_ERROR])
{
    if (!r->n)
        return complain(error, "%s: there is nobody in it", path);
    qsort(r->users, r->n, sizeof *r->users, by_name);
    for (size_t i = 1; i < r->n; i++) {
        const struct roster_user *a = &r->users[i - 1], *b = &r->users[i];
        if (strcmp(a->name, b->name) == 0)
            return complain(error, "%s:%u: %.40s is in line %u too: leave one of them out", path,
                            a->line > b->line ? a->line : b->line, a->name,
                            a->line > b->line ? b->line : a->line);
    }
    return 0;
}

static int take_lines(struct roster *r, size_t n, const char *path, char error[ROSTER_ERROR])
{
    unsigned number = 0;
    for (char *line = r->text, *end = r->text + n; line < end; number++) {
        char *next = memchr(line, '\n', (size_t)(end - line));
        next = next ? next : end;
        *next = '\0';
        if (strlen(line) != (size_t)(next - line))
            return complain(error, "%s:%u: there is a NUL byte in it", path, number + 1);
        if (take_line(r, line, number + 1, path, error) < 0)
            return -1;
        line = next + 1;
    }
    return check_all(r, path, error);
}

/* The length, or -1. */
static ssize_t read_text(struct roster *r, int fd, const char *path, char error[ROSTER_ERROR])
{
    size_t n = 0;
    ssize_t got = 1;
    struct stat st;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return complain(error, "%s: it is no file", path);
    r->text = malloc(ROSTER_SIZE + 1);
    if (!r->text)
        return complain(error, "%s: no memory to read it", path);
    while (n < ROSTER_SIZE && (got = read(fd, r->text + n, ROSTER_SIZE - n)) > 0)
        n += (size_t)got;
    if (got < 0)
        return complain(error, "%s: cannot be read: %s", path, strerror(errno));
    if (n == ROSTER_SIZE)
        return complain(error, "%s: it is larger than 4 MiB", path);
    char *fitting = realloc(r->text, n + 1);
    r->text = fitting ? fitting : r->text;
    return (ssize_t)n;
}

int roster_read(struct roster *to, const char *path, char error[ROSTER_ERROR])
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    *to = (struct roster){0};
    if (fd < 0)
        return complain(error,
                        errno == EACCES
                            ? "%s: cannot be opened: %s; the user of the workers has to be "
                              "able to read it"
                            : "%s: cannot be opened: %s",
                        path, strerror(errno));
    const ssize_t n = read_text(to, fd, path, error);
    close(fd);
    if (n >= 0 && take_lines(to, (size_t)n, path, error) == 0)
        return 0;
    roster_free(to);
    return -1;
}

void roster_free(struct roster *r)
{
    free(r->users);
    free(r->text);
    *r = (struct roster){0};
}

const char *roster_find(const struct roster *r, const char *name)
{
    const struct roster_user wanted = {.name = name};
    const struct roster_user *u = bsearch(&wanted, r->users, r->n, sizeof *r->users, by_name);
    return u ? u->known : NULL;
}

/* ---- All that this process has read ---- */

struct kept {
    struct kept *next;
    char *path;
    int64_t looked_at;
    struct timespec changed; /* of what was read last, right or wrong; so below */
    off_t size;
    ino_t inode;
    _Bool unsettled;
    struct roster now; /* n 0: it never was right */
    char error[ROSTER_ERROR];
};

static struct kept *all;

static struct kept *find(const char *path)
{
    for (struct kept *k = all; k; k = k->next)
        if (strcmp(k->path, path) == 0)
            return k;
    struct kept *k = calloc(1, sizeof *k);
    if (!k || !(k->path = strdup(path))) {
        free(k);
        return NULL;
    }
    k->looked_at = -LOOK_MS;
    k->size = -1;
    k->next = all;
    all = k;
    return k;
}

/* Is it another one than the one that was read? Notes what it is. */
static _Bool has_changed(struct kept *k)
{
    struct stat st = {.st_size = -2};
    const struct timespec was = k->changed;
    const _Bool there = stat(k->path, &st) == 0;
    const _Bool same = k->size == st.st_size && k->inode == st.st_ino && !k->unsettled &&
                       was.tv_sec == st.st_mtim.tv_sec && was.tv_nsec == st.st_mtim.tv_nsec;
    k->size = st.st_size;
    k->inode = st.st_ino;
    k->changed = st.st_mtim;
    k->unsettled = there && time(NULL) - st.st_mtim.tv_sec < SETTLED_S;
    return !same;
}

static void look(struct kept *k)
{
    struct roster next;
    char error[ROSTER_ERROR];
    if (!has_changed(k))
        return;
    if (roster_read(&next, k->path, error) == 0) {
        roster_free(&k->now);
        k->now = next;
        k->error[0] = '\0';
        return;
    }
    if (k->now.n && strcmp(error, k->error) != 0)
        cs_log(CS_ERR, "%s; the users that it had before remain", error);
    memcpy(k->error, error, sizeof error);
}

const struct roster *roster_of(const char *path, int64_t now_ms, const char **error)
{
    struct kept *k = find(path);
    if (!k) {
        *error = "no memory to read the file of users";
        return NULL;
    }
    if (now_ms - k->looked_at >= LOOK_MS) {
        k->looked_at = now_ms;
        look(k);
    }
    *error = k->error;
    return k->now.n ? &k->now : NULL;
}
