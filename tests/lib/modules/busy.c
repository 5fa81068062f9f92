/* What modules can have done apart from the loop: /busy?CASE tries one thing, /busy/facts tells what has been seen.
 *
 * Work that has to stand still waits at a gate, a pipe: `open` lets one through. */
#include <cserver/cserver.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

static cs_proc *self;
static int gate[2];
static _Atomic int running, begun, returned;
static int asked_count, done_count, closed_count, started_jobs, watch_calls, hangups, late;
static char order[4096];
static cs_token last;
static size_t norder;
static pthread_t loop_thread;

struct task {
    cs_req *r;
    char text[64];
    _Atomic int result, busy;
    long n;
};

static void note(char c)
{
    if (norder < sizeof order - 1)
        order[norder++] = c;
}

static void at_gate(void)
{
    char c;
    running++;
    while (read(gate[0], &c, 1) < 0 && errno == EINTR)
        ;
    running--;
}

/* ---- Jobs of requests ---- */

static void work(void *arg)
{
    struct task *t = arg;
    begun++;
    t->n = 0;
    for (long i = 1; i <= 1000; i++)
        t->n += i;
    if (pthread_equal(pthread_self(), loop_thread))
        t->n = -1;
    snprintf(t->text, sizeof t->text, "sum %ld\n", t->n);
    returned++;
}

static void slow_work(void *arg)
{
    struct task *t = arg;
    begun++;
    t->busy = 1;
    at_gate();
    snprintf(t->text, sizeof t->text, "through the gate\n"); /* the memory must still be there */
    t->busy = 0;
    returned++;
}

static void log_work(void *arg)
{
    (void)arg;
    cs_log(CS_WARN, "a line from a thread");
}

static void fault_work(void *arg)
{
    (void)arg;
    *(volatile int *)8 = 1;
}

static int sink(int n)
{
    volatile char room[1000];
    room[n % 1000] = (char)n;
    return n < 0 ? room[0] : sink(n + 1) + room[0];
}

static void deep_work(void *arg)
{
    ((struct task *)arg)->n = sink(0);
}

static void done(cs_req *r, void *arg)
{
    struct task *t = arg;
    done_count++;
    if (r != t->r)
        late++;
    cs_text(r, 200, t->text);
}

static void on_close(void *arg)
{
    struct task *t = arg;
    late += t->busy;
    closed_count++;
}

static int begin(cs_req *r, void (*w)(void *), cs_req_cb d)
{
    struct task *t = cs_alloc(r, sizeof *t);
    t->r = r;
    cs_on_close(r, on_close, t);
    last = cs_token_of(r);
    asked_count++;
    int rc = cs_offload(r, w, d, t);
    return rc == CS_OK ? CS_PENDING : rc;
}

static int once(cs_req *r)
{
    return begin(r, work, done);
}

static int slow(cs_req *r)
{
    return begin(r, slow_work, done);
}

static int fault(cs_req *r)
{
    return begin(r, fault_work, done);
}

static int deep(cs_req *r)
{
    return begin(r, deep_work, done);
}

static int say(cs_req *r)
{
    struct task *t = cs_alloc(r, sizeof *t);
    t->r = r;
    snprintf(t->text, sizeof t->text, "said\n");
    return cs_offload(r, log_work, done, t) == CS_OK ? CS_PENDING : 500;
}

/* One after the other, a hundred times, in one request. */
static void again(cs_req *r, void *arg)
{
    struct task *t = arg;
    if (t->result++ < 100)
        cs_offload(r, work, again, t);
    else
        cs_textf(r, 200, "%d times\n", t->result);
}

static int chain(cs_req *r)
{
    return begin(r, work, again);
}

/* Three at once; the last one that is done answers. */
static void count(cs_req *r, void *arg)
{
    struct task *t = arg;
    if (++t->result == 3)
        cs_text(r, 200, "three\n");
}

static int many(cs_req *r)
{
    struct task *t = cs_alloc(r, sizeof *t);
    t->r = r;
    for (int i = 0; i < 3; i++)
        if (cs_offload(r, work, count, t) != CS_OK)
            return 500;
    return CS_PENDING;
}

static void nothing(cs_req *r, void *arg)
{
    (void)r;
    (void)arg;
    late++;
}

/* Fills the queue; how many it has taken is the answer. They end with the request. */
static int flood(cs_req *r)
{
    int n = 0, rc;
    struct task *t = cs_alloc(r, sizeof *t);
    while ((rc = cs_offload(r, slow_work, nothing, t)) == CS_OK && n < 5000)
        n++;
    return cs_textf(r, 200, "%d then %d\n", n, rc);
}

