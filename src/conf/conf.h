/* conf.h - the settings as one constant tree, checked and typed. Made once in the master (and in
 * the probe child, from the same text), read by everybody. A reload makes another; only the keys of
 * tune.h may get other values in one that is in use.
 *
 * Core sections and module sections are described by the same tables (cs_directive of cserver.h):
 * one parser, one validator, one reference. */
#ifndef CONF_CONF_H
#define CONF_CONF_H

#include "conf/reader.h"
#include "conf/trial.h"

struct conf;
struct conf_module;
struct conf_route;
struct conf_site;

/* One value that holds, with where it comes from: for -T. */
struct conf_value {
    const cs_directive *directive;
    const struct conf_module *module; /* whose key it is; NULL: the core's */
    cs_str text; /* as an operator would write it; p NULL: not set, and it has no default */
    struct conf_origin origin;
};

/* What every section has. The values are the core's keys in table order; then in [module:x] all of
 * its keys, in sites and routes the module keys that were written there. */
struct conf_head {
    cs_str kind, label;    /* NUL-terminated */
    struct conf_origin at; /* file NULL: nobody wrote the section */
    size_t nvalues;
    struct conf_value *values;
};

/* Where `key` of that section got its value; for errors that show up later (an unwritable log, an
 * unknown user). The section's own place when it has no such key. */
const struct conf_origin *conf_origin_of(const struct conf_head *head, const char *key);

struct conf;
/* Where element `index` (0 unless the key has elements) of one of its values stands, which is `text`. */
struct conf_origin conf_place_of(const struct conf *c, const struct conf_head *head,
                                 const struct conf_value *value, size_t index, cs_str text);

enum conf_log_format {
    CONF_LOG_TEXT,
    CONF_LOG_JSON
};
enum conf_access_format {
    CONF_ACCESS_COMBINED,
    CONF_ACCESS_JSON
};

struct conf_server {
    struct conf_head head;
    int64_t workers;          /* 0 = auto: one per CPU of the affinity mask */
    int64_t max_workers;      /* 0 = auto: max(16, 4 x CPUs); needs a restart */
    cs_str user;              /* "" = auto: www-data, else nobody; only matters for root */
    _Bool allow_root;         /* as workers' user */
    cs_str pid_file, control; /* absolute */
    cs_str error_log;         /* "stderr" or absolute path */
    int64_t log_level;        /* enum log_level */
    int64_t log_format;       /* enum conf_log_format, of the error log */
    cs_str access_log;        /* "off", "stdout" or absolute path */
    int64_t access_format;    /* enum conf_access_format */
    size_t log;               /* index in conf->logs + 1; 0: off */
    cs_str modules;           /* folder of the modules; "" = built-in place */
    int64_t shutdown_timeout, drain_timeout, upgrade_timeout; /* ms */
    int64_t give_up;       /* exit after so many failed worker starts in a row; 0 = never */
    cs_list cpu;           /* "off", "auto", or numbers and ranges: conf/cpu.h */
    int64_t recycle_after; /* requests of one worker; 0 = never */
    int64_t mailbox_stall; /* ms */
    int64_t threads;       /* most for jobs of modules, in each process */
    int64_t disk_threads;  /* most that wait for files */
    int64_t disk_queue;
    int64_t task_stack;                                /* bytes */
    int64_t quarantine;                                /* crashes of a module; 0 = never */
    int64_t quarantine_window, block_warn, block_kill; /* ms; 0 = never */
    _Bool module_debug;
};

enum conf_policy {
    CONF_POLICY_TURN,
    CONF_POLICY_EXCLUSIVE,
    CONF_POLICY_REUSEPORT,
    CONF_POLICY_DEFAULT /* of a listener: what [accept] says */
};
enum conf_pick {
    CONF_PICK_RING,
    CONF_PICK_LEAST
};

struct conf_accept {
    struct conf_head head;
    int64_t policy;     /* enum conf_policy */
    int64_t batch;      /* most connections taken in one turn */
    _Bool spread;       /* one at a time while another worker is parked */
    int64_t pick;       /* enum conf_pick */
    int64_t stall_kill; /* ms, 0 = never */
};

