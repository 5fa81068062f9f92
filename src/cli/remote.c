/* remote.c - -s: finds the running server by its control socket, tells it, waits for what comes of
 * it, and says so in plain words. */
#include "cli/remote.h"

#include "base/clock.h"
#include "base/json.h"
#include "cli/status.h"
#include "proc/pidfile.h"
#include "proc/stopping.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define RELOAD_MS     60000
#define UPGRADE_MS    330000 /* the longest upgrade_timeout, and what may follow it */
#define STOP_EXTRA_MS 5000
#define STOP_LOOK_MS  1000 /* then, and again, it is asked what it still waits for */

cs_str remote_field(cs_str object, const char *key)
{
    cs_str value;

    return json_find(object, key, &value) ? value : CS_S("");
}

cs_str remote_answer(const struct remote *r, const char *key)
{
    return remote_field(buf_str(&r->answer), key);
}

int64_t remote_number(cs_str text, int64_t otherwise)
{
    uint64_t n;

    return str_to_u64(text, INT64_MAX, &n) ? (int64_t)n : otherwise;
}

void remote_print(FILE *to, cs_str inside)
{
    struct buf text = {0};

    if (inside.n > 0 && json_unescape(&text, inside))
        fwrite(text.p, 1, text.n, to);
    buf_free(&text);
}

void remote_print_line(FILE *to, const char *before, cs_str text)
{
    fputs(before, to);
    remote_print(to, text);
    fputc('\n', to);
}

/* Where there is none, its want has been told in JSON. */
void remote_print_json(const struct remote *r)
{
    if (r->answered)
        printf("%.*s\n", (int)r->answer.n, r->answer.p);
}

/* ---- What went wrong ---- */

