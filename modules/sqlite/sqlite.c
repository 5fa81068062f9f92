/* sqlite.c - notes as JSON, kept in SQLite: a database that blocks, asked on a thread while the worker serves others.
 *
 *   GET /notes   GET /notes?before=ID   POST /notes   GET /notes/ID   DELETE /notes/ID */
#include "notes.h"

#include <cserver/cserver.h>

#include <stdlib.h>

struct conf {
    cs_str database;
};

static int worker_start(cs_proc *p)
{
    const struct conf *c = cs_module_conf(p);
    const char *fault = notes_open(c->database.p);
    if (fault)
        cs_log(CS_ERR, "%s: %s", c->database.p, fault);
    return fault ? CS_ERROR : CS_OK;
}

/* 0: it is no number of a note. */
static int64_t number(cs_str s)
{
    int64_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9' || n > INT64_MAX / 10 - 1)
            return 0;
        n = n * 10 + (s.p[i] - '0');
    }
    return n;
}

static void on_close(void *arg)
{
    free(((struct notes_job *)arg)->json);
}

static void set_location(cs_req *r, int64_t id)
{
    cs_str path = cs_escape(r, CS_ESCAPE_PATH, cs_info(r)->path);
    const char *slash = path.n && path.p[path.n - 1] == '/' ? "" : "/";
    cs_set_header(r, "Location", cs_format(r, "%.*s%s%lld", CS_F(path), slash, (long long)id));
}

static void on_done(cs_req *r, void *arg)
{
    const struct notes_job *j = arg;
    if (j->status >= 500) {
        cs_fail(r, j->status, "%s", j->fault);
        return;
    }
    if (j->status == 201)
        set_location(r, j->new_id);
    if (j->status == 404)
        cs_reply(r, 404, "application/json", "{\"error\":\"no such note\"}");
    else
        cs_reply(r, j->status, j->json ? "application/json" : NULL, j->json ? j->json : "");
}

static int handler(cs_req *r)
{
    cs_str path = cs_info(r)->path, body = cs_body(r);
    const char *slash = memrchr(path.p, '/', path.n);
    struct notes_job *j = cs_alloc(r, sizeof *j);
    if (!j)
        return CS_NOMEM;
    int64_t id = number((cs_str){slash + 1, (size_t)(path.p + path.n - slash) - 1});
    *j = (struct notes_job){.id = id};
    if (cs_is(r, "GET") || cs_is(r, "HEAD")) {
        j->action = id ? NOTES_GET : NOTES_LIST;
        int64_t before = number(cs_query(r, "before"));
        j->id = id ? id : before ? before : INT64_MAX;
    } else if (cs_is(r, "POST") && !id) {
        cs_str text = cs_escape(r, CS_ESCAPE_JSON, body);
        *j = (struct notes_job){.action = NOTES_ADD, .text = text.p, .len = text.n};
        if (!text.p || !body.n || memchr(body.p, 0, body.n))
            return text.p ? 400 : CS_NOMEM;
    } else if (cs_is(r, "DELETE") && id) {
        j->action = NOTES_DELETE;
    } else {
        cs_set_header(r, "Allow", id ? "GET, HEAD, DELETE" : "GET, HEAD, POST");
        return 405;
    }
    int rc = cs_on_close(r, on_close, j);
    if (rc == CS_OK)
        rc = cs_offload(r, notes_do, on_done, j);
    return rc == CS_OK ? CS_PENDING : rc;
}

static const cs_directive directives[] = {
    CS_PATH(struct conf, database, NULL, CS_REQUIRED,
            "Its file. The workers' user must be able to write it, and its folder."),
    CS_END,
};

CS_MODULE(.name = "sqlite", .version = "1.0", .help = "Keeps notes in SQLite.",
          .directives = directives, .conf_size = sizeof(struct conf), .worker_start = worker_start,
          .handler = handler);
