/* listen.c - see listen.h. */
#include "proc/listen.h"

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "os/fd.h"
#include "os/sock_unix.h"
#include "proc/address.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct listen_socket *add(struct listen_set *set)
{
    set->v = mem_resize(set->v, (set->n + 1) * sizeof *set->v);
    set->v[set->n] = (struct listen_socket){0};
    return &set->v[set->n++];
}

static const struct listen_socket *find_given(const struct listen_set *set, int given)
{
    for (size_t i = 0; set && given && i < set->n; i++)
        if (set->v[i].given == given)
            return &set->v[i];
    return NULL;
}

/* The sockets of an address go from set to set together, and keep their order: the first tells. */
static const struct listen_socket *find_same(const struct listen_set *set,
                                             const struct listen_socket *s)
{
    for (size_t i = 0; set && s->nfds && i < set->n; i++)
        if (set->v[i].nfds && set->v[i].fds[0] == s->fds[0])
            return &set->v[i];
    return NULL;
}

/* Not yet taken: ":0" may be asked for several times. */
static const struct listen_socket *find(const struct listen_set *set, const struct sock_addr *a,
                                        const struct listen_set *taken)
{
    for (size_t i = 0; set && i < set->n; i++)
        if (sock_addr_same(&set->v[i].asked, a) && !find_same(taken, &set->v[i]) &&
            !find_given(taken, set->v[i].given))
            return &set->v[i];
    return NULL;
}

static void hold(struct listen_socket *s, int fd)
{
    s->fds = mem_resize(s->fds, (s->nfds + 1) * sizeof *s->fds);
    s->fds[s->nfds++] = fd;
}

/* What `kept` has as well stays open. Twins that only were to be do not listen yet: nothing is lost with them. */
static void close_new(struct listen_socket *s, const struct listen_socket *kept, bool remove_file)
{
    size_t n = kept ? kept->nfds : 0;

    if (!kept && remove_file && s->file)
        unlink(s->bound.u.un.sun_path);
    for (size_t i = n; i < s->nfds; i++)
        fd_close(&s->fds[i]);
    if (n == 1 && s->policy == CONF_POLICY_REUSEPORT)
        sock_share(kept->fds[0], false);
    free(s->fds);
    *s = (struct listen_socket){0};
}

static int open_new(struct listen_socket *s, const struct address *a, int *patience_ms)
{
    int rc;

    int fd = address_listen(a, patience_ms);

    if (fd < 0)
        return fd;
    *s = (struct listen_socket){
        .asked = a->addr, .file = sock_addr_is_unix(&a->addr), .nlistening = 1};
    hold(s, fd);
    rc = sock_addr_of(fd, &s->bound);
    if (rc < 0)
        close_new(s, NULL, true);
    else
        sock_addr_text(&s->bound, s->text);
    return rc;
}

/* The same descriptors in an array of its own. */
static struct listen_socket copy_of(const struct listen_socket *from)
{
    struct listen_socket s = *from;

    s.fds = NULL;
    s.nfds = 0;
    for (size_t i = 0; i < from->nfds; i++)
        hold(&s, from->fds[i]);
    return s;
}

/* The original stays where it is. */
static int copy_given(struct listen_socket *s, const struct listen_socket *from)
{
    int fd = fcntl(from->fds[0], F_DUPFD_CLOEXEC, STDERR_FILENO + 1);

    if (fd < 0)
        return -errno;
    *s = *from;
    s->fds = NULL;
    s->nfds = 0;
    hold(s, fd);
    return 0;
}

/* Bound only: listen_grow does the rest. */
static int add_twins(struct listen_socket *s, size_t n)
{
    int rc = s->nfds < n ? sock_share(s->fds[0], true) : 0;

    while (rc >= 0 && s->nfds < n) {
        rc = sock_twin(s->fds[0]);
        if (rc >= 0)
            hold(s, rc);
    }
    return rc < 0 ? rc : 0;
}

static enum conf_policy policy_of(const struct conf *c, const struct address *a,
                                  const struct listen_socket *s)
{
    int64_t policy = a->conf->policy == CONF_POLICY_DEFAULT ? c->accept.policy : a->conf->policy;

    if (policy == CONF_POLICY_REUSEPORT && sock_addr_is_unix(&s->bound))
        return CONF_POLICY_TURN;
    return (enum conf_policy)policy;
}

/* ---- Opening ---- */

struct opening {
    struct listen_set *out;
    struct settings *settings;
    const struct listen_from *from;
    int patience_ms;
};

static void add_given(struct opening *o, const struct address *a, const struct listen_socket *given)
{
    const struct listen_socket *have = find_given(o->from->old, given->given);
    struct listen_socket *new = add(o->out);
    int rc = 0;

    if (have)
        *new = copy_of(have);
    else
        rc = copy_given(new, given);
    if (rc < 0) {
        o->out->n--;
        address_complain(o->settings, a, o->from->old, NULL, rc);
    }
}

bool listen_has_name(const struct listen_socket *s, const struct sock_addr *a)
{
    return strcmp(s->name, sock_addr_name(a)) == 0;
}

/* All of that name. */
static void open_named(struct opening *o, const struct address *a)
{
    const struct listen_set *all = o->from->inherited;
    size_t before = o->out->n;
    unsigned errors = o->settings->report.errors;

    for (size_t i = 0; all && i < all->n; i++)
        if (listen_has_name(&all->v[i], &a->addr) && !find_given(o->out, all->v[i].given))
            add_given(o, a, &all->v[i]);
    if (o->out->n == before && o->settings->report.errors == errors)
        address_complain_name(o->settings, a, all);
}

