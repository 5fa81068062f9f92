/* logs.h - the log files of one generation, opened by the master for everybody. */
#ifndef PROC_LOGS_H
#define PROC_LOGS_H

#include "proc/settings.h"

struct log_file {
    char *path; /* NULL: stdout, which is never opened again */
    int fd;
};

struct logs {
    char *error_path; /* NULL: stderr */
    int error_fd;
    size_t naccess;
    struct log_file *access; /* [index in conf->logs] */
    bool json;               /* format of the error log */
    int64_t level;
};

/* Opens them, and makes the folders they lie in. Problems go to the settings' report; false then.
 */
bool logs_open(struct logs *l, struct settings *s);
/* Would logs_open work? Makes nothing. */
void logs_check(struct settings *s);
/* Opens the files again, for a rotation; what is in use stays when that fails: -errno and *path the
 * culprit. */
int logs_reopen(struct logs *l, const char **path);
/* Path of a file that has been moved or removed since it was opened; NULL when there is none. */
const char *logs_astray(const struct logs *l);
/* What an -errno of logs_reopen means. */
const char *logs_reason(int error);
/* Lets this process write its own lines there. */
void logs_use(const struct logs *l);
/* Lends the plan the descriptors of its access logs. */
void logs_fill(const struct logs *l, struct serve_plan *plan);
/* Closes the descriptors in a process that has no use for them, and nothing else. */
void logs_shed(struct logs *l);
void logs_close(struct logs *l);

/* Could the folder that `path` lies in be made, or be written to? 0 or -errno. */
int logs_check_parent(const char *path);

#endif
