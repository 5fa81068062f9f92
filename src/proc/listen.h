/* listen.h - the listening sockets of one generation. The master opens each address once; a reload
 * takes over what is open already, so no connection that waits in a backlog is lost.
 *
 * Policy reuseport needs as many sockets as there can be workers, at the same address. The first is always made alone
 * (so a foreign server at that address is found) and listens at once; the others are only bound, until listen_grow:
 * settings that do not go live after all can be taken back, since no connection can wait in such a socket. A socket that
 * listens once does so as long as its address is in the settings, whatever the policy becomes.
 *
 * Sockets that systemd has opened (struct listen_set of listen_inherit) are matched by address, or by name:
 * "socket:NAME" stands for all of that name. A generation has copies of their descriptors; the originals stay with the
 * master until the server stops, so that any later settings can ask for them. */
#ifndef PROC_LISTEN_H
#define PROC_LISTEN_H

#include "os/sock.h"
#include "proc/settings.h"

#define LISTEN_NAME_MAX 256 /* with a NUL, as systemd has it */

struct listen_socket {
    struct sock_addr asked;       /* as the settings say */
    struct sock_addr bound;       /* with the real port */
    char text[SOCK_TEXT_MAX];     /* of bound */
    enum conf_policy policy;      /* never DEFAULT; of a unix socket never REUSEPORT */
    struct sock_listen_opts opts; /* as the settings say */
    size_t nfds, nlistening;      /* the first nlistening of them listen. None: noted only */
    int *fds;
    bool file;                  /* a unix socket whose file this server has made */
    int given;                  /* the descriptor it was passed as; 0: opened by this server */
    char name[LISTEN_NAME_MAX]; /* of LISTEN_FDNAMES; "" = none */
    size_t section;             /* the number of its [listen:...] section in the settings */
};

struct listen_set {
    size_t n;
    struct listen_socket *v;
};

/* Sockets that whoever started the server has opened for it (LISTEN_FDS and LISTEN_FDNAMES of systemd), as a set; the
 * environment is cleaned. Empty where there are none. What is no listening stream socket is logged and closed. */
void listen_inherit(struct listen_set *out);

struct listen_from {
    const struct listen_set *old;       /* of the running generation; may be NULL */
    const struct listen_set *inherited; /* may be NULL */
    unsigned positions; /* of workers: so many sockets has an address with policy reuseport */
    int patience_ms;    /* an address in use is tried again for so long: a dead server's workers are
                        letting go of it */
};

/* Opens what the settings ask for. Problems go to the settings' report with their place; false
 * then, and nothing new is left open. */
bool listen_open(struct listen_set *out, struct settings *s, const struct listen_from *from);

/* Was it passed under the name of this address ("socket:NAME")? */
bool listen_has_name(const struct listen_socket *s, const struct sock_addr *a);
/* Adds an address that some other process has open. */
void listen_note(struct listen_set *set, const struct sock_addr *a);
/* Lets each address with policy reuseport listen on n of its sockets (or on more, when one of them does already). 0 or
 * -errno of the first that cannot; the others do then. */
int listen_grow(struct listen_set *set, size_t n);
/* These settings are live now: what was open before gets their backlog, deferred and mode. Not what the server was given. */
void listen_settle(const struct listen_set *set);
/* On how many sockets all addresses with policy reuseport listen; 0: there is no such address. */
size_t listen_width(const struct listen_set *set);
/* Puts the sockets into the plan. */
void listen_fill(const struct listen_set *set, struct serve_plan *plan);
/* Closes the sockets of `set` that are not in `keep` (NULL: all) and frees it. remove_files: also
 * removes the files of unix sockets. An address of which `keep` has the first socket alone is not shared any more. */
void listen_close(struct listen_set *set, const struct listen_set *keep, bool remove_files);
/* Closes the descriptors of `set` that are not in `mine`; for children, leaves the set as it is. */
void listen_shed(const struct listen_set *set, const struct listen_set *mine);

#endif
