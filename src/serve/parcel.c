#include "serve/parcel.h"

#include "ipc/fdpass.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TEXTS 5

struct head {
    uint32_t serial;
    uint32_t n[TEXTS];
    uint64_t mail;
};

/* The texts in the order in which they lie behind the head. */
static void texts_of(struct parcel *p, cs_str *v[TEXTS])
{
    v[0] = &p->module;
    v[1] = &p->site;
    v[2] = &p->route;
    v[3] = &p->listener;
    v[4] = &p->saved;
}

int parcel_send(int sock, const struct parcel *p, int fd)
{
    char room[PARCEL_MAX];
    struct parcel copy = *p;
    struct head h = {.serial = p->serial, .mail = p->mail};
    cs_str *v[TEXTS];
    size_t at = sizeof h;

    texts_of(&copy, v);
    for (int i = 0; i < TEXTS; i++) {
        if (v[i]->n > sizeof room - at)
            return -E2BIG;
        if (v[i]->n)
            memcpy(room + at, v[i]->p, v[i]->n);
        h.n[i] = (uint32_t)v[i]->n;
        at += v[i]->n;
    }
    memcpy(room, &h, sizeof h);
    return fdpass_put(sock, room, at, fd);
}

static bool unpack(struct parcel *p, char *room, size_t n)
{
    struct head h;
    cs_str *v[TEXTS];
    size_t at = sizeof h;

    if (n < sizeof h)
        return false;
    memcpy(&h, room, sizeof h);
    *p = (struct parcel){.serial = h.serial, .mail = h.mail};
    texts_of(p, v);
    for (int i = 0; i < TEXTS; i++) {
        if (h.n[i] > n - at)
            return false;
        *v[i] = (cs_str){room + at, h.n[i]};
        at += h.n[i];
    }
    return at == n;
}

/* Where the other side has closed with something unread, that is told once, before what it has sent. */
int parcel_receive(int sock, struct parcel *p, char room[PARCEL_MAX], int *fd)
{
    size_t n = 0;
    int rc = fdpass_get(sock, room, PARCEL_MAX, &n, fd);

    if (rc == -EPIPE)
        rc = fdpass_get(sock, room, PARCEL_MAX, &n, fd);
    if (rc != 1 || unpack(p, room, n))
        return rc;
    close(*fd);
    *fd = -1;
    return -EPROTO;
}

int parcel_answer(int sock, struct parcel_answer a)
{
    ssize_t n;

    do
        n = send(sock, &a, sizeof a, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : 0;
}

int parcel_hear(int sock, struct parcel_answer *a)
{
    ssize_t n;
    bool reset = false;

    do {
        n = recv(sock, a, sizeof *a, MSG_DONTWAIT);
        if (n < 0 && errno == ECONNRESET && !reset)
            reset = true;
        else if (n >= 0 || errno != EINTR)
            break;
    } while (true);
    if (n < 0)
        return errno == EAGAIN ? 0 : -EPIPE;
    return n == 0 ? -EPIPE : n == sizeof *a ? 1 : -EPROTO;
}
