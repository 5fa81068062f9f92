/* sqlite.c - notes as JSON, kept in SQLite: a database that blocks, asked on a thread while the worker serves others.
 *
 *   GET /notes   GET /notes?before=ID   POST /notes   GET /notes/ID   DELETE /notes/ID */
#include "notes.h"

#include <cserver/cserver.h>

#include <stdlib.h>

struct conf {
    cs_str database, path;
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
    uint64_t n;
    return cs_u64(s, &n) == CS_OK && n <= INT64_MAX ? (int64_t)n : 0;
}

/* The note's number; 0 where all of them are meant, -1 where nothing is. */
static int64_t note_of(cs_str path, cs_str all)
{
    all.n -= cs_ends(all, "/") ? 1 : 0;
    if (!cs_starts(path, all))
        return -1;
    cs_str rest = {path.p + all.n, path.n - all.n};
    if (!rest.n || cs_eq(rest, "/"))
        return 0;
    int64_t id = rest.p[0] == '/' ? number((cs_str){rest.p + 1, rest.n - 1}) : 0;
    return id ? id : -1;
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

static int no_such_note(cs_req *r)
{
    return cs_reply(r, 404, "application/json", "{\"error\":\"no such note\"}");
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
        no_such_note(r);
    else
        cs_reply(r, j->status, j->json ? "application/json" : NULL, j->json ? j->json : "");
}

static int read_job(cs_req *r, struct notes_job *j)
{
    cs_str before = cs_query(r, "before");
    j->action = j->id ? NOTES_GET : NOTES_LIST;
    if (!j->id)
        j->id = before.p ? number(before) : INT64_MAX;
    return j->id ? CS_OK : 400;
}

static int add_job(cs_req *r, struct notes_job *j)
{
    cs_str body = cs_body(r), text = cs_escape(r, CS_ESCAPE_JSON, body);
    *j = (struct notes_job){.action = NOTES_ADD, .text = text.p, .len = text.n};
    if (!text.p)
        return CS_NOMEM;
    return body.n && !memchr(body.p, 0, body.n) ? CS_OK : 400;
}

/* CS_OK; else what the handler answers. */
static int make_job(cs_req *r, struct notes_job *j)
{
    if (cs_is(r, "GET") || cs_is(r, "HEAD"))
        return read_job(r, j);
    if (cs_is(r, "POST") && !j->id)
        return add_job(r, j);
    j->action = NOTES_DELETE;
    if (cs_is(r, "DELETE") && j->id)
        return CS_OK;
    cs_set_header(r, "Allow", j->id ? "GET, HEAD, DELETE" : "GET, HEAD, POST");
    return 405;
}

static int handler(cs_req *r)
{
    const struct conf *c = cs_conf(r);
    const int64_t id = note_of(cs_info(r)->path, c->path);
    if (id < 0)
        return no_such_note(r);
    struct notes_job *j = cs_alloc(r, sizeof *j);
    if (!j)
        return CS_NOMEM;
    *j = (struct notes_job){.id = id};
    int rc = make_job(r, j);
    if (rc == CS_OK)
        rc = cs_on_close(r, on_close, j);
    if (rc == CS_OK)
        rc = cs_offload(r, notes_do, on_done, j);
    return rc == CS_OK ? CS_PENDING : rc;
}

static const cs_directive directives[] = {
    CS_PATH(struct conf, database, NULL, CS_REQUIRED,
            "Its file. The workers' user must be able to write it, and its folder."),
    CS_STRING(struct conf, path, "/notes", 1, 1000, CS_PER_ROUTE,
              "Where the notes are: what the route has to match."),
    CS_END,
};

CS_MODULE(.name = "sqlite", .version = "1.0", .help = "Keeps notes in SQLite.",
          .directives = directives, .conf_size = sizeof(struct conf), .worker_start = worker_start,
          .handler = handler);
