/* sock_unix.h - unix stream sockets of any path length, and their files. -errno on failure. */
#ifndef OS_SOCK_UNIX_H
#define OS_SOCK_UNIX_H

/* Binds and listens on / connects to a unix stream socket whose path may be longer than sun_path
 * allows (it goes through /proc/self/fd of the folder). */
int sock_unix_listen(const char *path, unsigned mode);
int sock_unix_connect(const char *path);
/* pid, uid, gid of the other side of a unix socket. */
int sock_unix_peer(int fd, int *pid, unsigned *uid, unsigned *gid);
/* Permissions of a unix socket's file. It follows no link, and changes nothing but a socket. */
int sock_unix_set_mode(const char *path, unsigned mode);

#endif
