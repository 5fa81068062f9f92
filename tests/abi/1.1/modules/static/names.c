#include "names.h"

#include "beneath.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Length of the UTF-8 character there; 0: it is none, or a control byte. */
static size_t character(const unsigned char *p)
{
    if (p[0] < 0x80)
        return p[0] >= ' ' && p[0] != 0x7f;
    const size_t n = p[0] >= 0xc2 && p[0] < 0xe0   ? 2
                     : p[0] >= 0xe0 && p[0] < 0xf0 ? 3
                     : p[0] >= 0xf0 && p[0] < 0xf5 ? 4
                                                   : 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    const int overlong = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xf0 && p[1] < 0x90);
    const int outside = (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf4 && p[1] > 0x8f);
    return overlong || outside ? 0 : n;
}

static int may_be_asked_for(const char *name)
{
    const unsigned char *p = (const unsigned char *)name;
    while (*p) {
        const size_t n = character(p);
        if (!n)
            return 0;
        p += n;
    }
    return 1;
}

static int is_shown(const struct names *l, const char *name)
{
    if (!strcmp(name, ".") || !strcmp(name, "..") || !may_be_asked_for(name))
        return 0;
    return name[0] != '.' || l->hidden || !strcmp(name, ".well-known");
}

/* What a link leads to, if that is below the root. */
static int follow(const struct names *l, const char *name, struct stat *st)
{
    const size_t n = strlen(name);
    char *path = malloc(l->path.n + n);
    if (!l->links || !path) {
        free(path);
        return -1;
    }
    memcpy(path, l->path.p, l->path.n);
    memcpy(path + l->path.n, name, n);
    const int fd = beneath_open(l->root, (cs_str){path, l->path.n + n}, O_PATH, 0);
    const int rc = fd < 0 ? -1 : fstat(fd, st);
    if (fd >= 0)
        close(fd);
    free(path);
    return rc;
}

static int add(struct names *l, int fd, const char *name)
{
    struct stat st;
    if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
        (S_ISLNK(st.st_mode) && follow(l, name, &st) < 0) ||
        !(S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)))
        return 0;
    if (l->n == l->most) {
        l->more = 1;
        return 0;
    }
    char *text = strdup(name);
    if (!text)
        return -ENOMEM;
    l->v[l->n++] = (struct name){.text = text,
                                 .n = strlen(name),
                                 .is_folder = S_ISDIR(st.st_mode),
                                 .size = st.st_size,
                                 .mtime = st.st_mtim.tv_sec};
    return 0;
}

static int compare(const void *a, const void *b)
{
    const struct name *x = a, *y = b;
    if (x->is_folder != y->is_folder)
        return y->is_folder - x->is_folder;
    return strcmp(x->text, y->text);
}

int names_read(struct names *l)
{
    l->folder =
        beneath_open(l->root, l->path, O_RDONLY | O_DIRECTORY, l->links ? 0 : BENEATH_NO_LINKS);
    if (l->folder < 0)
        return l->folder;
    l->v = calloc(l->most, sizeof *l->v);
    DIR *d = l->v ? fdopendir(l->folder) : NULL;
    if (!d)
        return l->v ? -errno : -ENOMEM;
    l->folder = -1; /* closedir closes it */
    int rc = 0;
    for (const struct dirent *e; rc == 0 && !l->more && (e = readdir(d));)
        if (is_shown(l, e->d_name))
            rc = add(l, dirfd(d), e->d_name);
    closedir(d);
    qsort(l->v, l->n, sizeof *l->v, compare);
    return rc;
}

void names_free(struct names *l)
{
    for (size_t i = 0; i < l->n; i++)
        free((char *)(uintptr_t)l->v[i].text);
    free(l->v);
    l->v = NULL;
    l->n = 0;
    if (l->folder >= 0)
        close(l->folder);
    if (l->root >= 0)
        close(l->root);
    l->folder = l->root = -1;
}
