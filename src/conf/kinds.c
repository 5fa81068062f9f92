/* kinds.c - every setting of the core: name, type, default, range, and the sentence that the
 * reference shows. */
#include "conf/conf.h"
#include "conf/schema.h"

#define HOUR ((int64_t)3600000)
#define DAY  (24 * HOUR)

static const char *const log_levels[] = {"debug", "info", "warn", "error", NULL};
static const char *const log_formats[] = {"text", "json", NULL};
static const char *const access_formats[] = {"combined", "json", NULL};
static const char *const error_logs[] = {"stderr", NULL};
static const char *const access_logs[] = {"off", "stdout", NULL};
static const char *const policies[] = {"turn", "exclusive", "reuseport", NULL};
static const char *const listen_policies[] = {"turn", "exclusive", "reuseport", "default", NULL};
static const char *const client_from[] = {"auto", "X-Forwarded-For", "Forwarded", "off", NULL};
static const char *const picks[] = {"ring", "least", NULL};

/* CS_PATH with a least length, or with words that are no paths. */
#define FILE_PATH(S, f, def, lo, flags, help)                                                      \
    {                                                                                              \
#f, CS_T_PATH, flags, CS__OFF(S, f, cs_str), def, lo, 4096, NULL, help                     \
    }
#define WORD_PATH(S, f, def, words, help)                                                          \
    {                                                                                              \
#f, CS_T_PATH, 0, CS__OFF(S, f, cs_str), def, 1, 4096, words, help                         \
    }
#define WORD_STRING(S, f, def, hi, word, help)                                                     \
    {                                                                                              \
#f, CS_T_STR, 0, CS__OFF(S, f, cs_str), def, 1, hi, word, help                             \
    }

