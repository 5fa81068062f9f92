/* tell.h - what a request tells its trace (trace.h), and how a module is asked where there is no client: `cserver explain`.
 * To be called only where r->trace is set. */
#ifndef SERVE_TELL_H
#define SERVE_TELL_H

#include "serve/gate.h"
#include "serve/request.h"
#include "serve/trace.h"

/* Its head has been read: where it comes from, which site answers, and why. */
void tell_site(struct request *r, const struct conf_listen *listen, const struct gate_answer *why);
/* A search for a route begins. */
void tell_path(struct request *r);
/* It goes on with another path: the key that says so, and where it stands (NULL: a module says so). */
void tell_jump(struct request *r, const char *key, const struct conf_origin *at, cs_str path,
               cs_str query);
/* A module begins to run; what was set before, for tell_back. */
cs_str tell_enter(struct request *r, const struct conf_module *m);
/* A hook has returned rc. hook: CS_HOOK_... */
void tell_back(struct request *r, cs_str was, const struct conf_module *m, int hook, int rc);
void tell_field(struct request *r, cs_str name, cs_str value);
/* r->dry: a line that the error log would get. */
void tell_log(struct request *r, int level, const char *who, const char *fmt, va_list ap)
    __attribute__((format(printf, 4, 0)));
/* r->dry: what the module would do. CS_DECLINED, CS_OK (of a handler: there is an answer), a status, or negative. */
int tell_ask(struct request *r, const struct conf_module *m, int hook);
/* All of it in one line. */
void tell_line(const struct request *r, struct buf *out);

#endif
