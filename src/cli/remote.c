/* remote.c - -s: finds the running server by its control socket, tells it, waits for what comes of
 * it, and says so in plain words. */
#include "base/check.h"
#include "base/json.h"
#include "cli/cli.h"
#include "proc/client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LIMIT_MS      15000
#define RELOAD_MS     60000
#define STOP_EXTRA_MS 5000

struct remote {
    const struct options *o;
    struct client client;
    char *path;        /* control socket */
    struct buf answer; /* the last one */
};

static cs_str field(cs_str object, const char *key)
{
    cs_str value;

    return json_find(object, key, &value) ? value : CS_S("");
}

static cs_str answer_field(const struct remote *r, const char *key)
{
    return field(buf_str(&r->answer), key);
}

static int64_t number(cs_str text, int64_t otherwise)
{
    uint64_t n;

    return str_to_u64(text, INT64_MAX, &n) ? (int64_t)n : otherwise;
}

/* Four hexadecimal digits of \uXXXX; those above ASCII are not written by the server. */
static char hex_char(const char *p)
{
    char digits[5];

    memcpy(digits, p, 4);
    digits[4] = '\0';
    return (char)strtoul(digits, NULL, 16);
}

/* Prints a JSON string with its escapes undone. */
static void print_text(FILE *to, cs_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];

        if (c == '\\' && i + 1 < s.n) {
            c = s.p[++i];
            if (c == 'u' && i + 4 < s.n) {
                c = hex_char(s.p + i + 1);
                i += 4;
            } else {
                c = c == 'n'   ? '\n'
                    : c == 't' ? '\t'
                    : c == 'r' ? '\r'
                    : c == 'b' ? '\b'
                    : c == 'f' ? '\f'
                               : c;
            }
        }
        fputc(c, to);
    }
}

static void print_line(FILE *to, const char *before, cs_str text)
{
    fputs(before, to);
    print_text(to, text);
    fputc('\n', to);
}

static void print_json(const struct remote *r)
{
    printf("%.*s\n", (int)r->answer.n, r->answer.p);
}

/* ---- What went wrong ---- */

static int say_not_running(const struct remote *r)
{
    bool status = strcmp(r->o->command, "status") == 0;

    if (r->o->json)
        printf("{\"ok\":false,\"code\":%d,\"message\":\"not running\"}\n",
               status ? CLI_DOWN : CLI_NOT_RUNNING);
    else if (!r->o->quiet)
        fprintf(stderr, "cserver: no server is running (nobody answers on %s)\n", r->path);
    return status ? CLI_DOWN : CLI_NOT_RUNNING;
}

static int say_connect(const struct remote *r, int error)
{
    if (error == -ENOENT || error == -ECONNREFUSED || error == -ENOTDIR)
        return say_not_running(r);
    fprintf(stderr, "cserver: cannot talk to the server on %s: %s\n", r->path, strerror(-error));
    return error == -EACCES || error == -EPERM ? CLI_DENIED : CLI_FAILED;
}

static int say_lost(const struct remote *r, int error, int64_t limit_ms)
{
    if (error == -ETIMEDOUT) {
        fprintf(stderr,
                "cserver: no answer to %s within %lld s; whether it will still happen is not "
                "known (pid %d)\n",
                r->o->command, (long long)(limit_ms / 1000), r->client.pid);
        return CLI_LATE;
    }
    fprintf(stderr, "cserver: the server (pid %d) went away without an answer to %s\n",
            r->client.pid, r->o->command);
    return CLI_FAILED;
}

/* ---- Asking ---- */

static void on_progress(void *arg, cs_str text)
{
    const struct remote *r = arg;

    if (r->o->json || r->o->quiet)
        return;
    print_line(stdout, "", text);
    fflush(stdout);
}

static int64_t limit_of(const struct options *o, int64_t otherwise)
{
    return o->timeout_ms < 0 ? otherwise : o->timeout_ms == 0 ? -1 : o->timeout_ms;
}

/* The report has said what is wrong, its first line need not come again. */
static void say_refusal(struct remote *r, int code)
{
    cs_str report = answer_field(r, "report");

    print_text(stderr, report);
    if (code == CLI_REFUSED && report.n)
        fprintf(stderr, "cserver: settings refused; the running ones stay (generation %lld)\n",
                (long long)number(answer_field(r, "generation"), 0));
    else
        print_line(stderr, "cserver: ", answer_field(r, "message"));
}

/* CLI_DONE when there is an answer that says ok; else the exit status, and it has been said why. */
static int ask(struct remote *r, int64_t limit_ms)
{
    int rc = client_ask(&r->client, r->o->command, limit_ms, on_progress, r, &r->answer);
    int code;

    if (rc < 0)
        return say_lost(r, rc, limit_ms);
    code = (int)number(answer_field(r, "code"), CLI_FAILED);
    if (code != 0 && !r->o->json)
        say_refusal(r, code);
    return code;
}