static const cs_directive server[] = {
    CS_INTW(struct conf_server, workers, "auto", 1, 1024, "auto", 0,
            "Number of worker processes; auto is one for each CPU that the server may run on."),
    CS_INTW(struct conf_server, max_workers, "auto", 1, 1024, "auto", CONF_RESTART,
            "Most workers there can ever be: shared memory is made for so many at the start, so a "
            "change needs a "
            "restart. auto is four for each CPU, at least 16 and at least `workers`."),
    WORD_STRING(struct conf_server, user, "auto", 64, "auto",
                "The user that workers run as when the server is started by root; auto is "
                "www-data, else nobody. Workers keep none of root's rights."),
    CS_BOOL(struct conf_server, allow_root, "off", 0,
            "Let the workers be root, where `user` says so; they keep all of root's rights then."),
    FILE_PATH(struct conf_server, pid_file, "run/cserver.pid", 1, CONF_RESTART,
              "File that holds the master's process id."),
    FILE_PATH(struct conf_server, control, "run/cserver.sock", 1, CONF_RESTART,
              "Socket through which `cserver -s` reaches the server."),
    WORD_PATH(struct conf_server, error_log, "stderr", error_logs, "Where errors and events go."),
    CS_ENUM(struct conf_server, log_level, "info", log_levels, CONF_RUNTIME,
            "The least important lines that the error log gets."),
    CS_ENUM(struct conf_server, log_format, "text", log_formats, 0, "Form of the error log."),
    WORD_PATH(struct conf_server, access_log, "off", access_logs,
              "Where one line for each request goes."),
    CS_ENUM(struct conf_server, access_format, "combined", access_formats, 0,
            "Form of the access log."),
    CS_PATH(struct conf_server, modules, NULL, 0,
            "Folder of the modules; empty is the place that was chosen when the server was built."),
    CS_MSEC(struct conf_server, shutdown_timeout, "25s", 0, DAY, CONF_RUNTIME,
            "How long requests may still run after a stop (TERM)."),
    CS_MSEC(struct conf_server, drain_timeout, "30s", 0, 30 * DAY, CONF_RUNTIME,
            "How long the old workers may still run after a reload, and after an upgrade."),
    CS_MSEC(struct conf_server, upgrade_timeout, "60s", 1000, 300000, CONF_RUNTIME,
            "How long a new program may take to be ready at an upgrade, before it is ended and "
            "this one goes on."),
    CS_INT(struct conf_server, give_up, "0", 0, 1000000, CONF_RUNTIME,
           "End the server after so many worker starts in a row that failed; 0 is never."),
    CS_LIST(struct conf_server, cpu, "off", 1, 1024, 0,
            "CPUs for the workers: off leaves that to the kernel, auto gives each worker one of "
            "those that the "
            "server may run on, a list such as 0, 2, 4-7 is dealt out in its order."),
    CS_INT(struct conf_server, recycle_after, "0", 0, 1000000000000, CONF_RUNTIME,
           "Replace a worker by a fresh one after about so many requests; 0 is never."),
    CS_MSEC(struct conf_server, mailbox_stall, "5s", 100, 3600000, CONF_RUNTIME,
            "How long a process that reads no messages may hold up those who send before it is "
            "passed over; it learns "
            "how many it has missed."),
    CS_INT(
        struct conf_server, threads, "4", 1, 64, 0,
        "Most threads of a process for what modules have done apart from the loop. They are made "
        "when they are needed."),
    CS_INT(struct conf_server, disk_threads, "8", 1, 64, 0,
           "Most threads of a process that wait for files, so that a slow disk holds up who asks "
           "for what is on it and nobody else. They are made when they are needed."),
    CS_INT(
        struct conf_server, disk_queue, "1024", 1, 1000000, 0,
        "Most files that wait to be looked for by one of disk_threads; a request for one more is "
        "answered with 503. Answers that are being sent wait in any case."),
    CS_SIZE(struct conf_server, task_stack, "64k", 32768, 8 << 20, 0,
            "The stack of a task: of a handler that may wait (CS_TASK). Memory is taken as far as "
            "it is used; what goes beyond ends "
            "the worker, with the module and the route in the error log."),
    CS_INT(struct conf_server, quarantine, "3", 0, 16, CONF_RUNTIME,
           "Crashes of a module within quarantine_window after which it is no longer called: its "
           "requests are answered with 503, its hooks, timers and messages are left out, until a "
           "reload succeeds. 0 is never."),
    CS_MSEC(struct conf_server, quarantine_window, "60s", 1000, DAY, CONF_RUNTIME,
            "The time in which the crashes of a module are counted for quarantine."),
    CS_MSEC(struct conf_server, block_warn, "250ms", 0, DAY, CONF_RUNTIME,
            "A process that was in a module's code for so long says so in the error log, with the "
            "module, the hook and the request, and the master does while it lasts: nothing else of "
            "this process goes on meanwhile. 0 is never."),
    CS_MSEC(struct conf_server, block_kill, "30s", 0, DAY, CONF_RUNTIME,
            "A process that has been in a module's code for so long is ended with SIGABRT, so that "
            "it reports where it is, and another is started. Not while it is stopped, has a "
            "debugger, or waits for a zone's lock. 0 is never."),
    CS_BOOL(
        struct conf_server, module_debug, "off", 0,
        "For those who write modules: every call of a module is looked at, one from a wrong thread "
        "or with a request that has ended ends the worker with a sentence in the log, and so does "
        "a look at the memory of such a request. Costs time."),
    CS_END};

static const cs_directive accept_table[] = {
    CS_ENUM(struct conf_accept, policy, "turn", policies, 0,
            "Who accepts: turn is one worker after the other; exclusive is whom the kernel wakes; "
            "reuseport is a "
            "queue for each worker. A [listen:...] section may say otherwise for itself."),
    CS_INT(struct conf_accept, batch, "4", 1, 64, CONF_RUNTIME,
           "Most connections that a worker takes in one turn."),
    CS_BOOL(struct conf_accept, spread, "on", CONF_RUNTIME,
            "Take one connection at a time while another worker has nothing to do."),
    CS_ENUM(struct conf_accept, pick, "ring", picks, CONF_RUNTIME,
            "Whom the turn goes to among the workers that have nothing to do: the next in order, "
            "or the one with "
            "the least connections."),
    CS_MSEC(struct conf_accept, stall_kill, "5s", 0, DAY, CONF_RUNTIME,
            "Kill a worker that has left connections waiting for so long: one that has the turn, "
            "whatever it does; with reuseport only one that is stopped, frozen, or asleep although "
            "it is called, never one that is busy; with exclusive none. 0 is never."),
    CS_END};

