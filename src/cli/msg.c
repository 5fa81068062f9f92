/* msg.c - msg send, tail and topics: the mailbox from the command line. What the requests are is told in proc/msg.h. */
#include "base/base64.h"
#include "base/json.h"
#include "base/show.h"
#include "cli/remote.h"
#include "ipc/layout.h"
#include "proc/msgtext.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define APPLIED_MS 5000
#define EXTRA_MS   5000 /* the server keeps the time itself; this is for its answer */

/* ---- topics ---- */

static void print_topics(cs_str list)
{
    static const char *const columns[] = {"published", "bytes", "delivered", "lost"};
    cs_str t;

    printf("%-32s %-16s %8s %-6s", "name", "owner", "max size", "latest");
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
        printf(" %12s", columns[i]);
    putchar('\n');
    while (client_next(&list, &t)) {
        printf("%-32.*s %-16.*s %8.*s %-6s", CS_F(remote_field(t, "name")),
               CS_F(remote_field(t, "owner")), CS_F(remote_field(t, "max_len")),
               str_is(remote_field(t, "latest"), "true") ? "yes" : "no");
        for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
            printf(" %12.*s", CS_F(remote_field(t, columns[i])));
        putchar('\n');
    }
}

static int run_topics(struct remote *r)
{
    int code = remote_ask(r, "topics", remote_limit(r->o, REMOTE_LIMIT_MS));

    if (r->o->json)
        remote_print_json(r);
    else if (code == CLI_DONE)
        print_topics(remote_answer(r, "topics"));
    return code;
}

/* ---- send ---- */

/* One byte more than a message may have is enough to know that it is too long. */
static int read_input(struct buf *data)
{
    while (data->n <= IPC_MAIL_MAX) {
        char *to = buf_reserve(data, IPC_MAIL_MAX + 1);
        ssize_t n = read(STDIN_FILENO, to, IPC_MAIL_MAX + 1 - data->n);

        if (n == 0)
            return CLI_DONE;
        if (n > 0) {
            buf_added(data, (size_t)n);
        } else if (errno != EINTR) {
            fprintf(stderr, "cserver: cannot read standard input: %s\n", strerror(errno));
            return CLI_FAILED;
        }
    }
    return CLI_DONE;
}

static int take_data(const struct options *o, struct buf *data)
{
    int code = CLI_DONE;

    if (strcmp(o->data, "-") == 0)
        code = read_input(data);
    else
        buf_add_z(data, o->data);
    if (code == CLI_DONE && data->n > IPC_MAIL_MAX) {
        fprintf(stderr,
                "cserver: no topic takes more than %d bytes: put them in a file, and send its "
                "name\n",
                IPC_MAIL_MAX);
        code = CLI_FAILED;
    }
    return code;
}

static bool is_applied(const struct options *o)
{
    return o->wait != NULL; /* there is nothing else */
}

/* Base64 has a known length, so that every message fits into a request. */
static void write_send(const struct options *o, cs_str data, struct buf *out)
{
    struct buf text = {0};
    struct json j;

    base64_add(&text, data);
    buf_add_z(out, "send ");
    json_init(&j, out);
    json_object(&j, NULL);
    msgtext_put_data(&j, "topic", str_of(o->topic));
    json_z(&j, "to", o->to ? o->to : "all");
    if (is_applied(o)) {
        json_z(&j, "wait", "applied");
        json_int(&j, "timeout_ms", o->timeout_ms < 0 ? APPLIED_MS : o->timeout_ms);
    }
    json_object(&j, "data");
    json_str(&j, "base64", buf_str(&text));
    json_end_object(&j);
    json_end_object(&j);
    buf_free(&text);
}

static int64_t patience(const struct options *o)
{
    int64_t limit = remote_limit(o, is_applied(o) ? APPLIED_MS : REMOTE_LIMIT_MS);

    return is_applied(o) && limit >= 0 ? limit + EXTRA_MS : limit;
}

