/* client.h - the other end of the control socket: asks a running server. For the command line, for
 * a start that wants to know whether there is one already, and for -t. Waits, with a limit. */
#ifndef PROC_CLIENT_H
#define PROC_CLIENT_H

#include "base/buf.h"
#include "proc/listen.h"

struct client {
    int fd;
    int pid;        /* of the server */
    int pidfd;      /* readable when the server has gone; -1 where the kernel has none */
    uint64_t began; /* start time of the process, where there is no pidfd */
    struct buf in;
};

/* 0, or -ENOENT, -ECONNREFUSED: no server; -EACCES: not for this user; other -errno. */
int client_open(struct client *c, const char *path);
void client_close(struct client *c);

/* Called with the sentence of each progress line. */
typedef void client_progress(void *arg, cs_str text);

/* The next line that the server sends, without its end: 0, -ETIMEDOUT, -EPIPE, -errno. */
int client_line(struct client *c, int64_t limit_ms, struct buf *line);
/* Has the next line arrived already? */
bool client_has_line(const struct client *c);
/* Only sends it: what comes of that, client_line tells. */
void client_send(struct client *c, const char *request, int64_t limit_ms);
/* Sends one request and waits for its answer: 0, -ETIMEDOUT, -EPIPE (the server went away), -errno.
 * limit_ms < 0: no limit. */
int client_ask(struct client *c, const char *request, int64_t limit_ms, client_progress *progress,
               void *arg, struct buf *answer);
/* Waits until the server's process has gone: 0 or -ETIMEDOUT. */
int client_wait_gone(struct client *c, int64_t limit_ms);

/* What does the server on this control socket listen on? 0 and the set; or what client_open returns
 * when nobody answers, -EACCES when it may not be asked. */
int client_listeners(const char *path, struct listen_set *out);

/* The next element of the JSON array `rest`: its text, strings without quotes. false at the end. */
bool client_next(cs_str *rest, cs_str *element);

#endif
