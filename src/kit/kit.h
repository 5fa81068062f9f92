/* kit.h - a module under test: what the parts of the kit share. <cserver/test.h> is the manual.
 *
 * The engine is the server's own. The kit stands where the master, the other processes and the clients are, and moves
 * the loop and the clock. */
#ifndef KIT_KIT_H
#define KIT_KIT_H

#include "api/cserver/test.h"
#include "kit/origin.h"
#include "kit/others.h"
#include "kit/settings.h"
#include "module/host.h"
#include "serve/serve.h"

struct kit_published {
    cst_published said;
    uint32_t call; /* of a CST_CALL that has gone out */
};

struct cst {
    struct arena arena; /* what the test has been given */
    struct kit_wish wish;
    struct kit_settings settings;
    struct region region;
    struct others others;
    struct origins origins;

    /* The process. */
    bool started, failed, draining;
    struct loop loop;
    struct host host;
    struct serve *serve;     /* NULL in the primary */
    struct loop_io bell;     /* of the primary */
    cst_req *clients, *past; /* past: have no connection any more */

    uint64_t opened_ms;
    size_t npublished, cap_published;
    struct kit_published **published;

    int log_fd;
    bool log_shown;
    off_t log_read;
    struct buf log_rest; /* the beginning of a line */
    size_t nlog, cap_log;
    cs_str *log;
};

/* The one there is; NULL: none. */
extern struct cst *kit_here;

/* Says the sentence, with the log of the test, and aborts. */
_Noreturn void kit_die(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Room for one more element of `size` in an array of *cap. */
void *kit_grow(void *array, size_t n, size_t *cap, size_t size);

/* ---- run.c ---- */

void kit_run(struct cst *t);
/* Moves time on to the next timer, at most by `most` milliseconds: so many. 0: there is no timer within that time. */
int64_t kit_skip(struct cst *t, int64_t most);

/* ---- process.c ---- */

/* Loads the modules and starts the process. False: a start hook has failed; the log says why. */
bool kit_start(struct cst *t);
void kit_end(struct cst *t);

/* ---- client.c ---- */

/* Sends and takes what can be sent and taken. False: nothing. */
bool kit_clients_move(struct cst *t);
/* All connections end; what has come can still be looked at. */
void kit_clients_end(struct cst *t);
void kit_clients_free(struct cst *t);

/* ---- calls.c ---- */

/* The table that modules are attached to. */
const cs_api *kit_calls(void);
void kit_calls_forget(void);

/* ---- look.c ---- */

void kit_log_open(struct cst *t);
/* Takes in what has been written. */
void kit_log_read(struct cst *t);
void kit_log_close(struct cst *t);

/* ---- crash.c ---- */

void kit_crash_open(void);
void kit_crash_close(void);

#endif
