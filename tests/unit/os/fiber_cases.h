/* fiber_cases.h - what holds of fibers on every machine and however they are compiled. fiber_test.c runs it in the build at hand,
 * tests/build/fiber_main.c wherever else there is a compiler. What does not hold ends the program with a sentence. */
#ifndef UNIT_OS_FIBER_CASES_H
#define UNIT_OS_FIBER_CASES_H

#include "os/fiber.h"
#include "os/stack.h"

#include <errno.h>
#include <execinfo.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CASE_STACK ((size_t)128 * 1024)

#define expect(cond) ((cond) ? (void)0 : broken(#cond, __LINE__))

_Noreturn static void broken(const char *what, int line)
{
    fprintf(stderr, "fiber_cases.h:%d: this does not hold: %s\n", line, what);
    abort();
}

static struct stack_pool case_pool;

static struct stack *begin(struct fiber *f, void (*run)(void *arg), void *arg)
{
    struct stack *s = stack_take(&case_pool);
    expect(s);
    fiber_begin(f, s->low, s->size, run, arg);
    return s;
}

/* ---- Turns ---- */

struct turns {
    struct fiber fiber;
    int stops, seen;
};

static void take_turns(void *arg)
{
    struct turns *t = arg;
    for (int i = 0; i < t->stops; i++) {
        t->seen++;
        fiber_stop(&t->fiber);
    }
    t->seen += 1000;
}

static void turns(void)
{
    for (int stops = 0; stops < 100; stops = stops * 2 + 1) {
        struct turns t = {.stops = stops};
        struct stack *s = begin(&t.fiber, take_turns, &t);
        expect(t.seen == 0);
        for (int i = 0; i < stops; i++) {
            expect(fiber_resume(&t.fiber));
            expect(t.seen == i + 1);
        }
        expect(!fiber_resume(&t.fiber));
        expect(t.seen == stops + 1000);
        stack_give(&case_pool, s);
    }
}

/* ---- One in another ---- */

struct nest {
    struct fiber fiber;
    int depth;
    char *trace;
};

/* Says its depth, lets a deeper one do its two parts, and stops between them itself. */
static void nest(void *arg)
{
    struct nest *n = arg;
    struct nest inner = {.depth = n->depth + 1, .trace = n->trace};
    struct stack *s = NULL;
    if (inner.depth < 4)
        s = begin(&inner.fiber, nest, &inner);
    for (int part = 0; part < 2; part++) {
        sprintf(n->trace + strlen(n->trace), "%c%d", "ab"[part], n -> depth);
        if (s)
            expect(fiber_resume(&inner.fiber) == (part == 0));
        sprintf(n->trace + strlen(n->trace), "%c%d", "AB"[part], n -> depth);
        if (part == 0)
            fiber_stop(&n->fiber);
    }
    if (s)
        stack_give(&case_pool, s);
}

static void nested(void)
{
    char trace[100] = "";
    struct nest n = {.depth = 1, .trace = trace};
    struct stack *s = begin(&n.fiber, nest, &n);
    expect(fiber_resume(&n.fiber));
    expect(!strcmp(trace, "a1a2a3A3A2A1"));
    expect(!fiber_resume(&n.fiber));
    expect(!strcmp(trace, "a1a2a3A3A2A1b1b2b3B3B2B1"));
    stack_give(&case_pool, s);
}

/* A fiber may be resumed by another one than before. */
static void resume_it(void *arg)
{
    expect(fiber_resume(arg));
}

static void handed_on(void)
{
    struct turns t = {.stops = 3};
    struct fiber other;
    struct stack *s = begin(&t.fiber, take_turns, &t);
    expect(fiber_resume(&t.fiber));
    struct stack *s2 = begin(&other, resume_it, &t.fiber);
    expect(!fiber_resume(&other));
    expect(t.seen == 2);
    stack_give(&case_pool, s2);
    expect(fiber_resume(&t.fiber));
    expect(!fiber_resume(&t.fiber));
    expect(t.seen == 1003);
    stack_give(&case_pool, s);
}

