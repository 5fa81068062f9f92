/* file.c - whole files, log files, the ways to them, and opening what lies beneath a folder and
 * nothing else, whatever the path says. */
#include "os/file.h"

#include "base/mem.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#define READ_STEP     16384
#define BENEATH_FLAGS (O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY)
#define BENEATH_TRIES 8

static int read_up_to(int fd, size_t max, struct buf *out)
{
    size_t start = out->n;
    for (;;) {
        ssize_t n = read(fd, buf_reserve(out, READ_STEP), READ_STEP);
        if (n == 0)
            return 0;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        buf_added(out, (size_t)n);
        if (out->n - start > max)
            return -EFBIG;
    }
}

/* Blocking on purpose: the file may be a pipe, as in -c <(...). */
int file_read(const char *path, size_t max, struct buf *out)
{
    size_t start = out->n;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return -errno;
    int rc = read_up_to(fd, max, out);
    if (rc < 0 && out->p) {
        out->n = start;
        out->p[start] = '\0';
    }
    fd_close(&fd);
    return rc;
}

static int fill(int fd, cs_str content, unsigned mode)
{
    int rc = fd_write_all(fd, content.p, content.n);
    if (rc == 0 && fchmod(fd, mode) < 0)
        rc = -errno;
    if (close(fd) < 0 && rc == 0)
        rc = -errno;
    return rc;
}

int file_write_atomic(const char *path, cs_str content, unsigned mode)
{
    char *temp = mem_printf("%s.XXXXXX", path);
    int fd = mkostemp(temp, O_CLOEXEC);
    int rc = fd < 0 ? -errno : fill(fd, content, mode);
    if (rc == 0 && rename(temp, path) < 0)
        rc = -errno;
    if (rc < 0 && fd >= 0)
        unlink(temp);
    free(temp);
    return rc;
}

