/* test.h - tests of a module in the test's own process: no server, no ports, no waiting.
 *
 *     #include <assert.h>
 *     #include <cserver/test.h>
 *
 *     int main(void)
 *     {
 *         struct cst *t = cst_open("./hello.so", "greeting = hi\n");
 *         cst_expect(cst_get(t, "/"), 200, "hi\n");
 *         cst_close(t);
 *     }
 *
 *     cc -o hello_test hello_test.c $(pkg-config --cflags --libs cserver-test) && ./hello_test
 *
 * What answers is the server's own engine: the same code reads heads, finds routes, runs hooks, frames answers and carries
 * messages, only that connections are pairs of sockets, the other processes are pretended, and time moves when the test
 * says so. What is not there: listeners, limits on connections, the access log, regular expressions in `match` and
 * `include` in settings.
 *
 * Time stands still, at the moment of cst_open, but for cst_advance, and cst_get, cst_request and cst_finish where they
 * wait for an answer. (What the module asks the C library itself, such as time(), goes on.) Nothing else moves either
 * while the test's own code runs: connections, messages and timers go on inside cst_run and the calls that say so.
 * So a test of it is the same each time. Threads of cs_offload and cs_job are real, one job at a time; all calls
 * that run wait for them.
 *
 * One struct cst at a time, and all calls from one thread. What a call returns lives until cst_close, which ends
 * everything: a test under LeakSanitizer or valgrind reports what the module has forgotten. What cannot be (a module
 * that does not load, settings that are refused, a name that is not there) ends the test with a sentence and abort().
 *
 * As with [server] module_debug each call is looked at: one from another thread, or with a request that has ended, ends the
 * test with a sentence, and memory of a request that has ended faults when it is touched.
 *
 * Environment: CST_LOG=1 shows the log on stderr while it is written. */
#ifndef CSERVER_TEST_H
#define CSERVER_TEST_H

/* Its lists are read in columns. */
/* clang-format off */

#include <cserver/cserver.h>

