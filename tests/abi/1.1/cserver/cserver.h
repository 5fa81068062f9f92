/* cserver.h - the whole public interface between cserver and its handler modules.
 *
 * C11, no other header of the server is needed. A module is one shared object that exports one data
 * symbol (CS_MODULE below writes it); the server hands it a table of functions. Nothing else is
 * shared: every type named cs_something without a visible body is opaque, and every struct that
 * crosses the border starts with its own size.
 *
 * A module built for ABI 1.N loads into every server of 1.M, M >= N: entries of the table and members of structs never
 * move, change their meaning or go; new ones are appended, and enums grow at their end.
 *
 * What holds for all calls: they are made from the thread that the hook or callback was called on, with the
 * exception of `log`; they do not block unless they say so; names that the caller passes are only read during the call,
 * and texts that a call returns live as long as the request, unless it says otherwise. A hook must not block either: all
 * connections of its process wait for it.
 *
 * Where things run
 *   workers          worker_start, requests (access, handler, filters, on_log), timers, messages, worker_stop
 *   the primary      primary_start, timers, messages, primary_stop: what there is once per server
 *   a probe child    on_config, for -t and before each start and reload
 *   the master       nothing of any module
 */
#ifndef CSERVER_CSERVER_H
#define CSERVER_CSERVER_H

/* Its lists are read in columns. */
/* clang-format off */

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CS_ABI_MAJOR 1           /* another one: modules have to be built again */
#define CS_ABI_MINOR 1           /* grows when something is appended: what is there already loads and works */
#define CS_MAGIC     0x43534d31u /* "CSM1" */

/* ---- Values ------------------------------------------------------------------------------- */

/* Bytes with a length; not NUL-terminated unless a call says so. */
typedef struct cs_str {
    const char *p;
    size_t n;
} cs_str;

/* A list of strings, as a CS_LIST directive yields it. */
typedef struct cs_list {
    size_t n;
    const cs_str *v;
} cs_list;

/* A text with variables of a request, such as "https://${host}${path}", as a CS_TEMPLATE directive yields it: only the server
 * makes one. cs_expand puts the values in. */
typedef struct cs_template {
    cs_str text;  /* as the operator wrote it */
    int constant; /* 1: there is no variable in it */
    int scope;     /* the section it stands in: CS_SCOPE_... */
    cs_str origin; /* its file and line, "conf/cserver.ini:12"; empty: it is a default */
} cs_template;
enum { CS_SCOPE_MODULE, CS_SCOPE_SITE, CS_SCOPE_ROUTE };
typedef struct cs_templates {
    size_t n;
    const cs_template *const *v;
} cs_templates;

/* Addresses and blocks of them, as a CS_BLOCKS directive yields them: only the server makes one. cs_client_in asks it. */
typedef struct cs_blocks {
    cs_list words; /* as the operator wrote them */
} cs_blocks;

#ifdef __cplusplus
#define CS_S(lit) (cs_str{("" lit), sizeof(lit) - 1})
#else
#define CS_S(lit) ((cs_str){("" lit), sizeof(lit) - 1}) /* a cs_str of a string literal */
#endif
#define CS_F(s)   (int)(s).n, (s).p                     /* arguments for "%.*s" */

/* What the short names take for a text: a cs_str, or a string with a NUL at its end. */
static inline cs_str cs_str_same(cs_str s)
{
    return s;
}
static inline cs_str cs_str_z(const char *z)
{
    cs_str s = {z, z ? strlen(z) : 0};
    return s;
}
#ifdef __cplusplus
extern "C++" {
inline cs_str cs_str_of(cs_str s) { return s; }
inline cs_str cs_str_of(const char *z) { return cs_str_z(z); }
}
#define CS_STR(...) cs_str_of(__VA_ARGS__)
#else
/* Makes a cs_str of a cs_str or a string. */
#define CS_STR(...) \
    _Generic((__VA_ARGS__), cs_str : cs_str_same, char * : cs_str_z, const char * : cs_str_z)(__VA_ARGS__)
#endif

/* Are they the same bytes? */
static inline int cs_str_eq(cs_str a, cs_str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}
/* Does it begin, or end, with that? */
static inline int cs_str_starts(cs_str s, cs_str with)
{
    return s.n >= with.n && (with.n == 0 || memcmp(s.p, with.p, with.n) == 0);
}
static inline int cs_str_ends(cs_str s, cs_str with)
{
    return s.n >= with.n && (with.n == 0 || memcmp(s.p + (s.n - with.n), with.p, with.n) == 0);
}
/* The whole text as a decimal number. CS_OK; CS_ERROR: it is none, or larger than 64 bits; *to stays. */
static inline int cs_str_u64(cs_str s, uint64_t *to)
{
    uint64_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        unsigned digit = (unsigned)(s.p[i] - '0');
        if (digit > 9 || n > (UINT64_MAX - digit) / 10)
            return -2; /* CS_ERROR */
        n = n * 10 + digit;
    }
    if (!s.n)
        return -2;
    *to = n;
    return 0; /* CS_OK */
}
#define cs_eq(s, ...)     cs_str_eq(s, CS_STR(__VA_ARGS__))     /* is a cs_str the same as that text? */
#define cs_starts(s, ...) cs_str_starts(s, CS_STR(__VA_ARGS__)) /* does it begin with it? */
#define cs_ends(s, ...)   cs_str_ends(s, CS_STR(__VA_ARGS__))   /* does it end with it? */
#define cs_u64(s, to)     cs_str_u64(s, to) /* the decimal number that a cs_str is: CS_OK, else CS_ERROR */

/* Results of calls and of handlers. A handler may also return a status of 200..599: the server then
 * answers with its standard page for that status. Fields set before stay, but for those that describe a
 * body (Content-Encoding and its like) and, for 412, 416 and 5xx, those that let it be cached. */
enum {
    CS_OK = 0,       /* done; a handler that returns it has answered */
    CS_PENDING = 1,  /* access, handler: the answer, or cs_proceed, comes later */
    CS_DECLINED = 2, /* access: let it pass; handler: not mine, ask the next one in the chain */
    CS_AGAIN = -1,   /* not now: stop and wait to be called again */
    CS_ERROR = -2,   /* it is wrong as it is: an argument, the moment */
    CS_NOMEM = -3,   /* out of memory */
    CS_TOOBIG = -4,  /* more than may be */
    CS_CLOSED = -5,  /* the client, the request, or the process it is for is gone */
    CS_NOTSUP = -6,  /* this server or this answer has no such thing */
    CS_TIMEOUT = -7, /* it has taken too long */
    CS_LOOP = -8,    /* a message in answer to a message in answer to ...: more than 16 times; subrequests of subrequests */
    CS_BROKEN = -9   /* another server: there is no such host, nobody to connect to, or it has ended too early (1.1) */
};

enum { CS_DEBUG, CS_INFO, CS_WARN, CS_ERR }; /* levels of cs_log */

/* One request, alive until its answer has left or its client has gone. The server may also end it on its
 * own: after handler_timeout (504), or for a body that is broken or too large. No callback of a request
 * comes after its end. Who keeps the pointer outside of such callbacks (in a list, for a timer of the
 * process) keeps a cs_token instead, or drops it in on_close. */
typedef struct cs_req cs_req;
typedef struct cs_proc cs_proc;   /* the process that a start hook runs in */
typedef struct cs_conf cs_conf;   /* settings under test, for on_config */
typedef struct cs_timer cs_timer; /* a timer of the process */
typedef struct cs_counter cs_counter; /* a 64-bit counter, shared by all processes */
typedef struct cs_watch cs_watch;     /* a descriptor of the module's own that the loop looks after */
typedef struct cs_stream cs_stream;   /* an answer without an end that has left its request behind */
typedef struct cs_group cs_group;     /* streams that get the same */
typedef struct cs_topic cs_topic;     /* a kind of message, known by name in all processes */
typedef struct cs_zone cs_zone;       /* memory that all processes share, by name */
typedef uint64_t cs_token;            /* a weak reference to a request */
typedef struct cs_fetching cs_fetching; /* a request that a request has made: to another server, or to a route of this one (1.1) */

/* What has come of a cs_fetch or cs_subrequest (1.1). Strings live as long as the request that made it, or until cs_fetch_end. */
typedef struct cs_fetched {
    uint32_t size;
    int result;       /* CS_OK: the answer is whole, whatever its status. CS_TIMEOUT; CS_BROKEN: there is no such host, nobody to
                       * connect to, or the connection ended too early; CS_TOOBIG: longer than max_body; CS_ERROR: what was asked
                       * for is wrong, or what came is no HTTP; CS_LOOP: a subrequest of a subrequest of ..., or too many of them;
                       * CS_CLOSED: it is not wanted any more, since the request is over or cs_fetch_end was called */
    int status;       /* of the answer; 0: no head has come */
    int64_t body_len; /* as its head says, also where no body comes (HEAD, 304); -1: that says nothing */
    cs_str body;      /* where it was collected; NUL behind its end */
    cs_str why;       /* where the result is not CS_OK: what went wrong, for the log: "10.0.0.1:8080: Connection refused" */
    cs_fetching *fetch;
} cs_fetched;

