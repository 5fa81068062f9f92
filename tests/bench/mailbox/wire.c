/* wire.c - what it costs to bring messages from one process to others.
 *
 *   wire WAY HOW SIZE RECEIVERS SECONDS      WAY: mail, channel, pipe, bare
 *
 * HOW: flood   the sender sends as fast as it can; the clock stops when the last receiver has the last message
 *      asleep  about a thousand messages a second: between them everybody sleeps
 *      busy    the same, and the receivers never sleep: in each turn of their loop they compute for BUSY_NS
 *
 * Prints one JSON object. Every message is numbered at its front and at its end: one that is missing, twice, in the wrong
 * place or torn is an error, and so is a receiver that fails. CPU and sleeps (voluntary context switches) are those of
 * all processes; they and the system calls are per message and receiver. */
#include "wire.h"

#include <poll.h>
#include <signal.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    PACE_NS = 1000000,
    BUSY_NS = 50000,
    SAMPLES = 32768,
    BATCH = 262144, /* bytes between two looks at the clock, */
    BATCH_MAX = 64  /* or so many messages */
};

enum how {
    FLOOD,
    ASLEEP,
    BUSY
};

/* The front of each message; its number stands at the end once more. */
struct front {
    uint64_t sent_ns, number, last;
};

/* What a process has to say, in shared memory. */
struct party {
    alignas(64) _Atomic int ready;
    uint64_t messages, errors, done_ns, cpu_ns, sleeps, turn_ns;
    unsigned nsamples;
    uint32_t samples[SAMPLES];
};

static const struct wire *const ways[] = {&wire_mail, &wire_channel, &wire_pipe, &wire_bare};
static const struct wire *way;
static enum how how;
static size_t size;
static int receivers;
static uint64_t length_ns;

static struct party *parties; /* [0]: the sender */
static struct party *me;
static struct rusage began;
static bool over;

