/* api.h - the calls that modules make, and the hooks of modules that the worker calls. */
#ifndef SERVE_API_H
#define SERVE_API_H

#include "serve/ctx.h"

/* From here on the calls about requests work. */
void api_open(struct serve *s);
void api_close(void);

/* on_config over one set of settings; `section` is where they were written. Probe child only. */
void api_check_conf(const cs_module *desc, const void *conf, const struct conf_head *section,
                    struct report *report);

#endif