/* ---- Registers ---- */

/* More values than there are registers, used before and after each call of `between`. They come from memory that the compiler
 * cannot see through, so it keeps them where they are. */
struct mill {
    struct fiber fiber;
    volatile uint64_t seed[14];
    volatile double part[12];
    uint64_t sum;
    double all;
    bool stops;
};

__attribute__((noinline)) static void between(struct mill *m)
{
    if (m->stops)
        fiber_stop(&m->fiber);
    __asm__ volatile("" ::: "memory");
}

static void grind(void *arg)
{
    struct mill *m = arg;
    uint64_t a = m->seed[0], b = m->seed[1], c = m->seed[2], d = m->seed[3], e = m->seed[4],
             f = m->seed[5], g = m->seed[6], h = m->seed[7], i = m->seed[8], j = m->seed[9],
             k = m->seed[10], l = m->seed[11], n = m->seed[12], o = m->seed[13];
    double p = m->part[0], q = m->part[1], r = m->part[2], s = m->part[3], t = m->part[4],
           u = m->part[5], v = m->part[6], w = m->part[7], x = m->part[8], y = m->part[9];
    for (int round = 0; round < 50; round++) {
        a += b ^ o, b += c * 3, c += d ^ a, d += e * 5, e += f ^ b, f += g * 7, g += h ^ c;
        h += i * 9, i += j ^ d, j += k * 11, k += l ^ e, l += n * 13, n += o ^ f, o += a * 15;
        p += q / 3, q += r / 5, r += s / 7, s += t / 9, t += u / 11;
        u += v / 13, v += w / 15, w += x / 17, x += y / 19, y += p / 21e3;
        between(m);
    }
    m->sum = a ^ b ^ c ^ d ^ e ^ f ^ g ^ h ^ i ^ j ^ k ^ l ^ n ^ o;
    m->all = p + q + r + s + t + u + v + w + x + y;
}

/* Few enough that all of them stay in registers, one in each that a call keeps. */
static void hold(void *arg)
{
    struct mill *m = arg;
    uint64_t a = m->seed[0], b = m->seed[1], c = m->seed[2], d = m->seed[3];
    double p = m->part[0], q = m->part[1], r = m->part[2], s = m->part[3];
    double t = m->part[4], u = m->part[5], v = m->part[6], w = m->part[7];
    for (int round = 0; round < 50; round++) {
        a += b, b ^= c, c += d, d ^= a;
        p += q / 2, q += r / 2, r += s / 2, s += t / 2, t += u / 2, u += v / 2, v += w / 2,
            w += p / 1e3;
        between(m);
    }
    m->sum = a ^ b ^ c ^ d;
    m->all = p + q + r + s + t + u + v + w;
}

static void fill(struct mill *m, int salt, bool stops)
{
    for (int i = 0; i < 14; i++)
        m->seed[i] = 0x9e3779b97f4a7c15u * (uint64_t)(i + salt);
    for (int i = 0; i < 12; i++)
        m->part[i] = 1.0 / (i + salt);
    m->stops = stops;
}

/* Two fibers and their resumer come to what each comes to alone. */
static void registers_of(void (*run)(void *arg))
{
    static struct mill alone[3], mills[3];
    struct stack *stacks[2];
    for (int i = 0; i < 3; i++) {
        fill(&alone[i], 3 + 4 * i, false);
        run(&alone[i]);
        fill(&mills[i], 3 + 4 * i, i < 2);
    }
    for (int i = 0; i < 2; i++)
        stacks[i] = begin(&mills[i].fiber, run, &mills[i]);
    while (fiber_resume(&mills[0].fiber))
        expect(fiber_resume(&mills[1].fiber));
    expect(!fiber_resume(&mills[1].fiber));
    run(&mills[2]);
    for (int i = 0; i < 3; i++)
        expect(mills[i].sum == alone[i].sum && mills[i].all == alone[i].all);
    for (int i = 0; i < 2; i++)
        stack_give(&case_pool, stacks[i]);
}

