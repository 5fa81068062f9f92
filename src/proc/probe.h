/* probe.h - a child that tries the settings out before the master touches them: it loads the
 * modules, compiles, runs the modules' checks, binds addresses, looks at logs and folders, says
 * what it found through a pipe, and ends. Whatever a module does wrong there kills the child, not
 * the server.
 *
 *     probe_begin -> [probe_read when fd is readable] -> child reaped: probe_end -> good, text,
 * summary
 */
#ifndef PROC_PROBE_H
#define PROC_PROBE_H

#include "proc/listen_check.h"

#define PROBE_LIMIT_MS 10000

struct probe_ask {
    struct listen_owned owned;
    bool reload;          /* pid file and control socket are in use already */
    unsigned max_workers; /* reload: what shared memory was made for */
    bool lenient;         /* a test by a plain user: what only lacks permission is a warning */
    bool print;           /* also make the effective settings: -T */
    const struct settings_source *source; /* the child reads these itself; NULL: it has them */
    const struct settings *running; /* good ones are compared with these; NULL: with nothing */
    const char *obstacle;           /* compare_tell */
    void (*in_child)(
        void *arg); /* first thing in the child: let go of what is the master's. May be NULL */
    void *arg;
};

struct probe {
    pid_t pid;
    int fd; /* read end, non-blocking */
    struct settings *settings;
    struct buf in;
    char crumb[256]; /* what the child was last about to do */
    bool spoke;      /* the report has arrived */
    bool late;       /* it was killed for taking too long */
    bool ended;      /* the child has said its last word */
    /* The result. */
    bool good;
    unsigned warnings;
    struct buf text;    /* the whole report, as printed */
    struct buf summary; /* its first error */
    struct buf print;   /* settings, if asked for */
    struct buf diff;    /* differences, if asked for: members of a JSON object */
};

/* 0 or -errno. The settings must stay until the end. */
int probe_begin(struct probe *p, struct settings *s, const struct probe_ask *ask);
/* Takes what has come; false at the end of the pipe. */
bool probe_read(struct probe *p);
/* It took too long. */
void probe_kill(struct probe *p);
/* The child has been reaped with this wait status. Closes fd. */
void probe_end(struct probe *p, int status);
/* All of it, waiting; for start and -t. */
int probe_run(struct probe *p, struct settings *s, const struct probe_ask *ask);
void probe_free(struct probe *p);

#endif
