/* listen.h - the listening sockets of one generation. The master opens each address once; a reload
 * takes over what is open already, so no connection that waits in a backlog is lost. */
#ifndef PROC_LISTEN_H
#define PROC_LISTEN_H

#include "os/sock.h"
#include "proc/settings.h"

struct listen_socket {
    struct sock_addr asked;   /* as the settings say */
    struct sock_addr bound;   /* with the real port */
    char text[SOCK_TEXT_MAX]; /* of bound */
    int fd;
    bool old;  /* belongs to an earlier generation (or to whoever started us) as well */
    bool file; /* a unix socket whose file this server has made */
};

struct listen_set {
    size_t n;
    struct listen_socket *v;
};

/* Sockets that whoever started the server has opened for it (LISTEN_FDS of systemd), as a set; the
 * environment is cleaned. Empty where there are none. */
void listen_inherit(struct listen_set *out);

struct listen_from {
    const struct listen_set *old;       /* of the running generation; may be NULL */
    const struct listen_set *inherited; /* may be NULL */
    int patience_ms; /* an address in use is tried again for so long: a dead server's workers are
                        letting go of it */
};

/* Opens what the settings ask for. Problems go to the settings' report with their place; false
 * then, and nothing new is left open. */
bool listen_open(struct listen_set *out, struct settings *s, const struct listen_from *from);

/* What a test knows about addresses that are in use. */
struct listen_owned {
    const struct listen_set *set; /* what the running server has; may be NULL. Their fd may be -1 */
    bool unsure; /* a server is there and may not be asked: an address in use is a warning */
    int patience_ms;
};

/* Would listen_open work? Opens and closes TCP addresses; makes no socket file. */
void listen_check(struct settings *s, const struct listen_owned *owned);

/* Adds an address that some other process has open. */
void listen_note(struct listen_set *set, const struct sock_addr *a);
/* Puts the sockets into the plan. */
void listen_fill(const struct listen_set *set, struct serve_plan *plan);
/* Closes the sockets of `set` that are not in `keep` (NULL: all) and frees it. remove_files: also
 * removes the files of unix sockets. */
void listen_close(struct listen_set *set, const struct listen_set *keep, bool remove_files);
/* Closes the descriptors of `set` that are not in `mine`; for children, leaves the set as it is. */
void listen_shed(const struct listen_set *set, const struct listen_set *mine);

#endif
