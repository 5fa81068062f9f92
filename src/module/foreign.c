/* foreign.c - see foreign.h. The program's libraries are those that were there before its first module: what a module
 * brings is seen by nobody else (RTLD_LOCAL), and an older generation may well have the last version of it. */
#include "module/foreign.h"

#include "base/mem.h"
#include "os/elf.h"

#include <stdlib.h>

static struct dl_objects program;

/* ---- Names ---- */

int foreign_check_names(int fd, struct buf *why)
{
    struct elf_symbol s;
    const char *symbol = NULL, *path = NULL;
    size_t others = 0;
    struct elf e;

    if (elf_open(&e, fd) < 0)
        return 0;
    for (size_t i = 0; i < e.nsymbols; i++) {
        /* C++ has templates and inline functions in every object that uses them, weakly: they are all the same. */
        bool own = elf_symbol(&e, i, &s) && s.defined && !s.weak;
        const char *definer = own ? dl_definer(s.name) : NULL;

        if (!definer)
            continue;
        others += symbol != NULL;
        path = symbol ? path : definer;
        symbol = symbol ? symbol : s.name;
    }
    if (symbol) {
        buf_printf(why, "it defines %s", symbol);
        if (others > 0)
            buf_printf(why, " and %zu more names", others);
        buf_printf(why,
                   " that this program has from %s: nobody can tell which of the two a call "
                   "reaches; compile the module with -fvisibility=hidden, and link a library "
                   "dynamically, or with -Wl,--exclude-libs,ALL",
                   path);
    }
    elf_close(&e);
    return symbol ? -1 : 0;
}

/* ---- Libraries ---- */

/* "libpcre2-8" of /usr/lib/libpcre2-8.so.0.11.2: without folder and version. To be freed. */
static char *stem_of(const char *name)
{
    const char *slash = strrchr(name, '/'), *start = slash ? slash + 1 : name;

    for (const char *so = strstr(start, ".so"); so; so = strstr(so + 1, ".so"))
        if (so[3] == '\0' || so[3] == '.')
            return mem_strndup(start, (size_t)(so - start));
    return mem_strdup(start);
}

/* As the library calls itself, else as its file is called. */
static char *library_of(const char *path)
{
    struct elf e;
    bool open = elf_open_path(&e, path) == 0;
    char *stem = stem_of(open && e.soname ? e.soname : path);

    if (open)
        elf_close(&e);
    return stem;
}

static const struct dl_object *find_twin(const char *stem)
{
    for (size_t i = 0; i < program.n; i++) {
        char *other = library_of(program.v[i].path);
        bool same = strcmp(stem, other) == 0;

        free(other);
        if (same)
            return &program.v[i];
    }
    return NULL;
}

static int check_one(const struct dl_object *o, struct buf *why)
{
    char *stem = library_of(o->path);
    const struct dl_object *twin = find_twin(stem);

    if (twin)
        buf_printf(why,
                   "it brings %s, another copy of %s, which this program uses: build the module "
                   "with the one that the program has",
                   o->path, twin->path);
    free(stem);
    return twin ? -1 : 0;
}

void foreign_begin(struct dl_objects *before)
{
    if (program.n == 0)
        dl_list(&program);
    dl_list(before);
}

int foreign_check_libraries(struct dl_objects *before, struct buf *why)
{
    static const char own[] = "/proc/self/fd"; /* modules are loaded from there */
    struct dl_objects now;
    int rc = 0;

    dl_list(&now);
    for (size_t i = 0; i < now.n && rc == 0; i++)
        if (!dl_list_has(before, &now.v[i]) && strncmp(now.v[i].path, own, sizeof own - 1) != 0)
            rc = check_one(&now.v[i], why);
    dl_list_free(&now);
    dl_list_free(before);
    return rc;
}
