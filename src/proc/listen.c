/* listen.c - see listen.h. */
#include "proc/listen.h"

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "os/fd.h"
#include "os/holder.h"
#include "os/sock_unix.h"
#include "proc/logs.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRY_AGAIN_MS 20

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

/* Each address of each [listen:...] section, one after the other. */
struct each {
    const struct conf_listen *conf;
    size_t section, address;
    struct sock_addr addr;
    struct conf_origin at;
    int width;
};

/* Where the address stands: within the value if it can be found there. */
static struct conf_origin place_of(const struct conf_listen *l, cs_str text, int *width)
{
    const struct conf_head *head = &l->head;
    struct conf_origin at = head->at;

    *width = (int)text.n;
    for (size_t i = 0; i < head->nvalues; i++)
        if (strcmp(head->values[i].directive->name, "address") == 0)
            at = head->values[i].origin;
    return at.text ? report_point(&at, text) : at;
}

static bool next_address(const struct conf *c, size_t *section, size_t *address, struct each *e)
{
    const char *error;

    while (*section < c->nlistens && *address >= c->listens[*section].address.n) {
        (*section)++;
        *address = 0;
    }
    if (*section >= c->nlistens)
        return false;
    e->section = *section;
    e->conf = &c->listens[*section];
    e->address = (*address)++;
    e->at = place_of(e->conf, e->conf->address.v[e->address], &e->width);
    check(sock_addr_parse(e->conf->address.v[e->address], &e->addr, &error));
    return true;
}

static const char *port_of(const char *text)
{
    const char *colon = strrchr(text, ':');

    return colon ? colon : text;
}

/* The same port on another address is the usual reason when it is our own. */
static const char *own_address(const struct listen_set *old, const char *text)
{
    for (size_t i = 0; old && i < old->n; i++)
        if (!sock_addr_is_unix(&old->v[i].bound) &&
            strcmp(port_of(old->v[i].text), port_of(text)) == 0)
            return old->v[i].text;
    return NULL;
}

static void complain_in_use(struct settings *s, const struct each *e)
{
    cs_str text = e->conf->address.v[e->address];
    char who[128];
    unsigned port =
        sock_addr_is_unix(&e->addr) ? 0 : (unsigned)strtoul(port_of(text.p) + 1, NULL, 10);
    bool known = port > 0 && holder_of_port(port, who, sizeof who);

    report_error(&s->report, &e->at, e->width,
                 "address %s is in use by another process%s%s%s; choose another or stop that "
                 "process",
                 text.p, known ? " (" : "", known ? who : "", known ? ")" : "");
}

static void complain(struct settings *s, const struct each *e, const struct listen_set *old,
                     const struct listen_set *inherited, int error)
{
    cs_str text = e->conf->address.v[e->address];
    const char *own = own_address(old, text.p);
    const char *given = own_address(inherited, text.p);

    if (error == -EADDRINUSE && given)
        report_error(&s->report, &e->at, e->width,
                     "address %s is, or overlaps, the socket %s that was passed to this server; "
                     "listen on that, once, by its address or as socket:NAME",
                     text.p, given);
    else if (error == -EADDRINUSE && own)
        report_error(&s->report, &e->at, e->width,
                     "address %s overlaps %s, which this server listens on now; a change from one "
                     "to the other needs a restart",
                     text.p, own);
    else if (error == -EADDRINUSE)
        complain_in_use(s, e);
    else if (error == -EACCES && !sock_addr_is_unix(&e->addr))
        report_error(&s->report, &e->at, e->width,
                     "cannot listen on %s: %s; ports below 1024 need root or "
                     "CAP_NET_BIND_SERVICE",
                     text.p, strerror(-error));
    else if (error == -EADDRNOTAVAIL)
        report_error(&s->report, &e->at, e->width,
                     "cannot listen on %s: this machine has no such address", text.p);
    else
        report_error(&s->report, &e->at, e->width, "cannot listen on %s: %s", text.p,
                     strerror(-error));
}