static int run_simple(struct remote *r)
{
    int code = ask(r, limit_of(r->o, strcmp(r->o->command, "reload") == 0 ? RELOAD_MS : LIMIT_MS));

    if (r->o->json && r->answer.n)
        print_json(r);
    if (code != 0 || r->o->json || r->o->quiet)
        return code;
    print_text(stderr, answer_field(r, "report"));
    print_line(stdout, "", answer_field(r, "message"));
    return code;
}

static int run_stop(struct remote *r)
{
    int code = ask(r, limit_of(r->o, LIMIT_MS));
    int64_t limit = number(answer_field(r, "limit_ms"), -1);

    if (code != 0)
        return code;
    limit = limit_of(r->o, limit < 0 ? -1 : limit + STOP_EXTRA_MS);
    if (client_wait_gone(&r->client, limit) < 0)
        return say_lost(r, -ETIMEDOUT, limit);
    if (r->o->json)
        print_json(r);
    else if (!r->o->quiet)
        printf("the server (pid %d) has stopped\n", r->client.pid);
    return CLI_DONE;
}

/* ---- Status ---- */

static void print_time(int64_t seconds)
{
    if (seconds >= 86400)
        printf("%lld d ", (long long)(seconds / 86400));
    if (seconds >= 3600)
        printf("%lld h ", (long long)(seconds / 3600 % 24));
    if (seconds >= 60)
        printf("%lld min ", (long long)(seconds / 60 % 60));
    printf("%lld s\n", (long long)(seconds % 60));
}

static void print_list(const char *before, cs_str list)
{
    cs_str element;

    fputs(before, stdout);
    while (client_next(&list, &element)) {
        fputc(' ', stdout);
        print_text(stdout, element);
    }
    fputc('\n', stdout);
}

static void print_workers(cs_str list)
{
    cs_str w;

    printf("  %-8s %-8s %-10s %-10s %11s %12s\n", "worker", "pid", "state", "generation",
           "connections", "requests");
    while (client_next(&list, &w))
        printf("  %-8.*s %-8.*s %-10.*s %-10.*s %11.*s %12.*s\n", CS_F(field(w, "number")),
               CS_F(field(w, "pid")), CS_F(field(w, "state")), CS_F(field(w, "generation")),
               CS_F(field(w, "connections")), CS_F(field(w, "requests")));
}

static void print_reload(const struct remote *r)
{
    cs_str last = answer_field(r, "last_reload");
    time_t at = (time_t)number(field(last, "at"), 0);
    char when[64] = "";

    if (last.n == 0)
        return;
    strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", localtime(&at));
    printf("last reload: %s, %s: ", when, str_is(field(last, "ok"), "true") ? "good" : "failed");
    print_line(stdout, "", field(last, "message"));
}

static void print_status(const struct remote *r)
{
    printf("cserver is %.*s, pid %.*s, up ", CS_F(answer_field(r, "state")),
           CS_F(answer_field(r, "pid")));
    print_time(number(answer_field(r, "uptime_s"), 0));
    print_line(stdout, "settings: ", answer_field(r, "settings"));
    print_list("listening on:", answer_field(r, "listeners"));
    printf("generation %.*s: %.*s of %.*s workers ready, %.*s draining\n",
           CS_F(answer_field(r, "generation")), CS_F(answer_field(r, "ready")),
           CS_F(answer_field(r, "wanted")), CS_F(answer_field(r, "draining")));
    print_workers(answer_field(r, "workers"));
    printf("connections: %.*s now, requests: %.*s in all, crashes: %.*s\n",
           CS_F(answer_field(r, "connections")), CS_F(answer_field(r, "requests")),
           CS_F(answer_field(r, "crashes")));
    print_reload(r);
}

static int run_status(struct remote *r)
{
    int code = ask(r, limit_of(r->o, LIMIT_MS));

    if (r->o->json && r->answer.n)
        print_json(r);
    else if (code == 0)
        print_status(r);
    return code;
}

/* ---- Finding it ---- */

/* The settings only tell where the control socket is; what else is wrong with them does not matter.
 */
static char *find_control(const struct settings_source *src)
{
    struct report ignored;
    char *prefix = src->prefix ? strdup(src->prefix) : conf_prefix_of(src->path), *path;
    struct conf_read_opts opts = {
        .prefix = prefix, .overrides = src->overrides, .noverrides = src->noverrides};
    struct conf_text *text;

    report_init(&ignored);
    text = conf_read(src->path, &opts, &ignored);
    path = settings_server_path(text, prefix, "control");
    if (!path)
        path = settings_server_path(NULL, prefix, "control");
    if (text)
        conf_text_free(text);
    report_free(&ignored);
    free(prefix);
    return path;
}

static int dispatch(struct remote *r)
{
    const char *command = r->o->command;

    if (strcmp(command, "status") == 0)
        return run_status(r);
    if (strcmp(command, "stop") == 0 || strcmp(command, "quit") == 0)
        return run_stop(r);
    return run_simple(r);
}

int cli_command(const struct options *o, const struct settings_source *src)
{
    struct remote r = {.o = o, .path = find_control(src)};
    int rc = client_open(&r.client, r.path);
    int code = rc < 0 ? say_connect(&r, rc) : dispatch(&r);

    client_close(&r.client);
    buf_free(&r.answer);
    free(r.path);
    return code;
}
