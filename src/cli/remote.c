/* remote.c - -s: finds the running server by its control socket, tells it, waits for what comes of
 * it, and says so in plain words. */
#include "cli/remote.h"

#include "base/check.h"
#include "base/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RELOAD_MS     60000
#define STOP_EXTRA_MS 5000

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

void remote_print_json(const struct remote *r)
{
    printf("%.*s\n", (int)r->answer.n, r->answer.p);
}

/* ---- What went wrong ---- */

static int say_not_running(const struct remote *r)
{
    bool status = strcmp(r->what, "status") == 0;

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

int remote_say_lost(const struct remote *r, int error, int64_t limit_ms)
{
    if (error == -ETIMEDOUT) {
        fprintf(stderr,
                "cserver: no answer to %s within %lld s; whether it will still happen is not "
                "known (pid %d)\n",
                r->what, (long long)(limit_ms / 1000), r->client.pid);
        return CLI_LATE;
    }
    fprintf(stderr, "cserver: the server (pid %d) went away without an answer to %s\n",
            r->client.pid, r->what);
    return CLI_FAILED;
}

/* ---- Asking ---- */

static void on_progress(void *arg, cs_str text)
{
    const struct remote *r = arg;

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

    if (rc < 0)
        return remote_say_lost(r, rc, limit_ms);
    code = (int)remote_number(remote_answer(r, "code"), CLI_FAILED);
    if (code != 0 && !r->o->json)
        say_refusal(r, code);
    return code;
}

static int run_simple(struct remote *r)
{
    int code = remote_ask(
        r, r->o->command,
        remote_limit(r->o, strcmp(r->o->command, "reload") == 0 ? RELOAD_MS : REMOTE_LIMIT_MS));

    if (r->o->json && r->answer.n)
        remote_print_json(r);
    if (code != 0 || r->o->json || r->o->quiet)
        return code;
    remote_print(stderr, remote_answer(r, "report"));
    remote_print_line(stdout, "", remote_answer(r, "message"));
    return code;
}

static int run_stop(struct remote *r)
{
    int code = remote_ask(r, r->o->command, remote_limit(r->o, REMOTE_LIMIT_MS));
    int64_t limit = remote_number(remote_answer(r, "limit_ms"), -1);

    if (code != 0)
        return code;
    limit = remote_limit(r->o, limit < 0 ? -1 : limit + STOP_EXTRA_MS);
    if (client_wait_gone(&r->client, limit) < 0)
        return remote_say_lost(r, -ETIMEDOUT, limit);
    if (r->o->json)
        remote_print_json(r);
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
        remote_print(stdout, element);
    }
    fputc('\n', stdout);
}

static void print_workers(cs_str list)
{
    cs_str w;

    printf("  %-8s %-8s %-10s %-10s %11s %12s\n", "worker", "pid", "state", "generation",
           "connections", "requests");
    while (client_next(&list, &w))
        printf("  %-8.*s %-8.*s %-10.*s %-10.*s %11.*s %12.*s\n", CS_F(remote_field(w, "number")),
               CS_F(remote_field(w, "pid")), CS_F(remote_field(w, "state")),
               CS_F(remote_field(w, "generation")), CS_F(remote_field(w, "connections")),
               CS_F(remote_field(w, "requests")));
}

static void print_primary(cs_str p)
{
    if (p.n == 0 || str_is(p, "null"))
        return;
    if (str_is(remote_field(p, "pid"), "0"))
        printf("primary: %.*s", CS_F(remote_field(p, "state")));
    else
        printf("primary: pid %.*s, %.*s", CS_F(remote_field(p, "pid")),
               CS_F(remote_field(p, "state")));
    if (remote_number(remote_field(p, "starts"), 0) > 1)
        printf(", started %.*s times", CS_F(remote_field(p, "starts")));
    putchar('\n');
}

/* Those that are well are not worth a line. */
static void print_modules(cs_str list)
{
    cs_str m;

    while (client_next(&list, &m)) {
        bool out = str_is(remote_field(m, "quarantined"), "true");

        if (!out && str_is(remote_field(m, "crashes"), "0"))
            continue;
        printf("module ");
        remote_print(stdout, remote_field(m, "name"));
        putchar(' ');
        remote_print(stdout, remote_field(m, "version"));
        printf(": crashes: %.*s%s\n", CS_F(remote_field(m, "crashes")),
               out ? ", in quarantine until a reload succeeds" : "");
    }
}

static void print_reload(const struct remote *r)
{
    cs_str last = remote_answer(r, "last_reload");
    time_t at = (time_t)remote_number(remote_field(last, "at"), 0);
    char when[64] = "";

    if (last.n == 0)
        return;
    strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", localtime(&at));
    printf("last reload: %s, %s: ", when,
           str_is(remote_field(last, "ok"), "true") ? "good" : "failed");
    remote_print_line(stdout, "", remote_field(last, "message"));
}

static void print_status(const struct remote *r)
{
    printf("cserver is %.*s, pid %.*s, up ", CS_F(remote_answer(r, "state")),
           CS_F(remote_answer(r, "pid")));
    print_time(remote_number(remote_answer(r, "uptime_s"), 0));
    remote_print_line(stdout, "settings: ", remote_answer(r, "settings"));
    print_list("listening on:", remote_answer(r, "listeners"));
    printf("generation %.*s: %.*s of %.*s workers ready, %.*s draining\n",
           CS_F(remote_answer(r, "generation")), CS_F(remote_answer(r, "ready")),
           CS_F(remote_answer(r, "wanted")), CS_F(remote_answer(r, "draining")));
    print_workers(remote_answer(r, "workers"));
    print_primary(remote_answer(r, "primary"));
    print_modules(remote_answer(r, "modules"));
    printf("connections: %.*s now, requests: %.*s in all, crashes: %.*s\n",
           CS_F(remote_answer(r, "connections")), CS_F(remote_answer(r, "requests")),
           CS_F(remote_answer(r, "crashes")));
    print_reload(r);
}

static int run_status(struct remote *r)
{
    int code = remote_ask(r, r->o->command, remote_limit(r->o, REMOTE_LIMIT_MS));

    if (r->o->json && r->answer.n)
        remote_print_json(r);
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

int remote_open(struct remote *r, const struct options *o, const struct settings_source *src,
                const char *what)
{
    int rc;

    *r = (struct remote){.o = o, .what = what, .path = find_control(src)};
    rc = client_open(&r->client, r->path);
    return rc < 0 ? say_connect(r, rc) : CLI_DONE;
}

void remote_close(struct remote *r)
{
    client_close(&r->client);
    buf_free(&r->answer);
    free(r->path);
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