#ifdef __cplusplus
extern "C" {
#endif

struct cst; /* a module under test, and the process it runs in */
typedef struct cst_req cst_req; /* a client, with its connection and one request */

/* ---- Beginning and end ---------------------------------------------------------------------- */

/*     cst_open("./hello.so")
 *     cst_open("./hello.so", "greeting = hi\n")
 *     cst_open("./counter.so", "interval = 1s\n", .primary = 1)
 *     cst_open("./auth.so", "[module:auth]\n...[route:all]\nmatch = /\nuse = auth\nhandler = ok\n", .worker = 2, .workers = 4)
 */
typedef struct cst_opts {
    uint32_t size;
    const char *module; /* the file; the module's name is the file's name without .so */
    /* Keys of [module:NAME], or (where a line begins with "[") all settings as in cserver.ini. What these do not have is
     * made: a [module:...] for each module, and, where there is no [route:...], one for all paths, with the module as
     * its handler. A module without a handler is used (`use = NAME`) before the module `ok`, which is always there
     * and answers 200 "ok\n". NULL: all keys have their defaults. */
    const char *settings;
    const char *const *more; /* files of further modules, NULL-terminated; they get a route only by the settings */
    const char *root; /* the site's root (cs_root_open); NULL: none */
    int worker;       /* number of the worker that this process pretends to be; 0 = 1 */
    int workers;      /* how many there are; 0 = as many as `worker` says. At most 16. All others are ready */
    int primary;      /* 1: this process is the primary instead, and all workers are ready */
} cst_opts;

/* Loads the module, runs on_config, and starts the process (worker_start or primary_start). */
#define cst_open(...) cst_open_opts(&(const cst_opts){.size = sizeof(cst_opts), .module = __VA_ARGS__})
struct cst *cst_open_opts(const cst_opts *opts);
/* The stop hook, then the end of all connections, timers and waiting messages. What stays is the module in memory: each
 * cst_open, cst_worker, cst_primary and cst_check loads it anew, and none is unloaded before the program ends. */
void cst_close(struct cst *t);

/* What `cserver -t` says of such settings, as cst_open takes them: NULL when they are good, else the report. It is valid
 * until the next call. */
const char *cst_check(const char *module, const char *settings);

/* The process ends, with its stop hook, and another one is started, as worker `number` of `workers`, or as the primary.
 * The module is loaded anew, its static variables with it; its zones, its counters and what topics keep stay, as after a
 * crash or a reload. CS_OK; CS_ERROR when the start hook fails: then only this may be called, and cst_close. */
int cst_worker(struct cst *t, int number, int workers);
int cst_primary(struct cst *t);
/* The worker begins to drain: worker_stop, and from then on each answer ends its connection. Streams stay; cst_move is what
 * comes next for them. */
void cst_drain(struct cst *t);

/* ---- Time ----------------------------------------------------------------------------------- */

/* Goes on until nothing more happens without time: clients, messages, jobs. Timers that are due fire. */
void cst_run(struct cst *t);
/* Runs, then time moves on by ms milliseconds, from one timer to the next, and runs at each. */
void cst_advance(struct cst *t, int64_t ms);
/* Milliseconds since cst_open. */
int64_t cst_elapsed(const struct cst *t);

/* ---- Requests ------------------------------------------------------------------------------- */

/* What a client has got. */
typedef struct cst_answer {
    uint32_t size;
    int status;   /* 0: no head has come */
    int whole;    /* the end of the body has come as the head had promised it */
    int closed;   /* the server has ended the connection */
    cs_str head;  /* as sent, with the status line, without the empty line at its end */
    cs_str body;  /* without the chunked coding; a NUL follows, which does not count */
} cst_answer;

/* A whole request on a connection of its own; runs until the answer is whole or the connection has ended. For that time
 * moves on where it has to, from timer to timer, at most 10 minutes. `headers`: lines, such as "Cookie: a=1\nX: y\n", or
 * NULL; Host and Content-Length are added where they are missing. body: a cs_str or a string, "" = none. */
#define cst_get(t, target) cst_request(t, "GET", target, NULL, "")
#define cst_request(t, method, target, headers, ...) \
    cst_request_str(t, method, target, headers, CS_STR(__VA_ARGS__))
cst_answer cst_request_str(struct cst *t, const char *method, const char *target, const char *headers, cs_str body);
/* Sends the bytes as they are: heads that are wrong, several requests at once ... Gives the first final answer; what comes
 * behind it is for cst_begin_raw and cst_rest. */
#define cst_raw(t, ...) cst_raw_str(t, CS_STR(__VA_ARGS__))
cst_answer cst_raw_str(struct cst *t, cs_str bytes);

/* A field of an answer, the first of that name; p is NULL when there is none. */
cs_str cst_field(const cst_answer *a, const char *name);
/* Does the text equal a string? */
int cst_is(cs_str text, const char *string);
/* The answer is whole and has this status and body (NULL: any); else says what it is, with the log, and aborts. Returns
 * the answer. */
#define cst_expect(answer, status, body) cst_expect_at(answer, status, body, __FILE__, __LINE__)
cst_answer cst_expect_at(cst_answer a, int status, const char *body, const char *file, int line);

/* Begins a request and returns at once; nothing of it has been looked at until something runs. Several may be under way.
 * With a Content-Length or "Transfer-Encoding: chunked" among the headers, and body "", the body comes with
 * cst_send_body. */
#define cst_begin(t, method, target, headers, ...) \
    cst_begin_str(t, method, target, headers, CS_STR(__VA_ARGS__))
cst_req *cst_begin_str(struct cst *t, const char *method, const char *target, const char *headers, cs_str body);
#define cst_begin_raw(t, ...) cst_begin_raw_str(t, CS_STR(__VA_ARGS__))
cst_req *cst_begin_raw_str(struct cst *t, cs_str bytes);
/* Sends a piece of the body (as a chunk, where it is chunked), and with last = 1 what ends it. Does not run. */
#define cst_send_body(q, last, ...) cst_send_body_str(q, last, CS_STR(__VA_ARGS__))
void cst_send_body_str(cst_req *q, int last, cs_str data);
/* Runs until the answer is there, as cst_get does; then the client closes its connection. */
cst_answer cst_finish(cst_req *q);
/* What has come until now; does not run. Also of a stream, whose body grows. */
cst_answer cst_so_far(cst_req *q);
/* Bytes that came behind that answer. */
cs_str cst_rest(cst_req *q);

/* From now on the client reads only what cst_read takes, and the socket holds few KiB. Right after cst_begin. */
void cst_slow(cst_req *q);
/* Takes up to n bytes (SIZE_MAX: all there will be), head included, and runs. The number of bytes that came. */
size_t cst_read(cst_req *q, size_t n);
/* The client goes away: now, or when n bytes of the answer, head included, have come. */
void cst_abort(cst_req *q);
void cst_abort_at(cst_req *q, size_t n);

/* ---- Other processes ------------------------------------------------------------------------ */

/* The other processes are pretended: they take all messages for them, at once, and answer none unless the test does.
 * `process` is a worker's number, 0 = the primary, CS_FROM_COMMAND = `cserver msg send`. */

/* A message from that process to all; runs, so on_message has returned. The result is that of cs_publish there. */
#define cst_message(t, process, topic, ...) cst_message_str(t, process, topic, CS_STR(__VA_ARGS__))
int cst_message_str(struct cst *t, int process, const char *topic, cs_str data);
/* That process calls this one (cs_call), and runs: what cs_answer said, or p = NULL where it did not (yet). */
#define cst_call(t, process, topic, ...) cst_call_str(t, process, topic, CS_STR(__VA_ARGS__))
cs_str cst_call_str(struct cst *t, int process, const char *topic, cs_str data);

/* What the module has tried to publish in this process, also what it keeps for itself. */
typedef struct cst_published {
    uint32_t size;
    const char *topic;
    int to;       /* as the module said: a number, CS_TO_... */
    int result;   /* what it was told: CS_OK, CS_AGAIN ... */
    int how;      /* CST_PUBLISH, ... */
    cs_str data;
} cst_published;
enum { CST_PUBLISH, CST_PUBLISH_APPLIED, CST_CALL, CST_ANSWER };
/* The i-th, from 0; NULL when there are not so many. */
const cst_published *cst_published_at(struct cst *t, size_t i);
size_t cst_published_count(const struct cst *t);
/* Answers the i-th, a CST_CALL, in the name of the process it went to; runs. */
#define cst_answer_to(t, i, ...) cst_answer_to_str(t, i, CS_STR(__VA_ARGS__))
void cst_answer_to_str(struct cst *t, size_t i, cs_str data);

/* A pretended process becomes ready, or ends, by that signal or 0: on_join, on_leave. One that is there and joins ends
 * before that. Runs. */
void cst_join(struct cst *t, int process);
void cst_leave(struct cst *t, int process, int signal);
/* From now on that process does not look at its messages (1), or does again (0): for time limits of
 * cs_publish_applied, and full queues. */
void cst_stall(struct cst *t, int process, int on);

/* ---- Other servers -------------------------------------------------------------------------- */

/* What a module asks of other servers (cs_fetch) never leaves the process. Servers that the test has named are pretended;
 * to connect to any other one fails, and `why` says what to do. Subrequests need nothing.
 *
 *     cst_server(t, "http://api.test:8080");
 *     cst_serve(t, "http://api.test:8080/users/1", 200, "application/json", "{}");
 *     cst_req *q = cst_begin(t, "GET", "/slow", NULL, "");
 *     cst_advance(t, 10);
 *     assert(cst_is(cst_fetched_at(t, 0)->target, "/later"));
 *     cst_reply(t, 0, 200, "text/plain", "at last");
 *     cst_expect(cst_finish(q), 200, "at last");
 *
 * Servers and what they answer stay when the process ends (cst_worker); connections do not. */

/* From now on there is this server: it takes connections and requests, answers as cst_serve has told, and else when the
 * test does: nothing is an answer, too, and ends with the module's time limits. origin: "http://HOST" or
 * "http://HOST:PORT"; HOST is a name or an address. */
void cst_server(struct cst *t, const char *origin);
/* How it is from now on. All but CST_UP and CST_STALLED end the connections that there are. */
enum {
    CST_UP,
    CST_STALLED, /* takes connections and reads nothing from any, until it is CST_UP again: for cs_fetch_send */
    CST_REFUSES, /* connecting to it fails at once */
    CST_SILENT,  /* connecting to it comes to no end: connect_ms */
    CST_NO_NAME  /* its host has no address. Addresses are kept for 5 s, as by the server, and that there is none for 1 s */
};
void cst_server_is(struct cst *t, const char *origin, int how);

/* From now on each request for this URL has this answer, as soon as it is whole; without "?" in the URL for every query.
 * The last one that was told of a URL holds. It names the server, too. type: of the content, NULL: none. */
#define cst_serve(t, url, status, type, ...) cst_serve_str(t, url, status, type, CS_STR(__VA_ARGS__))
void cst_serve_str(struct cst *t, const char *url, int status, const char *type, cs_str body);

/* A request that has come to a server; those of all servers are numbered in the order in which their heads came. */
typedef struct cst_fetched {
    uint32_t size;
    int connection;     /* its number, from 0 on: requests that have the same came over one connection */
    const char *origin; /* as the test has named the server */
    cs_str method;
    cs_str target;  /* "/path?query" */
    cs_str head;    /* as sent, with the request line, without the empty line at its end */
    cs_str body;    /* what has come of it, without the chunked coding */
    int whole;      /* all of it has come */
    int gone;       /* the connection has ended, so there is nobody to answer */
    size_t waiting; /* bytes of the answer that the module has not taken yet, beyond what the socket holds */
} cst_fetched;
/* The i-th, from 0, as it is now; NULL when there have not been so many. */
const cst_fetched *cst_fetched_at(struct cst *t, size_t i);
size_t cst_fetched_count(const struct cst *t);
/* A field of it, the first of that name; p is NULL when there is none. */
cs_str cst_fetched_field(const cst_fetched *f, const char *name);

/* Answers the i-th, and runs. Nobody gets it when the connection has ended. */
#define cst_reply(t, i, status, type, ...) cst_reply_str(t, i, status, type, CS_STR(__VA_ARGS__))
void cst_reply_str(struct cst *t, size_t i, int status, const char *type, cs_str body);
/* Sends the bytes as they are, and runs: an answer in pieces, one that is wrong, or what nobody has asked for. */
#define cst_reply_raw(t, i, ...) cst_reply_raw_str(t, i, CS_STR(__VA_ARGS__))
void cst_reply_raw_str(struct cst *t, size_t i, cs_str bytes);
/* The server ends the connection of the i-th, when what it has sent has been taken; runs. */
void cst_hang_up(struct cst *t, size_t i);

/* ---- Faults --------------------------------------------------------------------------------- */

/* The k-th of the following calls, from 1 on, fails, once. Of `call`, which is one of
 *
 *     alloc format escape             no memory: NULL
 *     on_close req_timer on_drain     CS_NOMEM
 *     timer watch group detach        NULL
 *     offload job await_offload       CS_AGAIN
 *     fetch subrequest                it is over with the result CS_BROKEN and a `why`
 *     publish publish_applied call    CS_AGAIN; call: cs_await_call, too
 *     answer                          CS_AGAIN
 *     send stream_send                CS_AGAIN: taken all the same, as for a slow client
 *     group_send                      CS_NOMEM
 *     zone_lock                       CS_ERROR
 *     root_open                       -EMFILE
 *
 * k = 0: no more. Returns how many of these calls there have been since it was last said. */
unsigned cst_fail(struct cst *t, const char *call, unsigned k);

/* ---- Streams -------------------------------------------------------------------------------- */

/* What a detached stream sends is the body of its answer (cst_so_far). */

/* The stream of this client moves to another worker: on_save, then its on_close here, then the process ends and starts
 * anew (as cst_worker does it, with all else that it has), and on_adopt takes the stream there. CS_OK; CS_ERROR: the start
 * hook has failed; CS_DECLINED: it could not move (no stream, something waits to be sent, on_save said no, a hook is
 * missing), and nothing has happened. */
int cst_move(cst_req *q);

/* ---- What has been left behind -------------------------------------------------------------- */

/* The i-th line of the error log, from 0, without time and process: "warn module hello: ..."; p NULL when there are not
 * so many. All levels are there. */
cs_str cst_log(struct cst *t, size_t i);
/* Is there a line that contains it? */
int cst_logged(struct cst *t, const char *text);
/* The sum of a counter of the module, by its name; of another module "NAME.counter". */
uint64_t cst_counter(struct cst *t, const char *name);
/* The memory of a zone of the module; of another module "NAME.zone". */
void *cst_zone(struct cst *t, const char *name);

#ifdef __cplusplus
}
#endif
#endif
