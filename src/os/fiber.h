/* fiber.h - a flow of control on a stack of its own: it runs until it stops itself, and goes on there when it is resumed.
 *
 *     fiber_begin(&f, low, size, run, arg);
 *     fiber_resume(&f);      run(arg) begins, and calls fiber_stop(&f): back here, true
 *     fiber_resume(&f);      fiber_stop returns there; run returns: back here, false
 *
 * x86-64 and arm64 switch in a few instructions: the registers that a call keeps and the control words of floating point,
 * nothing of signals. Other machines, builds with CSERVER_FIBER_UCONTEXT, and threads under a shadow stack (which the few
 * instructions would not switch) take ucontext. ASan is told of every switch. A backtrace ends where the fiber begins.
 *
 * Fibers may be nested: one may resume another. A fiber is resumed on the thread that began it. errno is the thread's and
 * goes from one to the other; rounding modes do not, and a fiber starts with that of whoever resumes it first. One that is
 * never resumed again needs nothing: its stack may be used for another. */
#ifndef OS_FIBER_H
#define OS_FIBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__SANITIZE_ADDRESS__)
#define FIBER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FIBER_ASAN 1
#endif
#endif
#ifndef FIBER_ASAN
#define FIBER_ASAN 0
#endif

/* Is there assembly for this machine, as long as nothing speaks against it when the program runs? */
#if (defined(__x86_64__) && defined(__LP64__) || defined(__aarch64__)) &&                          \
    !defined(CSERVER_FIBER_UCONTEXT)
#define FIBER_ASSEMBLY 1
#else
#define FIBER_ASSEMBLY 0
#endif

struct fiber_contexts;

/* All of it is private. */
enum fiber_state {
    FIBER_NEW, /* the first two: switched by assembly */
    FIBER_BEGUN,
    FIBER_CONTEXT,
    FIBER_OVER,
};

struct fiber {
    void *sp; /* of the side that does not run */
    void (*run)(void *arg);
    void *arg;
    struct fiber_contexts *contexts; /* of a FIBER_CONTEXT */
    enum fiber_state state;
#if FIBER_ASAN
    const void *low, *under_low; /* its stack, and that of who has resumed it */
    size_t size, under_size;
    void *fake; /* ASan's second stack for it */
#endif
};

/* Anything but assembly? Also where the returns of this thread have a stack of their own: what the processor does not know here does nothing. */
static inline bool fiber_needs_ucontext(void)
{
#if !FIBER_ASSEMBLY
    return true;
#elif defined(__x86_64__)
    uint64_t ssp = 0;
    __asm__ volatile("rdsspq %0" : "+r"(ssp));
    return ssp != 0;
#else
    register uint64_t off __asm__("x16") = 1;
    __asm__ volatile("hint #40" : "+r"(off)); /* chkfeat: takes away the bit of what is on */
    return off == 0;
#endif
}

/* The part of it that is seldom needed. */
void fiber_begin_slow(struct fiber *f, char *low, size_t size);

/* Will call run(arg) on the stack [low, low + size), from its upper end. Nothing of it is touched that is not needed. */
static inline void fiber_begin(struct fiber *f, void *low, size_t size, void (*run)(void *arg),
                               void *arg)
{
    f->sp = (void *)(((uintptr_t)low + size) & ~(uintptr_t)15);
    f->run = run;
    f->arg = arg;
    f->state = FIBER_NEW;
    if (FIBER_ASAN || fiber_needs_ucontext())
        fiber_begin_slow(f, low, size);
}

/* Until it stops or ends. False: run has returned; it must not be resumed any more. */
bool fiber_resume(struct fiber *f);

/* By the fiber itself: back to who has resumed it. */
void fiber_stop(struct fiber *f);

#endif