static void registers(void)
{
    registers_of(grind);
    registers_of(hold);
}

#if defined(__x86_64__) || defined(__aarch64__)
#if defined(__x86_64__)
#define KEPT_REGISTERS 6
/* Fills what a call keeps with numbers from `from` on, calls fiber_stop(f), and looks what is there afterwards. */
__attribute__((noinline)) static void stop_with(struct fiber *f, uint64_t from, uint64_t *found)
{
    void (*stop)(struct fiber *) = fiber_stop;
    uint64_t room[5] = {from, (uint64_t)(uintptr_t)f, (uint64_t)(uintptr_t)stop,
                        (uint64_t)(uintptr_t)found, 0};
    __asm__ volatile("push %%rbp\n push %%rax\n lea -128(%%rsp), %%rsp\n"
                     "mov %%rsp, %%rcx\n and $-16, %%rsp\n push %%rcx\n push %%rax\n"
                     "mov (%%rax), %%rbx\n lea 1(%%rbx), %%rbp\n lea 2(%%rbx), %%r12\n"
                     "lea 3(%%rbx), %%r13\n lea 4(%%rbx), %%r14\n lea 5(%%rbx), %%r15\n"
                     "mov 8(%%rax), %%rdi\n call *16(%%rax)\n"
                     "pop %%rax\n pop %%rcx\n mov %%rcx, %%rsp\n lea 128(%%rsp), %%rsp\n"
                     "mov 24(%%rax), %%rcx\n mov %%rbx, (%%rcx)\n mov %%rbp, 8(%%rcx)\n"
                     "mov %%r12, 16(%%rcx)\n mov %%r13, 24(%%rcx)\n mov %%r14, 32(%%rcx)\n"
                     "mov %%r15, 40(%%rcx)\n pop %%rax\n pop %%rbp\n"
                     :
                     : "a"(room)
                     : "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",
                       "r14", "r15", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
                       "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15",
                       "memory", "cc");
}
#else
#define KEPT_REGISTERS 18
__attribute__((noinline)) static void stop_with(struct fiber *f, uint64_t from, uint64_t *found)
{
    void (*stop)(struct fiber *) = fiber_stop;
    uint64_t room[4] = {from, (uint64_t)(uintptr_t)f, (uint64_t)(uintptr_t)stop,
                        (uint64_t)(uintptr_t)found};
    register uint64_t *at __asm__("x9") = room;
    __asm__ volatile(
        "stp x29, x9, [sp, #-16]!\n ldr x19, [x9]\n ldr x0, [x9, #8]\n ldr x10, [x9, #16]\n"
        "add x20, x19, #1\n add x21, x19, #2\n add x22, x19, #3\n add x23, x19, #4\n"
        "add x24, x19, #5\n add x25, x19, #6\n add x26, x19, #7\n add x27, x19, #8\n"
        "add x28, x19, #9\n"
        "fmov d8, x19\n fmov d9, x20\n fmov d10, x21\n fmov d11, x22\n fmov d12, x23\n"
        "fmov d13, x24\n fmov d14, x25\n fmov d15, x26\n"
        "blr x10\n ldp x29, x9, [sp], #16\n ldr x10, [x9, #24]\n"
        "stp x19, x20, [x10]\n stp x21, x22, [x10, #16]\n stp x23, x24, [x10, #32]\n"
        "stp x25, x26, [x10, #48]\n stp x27, x28, [x10, #64]\n stp d8, d9, [x10, #80]\n"
        "stp d10, d11, [x10, #96]\n stp d12, d13, [x10, #112]\n stp d14, d15, [x10, #128]\n"
        : "+r"(at)
        :
        : "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x10", "x11", "x12", "x13", "x14",
          "x15", "x16", "x17", "x18", "x19", "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27",
          "x28", "x30", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11",
          "v12", "v13", "v14", "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24",
          "v25", "v26", "v27", "v28", "v29", "v30", "v31", "memory", "cc");
}
#endif