struct conf_limits {
    struct conf_head head;
    int64_t max_connections; /* of each worker; 0 = auto: from RLIMIT_NOFILE */
    int64_t max_head, max_headers, max_uri, max_body;
    int64_t head_timeout, body_timeout, keepalive_timeout, write_timeout,
        handler_timeout;        /* ms, 0 = none */
    int64_t keepalive_requests; /* 0 = no limit */
};

struct conf_reload {
    struct conf_head head;
    cs_list probe;         /* as written */
    int64_t probe_timeout; /* ms */
    size_t ntrials;
    struct conf_trial *trials; /* of probe */
};

/* The field in which trusted proxies say who the client is. */
enum conf_client_from {
    CONF_CLIENT_AUTO, /* X-Forwarded-For where there is `trusted`, unless that is for PROXY headers */
    CONF_CLIENT_XFF,
    CONF_CLIENT_FORWARDED,
    CONF_CLIENT_OFF
};

struct conf_listen {
    struct conf_head head;
    cs_list address; /* each as sock_addr_parse reads it */
    int64_t backlog;
    _Bool deferred;
    _Bool proxy_protocol; /* connections begin with a PROXY header */
    const cs_blocks *trusted;
    int64_t client_from; /* enum conf_client_from */
    int64_t mode;        /* of a unix socket; written in octal */
    int64_t policy;      /* enum conf_policy */
};

struct conf_module {
    struct conf_head head; /* label = name */
    cs_str file;           /* as written; "" = NAME.so */
    const cs_module *desc; /* NULL when it could not be loaded */
    const void *conf;      /* desc->conf_size bytes: the module's own settings */
    unsigned number;       /* in the shared memory (ipc/layout.h), from 1; 0: not numbered yet */
    bool implicit;         /* no section: "static", because a site has a root */
};

/* Limits that sites and routes may have of their own. */
enum conf_limit {
    CONF_MAX_BODY,
    CONF_BODY_TIMEOUT,
    CONF_HANDLER_TIMEOUT,
    CONF_WRITE_TIMEOUT,
    CONF_OWN_LIMITS
};

/* What a site or a route may say otherwise than the scope around it: [limits] and [server], or its site. */
struct conf_own {
    int64_t limit[CONF_OWN_LIMITS]; /* [enum conf_limit]; -1: the scope around decides */
    cs_str access_log;              /* "": the same */
    int64_t access_format;          /* -1: the same */
    size_t log;                     /* what comes of the two: an index in conf->logs + 1; 0: off */
};

/* An access log: of the server, of sites or of routes. */
#define CONF_LOGS_MAX 128
struct conf_log {
    cs_str path; /* "stdout" or absolute */
    enum conf_access_format format;
    const struct conf_origin *at; /* of the first access_log that names it */
};

/* The limit that holds, and whose key it is. route may be NULL, and so may site then. */
struct conf_bound {
    int64_t value;
    const char *key;
    const struct conf_head *head;
};
struct conf_bound conf_limit_of(const struct conf *c, const struct conf_site *site,
                                const struct conf_route *route, enum conf_limit which);

/* What stands in for the server's page of the statuses from .. to (one status, or a class of them). */
struct conf_page {
    int from, to;
    cs_str path, query; /* path: normalised, NUL-terminated; n == 0: the server's page after all */
    struct conf_origin at;
};
struct conf_pages {
    size_t n;
    const struct conf_page *v;
};
/* The one for that status before the one for its class; NULL: none. */
const struct conf_page *conf_page_for(const struct conf_pages *p, int status);

struct conf_site {
    struct conf_head head;
    struct conf_own own;
    cs_list listen; /* labels; empty = all */
    cs_list host;   /* names, "*", "*.example.com"; lower case */
    cs_str root;    /* absolute; "" = none */
    cs_list use;    /* names of modules that take part in all of its requests */
    cs_list error_pages;
    struct conf_pages pages; /* of error_pages */
    size_t nused;
    const struct conf_module **used;
    const void **module_conf; /* [index in conf.modules]: settings that hold for this site */
};

enum conf_match {
    CONF_MATCH_EXACT,
    CONF_MATCH_PREFIX,
    CONF_MATCH_REGEX
};

/* One element of a route's `headers` or `query`. */
enum conf_test {
    CONF_TEST_THERE,
    CONF_TEST_MISSING,
    CONF_TEST_IS,
    CONF_TEST_REGEX
};