/* In words, or with --json as an answer that the server has not given. */
static int say(const struct remote *r, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static int say(const struct remote *r, int code, const char *fmt, ...)
{
    struct buf out = {0};
    struct json j;
    char text[512];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (!r->o->json) {
        fprintf(stderr, "cserver: %s\n", text);
        return code;
    }
    json_init(&j, &out);
    json_object(&j, NULL);
    json_bool(&j, "ok", false);
    json_int(&j, "code", code);
    if (r->client.pid > 0)
        json_int(&j, "pid", r->client.pid);
    json_z(&j, "message", text);
    json_end_object(&j);
    printf("%.*s\n", (int)out.n, out.p);
    buf_free(&out);
    return code;
}

/* The settings may have been edited since it was started. */
static bool is_elsewhere(const struct remote *r, pid_t *pid)
{
    return r->pid_file && pidfile_look(r->pid_file, pid) == PIDFILE_RUNNING;
}

static int say_not_running(const struct remote *r)
{
    int code = strcmp(r->what, "status") == 0 ? CLI_DOWN : CLI_NOT_RUNNING;
    pid_t pid;

    if (is_elsewhere(r, &pid))
        return say(r, code,
                   "pid %d runs with these settings (%s), but does not answer on %s: was `control` "
                   "changed? Say -g server.control=SOCKET with the one that it has",
                   (int)pid, r->pid_file, r->path);
    if (r->o->quiet && !r->o->json)
        return code;
    return say(r, code, "no server is running (nobody answers on %s)", r->path);
}

static int say_connect(const struct remote *r, int error)
{
    if (error == -ENOENT || error == -ECONNREFUSED || error == -ENOTDIR)
        return say_not_running(r);
    return say(r, error == -EACCES || error == -EPERM ? CLI_DENIED : CLI_FAILED,
               "cannot talk to the server on %s: %s", r->path, strerror(-error));
}

int remote_say_lost(const struct remote *r, int error, int64_t limit_ms)
{
    char limit[32], last[300] = "";

    if (r->progress.n)
        snprintf(last, sizeof last, "; the last it said: %.*s", (int)r->progress.n, r->progress.p);
    if (error != -ETIMEDOUT)
        return say(r, CLI_FAILED, "the server (pid %d) went away without an answer to %s%s",
                   r->client.pid, r->what, last);
    snprintf(limit, sizeof limit, limit_ms % 1000 ? "%lld ms" : "%lld s",
             (long long)(limit_ms % 1000 ? limit_ms : limit_ms / 1000));
    return say(r, CLI_LATE,
               "no answer to %s within %s; whether it will still happen is not known (pid %d)%s",
               r->what, limit, r->client.pid, last);
}

/* ---- Asking ---- */

static void on_progress(void *arg, cs_str text)
{
    struct remote *r = arg;

    buf_clear(&r->progress);
    json_unescape(&r->progress, text);
    if (r->o->json || r->o->quiet)
        return;
    remote_print_line(stdout, "", text);
    fflush(stdout);
}

int64_t remote_limit(const struct options *o, int64_t otherwise)
{
    return o->timeout_ms < 0 ? otherwise : o->timeout_ms == 0 ? -1 : o->timeout_ms;
}

/* The report has said what is wrong, its first line need not come again. */
static void say_refusal(struct remote *r, int code)
{
    cs_str report = remote_answer(r, "report");

    remote_print(stderr, report);
    if (code == CLI_REFUSED && report.n)
        fprintf(stderr, "cserver: settings refused; the running ones stay (generation %lld)\n",
                (long long)remote_number(remote_answer(r, "generation"), 0));
    else
        remote_print_line(stderr, "cserver: ", remote_answer(r, "message"));
}

int remote_ask(struct remote *r, const char *request, int64_t limit_ms)
{
    int rc = client_ask(&r->client, request, limit_ms, on_progress, r, &r->answer);
    int code;

    r->answered = rc == 0;
    if (rc < 0)
        return remote_say_lost(r, rc, limit_ms);
    code = (int)remote_number(remote_answer(r, "code"), CLI_FAILED);
    if (code != 0 && !r->o->json)
        say_refusal(r, code);
    return code;
}

/* "reload {}", or with what the options put there */
static void write_request(const struct options *o, struct buf *out)
{
    const char *wait = o->no_wait ? "no" : o->wait;
    struct json j;

    buf_printf(out, "%s ", o->command);
    json_init(&j, out);
    json_object(&j, NULL);
    if (wait)
        json_z(&j, "wait", wait);
    if (o->new_workers)
        json_z(&j, "workers", "new");
    json_end_object(&j);
    buf_add_char(out, '\0');
}

static int64_t usual_limit(const char *command)
{
    if (strcmp(command, "upgrade") == 0)
        return UPGRADE_MS;
    return strcmp(command, "reload") == 0 ? RELOAD_MS : REMOTE_LIMIT_MS;
}

static int64_t patience(const struct options *o)
{
    if (o->no_wait)
        return remote_limit(o, REMOTE_LIMIT_MS);
    if (o->wait) /* that the server limits */
        return remote_limit(o, -1);
    return remote_limit(o, usual_limit(o->command));
}

static int ask(struct remote *r)
{
    struct buf request = {0};
    int code;

    write_request(r->o, &request);
    code = remote_ask(r, request.p, patience(r->o));
    buf_free(&request);
    return code;
}

static int run_simple(struct remote *r)
{
    int code = ask(r);

    if (r->o->json)
        remote_print_json(r);
    if (code != 0 || r->o->json || r->o->quiet)
        return code;
    remote_print(stderr, remote_answer(r, "report"));
    remote_print_line(stdout, "", remote_answer(r, "message"));
    return code;
}

static cs_str without_time(const struct buf *text)
{
    cs_str s = buf_str(text);
    const char *time = s.n ? memmem(s.p, s.n, ", at most", 9) : NULL;

    return time ? (cs_str){s.p, (size_t)(time - s.p)} : s;
}

/* What it waits for, where that is something else than before; how long it may take yet need not come each second. */
static void say_waiting(struct remote *r)
{
    struct buf text = {0};

    if (stopping_ask(&r->client, STOP_LOOK_MS, &text)) {
        if (!str_eq(without_time(&text), without_time(&r->progress)) && !r->o->json && !r->o->quiet)
            printf("%.*s\n", (int)text.n, text.p);
        fflush(stdout);
        buf_clear(&r->progress);
        buf_add_str(&r->progress, buf_str(&text));
    }
    buf_free(&text);
}

static int64_t now_ms(void)
{
    return (int64_t)(clock_us_now() / 1000);
}

/* limit: -1 for ever. 0 or -ETIMEDOUT */
static int wait_gone(struct remote *r, int64_t limit)
{
    int64_t now = now_ms(), until = now + limit, step = STOP_LOOK_MS;
    int rc;

    do {
        if (limit >= 0 && until - now < step)
            step = until - now;
        rc = client_wait_gone(&r->client, step < 0 ? 0 : step);
        if (rc < 0)
            say_waiting(r);
        now = now_ms();
    } while (rc < 0 && (limit < 0 || now < until));
    return rc;
}

static int say_still_stopping(const struct remote *r, int64_t limit)
{
    return say(r, CLI_LATE,
               "the server (pid %d) has not stopped within %lld ms%s%.*s; it goes on stopping",
               r->client.pid, (long long)limit, r->progress.n ? ": it is " : "", (int)r->progress.n,
               r->progress.n ? r->progress.p : "");
}

static int run_stop(struct remote *r)
{
    int code = ask(r);
    int64_t limit = remote_number(remote_answer(r, "limit_ms"), -1);

    if (code != 0) {
        if (r->o->json)
            remote_print_json(r);
        return code;
    }
    limit = remote_limit(r->o, limit < 0 ? -1 : limit + STOP_EXTRA_MS);
    if (wait_gone(r, limit) < 0)
        return say_still_stopping(r, limit);
    if (r->o->json)
        remote_print_json(r);
    else if (!r->o->quiet)
        printf("the server (pid %d) has stopped\n", r->client.pid);
    return CLI_DONE;
}

/* ---- Status ---- */

static int run_status(struct remote *r)
{
    int code = ask(r);

    if (r->o->json)
        remote_print_json(r);
    else if (code == 0)
        status_print(r);
    return code;
}

/* ---- Finding it ---- */

/* The settings only tell where the control socket is; what else is wrong with them does not matter.
 */
static void find_server(struct remote *r, const struct settings_source *src)
{
    struct report ignored;
    char *prefix = src->prefix ? strdup(src->prefix) : conf_prefix_of(src->path);
    struct conf_read_opts opts = {
        .prefix = prefix, .overrides = src->overrides, .noverrides = src->noverrides};
    struct conf_text *text;

    report_init(&ignored);
    text = conf_read(src->path, &opts, &ignored);
    r->path = settings_server_path(text, prefix, "control");
    if (!r->path)
        r->path = settings_server_path(NULL, prefix, "control");
    r->pid_file = settings_server_path(text, prefix, "pid_file");
    if (text)
        conf_text_free(text);
    report_free(&ignored);
    free(prefix);
}

static int dispatch(struct remote *r)
{
    const char *command = r->o->command;

    if (strcmp(command, "status") == 0)
        return run_status(r);
    if (!r->o->no_wait && (strcmp(command, "stop") == 0 || strcmp(command, "quit") == 0))
        return run_stop(r);
    return run_simple(r);
}

int remote_open(struct remote *r, const struct options *o, const struct settings_source *src,
                const char *what)
{
    int rc;

    *r = (struct remote){.o = o, .what = what};
    rc = o->dev ? cli_dev_find(o, &r->path) : 0;
    if (!o->dev)
        find_server(r, src);
    if (rc == 0)
        rc = client_open(&r->client, r->path);
    else
        r->client = (struct client){.fd = -1, .pidfd = -1};
    return rc < 0 ? say_connect(r, rc) : CLI_DONE;
}

void remote_close(struct remote *r)
{
    client_close(&r->client);
    buf_free(&r->answer);
    buf_free(&r->progress);
    free(r->path);
    free(r->pid_file);
}

int cli_command(const struct options *o, const struct settings_source *src)
{
    struct remote r;
    int code = remote_open(&r, o, src, o->command);

    if (code == CLI_DONE)
        code = dispatch(&r);
    remote_close(&r);
    return code;
}
