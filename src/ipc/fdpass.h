/* fdpass.h - descriptors through a SOCK_SEQPACKET pair (SCM_RIGHTS), with a small typed message. */
#ifndef IPC_FDPASS_H
#define IPC_FDPASS_H

#include <stddef.h>
#include <stdint.h>

enum fdpass_kind {
    FDPASS_ERROR_LOG = 1, /* use this descriptor as the error log from now on */
    FDPASS_ACCESS_LOG,
    FDPASS_CONNECTION, /* serve this connection; it has come by no listener. No serial */
    FDPASS_HEIR, /* give your streams to whoever is there, at most as many as `serial` says: serve/giver.h */
    FDPASS_LEGACY /* streams come from there: serve/taker.h */
};

struct fdpass_msg {
    uint32_t kind;   /* enum fdpass_kind */
    uint32_t serial; /* number of the reopen, of logs */
    uint32_t index;  /* of an access log, in conf->logs */
};

/* Any message with one descriptor: the same results as below; *n is its length, at most `room`. */
int fdpass_put(int sock, const void *data, size_t n, int fd);
int fdpass_get(int sock, void *data, size_t room, size_t *n, int *fd);

/* 0, -EAGAIN (full), or -errno. The sender keeps its descriptor. */
int fdpass_send(int sock, const struct fdpass_msg *msg, int fd);
/* 1: a message and *fd (close-on-exec, owned by the caller), 0: nothing there, -errno; -EPIPE: other side closed. */
int fdpass_recv(int sock, struct fdpass_msg *msg, int *fd);

#endif
