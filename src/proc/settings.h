/* settings.h - one reading of the settings, all the way from bytes to a plan: what a start, -t, the
 * probe child and a reload have in common.
 *
 *     settings_read    the text, and private copies of the module files it names      (master)
 *     settings_bind    modules loaded, text bound to their tables                      (probe
 * child, then master) settings_plan    counters declared, routes compiled (the same)
 *
 * The later steps work on the bytes of the first, so what the probe has judged is what the master
 * gets. Problems are gathered in `report`; each step goes on as far as it makes sense, so that one
 * run shows them all. */
#ifndef PROC_SETTINGS_H
#define PROC_SETTINGS_H

#include "conf/conf.h"
#include "ipc/region.h"
#include "module/load.h"
#include "serve/plan.h"

#include <sys/types.h>

/* What the command line says about where the settings are. Strings live as long as the process. */
struct settings_source {
    const char *path;
    cs_str text; /* p not NULL: the settings themselves, and path is only what they are called */
    const char *prefix; /* NULL: the one that goes with path */
    const struct conf_override *overrides;
    size_t noverrides;
    bool again; /* as in conf_read_opts */
};

/* Whom workers become. */
struct settings_user {
    bool drop; /* false: they stay what the master is */
    bool keep; /* they are root, on purpose, with all of its rights */
    char name[64];
    uid_t uid;
    gid_t gid;
};

struct settings {
    struct report report;
    struct conf_text *text; /* NULL: the file cannot be read */
    size_t nmodules;
    struct conf_module_ref *refs;
    struct module *modules;
    const cs_module **descs;
    struct conf *conf;       /* from here on: after settings_bind */
    bool bound;              /* conf is good */
    struct serve_plan *plan; /* NULL when there were errors */
    struct settings_user user;
    unsigned workers, max_workers; /* `auto` worked out */
};

/* Never NULL. */
struct settings *settings_read(const struct settings_source *src);

/* Called with what is about to be tried, such as "loading the module hello": if the process dies
 * then, this names the culprit. */
struct settings_crumb {
    void (*drop)(struct settings_crumb *c, const char *what);
};

/* Loads the modules and binds the text. False when the report has errors; `conf` is then not to be
 * used unless `bound` is set. crumb may be NULL. */
bool settings_bind(struct settings *s, struct settings_crumb *crumb);
/* Declares counters in r and compiles the plan. After a settings_bind that went well. */
bool settings_plan(struct settings *s, struct region *r, struct settings_crumb *crumb);
/* Unloads and frees everything. s may be NULL. */
void settings_free(struct settings *s, struct settings_crumb *crumb);

/* In a child that runs on other settings: closes the descriptors of these, touches nothing else. */
void settings_shed(struct settings *s);

/* Origin of the value of [server] `key`, for reports. */
const struct conf_origin *settings_origin(const struct settings *s, const char *key);
/* The value a settings text gives to a path key of [server], without binding it: for finding a
 * running server whose file is broken. To be freed; NULL if the value is broken too. text may be
 * NULL: the default below prefix. */
char *settings_server_path(const struct conf_text *text, const char *prefix, const char *key);

#endif
