/* What no module may do: /wrong?CASE does it. With [server] module_debug the worker says what was wrong, and ends. */
#include <cserver/cserver.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

static cs_req *old;
static const char *old_memory;
static cs_proc *self;
static _Atomic int sum;

/* One that has ended long ago, or just now: `keep` comes first. */
static int keep(cs_req *r)
{
    old = r;
    char *p = cs_alloc(r, 100);
    strcpy(p, "kept");
    old_memory = p;
    return cs_text(r, 200, "kept\n");
}

static int use_info(cs_req *r)
{
    return cs_textf(r, 200, "%zu\n", cs_info(old)->path.n);
}

static int use_reply(cs_req *r)
{
    cs_text(old, 200, "too late");
    return cs_text(r, 200, "still here\n");
}

static int use_format(cs_req *r)
{
    return cs_text(r, 200, cs_format(old, "%d", 1));
}

static int use_memory(cs_req *r)
{
    for (int i = 0; i < 100; i++)
        sum += old_memory[i];
    return cs_textf(r, 200, "%d\n", (int)sum);
}

static int use_null(cs_req *r)
{
    (void)r;
    return cs_text(NULL, 200, "nobody");
}

/* Its own request is over when on_close comes. */
static void on_close(void *r)
{
    cs_header(r, "host");
}

static int use_in_on_close(cs_req *r)
{
    cs_on_close(r, on_close, r);
    return cs_text(r, 200, "closing\n");
}

/* ---- Threads ---- */

static void reply_on_thread(void *arg)
{
    cs_text(*(cs_req **)arg, 200, "from a thread");
}

static void time_on_thread(void *arg)
{
    (void)arg;
    sum += (int)cs_now_ms();
}

static void log_on_thread(void *arg)
{
    (void)arg;
    cs_log(CS_INFO, "this is allowed");
}

static void done(cs_req *r, void *arg)
{
    (void)arg;
    cs_text(r, 200, "done\n");
}

static int offload(cs_req *r, void (*work)(void *arg))
{
    cs_req **box = cs_alloc(r, sizeof *box);
    *box = r;
    return cs_offload(r, work, done, box) == CS_OK ? CS_PENDING : 500;
}

static int thread_reply(cs_req *r)
{
    return offload(r, reply_on_thread);
}

static int thread_time(cs_req *r)
{
    return offload(r, time_on_thread);
}

static int thread_log(cs_req *r)
{
    return offload(r, log_on_thread);
}

static void *own_main(void *arg)
{
    cs_every(self, 1000, NULL, arg);
    return NULL;
}

/* A thread that the server knows nothing of. */
static int thread_own(cs_req *r)
{
    pthread_t t;
    if (pthread_create(&t, NULL, own_main, NULL))
        return 500;
    pthread_join(t, NULL);
    return cs_text(r, 200, "done\n");
}

/* ---- What is allowed ---- */

static void later(cs_req *r, void *arg)
{
    cs_req *q = cs_from_token(*(cs_token *)arg);
    cs_textf(r, 200, "%s %s\n", q == r ? "same" : "other",
             cs_from_token(*(cs_token *)arg + 1) ? "ghost" : "nobody");
}

static int fine(cs_req *r)
{
    cs_token *t = cs_alloc(r, sizeof *t);
    *t = cs_token_of(r);
    if (cs_format(r, "%s-%d", "a", 5).n != 3 || !cs_header(r, "host").p)
        return 500;
    cs_set_header(r, "X-Text", cs_format(r, "%05d%%", 42));
    cs_req_after(r, 1, later, t);
    return CS_PENDING;
}

static int failing(cs_req *r)
{
    return cs_fail(r, 503, "%d of %s", 3, "100%");
}

static void nothing(void *arg)
{
    (void)arg;
}

static int pid(cs_req *r)
{
    return cs_textf(r, 200, "%d", (int)getpid());
}

static int large(cs_req *r)
{
    char *p = cs_alloc(r, 100000);
    memset(p, 'x', 99999);
    return cs_reply_ref(r, 200, "text/plain", (cs_str){p, 99999}, nothing, NULL);
}

static const struct {
    const char *name;
    int (*run)(cs_req *r);
} cases[] = {
    {"keep", keep},
    {"info", use_info},
    {"reply", use_reply},
    {"format", use_format},
    {"memory", use_memory},
    {"null", use_null},
    {"on_close", use_in_on_close},
    {"thread_reply", thread_reply},
    {"thread_time", thread_time},
    {"thread_log", thread_log},
    {"thread_own", thread_own},
    {"fine", fine},
    {"failing", failing},
    {"large", large},
    {"pid", pid},
};

static int handler(cs_req *r)
{
    cs_str q = cs_info(r)->query;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (q.n == strlen(cases[i].name) && !memcmp(q.p, cases[i].name, q.n))
            return cases[i].run(r);
    return 404;
}

static int worker_start(cs_proc *p)
{
    self = p;
    return CS_OK;
}

CS_MODULE(.name = "wrong", .version = "1", .help = "does what no module may do", .handler = handler,
          .worker_start = worker_start);
