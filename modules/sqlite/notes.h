/* notes.h - notes in an SQLite database: one connection for the process, used by one thread at a time. */
#ifndef SQLITE_NOTES_H
#define SQLITE_NOTES_H

#include <stddef.h>
#include <stdint.h>

enum notes_action {
    NOTES_LIST, /* the last 100, or those before `id` */
    NOTES_ADD,
    NOTES_GET,
    NOTES_DELETE,
    NOTES_ACTIONS
};

/* What is asked, and what came of it. */
struct notes_job {
    enum notes_action action;
    int64_t id;
    const char *text; /* NOTES_ADD: as in a string of JSON, without its quotes */
    size_t len;

    int status;      /* of HTTP */
    char *json;      /* to be freed; NULL where there is none */
    int64_t new_id;  /* NOTES_ADD */
    char fault[200]; /* why the status is 500 or 503 */
};

/* Opens the file, and makes what is not there. NULL, or why it cannot. */
const char *notes_open(const char *path);
/* arg: a struct notes_job. Blocks; on any thread. */
void notes_do(void *arg);

#endif