int file_open_dir(const char *path)
{
    int fd = open(path, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* Beneath a folder: one call where the kernel knows openat2 (5.6 and later). Elsewhere the path is
 * walked without following any link: stricter, and never wrong.
 *
 * refuse: 0, or why no kernel would take this path. */
static int refuse(cs_str path)
{
    if (path.n == 0)
        return -ENOENT;
    if (path.n >= PATH_MAX)
        return -ENAMETOOLONG;
    if (memchr(path.p, '\0', path.n))
        return -EINVAL;
    return path.p[0] == '/' ? -EXDEV : 0;
}

/* EAGAIN: a rename elsewhere in the tree made the kernel unsure about a ".."; it asks for another
 * try. */
static int ask_kernel(int dirfd, const char *path)
{
    struct open_how how = {.flags = BENEATH_FLAGS,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    long fd = -1;
    for (int i = 0; i < BENEATH_TRIES; i++) {
        fd = syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
        if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
            break;
    }
    return fd < 0 ? -errno : (int)fd;
}

int file_open_beneath(int dirfd, cs_str path)
{
    static bool kernel_lacks_it;
    int rc = refuse(path);
    if (rc < 0)
        return rc;
    if (!kernel_lacks_it) {
        char z[PATH_MAX];
        memcpy(z, path.p, path.n);
        z[path.n] = '\0';
        rc = ask_kernel(dirfd, z);
        if (rc != -ENOSYS && rc != -EPERM)
            return rc;
        /* EPERM may be a sandbox that does not know the call, or the file; the walk finds out. */
        kernel_lacks_it = rc == -ENOSYS;
    }
    return file_walk_beneath(dirfd, path);
}

/* The next segment as a C string; empty ones and "." are skipped. False at the end. */
static bool next_segment(cs_str *rest, char name[NAME_MAX + 1], int *error)
{
    cs_str piece;
    *error = 0;
    while (str_split(rest, '/', &piece)) {
        if (piece.n == 0 || str_is(piece, "."))
            continue;
        if (piece.n > NAME_MAX) {
            *error = -ENAMETOOLONG;
            return false;
        }
        if (str_is(piece, "..")) {
            *error = -EXDEV;
            return false;
        }
        memcpy(name, piece.p, piece.n);
        name[piece.n] = '\0';
        return true;
    }
    return false;
}

static int open_one(int dirfd, const char *name, int flags)
{
    struct stat st;
    int fd = openat(dirfd, name, flags | O_NOFOLLOW);
    if (fd >= 0)
        return fd;
    int error = errno;
    /* With O_DIRECTORY a link is "not a directory" to the kernel; say what it is. */
    if (error == ENOTDIR && fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISLNK(st.st_mode))
        error = ELOOP;
    return -error;
}

/* Does the path ask for a folder by its end: "a/", "a/."? */
static bool wants_folder(cs_str path)
{
    char last = path.p[path.n - 1];
    return last == '/' || (last == '.' && (path.n == 1 || path.p[path.n - 2] == '/'));
}

int file_walk_beneath(int dirfd, cs_str path)
{
    char name[NAME_MAX + 1], next[NAME_MAX + 1];
    int error = refuse(path), at = dirfd;
    if (error < 0)
        return error;
    int last_flags = BENEATH_FLAGS | (wants_folder(path) ? O_DIRECTORY : 0);
    if (!next_segment(&path, name, &error))
        return error < 0 ? error : open_one(dirfd, ".", last_flags);
    for (;;) {
        bool more = next_segment(&path, next, &error);
        int fd = error;
        if (error == 0)
            fd = open_one(at, name, more ? O_PATH | O_DIRECTORY | O_CLOEXEC : last_flags);
        if (at != dirfd)
            fd_close(&at);
        if (fd < 0 || !more)
            return fd;
        at = fd;
        memcpy(name, next, sizeof(name));
    }
}

/* Who else may put a link or a file under a name that we are about to use. */
struct guest {
    bool anybody; /* the folder is open to all */
    uid_t owner;  /* of the folder */
};

static bool is_trusted(uid_t uid)
{
    return uid == geteuid() || uid == 0;
}

/* False: nobody but us and root. */
static bool has_guest(const char *path, struct guest *g)
{
    struct stat st;
    char *dir = file_dirname(path);
    bool there = stat(dir, &st) == 0;

    free(dir);
    if (!there)
        return false;
    *g = (struct guest){.anybody = st.st_mode & S_IWOTH, .owner = st.st_uid};
    return g->anybody || !is_trusted(g->owner);
}

/* What lies where somebody else may put it. The owner of the folder may make links as he likes: only those of ours or of
 * root's are meant. */
static int judge(const struct guest *g, const struct stat *st)
{
    if (S_ISLNK(st->st_mode))
        return !g->anybody && is_trusted(st->st_uid) ? 0 : -ELOOP;
    return is_trusted(st->st_uid) || (!g->anybody && st->st_uid == g->owner) ? 0 : -EPERM;
}

/* Where the link leads, read from the very link that is judged; to be freed. NULL: it is not to be followed. */
static char *target_of(const struct guest *g, const char *path)
{
    char text[PATH_MAX], *dir, *target = NULL;
    struct stat st;
    int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    ssize_t n = -1;

    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISLNK(st.st_mode) && judge(g, &st) == 0)
        n = readlinkat(fd, "", text, sizeof text - 1);
    if (n > 0) {
        text[n] = '\0';
        dir = file_dirname(path);
        target = file_join(dir, text);
        free(dir);
    }
    fd_close(&fd);
    return target;
}

static int open_for_log(const char *path, int more)
{
    int flags = O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_CLOEXEC | O_NOCTTY;
    mode_t mask = umask(0);
    int fd = open(path, flags | more, 0640), rc = fd < 0 ? -errno : fd;

    umask(mask);
    return rc;
}

static int open_among_guests(const struct guest *g, const char *path)
{
    int fd = open_for_log(path, O_NOFOLLOW), rc;
    char *target = fd == -ELOOP ? target_of(g, path) : NULL;
    struct stat st;

    if (target) {
        fd = open_for_log(target, 0);
        free(target);
        return fd;
    }
    if (fd < 0)
        return fd;
    rc = fstat(fd, &st) < 0 ? -errno : judge(g, &st);
    if (rc < 0)
        fd_close(&fd);
    return rc < 0 ? rc : fd;
}

/* Not blocking, which matters for a pipe: without a reader it is refused (-ENXIO), and one that does
 * not read loses lines instead of holding us up. */
int file_open_log(const char *path)
{
    struct guest g;

    return has_guest(path, &g) ? open_among_guests(&g, path) : open_for_log(path, 0);
}

bool file_is_at(int fd, const char *path)
{
    struct stat open, there;

    if (fstat(fd, &open) < 0 || !S_ISREG(open.st_mode))
        return true;
    if (stat(path, &there) < 0)
        return errno != ENOENT && errno != ENOTDIR;
    return open.st_dev == there.st_dev && open.st_ino == there.st_ino;
}

static int may(const char *path, int how)
{
    return faccessat(AT_FDCWD, path, how, AT_EACCESS) < 0 ? -errno : 0;
}

/* A disk may have room, and none for another file. Some count no files (f_files 0). */
static bool is_out_of_files(const char *dir)
{
    struct statvfs fs;
    return statvfs(dir, &fs) == 0 && fs.f_files > 0 && fs.f_favail == 0;
}

int file_check_log(const char *path)
{
    struct stat st;
    struct guest g;
    if (has_guest(path, &g) && lstat(path, &st) == 0 && judge(&g, &st) < 0)
        return judge(&g, &st);
    if (stat(path, &st) == 0)
        return S_ISDIR(st.st_mode) ? -EISDIR : may(path, W_OK);
    if (errno != ENOENT || path[0] == '\0' || path[strlen(path) - 1] == '/')
        return errno == ENOENT ? -EISDIR : -errno;
    char *dir = file_dirname(path);
    int rc = stat(dir, &st) < 0 ? -errno : 0;
    if (rc == 0)
        rc = S_ISDIR(st.st_mode) ? may(dir, W_OK | X_OK) : -ENOTDIR;
    if (rc == 0 && is_out_of_files(dir))
        rc = -ENOSPC;
    free(dir);
    return rc;
}

static int make_dir(const char *path)
{
    struct stat st;
    mode_t mask = umask(022);
    int rc = mkdir(path, 0755) == 0 ? 0 : -errno;
    umask(mask);
    if (rc == -EEXIST)
        return stat(path, &st) == 0 && S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
    return rc;
}

int file_make_parent(const char *path)
{
    char *dir = file_dirname(path);
    int rc = make_dir(dir);
    if (rc == -ENOENT) {
        rc = file_make_parent(dir);
        if (rc == 0)
            rc = make_dir(dir);
    }
    free(dir);
    return rc;
}

char *file_join(const char *dir, const char *path)
{
    if (path[0] == '/')
        return mem_strdup(path);
    size_t n = strlen(dir);
    return mem_printf("%s%s%s", dir, n && dir[n - 1] == '/' ? "" : "/", path);
}

char *file_dirname(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return mem_strdup(".");
    while (slash > path && slash[-1] == '/')
        slash--;
    return slash == path ? mem_strdup("/") : mem_strndup(path, (size_t)(slash - path));
}

/* After an upgrade on disk the kernel says "path (deleted)"; the new program lies at path. */
char *file_self(void)
{
    static const char gone[] = " (deleted)";
    char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
    if (n <= 0)
        return NULL;
    size_t len = (size_t)n, tail = sizeof(gone) - 1;
    path[len] = '\0';
    if (len > tail && strcmp(path + len - tail, gone) == 0 && access(path, F_OK) < 0)
        len -= tail;
    return mem_strndup(path, len);
}

static bool is_executable(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

static char *absolute(const char *path)
{
    char *here = getcwd(NULL, 0);
    char *joined = here || path[0] == '/' ? file_join(here ? here : "/", path) : NULL;
    free(here);
    return joined;
}

/* An empty folder in PATH is the current one. */
static char *look_in(cs_str folder, const char *name)
{
    char *dir = folder.n ? mem_strndup(folder.p, folder.n) : mem_strdup(".");
    char *path = file_join(dir, name);
    char *found = is_executable(path) ? absolute(path) : NULL;
    free(dir);
    free(path);
    return found;
}

char *file_program(const char *argv0)
{
    cs_str rest = str_of(getenv("PATH")), folder;
    char *found = NULL;
    if (strchr(argv0, '/'))
        found = absolute(argv0);
    else
        while (!found && *argv0 && str_split(&rest, ':', &folder))
            found = look_in(folder, argv0);
    return found ? found : file_self();
}
