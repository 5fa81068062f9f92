/* place.c - see place.h. */
#include "module/place.h"

#include "base/mem.h"
#include "config.h"
#include "os/fd.h"
#include "os/file.h"

#include <stdlib.h>
#include <unistd.h>

char *place_root(void)
{
    static const char tail[] = CSERVER_SBINDIR "/cserver";
    char *self = file_self(), *root = NULL;
    size_t n = self ? strlen(self) : 0, ntail = sizeof tail - 1;

    if (n >= ntail && strcmp(self + n - ntail, tail) == 0)
        root = mem_strndup(self, n - ntail);
    free(self);
    return root;
}

char *place_installed(const char *path)
{
    char *root = place_root(), *here = mem_printf("%s%s", root ? root : "", path);

    free(root);
    return here;
}

static bool is_folder(const char *path)
{
    int fd = file_open_dir(path);
    bool yes = fd >= 0;

    fd_close(&fd);
    return yes;
}

/* Known by the folder of modules beside the program. */
char *place_build(void)
{
    char *root = place_root(), *self = root ? NULL : file_self();
    char *dir = self ? file_dirname(self) : NULL;
    char *modules = dir ? file_join(dir, "modules") : NULL;

    if (modules && !is_folder(modules)) {
        free(dir);
        dir = NULL;
    }
    free(root);
    free(self);
    free(modules);
    return dir;
}

/* The path, if the file (NULL: itself) is in it; else it is freed. */
static char *if_it_has(char *path, const char *file)
{
    char *whole = file ? file_join(path, file) : mem_strdup(path);
    bool there = access(whole, R_OK) == 0;

    free(whole);
    if (there)
        return path;
    free(path);
    return NULL;
}

/* The source is the build folder itself, or linked as "srcdir" in it. */
char *place_include(void)
{
    static const char header[] = "cserver/cserver.h";
    char *dir = place_build(), *found;

    if (!dir)
        return if_it_has(place_installed(CSERVER_INCLUDEDIR), header);
    found = if_it_has(file_join(dir, "src/api"), header);
    if (!found)
        found = if_it_has(file_join(dir, "srcdir/src/api"), header);
    free(dir);
    return found;
}

char *place_testlib(void)
{
    char *dir = place_build();
    char *path =
        dir ? file_join(dir, "libcstest.a") : place_installed(CSERVER_LIBDIR "/libcstest.a");

    free(dir);
    return if_it_has(path, NULL);
}
