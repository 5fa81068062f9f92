/* stream.h - a connected byte stream: plain TCP or a unix socket today; TLS comes behind the same
 * calls.
 *
 * All calls return bytes moved (> 0), 0 at the end of input (recv only), -EAGAIN when it would
 * block, or another -errno. They never block and never raise SIGPIPE. */
#ifndef NET_STREAM_H
#define NET_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct stream {
    int fd;
};

/* Can another process go on with its descriptor alone? Always, while there is no TLS. */
static inline bool stream_can_move(const struct stream *s)
{
    return s->fd >= 0;
}

ssize_t stream_recv(struct stream *s, void *to, size_t n);
ssize_t stream_send(struct stream *s, const struct iovec *v, int n);
/* Sends up to n bytes of file from *off, which is moved on. 0: the file ends there (it has been cut
 * short). */
ssize_t stream_send_file(struct stream *s, int file, uint64_t *off, size_t n);
/* Bytes that the peer has not acknowledged yet, or -errno. */
int stream_unsent(const struct stream *s);
/* No more output: the peer reads to the end. */
void stream_shut(struct stream *s);
/* Closes so that the peer takes nothing that has not arrived yet, nor the end, for complete. */
void stream_reset(struct stream *s);
void stream_close(struct stream *s);

#endif