/* What cs_fetch and cs_subrequest are to ask for (1.1): url is needed, all else may be left out. It is copied. */
typedef struct cs_fetch_opts {
    uint32_t size;
    int forward;    /* 1: the fields of the request at hand go along, but for those that end here (RFC 9110 section 7.6.1), and
                     * X-Forwarded-For, -Proto and -Host tell whose it is. What `headers` has takes their place */
    cs_str url;     /* "http://host:port/path?query"; of a subrequest "/path?query" */
    cs_str method;  /* GET, where there is a body POST */
    cs_str host;    /* the field Host: that of the URL; of a subrequest that of the request at hand */
    cs_str headers; /* lines: "Accept: text/plain\nX-Token: 1\n" */
    cs_str type;    /* the field Content-Type */
    cs_str body;
    int body_follows; /* 1: the body comes by cs_fetch_send, body_len bytes, -1: as many as come */
    int streamed;     /* 1: the answer's body is not collected: on_data or cs_await_piece gets it */
    int64_t body_len;
    int64_t max_body;   /* bytes that are collected; 0 = 1 MiB */
    int64_t connect_ms; /* for name and connection; 0 = 5 s */
    int64_t timeout_ms; /* for all of it; streamed: from its last byte on until the head of the answer is there; 0 = 30 s */
    int64_t idle_ms;    /* in which something has to move while bodies do; 0 = 30 s */
    /* All may be NULL; arg is that of `done`. Its head is there. */
    void (*on_head)(cs_req *r, const cs_fetched *a, void *arg);
    /* Streamed: a piece of the body. CS_OK: taken; CS_AGAIN: not now, it comes again after cs_fetch_resume; negative: no more, which is
     * the result of it all. */
    int (*on_data)(cs_req *r, cs_str data, void *arg);
    void (*on_drain)(cs_req *r, void *arg); /* after cs_fetch_send has said CS_AGAIN */
} cs_fetch_opts;

/* What a request is. Strings live as long as the request. */
typedef struct cs_req_info {
    uint32_t size;
    uint16_t http;   /* 10 or 11 */
    uint16_t root;   /* number of the site's (or route's) root, 0 = it has none */
    cs_str method;   /* as sent, e.g. "GET" */
    cs_str target;   /* as sent, e.g. "/a%20b?x=1" */
    cs_str path;     /* decoded and normalised, e.g. "/a b"; starts with "/" */
    cs_str query;    /* as sent, without "?"; empty when there is none */
    cs_str host;     /* lower case, without port */
    cs_str client;   /* address of the client as text, "unix:" for a unix socket; told by a proxy where it is trusted */
    cs_str id;       /* request id, as in both logs */
    cs_str site;     /* label of the site, "" when no section made it */
    cs_str route;    /* label of the route, "" when the site's root serves it */
    int64_t body_len; /* length of the body as announced, -1 = chunked, 0 = none */
    cs_str peer;     /* address of the other end of the connection: a proxy's, where one stands before the client (1.1) */
} cs_req_info;

/* The events of a watch. */
enum {
    CS_READ = 1,
    CS_WRITE = 2,
    CS_HANGUP = 4 /* only told, whether asked for or not: the other end has closed, or there is an error. That it will
                   * only send no more is told where CS_READ is asked for. */
};

/* Where a text of cs_escape, or a variable of cs_expand, is going to stand. */
enum {
    CS_ESCAPE_PATH,  /* of a URL: "/" stays */
    CS_ESCAPE_QUERY, /* a name or value in a query or a form: "/", "&", "=" do not */
    CS_ESCAPE_HTML,  /* text and quoted attributes */
    CS_ESCAPE_JSON,  /* between the quotes of a string; what is no UTF-8 becomes U+FFFD */
    CS_ESCAPE_NONE,  /* anywhere: it stays as it is (1.1) */
    CS_ESCAPE_FIELD, /* a header field: control bytes become blanks (1.1) */
    CS_ESCAPE_URL    /* cs_expand only: an address. ${path} and captures are escaped as paths, ${query}, ${target} and ${host} are
                      * parts of one already and stay, all others are escaped as in a query; behind a "?" all but ${query}
                      * and ${host} are. Whatever comes from the client, it does not lead to another host than the text
                      * and ${host} say (1.1) */
};

/* Which streams a group takes, and what happens to those that are too slow. */
enum {
    CS_SLOW_CLOSE, /* the stream ends: its client connects again and knows what it has seen last */
    CS_SLOW_SKIP   /* it misses what is sent until it has room again */
};
typedef struct cs_group_opts {
    uint32_t size;
    int on_slow;
    int64_t max_streams; /* 0 = no limit but the connections of the worker */
    int64_t high_water;  /* bytes waiting for one stream from which on it is slow; 0 = 256 KiB */
} cs_group_opts;

/* Which process is asking. */
typedef struct cs_self_info {
    uint32_t size;
    int slot;             /* worker number, 1.. as shown in titles, logs and metrics; 0 = the primary */
    int workers;          /* workers of this generation */
    uint32_t incarnation; /* how many processes this slot has had; never 0 */
    uint32_t generation;  /* grows with each reload */
} cs_self_info;

/* One value for a status page. `labels` is a list of key, value, key, value ...; keys are [a-z_]+, no key comes
 * twice. Metrics of one name follow each other, have the same kind and help, and differ in their labels. Names of the
 * server begin with "cserver_", those of a counter end in "_total"; what is before that is no other metric's name.
 * Labels `worker` (a number, 1..), `process` ("primary", "master": what is no worker), `module`, `topic`, and `listener`
 * with `address` tell whose value it is; a family of processes has values with `worker` and others with `process`. What a
 * process has counted stays when it has gone, and goes on with its successor; its gauges are 0 then, but for peaks. */
enum {
    CS_METRIC_COUNTER, /* only grows */
    CS_METRIC_GAUGE,
    CS_METRIC_HISTOGRAM /* of durations, each counted in the first bucket whose bound it does not exceed */
};
typedef struct cs_metric {
    uint32_t size;
    int kind;
    const char *name;
    const char *help;
    size_t nlabels; /* number of strings in labels: twice the number of pairs */
    const cs_str *labels;
    int64_t value; /* histogram: number of durations */

    /* Histogram only. counts has one more element than bounds: what exceeds them all. */
    size_t nbounds;
    const double *bounds; /* seconds, growing */
    const uint64_t *counts;
    double sum; /* seconds */
} cs_metric;

/* ---- Directives: one table is parser, validator, defaults and manual ------------------------ */

enum cs_type {
    CS_T_END,
    CS_T_BOOL, /* _Bool:   on, off, yes, no, true, false */
    CS_T_INT,  /* int64_t: min..max; aux may name a word that stands for 0, such as "auto" */
    CS_T_SIZE, /* int64_t: bytes; suffixes k, m, g */
    CS_T_MSEC, /* int64_t: milliseconds; suffixes ms, s, m, h, d are needed, except for 0 */
    CS_T_ENUM, /* int64_t: index into aux, a NULL-terminated const char *const[] */
    CS_T_STR,  /* cs_str:  min..max bytes, NUL-terminated */
    CS_T_PATH, /* cs_str:  relative paths are taken below the prefix, NUL-terminated */
    CS_T_LIST, /* cs_list: values separated by commas; elements NUL-terminated */
    CS_T_TEMPLATE,  /* const cs_template *, never NULL: text with variables; min..max bytes as written (1.1) */
    CS_T_TEMPLATES, /* cs_templates: a list of them (1.1) */
    CS_T_BLOCKS     /* const cs_blocks *, never NULL: a list of addresses, CIDR blocks, "all" and "unix" (1.1) */
};

enum {
    CS_REQUIRED = 1,  /* must be set in [module:...] (or where the module is used) */
    CS_PER_ROUTE = 2, /* may also be set in [site:...] and [route:...] */
    CS_SECRET = 8,    /* -T prints "***" */
    CS_ADDS = 16,     /* a list: what [site:...] and [route:...] say comes behind what the scopes around them say, instead of
                       * in its place (1.1) */
    CS_ONE_OF = 32    /* with CS_REQUIRED: one of all those that have it is enough (1.1) */
};

typedef struct cs_directive {
    const char *name;
    uint16_t type, flags;
    uint32_t off;    /* offset of the member in the conf struct */
    const char *def; /* default as an operator would write it; NULL = zero, empty */
    int64_t min, max;
    const void *aux;
    const char *help; /* one or two sentences */
} cs_directive;

/* The offset of member f, and a compile error unless the member has type T. */
#ifdef __cplusplus
extern "C++" {
template <class A, class B> struct cs_type_of_member;
template <class A> struct cs_type_of_member<A, A> { char fits; };
}
#define CS__BOOL bool
#define CS__OFF(S, f, T)                                                                           \
    (uint32_t)(offsetof(S, f) + 0 * sizeof(cs_type_of_member<decltype(S::f), T>))
#else
#define CS__BOOL _Bool
#define CS__OFF(S, f, T)                                                                           \
    (uint32_t)(offsetof(S, f) + 0 * sizeof(char[_Generic(((S *)0)->f, T : 1, default : -1)]))
