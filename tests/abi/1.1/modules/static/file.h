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

/* Opens path beneath the request's site root, with the contents in memory when they are at most
 * `small` bytes. 0 and a file with one reference, or -errno; -EISDIR for a folder, -EACCES for what
 * is neither folder nor file. */
int file_open(cs_req *r, uint16_t root, cs_str path, int64_t small, struct file **out);

/* Looks at the disk again: is what stands at f->path still the same file, unchanged? Then 1, and
 * f->checked is now. 0: no. */
int file_still(cs_req *r, struct file *f);

/* Is the file that a descriptor is kept of still as long as it was, and unchanged? True for one in memory. */
_Bool file_is_whole(const struct file *f);

/* Gives one reference back (a cs_cb). */
void file_unref(void *file);

/* Does a segment of the path start with "."? */
int path_hidden(cs_str path);

#endif
