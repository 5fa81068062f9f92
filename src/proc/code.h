/* code.h - how a start or a request to the master went: exit status, and "code" of an answer. `cserver --help` lists them. */
#ifndef PROC_CODE_H
#define PROC_CODE_H

enum {
    CODE_FAILED = 1,
    CODE_WRONG = 2,        /* usage */
    CODE_DENIED = 4,       /* no permission */
    CODE_ROLLED_BACK = 70, /* settings, or a program, that did not start: what was there goes on */
    CODE_LATE = 75,        /* not known yet */
    CODE_REFUSED = 78      /* settings that are not good */
};

#endif