void wire_die(const char *what)
{
    perror(what);
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static uint64_t cpu_ns(const struct rusage *u)
{
    return (uint64_t)(u->ru_utime.tv_sec + u->ru_stime.tv_sec) * 1000000000 +
           (uint64_t)(u->ru_utime.tv_usec + u->ru_stime.tv_usec) * 1000;
}

static void begin_account(void)
{
    getrusage(RUSAGE_SELF, &began);
}

static void end_account(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    me->done_ns = now_ns();
    me->cpu_ns = cpu_ns(&u) - cpu_ns(&began);
    me->sleeps = (uint64_t)(u.ru_nvcsw - began.ru_nvcsw);
}

/* ---- A receiver ---- */

static bool is_whole(const struct front *f, const char *data, size_t len)
{
    uint64_t end;
    if (len != size)
        return false;
    memcpy(&end, data + len - sizeof(end), sizeof(end));
    return f->number == me->messages && end == f->number;
}

void wire_message(const void *data, size_t len)
{
    struct front f;
    if (len < sizeof(f)) {
        me->errors++;
        return;
    }
    memcpy(&f, data, sizeof(f));
    me->messages++;
    if (!is_whole(&f, data, len))
        me->errors++;
    if (how != FLOOD && me->nsamples < SAMPLES)
        me->samples[me->nsamples++] = (uint32_t)(now_ns() - f.sent_ns);
    over = over || f.last;
}

static void compute(void)
{
    uint64_t end = now_ns() + BUSY_NS;
    while (now_ns() < end)
        ;
}

static _Noreturn void receive(int i, pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    me = &parties[1 + i];
    way->begin_receiver(i);
    begin_account();
    atomic_store(&me->ready, 1);
    uint64_t from = now_ns(), turns = 0;
    for (; !over; turns++) {
        if (how == BUSY)
            compute();
        way->turn(how != BUSY);
    }
    end_account();
    me->turn_ns = (me->done_ns - from) / turns;
    _exit(0);
}

/* ---- The sender ---- */

static void send_one(char *data, uint64_t sent_ns, bool last)
{
    struct front f = {.sent_ns = sent_ns, .number = ++me->messages, .last = last};
    memcpy(data, &f, sizeof(f));
    memcpy(data + size - sizeof(f.number), &f.number, sizeof(f.number));
    way->send(data, size);
}

static void flood(char *data, uint64_t until)
{
    size_t batch = BATCH / size < BATCH_MAX ? BATCH / size : BATCH_MAX;
    while (now_ns() < until)
        for (size_t i = 0; i < batch; i++)
            send_one(data, 0, false);
    send_one(data, 0, true);
}

/* Not quite evenly, so that it does not keep step with the receiver's turns. */
static void pace(char *data, uint64_t until)
{
    uint64_t next = now_ns();
    unsigned random = 1;
    for (bool last = false; !last;) {
        random = random * 1103515245 + 12345;
        next += PACE_NS * 3 / 4 + (random >> 16) % (PACE_NS / 2);
        struct timespec t = {.tv_sec = (time_t)(next / 1000000000),
                             .tv_nsec = (long)(next % 1000000000)};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
        uint64_t now = now_ns();
        next = now > next + PACE_NS ? now : next; /* what was missed is not made good */
        last = now >= until;
        send_one(data, now, last);
        way->finish();
    }
}

static void start_receivers(pid_t *pids)
{
    pid_t parent = getpid();
    for (int i = 0; i < receivers; i++) {
        pids[i] = fork();
        if (pids[i] < 0)
            wire_die("fork");
        if (pids[i] == 0)
            receive(i, parent);
    }
    me = &parties[0];
    way->begin_sender();
    for (int i = 0; i < receivers; i++)
        while (!atomic_load(&parties[1 + i].ready))
            usleep(100);
    usleep(2000); /* until they sleep */
}

static uint64_t run(pid_t *pids)
{
    static char data[WIRE_MAX];
    memset(data, 'x', sizeof(data));
    start_receivers(pids);
    begin_account();
    uint64_t from = now_ns();
    if (how == FLOOD)
        flood(data, from + length_ns);
    else
        pace(data, from + length_ns);
    way->finish();
    end_account();
    return from;
}

/* ---- What came of it ---- */

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* The p-th of a hundred over all receivers, in microseconds; -1: none. */
static double percentile(const uint32_t *all, unsigned n, unsigned p)
{
    return n ? all[(uint64_t)n * p / 100] / 1e3 : -1;
}

static void print_result(uint64_t from, uint64_t calls)
{
    static uint32_t all[WIRE_RECEIVERS * SAMPLES];
    unsigned n = 0;
    uint64_t done = 0, cpu = me->cpu_ns, sleeps = me->sleeps, errors = 0, turn = 0;
    for (int i = 1; i <= receivers; i++) {
        const struct party *p = &parties[i];
        memcpy(all + n, p->samples, p->nsamples * sizeof(*all));
        n += p->nsamples;
        done = p->done_ns > done ? p->done_ns : done;
        turn = p->turn_ns > turn ? p->turn_ns : turn;
        cpu += p->cpu_ns;
        sleeps += p->sleeps;
        errors += p->errors + (p->messages != me->messages);
    }
    qsort(all, n, sizeof(*all), compare);
    double each = (double)me->messages * receivers;
    printf("{\"messages\": %llu, \"rate\": %.1f, \"cpu\": %.4f, \"calls\": %.5f, \"sleeps\": %.5f, "
           "\"p50\": %.2f, \"p99\": %.2f, \"turn\": %.2f, \"cpu_all\": %.3f, \"errors\": %llu}\n",
           (unsigned long long)me->messages, (double)me->messages * 1e9 / (double)(done - from),
           (double)cpu / 1e3 / each, (double)calls / each, (double)sleeps / each,
           percentile(all, n, 50), percentile(all, n, 99), (double)turn / 1e3, (double)cpu / 1e9,
           (unsigned long long)errors);
}

static void read_arguments(char **argv)
{
    static const char *const hows[] = {"flood", "asleep", "busy"};
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
        if (!strcmp(argv[1], ways[i]->name))
            way = ways[i];
    for (how = FLOOD; how <= BUSY && strcmp(argv[2], hows[how]) != 0;)
        how++;
    size = strtoul(argv[3], NULL, 10);
    receivers = atoi(argv[4]);
    length_ns = (uint64_t)(atof(argv[5]) * 1e9);
    if (!way || how > BUSY || size < 64 || size > WIRE_MAX || receivers < 1 ||
        receivers > WIRE_RECEIVERS || !length_ns) {
        fprintf(
            stderr,
            "wire: a way, flood, asleep or busy, 64 to 65536 bytes, 1 to 16 receivers, seconds\n");
        exit(2);
    }
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fprintf(stderr, "usage: wire WAY HOW SIZE RECEIVERS SECONDS\n");
        return 2;
    }
    read_arguments(argv);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    alarm((unsigned)(length_ns / 1000000000) + 30);
    parties = mmap(NULL, sizeof(*parties) * (WIRE_RECEIVERS + 1), PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (parties == MAP_FAILED)
        wire_die("mmap");
    way->make(receivers);
    pid_t pids[WIRE_RECEIVERS];
    uint64_t from = run(pids);
    uint64_t calls = way->calls();
    int failed = 0;
    for (int i = 0, status; i < receivers; i++)
        failed += waitpid(pids[i], &status, 0) != pids[i] || status != 0;
    if (failed) {
        fprintf(stderr, "wire: %d receivers failed\n", failed);
        return 1;
    }
    print_result(from, calls);
    return 0;
}