struct keeper {
    struct fiber fiber;
    uint64_t from;
};

static void keep(void *arg)
{
    struct keeper *k = arg;
    uint64_t found[KEPT_REGISTERS];
    for (int round = 0; round < 3; round++) {
        stop_with(&k->fiber, k->from, found);
        for (uint64_t i = 0; i < KEPT_REGISTERS; i++)
            expect(found[i] == k->from + (i < 10 ? i : i - 10));
    }
}

/* Each by name: two fibers have different numbers in them. */
static void named_registers(void)
{
    struct keeper keepers[2] = {{.from = 1000}, {.from = 2000}};
    struct stack *stacks[2];
    for (int i = 0; i < 2; i++)
        stacks[i] = begin(&keepers[i].fiber, keep, &keepers[i]);
    for (int round = 0; round < 4; round++)
        for (int i = 0; i < 2; i++)
            expect(fiber_resume(&keepers[i].fiber) == (round < 3));
    for (int i = 0; i < 2; i++)
        stack_give(&case_pool, stacks[i]);
}

/* ---- Rounding ---- */

enum {
    ROUND_NEAREST,
    ROUND_UP,
    ROUND_ZERO
};

#if defined(__x86_64__)
static void set_rounding(int mode)
{
    static const unsigned bits[] = {0, 2, 3};
    unsigned vector;
    unsigned short old;
    __asm__ volatile("stmxcsr %0\n fnstcw %1" : "=m"(vector), "=m"(old));
    vector = (vector & ~(3u << 13)) | bits[mode] << 13;
    old = (unsigned short)((old & ~(3u << 10)) | bits[mode] << 10);
    __asm__ volatile("ldmxcsr %0\n fldcw %1" ::"m"(vector), "m"(old) : "memory");
}
#else
static void set_rounding(int mode)
{
    static const uint64_t bits[] = {0, 1, 3};
    uint64_t word;
    __asm__ volatile("mrs %0, fpcr" : "=r"(word));
    word = (word & ~((uint64_t)3 << 22)) | bits[mode] << 22;
    __asm__ volatile("msr fpcr, %0" ::"r"(word) : "memory");
}
#endif