static void piece(cs_req *r, void *arg)
{
    struct task *t = arg;
    int last_one = ++t->result == 5;
    char text[32];
    int n = snprintf(text, sizeof text, "piece %d\n", (int)t->result);
    cs_send(r, (cs_str){text, (size_t)n}, last_one);
    if (!last_one)
        cs_offload(r, work, piece, t);
}

static int pieces(cs_req *r)
{
    cs_start(r, 200, "text/plain", -1);
    return begin(r, work, piece);
}

static void fails(cs_req *r, void *arg)
{
    (void)arg;
    cs_fail(r, 502, "the work has failed");
}

static int failing(cs_req *r)
{
    return begin(r, work, fails);
}

/* ---- Jobs of the process ---- */

static void job_done(void *arg)
{
    note((char)(uintptr_t)arg);
}

static void job_work(void *arg)
{
    if (arg == (void *)(uintptr_t)'g')
        at_gate();
    begun++;
}

static int jobs(cs_req *r)
{
    for (const char *p = cs_info(r)->query.p + 5; p < cs_info(r)->query.p + cs_info(r)->query.n;
         p++)
        if (cs_job(self, job_work, job_done, (void *)(uintptr_t)*p) != CS_OK)
            return 500;
    return cs_text(r, 200, "begun\n");
}

/* ---- Watches ---- */

static int ends[2] = {-1, -1};
static cs_watch *watches[2];

static void on_pair(int fd, int events, void *arg)
{
    char b[64];
    int i = (int)(intptr_t)arg;
    watch_calls++;
    if (events & CS_HANGUP)
        hangups++;
    ssize_t n = events & CS_READ ? read(fd, b, sizeof b) : 0;
    for (ssize_t k = 0; k < n; k++)
        note(b[k]);
    if (events & CS_WRITE) {
        note('w');
        cs_watch_set(watches[i], CS_READ);
    }
    if (events & CS_HANGUP) { /* from inside: then nothing of it comes any more */
        cs_watch_end(watches[i]);
        watches[i] = NULL;
        close(fd);
        ends[i] = -1;
    }
}

static void drop_pair(void)
{
    for (int i = 0; i < 2; i++) {
        if (watches[i])
            cs_watch_end(watches[i]);
        if (ends[i] >= 0)
            close(ends[i]);
        watches[i] = NULL;
        ends[i] = -1;
    }
}

/* Each end writes to the other, then one closes. */
static int pair(cs_req *r)
{
    drop_pair();
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends))
        return 500;
    watches[0] = cs_watch_new(self, ends[0], CS_READ, on_pair, (void *)0);
    watches[1] = cs_watch_new(self, ends[1], CS_READ | CS_WRITE, on_pair, (void *)1);
    if (!watches[0] || !watches[1] || write(ends[0], "b", 1) != 1)
        return 500;
    return cs_text(r, 200, "watched\n");
}

static int write_pair(cs_req *r)
{
    return cs_textf(r, 200, "%zd\n", write(ends[0], "c", 1));
}

static int rest_pair(cs_req *r)
{
    return cs_textf(r, 200, "%d\n", cs_watch_set(watches[1], 0));
}

static int wake_pair(cs_req *r)
{
    return cs_textf(r, 200, "%d\n", cs_watch_set(watches[1], CS_READ));
}

static int close_pair(cs_req *r)
{
    cs_watch_end(watches[0]);
    watches[0] = NULL;
    close(ends[0]);
    ends[0] = -1;
    return cs_text(r, 200, "closed\n");
}

/* Three that are ready at once: whoever comes first ends them all, so it is one call, not three. */
static int triple[3];
static cs_watch *triplets[3];

static void on_triple(int fd, int events, void *arg)
{
    (void)fd;
    (void)events;
    (void)arg;
    note('t');
    for (int i = 0; i < 3; i++) {
        cs_watch_end(triplets[i]);
        close(triple[i]);
    }
}

static int three(cs_req *r)
{
    for (int i = 0; i < 3; i++) {
        triple[i] = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);
        triplets[i] = cs_watch_new(self, triple[i], CS_READ, on_triple, NULL);
        if (!triplets[i])
            return 500;
    }
    return cs_text(r, 200, "three\n");
}

/* An event that opens a descriptor again must not find the old watch: close and watch anew in one call. */
static int again_fd;
static cs_watch *again_watch;
static int again_n;

static void on_again(int fd, int events, void *arg)
{
    (void)events;
    (void)arg;
    note('a');
    cs_watch_end(again_watch);
    close(fd);
    if (++again_n % 5 == 0)
        return;
    again_fd = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);
    again_watch = cs_watch_new(self, again_fd, CS_READ, on_again, NULL);
}

