#include "serve/shed.h"

#include "net/stream.h"
#include "serve/conn.h"

bool shed_idle(struct serve *s)
{
    struct list *oldest = list_first(&s->idle);
    if (!oldest)
        return false;
    serve_count_one(s, IPC_LIMIT_CONNECTIONS);
    conn_close(CONTAINER_OF(oldest, struct conn, idle_node));
    return true;
}

/* What has come and stays unread would reset the answer. */
void shed_newcomer(struct serve *s, int fd)
{
    static const char busy[] =
        "HTTP/1.1 503 Service Unavailable\r\nServer: cserver\r\nRetry-After: 1\r\n"
        "Content-Length: 0\r\nConnection: close\r\n\r\n";
    struct stream stream = {.fd = fd};
    char waste[4096];
    serve_count_one(s, IPC_LIMIT_CONNECTIONS);
    stream_recv(&stream, waste, sizeof waste);
    stream_send(&stream, &(struct iovec){(void *)(uintptr_t)busy, sizeof busy - 1}, 1);
    stream_shut(&stream);
    stream_close(&stream);
}