/* By what comes out: of numbers that are rounded down to nearest, and up. */
#define ROUNDS(type, downwards, upwards)                                                           \
    static bool rounds_##type(int mode)                                                            \
    {                                                                                              \
        static const TYPE_##type down = (TYPE_##type)1 / (downwards),                              \
                                 up = (TYPE_##type)1 / (upwards);                                  \
        volatile TYPE_##type one = 1, by_down = (downwards), by_up = (upwards);                    \
        return (one / by_down > down) == (mode == ROUND_UP) &&                                     \
               (one / by_up < up) == (mode == ROUND_ZERO);                                         \
    }
#define TYPE_double double
#define TYPE_long   long double
ROUNDS(double, 3, 10)
#if defined(__x86_64__) /* another unit, with a control word of its own */
ROUNDS(long, 7, 10)
#else
#define rounds_long(mode) true
#endif

static bool rounds(int mode)
{
    return rounds_double(mode) && rounds_long(mode);
}

static void round_up_and_stop(void *arg)
{
    struct fiber *f = arg;
    expect(rounds(ROUND_ZERO)); /* of who resumed it first */
    set_rounding(ROUND_UP);
    for (int i = 0; i < 3; i++) {
        fiber_stop(f);
        expect(rounds(ROUND_UP));
    }
}

static void rounding(void)
{
    struct fiber f;
    struct stack *s = begin(&f, round_up_and_stop, &f);
    set_rounding(ROUND_ZERO);
    expect(fiber_resume(&f));
    expect(rounds(ROUND_ZERO));
    set_rounding(ROUND_NEAREST);
    while (fiber_resume(&f))
        expect(rounds(ROUND_NEAREST));
    expect(rounds(ROUND_NEAREST));
    stack_give(&case_pool, s);
}
#endif

/* ---- The stack ---- */

static volatile unsigned sink;

__attribute__((noinline)) static unsigned deeper(unsigned n)
{
    volatile char room[200];
    room[n % 200] = (char)n;
    unsigned below = n == 0 ? 0 : deeper(n - 1) + 1;
    sink += (unsigned)room[n % 200];
    return below;
}

static void go_deep(void *arg)
{
    struct fiber *f = arg;
    char text[64];
    expect((uintptr_t)__builtin_frame_address(0) % 16 == 0);
    snprintf(text, sizeof text, "%.2f %.1Lf", 1.25 * (double)(sink * 0 + 1), (long double)0.5);
    expect(!strcmp(text, "1.25 0.5"));
    expect(deeper(300) == 300);
    fiber_stop(f);
    expect(deeper(300) == 300);
}

static void depth(void)
{
    struct fiber f;
    struct stack *s = begin(&f, go_deep, &f);
    expect(stack_used(s) < 8192);
    expect(fiber_resume(&f));
    expect(FIBER_ASAN || stack_used(s) > 300 * 200); /* ASan may keep frames elsewhere */
    expect(stack_used(s) < s->size);
    expect(!fiber_resume(&f));
    stack_give(&case_pool, s);
    expect(FIBER_ASAN || case_pool.peak > 300 * 200);
}

/* Jumps stay on the stack they are on; ASan then forgets what it knew of that stack, and of no other. */
static void jump_about(void *arg)
{
    struct fiber *f = arg;
    jmp_buf here;
    for (volatile int i = 0; i < 3; i++) {
        if (setjmp(here) == 0) {
            fiber_stop(f);
            longjmp(here, 1);
        }
    }
}

__attribute__((noinline)) static void jump_once(void)
{
    jmp_buf here;
    if (setjmp(here) == 0)
        longjmp(here, 1);
}

static void jumps(void)
{
    struct fiber f;
    struct stack *s = begin(&f, jump_about, &f);
    int n = 0;
    for (; fiber_resume(&f); n++)
        jump_once();
    expect(n == 3);
    stack_give(&case_pool, s);
}

/* ---- Left where it is ---- */

__attribute__((noinline)) static void stop_in_a_frame(struct fiber *f, int n)
{
    volatile char room[500];
    memset((void *)room, n, sizeof room);
    if (n > 0)
        stop_in_a_frame(f, n - 1);
    else
        fiber_stop(f);
    sink += (unsigned)room[n];
}

static void stop_deep(void *arg)
{
    stop_in_a_frame(arg, 20);
}

__attribute__((noinline)) static void use_room(void *arg)
{
    volatile char room[12000];
    (void)arg;
    memset((void *)room, 1, sizeof room);
    sink += (unsigned)room[sizeof room - 1];
}

static void left(void)
{
    struct fiber f;
    for (int i = 0; i < 10; i++) {
        struct stack *s = begin(&f, i % 2 ? use_room : stop_deep, &f);
        expect(fiber_resume(&f) == (i % 2 == 0));
        stack_give(&case_pool, s);
        if (i == 5)
            stack_pool_drain(&case_pool);
    }
}

static void set_errno(void *arg)
{
    errno = ERANGE;
    fiber_stop(arg);
    expect(errno == EDOM);
}

static void errnos(void)
{
    struct fiber f;
    struct stack *s = begin(&f, set_errno, &f);
    errno = 0;
    expect(fiber_resume(&f));
    expect(errno == ERANGE);
    errno = EDOM;
    expect(!fiber_resume(&f));
    stack_give(&case_pool, s);
}

/* ---- Backtraces ---- */

struct walk {
    int frames, in_handler;
};

static struct walk *walk;

static void walk_in_handler(int sig)
{
    void *frames[100];
    (void)sig;
    walk->in_handler = backtrace(frames, 100);
}

static void walk_back(void *arg)
{
    void *frames[100];
    walk = arg;
    walk->frames = backtrace(frames, 100);
    raise(SIGUSR1);
}

__attribute__((noinline)) static bool resume_from(struct fiber *f, unsigned depth)
{
    bool more = depth == 0 ? fiber_resume(f) : resume_from(f, depth - 1);
    __asm__ volatile("" ::: "memory");
    return more;
}

/* On a part of a stack above which there is something that looks like a way on. */
static void begin_below_junk(struct fiber *f, const struct stack *s, struct walk *w)
{
    uintptr_t *junk = (uintptr_t *)(void *)(s->low + s->size) - 64;
    for (int i = 0; i < 64; i++)
        junk[i] = (uintptr_t)broken + 4;
    fiber_begin(f, s->low, (size_t)((char *)junk - s->low), walk_back, w);
}

/* They end in the fiber, whatever lies above it or below who has resumed it. */
static void backtraces(void)
{
    struct walk walks[2];
    struct fiber f;
    static char other[65536];
    stack_t mine = {.ss_sp = other, .ss_size = sizeof other}, before;
    struct sigaction action = {.sa_handler = walk_in_handler, .sa_flags = SA_ONSTACK}, old;
    expect(sigaltstack(&mine, &before) == 0 && sigaction(SIGUSR1, &action, &old) == 0);
    for (unsigned i = 0; i < 2; i++) {
        struct stack *s = stack_take(&case_pool);
        expect(s);
        begin_below_junk(&f, s, &walks[i]);
        expect(!resume_from(&f, i * 30));
        stack_give(&case_pool, s);
    }
    sigaction(SIGUSR1, &old, NULL);
    sigaltstack(&before, NULL);
    expect(walks[0].frames >= 1 && walks[0].frames < 10);
    expect(walks[0].frames == walks[1].frames);
    expect(walks[0].in_handler > walks[0].frames && walks[0].in_handler < 20);
    expect(walks[0].in_handler == walks[1].in_handler);
}

/* ---- Many ---- */

#if FIBER_ASAN
#undef CASE_MANY
#define CASE_MANY 3000
#elif !defined(CASE_MANY)
#define CASE_MANY 20000
#endif

/* ASan gives a fiber with a frame like this a second stack, which goes with the fiber. */
static void use_little(void *arg)
{
    volatile char room[64];
    room[63] = 1;
    __asm__ volatile("" ::"r"(room) : "memory");
    *(int *)arg += room[63];
}

static int mappings(void)
{
    FILE *f = fopen("/proc/self/maps", "r");
    int n = 0, c;
    expect(f);
    while ((c = getc(f)) != EOF)
        n += c == '\n';
    fclose(f);
    return n;
}

static long address_space(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    expect(f && fscanf(f, "%ld", &pages) == 1);
    fclose(f);
    return pages;
}

static void begin_and_end(int times)
{
    struct fiber f;
    int n = 0;
    for (int i = 0; i < times; i++) {
        struct stack *s = begin(&f, use_little, &n);
        expect(!fiber_resume(&f));
        stack_give(&case_pool, s);
    }
    expect(n == times);
}

static void many(void)
{
    mappings();
    begin_and_end(100);
    int before = mappings();
    long pages = address_space();
    begin_and_end(CASE_MANY);
    expect(mappings() == before);
    expect(address_space() < pages + CASE_MANY);
}

/* ---- All of them ---- */

static const struct fiber_case {
    const char *label;
    void (*run)(void);
} fiber_cases[] = {
    {"turns", turns},
    {"nested", nested},
    {"resumed by another", handed_on},
    {"registers", registers},
#if defined(__x86_64__) || defined(__aarch64__)
    {"registers by name", named_registers},
    {"rounding", rounding},
#endif
    {"depth", depth},
    {"jumps", jumps},
    {"left where it is", left},
    {"errno is the thread's", errnos},
    {"backtraces", backtraces},
    {"many", many},
};

static void run_case(const struct fiber_case *c)
{
    stack_pool_init(&case_pool, CASE_STACK, 4);
    c->run();
    stack_pool_drain(&case_pool);
    expect(case_pool.nstacks == 0);
}

#endif
