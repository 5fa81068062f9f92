/* settings.h - modules and settings of a test, through the server's own loader, reader and binder. */
#ifndef KIT_SETTINGS_H
#define KIT_SETTINGS_H

#include "conf/conf.h"
#include "ipc/region.h"
#include "module/load.h"
#include "serve/plan.h"

/* What the test has asked for: strings are copies. */
struct kit_wish {
    char *settings, *root; /* NULL: none */
    size_t nfiles;
    char **files; /* the module under test is the first */
    int number;   /* of the worker; 0 = the primary */
    int workers;
};

/* What is loaded. The last module is `ok`. */
struct kit_settings {
    size_t n;
    struct module *modules;
    const cs_module **descs;
    struct conf_module_ref *refs;
    struct conf_text *text;
    struct conf *conf;
    struct serve_plan *plan;
    struct report report;
};

#define KIT_OK "ok" /* name of the module that answers */

/* False: the report says why. */
bool kit_settings_load(struct kit_settings *s, const struct kit_wish *wish);
/* Makes what the modules declare in r, gives them their calls, and asks on_config. False: as above. */
bool kit_settings_plan(struct kit_settings *s, struct region *r);
/* The modules stay in memory as in a process of the server: what their static variables point to is no leak. */
void kit_settings_free(struct kit_settings *s);

void kit_wish_free(struct kit_wish *wish);

#endif
