/* explain.h - what would become of a request that nobody has sent. It takes the way of real ones, from the head's bytes to the
 * head of the answer, with a trace, on a connection that leads nowhere; modules are asked by their .explain in place of
 * access, handler and header_filter. One at a time. */
#ifndef SERVE_EXPLAIN_H
#define SERVE_EXPLAIN_H

#include "ipc/region.h"
#include "serve/plan.h"
#include "serve/trace.h"

struct explain_ask {
    cs_str head;      /* as it comes from a client, up to its empty line */
    unsigned section; /* the [listen:...], in conf->listens */
    struct sockaddr_storage peer;
    socklen_t peer_len; /* 0: by a unix socket */
    cs_str user;        /* who the client has proved to be; n 0: nobody */
};

/* A field of the answer's head, in its order. */
struct explain_field {
    cs_str name, value;
    cs_str by; /* the module that has set it; n 0: the server */
    cs_str at; /* file and line of what says so; n 0: none, or not known */
};

/* A limit that holds, by the innermost scope that sets it. */
struct explain_limit {
    cs_str key, value;
    const struct conf_head *section;
    const struct conf_origin *at;
};

struct explanation {
    const struct trace *trace;
    const struct conf_site *site;
    const struct route *route;        /* at last, after all jumps; NULL: it came to none */
    cs_str method, host, path, query; /* the path of that route */
    cs_str client, client_why;        /* why: n 0 where no field names one */
    int status;
    bool open;      /* a module answers that does not say how: status 200 stands for that */
    cs_str handler; /* the module that answers; n 0: the server itself */
    cs_str file;    /* what a module says of the file that it sends; n 0: none */
    size_t nfields, nlimits;
    struct explain_field *fields;
    struct explain_limit *limits;
};

struct explainer;

/* The plan's listeners are made up where it has none. The region is written to: not a server's. */
struct explainer *explainer_new(struct serve_plan *plan, struct region *region);
void explainer_free(struct explainer *e);
/* Valid until the next one. */
const struct explanation *explainer_run(struct explainer *e, const struct explain_ask *ask);

/* "NAME: VALUE (FILE:LINE)", as modules may say it of a field that they set: FILE:LINE. n 0: it is not of that field. */
cs_str explain_place(cs_str said, const struct explain_field *f);

#endif
