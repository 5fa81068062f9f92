/* log_sink.h - whole lines into a file that other processes append to as well. What blocks, blocks here: it is called by a
 * thread that has nothing else to do.
 *
 * A regular file takes all that is given to it at once, and no other process's bytes come in between (O_APPEND). A pipe or
 * a socket promises that for PIPE_BUF bytes only, so there it goes in pieces of whole lines that are no longer, but for a
 * line that is longer by itself. A disk that has become full may take the beginning of a line: what this process writes
 * next begins a line of its own, and the line is written again, whole. So does what others write that have met the full
 * disk too; one that has not adds its next line to the torn one. */
#ifndef SERVE_LOG_SINK_H
#define SERVE_LOG_SINK_H

#include "base/str.h"

#include <stdatomic.h>

struct log_sink {
    int fd;
    bool regular;
    bool torn; /* the file may end in the middle of a line */
};

/* Borrows fd. */
void log_sink_open(struct log_sink *s, int fd);
/* Writes what it takes of `lines`, each with a newline at its end. Returns the bytes of the lines that stand there whole, and
 * adds their number to *written with each write. When these are not all: *error is why, else 0. */
size_t log_sink_write(struct log_sink *s, cs_str lines, _Atomic uint64_t *written, int *error);

#endif
