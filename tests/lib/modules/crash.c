/* Ways to die, and to stand still: /crash?CASE does it in the handler, /crash/timer?CASE in a timer, /crash/workers?CASE in
 * on_message of all workers, /crash/primary?CASE in that of the primary, /crash/thread?CASE on a thread of the pool,
 * /crash/req_timer?CASE in a timer of the request, /crash/req_done?CASE in done of cs_offload. The
 * setting `start` does it in worker_start. */
#include <cserver/cserver.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* What a sanitizer would say of these is not the question. */
#define CRASHES __attribute__((noinline, no_sanitize("address"), no_sanitize("undefined")))

typedef struct {
    cs_str start;
} settings;

static cs_proc *self;
static cs_topic *topic;
static cs_zone *zone;

CRASHES static void segv(void)
{
    *(volatile int *)0x1000 = 1; /* the line of segv */
}

CRASHES static void bus(void)
{
    int fd = memfd_create("gone", 0);
    *(volatile int *)mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) = 1;
}

CRASHES static void fpe(void)
{
#ifdef __x86_64__
    __asm__ volatile("xorl %%ecx, %%ecx\n\tmovl $1, %%eax\n\tcltd\n\tidivl %%ecx" ::: "eax", "ecx", "edx");
#else
    raise(SIGFPE);
#endif
}

CRASHES static void ill(void)
{
#ifdef __x86_64__
    __asm__ volatile("ud2");
#else
    raise(SIGILL);
#endif
}

CRASHES static void trap(void)
{
#ifdef __x86_64__
    __asm__ volatile("int3");
#else
    raise(SIGTRAP);
#endif
}

CRASHES static int overflow(volatile int *p)
{
    volatile char room[4096];
    room[0] = (char)*p;
    room[sizeof room - 1] = room[0];
    return overflow((volatile int *)(volatile void *)room) + room[0];
}

CRASHES static void nowhere(void)
{
    void (*volatile call)(void) = (void (*)(void))(uintptr_t)0;
    call();
    __asm__ volatile("");
}

static int is(cs_str s, const char *word)
{
    return s.n == strlen(word) && !memcmp(s.p, word, s.n);
}

/* As long as there is such a file. */
static void die_by_file(cs_str path)
{
    if (access(path.p, F_OK) == 0)
        raise(SIGKILL);
}

static void do_it(cs_str what)
{
    volatile int zero = 0;
    if (what.n && *what.p == '/')
        die_by_file(what);
    else if (is(what, "segv"))
        segv();
    else if (is(what, "bus"))
        bus();
    else if (is(what, "fpe"))
        fpe();
    else if (is(what, "ill"))
        ill();
    else if (is(what, "abort"))
        abort();
    else if (is(what, "trap"))
        trap();
    else if (is(what, "sys"))
        raise(SIGSYS);
    else if (is(what, "overflow"))
        overflow(&zero);
    else if (is(what, "nowhere"))
        nowhere();
    else if (is(what, "exit"))
        exit(0);
    else if (is(what, "exit3"))
        _exit(3);
    else if (is(what, "kill"))
        raise(SIGKILL);
    else if (is(what, "lock") && cs_zone_lock(zone) == CS_OK)
        cs_zone_unlock(zone);
    else if (is(what, "lockstop") && cs_zone_lock(zone) == CS_OK) {
        raise(SIGSTOP);
        cs_zone_unlock(zone);
    } else if (is(what, "block"))
        for (int i = 0; i < 1000; i++)
            usleep(10000);
    else if (is(what, "brief"))
        usleep(10000);
    else if (is(what, "short"))
        usleep(900000);
    else if (is(what, "deaf")) {
        sigset_t all;
        sigfillset(&all);
        sigprocmask(SIG_BLOCK, &all, NULL);
        for (;;)
            usleep(100000);
    }
}

static void on_timer(void *arg)
{
    char *what = arg;
    do_it((cs_str){what, strlen(what)});
    free(what);
}

static void on_message(const cs_msg *m)
{
    do_it((cs_str){m->data, m->len});
}

static int on_start(cs_proc *p)
{
    const settings *s = cs_module_conf(p);
    self = p;
    do_it(s->start);
    return CS_OK;
}

static void work(void *arg)
{
    do_it(*(cs_str *)arg);
}

static void done(cs_req *r, void *arg)
{
    (void)arg;
    cs_text(r, 200, "alive\n");
}

static void nothing(void *arg)
{
    (void)arg;
}

static void later(cs_req *r, void *arg)
{
    do_it(*(cs_str *)arg);
    cs_text(r, 200, "alive\n");
}

static int handler(cs_req *r)
{
    cs_str path = cs_info(r)->path, query = cs_info(r)->query;
    if (is(path, "/crash/timer")) {
        char *what = calloc(1, query.n + 1);
        memcpy(what, query.p, query.n);
        cs_after(self, 1, on_timer, what);
    } else if (is(path, "/crash/workers")) {
        cs_publish(topic, CS_TO_WORKERS, query.p, query.n);
    } else if (is(path, "/crash/primary")) {
        cs_publish(topic, CS_TO_PRIMARY, query.p, query.n);
    } else if (is(path, "/crash/thread")) {
        cs_str *what = cs_alloc(r, sizeof *what);
        *what = query;
        return cs_offload(r, work, done, what) == CS_OK ? CS_PENDING : 500;
    } else if (is(path, "/crash/req_timer") || is(path, "/crash/req_done")) {
        cs_str *what = cs_alloc(r, sizeof *what);
        *what = query;
        return (is(path, "/crash/req_done") ? cs_offload(r, nothing, later, what) : cs_req_after(r, 1, later, what)) ==
                       CS_OK
                   ? CS_PENDING
                   : 500;
    } else {
        do_it(query);
    }
    return cs_text(r, 200, "alive\n");
}

static const cs_directive directives[] = {CS_STRING(settings, start, "", 0, 100, 0, "What worker_start does."), CS_END};
static const cs_topic_def topics[] = {{.ref = &topic, .name = "crash.do", .on_message = on_message}, {0}};

static const cs_zone_def zones[] = {{.ref = &zone, .name = "lock", .size = 64}, {0}};

CS_MODULE(.name = "crash", .version = "1.7", .help = "Dies.", .directives = directives, .conf_size = sizeof(settings),
          .worker_start = on_start, .handler = handler, .topics = topics, .zones = zones);