static const cs_directive limits[] = {
    CS_INTW(struct conf_limits, max_connections, "auto", 1, 10000000, "auto", CONF_RUNTIME,
            "Most open connections of one worker; auto follows the limit of open files."),
    CS_SIZE(struct conf_limits, max_head, "16k", 1024, (int64_t)1 << 20, CONF_RUNTIME,
            "Most bytes of a request's head."),
    CS_INT(struct conf_limits, max_headers, "100", 10, 1000, CONF_RUNTIME,
           "Most header fields of a request."),
    CS_SIZE(struct conf_limits, max_uri, "8k", 64, (int64_t)1 << 20, CONF_RUNTIME,
            "Most bytes of a request's target."),
    CS_SIZE(struct conf_limits, max_body, "1m", 0, (int64_t)1 << 40, CONF_RUNTIME,
            "Most bytes of a request's body."),
    CS_MSEC(struct conf_limits, head_timeout, "30s", 0, DAY, CONF_RUNTIME,
            "Longest time for a request's head to arrive; 0 is no limit."),
    CS_MSEC(struct conf_limits, body_timeout, "30s", 0, DAY, CONF_RUNTIME,
            "Longest silence while a request's body arrives; 0 is no limit."),
    CS_MSEC(struct conf_limits, keepalive_timeout, "60s", 0, DAY, CONF_RUNTIME,
            "Longest time that a connection may wait for its next request; 0 is no limit."),
    CS_MSEC(struct conf_limits, write_timeout, "60s", 0, DAY, CONF_RUNTIME,
            "Longest time in which a client takes nothing of its answer; 0 is no limit."),
    CS_MSEC(struct conf_limits, handler_timeout, "60s", 0, DAY, CONF_RUNTIME,
            "Longest time in which a handler must start its answer; 0 is no limit."),
    CS_INT(struct conf_limits, keepalive_requests, "0", 0, 1000000000, CONF_RUNTIME,
           "Most requests of one connection; 0 is no limit."),
    CS_END};

static const cs_directive reload[] = {
    CS_LIST(
        struct conf_reload, probe, NULL, 0, CONF_TRIALS, 0,
        "What the first new worker is asked before the new settings go live, at a reload and at "
        "the start, in this order: METHOD TARGET STATUS, such as GET /health 200. The target is "
        "a path, or http://host/path for the site of that host; 2xx is any status from 200 to "
        "299. Any other answer, none, or a crash means that the settings do not go live. It comes "
        "to the first [listen:...] as from a unix socket, no client takes part. Empty: it is "
        "enough that this worker becomes ready."),
    CS_MSEC(struct conf_reload, probe_timeout, "5s", 10, HOUR, 0,
            "Longest time for each of these answers to begin."),
    CS_END};

static const cs_directive listen_table[] = {
    CS_LIST(struct conf_listen, address, NULL, 1, 64, CS_REQUIRED,
            "Where to listen: 127.0.0.1:80, [::1]:80, :80 (IPv4 and IPv6), unix:/path. A socket of "
            "that address which systemd passes is used; socket:NAME are those that it calls so."),
    CS_INT(struct conf_listen, backlog, "4096", 1, 65535, 0,
           "Connections that the kernel keeps waiting."),
    CS_BOOL(struct conf_listen, deferred, "on", 0,
            "Wake a worker only when a new connection's first bytes are there."),
    CS_BOOL(
        struct conf_listen, proxy_protocol, "off", 0,
        "Connections begin with a PROXY header (version 1 or 2), in which a balancer says whom "
        "it has them from; "
        "that address counts as the client's then. A connection without one is closed, and so is "
        "one from an address that is not in `trusted`, where that is set."),
    CS_BLOCKS(
        struct conf_listen, trusted, NULL, 0, 1024, 0,
        "Addresses and blocks of the proxies in front of this listener, such as 10.0.0.7, "
        "10.1.0.0/24, unix: what they say of the client is believed. Name them, and not a whole "
        "network in which clients are, too."),
    CS_ENUM(
        struct conf_listen, client_from, "auto", client_from, 0,
        "The request's field from which the client's address is taken where a proxy of `trusted` "
        "sends it: the last address in it that is no proxy's. auto is X-Forwarded-For, and off "
        "with "
        "proxy_protocol."),
    CS_INT(struct conf_listen, mode, "0666", 0, 0777, CONF_OCTAL, "Permissions of a unix socket."),
    CS_ENUM(struct conf_listen, policy, "default", listen_policies, 0,
            "Who accepts here; default is what [accept] says. reuseport is for TCP only: under an "
            "[accept] policy = reuseport a unix socket takes turns."),
    CS_END};

