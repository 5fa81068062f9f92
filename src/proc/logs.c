/* logs.c - see logs.h. */
#include "proc/logs.h"

#include "base/log.h"
#include "base/mem.h"
#include "os/fd.h"
#include "os/file.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *error_file(const struct settings *s)
{
    cs_str path = s->conf->server.error_log;

    return str_is(path, "stderr") ? NULL : path.p;
}

static const char *access_file(const struct settings *s)
{
    cs_str path = s->conf->server.access_log;

    return str_is(path, "off") || str_is(path, "stdout") ? NULL : path.p;
}

static int open_file(const char *path)
{
    int rc = file_make_parent(path);

    return rc < 0 ? rc : file_open_log(path);
}

const char *logs_reason(int error)
{
    switch (error) {
    case -ENXIO:
        return "nothing reads this pipe";
    case -ELOOP:
        return "it is a symbolic link, which is not followed in a folder where others may make "
               "files";
    case -EPERM:
        return "Operation not permitted (it belongs to another user, in a folder where others may "
               "make files)";
    default:
        return strerror(-error);
    }
}

static const char *remedy(int error)
{
    if (error == -ENOSPC || error == -EDQUOT)
        return "make room there, or name another file";
    if (error == -ELOOP || error == -EPERM)
        return "name a file in a folder of the server's own";
    return "give this user the right to write there, or name another file";
}

static void complain(struct settings *s, const char *key, const char *path, int error)
{
    report_error(&s->report, settings_origin(s, key), (int)strlen(path),
                 "cannot write the log %s: %s; %s", path, logs_reason(error), remedy(error));
}

bool logs_open(struct logs *l, struct settings *s)
{
    const char *error = error_file(s), *access = access_file(s);
    int error_fd = error ? open_file(error) : STDERR_FILENO;
    int access_fd = access ? open_file(access) : -1;

    *l = (struct logs){.error_fd = -1, .access_fd = -1};
    if (error_fd < 0)
        complain(s, "error_log", error, error_fd);
    if (access && access_fd < 0)
        complain(s, "access_log", access, access_fd);
    if (str_is(s->conf->server.access_log, "stdout"))
        access_fd = STDOUT_FILENO;
    l->error_fd = error_fd < 0 ? -1 : error_fd;
    l->access_fd = access_fd < 0 ? -1 : access_fd;
    l->error_path = error ? mem_strdup(error) : NULL;
    l->access_path = access ? mem_strdup(access) : NULL;
    l->json = s->conf->server.log_format == CONF_LOG_JSON;
    l->level = s->conf->server.log_level;
    return error_fd >= 0 && (!access || access_fd >= 0);
}

/* The nearest folder above that exists is where the missing ones would be made. */
int logs_check_parent(const char *path)
{
    char *dir = file_dirname(path);
    struct stat st;
    int rc;

    if (stat(dir, &st) == 0)
        rc = !S_ISDIR(st.st_mode) ? -ENOTDIR : access(dir, W_OK | X_OK) == 0 ? 0 : -errno;
    else if (errno == ENOENT && strcmp(dir, "/") != 0 && strcmp(dir, ".") != 0)
        rc = logs_check_parent(dir);
    else
        rc = -errno;
    free(dir);
    return rc;
}

static void check_one(struct settings *s, const char *key, const char *path)
{
    int rc = file_check_log(path);

    if (rc == -ENOENT)
        rc = logs_check_parent(path);
    if (rc < 0)
        complain(s, key, path, rc);
}

void logs_check(struct settings *s)
{
    if (error_file(s))
        check_one(s, "error_log", error_file(s));
    if (access_file(s))
        check_one(s, "access_log", access_file(s));
}

static void replace(int *old, int fd)
{
    if (fd < 0)
        return;
    fd_close(old);
    *old = fd;
}

int logs_reopen(struct logs *l, const char **path)
{
    int error_fd = l->error_path ? open_file(l->error_path) : -1;
    int access_fd = l->access_path ? open_file(l->access_path) : -1;
    int rc = 0;

    if (l->access_path && access_fd < 0) {
        rc = access_fd;
        *path = l->access_path;
    }
    if (l->error_path && error_fd < 0) {
        rc = error_fd;
        *path = l->error_path;
    }
    if (rc == 0) {
        replace(&l->error_fd, error_fd);
        replace(&l->access_fd, access_fd);
        return 0;
    }
    if (error_fd >= 0)
        close(error_fd);
    if (access_fd >= 0)
        close(access_fd);
    return rc;
}

static bool is_astray(const char *path, int fd)
{
    return path && fd >= 0 && !file_is_at(fd, path);
}

const char *logs_astray(const struct logs *l)
{
    return is_astray(l->error_path, l->error_fd)     ? l->error_path
           : is_astray(l->access_path, l->access_fd) ? l->access_path
                                                     : NULL;
}

void logs_use(const struct logs *l)
{
    log_open(l->error_fd, l->json);
    log_set_level((enum log_level)l->level);
}

void logs_close(struct logs *l)
{
    if (l->error_fd > STDERR_FILENO)
        fd_close(&l->error_fd);
    if (l->access_fd > STDERR_FILENO)
        fd_close(&l->access_fd);
    free(l->error_path);
    free(l->access_path);
    *l = (struct logs){.error_fd = -1, .access_fd = -1};
}
