/* client.h - a client with its one request: what client.c and move.c know of it. */
#ifndef KIT_CLIENT_H
#define KIT_CLIENT_H

#include "kit/kit.h"
#include "kit/reply.h"
#include "serve/conn.h"

struct cst_req {
    struct cst_req *next;
    struct cst *test;
    int fd;      /* -1: closed, by whichever side */
    int server;  /* the number of the server's end, as long as the server has not closed it */
    bool fresh;  /* nothing has run since it was made */
    bool moving; /* stays open while the process changes */
    struct buf out;
    struct reply reply;
    bool chunked;  /* the request's body */
    size_t may;    /* bytes it may still read */
    size_t end_at; /* goes away when so many have come */
    bool ended;    /* by the server */
};

/* A connection of it in s; takes fd over. */
struct conn *kit_client_connection(cst_req *q, struct serve *s, int fd);

#endif
