/* file.h - one file of the site, opened: either its whole content in memory, read in one go, or a
 * descriptor for the server to send from. Counted by reference: the cache and every answer under
 * way hold one, so a file that was replaced on disk lives until its last answer has left. */
#ifndef STATIC_FILE_H
#define STATIC_FILE_H

#include <cserver/cserver.h>
#include <sys/stat.h>

struct file {
    unsigned refs;

    /* How it was asked for. */
    uint64_t hash;
    uint16_t root;
    cs_str path;
    _Bool hidden; /* a segment of the path starts with "." (".well-known" does not count) */

    /* What the answer says. */
    const char *type;
    cs_str etag; /* empty: none */
    char etag_text[56];
    int64_t mtime;
    int64_t size;
    const char *data; /* NULL: send from fd */
    int fd;           /* -1: all is in data */
    _Bool slow;       /* also closing fd may wait */

    /* What it was on disk when it was last looked at. */
    struct stat st;
    int64_t checked; /* cs_now_ms() of that moment */
    _Bool unsettled; /* written so lately that a further write might not show in st */
    _Bool fleeting;  /* changed while it was read: good for this answer only */

    /* Its compressed siblings (forms.h): bits of those that have been looked for, and of those that are there. */
    unsigned forms_known, forms;
    int64_t forms_checked;

    /* The cache's. */
    _Bool used;
    struct file *chain, *newer, *older;
};

/* In `root`: no link at all may be on the way to the file. */
#define FILE_NO_LINKS 0x8000u

/* What kind of disk? */
enum file_disk {
    FILE_DISK_UNKNOWN,
    FILE_DISK_SLOW, /* anything that asks it may wait for ever: a network, FUSE, or we do not know better */
    FILE_DISK_LOCAL, /* ... only what is not in memory yet */
    FILE_DISK_MEMORY /* nothing waits */
};

/* How a file is asked for. */
struct file_ask {
    int at; /* descriptor of the site's root */
    uint16_t root;
    cs_str path;
    int64_t small;          /* up to this size the contents come into memory */
    const struct file *old; /* what it was, when it was looked at last; may be NULL */
    _Bool no_wait;          /* only if the disk has not to be asked; it is local, or in memory */
    enum file_disk disk;
};

enum {
    FILE_SAME = 1 /* it is what `old` says */
};

/* 0 and a file with one reference, FILE_SAME, or -errno; -EISDIR for a folder, -EACCES for what is neither folder nor file;
 * -EAGAIN: the disk would have to be asked. May be called on any thread; file_tell then says the rest, on the loop. */
int file_load(const struct file_ask *ask, struct file **out);
/* `now`: when it was asked for. */
void file_tell(struct file *f, int64_t now);

/* Is the file that a descriptor is kept of still as long as it was, and unchanged, as far as can be told without waiting for the disk?
 * True for one in memory. */
_Bool file_is_whole(const struct file *f);

/* What kind the disk is that an open file lies on. May wait for it. */
enum file_disk file_disk(int fd);

/* Closes what may wait: takes over f. Set by who has threads. */
extern void (*file_close_slow)(struct file *f);
/* For it: closes the descriptor, and frees the rest. */
void file_free(struct file *f);

/* Gives one reference back (a cs_cb). */
void file_unref(void *file);

/* Does a segment of the path start with "."? */
int path_hidden(cs_str path);

#endif
