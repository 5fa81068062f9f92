/* canary.h - asks the first worker of new settings, before they are live, what [reload] probe wants to know of it.
 *
 * A child of the master does it, since the master reads nothing that comes from a worker's clients. For each request
 * it makes a pair of sockets and passes one end to the worker, which serves it as a connection of its first listener:
 * no old worker can answer in its place, and no client is involved.
 *
 *     canary_begin -> [canary_read when fd is readable] -> child reaped: canary_end -> good, or text
 */
#ifndef PROC_CANARY_H
#define PROC_CANARY_H

#include "base/buf.h"
#include "conf/conf.h"

#include <sys/types.h>

struct canary_ask {
    const struct conf_reload *reload;
    int pass;                  /* the master's end of the worker's socket pair */
    const char *worker;        /* what it is called in sentences: "worker 3 (pid 4711)" */
    bool (*become)(void *arg); /* child: gives up what is the master's, and its rights */
    void (*on_line)(void *arg, const char *line); /* master: an answer has come, and is good */
    void *arg;
};

enum canary_fault {
    CANARY_WRONG, /* an answer with another status, or none in time */
    CANARY_LOST   /* the connection was closed: the worker may be about to be found dead */
};

struct canary {
    pid_t pid; /* 0: none */
    int fd;    /* read end, non-blocking */
    struct canary_ask ask;
    struct buf in;
    size_t asked; /* so many answers were good; the next one is under way */
    /* The result. */
    bool good;
    enum canary_fault fault;
    struct buf text; /* what is wrong, with the place of the request in the settings */
};

void canary_init(struct canary *c);
/* 0 or -errno. What ask points to stays until the end. */
int canary_begin(struct canary *c, const struct canary_ask *ask);
/* Takes what has come; false at the end of the pipe. */
bool canary_read(struct canary *c);
/* The most that all requests together may take, in ms. */
int64_t canary_limit_ms(const struct conf_reload *reload);
/* Ends the child, which nobody has to wait for. */
void canary_drop(struct canary *c);
/* The child has been reaped with this wait status. */
void canary_end(struct canary *c, int status);
/* "GET /health (conf/cserver.ini:12)": the request that is under way. */
void canary_say_request(const struct canary *c, struct buf *out);
void canary_free(struct canary *c);

#endif