#define OWN_LOG(S, outer)                                                                          \
    {"access_log",                                                                                 \
     CS_T_PATH,                                                                                    \
     0,                                                                                            \
     CS__OFF(S, own.access_log, cs_str),                                                           \
     NULL,                                                                                         \
     0,                                                                                            \
     4096,                                                                                         \
     access_logs,                                                                                  \
     "Where one line for each request here goes; empty is what " outer " says."},                  \
    {                                                                                              \
        "access_format", CS_T_ENUM, CONF_OUTER, CS__OFF(S, own.access_format, int64_t), NULL, 0,   \
            0, access_formats, "Form of these lines; empty is what " outer " says."                \
    }
/* What sites and routes may say of themselves; `outer` is the scope that holds where they do not. */
#define OWN(S, name, type, at, lo, hi, help)                                                       \
    {                                                                                              \
        name, type, CONF_OUTER, CS__OFF(S, own.at, int64_t), NULL, lo, hi, NULL, help              \
    }
#define OWN_LIMITS(S, outer)                                                                       \
    OWN(S, "max_body", CS_T_SIZE, limit[CONF_MAX_BODY], 0, (int64_t)1 << 40,                       \
        "Most bytes of a request's body here; empty is what " outer " says."),                     \
        OWN(S, "body_timeout", CS_T_MSEC, limit[CONF_BODY_TIMEOUT], 0, DAY,                        \
            "Longest silence while a request's body arrives here; 0 is no limit, empty is "        \
            "what " outer " says."),                                                               \
        OWN(S, "handler_timeout", CS_T_MSEC, limit[CONF_HANDLER_TIMEOUT], 0, DAY,                  \
            "Longest time in which a handler must start its answer here; 0 is no limit, empty is " \
            "what " outer " says."),                                                               \
        OWN(S, "write_timeout", CS_T_MSEC, limit[CONF_WRITE_TIMEOUT], 0, DAY,                      \
            "Longest time in which a client takes nothing of its answer here; 0 is no limit, "     \
            "empty is what " outer " says.")

static const cs_directive site[] = {
    CS_LIST(struct conf_site, listen, NULL, 0, 256, 0,
            "Labels of the [listen:...] sections that the site is reached through; empty is all."),
    CS_LIST(struct conf_site, host, "*", 1, 4096, 0,
            "Host names of the site; *.example.com is every name below, * is whatever no other "
            "site has."),
    CS_PATH(struct conf_site, root, NULL, 0,
            "Folder of the site's files, served by the module static; empty is none."),
    CS_LIST(struct conf_site, use, NULL, 0, 16, 0,
            "Modules that take part in all requests of the site (access, filters, log), in this "
            "order, before the handlers."),
    OWN_LIMITS(struct conf_site, "[limits]"),
    CS_LIST(
        struct conf_site, error_pages, NULL, 0, 64, 0,
        "What is shown in place of the server's own pages: 404 /404.html, 500 502 503 /50x.html, "
        "4xx /sorry; the path of a file or of a route. off instead of a path is the server's "
        "page."),
    OWN_LOG(struct conf_site, "[server]"),
    CS_END};

static const cs_directive module[] = {
    CS_STRING(struct conf_module, file, NULL, 0, 4096, CONF_TIGHT,
              "The module's file, taken below the folder of the modules; empty is NAME.so."),
    CS_END};

