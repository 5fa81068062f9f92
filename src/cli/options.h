/* options.h - what the command line asks for. One table is parser, help and hints. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include "base/buf.h"
#include "conf/reader.h"

enum action {
    ACTION_RUN,
    ACTION_TEST,      /* -t */
    ACTION_PRINT,     /* -T */
    ACTION_COMMAND,   /* -s */
    ACTION_VERSION,   /* -v */
    ACTION_BUILD,     /* -V */
    ACTION_HELP,      /* -h */
    ACTION_REFERENCE, /* --reference */
    ACTION_MSG,       /* msg ... */
    ACTION_MODULE,    /* module ... */
    ACTION_DEV,       /* --dev */
    ACTION_DIFF,      /* diff */
    ACTION_EXPLAIN    /* explain ... */
};

struct options {
    char **argv; /* all of it */
    enum action action;
    const char *conf;      /* -c; NULL: not given */
    const char *prefix;    /* -p */
    const char *error_log; /* -e */
    const char *command;   /* -s */
    bool daemon, quiet, json;
    bool testing;       /* -t or -T was among them */
    int64_t timeout_ms; /* --timeout; -1: not given */
    bool msg, module;   /* that word was there, also where the rest is wrong */
    const char *verb;   /* msg: send, tail, topics; module: new, build, check, info, list */
    const char *topic, *data;
    const char *to;   /* --to; NULL: not given */
    const char *wait; /* --wait: applied (msg send), drained (-s reload); NULL: not given */
    bool no_wait;     /* --no-wait */
    bool new_workers; /* --new-workers */
    bool diff;        /* that word was there */
    const char *file; /* diff: compare with this one; NULL: with the server's own */
    bool exit_code;   /* --exit-code */
    size_t nwords;    /* module: what stands behind the verb */
    const char **words;
    size_t nextra; /* module build: what stands behind -- */
    char **extra;
    const char *output;        /* -o */
    bool verbose;              /* -v of module build */
    bool md;                   /* --md */
    const char *dev;           /* --dev; NULL: not given */
    const char *listen;        /* -l */
    bool explain;              /* that word was there */
    const char *request;       /* explain: "GET http://...", or "-" */
    const char *client, *user; /* --client, --user; NULL: not given */
    size_t nheaders;
    const char **headers; /* -H */
    size_t noverrides;
    struct conf_override *overrides; /* -g */
};

/* 0, or -1 with *error a sentence and a hint. Strings point into argv. */
int options_parse(int argc, char **argv, struct options *o, struct buf *error);
void options_free(struct options *o);
enum options_of {
    OPTIONS_SERVER,
    OPTIONS_MSG,
    OPTIONS_MODULE,
    OPTIONS_EXPLAIN,
    OPTIONS_KINDS
};
/* Which of them is this command line about? */
static inline enum options_of options_which(const struct options *o)
{
    return o->msg       ? OPTIONS_MSG
           : o->module  ? OPTIONS_MODULE
           : o->explain ? OPTIONS_EXPLAIN
                        : OPTIONS_SERVER;
}
/* One line for each option: of `cserver`, of `cserver msg`, of `cserver module`, of `cserver explain`. */
void options_help(struct buf *out, enum options_of of);

#endif
