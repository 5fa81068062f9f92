/* api.h - the calls that modules make, and the hooks of modules that the worker calls. */
#ifndef SERVE_API_H
#define SERVE_API_H

#include "serve/ctx.h"

/* worker_start of every module, in the order of the settings; -1 (logged) when one fails. */
int api_start_modules(struct serve *s);
/* worker_stop of every module. */
void api_stop_modules(struct serve *s);
void api_free(struct serve *s);

/* on_config over one set of settings; `section` is where they were written. Probe child only. */
void api_check_conf(const cs_module *desc, const void *conf, const struct conf_head *section,
                    struct report *report);

#endif