static int reopen(cs_req *r)
{
    again_fd = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);
    again_watch = cs_watch_new(self, again_fd, CS_READ, on_again, NULL);
    return cs_text(r, 200, "again\n");
}

static int unwatchable(cs_req *r)
{
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), p[2];
    int file = cs_watch_new(self, fd, CS_READ, on_pair, NULL) == NULL;
    close(fd);
    int closed = cs_watch_new(self, fd, 0, on_pair, NULL) == NULL;
    if (pipe2(p, O_NONBLOCK | O_CLOEXEC))
        return 500;
    cs_watch *first = cs_watch_new(self, p[0], 0, on_pair, NULL);
    cs_watch_set(first, CS_READ);
    int twice = cs_watch_new(self, p[0], CS_READ, on_pair, NULL) == NULL;
    cs_watch_end(first);
    close(p[0]);
    close(p[1]);
    return cs_textf(r, 200, "file %d closed %d pipe %d twice %d\n", file, closed, first != NULL,
                    twice);
}

/* The watch is ended behind its descriptor: told in the log, and nothing worse. */
static int wrong_order(cs_req *r)
{
    int p[2];
    if (pipe2(p, O_NONBLOCK | O_CLOEXEC))
        return 500;
    cs_watch *w = cs_watch_new(self, p[0], CS_READ, on_pair, NULL);
    close(p[0]);
    close(p[1]);
    cs_watch_end(w);
    return cs_text(r, 200, "ended\n");
}

/* Left to the end of the process. */
static int leave(cs_req *r)
{
    int p[2];
    if (pipe2(p, O_NONBLOCK | O_CLOEXEC))
        return 500;
    return cs_textf(r, 200, "%d\n", cs_watch_new(self, p[0], CS_READ, on_pair, NULL) != NULL);
}

/* ---- What is seen ---- */

static int facts(cs_req *r)
{
    return cs_textf(
        r, 200,
        "asked %d running %d begun %d returned %d done %d closed %d started %d late %d watch %d "
        "hangups %d alive %d order (%s)\n",
        asked_count, (int)running, (int)begun, (int)returned, done_count, closed_count,
        started_jobs, late, watch_calls, hangups, cs_from_token(last) != NULL, order);
}

static int forget(cs_req *r)
{
    begun = returned = 0;
    asked_count = done_count = closed_count = late = watch_calls = hangups = 0;
    norder = 0;
    memset(order, 0, sizeof order);
    return cs_text(r, 200, "forgotten\n");
}

static int let_through(cs_req *r)
{
    return cs_textf(r, 200, "%zd\n", write(gate[1], "x", 1));
}

static const struct {
    const char *name;
    int (*run)(cs_req *r);
} cases[] = {
    {"once", once},
    {"slow", slow},
    {"fault", fault},
    {"deep", deep},
    {"say", say},
    {"chain", chain},
    {"many", many},
    {"flood", flood},
    {"pieces", pieces},
    {"failing", failing},
    {"jobs", jobs},
    {"pair", pair},
    {"write", write_pair},
    {"rest", rest_pair},
    {"wake", wake_pair},
    {"close", close_pair},
    {"three", three},
    {"reopen", reopen},
    {"unwatchable", unwatchable},
    {"wrong_order", wrong_order},
    {"leave", leave},
    {"facts", facts},
    {"forget", forget},
    {"open", let_through},
};

static int handler(cs_req *r)
{
    cs_str q = cs_info(r)->query;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t n = strlen(cases[i].name);
        if (q.n >= n && !memcmp(q.p, cases[i].name, n) && (q.n == n || q.p[n] == ':'))
            return cases[i].run(r);
    }
    return 404;
}

static void started(void *arg)
{
    cs_log(CS_INFO, "a job of %s is done", (const char *)arg);
    started_jobs++;
}

static void start_work(void *arg)
{
    (void)arg;
}

static int begin_process(cs_proc *p, const char *name)
{
    self = p;
    loop_thread = pthread_self();
    if (pipe2(gate, O_CLOEXEC))
        return CS_ERROR;
    return cs_job(p, start_work, started, (void *)(uintptr_t)name);
}

static int worker_start(cs_proc *p)
{
    return begin_process(p, "worker_start");
}

static int primary_start(cs_proc *p)
{
    return begin_process(p, "primary_start");
}

static void stop(cs_proc *p)
{
    (void)p;
    drop_pair();
}

CS_MODULE(.name = "busy", .version = "1", .help = "jobs and watches", .handler = handler,
          .worker_start = worker_start, .worker_stop = stop, .primary_start = primary_start);
