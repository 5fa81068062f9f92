/* plan.h - one generation's settings compiled into what workers run on: routes, roots, listeners,
 * modules. The master makes it once before it forks; workers only read it. The probe child makes
 * one too, and throws it away. */
#ifndef SERVE_PLAN_H
#define SERVE_PLAN_H

#include "conf/conf.h"
#include "os/sock_addr.h"

struct router; /* serve/route.h */

/* One bound address of a [listen:...] section. */
struct serve_listener {
    const struct conf_listen *conf;
    struct sock_addr addr; /* as bound: with the real port */
    char text[SOCK_TEXT_MAX];
    enum conf_policy policy; /* never DEFAULT; of a unix socket never REUSEPORT */
    /* The sockets of the address: one, or, once the policy has been reuseport, one for each position of a worker
     * that there can be. Not all of them listen; with reuseport, slots' socket_owner says more. */
    size_t nfds;
    int *fds;
};

struct serve_root {
    const char *path;
    int fd;
};

struct serve_plan {
    const struct conf *conf;
    struct router *router;
    size_t nlisteners;
    struct serve_listener *listeners; /* made by the caller (proc/listen) after serve_plan_new */
    size_t nroots;
    struct serve_root *roots; /* cs_req_info.root is the index + 1 */
    int *log_fds; /* [index in conf->logs]; -1: not open. The descriptors are the caller's */
    uint32_t generation;
    unsigned workers; /* of this generation */
};

/* Compiles routes (regexes with JIT) and opens the roots; problems go to rep with the place of the
 * setting. NULL when there were errors. conf must outlive the plan. */
struct serve_plan *serve_plan_new(const struct conf *conf, struct report *rep);
/* For settings that are refused already: reports what serve_plan_new would have found too, so that one run shows
 * every mistake. */
void serve_plan_survey(const struct conf *conf, struct report *rep);
/* Closes roots; not the listeners' and logs' descriptors. */
void serve_plan_free(struct serve_plan *p);
/* Frees the array of listeners, not their descriptors. */
void serve_plan_drop_listeners(struct serve_plan *p);

/* Runs the modules' on_config hooks over the module's and every route's settings: probe child only.
 */
void serve_plan_check_modules(const struct serve_plan *p, struct report *rep);

/* The table of calls that modules are attached to (module_attach), complete. */
const cs_api *serve_api(void);
/* The same for [server] module_debug: whose calls are looked at. */
const cs_api *serve_api_debug(void);

#endif
