/* listen_check.c - see listen_check.h. */
#include "proc/listen_check.h"

#include "proc/address.h"
#include "proc/logs.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

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

static int check_address(const struct address *a, int *patience_ms)
{
    int fd = sock_addr_is_unix(&a->addr) ? check_unix(&a->addr) : address_listen(a, patience_ms);

    if (!sock_addr_is_unix(&a->addr) && fd >= 0)
        close(fd);
    return fd < 0 ? fd : 0;
}

static bool may_use(const struct listen_set *inherited, const struct address *a)
{
    for (size_t i = 0; inherited && i < inherited->n; i++)
        if (sock_addr_name(&a->addr) ? listen_has_name(&inherited->v[i], &a->addr)
                                     : sock_addr_same(&inherited->v[i].bound, &a->addr))
            return true;
    return false;
}

static void check_name(struct settings *s, const struct address *a,
                       const struct listen_owned *owned)
{
    if (owned->outside)
        report_note(&s->report, &a->at, a->width,
                    "whether a socket called \"%s\" is there can only be told when systemd "
                    "starts the server",
                    sock_addr_name(&a->addr));
    else
        address_complain_name(s, a, owned->inherited);
}

static void check_open(struct settings *s, const struct address *a,
                       const struct listen_owned *owned, int *patience_ms)
{
    int rc = owns(owned->set, &a->addr) ? 0 : check_address(a, patience_ms);

    if (rc == -EADDRINUSE && owned->unsure)
        report_warning(&s->report, &a->at, a->width,
                       "address %s is in use; whether by the running server, this user may "
                       "not ask",
                       a->text.p);
    else if (rc < 0)
        address_complain(s, a, owned->set, owned->inherited, rc);
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
    struct address a = {0};

    while (address_next(s->conf, &a))
        if (may_use(&one, &a))
            return true;
    return false;
}

void listen_check(struct settings *s, const struct listen_owned *owned)
{
    const struct listen_set *all = owned->inherited;
    int patience_ms = owned->patience_ms;
    struct address a = {0};

    while (address_next(s->conf, &a)) {
        if (may_use(all, &a))
            continue;
        if (sock_addr_name(&a.addr))
            check_name(s, &a, owned);
        else
            check_open(s, &a, owned, &patience_ms);
    }
    for (size_t i = 0; all && i < all->n; i++)
        if (!is_used(s, &all->v[i]))
            warn_unused(s, &all->v[i]);
}
