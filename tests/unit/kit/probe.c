/* probe.c - a module that does one thing for each path, so that the tests of the kit can see it happen. */
#include <cserver/cserver.h>

#include <stdio.h>
#include <stdlib.h>

struct conf {
    cs_str greeting;
    _Bool refuse_start;
    int64_t tick;
};

struct state {
    int64_t sum;
    char note[64];
};

static const struct conf *conf;
static cs_counter *closed, *ticks;
static cs_zone *zone;
static cs_topic *note, *latest, *quiet;
static cs_group *group;
static int seen; /* by this process */

static int number(cs_req *r, const char *name, int otherwise)
{
    cs_str q = cs_info(r)->query;
    size_t n = strlen(name);
    for (size_t i = 0; i + n < q.n; i++)
        if ((i == 0 || q.p[i - 1] == '&') && !memcmp(q.p + i, name, n) && q.p[i + n] == '=')
            return atoi(q.p + i + n + 1);
    return otherwise;
}

static _Bool is(cs_req *r, const char *path)
{
    cs_str p = cs_info(r)->path;
    return p.n == strlen(path) && !memcmp(p.p, path, p.n);
}

static int greet(cs_req *r)
{
    const struct conf *c = cs_conf(r);
    cs_set_header(r, "X-Client", cs_info(r)->client);
    return cs_textf(r, 200, "%.*s\n", CS_F(c->greeting));
}

static int echo(cs_req *r)
{
    return cs_textf(r, 200, "%.*s|%.*s|%.*s", CS_F(cs_info(r)->method),
                    CS_F(cs_header(r, "X-Word")), CS_F(cs_body(r)));
}

static int who(cs_req *r)
{
    const cs_self_info *s = cs_self();
    return cs_textf(r, 200, "%d of %d, life %u, seen %d\n", s->slot, s->workers, s->incarnation,
                    ++seen);
}

/* ---- Later ---- */

static void on_time(cs_req *r, void *arg)
{
    (void)arg;
    cs_textf(r, 200, "at %lld\n", (long long)cs_now_ms());
}

static int later(cs_req *r)
{
    int rc = cs_req_after(r, number(r, "ms", 100), on_time, NULL);
    return rc == CS_OK ? CS_PENDING : rc;
}

static void on_closed(void *arg)
{
    (void)arg;
    cs_counter_add(closed, 1);
}

static int never(cs_req *r)
{
    int rc = cs_on_close(r, on_closed, NULL);
    return rc == CS_OK ? CS_PENDING : rc;
}

/* ---- Pieces ---- */

struct pieces {
    int left, waits;
};

static void send_pieces(cs_req *r, void *arg)
{
    static const char text[1000];
    struct pieces *p = arg;
    int rc = CS_OK;
    while (rc == CS_OK && p->left-- > 0)
        rc = cs_send(r, (cs_str){text, sizeof text}, p->left == 0);
    if (rc != CS_AGAIN || !p->left)
        return;
    p->waits++;
    cs_log(CS_DEBUG, "waits %d", p->waits);
    cs_on_drain(r, send_pieces, p);
}

static int in_pieces(cs_req *r)
{
    struct pieces *p = cs_alloc(r, sizeof *p);
    if (!p)
        return CS_NOMEM;
    p->left = number(r, "n", 10);
    int rc = cs_start(r, 200, "text/plain", -1);
    if (rc != CS_OK)
        return rc;
    cs_on_close(r, on_closed, NULL);
    send_pieces(r, p);
    return CS_PENDING;
}

static int large(cs_req *r)
{
    size_t n = (size_t)number(r, "n", 1000);
    char *p = cs_alloc(r, n);
    if (!p)
        return CS_NOMEM;
    memset(p, 'x', n);
    cs_on_close(r, on_closed, NULL);
    return cs_reply(r, 200, "text/plain", (cs_str){p, n});
}

/* ---- Work ---- */

static void work(void *arg)
{
    *(int *)arg *= 2;
}

static void on_done(cs_req *r, void *arg)
{
    cs_textf(r, 200, "%d\n", *(int *)arg);
}

static int offload(cs_req *r)
{
    int *n = cs_alloc(r, sizeof *n);
    if (!n)
        return CS_NOMEM;
    *n = number(r, "n", 21);
    int rc = cs_offload(r, work, on_done, n);
    return rc == CS_OK ? CS_PENDING : rc;
}

