/* remote.h - talking to the running server that the settings name: finding it, asking it, and saying in plain words what
 * goes wrong. What comes back as `int` is an exit status; where it is not CLI_DONE it has been said why. */
#ifndef CLI_REMOTE_H
#define CLI_REMOTE_H

#include "cli/cli.h"
#include "proc/client.h"

#include <stdio.h>

#define REMOTE_LIMIT_MS 15000

struct remote {
    const struct options *o;
    const char *what; /* is asked for, as the user calls it */
    struct client client;
    char *path;          /* control socket */
    char *pid_file;      /* NULL with --dev */
    struct buf answer;   /* the last one */
    struct buf progress; /* the last sentence before it */
    bool answered;       /* there is one */
};

/* Finds the server and connects. remote_close is due in any case. */
int remote_open(struct remote *r, const struct options *o, const struct settings_source *src,
                const char *what);
void remote_close(struct remote *r);
/* Waits for the answer, at most limit_ms (-1: for ever). Where it is a failure its `code` is the exit status, and with
 * --json it is left to the caller to print it. */
int remote_ask(struct remote *r, const char *request, int64_t limit_ms);
/* --timeout, or `otherwise`; -1: for ever. */
int64_t remote_limit(const struct options *o, int64_t otherwise);
/* There was no answer: says so. */
int remote_say_lost(const struct remote *r, int error, int64_t limit_ms);

/* ---- Reading answers ---- */

/* Empty where there is none. */
cs_str remote_field(cs_str object, const char *key);
cs_str remote_answer(const struct remote *r, const char *key);
int64_t remote_number(cs_str text, int64_t otherwise);
/* The inside of a JSON string, as text. */
void remote_print(FILE *to, cs_str inside);
void remote_print_line(FILE *to, const char *before, cs_str inside);
void remote_print_json(const struct remote *r);

#endif
