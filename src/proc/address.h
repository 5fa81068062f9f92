/* address.h - the addresses that the [listen:...] sections ask for, one after the other, and what is said, at their place
 * in the file, where one cannot be had. */
#ifndef PROC_ADDRESS_H
#define PROC_ADDRESS_H

#include "proc/listen.h"

struct address {
    const struct conf_listen *conf;
    size_t section, index; /* of the section in the settings; of the address in it */
    cs_str text;           /* as written, with a NUL */
    struct sock_addr addr;
    struct conf_origin at;
    int width;
};

/* The first one where *a is all zero, else the one behind it. False: there is none. */
bool address_next(const struct conf *c, struct address *a);
/* How its section wants to listen. */
struct sock_listen_opts address_opts(const struct address *a);
/* A socket that listens there, or -errno. While the address is in use it is tried again, and *patience_ms gets less. */
int address_listen(const struct address *a, int *patience_ms);

/* -errno came of listening there. `old` and `inherited` (may be NULL) are what the server has: one of them may be in the
 * way. */
void address_complain(struct settings *s, const struct address *a, const struct listen_set *old,
                      const struct listen_set *inherited, int error);
/* The first socket of the address is there, another one at the same place cannot be made. */
void address_complain_twin(struct settings *s, const struct address *a, int error);
/* No socket of that name has been passed to the server. */
void address_complain_name(struct settings *s, const struct address *a,
                           const struct listen_set *inherited);

#endif