static int locked(cs_req *r)
{
    struct state *s = cs_zone_of(zone);
    if (cs_zone_lock(zone) != CS_OK)
        return CS_ERROR;
    s->sum += number(r, "n", 1);
    long long sum = (long long)s->sum;
    cs_zone_unlock(zone);
    return cs_textf(r, 200, "%lld\n", sum);
}

/* ---- Messages ---- */

static int publish(cs_req *r)
{
    int rc = cs_publish(note, number(r, "to", CS_TO_ALL), "hello", 5);
    return cs_textf(r, 200, "%d\n", rc);
}

static void answer_with(cs_token *token, const char *what, int result)
{
    cs_req *r = cs_from_token(*token);
    if (r)
        cs_textf(r, 200, "%s %d\n", what, result);
    free(token);
}

static void on_applied(int result, void *arg)
{
    answer_with(arg, "applied", result);
}

static void on_answer(int result, const cs_msg *m, void *arg)
{
    char text[64];
    snprintf(text, sizeof text, "answer \"%.*s\"", m ? (int)m->len : 0,
             m ? (const char *)m->data : "");
    answer_with(arg, text, result);
}

static int ask(cs_req *r, _Bool applied)
{
    cs_token *token = malloc(sizeof *token);
    if (!token)
        return CS_NOMEM;
    *token = cs_token_of(r);
    int to = number(r, "to", applied ? CS_TO_OTHERS : 2), ms = number(r, "ms", 1000);
    int rc = applied ? cs_publish_applied(note, to, "x", 1, ms, on_applied, token)
                     : cs_call(note, to, "how?", 4, ms, on_answer, token);
    if (rc == CS_OK)
        return CS_PENDING;
    free(token);
    return cs_textf(r, 200, "refused %d\n", rc);
}

static void on_note(const cs_msg *m)
{
    struct state *s = cs_zone_of(zone);
    snprintf(s->note, sizeof s->note, "%.*s", (int)m->len, (const char *)m->data);
    cs_log(CS_INFO, "note from %d: %s, %llu, hops %u", m->from_slot, s->note,
           (unsigned long long)m->number, m->hops);
    if (m->call && strcmp(s->note, "silence") != 0)
        cs_answer(m, "fine", 4);
}

static void on_latest(const cs_msg *m)
{
    cs_log(CS_INFO, "latest: %.*s%s", (int)m->len, (const char *)m->data,
           m->retained ? ", retained" : "");
}

static void on_join(int slot, uint32_t incarnation)
{
    cs_log(CS_INFO, "%d has come, life %u", slot, incarnation);
}

static void on_leave(int slot, uint32_t incarnation, int signal)
{
    cs_log(CS_INFO, "%d has gone, life %u, signal %d", slot, incarnation, signal);
}

/* ---- Streams ---- */

static void on_stream_closed(cs_stream *s, void *arg)
{
    (void)s, (void)arg;
    cs_counter_add(closed, 1);
}

static int subscribe(cs_req *r)
{
    cs_set_header(r, "Content-Type", "text/event-stream");
    cs_stream *s = cs_detach(r, 200);
    if (!s)
        return CS_NOMEM;
    cs_stream_on_close(s, on_stream_closed, NULL);
    cs_stream_send(s, ": hi\n\n");
    return cs_group_join(group, s);
}

static int tell(cs_req *r)
{
    int rc = cs_group_sendf(group, "data: %zu\n\n", cs_group_size(group));
    return cs_textf(r, 200, "%d\n", rc);
}

static int on_save(cs_stream *s, void *to, size_t room)
{
    (void)s;
    return snprintf(to, room, "saved");
}

static int on_adopt(cs_stream *s, cs_str saved)
{
    cs_stream_on_close(s, on_stream_closed, NULL);
    if (cs_group_join(group, s) != CS_OK)
        return CS_ERROR;
    cs_log(CS_INFO, "adopted: %.*s", CS_F(saved));
    return cs_stream_send(s, "data: moved\n\n") == CS_CLOSED ? CS_ERROR : CS_OK;
}

/* ---- ---- */

/* ---- Mistakes ---- */

static cs_req *old;

static int keep(cs_req *r)
{
    old = r;
    return cs_text(r, 200, "kept");
}

static int use_kept(cs_req *r)
{
    cs_text(old, 200, "late");
    return cs_text(r, 200, "used");
}