/* A socket of the running generation, or of whoever started us, or a new one. */
static void open_address(struct opening *o, const struct address *a)
{
    const struct listen_socket *old = find(o->from->old, &a->addr, o->out), *given;
    struct listen_socket *new;
    int rc;

    if (old) {
        *add(o->out) = copy_of(old);
        return;
    }
    given = find(o->from->inherited, &a->addr, o->out);
    if (given) {
        add_given(o, a, given);
        return;
    }
    new = add(o->out);
    rc = open_new(new, a, &o->patience_ms);
    if (rc < 0) {
        o->out->n--;
        address_complain(o->settings, a, o->from->old, o->from->inherited, rc);
    }
}

static void finish(struct opening *o, const struct address *a, struct listen_socket *s)
{
    int rc;

    s->asked = a->addr;
    s->section = a->section;
    s->policy = policy_of(o->settings->conf, a, s);
    s->opts = address_opts(a);
    rc = s->policy == CONF_POLICY_REUSEPORT ? add_twins(s, o->from->positions) : 0;
    if (rc < 0)
        address_complain_twin(o->settings, a, rc);
}

static void take(struct opening *o, const struct address *a)
{
    size_t i = o->out->n;

    if (sock_addr_name(&a->addr))
        open_named(o, a);
    else
        open_address(o, a);
    for (; i < o->out->n; i++)
        finish(o, a, &o->out->v[i]);
}

bool listen_open(struct listen_set *out, struct settings *s, const struct listen_from *from)
{
    struct opening o = {.out = out, .settings = s, .from = from, .patience_ms = from->patience_ms};
    unsigned before = s->report.errors;
    struct address a = {0};

    *out = (struct listen_set){0};
    while (address_next(s->conf, &a))
        take(&o, &a);
    if (s->report.errors == before)
        return true;
    listen_close(out, from->old, true);
    return false;
}

/* ---- Trying ---- */

void listen_note(struct listen_set *set, const struct sock_addr *a)
{
    struct listen_socket *s = add(set);

    s->asked = s->bound = *a;
    sock_addr_text(a, s->text);
}

static bool is_spread(const struct listen_socket *s)
{
    return s->policy == CONF_POLICY_REUSEPORT;
}

static int grow(struct listen_socket *s, size_t n)
{
    int rc = 0;

    while (rc == 0 && s->nlistening < n && s->nlistening < s->nfds) {
        rc = sock_start(s->fds[s->nlistening], s->opts.backlog);
        s->nlistening += rc == 0;
    }
    return rc;
}

static int settle(const struct listen_socket *s)
{
    bool by_path = sock_addr_is_unix(&s->bound);
    int rc = by_path && s->file ? sock_unix_set_mode(s->bound.u.un.sun_path, s->opts.unix_mode) : 0;

    for (size_t i = 0; rc == 0 && !by_path && i < s->nfds; i++)
        rc = sock_defer(s->fds[i], s->opts.deferred);
    for (size_t i = 0; rc == 0 && i < s->nlistening; i++)
        rc = sock_start(s->fds[i], s->opts.backlog);
    return rc;
}

void listen_settle(const struct listen_set *set)
{
    for (size_t i = 0; i < set->n; i++) {
        int rc = set->v[i].given ? 0 : settle(&set->v[i]);

        if (rc < 0)
            log_warn("cannot change how %s is listened on: %s", set->v[i].text, strerror(-rc));
    }
}

int listen_grow(struct listen_set *set, size_t n)
{
    int first = 0;

    for (size_t i = 0; i < set->n; i++)
        if (is_spread(&set->v[i]) && set->v[i].nlistening > n)
            n = set->v[i].nlistening;
    for (size_t i = 0; i < set->n; i++) {
        int rc = is_spread(&set->v[i]) ? grow(&set->v[i], n) : 0;

        first = first ? first : rc;
    }
    return first;
}

size_t listen_width(const struct listen_set *set)
{
    size_t least = 0;

    for (size_t i = 0; i < set->n; i++)
        if (is_spread(&set->v[i]) && (least == 0 || set->v[i].nlistening < least))
            least = set->v[i].nlistening;
    return least;
}

static void fill(struct serve_listener *to, const struct listen_socket *from)
{
    to->addr = from->bound;
    to->policy = from->policy;
    to->nfds = from->nfds;
    to->fds = mem_alloc(from->nfds * sizeof *to->fds);
    memcpy(to->fds, from->fds, from->nfds * sizeof *to->fds);
    memcpy(to->text, from->text, sizeof to->text);
}

void listen_fill(const struct listen_set *set, struct serve_plan *plan)
{
    serve_plan_drop_listeners(plan);
    plan->listeners = mem_alloc((set->n + 1) * sizeof *plan->listeners);
    plan->nlisteners = set->n;
    for (size_t i = 0; i < set->n; i++) {
        check(set->v[i].section < plan->conf->nlistens);
        plan->listeners[i].conf = &plan->conf->listens[set->v[i].section];
        fill(&plan->listeners[i], &set->v[i]);
    }
}

void listen_close(struct listen_set *set, const struct listen_set *keep, bool remove_files)
{
    for (size_t i = 0; i < set->n; i++)
        close_new(&set->v[i], find_same(keep, &set->v[i]), remove_files);
    free(set->v);
    *set = (struct listen_set){0};
}

void listen_shed(const struct listen_set *set, const struct listen_set *mine)
{
    for (size_t i = 0; i < set->n; i++) {
        const struct listen_socket *s = &set->v[i], *kept = find_same(mine, s);

        for (size_t k = kept ? kept->nfds : 0; k < s->nfds; k++)
            close(s->fds[k]);
    }
}