struct conf_condition {
    enum conf_test test;
    cs_str name, value;
    struct conf_origin at;
};

struct conf_route {
    struct conf_head head;
    struct conf_own own;
    cs_str site_label; /* of the site below, also where the file does not say it */
    const struct conf_site *site;
    cs_str match; /* as written */
    enum conf_match match_kind;
    cs_str match_arg;                /* path of "= /x", "/x" and "/x/", pattern of "~ ..." */
    cs_list methods, headers, query; /* conditions as written */
    const cs_blocks *clients;
    size_t nheader_tests, nquery_tests;
    struct conf_condition *header_tests, *query_tests; /* of the latter two */
    const cs_template *rewrite; /* where its requests go on to; text.n == 0: nowhere */
    cs_list handler;            /* names of modules, in order */
    cs_str root;                /* absolute; "" = the site's */
    size_t nhandlers;
    const struct conf_module **handlers;
    cs_list error_pages;
    struct conf_pages pages; /* of error_pages; those of the site hold where it has none */
    cs_list use; /* names as written: the site's come first, "-NAME" takes one of them away */
    size_t nused;
    const struct conf_module *
        *used;                /* the site's and the route's, in order, without handlers' own */
    const void **module_conf; /* [index in conf.modules]: settings that hold on this route */
    struct conf_origin match_at, handler_at, root_at,
        rewrite_at; /* for errors found later (a bad regex) */
};

/* Has it conditions? */
bool conf_route_asks(const struct conf_route *route);

struct conf {
    struct arena arena;
    struct arena tuned; /* what conf_tune_take has brought */
    const struct conf_text *text;
    struct conf_server server;
    struct conf_accept accept;
    struct conf_limits limits;
    struct conf_reload reload;
    size_t nlistens, nsites, nroutes, nmodules, nlogs;
    struct conf_listen *listens;
    struct conf_site *sites;
    struct conf_route *routes;
    struct conf_module *modules;
    struct conf_log *logs; /* of the server first, where it has one */
};

/* A module that the text asks for, before it is loaded. */
struct conf_module_ref {
    cs_str name;
    cs_str file; /* value of its `file` key, or "" */
    struct conf_origin at;
    struct conf_origin file_at; /* of that value, or of the section */
};

/* Which modules does the text name? [module:x] sections, and static where a root is set without
 * one. The array lies in the text's arena. `folder`: value of [server] modules, or "". */
size_t conf_module_refs(struct conf_text *t, struct conf_module_ref **out, cs_str *folder);

/* Binds the text to the tables of the core and of the loaded modules: desc[i] belongs to refs[i],
 * NULL where it could not be loaded (reported by the caller; its keys are then not checked). Checks
 * everything that the settings alone can tell (types, ranges, unknown keys and sections, references
 * between sections, duplicates). Never NULL; usable only when rep has no errors. Modules' on_config
 * is not called here. */
struct conf *conf_bind(struct conf_text *t, const struct conf_module_ref *refs,
                       const cs_module *const *desc, size_t nrefs, struct report *rep);
/* Before conf_text_free of its text, which the tree points into. */
void conf_free(struct conf *c);

/* The sections in their order, the single ones first: 0, 1 ... until NULL. */
size_t conf_head_count(const struct conf *c);
const struct conf_head *conf_head_at(const struct conf *c, size_t i);

/* Effective settings with the origin of every value, as an ini that reads back to the same
 * settings: -T. A secret is shown as "***", behind a comment that says so. */
void conf_print(const struct conf *c, struct buf *out);
/* The same without origins: two settings are the same when these texts are (but for secrets). */
void conf_print_plain(const struct conf *c, struct buf *out);

/* Reference of all core keys (and of the given modules' keys), in Markdown: docs/cserver.ini.md. */
void conf_reference(const cs_module *const *modules, size_t n, struct buf *out);
/* The part about one module. */
void conf_reference_module(const cs_module *m, struct buf *out);

/* Checks one directive table (names, defaults parse, offsets within size): 0, or -1 with *error a
 * sentence. For loading. */
int conf_table_check(const cs_directive *table, size_t conf_size, struct buf *error);

#endif
