/* gate.h - which site answers for a host on one [listen:...] section: the site that names it, else the one with the longest
 * wildcard above it, else the default: the site with the host "*", or the first one in the file. */
#ifndef SERVE_GATE_H
#define SERVE_GATE_H

#include "conf/conf.h"

enum gate_why {
    GATE_NAME,
    GATE_WILDCARD,
    GATE_STAR, /* the site takes all names that no other has */
    GATE_FIRST /* no site has the name; this is the first one of the listener */
};

struct gate_answer {
    size_t index; /* of the site, in conf->sites */
    enum gate_why why;
    cs_str name; /* the host of the site that it was found by, as in the settings; of FIRST "" */
};

struct gate;

/* In the arena. */
struct gate *gate_new(struct arena *a, const struct conf *conf, const struct conf_listen *listen);
/* host: as http_host_normalise writes it. It costs a look for each dot in it, however many sites there are. */
struct gate_answer gate_find(const struct gate *g, cs_str host);
/* Has it more than one site? */
bool gate_needs_host(const struct gate *g);

#endif
