/* notify.c - see notify.h. A socket for each message: there are few, and none that children or a change of limits could
 * spoil. */
#include "os/notify.h"

#include "base/log.h"
#include "base/str.h"
#include "os/fd.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MOST_BYTES 1024

static struct {
    struct sockaddr_un to;
    socklen_t len; /* 0: nobody wants it */
    uint64_t watchdog_us;
    bool held;
} manager;

/* A path, or "@" and an abstract name. */
static bool take_place(const char *text)
{
    size_t n = strlen(text);

    if ((text[0] != '/' && text[0] != '@') || n < 2 || n > sizeof manager.to.sun_path)
        return false;
    manager.to.sun_family = AF_UNIX;
    memcpy(manager.to.sun_path, text, n);
    if (text[0] == '@')
        manager.to.sun_path[0] = '\0';
    manager.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
    return true;
}

static uint64_t number_of(const char *variable)
{
    const char *z = getenv(variable);
    uint64_t n = 0;

    return z && str_to_u64(str_of(z), UINT64_MAX, &n) ? n : 0;
}

static void forget_environment(void)
{
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
}

void notify_open(void)
{
    const char *place = getenv("NOTIFY_SOCKET");
    uint64_t pid = number_of("WATCHDOG_PID");

    notify_close();
    if (place && *place && !take_place(place))
        log_warn("NOTIFY_SOCKET=%s is neither a path nor @ and a name: systemd is told nothing",
                 place);
    if (manager.len && (!getenv("WATCHDOG_PID") || pid == (uint64_t)getpid()))
        manager.watchdog_us = number_of("WATCHDOG_USEC");
    forget_environment();
}

void notify_close(void)
{
    memset(&manager, 0, sizeof manager);
}

bool notify_wanted(void)
{
    return manager.len > 0 && !manager.held;
}

void notify_hold(bool on)
{
    manager.held = on;
}

uint64_t notify_watchdog_us(void)
{
    return manager.watchdog_us;
}

static int send_bytes(const char *p, size_t n)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const struct sockaddr *to = (const struct sockaddr *)(const void *)&manager.to;
    int rc = 0;

    if (fd < 0)
        return -errno;
    if (sendto(fd, p, n, MSG_NOSIGNAL, to, manager.len) < 0)
        rc = -errno;
    fd_close(&fd);
    return rc;
}

int notify_send(const char *fmt, ...)
{
    char text[MOST_BYTES];
    va_list ap;
    int n;

    if (!notify_wanted())
        return 0;
    va_start(ap, fmt);
    n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (n < 0)
        return -EINVAL;
    return send_bytes(text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1);
}

int notify_status(const char *sentence)
{
    char clean[MOST_BYTES - sizeof "STATUS="];
    size_t n = 0;

    for (; sentence[n] && n < sizeof clean - 1; n++)
        clean[n] = (unsigned char)sentence[n] < ' ' ? ' ' : sentence[n];
    clean[n] = '\0';
    return notify_send("STATUS=%s", clean);
}

void notify_export(void)
{
    char text[sizeof manager.to.sun_path + 1] = "", number[32];
    size_t n = manager.len - offsetof(struct sockaddr_un, sun_path);

    if (!notify_wanted())
        return;
    memcpy(text, manager.to.sun_path, n);
    if (text[0] == '\0')
        text[0] = '@';
    setenv("NOTIFY_SOCKET", text, 1);
    snprintf(number, sizeof number, "%llu", (unsigned long long)manager.watchdog_us);
    if (manager.watchdog_us)
        setenv("WATCHDOG_USEC", number, 1);
}