static void call_from_thread(void *arg)
{
    (void)arg;
    cs_counter_add(closed, 1);
}

static int call_elsewhere(cs_req *r)
{
    cs_offload(r, call_from_thread, on_done, NULL);
    return CS_PENDING;
}

static int crash(cs_req *r)
{
    (void)r;
    abort();
}

static int file(cs_req *r)
{
    int fd = cs_root_open(r, cs_info(r)->path);
    if (fd < 0)
        return cs_textf(r, 404, "%d\n", fd);
    return cs_reply_file(r, 200, "text/plain", fd, 0, 5, NULL, NULL);
}

static int format(cs_req *r)
{
    cs_str text = cs_format(r, "%s and %d", "text", 7);
    return text.p ? cs_text(r, 200, text) : CS_NOMEM;
}

static int on_request(cs_req *r)
{
    static const struct {
        const char *path;
        int (*handler)(cs_req *r);
    } paths[] = {{"/", greet},
                 {"/echo", echo},
                 {"/who", who},
                 {"/later", later},
                 {"/never", never},
                 {"/pieces", in_pieces},
                 {"/large", large},
                 {"/work", offload},
                 {"/lock", locked},
                 {"/publish", publish},
                 {"/subscribe", subscribe},
                 {"/tell", tell},
                 {"/file.txt", file},
                 {"/format", format},
                 {"/keep", keep},
                 {"/use-kept", use_kept},
                 {"/elsewhere", call_elsewhere},
                 {"/crash", crash}};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        if (is(r, paths[i].path))
            return paths[i].handler(r);
    if (is(r, "/applied") || is(r, "/ask"))
        return ask(r, is(r, "/applied"));
    return CS_DECLINED;
}

static void on_tick(void *arg)
{
    (void)arg;
    cs_counter_add(ticks, 1);
}

static int start(cs_proc *p, const char *what)
{
    conf = cs_module_conf(p);
    if (conf->refuse_start)
        return CS_ERROR;
    cs_log(CS_INFO, "%s starts as %d", what, cs_self()->slot);
    group = cs_group_new(p, .max_streams = 2);
    return group && cs_every(p, conf->tick, on_tick, NULL) ? CS_OK : CS_NOMEM;
}

static int worker_start(cs_proc *p)
{
    return start(p, "a worker");
}

static int primary_start(cs_proc *p)
{
    return start(p, "the primary");
}

static void worker_stop(cs_proc *p)
{
    (void)p;
    cs_log(CS_INFO, "the worker stops");
}

static void primary_stop(cs_proc *p)
{
    (void)p;
    cs_log(CS_INFO, "the primary stops");
}

static int on_config(cs_conf *c, const void *settings)
{
    const struct conf *own = settings;
    if (own->greeting.n == 3 && !memcmp(own->greeting.p, "bad", 3))
        return cs_conf_error(c, "greeting", "nobody wants to hear that");
    return CS_OK;
}

static const cs_topic_def topics[] = {
    {.ref = &note, .name = "probe.note", .on_message = on_note, .max_len = 60},
    {.ref = &latest, .name = "probe.latest", .on_message = on_latest, .flags = CS_LATEST},
    {.ref = &quiet, .name = "probe.quiet"},
    {0},
};
static const cs_counter_def counters[] = {
    {&closed, "closed_total", "Requests and streams that are over."},
    {&ticks, "ticks_total", "Ticks of the timer."},
    {0},
};
static const cs_zone_def zones[] = {
    {.ref = &zone, .name = "state", .size = sizeof(struct state)},
    {0},
};
static const cs_directive directives[] = {
    CS_STRING(struct conf, greeting, "hello", 1, 100, CS_PER_ROUTE, "What to say."),
    CS_BOOL(struct conf, refuse_start, "off", 0, "The start hook fails."),
    CS_MSEC(struct conf, tick, "1s", 1, 3600000, 0, "How often it ticks."),
    CS_END,
};

CS_MODULE(.name = "probe", .version = "1.0", .help = "For the tests of the kit.",
          .directives = directives, .conf_size = sizeof(struct conf), .counters = counters,
          .zones = zones, .topics = topics, .on_config = on_config, .worker_start = worker_start,
          .worker_stop = worker_stop, .primary_start = primary_start, .primary_stop = primary_stop,
          .on_join = on_join, .on_leave = on_leave, .handler = on_request, .on_save = on_save,
          .on_adopt = on_adopt);
