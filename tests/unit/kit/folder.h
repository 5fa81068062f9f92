/* folder.h - tests of the kit may be started anywhere; the modules that they load lie beside them. */
#ifndef TESTS_UNIT_KIT_FOLDER_H
#define TESTS_UNIT_KIT_FOLDER_H

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* First of all in main. */
static inline void go_to_own_folder(void)
{
    char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    path[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(path, '/');
    if (slash)
        *slash = '\0';
    if (chdir(path))
        exit(1);
}

#endif
