/* procstat.c - see procstat.h. */
#include "os/procstat.h"

#include "os/fd.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A small file below /proc or /sys as a string; false when it cannot be read. */
static bool read_text(const char *path, char *out, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, out, size - 1);

    fd_close(&fd);
    out[n > 0 ? n : 0] = '\0';
    return n > 0;
}

/* Where version 2 of the control groups is found: alone, or beside version 1. */
static const char *const trees[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified", NULL};

/* A frozen process looks like one that sleeps; only its group knows better. */
static bool is_frozen(pid_t pid)
{
    char path[1280], text[2048], *group, *end;

    snprintf(path, sizeof path, "/proc/%d/cgroup", (int)pid);
    if (!read_text(path, text, sizeof text))
        return false;
    group = strncmp(text, "0::", 3) == 0 ? text : strstr(text, "\n0::");
    if (!group)
        return false;
    group = strstr(group, "0::") + 3;
    end = strchr(group, '\n');
    if (end)
        *end = '\0';
    for (const char *const *tree = trees; *tree; tree++) {
        char events[256];

        snprintf(path, sizeof path, "%s%.1000s/cgroup.events", *tree, group);
        if (read_text(path, events, sizeof events))
            return strstr(events, "frozen 1") != NULL;
    }
    return false;
}

char procstat_state(pid_t pid)
{
    char path[64], text[512], *name_end;

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    if (!read_text(path, text, sizeof text))
        return 0;
    name_end = strrchr(text, ')'); /* the name may hold blanks and brackets */
    if (!name_end || name_end[1] != ' ' || !name_end[2])
        return 0;
    if (strchr("SDR", name_end[2]) && is_frozen(pid))
        return PROCSTAT_FROZEN;
    return name_end[2];
}

const char *procstat_words(char state)
{
    switch (state) {
    case 'R':
        return "running, or waiting for a CPU (R)";
    case 'S':
        return "asleep (S)";
    case 'D':
        return "in disk sleep (D)";
    case 'T':
        return "stopped (T)";
    case 't':
        return "stopped by a debugger (t)";
    case 'Z':
    case 'X':
        return "dead";
    case PROCSTAT_FROZEN:
        return "frozen by its control group";
    case 0:
        return "gone";
    default:
        return "in a state this server does not know";
    }
}

bool procstat_is_held(char state)
{
    return state == 'T' || state == 't' || state == PROCSTAT_FROZEN;
}

/* What /proc/PID/status says behind "\nKEY:\t"; 0: nothing. */
static char status_of(pid_t pid, const char *key)
{
    char path[64], text[8192];
    const char *at;

    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    at = read_text(path, text, sizeof text) ? strstr(text, key) : NULL;
    return at ? at[strlen(key)] : '\0';
}

bool procstat_is_traced(pid_t pid)
{
    char c = status_of(pid, "\nTracerPid:\t");

    return c && c != '0';
}

bool procstat_is_dumping(pid_t pid)
{
    return status_of(pid, "\nCoreDumping:\t") == '1';
}
