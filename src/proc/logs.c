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

static void complain(struct settings *s, const struct conf_origin *at, const char *path, int error)
{
    report_error(&s->report, at, (int)strlen(path), "cannot write the log %s: %s; %s", path,
                 logs_reason(error), remedy(error));
}

static bool is_file(const struct conf_log *log)
{
    return !str_is(log->path, "stdout");
}

/* Where somebody wrote it; NULL: nobody has. */
static const struct conf_origin *place_of(const struct conf_log *log)
{
    return log->at->file || log->at->text ? log->at : NULL;
}

static bool open_access(struct log_file *f, const struct conf_log *log, struct settings *s)
{
    *f = (struct log_file){.fd = STDOUT_FILENO};
    if (!is_file(log))
        return true;
    f->path = mem_strdup(log->path.p);
    f->fd = open_file(log->path.p);
    if (f->fd >= 0)
        return true;
    complain(s, place_of(log), log->path.p, f->fd);
    f->fd = -1;
    return false;
}

bool logs_open(struct logs *l, struct settings *s)
{
    const char *error = error_file(s);
    int error_fd = error ? open_file(error) : STDERR_FILENO;
    bool good = error_fd >= 0;

    if (!good)
        complain(s, settings_origin(s, "error_log"), error, error_fd);
    *l = (struct logs){.error_fd = good ? error_fd : -1, .naccess = s->conf->nlogs};
    l->access = mem_alloc((l->naccess + 1) * sizeof *l->access);
    for (size_t i = 0; i < l->naccess; i++)
        good = open_access(&l->access[i], &s->conf->logs[i], s) && good;
    l->error_path = error ? mem_strdup(error) : NULL;
    l->json = s->conf->server.log_format == CONF_LOG_JSON;
    l->level = s->conf->server.log_level;
    return good;
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

static void check_one(struct settings *s, const struct conf_origin *at, const char *path)
{
    int rc = file_check_log(path);

    if (rc == -ENOENT)
        rc = logs_check_parent(path);
    if (rc < 0)
        complain(s, at, path, rc);
}

void logs_check(struct settings *s)
{
    if (error_file(s))
        check_one(s, settings_origin(s, "error_log"), error_file(s));
    for (size_t i = 0; i < s->conf->nlogs; i++)
        if (is_file(&s->conf->logs[i]))
            check_one(s, place_of(&s->conf->logs[i]), s->conf->logs[i].path.p);
}

static void replace(int *old, int fd)
{
    if (fd < 0)
        return;
    fd_close(old);
    *old = fd;
}

/* The descriptors of all files, the error log's first: 0, or -errno, *path the culprit and none open. */
static int open_all(const struct logs *l, int *fds, const char **path)
{
    size_t n = 0;
    int rc = 0;

    for (size_t i = 0; i <= l->naccess && rc >= 0; i++) {
        const char *file = i ? l->access[i - 1].path : l->error_path;

        rc = file ? open_file(file) : -1;
        fds[n++] = rc;
        if (!file)
            rc = 0;
        else if (rc < 0)
            *path = file;
    }
    for (size_t i = 0; i < n && rc < 0; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    return rc < 0 ? rc : 0;
}

int logs_reopen(struct logs *l, const char **path)
{
    int *fds = mem_alloc((l->naccess + 1) * sizeof *fds);
    int rc = open_all(l, fds, path);

    if (rc == 0)
        replace(&l->error_fd, fds[0]);
    for (size_t i = 0; i < l->naccess && rc == 0; i++)
        replace(&l->access[i].fd, fds[i + 1]);
    free(fds);
    return rc;
}

static bool is_astray(const char *path, int fd)
{
    return path && fd >= 0 && !file_is_at(fd, path);
}

const char *logs_astray(const struct logs *l)
{
    if (is_astray(l->error_path, l->error_fd))
        return l->error_path;
    for (size_t i = 0; i < l->naccess; i++)
        if (is_astray(l->access[i].path, l->access[i].fd))
            return l->access[i].path;
    return NULL;
}

void logs_use(const struct logs *l)
{
    log_open(l->error_fd, l->json);
    log_set_level((enum log_level)l->level);
}

void logs_fill(const struct logs *l, struct serve_plan *plan)
{
    for (size_t i = 0; i < l->naccess; i++)
        plan->log_fds[i] = l->access[i].fd;
}

void logs_shed(struct logs *l)
{
    if (l->error_fd > STDERR_FILENO)
        fd_close(&l->error_fd);
    for (size_t i = 0; i < l->naccess; i++)
        if (l->access[i].fd > STDERR_FILENO)
            fd_close(&l->access[i].fd);
}

void logs_close(struct logs *l)
{
    logs_shed(l);
    for (size_t i = 0; i < l->naccess; i++)
        free(l->access[i].path);
    free(l->access);
    free(l->error_path);
    *l = (struct logs){.error_fd = -1};
}