static int run_send(struct remote *r, cs_str data)
{
    struct buf request = {0};
    int code;

    write_send(r->o, data, &request);
    code = remote_ask(r, request.p, patience(r->o));
    buf_free(&request);
    if (r->o->json)
        remote_print_json(r);
    else if (code == CLI_DONE && !r->o->quiet)
        remote_print_line(stdout, "", remote_answer(r, "message"));
    return code;
}

/* ---- tail ---- */

static void print_message(cs_str line)
{
    struct buf data = {0}, text = {0};

    msgtext_take_data(line, "data", &data);
    show_bytes(&text, buf_str(&data));
    printf("%-11.*s %8.*s %3.*s  %.*s\n", CS_F(remote_field(line, "from")),
           CS_F(remote_field(line, "number")), CS_F(remote_field(line, "hops")), (int)text.n,
           text.n ? text.p : "");
    buf_free(&data);
    buf_free(&text);
}

static void print_tail(const struct remote *r)
{
    cs_str missed = remote_answer(r, "missed");

    if (r->o->json)
        printf("%.*s\n", (int)r->answer.n, r->answer.p);
    else if (missed.n)
        printf("(%.*s messages were missed: this tail was too slow)\n", CS_F(missed));
    else
        print_message(buf_str(&r->answer));
    if (!client_has_line(&r->client))
        fflush(stdout);
}

/* -1: go on. The answer is the end. */
static int take_line(struct remote *r)
{
    int code;

    if (remote_answer(r, "ok").n == 0) {
        print_tail(r);
        if (!ferror(stdout))
            return -1;
        fprintf(stderr, "cserver: cannot write: %s\n", strerror(errno));
        return CLI_FAILED;
    }
    code = (int)remote_number(remote_answer(r, "code"), CLI_FAILED);
    fflush(stdout);
    if (r->o->json && code != CLI_DONE)
        printf("%.*s\n", (int)r->answer.n, r->answer.p);
    else if (code != CLI_DONE || !r->o->quiet)
        remote_print_line(stderr, "cserver: ", remote_answer(r, "message"));
    return code;
}

static int follow(struct remote *r)
{
    int code = -1;

    while (code < 0) {
        int rc = client_line(&r->client, -1, &r->answer);

        if (rc < 0) {
            fflush(stdout);
            fprintf(stderr, "cserver: the server (pid %d) has gone\n", r->client.pid);
            return CLI_FAILED;
        }
        code = take_line(r);
    }
    return code;
}

static int run_tail(struct remote *r)
{
    struct buf request = {0};
    struct json j;
    int rc;

    buf_add_z(&request, "tail ");
    json_init(&j, &request);
    json_object(&j, NULL);
    msgtext_put_data(&j, "topic", str_of(r->o->topic));
    json_end_object(&j);
    client_send(&r->client, request.p, REMOTE_LIMIT_MS);
    buf_free(&request);
    rc = client_line(&r->client, REMOTE_LIMIT_MS, &r->answer);
    if (rc < 0)
        return remote_say_lost(r, rc, REMOTE_LIMIT_MS);
    if (remote_answer(r, "tail").n == 0)
        return take_line(r);
    if (!r->o->quiet)
        fprintf(stderr, "watching %s\n", r->o->topic);
    return follow(r);
}

/* ---- The whole ---- */

static int run(struct remote *r, cs_str data)
{
    if (strcmp(r->o->verb, "send") == 0)
        return run_send(r, data);
    return strcmp(r->o->verb, "tail") == 0 ? run_tail(r) : run_topics(r);
}

/* DATA is read first: the server waits for nobody's standard input. */
int cli_msg(const struct options *o, const struct settings_source *src)
{
    struct remote r;
    struct buf data = {0};
    char what[32];
    int code = o->data ? take_data(o, &data) : CLI_DONE;

    snprintf(what, sizeof what, "msg %s", o->verb);
    if (code == CLI_DONE) {
        code = remote_open(&r, o, src, what);
        if (code == CLI_DONE)
            code = run(&r, buf_str(&data));
        remote_close(&r);
    }
    buf_free(&data);
    return code;
}
