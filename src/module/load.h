/* load.h - loads handler modules: a private copy, its descriptor checked as data, no module code run but what
 * the dynamic linker runs itself (constructors: which is why a probe child loads them first). */
#ifndef MODULE_LOAD_H
#define MODULE_LOAD_H

#include "base/buf.h"

struct module {
    char *name;   /* of [module:NAME]; NULL: any, until it is loaded */
    char *path;   /* the file it was copied from */
    int fd;       /* the copy, a memfd: kept open as long as the module */
    void *handle; /* NULL while only copied */
    const cs_module *desc;
    cs_module *grown; /* what desc is, where the module was built for an older minor version */
};

/* Where is the module's file? `file` as in the settings ("" = NAME.so); a name without "/" lies in `folder`, others
 * below prefix. To be freed. */
char *module_path(const char *name, cs_str file, const char *folder, const char *prefix);
/* The folder modules are taken from when the settings do not say: "modules" beside the program when that is a
 * build folder, else the installed one, found relative to the program (so a DESTDIR tree works). To be freed. */
char *module_default_folder(void);

/* Copies the file: 0, or -1 with a sentence in *error. name NULL: it may be called as it likes. */
int module_copy(struct module *m, const char *name, const char *path, struct buf *error);
/* Loads the copy and checks the descriptor (magic, ABI, size, name, tables). 0, or -1 with a sentence that says what
 * differs and what to do. Sets no pointer in the module yet. */
int module_load(struct module *m, struct buf *error);
/* Says in *error what is wrong with it, behind its path: -1. */
int module_refuse(const struct module *m, struct buf *error, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Gives the module its table of calls. */
void module_attach(struct module *m, const cs_api *api);
/* Unloads (only processes that never ran its hooks) and closes the copy. */
void module_free(struct module *m);

#endif
