/* about.c - what this program is, and the manual of its settings. */
#include "base/mem.h"
#include "cli/cli.h"
#include "conf/conf.h"
#include "config.h"
#include "module/load.h"
#include "module/place.h"

#include <ares.h>
#include <dirent.h>
#include <gnu/libc-version.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

int cli_version(void)
{
    printf("cserver %s\n", CSERVER_VERSION);
    return CLI_DONE;
}

static const char *compiler(void)
{
#if defined(__clang__)
    return "clang " __clang_version__;
#else
    return "gcc " __VERSION__;
#endif
}

int cli_build(void)
{
    char pcre2[64] = "";
    char *modules = module_default_folder(), *include = place_include();

    pcre2_config(PCRE2_CONFIG_VERSION, pcre2);
    printf("cserver %s\n", CSERVER_VERSION);
    printf("built by: %s\n", compiler());
    printf("configure options: %s\n", CSERVER_BUILD_OPTIONS[0] ? CSERVER_BUILD_OPTIONS : "(none)");
    printf("module ABI: %d.%d\n", CS_ABI_MAJOR, CS_ABI_MINOR);
    printf("module folder: %s\n", modules);
    printf("module header: %s%s\n", include ? include : "(not installed)",
           include ? "/cserver/cserver.h" : "");
    printf("settings file: %s\n", CSERVER_CONF_PATH);
    printf("libraries: pcre2 %s, libinih, c-ares %s, glibc %s\n", pcre2, ares_version(NULL),
           gnu_get_libc_version());
    free(modules);
    free(include);
    return CLI_DONE;
}

struct found {
    size_t n;
    struct module *modules;
    const cs_module **descs;
};

/* A module that cannot be loaded is left out, with a sentence. */
static void load_one(struct found *f, const char *folder, const char *name)
{
    struct buf error = {0};
    char *path = module_path(name, CS_S(""), folder, folder);
    struct module *m;

    f->modules = mem_resize(f->modules, (f->n + 1) * sizeof *f->modules);
    f->descs = mem_resize(f->descs, (f->n + 1) * sizeof *f->descs);
    m = &f->modules[f->n];
    memset(m, 0, sizeof *m);
    if (module_copy(m, name, path, &error) == 0 && module_load(m, &error) == 0)
        f->descs[f->n++] = m->desc;
    else
        fprintf(stderr, "cserver: left out: %.*s\n", (int)error.n, error.p);
    buf_free(&error);
    free(path);
}

static int is_module(const struct dirent *e)
{
    const char *dot = strrchr(e->d_name, '.');

    return dot && dot > e->d_name && strcmp(dot, ".so") == 0;
}

static void load_all(struct found *f, const char *folder)
{
    struct dirent **names;
    int n = scandir(folder, &names, is_module, alphasort);

    for (int i = 0; i < n; i++) {
        *strrchr(names[i]->d_name, '.') = '\0';
        load_one(f, folder, names[i]->d_name);
        free(names[i]);
    }
    if (n >= 0)
        free(names);
}

int cli_reference(void)
{
    struct found f = {0};
    struct buf out = {0};
    char *folder = module_default_folder();

    load_all(&f, folder);
    conf_reference(f.descs, f.n, &out);
    fwrite(out.p, 1, out.n, stdout);
    for (size_t i = 0; i < f.n; i++)
        module_free(&f.modules[i]);
    free(f.modules);
    free(f.descs);
    free(folder);
    buf_free(&out);
    return CLI_DONE;
}
