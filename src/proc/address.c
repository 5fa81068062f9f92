/* address.c - see address.h. */
#include "proc/address.h"

#include "base/check.h"
#include "os/holder.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define TRY_AGAIN_MS 20

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

bool address_next(const struct conf *c, struct address *a)
{
    const char *error;

    if (a->conf)
        a->index++;
    while (a->section < c->nlistens && a->index >= c->listens[a->section].address.n) {
        a->section++;
        a->index = 0;
    }
    if (a->section >= c->nlistens)
        return false;
    a->conf = &c->listens[a->section];
    a->text = a->conf->address.v[a->index];
    a->at = place_of(a->conf, a->text, &a->width);
    check(sock_addr_parse(a->text, &a->addr, &error));
    return true;
}

struct sock_listen_opts address_opts(const struct address *a)
{
    return (struct sock_listen_opts){.backlog = (int)a->conf->backlog,
                                     .deferred = a->conf->deferred,
                                     .unix_mode = (unsigned)a->conf->mode};
}

int address_listen(const struct address *a, int *patience_ms)
{
    struct sock_listen_opts opts = address_opts(a);
    int fd = sock_listen(&a->addr, &opts);

    while (fd == -EADDRINUSE && *patience_ms > 0) {
        poll(NULL, 0, TRY_AGAIN_MS);
        *patience_ms -= TRY_AGAIN_MS;
        fd = sock_listen(&a->addr, &opts);
    }
    return fd;
}

/* ---- What is wrong ---- */

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

static void complain_in_use(struct settings *s, const struct address *a)
{
    cs_str text = a->text;
    char who[128];
    unsigned port =
        sock_addr_is_unix(&a->addr) ? 0 : (unsigned)strtoul(port_of(text.p) + 1, NULL, 10);
    bool known = port > 0 && holder_of_port(port, who, sizeof who);

    report_error(&s->report, &a->at, a->width,
                 "address %s is in use by another process%s%s%s; choose another or stop that "
                 "process",
                 text.p, known ? " (" : "", known ? who : "", known ? ")" : "");
}

void address_complain(struct settings *s, const struct address *a, const struct listen_set *old,
                      const struct listen_set *inherited, int error)
{
    cs_str text = a->text;
    const char *own = own_address(old, text.p);
    const char *given = own_address(inherited, text.p);

    if (error == -EADDRINUSE && given)
        report_error(&s->report, &a->at, a->width,
                     "address %s is, or overlaps, the socket %s that was passed to this server; "
                     "listen on that, once, by its address or as socket:NAME",
                     text.p, given);
    else if (error == -EADDRINUSE && own)
        report_error(&s->report, &a->at, a->width,
                     "address %s overlaps %s, which this server listens on now; a change from one "
                     "to the other needs a restart",
                     text.p, own);
    else if (error == -EADDRINUSE)
        complain_in_use(s, a);
    else if (error == -EACCES && !sock_addr_is_unix(&a->addr))
        report_error(&s->report, &a->at, a->width,
                     "cannot listen on %s: %s; ports below 1024 need root or "
                     "CAP_NET_BIND_SERVICE",
                     text.p, strerror(-error));
    else if (error == -EADDRNOTAVAIL)
        report_error(&s->report, &a->at, a->width,
                     "cannot listen on %s: this machine has no such address", text.p);
    else
        report_error(&s->report, &a->at, a->width, "cannot listen on %s: %s", text.p,
                     strerror(-error));
}

void address_complain_twin(struct settings *s, const struct address *a, int error)
{
    cs_str text = a->text;
    const char *remedy = "another policy needs one socket only";

    if (error == -EADDRINUSE)
        remedy = "the first was opened by another user, or another server shares the address; "
                 "restart, or choose another policy";
    else if (error == -EACCES)
        remedy = "ports below 1024 need root or CAP_NET_BIND_SERVICE; choose another policy";
    else if (error == -EMFILE || error == -ENFILE)
        remedy = "raise the limit of open files, lower max_workers, or choose another policy";
    report_error(&s->report, &a->at, a->width,
                 "policy = reuseport needs a socket for each worker, and %s gets no second one: "
                 "%s; %s",
                 text.p, strerror(-error), remedy);
}

void address_complain_name(struct settings *s, const struct address *a,
                           const struct listen_set *inherited)
{
    const char *name = sock_addr_name(&a->addr);
    struct buf names = {0};

    for (size_t i = 0; inherited && i < inherited->n; i++)
        buf_printf(&names, "%s%s", i ? ", " : "",
                   inherited->v[i].name[0] ? inherited->v[i].name : inherited->v[i].text);
    if (names.n)
        report_error(&s->report, &a->at, a->width,
                     "no socket called \"%s\" was passed to this server, or another address has "
                     "it already; passed were: %s",
                     name, names.p);
    else
        report_error(&s->report, &a->at, a->width,
                     "no socket was passed to this server: socket:%s is for a start by systemd, "
                     "with FileDescriptorName=%s in a .socket unit; write an address instead",
                     name, name);
    buf_free(&names);
}