static const cs_directive route[] = {
    {"site", CS_T_STR, 0, CS__OFF(struct conf_route, site_label, cs_str), NULL, 0, 39, NULL,
     "Label of the route's [site:...]; may be left out where there is one site."},
    CS_STRING(struct conf_route, match, NULL, 1, 4096, CS_REQUIRED | CONF_TIGHT,
              "Which paths: \"= /x\" is exactly /x, \"/x\" is /x and all below it (the longest one "
              "wins), \"~ ^/u/\" "
              "is a regular expression (PCRE2). Exact ones come first, then the expressions in the "
              "order of the "
              "file, then the longest start."),
    CS_LIST(struct conf_route, methods, NULL, 0, 32, 0,
            "Condition: the request has one of these methods; GET is HEAD too. A route whose "
            "conditions do not hold is passed over. Where nothing but this stands against a route, "
            "the answer is 405."),
    CS_LIST(
        struct conf_route, headers, NULL, 0, 32, 0,
        "Condition: all of these hold. \"X-A\": the request has the field, \"!X-A\": it has not, "
        "\"X-A: v\": it has this value, \"X-A: ~ ^v\": a value that the regular expression "
        "matches."),
    CS_LIST(
        struct conf_route, query, NULL, 0, 32, 0,
        "Condition: all of these hold. \"x\": the query has the parameter x, \"!x\": it has not, "
        "\"x = 1\": the first one is this, decoded, \"x = ~ ^[0-9]+$\": the regular expression "
        "matches it."),
    CS_BLOCKS(struct conf_route, clients, NULL, 0, 4096, 0,
              "Condition: the client's address is one of these or in one of these blocks, such as "
              "10.0.0.0/8; \"unix\" is who comes by a unix socket."),
    CS_TEMPLATE(
        struct conf_route, rewrite, NULL, 0, 4096, CONF_TIGHT,
        "Another path, for which routes are searched again in the same site, before any "
        "module sees the request: /new${path}, /app?page=${capture.id}. Without a \"?\" the "
        "query stays. At most 10 times for a request."),
    CS_LIST(struct conf_route, handler, NULL, 0, 16, 0,
            "Modules that answer, in order: one that declines passes the request to the next, the "
            "last one to the "
            "site's files."),
    CS_LIST(struct conf_route, use, NULL, 0, 32, 0,
            "Modules that take part in the route's requests besides its handlers, behind those of "
            "the site; -NAME leaves out one that the site uses."),
    CS_PATH(struct conf_route, root, NULL, 0, "Folder of the files; empty is the site's root."),
    OWN_LIMITS(struct conf_route, "the site"),
    CS_LIST(
        struct conf_route, error_pages, NULL, 0, 64, 0,
        "What is shown in place of the server's own pages: 404 /404.html, 500 502 503 /50x.html, "
        "4xx /sorry; the path of a file or of a route; those of the site hold for statuses "
        "that are not named here. off instead of a path is the server's page."),
    OWN_LOG(struct conf_route, "the site"),
    CS_END};

const struct conf_kind conf_kinds[] = {
    {"server", false, server, sizeof(struct conf_server), "The server as a whole."},
    {"accept", false, accept_table, sizeof(struct conf_accept),
     "How the workers share new connections."},
    {"limits", false, limits, sizeof(struct conf_limits), "What a client may use up."},
    {"reload", false, reload, sizeof(struct conf_reload),
     "How new settings are tried before they go live."},
    {"listen", true, listen_table, sizeof(struct conf_listen),
     "An address to listen on. Without any such section there is [listen:main] with the address "
     ":8080."},
    {"module", true, module, sizeof(struct conf_module),
     "A module to load; the label is its name, and its own settings stand here too. A site with a "
     "root needs no "
     "section for the module static."},
    {"site", true, site, sizeof(struct conf_site),
     "A site, chosen by the request's host. Without any such section there is [site:default]. "
     "Settings that a "
     "module allows for each route may stand here and hold for the whole site."},
    {"route", true, route, sizeof(struct conf_route),
     "What answers which paths of a site. Settings that a module allows for each route may stand "
     "here."},
    {NULL, false, NULL, 0, NULL}};
