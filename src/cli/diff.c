/* diff.c - what a reload would change: the server compares, this prints it. */
#include "base/json.h"
#include "cli/remote.h"
#include "os/file.h"

#include <stdlib.h>
#include <unistd.h>

/* The server works in another folder. */
static char *absolute(const char *file)
{
    char *here = getcwd(NULL, 0), *joined = file_join(here ? here : ".", file);

    free(here);
    return joined;
}

static void write_request(const struct options *o, struct buf *out)
{
    char *file = o->file ? absolute(o->file) : NULL;
    struct json j;

    buf_add_z(out, "diff ");
    json_init(&j, out);
    json_object(&j, NULL);
    if (file)
        json_z(&j, "file", file);
    json_end_object(&j);
    free(file);
}

static void print_changes(const struct remote *r)
{
    cs_str list = remote_answer(r, "changes"), change;

    while (client_next(&list, &change)) {
        printf("%-12.*s ", CS_F(remote_field(change, "need")));
        remote_print_line(stdout, "", remote_field(change, "text"));
    }
    remote_print_line(stdout, "", remote_answer(r, "message"));
}

static int run(struct remote *r)
{
    struct buf request = {0};
    int code;

    write_request(r->o, &request);
    code = remote_ask(r, request.p, remote_limit(r->o, REMOTE_LIMIT_MS));
    buf_free(&request);
    if (r->o->json)
        remote_print_json(r);
    if (code == CLI_DONE && !r->o->json && !r->o->quiet) {
        remote_print(stderr, remote_answer(r, "report"));
        print_changes(r);
    }
    if (code == CLI_DONE && r->o->exit_code && str_is(remote_answer(r, "differs"), "true"))
        code = CLI_FAILED;
    return code;
}

int cli_diff(const struct options *o, const struct settings_source *src)
{
    struct remote r;
    int code = remote_open(&r, o, src, "diff");

    if (code == CLI_DONE)
        code = run(&r);
    remote_close(&r);
    return code;
}