#endif
#define CS_BOOL(S, f, def, fl, help)          {#f, CS_T_BOOL, fl, CS__OFF(S, f, CS__BOOL), def, 0, 1, 0, help}
#define CS_INT(S, f, def, lo, hi, fl, help)   {#f, CS_T_INT, fl, CS__OFF(S, f, int64_t), def, lo, hi, 0, help}
#define CS_INTW(S, f, def, lo, hi, word, fl, help)                                                 \
    {#f, CS_T_INT, fl, CS__OFF(S, f, int64_t), def, lo, hi, word, help}
#define CS_SIZE(S, f, def, lo, hi, fl, help)  {#f, CS_T_SIZE, fl, CS__OFF(S, f, int64_t), def, lo, hi, 0, help}
#define CS_MSEC(S, f, def, lo, hi, fl, help)  {#f, CS_T_MSEC, fl, CS__OFF(S, f, int64_t), def, lo, hi, 0, help}
#define CS_ENUM(S, f, def, words, fl, help)   {#f, CS_T_ENUM, fl, CS__OFF(S, f, int64_t), def, 0, 0, words, help}
#define CS_STRING(S, f, def, lo, hi, fl, help) {#f, CS_T_STR, fl, CS__OFF(S, f, cs_str), def, lo, hi, 0, help}
#define CS_PATH(S, f, def, fl, help)          {#f, CS_T_PATH, fl, CS__OFF(S, f, cs_str), def, 0, 4096, 0, help}
#define CS_LIST(S, f, def, lo, hi, fl, help)  {#f, CS_T_LIST, fl, CS__OFF(S, f, cs_list), def, lo, hi, 0, help}
#define CS_TEMPLATE(S, f, def, lo, hi, fl, help)                                                   \
    {#f, CS_T_TEMPLATE, fl, CS__OFF(S, f, const cs_template *), def, lo, hi, 0, help}
#define CS_TEMPLATES(S, f, def, lo, hi, fl, help) {#f, CS_T_TEMPLATES, fl, CS__OFF(S, f, cs_templates), def, lo, hi, 0, help}
#define CS_BLOCKS(S, f, def, lo, hi, fl, help) {#f, CS_T_BLOCKS, fl, CS__OFF(S, f, const cs_blocks *), def, lo, hi, 0, help}
/* The end of a table of directives. */
#define CS_END                                {0, CS_T_END, 0, 0, 0, 0, 0, 0, 0}

/* A counter that the module wants: the server makes it in shared memory, fills *ref before any hook
 * runs, and keeps its value over reloads, by module and counter name. Ends with {0}. */
typedef struct cs_counter_def {
    cs_counter **ref;
    const char *name; /* [a-z0-9_], ends in _total by convention; shown as MODULE_NAME */
    const char *help;
} cs_counter_def;

/* ---- Messages between processes --------------------------------------------------------------
 *
 * The server is one master, one primary and its workers. Modules run in the workers, and what they do once per
 * server in the primary, which takes no connections. Messages go between them by topic: ordered, numbered, never lost
 * in silence. All receivers see all messages in the same order. A message comes from the loop, never inside another
 * callback or inside cs_publish, and at most once to a process; what was published before a process was there it does
 * not get, but the last value of each CS_LATEST topic, before its first request. Nothing here blocks. */

/* Whom a message is for. A number from 1 on is one worker (cs_self_info.slot), as it is at the moment: its successor
 * does not get it. 0 is the primary. Only processes that have loaded a module which takes the topic count. */
enum {
    CS_TO_ALL = -1,     /* workers and the primary, the sender too */
    CS_TO_WORKERS = -2, /* the sender too, when it is one */
    CS_TO_OTHERS = -3,  /* workers but the sender */
    CS_TO_PRIMARY = -4  /* waits for it while it is being started again */
};
/* cs_msg.from_slot where there is nobody to answer to. */
enum {
    CS_FROM_COMMAND = -16, /* `cserver msg send` */
    CS_FROM_SERVER = -17   /* a report of what was lost */
};

typedef struct cs_msg {
    uint32_t size;
    int from_slot; /* worker number, 0 = the primary, CS_FROM_COMMAND, CS_FROM_SERVER */
    uint32_t from_incarnation;
    uint32_t hops;    /* 0: from a request, a timer ...; a message published in on_message has one more */
    cs_topic *topic;
    const void *data; /* until on_message returns; aligned for anything */
    size_t len;
    uint64_t seq;     /* among all messages of the server, growing */
    uint64_t number;  /* among the messages of this topic, from 1: without gaps where they all go to the same */
    uint64_t lost;    /* 0, or so many messages of the topic never reached this process, which was too slow for too
                       * long (or is the successor of a primary that died at one). Such a message has the latest value
                       * for data where the topic keeps one and it was missed, else none: it is no message of its own */
    int retained;     /* 1: the latest value of a CS_LATEST topic, from before */
    uint32_t call;    /* not 0: the sender waits for cs_answer */
} cs_msg;

/* For cs_replay in on_adopt: what came after on_save. */
#define CS_SINCE_SAVE 0xfffffffffffffffeu

enum {
    CS_LATEST = 1 /* the topic keeps its last value, at most 4096 bytes, for processes that come later. It keeps one
                   * for all groups: always send it to the same. One for a single process is not kept. */
};

/* A topic that the module takes or publishes. Its name is the same topic in all modules and all generations. Ends with
 * {0}. */
typedef struct cs_topic_def {
    cs_topic **ref;   /* filled in before any hook runs */
    const char *name; /* [A-Za-z][A-Za-z0-9_.-]{0,46}; what begins with "cserver." is the server's */
    void (*on_message)(const cs_msg *m); /* workers and primary; NULL: this module only publishes it */
    uint32_t max_len;                    /* most bytes of a message, up to 65536; 0 = 4096 */
    uint32_t flags;
} cs_topic_def;

/* Memory shared by all processes of the server, at the same address in all of them. It begins zeroed and stays over
 * crashes and reloads, by module and zone name, as long as its size is the same (another size: a new zone, and a line in
 * the log); a restart ends it. A pointer in it may only point into it. Ends with {0}. */
typedef struct cs_zone_def {
    cs_zone **ref; /* filled in before any hook runs */
    const char *name; /* [a-z0-9_] */
    size_t size;
    /* Both under the zone's lock. init: once, in the first process there is. recover: a process has died with the lock;
     * makes right what it may have left half done; NULL, or a negative result: zeroed, and init again. */
    void (*init)(void *p, size_t size);
    int (*recover)(void *p, size_t size);
} cs_zone_def;

/* ---- The function table: append only, size first -------------------------------------------- */

typedef void (*cs_cb)(void *arg);
typedef void (*cs_req_cb)(cs_req *r, void *arg);

#define CS__LOOK __attribute__((warn_unused_result)) /* who does not look waits on when nobody wants it any more */

typedef struct cs_api {
    uint32_t size;
    uint16_t major, minor;

    /* The process. Any hook or callback of a worker or the primary. None of these calls blocks. `mod` is &cs_api_ of the caller: the short names pass it. */

    /* Who am I; valid for ever. */
    const cs_self_info *(*self)(void);
    /* The module's own settings of [module:NAME], for hooks that have no request. */
    const void *(*module_conf)(cs_proc *p);
    /* on_config only: reports that `directive` has a value that does not fit. Returns CS_ERROR. */
    int (*conf_error)(cs_conf *c, const char *directive, const char *fmt, ...)
        __attribute__((format(printf, 3, 4)));
    /* One line in the error log, with the module's name before it. From any thread. */
    void (*log)(const void *mod, int level, const char *fmt, ...)
        __attribute__((format(printf, 3, 4)));
    /* Monotonic milliseconds, as of the current turn of the loop. */
    int64_t (*now_ms)(void);
    /* Calls cb(arg) after ms milliseconds, once, or (repeat) again and again. NULL: out of memory.
     * The timer ends with the process, by timer_cancel (also from its own cb, when it repeats), or when it
     * has fired its one time: from then on, cb included, it must not be cancelled. */
    cs_timer *(*timer)(cs_proc *p, int64_t ms, int repeat, cs_cb cb, void *arg);
    void (*timer_cancel)(cs_timer *t);
    /* Calls cb when fd, which stays the module's and should be non-blocking, is ready for what `events` (CS_READ,
     * CS_WRITE) says, again and again while it is. NULL: fd cannot be watched, as a regular file, or is
     * already. watch_set changes the events, 0 = rests: CS_OK or CS_ERROR. watch_end comes before fd is closed, also from
     * inside cb; what is left ends with the process. */
    cs_watch *(*watch)(cs_proc *p, int fd, int events, void (*cb)(int fd, int events, void *arg),
                       void *arg);
    int (*watch_set)(cs_watch *w, int events);
    void (*watch_end)(cs_watch *w);
    /* Has work(arg) run on a thread of the process's pool ([server] threads), and then done(arg) on the loop. work may
     * block; it may call nothing here but log, and what it touches besides arg is the module's own care. CS_OK; CS_AGAIN:
     * too much waits already, or there is no thread to be had. done does not come when the process has to end before. */
    int (*job)(cs_proc *p, void (*work)(void *arg), cs_cb done, void *arg);

    /* What all processes share. In workers and the primary, from their start hooks on. Only zone_lock can block. */

    /* Adds to this process's part of the counter: no lock, no system call. */
    void (*counter_add)(cs_counter *c, int64_t by);
    /* The sum over all processes, dead ones included. */
    uint64_t (*counter_sum)(const cs_counter *c);
    /* The zone's memory; as long as the process. */
    void *(*zone)(cs_zone *z);
    /* Waits for the lock of the zone, which all processes may want, until zone_unlock: for sections of microseconds,
     * without any other call of the server inside. CS_OK; CS_ERROR: the lock is broken beyond repair, and not held. */
    int (*zone_lock)(cs_zone *z);
    void (*zone_unlock)(cs_zone *z);
    /* Calls each(m, arg) for every value the server and its modules publish; the metric is valid
     * during the call. Stops when `each` returns non-zero, and returns that. */
    int (*metric_each)(int (*each)(const cs_metric *m, void *arg), void *arg);

    /* Messages. In workers and the primary, from worker_start or primary_start on. Nothing here blocks. */

    /* Copies len bytes and sends them. CS_OK: on their way, in order. CS_AGAIN: receivers are slow, and the queue of
     * this process (4 MiB) is full: try later, or drop it. CS_TOOBIG: more than the topic takes. CS_CLOSED: there is
     * no such process, or it does not take the topic. CS_LOOP, CS_ERROR. */
    int (*publish)(cs_topic *t, int to, const void *data, size_t len);
    /* The same, and calls done(CS_OK, arg) once on_message has returned in all live processes it is for, also those
     * that drain; CS_TIMEOUT when that takes longer than timeout_ms; CS_CLOSED when this process has to end before. done
     * comes exactly once where the result is CS_OK, from the loop, and never where it is negative. */
    int (*publish_applied)(cs_topic *t, int to, const void *data, size_t len, int64_t timeout_ms,
                           void (*done)(int result, void *arg), void *arg);
    /* Asks one process (a worker number, 0 or CS_TO_PRIMARY): done(CS_OK, answer, arg) when it answers, CS_TIMEOUT, or
     * CS_CLOSED when it has ended before (a primary's successor may still get the message); answer is NULL then. As
     * publish_applied otherwise. */
    int (*call)(cs_topic *t, int to, const void *data, size_t len, int64_t timeout_ms,
                void (*done)(int result, const cs_msg *answer, void *arg), void *arg);
    /* Answers m, which has m->call: in on_message, or later with a copy of *m. Up to the topic's max_len. CS_CLOSED:
     * who asked is gone. Only the first answer counts. */
    int (*answer)(const cs_msg *m, const void *data, size_t len);
    /* Calls each(m, arg), in order, for the topic's messages to CS_TO_ALL or CS_TO_WORKERS with a number above `after`
     * that are still in the server's ring and that this process has been given already: what comes later comes to
     * on_message. Stops when `each` returns non-zero, and returns that. CS_OK: none is missing. CS_CLOSED: the oldest were
     * there no longer (or may have been for others only); `each` has had the others. CS_ERROR: `after` is higher than any number yet.
     *
     * In on_adopt `after` may be CS_SINCE_SAVE: those that the stream's old worker had not been given yet when it called
     * on_save. Elsewhere that is CS_ERROR. */
    int (*replay)(cs_topic *t, uint64_t after, int (*each)(const cs_msg *m, void *arg), void *arg);

    /* The request. In workers, from the first hook that gets r until its on_close callbacks. What these calls return lives
     * as long as the request; none of them blocks. */

    /* What it is: method, path, client ... */
    const cs_req_info *(*info)(cs_req *r);
    /* The module's settings as they hold for this route: module, then site, then route. */
    const void *(*conf)(cs_req *r, const void *mod);
    /* A pointer of the module's own for this request, NULL at first: what its hooks and callbacks want to find again;
     * cs_ctx(r) = p sets it. The route has to name the module. */
    void **(*ctx)(cs_req *r, const void *mod);
    /* First field of that name (case does not matter); p is NULL when there is none. */
    cs_str (*header)(cs_req *r, const char *name);
    /* Calls each(name, value, arg) for all fields as they came, until it returns non-zero; returns that, or 0. */
    int (*header_each)(cs_req *r, int (*each)(cs_str name, cs_str value, void *arg), void *arg);
    /* First value of that name in the query, "%41" and "+" decoded; p is NULL when there is none. */
    cs_str (*query)(cs_req *r, const char *name);
    /* Value of that cookie as it came; p is NULL when there is none. */
    cs_str (*cookie)(cs_req *r, const char *name);
    /* The text made fit for where it is going to stand. p is NULL when there is no memory. */
    cs_str (*escape)(cs_req *r, int where, cs_str text);
    /* Says who the client has proved to be, for later hooks and the access log; copied. CS_OK, CS_NOMEM. */
    int (*set_user)(cs_req *r, cs_str name);
    /* What set_user has said; empty: nobody. */
    cs_str (*user)(cs_req *r);

    /* The whole body. Only for handlers without CS_BODY_STREAM; empty otherwise. */
    cs_str (*body)(cs_req *r);
    /* Delivers the body piece by piece to on_data, starting now or when it arrives; the data is valid
     * during the call, `last` is 1 in the final call (whose data may be empty). Where there is no body that
     * final call comes before body_stream returns. When on_data returns CS_AGAIN the piece counts as not
     * taken: reading stops until body_resume, which has it delivered again, with what has come meanwhile
     * (later, never inside body_resume; resuming before on_data has returned is lost). A negative result
     * other than CS_AGAIN ends the request with 500, or cuts an answer that has begun. Only with
     * CS_BODY_STREAM, once for a request, at any time before the answer starts (from then on the server
     * drops the body): CS_ERROR otherwise. on_data is not called any more once the answer is complete. */
    int (*body_stream)(cs_req *r, int (*on_data)(cs_req *r, cs_str data, int last, void *arg),
                       void *arg);
    int (*body_resume)(cs_req *r);

    /* Zeroed memory that lives as long as the request; NULL above 16 MiB for one request. What is taken is
     * not given back before the end: a long answer should not take more with each piece. */
    void *(*alloc)(cs_req *r, size_t n);
    /* Formatted text in that memory. p is NULL when there is no memory, also above the 16 MiB. */
    cs_str (*format)(cs_req *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

    /* A request that ends takes its timers and its waiting jobs with it: their callbacks do not come any more. */

    /* Calls cb(arg) once when the request ends, however it ends, and none of its jobs runs any more. The request can
     * no longer be used, its token gives NULL; memory from alloc is still there during cb. Several: the last one
     * first. Other requests may be used as in any callback. */
    int (*on_close)(cs_req *r, cs_cb cb, void *arg);
    /* A weak reference, never 0: from_token gives NULL once the request has gone, and for 0. */
    cs_token (*token)(cs_req *r);
    cs_req *(*from_token)(cs_token t);
    /* Calls cb(r, arg) once after ms milliseconds, unless the request ends before. An answer that is
     * complete but has not left yet is no end: cb may find that it has nothing to do (CS_ERROR). */
    int (*req_timer)(cs_req *r, int64_t ms, cs_req_cb cb, void *arg);
    /* As job, for the request: done(r, arg) comes unless the request ends before. While work runs, what the request's
     * alloc has given stays, even if the request has ended meanwhile: put what work needs there. work must not touch r. */
    int (*offload)(cs_req *r, void (*work)(void *arg), cs_req_cb done, void *arg);
    /* Goes on after CS_PENDING as if that hook had returned CS_DECLINED: an access hook lets it pass, a handler leaves it
     * to the next. Takes effect at the end of the current callback; called in the hook itself, when that returns
     * CS_PENDING. CS_ERROR: nothing waits for it, the answer has been started, or on_data has been shown some of the body,
     * which the next would miss. */
    int (*proceed)(cs_req *r);

    /* The site's files. */

    /* Opens `path` for reading beneath the site's root: no "..", no link leads out of it. Returns a
     * descriptor (close it, or give it to reply_file) or -errno; -ENOENT where there is no root. May
     * wait for the disk; not for an empty path, which gives the root itself, to open beneath it on a thread. */
    int (*root_open)(cs_req *r, cs_str path);
    /* The media type for a file name, by its extension; "application/octet-stream" if unknown. */
    const char *(*mime)(cs_str path);

    /* The response. Each call returns CS_OK or a negative result; after CS_OK from one of the reply
     * calls the answer is complete and the handler returns that CS_OK. HEAD, 1xx, 204 and 304 need no
     * care: the server sends no body where there must be none. */

    /* Sets a header field, in place of one of that name; an empty value removes it. CS_ERROR for a
     * name or value with bytes that HTTP forbids and for the fields the server owns (Content-Length,
     * Transfer-Encoding, Connection, Date and their like), CS_CLOSED once the answer has started. */
    int (*set_header)(cs_req *r, const char *name, cs_str value);
    /* Adds a field beside others of that name. */
    int (*add_header)(cs_req *r, const char *name, cs_str value);
    /* ETag and Last-Modified (seconds since 1970, < 0 = none); `etag` with its quotes. With them the
     * server answers If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since itself, where a reply
     * call answers GET or HEAD with 200. CS_ERROR for an etag with bytes that HTTP forbids. */
    int (*validators)(cs_req *r, cs_str etag, int64_t mtime);
    /* A complete answer; the body is copied, replyf formats it (CS_NOMEM as for format). type NULL = no Content-Type.
     * Status 200..599. CS_ERROR where there is an answer already, which stays. */
    int (*reply)(cs_req *r, int status, const char *type, cs_str body);
    int (*replyf)(cs_req *r, int status, const char *type, const char *fmt, ...)
        __attribute__((format(printf, 4, 5)));
    /* A complete answer whose body is borrowed until release(arg) is called (NULL: for ever). With
     * status 200 it also serves ranges. Calls release even when it fails, exactly once, perhaps before it
     * returns, and perhaps long after the request was last seen by its module. */
    int (*reply_ref)(cs_req *r, int status, const char *type, cs_str body, cs_cb release, void *arg);
    /* A complete answer from a file: len bytes from off; ranges too, when the status is 200. Calls
     * release(arg) when done with fd, or closes fd when release is NULL, even when it fails. CS_ERROR also for a negative
     * off or len. */
    int (*reply_file)(cs_req *r, int status, const char *type, int fd, int64_t off, int64_t len,
                      cs_cb release, void *arg);
    /* Logs the sentence with the request's context and answers with the standard page of status. An answer
     * that has been started is cut: the connection ends, so that the client sees that something is
     * missing. CS_ERROR when the answer was complete. */
    int (*fail)(cs_req *r, int status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
    /* Starts an answer that is sent in pieces; len is its length, or -1 where it is not known. Status
     * 200..599. handler_timeout ends here: from now on it is the module that must come to an end. Neither
     * ranges nor conditions are looked at. */
    int (*start)(cs_req *r, int status, const char *type, int64_t len);
    /* Sends a piece (copied); last = 1 completes the answer. CS_AGAIN: taken, but the client is slow:
     * wait for on_drain before sending more, since all that is sent meanwhile is kept in memory.
     * CS_CLOSED: the client has gone. CS_ERROR: not started, complete, or longer than announced, which cuts
     * the answer; so does a last piece that leaves it shorter. In a body_filter: passes data to the next filter; CS_OK,
     * never CS_AGAIN, or a negative result when the answer has been cut. A piece of no bytes that is not the last asks
     * the filters for what they hold back (1.1). */
    int (*send)(cs_req *r, cs_str data, int last);
    /* Calls cb(r, arg) once, when what has been sent has left for the client; soon, when it has already.
     * There is one cb at a time, the latest. It does not come once the answer is complete. CS_ERROR in a filter, where
     * it would take the place of that of who answers. */
    int (*on_drain)(cs_req *r, cs_req_cb cb, void *arg);

    /* For header_filter, body_filter and on_log. */

    /* The answer's status; 0: there is none yet. In on_log 499: the client has gone before there was one. */
    int (*status)(cs_req *r);
    /* A field of the answer, the first of that name; p is NULL when there is none. Those that the server makes itself
     * (Date, Content-Length, ETag ...) are not among them, Content-Type is. */
    cs_str (*response_header)(cs_req *r, const char *name);
    /* header_filter only: this answer's body goes through the module's body_filter. len: its new length, -1 = not known.
     * There are no ranges of it then, and a strong ETag becomes a weak one. CS_OK; CS_DECLINED: there is no body (HEAD,
     * 204, 304), only the head changes. CS_ERROR: not now. */
    int (*filter_body)(cs_req *r, const void *mod, int64_t len);
    /* on_log only: microseconds from the first byte of the request. */
    int64_t (*elapsed_us)(cs_req *r);
    /* on_log only: bytes sent, the head of the answer among them. */
    int64_t (*bytes_sent)(cs_req *r);

    /* Streams: answers that go on for as long as both sides like (server-sent events), without a request. In the worker
     * that has the stream. None of these calls blocks. */

    /* Makes the answer a stream: the head goes out (with the fields that have been set; the end of the connection is
     * the end of the body) at the end of the current callback, and the request ends, with its line in the access log.
     * A handler returns CS_OK then, or CS_PENDING; with any other result, or an answer made meanwhile, the stream ends
     * (stream_on_close comes), and that is the answer. Until then it can be sent to and put into a group. NULL: there is
     * an answer already, or the route has a body filter that takes every answer (one without a header_filter; others
     * are told CS_ERROR by filter_body). The body of the request has to be over: CS_BODY_STREAM handlers take it first.
     * What the client sends later is dropped. For HEAD the head goes out, and the stream ends. */
    cs_stream *(*detach)(cs_req *r, int status);
    /* Sends a piece (copied). CS_AGAIN: taken, but more than 256 KiB wait for this client. CS_CLOSED: it has gone, or the
     * stream is closed; the stream is still there, until the callback of stream_on_close comes. CS_NOMEM. */
    int (*stream_send)(cs_stream *s, cs_str data);
    /* Bytes that have not left yet. */
    size_t (*stream_queued)(const cs_stream *s);
    /* Calls cb(s, arg) once when nothing waits any more; as on_drain. */
    int (*stream_on_drain)(cs_stream *s, void (*cb)(cs_stream *s, void *arg), void *arg);
    /* Ends the stream behind what has been sent. s may be used until the callback of stream_on_close comes, which
     * is never before this returns. */
    void (*stream_close)(cs_stream *s);
    /* Calls cb(s, arg) once when the stream has ended, however; afterwards s is gone. One at a time, the latest. */
    int (*stream_on_close)(cs_stream *s, void (*cb)(cs_stream *s, void *arg), void *arg);
    /* A set of streams of this process that get the same; NULL: out of memory. For the other calls NULL is a group that
     * nobody is in (CS_ERROR, 0): so a message may be sent on to a group also in the primary, where there are no streams. */
    cs_group *(*group)(cs_proc *p, const cs_group_opts *opts);
    /* A stream is in one group at most: it leaves the one it was in, behind what that has been sent, and any when it is
     * closed. CS_OK; 503, which a handler may return as it is: the group has max_streams; CS_CLOSED. */
    int (*group_join)(cs_group *g, cs_stream *s);
    /* Sends to all that are in it now: one copy, in slices of a few hundred streams for each turn of the loop, each
     * stream in order. group_sendf formats it first. CS_OK, CS_NOMEM. */
    int (*group_send)(cs_group *g, cs_str data);
    int (*group_sendf)(cs_group *g, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
    /* Streams that are in it now. */
    size_t (*group_size)(const cs_group *g);
    /* Closes its streams behind what has been sent; the group is gone. */
    void (*group_end)(cs_group *g);

    /* Since 1.1, about the request. */

    /* The template's text with the variables' values in place of them, each made fit for where it is going to stand
     * (CS_ESCAPE_NONE, _FIELD, _URL, _PATH, _QUERY, _HTML, _JSON); the operator's own text stays as it is. A variable that is
     * not there is empty. p is NULL when there is no memory. */
    cs_str (*expand)(cs_req *r, const cs_template *t, int where);
    /* Is the client in one of these blocks? 0: no; 1: only "all" has it; else 2 + the length of the longest that does, in bits of
     * an IPv6 address (an IPv4 block /8 is one of 104), so that of two lists the more exact one can decide. */
    int (*client_in)(cs_req *r, const cs_blocks *b);
    /* In .explain: one more fact for `cserver explain`. key: a word such as "file"; the text is copied. Elsewhere nothing. */
    void (*say)(cs_req *r, const void *mod, const char *key, const char *fmt, ...)
        __attribute__((format(printf, 4, 5)));

    /* The element of these blocks that cs_client_in has found, as the operator wrote it; n is 0 when there is none. */
    cs_str (*client_block)(cs_req *r, const cs_blocks *b);

    /* Since 1.1, for on_config: as conf_error, about one element of a list of templates, or about a template: at its own line, and only
     * once, however many scopes it has come to. Returns CS_ERROR. */
    int (*template_error)(cs_conf *c, const char *directive, const cs_template *t, const char *fmt, ...)
        __attribute__((format(printf, 4, 5)));

    /* A handler, or what it has begun, leaves the request to the routes again, with another path: "/path?query", escaped as in
     * a URL; without a "?" the query stays. The method and the body stay too. It takes effect when the hook or callback has
     * returned; the handler then returns CS_OK. Access hooks, handlers and filters are those of the route that is found; a
     * module that both routes have finds its cs_ctx again. Timers, jobs and tokens of before lead to nothing. CS_OK;
     * CS_ERROR: there is an answer, some of the body has been given to somebody, it is an error page that is being made, or
     * the path is none. A request jumps 10 times at most, then it gets a 500. */
    int (*jump)(cs_req *r, cs_str target);
    /* Answers with the page of a status of 200..599, as a hook does that returns the status: for callbacks. The error
     * pages of the settings are looked at. CS_OK; CS_ERROR: there is an answer already, or a header filter runs. */
    int (*page)(cs_req *r, int status);

    /* How much the client wants its answer in that coding, by Accept-Encoding: 0 (not at all) to 1000; -1: it has said
     * nothing of it. For "identity", the body as it is, -1 means that it may come, but that any coding is liked better. */
    int (*coding_weight)(cs_req *r, const char *coding);
    /* header_filter only: the length of the answer's body before any filter; -1: not known. */
    int64_t (*body_length)(cs_req *r);

    /* Waiting (tasks). Since 1.1, in an access hook or handler of a module with CS_TASK. It looks as if the call blocked, but all else of
     * the process goes on meanwhile, and the hook when what it waits for is there: what has been looked at before may have changed.
     * handler_timeout counts on.
     *
     * CS_CLOSED: the request needs the task no more: its client has gone, it had its answer, or has taken too long for one. From
     * then on each waiting call says so at once; the hook frees what it has and returns, with any result. The request can still be looked at
     * until then; what would answer says CS_CLOSED or CS_ERROR. on_log may have been called, on_close not before it has returned.
     *
     * CS_ERROR: nothing may wait here: in a module without CS_TASK, in a callback or filter, on another request's behalf. */

    /* Waits for ms milliseconds: CS_OK. */
    int (*sleep)(cs_req *r, int64_t ms) CS__LOOK;
    /* Waits for the next piece of the body, with CS_BODY_STREAM: CS_OK, *piece is valid until this is called again or the task is
     * over; its n is 0 when there is no more. The client is read no faster than pieces are asked for. */
    int (*await_body)(cs_req *r, cs_str *piece) CS__LOOK;
    /* As send, and waits until there is room for more: CS_OK. */
    int (*await_send)(cs_req *r, cs_str data, int last) CS__LOOK;
    /* Has work(arg) run on a thread, as offload does, and waits until it has returned: CS_OK. arg may lie on the task's stack.
     * CS_AGAIN: too much waits already. CS_CLOSED: it has not begun, or has returned nevertheless. */
    int (*await_offload)(cs_req *r, void (*work)(void *arg), void *arg) CS__LOOK;

    /* Asks one process, as call does, and waits for its answer: CS_OK, *answer lives as long as the request. Else what
     * `call` returns, or tells its `done`. */
    int (*await_call)(cs_req *r, cs_topic *t, int to, const void *data, size_t len, int64_t timeout_ms, cs_str *answer) CS__LOOK;

    /* Requests of requests. Since 1.1; HTTP/1.1 without TLS. They end with the one that has made them: nothing of them is called any more then. Connections
     * are kept for the next one to the same host and port; names are looked up as they are needed, and again when their time
     * is over. With a method that may be repeated (GET, HEAD, PUT, DELETE ...) the request is sent once more when a kept connection
     * turns out to be closed. */

    /* Asks another server; done(r, a, arg) comes once, from the loop, unless the request has ended; NULL: nobody wants to be called. Never
     * NULL: what is wrong is told there too. */
    cs_fetching *(*fetch)(cs_req *r, const cs_fetch_opts *o, void (*done)(cs_req *r, const cs_fetched *a, void *arg), void *arg);
    /* As fetch, but the server itself answers: as it would the client of r, on the same listener, with its routes and all that is on them. It
     * has no line in the access log. A subrequest may make further ones, 10 deep; one client's request all in all 200. */
    cs_fetching *(*subrequest)(cs_req *r, const cs_fetch_opts *o, void (*done)(cs_req *r, const cs_fetched *a, void *arg), void *arg);
    /* What has come of it; NULL: it is under way. */
    const cs_fetched *(*fetch_answer)(const cs_fetching *f);
    /* The first field of that name in its answer; p is NULL when there is none, or no head yet. */
    cs_str (*fetch_header)(const cs_fetching *f, const char *name);
    /* As header_each, of its answer. */
    int (*fetch_header_each)(const cs_fetching *f, int (*each)(cs_str name, cs_str value, void *arg), void *arg);
    /* The fields of its answer become those of the answer to r, but for those that end here. CS_OK; CS_ERROR: there is no head yet. */
    int (*fetch_pass)(cs_req *r, const cs_fetching *f);
    /* A piece of its body, with body_follows; copied. CS_OK; CS_AGAIN: taken, but wait for on_drain; CS_CLOSED: the other
     * side takes no more: its answer may come all the same. CS_ERROR: more or less than body_len, which ends it. */
    int (*fetch_send)(cs_fetching *f, cs_str data, int last);
    /* After on_data has said CS_AGAIN. */
    void (*fetch_resume)(cs_fetching *f);
    /* It is not wanted any more: nothing is called, what has come of it is given back (but for 2 KiB, which stay with the request), and f must
     * not be used again. A task that waits for it goes on, with CS_CLOSED. */
    void (*fetch_end)(cs_fetching *f);

    /* The same for tasks. The result is CS_CLOSED or CS_ERROR, as of all waiting, where the task may not go on waiting. */

    /* Waits until it is over; never NULL. cs_await_fetch(r, .url = ...) and cs_await_subrequest(r, .url = ...) begin one and wait for it.
     * CS_ERROR, with a line in the log, also where that would never be: a streamed one whose pieces nobody takes, a body that follows and
     * that nobody sends. */
    const cs_fetched *(*await_fetched)(cs_req *r, cs_fetching *f);
    /* Waits until all n of them are over, well or not, or ms milliseconds have passed: how many are over; negative: as above. Those
     * that are not go on. */
    int (*await_all)(cs_req *r, cs_fetching *const *f, int n, int64_t ms) CS__LOOK;
    /* Waits until its head is there, or it has failed: then its result says so. */
    const cs_fetched *(*await_head)(cs_req *r, cs_fetching *f);
    /* Streamed: waits for the next piece: CS_OK, *piece is valid until the next one is asked for; its n is 0 when all have come. Negative:
     * the result of it all. */
    int (*await_piece)(cs_req *r, cs_fetching *f, cs_str *piece) CS__LOOK;
    /* As fetch_send, and waits until there is room for more: CS_OK. */
    int (*await_fetch_send)(cs_req *r, cs_fetching *f, cs_str data, int last) CS__LOOK;

    /* Calls of later minor versions are appended here: CS_HAS(name) says whether this server has one. */
} cs_api;

/* ---- The descriptor: the one symbol that a module exports ------------------------------------ */

enum {
    CS_BODY_STREAM = 1, /* call the handler before the body has arrived; read it with body_stream */
    CS_TASK = 4, /* its access hook and its handler are tasks: each call runs on a stack of its own ([server] task_stack), where it
                  * may wait: cs_sleep and the cs_await_... calls (1.1) */
    CS_DISK = 2 /* its jobs (job, offload) wait for files: they get threads of their own, so that others go on however long a
                 * disk takes (1.1) */
};

/* Which hook .explain speaks for. */
enum {
    CS_HOOK_ACCESS = 1,
    CS_HOOK_HANDLER = 2,
    CS_HOOK_HEADER_FILTER = 4
};

typedef struct cs_module {
    uint32_t magic;
    uint32_t size;
    uint16_t abi_major, abi_minor;
    uint32_t flags;
    const cs_api **api; /* where the server puts the table */
    const char *name;   /* [a-z][a-z0-9_]{0,30}; also the NAME of [module:NAME] */
    const char *version;
    const char *help; /* one sentence */

    const cs_directive *directives; /* fills a struct of conf_size bytes */
    size_t conf_size;
    const cs_counter_def *counters;
    const cs_zone_def *zones;
    const cs_topic_def *topics;

    /* Checks what one directive alone cannot say. Runs in a throw-away process, for -t and before each
     * start and reload: no side effects. `conf` is one complete set of settings (of the module, or of
     * one route). CS_OK, or the result of cs_conf_error. */
    int (*on_config)(cs_conf *c, const void *conf);

    /* In each worker before it accepts; a negative result ends the worker as a failed start. */
    int (*worker_start)(cs_proc *p);
    /* The worker has begun to drain: it takes no new connections, and ends when the last one has gone. */
    void (*worker_stop)(cs_proc *p);
    /* Once per server: in the primary, before any message comes to it. A negative result ends it as a failed
     * start. When the primary dies another one is started; what has to outlive it lies in a zone or a counter. */
    int (*primary_start)(cs_proc *p);
    /* The primary is about to end: a reload brings the next one, or the server stops. */
    void (*primary_stop)(cs_proc *p);
    /* In workers and the primary: another process (slot as in cs_self_info, 0 = the primary) is ready; it has ended, by
     * the signal, or 0. Ordered with all messages: nothing of an incarnation comes behind its on_leave. Who was there
     * before this process is not told of; only its end is. A process that was too slow and has lost such events (see
     * cs_msg.lost) hears what has changed, without the signals. */
    void (*on_join)(int slot, uint32_t incarnation);
    void (*on_leave)(int slot, uint32_t incarnation, int signal);

    /* A request meets the hooks of the modules that its site and route name: `use = auth, gzip` (the site's, then the
     * route's) and `handler = app`. First all access hooks in that order, then the handlers until one answers, then the
     * filters, again in that order, and at the end all on_log. */

    /* May it pass, before the body is read? CS_DECLINED: yes. An answer, a status or CS_PENDING: as from a handler; what
     * is pending goes on by an answer or by cs_proceed. CS_OK without an answer is an error, and so a 500. */
    int (*access)(cs_req *r);
    /* Answers a request: CS_OK (the answer is complete), CS_PENDING (it comes later, or is being sent in
     * pieces), CS_DECLINED (only before it has started), a status of 200..599, or a negative result, which
     * makes a 500 (CS_NOMEM and CS_AGAIN: 503), or cuts an answer that has been started. It must not block. */
    int (*handler)(cs_req *r);
    /* The head of an answer, also of the server's own pages, is about to be made: set_header, add_header, status,
     * response_header, filter_body. Once for each request. It sees 304 where a condition has decided that, but 200 where
     * only ranges of the body will be sent. CS_OK; a negative result makes a 500 of it, and cs_fail its page, which are
     * then not filtered. */
    int (*header_filter)(cs_req *r);
    /* A piece of the body: passes on what it likes with cs_send(r, data, last), with `last` not before it was told so, at
     * the latest when it returns from that call. Every answer with a body comes here, or, where the module has a
     * header_filter too, those for which that has called filter_body. A piece of no bytes that is not the last: what the
     * filter holds back is wanted now; it is passed on behind that (1.1). CS_OK; a negative result cuts the answer. */
    int (*body_filter)(cs_req *r, cs_str data, int last);
    /* The request is over; it can only be looked at. */
    void (*on_log)(cs_req *r);

    /* Streams of modules that have both move to another worker when theirs drains: on_save in the old worker, while
     * nothing waits to be sent, on_adopt in the new one, on_close in the old one; the client sees nothing of it.
     *
     * on_save writes what the new worker must know to go on, at most `room` bytes (256 or more), and returns its length;
     * negative: this one stays. It sends nothing. It may be called again, when the stream could not be given away; until
     * on_close comes the stream is the old worker's, which sends to it as ever: that reaches the client only if it stays.
     *
     * on_adopt takes the stream in a worker of the live settings, where its route still names the module; before it, all
     * messages have come to this worker that the old one had when it called on_save, and what has come since is told by
     * cs_replay(topic, CS_SINCE_SAVE, ...): so nothing is missed and nothing comes twice. CS_OK; CS_AGAIN (or 503, as
     * from cs_group_join): there is no room here, another worker is asked; any other result closes the stream.
     *
     * A stream that cannot move (a hook is missing, on_save says no, no worker takes it) stays until its client goes; those
     * that are left are closed one by one, evenly over the time to drain. */
    int (*on_save)(cs_stream *s, void *to, size_t room);
    int (*on_adopt)(cs_stream *s, cs_str saved);

    /* For `cserver explain`: what would this module do with such a request, as its access hook, handler or header filter
     * (`hook`: CS_HOOK_ACCESS, CS_HOOK_HANDLER, CS_HOOK_HEADER_FILTER)? It tells by cs_say, and changes nothing anywhere: there is no
     * client, and no worker. The results mean what they mean there: CS_DECLINED (it lets the request pass, or leaves it to
     * the next), a status that it would answer with, CS_PENDING (that cannot be known without asking others); the fields it
     * would set are set with cs_set_header. (1.1) */
    int (*explain)(cs_req *r, int hook);
} cs_module;

#define CS__CAT(a, b) a##b
#define CS__SYM2(v)   CS__CAT(cserver_module_, v)
#define CS__SYM(v)    CS__SYM2(v)
#define CS__HIDDEN    __attribute__((visibility("hidden")))

extern CS__HIDDEN const cs_api *cs_api_; /* one per module, shared by its files, unseen outside */

/* C++ has designated initialisers from C++20 on, and in one order only: there `.name = "x", ...` becomes assignments. */
#ifdef __cplusplus
#define CS__REPEAT(...)  CS__REPEAT2(CS__REPEAT2(CS__REPEAT2(CS__REPEAT2(__VA_ARGS__))))
#define CS__REPEAT2(...) CS__REPEAT3(CS__REPEAT3(CS__REPEAT3(CS__REPEAT3(__VA_ARGS__))))
#define CS__REPEAT3(...) CS__REPEAT4(CS__REPEAT4(CS__REPEAT4(CS__REPEAT4(__VA_ARGS__))))
#define CS__REPEAT4(...) __VA_ARGS__
#define CS__SET(o, ...)  __VA_OPT__(CS__REPEAT(CS__SET1(o, __VA_ARGS__)))
#define CS__SET1(o, member, ...) o member; __VA_OPT__(CS__SET2 CS__NONE (o, __VA_ARGS__))
#define CS__SET2()       CS__SET1
#define CS__NONE         ()
#define CS__MODULE(...)                                                                            \
    [] {                                                                                           \
        cs_module cs_it{};                                                                         \
        cs_it.magic = CS_MAGIC;                                                                    \
        cs_it.size = sizeof(cs_module);                                                            \
        cs_it.abi_major = CS_ABI_MAJOR;                                                            \
        cs_it.abi_minor = CS_ABI_MINOR;                                                            \
        cs_it.api = &cs_api_;                                                                      \
        CS__SET(cs_it, __VA_ARGS__)                                                                \
        return cs_it;                                                                              \
    }()
#else
#define CS__MODULE(...)                                                                            \
    {.magic = CS_MAGIC,                                                                            \
     .size = sizeof(cs_module),                                                                    \
     .abi_major = CS_ABI_MAJOR,                                                                    \
     .abi_minor = CS_ABI_MINOR,                                                                    \
     .api = &cs_api_,                                                                              \
     __VA_ARGS__}
#endif

/* Makes the descriptor: CS_MODULE(.name = "mine", .version = "1.0", .handler = handler); once in each module. */
#define CS_MODULE(...)                                                                             \
    CS__HIDDEN const cs_api *cs_api_;                                                              \
    __attribute__((visibility("default"))) extern const cs_module CS__SYM(CS_ABI_MAJOR);           \
    const cs_module CS__SYM(CS_ABI_MAJOR) = CS__MODULE(__VA_ARGS__)

/* Does this server have that call? Needed only for calls newer than the ABI the module asks for. */
#define CS_HAS(fn) (cs_api_->size >= offsetof(cs_api, fn) + sizeof cs_api_->fn)

/* Short names for the calls. Where a text is wanted they take a cs_str or a string; those with "..." at the end also a struct
 * literal such as (cs_str){p, n} as it is. */
#ifndef CS_NO_SHORT_NAMES
#define cs_self()                        cs_api_->self()
#define cs_module_conf(p)                cs_api_->module_conf(p)
#define cs_conf_error(c, directive, ...) cs_api_->conf_error(c, directive, __VA_ARGS__)
#define cs_template_error(c, directive, t, ...) cs_api_->template_error(c, directive, t, __VA_ARGS__)
#define cs_log(level, ...)               cs_api_->log(&cs_api_, level, __VA_ARGS__)
#define cs_now_ms()                      cs_api_->now_ms()
#define cs_every(p, ms, cb, arg)         cs_api_->timer(p, ms, 1, cb, arg)
#define cs_after(p, ms, cb, arg)         cs_api_->timer(p, ms, 0, cb, arg)
#define cs_timer_cancel(t)               cs_api_->timer_cancel(t)
#define cs_watch_new(p, fd, events, cb, arg) cs_api_->watch(p, fd, events, cb, arg)
#define cs_watch_set(w, events)          cs_api_->watch_set(w, events)
#define cs_watch_end(w)                  cs_api_->watch_end(w)
#define cs_job(p, work, done, arg)       cs_api_->job(p, work, done, arg)

#define cs_counter_add(c, by)            cs_api_->counter_add(c, by)
#define cs_counter_sum(c)                ((unsigned long long)cs_api_->counter_sum(c))
#define cs_zone_of(z)                    cs_api_->zone(z)
#define cs_zone_lock(z)                  cs_api_->zone_lock(z)
#define cs_zone_unlock(z)                cs_api_->zone_unlock(z)
#define cs_metric_each(each, arg)        cs_api_->metric_each(each, arg)

#define cs_publish(t, to, data, len)     cs_api_->publish(t, to, data, len)
#define cs_publish_applied(t, to, data, len, timeout_ms, done, arg)                                \
    cs_api_->publish_applied(t, to, data, len, timeout_ms, done, arg)
#define cs_call(t, to, data, len, timeout_ms, done, arg)                                           \
    cs_api_->call(t, to, data, len, timeout_ms, done, arg)
#define cs_answer(m, data, len)          cs_api_->answer(m, data, len)
#define cs_replay(t, after, each, arg)   cs_api_->replay(t, after, each, arg)

#define cs_info(r)                       cs_api_->info(r)
/* Is that the method of the request? */
#define cs_is(r, ...)                    cs_eq(cs_info(r)->method, __VA_ARGS__)
#define cs_conf(r)                       cs_api_->conf(r, &cs_api_)
#define cs_ctx(r)                        (*cs_api_->ctx(r, &cs_api_))
#define cs_header(r, name)               cs_api_->header(r, name)
#define cs_header_each(r, each, arg)     cs_api_->header_each(r, each, arg)
#define cs_query(r, name)                cs_api_->query(r, name)
#define cs_cookie(r, name)               cs_api_->cookie(r, name)
#define cs_escape(r, where, ...)         cs_api_->escape(r, where, CS_STR(__VA_ARGS__))
#define cs_set_user(r, ...)              cs_api_->set_user(r, CS_STR(__VA_ARGS__))
#define cs_user(r)                       cs_api_->user(r)
#define cs_body(r)                       cs_api_->body(r)
#define cs_body_stream(r, on_data, arg)  cs_api_->body_stream(r, on_data, arg)
#define cs_body_resume(r)                cs_api_->body_resume(r)
#define cs_alloc(r, n)                   cs_api_->alloc(r, n)
#define cs_format(r, ...)                cs_api_->format(r, __VA_ARGS__)
#define cs_on_close(r, cb, arg)          cs_api_->on_close(r, cb, arg)
#define cs_token_of(r)                   cs_api_->token(r)
#define cs_from_token(t)                 cs_api_->from_token(t)
#define cs_req_after(r, ms, cb, arg)     cs_api_->req_timer(r, ms, cb, arg)
#define cs_offload(r, work, done, arg)   cs_api_->offload(r, work, done, arg)
#define cs_proceed(r)                    cs_api_->proceed(r)
#define cs_expand(r, t, where)           cs_api_->expand(r, t, where)
#define cs_client_in(r, blocks)          cs_api_->client_in(r, blocks)
#define cs_client_block(r, blocks)       cs_api_->client_block(r, blocks)
#define cs_say(r, key, ...)              cs_api_->say(r, &cs_api_, key, __VA_ARGS__)
#define cs_page(r, status)               cs_api_->page(r, status)
#define cs_jump(r, ...)                  cs_api_->jump(r, CS_STR(__VA_ARGS__))
#define cs_coding_weight(r, coding)      cs_api_->coding_weight(r, coding)
#define cs_body_length(r)                cs_api_->body_length(r)
#define cs_root_open(r, ...)             cs_api_->root_open(r, CS_STR(__VA_ARGS__))
#define cs_mime(...)                     cs_api_->mime(CS_STR(__VA_ARGS__))

#define cs_sleep(r, ms)                  cs_api_->sleep(r, ms)
#define cs_await_body(r, piece)          cs_api_->await_body(r, piece)
#define cs_await_send(...)               cs_api_->await_send(__VA_ARGS__)
#define cs_await_offload(r, work, arg)   cs_api_->await_offload(r, work, arg)
#define cs_await_call(r, t, to, data, len, timeout_ms, answer)                                     \
    cs_api_->await_call(r, t, to, data, len, timeout_ms, answer)

/* cs_fetch(r, done, arg, .url = CS_S("http://127.0.0.1:8080/")), cs_await_fetch(r, .url = url, .timeout_ms = 500) */
#ifdef __cplusplus
#define CS__FETCH_OPTS(...)                                                                        \
    [&] {                                                                                          \
        cs_fetch_opts cs_it{};                                                                     \
        cs_it.size = sizeof(cs_fetch_opts);                                                        \
        CS__SET(cs_it, __VA_ARGS__)                                                                \
        return cs_it;                                                                              \
    }()
#define cs_fetch(r, done, arg, ...)                                                                \
    [&](cs_fetch_opts cs_o) { return cs_api_->fetch(r, &cs_o, done, arg); }(CS__FETCH_OPTS(__VA_ARGS__))
#define cs_subrequest(r, done, arg, ...)                                                           \
    [&](cs_fetch_opts cs_o) { return cs_api_->subrequest(r, &cs_o, done, arg); }(CS__FETCH_OPTS(__VA_ARGS__))
#else
#define cs_fetch(r, done, arg, ...)                                                                \
    cs_api_->fetch(r, &(const cs_fetch_opts){.size = sizeof(cs_fetch_opts), __VA_ARGS__}, done, arg)
#define cs_subrequest(r, done, arg, ...)                                                           \
    cs_api_->subrequest(r, &(const cs_fetch_opts){.size = sizeof(cs_fetch_opts), __VA_ARGS__}, done, arg)
#endif
/* As cs_fetch and cs_subrequest, and waits until it is over: a task's. */
#define cs_await_fetch(r, ...)           cs_await_fetched(r, cs_fetch(r, NULL, NULL, __VA_ARGS__))
#define cs_await_subrequest(r, ...)      cs_await_fetched(r, cs_subrequest(r, NULL, NULL, __VA_ARGS__))
#define cs_fetch_answer(f)               cs_api_->fetch_answer(f)
#define cs_fetch_header(f, name)         cs_api_->fetch_header(f, name)
#define cs_fetch_header_each(f, each, arg) cs_api_->fetch_header_each(f, each, arg)
#define cs_fetch_pass(r, f)              cs_api_->fetch_pass(r, f)
#define cs_fetch_send(f, data, last)     cs_api_->fetch_send(f, data, last)
#define cs_fetch_resume(f)               cs_api_->fetch_resume(f)
#define cs_fetch_end(f)                  cs_api_->fetch_end(f)
/* return cs_fail_fetch(r, a), where a->result is not CS_OK: 504 for CS_TIMEOUT, else 502, and why in the log; nothing where the request is
 * over. */
#define cs_fail_fetch(r, a)                                                                        \
    ((a)->result == CS_CLOSED ? CS_CLOSED                                                          \
                              : cs_api_->fail(r, (a)->result == CS_TIMEOUT ? 504 : 502, "%.*s", CS_F((a)->why)))
#define cs_await_fetched(r, f)           cs_api_->await_fetched(r, f)
#define cs_await_all(r, f, n, ms)        cs_api_->await_all(r, f, n, ms)
#define cs_await_head(r, f)              cs_api_->await_head(r, f)
#define cs_await_piece(r, f, piece)      cs_api_->await_piece(r, f, piece)
#define cs_await_fetch_send(r, f, data, last) cs_api_->await_fetch_send(r, f, data, last)

#define cs_set_header(r, name, ...)      cs_api_->set_header(r, name, CS_STR(__VA_ARGS__))
#define cs_add_header(r, name, ...)      cs_api_->add_header(r, name, CS_STR(__VA_ARGS__))
#define cs_validators(...)               cs_api_->validators(__VA_ARGS__)
#define cs_reply(r, status, type, ...)   cs_api_->reply(r, status, type, CS_STR(__VA_ARGS__))
#define cs_replyf(r, status, type, ...)  cs_api_->replyf(r, status, type, __VA_ARGS__)
/* cs_reply with plain text. */
#define cs_text(r, status, ...)          cs_reply(r, status, "text/plain; charset=utf-8", __VA_ARGS__)
#define cs_textf(r, status, ...)         cs_api_->replyf(r, status, "text/plain; charset=utf-8", __VA_ARGS__)
#define cs_reply_ref(...)                cs_api_->reply_ref(__VA_ARGS__)
#define cs_reply_file(r, st, type, fd, off, len, release, arg)                                     \
    cs_api_->reply_file(r, st, type, fd, off, len, release, arg)
#define cs_fail(r, status, ...)          cs_api_->fail(r, status, __VA_ARGS__)
#define cs_start(r, status, type, len)   cs_api_->start(r, status, type, len)
#define cs_send(...)                     cs_api_->send(__VA_ARGS__)
#define cs_on_drain(r, cb, arg)          cs_api_->on_drain(r, cb, arg)

#define cs_status(r)                     cs_api_->status(r)
#define cs_response_header(r, name)      cs_api_->response_header(r, name)
#define cs_filter_body(r, len)           cs_api_->filter_body(r, &cs_api_, len)
#define cs_elapsed_us(r)                 cs_api_->elapsed_us(r)
#define cs_bytes_sent(r)                 cs_api_->bytes_sent(r)

#define cs_detach(r, status)             cs_api_->detach(r, status)
#define cs_stream_send(s, ...)           cs_api_->stream_send(s, CS_STR(__VA_ARGS__))
#define cs_stream_queued(s)              cs_api_->stream_queued(s)
#define cs_stream_on_drain(s, cb, arg)   cs_api_->stream_on_drain(s, cb, arg)
#define cs_stream_close(s)               cs_api_->stream_close(s)
#define cs_stream_on_close(s, cb, arg)   cs_api_->stream_on_close(s, cb, arg)
/* cs_group_new(p, .max_streams = 1000, .on_slow = CS_SLOW_SKIP) */
#ifdef __cplusplus
#define cs_group_new(p, ...)                                                                       \
    [&](cs_group_opts cs_it) {                                                                     \
        cs_it.size = sizeof(cs_group_opts);                                                        \
        CS__SET(cs_it, __VA_ARGS__)                                                                \
        return cs_api_->group(p, &cs_it);                                                          \
    }(cs_group_opts())
#else
#define cs_group_new(p, ...)                                                                       \
    cs_api_->group(p, &(const cs_group_opts){.size = sizeof(cs_group_opts), __VA_ARGS__})
#endif
#define cs_group_join(g, s)              cs_api_->group_join(g, s)
#define cs_group_send(g, ...)            cs_api_->group_send(g, CS_STR(__VA_ARGS__))
#define cs_group_sendf(g, ...)           cs_api_->group_sendf(g, __VA_ARGS__)
#define cs_group_size(g)                 cs_api_->group_size(g)
#define cs_group_end(g)                  cs_api_->group_end(g)
#endif /* CS_NO_SHORT_NAMES */

#ifdef __cplusplus
}
#endif
#endif