/* The first socket of the address is there, another one at the same place cannot be made. */
static void complain_twin(struct settings *s, const struct each *e, int error)
{
    cs_str text = e->conf->address.v[e->address];
    const char *remedy = "another policy needs one socket only";

    if (error == -EADDRINUSE)
        remedy = "the first was opened by another user, or another server shares the address; "
                 "restart, or choose another policy";
    else if (error == -EACCES)
        remedy = "ports below 1024 need root or CAP_NET_BIND_SERVICE; choose another policy";
    else if (error == -EMFILE || error == -ENFILE)
        remedy = "raise the limit of open files, lower max_workers, or choose another policy";
    report_error(&s->report, &e->at, e->width,
                 "policy = reuseport needs a socket for each worker, and %s gets no second one: "
                 "%s; %s",
                 text.p, strerror(-error), remedy);
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

static struct sock_listen_opts opts_of(const struct each *e)
{
    return (struct sock_listen_opts){.backlog = (int)e->conf->backlog,
                                     .deferred = e->conf->deferred,
                                     .unix_mode = (unsigned)e->conf->mode};
}

static int open_one(const struct each *e, int *patience_ms)
{
    struct sock_listen_opts opts = opts_of(e);
    int fd = sock_listen(&e->addr, &opts);

    while (fd == -EADDRINUSE && *patience_ms > 0) {
        poll(NULL, 0, TRY_AGAIN_MS);
        *patience_ms -= TRY_AGAIN_MS;
        fd = sock_listen(&e->addr, &opts);
    }
    return fd;
}

static int open_new(struct listen_socket *s, const struct each *e, int *patience_ms)
{
    int rc;

    int fd = open_one(e, patience_ms);

    if (fd < 0)
        return fd;
    *s = (struct listen_socket){
        .asked = e->addr, .file = sock_addr_is_unix(&e->addr), .nlistening = 1};
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

static enum conf_policy policy_of(const struct conf *c, const struct each *e,
                                  const struct listen_socket *s)
{
    int64_t policy = e->conf->policy == CONF_POLICY_DEFAULT ? c->accept.policy : e->conf->policy;

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

static void add_given(struct opening *o, const struct each *e, const struct listen_socket *given)
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
        complain(o->settings, e, o->from->old, NULL, rc);
    }
}

static bool has_name(const struct listen_socket *s, const struct sock_addr *a)
{
    return strcmp(s->name, sock_addr_name(a)) == 0;
}

static void complain_name(struct settings *s, const struct each *e,
                          const struct listen_set *inherited)
{
    const char *name = sock_addr_name(&e->addr);
    struct buf names = {0};

    for (size_t i = 0; inherited && i < inherited->n; i++)
        buf_printf(&names, "%s%s", i ? ", " : "",
                   inherited->v[i].name[0] ? inherited->v[i].name : inherited->v[i].text);
    if (names.n)
        report_error(&s->report, &e->at, e->width,
                     "no socket called \"%s\" was passed to this server, or another address has "
                     "it already; passed were: %s",
                     name, names.p);
    else
        report_error(&s->report, &e->at, e->width,
                     "no socket was passed to this server: socket:%s is for a start by systemd, "
                     "with FileDescriptorName=%s in a .socket unit; write an address instead",
                     name, name);
    buf_free(&names);
}

/* All of that name. */
static void open_named(struct opening *o, const struct each *e)
{
    const struct listen_set *all = o->from->inherited;
    size_t before = o->out->n;
    unsigned errors = o->settings->report.errors;

    for (size_t i = 0; all && i < all->n; i++)
        if (has_name(&all->v[i], &e->addr) && !find_given(o->out, all->v[i].given))
            add_given(o, e, &all->v[i]);
    if (o->out->n == before && o->settings->report.errors == errors)
        complain_name(o->settings, e, all);
}

/* A socket of the running generation, or of whoever started us, or a new one. */
static void open_address(struct opening *o, const struct each *e)
{
    const struct listen_socket *old = find(o->from->old, &e->addr, o->out), *given;
    struct listen_socket *new;
    int rc;

    if (old) {
        *add(o->out) = copy_of(old);
        return;
    }
    given = find(o->from->inherited, &e->addr, o->out);
    if (given) {
        add_given(o, e, given);
        return;
    }
    new = add(o->out);
    rc = open_new(new, e, &o->patience_ms);
    if (rc < 0) {
        o->out->n--;
        complain(o->settings, e, o->from->old, o->from->inherited, rc);
    }
}

static void finish(struct opening *o, const struct each *e, struct listen_socket *s)
{
    int rc;

    s->asked = e->addr;
    s->section = e->section;
    s->policy = policy_of(o->settings->conf, e, s);
    s->opts = opts_of(e);
    rc = s->policy == CONF_POLICY_REUSEPORT ? add_twins(s, o->from->positions) : 0;
    if (rc < 0)
        complain_twin(o->settings, e, rc);
}

static void take(struct opening *o, const struct each *e)
{
    size_t i = o->out->n;

    if (sock_addr_name(&e->addr))
        open_named(o, e);
    else
        open_address(o, e);
    for (; i < o->out->n; i++)
        finish(o, e, &o->out->v[i]);
}

bool listen_open(struct listen_set *out, struct settings *s, const struct listen_from *from)
{
    struct opening o = {.out = out, .settings = s, .from = from, .patience_ms = from->patience_ms};
    size_t section = 0, address = 0;
    unsigned before = s->report.errors;
    struct each e;

    *out = (struct listen_set){0};
    while (next_address(s->conf, &section, &address, &e))
        take(&o, &e);
    if (s->report.errors == before)
        return true;
    listen_close(out, from->old, true);
    return false;
}

static bool owns(const struct listen_set *set, const struct sock_addr *a)
{
    for (size_t i = 0; set && i < set->n; i++)
        if (sock_addr_same(&set->v[i].asked, a))
            return true;
    return false;
}

/* A socket file cannot be tried out without leaving traces: look at what is there. */
static int check_unix(const struct sock_addr *a)
{
    struct stat st;
    const char *path = a->u.un.sun_path;

    if (lstat(path, &st) == 0 && !S_ISSOCK(st.st_mode))
        return -EEXIST;
    return logs_check_parent(path);
}

static int check_address(const struct each *e, int *patience_ms)
{
    int fd = sock_addr_is_unix(&e->addr) ? check_unix(&e->addr) : open_one(e, patience_ms);

    if (!sock_addr_is_unix(&e->addr) && fd >= 0)
        close(fd);
    return fd < 0 ? fd : 0;
}

/* ---- Trying ---- */

static bool may_use(const struct listen_set *inherited, const struct each *e)
{
    for (size_t i = 0; inherited && i < inherited->n; i++)
        if (sock_addr_name(&e->addr) ? has_name(&inherited->v[i], &e->addr)
                                     : sock_addr_same(&inherited->v[i].bound, &e->addr))
            return true;
    return false;
}

static void check_name(struct settings *s, const struct each *e, const struct listen_owned *owned)
{
    if (owned->outside)
        report_note(&s->report, &e->at, e->width,
                    "whether a socket called \"%s\" is there can only be told when systemd "
                    "starts the server",
                    sock_addr_name(&e->addr));
    else
        complain_name(s, e, owned->inherited);
}

static void check_open(struct settings *s, const struct each *e, const struct listen_owned *owned,
                       int *patience_ms)
{
    int rc = owns(owned->set, &e->addr) ? 0 : check_address(e, patience_ms);

    if (rc == -EADDRINUSE && owned->unsure)
        report_warning(&s->report, &e->at, e->width,
                       "address %s is in use; whether by the running server, this user may "
                       "not ask",
                       e->conf->address.v[e->address].p);
    else if (rc < 0)
        complain(s, e, owned->set, owned->inherited, rc);
}

static void warn_unused(struct settings *s, const struct listen_socket *given)
{
    bool named = given->name[0];

    report_warning(&s->report, NULL, 1,
                   "the socket %s%s%s%s was passed to this server, and nobody listens on it: write "
                   "`address = %s%s` in a [listen:...] section, or take it out of the .socket unit",
                   given->text, named ? " (" : "", given->name, named ? ")" : "",
                   named ? "socket:" : "", named ? given->name : given->text);
}

static bool is_used(struct settings *s, const struct listen_socket *given)
{
    struct listen_socket copy = *given;
    struct listen_set one = {.n = 1, .v = &copy};
    size_t section = 0, address = 0;
    struct each e;

    while (next_address(s->conf, &section, &address, &e))
        if (may_use(&one, &e))
            return true;
    return false;
}

void listen_check(struct settings *s, const struct listen_owned *owned)
{
    const struct listen_set *all = owned->inherited;
    size_t section = 0, address = 0;
    int patience_ms = owned->patience_ms;
    struct each e;

    while (next_address(s->conf, &section, &address, &e)) {
        if (may_use(all, &e))
            continue;
        if (sock_addr_name(&e.addr))
            check_name(s, &e, owned);
        else
            check_open(s, &e, owned, &patience_ms);
    }
    for (size_t i = 0; all && i < all->n; i++)
        if (!is_used(s, &all->v[i]))
            warn_unused(s, &all->v[i]);
}

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
