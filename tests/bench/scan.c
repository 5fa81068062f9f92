/* scan.c - make bench-scan: what it costs to read the head of a request, in each way to scan (http/scan.h).
 *
 *     scan [FILE]...        FILE: a head of your own, as it goes over the wire
 *     scan --way            only says which way a server takes here
 *
 * Instructions are counted by going through one parse step by step with ptrace: they are the same each time, and
 * need neither counters of the processor nor valgrind, which does not know all of SSE4.2. Times are the best of
 * some rounds, and only as good as the machine is quiet. */
#include "http/scan.h"
#include "http/head.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FIELDS 64
#define ROUNDS 7

struct request {
    const char *name;
    cs_str bytes;
};

#define REQUEST(name, text)                                                                        \
    {                                                                                              \
        name,                                                                                      \
        {                                                                                          \
            text, sizeof(text) - 1                                                                 \
        }                                                                                          \
    }

static const struct request own[] = {
    REQUEST("small", "GET /hello HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n"),
    REQUEST(
        "tool",
        "GET /files/report-2024.pdf HTTP/1.1\r\nHost: www.example.org\r\nUser-Agent: tool/8.5.0\r\n"
        "Accept: */*\r\n\r\n"),
    REQUEST(
        "browser",
        "GET /blog/2024/06/how-to-read-a-map?from=feed HTTP/1.1\r\nHost: www.example.org\r\n"
        "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0\r\n"
        "Accept: "
        "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n"
        "Accept-Language: de,en-US;q=0.7,en;q=0.3\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n"
        "Referer: https://www.example.org/blog/\r\nConnection: keep-alive\r\n"
        "Cookie: session=5f2b7c1e9a4d4e0f8b6a3c2d1e0f9a8b; theme=dark; seen=1719662400; "
        "visits=17.1719.662400.3; source=(feed)|medium=reader|term=/maps/; "
        "consent=all-but-the-third-parties\r\n"
        "Upgrade-Insecure-Requests: 1\r\nPriority: u=0, i\r\n\r\n"),
};

static cs_str head;

static void parse(void)
{
    static struct http_header fields[FIELDS];
    static struct http_head h = {.headers = fields, .headers_cap = FIELDS};
    const struct http_limits limits = {65536, 65536, FIELDS};
    h.scanned = 0;
    long n = http_head_parse(&h, head.p, head.n, &limits);
    if (n != (long)head.n) {
        fprintf(stderr, "scan: this is no head of a request: %s\n",
                n < 0 ? h.error
                : n   ? "there is more"
                      : "it has no end");
        exit(2);
    }
}

static void nothing(void)
{
}

/* ---- Instructions ---- */

/* The call is made once before, so that nothing is left to bind. */
static void be_traced(void (*call)(void))
{
    call();
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
        _exit(1);
    raise(SIGSTOP);
    call();
    raise(SIGUSR1);
    _exit(1);
}

/* Steps from one signal to the other; -1: this may not be traced here. */
static long steps(void (*call)(void))
{
    int status;
    long n = 0;
    pid_t child = fork();
    if (child == 0)
        be_traced(call);
    if (child < 0 || waitpid(child, &status, 0) != child)
        return -1;
    while (WIFSTOPPED(status) && WSTOPSIG(status) != SIGUSR1) {
        if (ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) < 0 || waitpid(child, &status, 0) != child)
            break;
        n++;
    }
    if (!WIFSTOPPED(status))
        return -1;
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    return n;
}

static long instructions(void)
{
    long with = steps(parse), without = steps(nothing);
    return with < 0 || without < 0 ? -1 : with - without;
}

/* ---- Time ---- */

static double seconds(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static double nanoseconds(void)
{
    const int calls = 20000;
    double best = 1e9;
    for (int round = 0; round < ROUNDS; round++) {
        double start = seconds();
        for (int i = 0; i < calls; i++)
            parse();
        double took = (seconds() - start) * 1e9 / calls;
        best = took < best ? took : best;
    }
    return best;
}

/* ---- */

static void row(const struct request *r)
{
    head = r->bytes;
    for (size_t i = 0; scan_way(i); i++) {
        scan_use(scan_way(i)->name);
        long n = instructions();
        printf("| %s | %zu | %s | %ld | %.2f | %.0f |\n", r->name, head.n, scan_way(i)->name, n,
               (double)n / (double)head.n, nanoseconds());
    }
}

static cs_str read_file(const char *name)
{
    static char bytes[16][65536];
    static size_t files;
    FILE *f = files < 16 ? fopen(name, "rb") : NULL;
    if (!f) {
        fprintf(stderr, "scan: cannot read %s\n", name);
        exit(2);
    }
    char *to = bytes[files++];
    size_t n = fread(to, 1, sizeof bytes[0], f);
    fclose(f);
    return (cs_str){to, n};
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--way") == 0) {
        puts(scan_now->name);
        return 0;
    }
    printf(
        "| head | bytes | way | instructions | per byte | ns |\n|---|---:|---|---:|---:|---:|\n");
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        row(&own[i]);
    for (int i = 1; i < argc; i++)
        row(&(struct request){argv[i], read_file(argv[i])});
    return 0;
}
